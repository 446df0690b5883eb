//! `ambassador simulate`: many clients against one modelled server, in virtual time. Every decision about a call is the core's
//! own, made by the code that ships: a client is a proxy with a state of its own, driven by `begin`, `settle` and `resume`. What
//! is modelled is only what is around it: clients that want something, a server, and the time between them.
//!
//! | module | holds |
//! | --- | --- |
//! | [`args`] | the command's options, and the plan that they make |
//! | [`policy`] | `name: max_retries=5,budget=none` |
//! | [`timers`] | what is to come, in its order |
//! | [`server`] | the modelled server, and its outages |
//! | [`circuits`] | how many breakers are open |
//! | [`storm`] | a retry storm: does the service come back after the outage? |
//! | [`jitter`] | many clients contend for one record: what does each kind of jitter cost? |
//! | [`report`] | tables, CSV and JSON |
//! | [`chart`], [`svg`] | the figures |

pub mod args;
pub mod chart;
pub mod circuits;
pub mod jitter;
pub mod policy;
pub mod report;
pub mod server;
pub mod storm;
pub mod svg;
pub mod timers;

use ambassador_core::clock::{Nanos, SECOND};

/// When a simulation begins. An instant is never 0.
const BEGINNING: Nanos = SECOND;

/// Seconds, for people.
fn seconds(length: Nanos) -> f64 {
    length as f64 / SECOND as f64
}

/// Does that for each, on a thread of its own, and hands the results back in order.
fn side_by_side<T: Sync, R: Send>(of: &[T], run: impl Fn(&T) -> R + Sync) -> Vec<R> {
    std::thread::scope(|scope| {
        let run = &run;
        let running: Vec<_> = of.iter().map(|one| scope.spawn(move || run(one))).collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}
