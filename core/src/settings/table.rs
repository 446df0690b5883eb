//! The table of settings: each with its name in the core's spelling, its kind and range, and its default. Names, units and messages
//! of all languages come from here.

use crate::clock::{MILLISECOND, Nanos};
use crate::policy::backoff::Jitter;
use crate::policy::breaker::Breaker;
use crate::policy::hedge::{After, Hedge};

#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// `none`: may be nothing at all.
    Count {
        least: i64,
        most: i64,
        none: bool,
    },
    /// A count, a word, or nothing at all.
    CountOr {
        least: i64,
        most: i64,
        word: &'static str,
    },
    /// `least` nanoseconds and up; `none`: may be nothing at all.
    Duration {
        least: Nanos,
        none: bool,
    },
    /// `least` nanoseconds and up, or one of some words.
    DurationOr {
        least: Nanos,
        words: fn() -> Vec<String>,
    },
    Number {
        least: f64,
        most: f64,
    },
    Choice(fn() -> Vec<&'static str>),
    Truth,
    Name,
    Group,
    /// Only the host can hold it: types, predicates.
    Host(&'static str),
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Id {
    MaxRetries,
    Name,
    Timeout,
    Deadline,
    RunIn,
    Backoff,
    Base,
    Factor,
    Max,
    Jitter,
    HintMax,
    Budget,
    Ratio,
    MinPerSecond,
    BudgetWindow,
    Breaker,
    FailureRate,
    MinCalls,
    Window,
    ConsecutiveFailures,
    SlowCall,
    SlowRate,
    OpenFor,
    OpenMax,
    Probes,
    Bulkhead,
    MaxConcurrent,
    MaxQueue,
    QueueTimeout,
    RateLimit,
    Rate,
    Per,
    Burst,
    MaxWait,
    Hedge,
    HedgeAfter,
    HedgeMax,
    Idempotent,
    Fallback,
    Host,
}

pub(super) struct Spec {
    pub id: Id,
    pub name: &'static str,
    pub kind: Kind,
    pub default: &'static str,
}

impl Spec {
    /// The setting of that id; of several, as the host's own are, the first.
    pub fn of(id: Id) -> &'static Spec {
        SPECS.iter().find(|spec| spec.id == id).expect("every id is in the table")
    }
}

const fn spec(id: Id, name: &'static str, kind: Kind, default: &'static str) -> Spec {
    Spec { id, name, kind, default }
}

fn jitters() -> Vec<&'static str> {
    Jitter::ALL.map(Jitter::as_str).to_vec()
}

fn places() -> Vec<&'static str> {
    vec!["worker", "caller"]
}

fn quantiles() -> Vec<String> {
    After::QUANTILES.map(|hundredths| After::Quantile(hundredths).to_string()).to_vec()
}

/// Any number of calls at once that a machine may see.
const MANY: i64 = 1_000_000;
/// What a share of all calls may be.
const SHARE: Kind = Kind::Number { least: 0.001, most: 1.0 };
const LENGTH: Kind = Kind::Duration { least: 0, none: false };
/// A window has ten buckets, each at least a tenth of a millisecond.
const WINDOW: Kind = Kind::Duration { least: MILLISECOND, none: false };

const fn count(least: i64, most: i64) -> Kind {
    Kind::Count { least, most, none: false }
}

pub(super) static SPECS: [Spec; 42] = [
    spec(Id::MaxRetries, "max_retries", count(1, 100), "3"),
    spec(Id::Name, "name", Kind::Name, "the target"),
    spec(Id::Timeout, "timeout", Kind::Duration { least: 1, none: true }, "2s"),
    spec(Id::Deadline, "deadline", Kind::Duration { least: 1, none: true }, "none"),
    spec(Id::RunIn, "run_in", Kind::Choice(places), "per language"),
    spec(Id::Backoff, "backoff", Kind::Group, "exponential"),
    spec(Id::Base, "backoff.base", LENGTH, "2s"),
    spec(Id::Factor, "backoff.factor", Kind::Number { least: 1.0, most: 1000.0 }, "2"),
    spec(Id::Max, "backoff.max", LENGTH, "30s"),
    spec(Id::Jitter, "backoff.jitter", Kind::Choice(jitters), "full"),
    spec(Id::HintMax, "backoff.hint_max", LENGTH, "60s"),
    spec(Id::Host, "retry_on", Kind::Host("error types or a predicate"), "all errors"),
    spec(Id::Host, "not_on", Kind::Host("error types or a predicate"), "none"),
    spec(Id::Host, "classify", Kind::Host("a function of the error or value"), "none"),
    spec(Id::Budget, "budget", Kind::Group, "on"),
    spec(Id::Ratio, "budget.ratio", Kind::Number { least: 0.0, most: 1000.0 }, "0.2"),
    spec(Id::MinPerSecond, "budget.min_per_second", Kind::Number { least: 0.0, most: 1e6 }, "10"),
    spec(Id::BudgetWindow, "budget.window", WINDOW, "10s"),
    spec(Id::Breaker, "breaker", Kind::Group, "on"),
    spec(Id::FailureRate, "breaker.failure_rate", SHARE, "0.5"),
    spec(Id::MinCalls, "breaker.min_calls", count(1, MANY), "20"),
    spec(Id::Window, "breaker.window", WINDOW, "30s"),
    spec(
        Id::ConsecutiveFailures,
        "breaker.consecutive_failures",
        Kind::Count { least: 1, most: MANY, none: true },
        "none",
    ),
    spec(Id::SlowCall, "breaker.slow_call", Kind::Duration { least: 1, none: true }, "none"),
    spec(Id::SlowRate, "breaker.slow_rate", SHARE, "1.0"),
    spec(Id::OpenFor, "breaker.open_for", WINDOW, "5s"),
    spec(Id::OpenMax, "breaker.open_max", WINDOW, "60s"),
    spec(Id::Probes, "breaker.probes", count(1, Breaker::MOST_PROBES as i64), "3"),
    spec(Id::Bulkhead, "bulkhead", Kind::Group, "off"),
    spec(
        Id::MaxConcurrent,
        "bulkhead.max_concurrent",
        Kind::CountOr { least: 1, most: MANY, word: "adaptive" },
        "none",
    ),
    spec(Id::MaxQueue, "bulkhead.max_queue", count(0, MANY), "0"),
    spec(Id::QueueTimeout, "bulkhead.queue_timeout", Kind::Duration { least: 1, none: true }, "timeout"),
    spec(Id::RateLimit, "rate_limit", Kind::Group, "off"),
    spec(Id::Rate, "rate_limit.rate", Kind::Number { least: 1e-6, most: 1e9 }, "none"),
    spec(Id::Per, "rate_limit.per", WINDOW, "1s"),
    spec(Id::Burst, "rate_limit.burst", Kind::Count { least: 1, most: MANY, none: true }, "rate"),
    spec(Id::MaxWait, "rate_limit.max_wait", LENGTH, "0s"),
    spec(Id::Hedge, "hedge", Kind::Group, "off"),
    spec(Id::HedgeAfter, "hedge.after", Kind::DurationOr { least: 1, words: quantiles }, "none"),
    spec(Id::HedgeMax, "hedge.max", count(1, Hedge::MOST as i64), "1"),
    spec(Id::Idempotent, "idempotent", Kind::Truth, "false"),
    spec(Id::Fallback, "fallback", Kind::Host("a value, or a function of the error"), "none"),
];

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Count { .. } => "count",
            Kind::CountOr { .. } => "count_or_word",
            Kind::Duration { .. } => "duration",
            Kind::DurationOr { .. } => "duration_or_word",
            Kind::Number { .. } => "number",
            Kind::Choice(_) => "choice",
            Kind::Truth => "truth",
            Kind::Name => "text",
            Kind::Group => "group",
            Kind::Host(_) => "host",
        }
    }
}
