//! What is told of calls: events through `tracing`, target `ambassador`, and the retry line that every language says
//! through its own logging (R7). A subscriber that panics changes nothing for the call (F5).

use std::panic::{AssertUnwindSafe, catch_unwind};

use tracing::Level;

use crate::call::{Call, Decision, Stop};
use crate::clock::{Nanos, spell};
use crate::target::State;

/// R7: `[Ambassador] Retry 1 after 1.37s: Payment API unreachable`.
pub(crate) fn retry(state: &State, call: &Call, wait: Nanos, error: &str) -> String {
    let line = format!("[Ambassador] Retry {} after {}: {error}", call.attempt(), spell(wait));
    shielded(|| {
        tracing::warn!(target: "ambassador", name = state.name(), attempt = call.attempt(), wait_ns = wait, "{line}");
    });
    line
}

/// S1: an attempt ended, and perhaps the call with it.
#[inline]
pub(crate) fn settled(state: &State, call: &Call, now: Nanos, decision: Decision) {
    if tracing::level_filters::LevelFilter::current() >= Level::DEBUG {
        tell_settled(state, call, now, decision);
    }
}

#[cold]
fn tell_settled(state: &State, call: &Call, now: Nanos, decision: Decision) {
    attempt_ended(state, call, now);
    if let Decision::Finish(_, stop) = decision {
        call_ended(state, call, now, stop);
    }
}

/// S1: an attempt ended.
#[cold]
pub(crate) fn attempt_ended(state: &State, call: &Call, now: Nanos) {
    shielded(|| {
        tracing::debug!(
            target: "ambassador", name = state.name(), attempt = call.attempt(), outcome = call.last().as_str(),
            elapsed_ns = now.saturating_sub(call.started()), "attempt ended"
        );
    });
}

/// S1: a call ended.
#[cold]
pub(crate) fn call_ended(state: &State, call: &Call, now: Nanos, stop: Stop) {
    ended(state, call.attempt(), call.last().as_str(), stop, call.elapsed(now));
}

/// S1: a call was refused.
#[cold]
pub(crate) fn refused(state: &State, stop: Stop) {
    ended(state, 0, "rejected", stop, 0);
}

fn ended(state: &State, attempts: u32, outcome: &str, stop: Stop, elapsed_ns: Nanos) {
    shielded(|| {
        tracing::debug!(
            target: "ambassador", name = state.name(), attempts, outcome, stop = stop.as_str(), elapsed_ns, "call ended"
        );
    });
}

/// F1: the core itself failed.
#[cold]
pub(crate) fn internal(state: &State, at: &str) {
    shielded(|| {
        tracing::error!(target: "ambassador", name = state.name(), at, "internal fault; the call goes on without the ambassador");
    });
}

/// F5: what a listener throws ends here.
fn shielded(tell: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(tell));
}
