//! What was counted of a target (S2), as plain numbers: read of its [`State`] once, whoever is to see them, and added to what others
//! counted that went by the same name.

use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering::Acquire};

use crate::target::State;

/// Counts that only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// By [`Totals::OUTCOMES`].
    pub calls: [u64; 6],
    /// By [`Totals::ATTEMPTS`].
    pub attempts: [u64; 4],
    /// By [`Totals::RETRIES`]: how the attempt before ended.
    pub retries: [u64; 2],
    pub hedges: u64,
    pub late: u64,
    pub internal_errors: u64,
    pub events_dropped: u64,
    /// By [`Totals::REJECTIONS`].
    pub rejections: [u64; 5],
    /// Into which state of the circuit, by [`Totals::CIRCUITS`].
    pub transitions: [u64; 4],
}

impl Totals {
    pub const OUTCOMES: [&str; 6] = ["ok", "failure", "timeout", "rejected", "cancelled", "fallback"];
    pub const ATTEMPTS: [&str; 4] = ["ok", "failure", "timeout", "cancelled"];
    pub const RETRIES: [&str; 2] = ["failure", "timeout"];
    pub const REJECTIONS: [&str; 5] = ["shutdown", "rate_limited", "bulkhead_full", "circuit_open", "no_endpoint"];
    pub const CIRCUITS: [&str; 4] = ["closed", "open", "half_open", "isolated"];

    /// What that state has counted so far. Read while calls go on, each number is one that was true, and none is ever less than one
    /// that was read before.
    pub fn of(state: &State) -> Totals {
        let count = |cell: &AtomicU64| cell.load(Acquire);
        let [ok, failure, timeout, cancelled] = state.calls();
        let rejections = &state.rejections;
        Totals {
            calls: [ok, failure, timeout, count(&state.rejected), cancelled, count(&state.fallback)],
            attempts: state.attempts(),
            retries: [&state.retries.after_failure, &state.retries.after_timeout].map(count),
            hedges: count(&state.hedges),
            late: count(&state.late),
            internal_errors: count(&state.internal_errors),
            events_dropped: state.listeners.dropped(),
            rejections: [
                &rejections.shutdown,
                &rejections.rate_limited,
                &rejections.bulkhead_full,
                &rejections.circuit_open,
                &rejections.no_endpoint,
            ]
            .map(count),
            transitions: std::array::from_fn(|at| state.breaker.entered[at].load(Acquire)),
        }
    }

    /// The fields of JSON that say so, from `"calls"` to `"rejections"`.
    pub fn to_json(&self, abandoned: u64) -> String {
        format!(
            concat!(
                r#""calls":{},"attempts":{},"retries":{},"hedges":{},"late_results":{},"abandoned":{},"#,
                r#""internal_errors":{},"events_dropped":{},"rejections":{}"#
            ),
            object(Totals::OUTCOMES, self.calls),
            object(Totals::ATTEMPTS, self.attempts),
            self.retries.iter().sum::<u64>(),
            self.hedges,
            self.late,
            abandoned,
            self.internal_errors,
            self.events_dropped,
            object(Totals::REJECTIONS, self.rejections),
        )
    }

    /// Into which state of the circuit, how often, as JSON.
    pub fn transitions_to_json(&self) -> String {
        object(Totals::CIRCUITS, self.transitions)
    }
}

/// A JSON object of numbers.
fn object<const N: usize>(names: [&str; N], numbers: [u64; N]) -> String {
    let fields: Vec<String> = names.iter().zip(numbers).map(|(name, number)| format!(r#""{name}":{number}"#)).collect();
    format!("{{{}}}", fields.join(","))
}

impl AddAssign<&Totals> for Totals {
    fn add_assign(&mut self, more: &Totals) {
        // Named one by one, so that none is forgotten.
        let Totals { calls, attempts, retries, hedges, late, internal_errors, events_dropped, rejections, transitions } =
            more;
        add(&mut self.calls, calls);
        add(&mut self.attempts, attempts);
        add(&mut self.retries, retries);
        self.hedges += hedges;
        self.late += late;
        self.internal_errors += internal_errors;
        self.events_dropped += events_dropped;
        add(&mut self.rejections, rejections);
        add(&mut self.transitions, transitions);
    }
}

fn add<const N: usize>(sums: &mut [u64; N], more: &[u64; N]) {
    sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
}
