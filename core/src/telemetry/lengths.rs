//! How long a target's calls and attempts take: recorded once where both take as long; and as others want it: counted by fixed bounds, for metrics, and as quantiles of the last
//! seconds, for a person who looks.

use std::fmt::Write;
use std::ops::AddAssign;

use super::histogram::{Distribution, Durations};
use crate::clock::{MILLISECOND, Nanos, SECOND};
use crate::target::State;

/// How long calls take that are not refused, and how long attempts do (S2). As a rule a call is one attempt, and nothing besides:
/// that is recorded once.
#[derive(Debug, Default)]
pub(crate) struct Timings {
    both: Durations,
    calls: Durations,
    attempts: Durations,
}

impl Timings {
    /// A call has ended, and its one attempt with it, which began when the call came.
    #[inline]
    pub fn both_took(&self, took: Nanos, now: Nanos) {
        self.both.record(took, now);
    }

    /// A call has ended that was more than that.
    #[inline]
    pub fn call_took(&self, took: Nanos, now: Nanos) {
        self.calls.record(took, now);
    }

    /// An attempt has ended, of a call that is more than that.
    #[inline]
    pub fn attempt_took(&self, took: Nanos, now: Nanos) {
        self.attempts.record(took, now);
    }

    fn of_calls(&self, read: impl Fn(&Durations) -> Distribution) -> Distribution {
        let mut all = read(&self.both);
        all += &read(&self.calls);
        all
    }

    fn of_attempts(&self, read: impl Fn(&Durations) -> Distribution) -> Distribution {
        let mut all = read(&self.both);
        all += &read(&self.attempts);
        all
    }
}

/// The bounds by which lengths are counted, as metrics spell them: the same for every target and version, so that they add up.
pub(crate) const BOUNDS: [(Nanos, &str); 18] = [
    (MILLISECOND / 10, "0.0001"),
    (MILLISECOND / 4, "0.00025"),
    (MILLISECOND / 2, "0.0005"),
    (MILLISECOND, "0.001"),
    (5 * MILLISECOND / 2, "0.0025"),
    (5 * MILLISECOND, "0.005"),
    (10 * MILLISECOND, "0.01"),
    (25 * MILLISECOND, "0.025"),
    (50 * MILLISECOND, "0.05"),
    (100 * MILLISECOND, "0.1"),
    (250 * MILLISECOND, "0.25"),
    (500 * MILLISECOND, "0.5"),
    (SECOND, "1.0"),
    (5 * SECOND / 2, "2.5"),
    (5 * SECOND, "5.0"),
    (10 * SECOND, "10.0"),
    (30 * SECOND, "30.0"),
    (60 * SECOND, "60.0"),
];

/// Lengths of time, counted by [`BOUNDS`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Buckets {
    /// How many were as long as each bound at most.
    pub at_most: [u64; BOUNDS.len()],
    pub count: u64,
    pub sum_ns: u64,
}

impl Buckets {
    fn of(all: &Distribution) -> Buckets {
        Buckets { at_most: std::array::from_fn(|at| all.at_most(BOUNDS[at].0)), count: all.count, sum_ns: all.sum_ns }
    }
}

impl AddAssign<&Buckets> for Buckets {
    fn add_assign(&mut self, more: &Buckets) {
        self.at_most.iter_mut().zip(more.at_most).for_each(|(sum, more)| *sum += more);
        self.count += more.count;
        self.sum_ns = self.sum_ns.wrapping_add(more.sum_ns);
    }
}

/// How long calls took that were not refused, and how long attempts did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lengths {
    pub calls: Buckets,
    pub attempts: Buckets,
}

impl Lengths {
    pub fn of(state: &State) -> Lengths {
        Lengths {
            calls: Buckets::of(&state.timings.of_calls(Durations::read)),
            attempts: Buckets::of(&state.timings.of_attempts(Durations::read)),
        }
    }
}

impl AddAssign<&Lengths> for Lengths {
    fn add_assign(&mut self, more: &Lengths) {
        self.calls += &more.calls;
        self.attempts += &more.attempts;
    }
}

const WINDOWS: [(Nanos, &str); 2] = [(10 * SECOND, "10s"), (60 * SECOND, "60s")];
const QUANTILES: [(f64, &str); 4] = [(0.5, "p50_ns"), (0.9, "p90_ns"), (0.99, "p99_ns"), (0.999, "p999_ns")];

/// What calls and attempts took within the last seconds, as JSON; the quantiles of none are null.
pub(crate) fn latency(state: &State, now: Nanos) -> String {
    let windows = |of: &dyn Fn(Nanos) -> Distribution| {
        WINDOWS.map(|(length, name)| format!(r#""{name}":{}"#, quantiles(&of(length)))).join(",")
    };
    format!(
        r#"{{"calls":{{{}}},"attempts":{{{}}}}}"#,
        windows(&|length| state.timings.of_calls(|durations| durations.since(length, now))),
        windows(&|length| state.timings.of_attempts(|durations| durations.since(length, now)))
    )
}

fn quantiles(lengths: &Distribution) -> String {
    let mut json = format!(r#"{{"count":{}"#, lengths.count);
    for (share, name) in QUANTILES {
        let _ = match lengths.quantile(share) {
            Some(length) => write!(json, r#","{name}":{length}"#),
            None => write!(json, r#","{name}":null"#),
        };
    }
    json + "}"
}
