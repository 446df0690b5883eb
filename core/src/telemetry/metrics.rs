//! What was counted and how things stand, as metrics (S2): the one table of them, each with what it reads. How they are written down
//! is [`exposition`](super::exposition)'s; what they mean in more words stands in `docs/metrics.md`.

use std::collections::HashMap;
use std::sync::Arc;

use super::exposition::{Format, Kind, Page, Value, Writer};
use super::ledger::{self, OTHER, Others, Row};
use super::lengths::{Buckets, Lengths};
use super::totals::Totals;
use super::{bus, process};
use crate::balance::Condition;
use crate::clock::{self, Nanos, SECOND};
use crate::policy::breaker::Circuit;
use crate::target::State;

/// How many endpoints of a target are seen by their addresses; the others are together under `other`.
pub const MOST_ENDPOINTS: usize = 100;

/// A metric: what it is called after `ambassador_`, and what it says.
#[derive(Debug)]
pub struct Metric {
    /// Its name, without what a format puts before or after it.
    pub name: &'static str,
    /// What kind it is of.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// The unit that its name ends in, if it does.
    pub unit: Option<&'static str>,
    /// What it says, in a sentence.
    pub help: &'static str,
    read: fn(&Seen, &mut Samples<'_>),
}

/// All that metrics are read of, read at one time.
struct Seen {
    rows: Vec<Row>,
    others: Others,
    process: process::Health,
    now: Nanos,
}

impl Seen {
    fn now() -> Seen {
        let (rows, others) = ledger::read();
        Seen { rows, others, process: process::Health::now(), now: clock::now() }
    }

    /// Each target, and what the others counted.
    fn counted(&self) -> impl Iterator<Item = (&str, &Totals)> {
        let named = self.rows.iter().map(|row| (&*row.name, &row.totals));
        named.chain((!self.others.are_none()).then_some((OTHER, &self.others.totals)))
    }

    /// How long things took at each of them.
    fn lengths(&self) -> impl Iterator<Item = (&str, Lengths)> {
        let named = self.rows.iter().map(|row| (&*row.name, row.lengths()));
        named.chain((!self.others.are_none()).then(|| (OTHER, self.others.lengths())))
    }

    /// Each target that is there.
    fn present(&self) -> impl Iterator<Item = (&str, &Arc<State>)> {
        self.rows.iter().filter_map(|row| Some((&*row.name, row.state.as_ref()?)))
    }

    /// The sum over targets that are there, for each of them, and for the others together.
    fn summed(&self, of: impl Fn(&State) -> u64) -> impl Iterator<Item = (&str, u64)> {
        let others = &self.others.states;
        let other = (!others.is_empty()).then(|| (OTHER, others.iter().map(|state| of(state)).sum()));
        let named: Vec<_> = self.present().map(|(name, state)| (name, of(state))).collect();
        named.into_iter().chain(other)
    }
}

/// Where a metric's samples go.
struct Samples<'a> {
    writer: &'a mut dyn Writer,
    metric: &'static Metric,
}

impl Samples<'_> {
    fn is(&mut self, labels: &[&str], value: impl Into<Value>) {
        self.writer.sample(self.metric, labels, value.into());
    }

    /// One for each value of the last label.
    fn by<const N: usize>(&mut self, target: &str, names: [&str; N], values: [u64; N]) {
        names.iter().zip(values).for_each(|(name, value)| self.is(&[target, name], value));
    }

    fn lengths(&mut self, target: &str, lengths: &Buckets) {
        self.writer.lengths(self.metric, &[target], lengths);
    }
}

pub(crate) fn seconds(length: Nanos) -> f64 {
    length as f64 / SECOND as f64
}

/// Every metric, in the order in which they are told.
pub static METRICS: &[Metric] = &[
    Metric {
        name: "calls",
        kind: Kind::Counter,
        labels: &["target", "outcome"],
        unit: None,
        help: "Calls that have ended, by how.",
        read: |seen, samples| {
            seen.counted().for_each(|(target, totals)| samples.by(target, Totals::OUTCOMES, totals.calls));
        },
    },
    Metric {
        name: "attempts",
        kind: Kind::Counter,
        labels: &["target", "outcome"],
        unit: None,
        help: "Attempts that have ended, by how.",
        read: |seen, samples| {
            seen.counted().for_each(|(target, totals)| samples.by(target, Totals::ATTEMPTS, totals.attempts));
        },
    },
    Metric {
        name: "retries",
        kind: Kind::Counter,
        labels: &["target", "reason"],
        unit: None,
        help: "Attempts that followed another one, by how that one ended.",
        read: |seen, samples| {
            seen.counted().for_each(|(target, totals)| samples.by(target, Totals::RETRIES, totals.retries));
        },
    },
    Metric {
        name: "hedges",
        kind: Kind::Counter,
        labels: &["target"],
        unit: None,
        help: "Attempts that began beside another one of their call.",
        read: |seen, samples| {
            seen.counted().for_each(|(target, totals)| samples.is(&[target], totals.hedges));
        },
    },
    Metric {
        name: "rejections",
        kind: Kind::Counter,
        labels: &["target", "reason"],
        unit: None,
        help: "Calls that were refused before their first attempt, by why.",
        read: |seen, samples| {
            seen.counted().for_each(|(target, totals)| samples.by(target, Totals::REJECTIONS, totals.rejections));
        },
    },
    Metric {
        name: "late_results",
        kind: Kind::Counter,
        labels: &["target"],
        unit: None,
        help: "Results that came after their attempt had been given up, and were dropped.",
        read: |seen, samples| {
            seen.counted().for_each(|(target, totals)| samples.is(&[target], totals.late));
        },
    },
    Metric {
        name: "call_duration_seconds",
        kind: Kind::Histogram,
        labels: &["target"],
        unit: Some("seconds"),
        help: "How long calls took that were not refused, waits and all attempts included.",
        read: |seen, samples| {
            seen.lengths().for_each(|(target, lengths)| samples.lengths(target, &lengths.calls));
        },
    },
    Metric {
        name: "attempt_duration_seconds",
        kind: Kind::Histogram,
        labels: &["target"],
        unit: Some("seconds"),
        help: "How long attempts took.",
        read: |seen, samples| {
            seen.lengths().for_each(|(target, lengths)| samples.lengths(target, &lengths.attempts));
        },
    },
    Metric {
        name: "inflight_calls",
        kind: Kind::Gauge,
        labels: &["target"],
        unit: None,
        help: "Calls that have begun and not ended.",
        read: |seen, samples| {
            seen.summed(State::in_flight).for_each(|(target, count)| samples.is(&[target], count));
        },
    },
    Metric {
        name: "abandoned_attempts",
        kind: Kind::Gauge,
        labels: &["target"],
        unit: None,
        help: "Functions that still run though their attempt was given up.",
        read: |seen, samples| {
            seen.summed(|state| state.bulkhead.abandoned()).for_each(|(target, count)| samples.is(&[target], count));
        },
    },
    Metric {
        name: "circuit_state",
        kind: Kind::Gauge,
        labels: &["target"],
        unit: None,
        help: "The breaker: 0 closed, 1 half open, 2 open, 3 isolated by hand.",
        read: |seen, samples| {
            for (target, state) in seen.present().filter(|(_, state)| state.settings().breaker.is_some()) {
                let number = match state.breaker.circuit() {
                    Circuit::Closed => 0_u8,
                    Circuit::HalfOpen => 1,
                    Circuit::Open => 2,
                    Circuit::Isolated => 3,
                };
                samples.is(&[target], number);
            }
        },
    },
    Metric {
        name: "circuit_transitions",
        kind: Kind::Counter,
        labels: &["target", "to"],
        unit: None,
        help: "How often the breaker came into a state.",
        read: |seen, samples| {
            seen.counted().for_each(|(target, totals)| samples.by(target, Totals::CIRCUITS, totals.transitions));
        },
    },
    Metric {
        name: "retry_budget_tokens",
        kind: Kind::Gauge,
        labels: &["target"],
        unit: None,
        help: "Retries that the budget has left.",
        read: |seen, samples| {
            for (target, state) in seen.present() {
                if let Some(budget) = &state.settings().budget {
                    samples.is(&[target], state.budget.tokens(budget, seen.now).max(0.0));
                }
            }
        },
    },
    Metric {
        name: "bulkhead_limit",
        kind: Kind::Gauge,
        labels: &["target"],
        unit: None,
        help: "Calls that may be in flight at once.",
        read: |seen, samples| {
            for (target, state) in seen.present() {
                if let Some(bulkhead) = &state.settings().bulkhead {
                    samples.is(&[target], state.bulkhead.limit(bulkhead));
                }
            }
        },
    },
    Metric {
        name: "bulkhead_occupied",
        kind: Kind::Gauge,
        labels: &["target"],
        unit: None,
        help: "Places of the bulkhead that are taken.",
        read: |seen, samples| {
            for (target, state) in seen.present().filter(|(_, state)| state.settings().bulkhead.is_some()) {
                samples.is(&[target], state.bulkhead.occupied().0);
            }
        },
    },
    Metric {
        name: "bulkhead_queued",
        kind: Kind::Gauge,
        labels: &["target"],
        unit: None,
        help: "Calls that wait for a place in the bulkhead.",
        read: |seen, samples| {
            for (target, state) in seen.present().filter(|(_, state)| state.settings().bulkhead.is_some()) {
                samples.is(&[target], state.bulkhead.occupied().1);
            }
        },
    },
    Metric {
        name: "endpoint_healthy",
        kind: Kind::Gauge,
        labels: &["target", "endpoint"],
        unit: None,
        help: "Whether calls go to an endpoint: 1, or 0 while it is left out. Of those under other, whether they go to all of them.",
        read: |seen, samples| {
            for (target, state) in seen.present().filter(|(_, state)| state.endpoints.is_on()) {
                let set = state.endpoints.set();
                let is_well = |condition| u8::from(condition == Condition::Healthy);
                let (mut shown, mut others) = (0, None);
                for member in &set.members {
                    let (address, is_well) = (member.endpoint.as_str(), is_well(member.block.condition(seen.now)));
                    if shown < MOST_ENDPOINTS && address != OTHER {
                        shown += 1;
                        samples.is(&[target, address], is_well);
                    } else {
                        others = Some(others.unwrap_or(1).min(is_well));
                    }
                }
                others.into_iter().for_each(|is_well| samples.is(&[target, OTHER], is_well));
            }
        },
    },
    Metric {
        name: "endpoints",
        kind: Kind::Gauge,
        labels: &["target", "state"],
        unit: None,
        help: "Endpoints, by how they are.",
        read: |seen, samples| {
            for (target, state) in seen.present().filter(|(_, state)| state.endpoints.is_on()) {
                let mut counts = HashMap::new();
                for member in &state.endpoints.set().members {
                    *counts.entry(member.block.condition(seen.now).as_str()).or_insert(0_u64) += 1;
                }
                for condition in Condition::ALL.map(Condition::as_str) {
                    samples.is(&[target, condition], counts.get(condition).copied().unwrap_or(0));
                }
            }
        },
    },
    Metric {
        name: "endpoints_stale",
        kind: Kind::Gauge,
        labels: &["target"],
        unit: None,
        help: "Whether nobody knows at present that the endpoints are still there: 1, or 0.",
        read: |seen, samples| {
            for (target, state) in seen.present().filter(|(_, state)| state.endpoints.is_on()) {
                samples.is(&[target], u8::from(state.endpoints.is_stale()));
            }
        },
    },
    Metric {
        name: "events_dropped",
        kind: Kind::Counter,
        labels: &["target"],
        unit: None,
        help: "Events that were dropped because the program's listeners did not fetch them.",
        read: |seen, samples| {
            seen.counted().for_each(|(target, totals)| samples.is(&[target], totals.events_dropped));
        },
    },
    Metric {
        name: "internal_errors",
        kind: Kind::Counter,
        labels: &[],
        unit: None,
        help: "Faults of the ambassador itself; the calls went on without it.",
        read: |seen, samples| {
            samples.is(&[], seen.counted().map(|(_, totals)| totals.internal_errors).sum::<u64>());
        },
    },
    Metric {
        name: "targets",
        kind: Kind::Gauge,
        labels: &["row"],
        unit: None,
        help: "Targets that have proxies: those with a row of their own, and those that are under other.",
        read: |seen, samples| {
            samples.is(&["own"], seen.present().count());
            samples.is(&[OTHER], seen.others.states.len());
        },
    },
    Metric {
        name: "stream_events_dropped",
        kind: Kind::Counter,
        labels: &[],
        unit: None,
        help: "Events that a reader of the admin server's stream was too slow for.",
        read: |_, samples| samples.is(&[], bus::dropped()),
    },
    Metric {
        name: "stream_readers",
        kind: Kind::Gauge,
        labels: &[],
        unit: None,
        help: "Readers of the admin server's stream of events.",
        read: |_, samples| samples.is(&[], bus::readers()),
    },
    Metric {
        name: "memory_bytes",
        kind: Kind::Gauge,
        labels: &[],
        unit: Some("bytes"),
        help: "Memory that the process has in use.",
        read: |seen, samples| seen.process.memory.into_iter().for_each(|bytes| samples.is(&[], bytes)),
    },
    Metric {
        name: "runtime_threads",
        kind: Kind::Gauge,
        labels: &[],
        unit: None,
        help: "Threads of the ambassador's runtime; none before it is first needed.",
        read: |seen, samples| samples.is(&[], seen.process.threads.unwrap_or(0)),
    },
    Metric {
        name: "runtime_queue",
        kind: Kind::Gauge,
        labels: &[],
        unit: None,
        help: "Tasks that wait for a thread of the runtime.",
        read: |seen, samples| samples.is(&[], seen.process.queue.unwrap_or(0)),
    },
    Metric {
        name: "runtime_lag_seconds",
        kind: Kind::Gauge,
        labels: &[],
        unit: Some("seconds"),
        help: "How long a task waits until the runtime runs it, as the admin server last measured it.",
        read: |seen, samples| seen.process.lag.into_iter().for_each(|lag| samples.is(&[], seconds(lag))),
    },
    Metric {
        name: "workers",
        kind: Kind::Gauge,
        labels: &["state"],
        unit: None,
        help: "Threads that run the program's functions: how many there may be, how many run one.",
        read: |seen, samples| {
            if let Some(workers) = &seen.process.workers {
                samples.is(&["limit"], workers.limit);
                samples.is(&["busy"], workers.busy);
            }
        },
    },
    Metric {
        name: "workers_waiting",
        kind: Kind::Gauge,
        labels: &[],
        unit: None,
        help: "Functions that wait for a thread.",
        read: |seen, samples| seen.process.workers.iter().for_each(|workers| samples.is(&[], workers.waiting)),
    },
    Metric {
        name: "start_time_seconds",
        kind: Kind::Gauge,
        labels: &[],
        unit: Some("seconds"),
        help: "When the ambassador began in this process, in seconds since 1970.",
        read: |_, samples| samples.is(&[], process::started_ms() as f64 / 1000.0),
    },
    Metric {
        name: "build",
        kind: Kind::Info,
        labels: &["version", "language"],
        unit: None,
        help: "Which ambassador this is, and in which language.",
        read: |_, samples| samples.is(&[crate::version(), super::language()], 1_u8),
    },
];

/// Everything that is counted, as metrics in that format.
///
/// ```
/// use ambassador_core::telemetry::{Format, metrics};
/// assert!(metrics(Format::Prometheus).contains("ambassador_build_info{"));
/// ```
pub fn metrics(format: Format) -> String {
    let mut page = Page::new(format);
    write(&mut page);
    page.end()
}

/// Has everything that is counted written down, metric by metric.
pub(crate) fn write(writer: &mut dyn Writer) {
    let seen = Seen::now();
    for metric in METRICS {
        writer.begin(metric);
        (metric.read)(&seen, &mut Samples { writer, metric });
    }
}
