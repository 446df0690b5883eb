//! Settings as they come from any language: one table of fields, and all checking of their values (C2). Each language
//! spells names and units its own way; messages answer in the same spelling.
//!
//! ```
//! use ambassador_core::settings::{Settings, Spelling, Value};
//!
//! let mut settings = Settings::new("payment-api.example.com", Spelling::Node).unwrap();
//! settings.set("timeoutMs", Value::Int(500)).unwrap();
//! let wrong = settings.set("maxRetries", Value::Int(0)).unwrap_err();
//! assert_eq!(wrong.to_string(), "maxRetries: 0 is not allowed; expected a whole number from 1 to 100");
//! ```

use std::fmt::Write;

use crate::clock::{MILLISECOND, Nanos, SECOND, spell};
use crate::error::ConfigError;
use crate::policy::backoff::{Backoff, Jitter};
use crate::policy::breaker::Breaker;
use crate::policy::budget::Budget;
use crate::policy::bulkhead::{Bulkhead, Limit};
use crate::policy::hedge::{After, Hedge};
use crate::policy::rate_limit::RateLimit;
use crate::policy::{Policy, RunIn};
use crate::target::{self, Target};

/// The longest duration that can be set: a year.
const LONGEST: Nanos = 365 * 24 * 3600 * SECOND;

/// A value of a setting, as far as languages agree on kinds of values.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `None`, `null`.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A duration object, exact to the nanosecond.
    Length(Nanos),
    /// Text.
    Text(String),
    /// Anything else, as the language shows it: `[1, 2]`.
    Other(String),
}

/// How a language spells names, units and "nothing".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// `backoff.hint_max`, seconds, `None`.
    Python,
    /// `backoff.hintMaxMs`, milliseconds, `null`.
    Node,
    /// `backoff.hintMaxMs`, milliseconds, `null`.
    Java,
    /// `backoff.hint_max_ms`, milliseconds, `AMB_NONE`.
    C,
    /// `backoff.hint_max`, `Duration`, `None`.
    Rust,
}

/// A setting, as one language spells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// `count`, `count_or_word`, `duration`, `duration_or_word`, `number`, `choice`, `truth`, `text`, `group` or `host`.
    pub kind: &'static str,
    /// Its default, as text.
    pub default: String,
    /// What is allowed.
    pub allowed: String,
}

#[derive(Clone, Copy)]
enum Kind {
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
enum Id {
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

struct Spec {
    id: Id,
    name: &'static str,
    kind: Kind,
    default: &'static str,
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

const SPECS: [Spec; 42] = [
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

/// A draft of settings for one target, checked value by value.
#[derive(Clone, Debug)]
pub struct Settings {
    spelling: Spelling,
    pub(crate) target: Target,
    pub(crate) name: Option<String>,
    pub(crate) policy: Policy,
    /// Groups that are off until the one setting is given that has no default.
    bulkhead: Option<Draft<Limit, Bulkhead>>,
    rate_limit: Option<Draft<f64, RateLimit>>,
    hedge: Option<Draft<After, u32>>,
}

/// A group that needs one of its settings, and the rest of it.
#[derive(Clone, Debug)]
struct Draft<N, R> {
    needed: Option<N>,
    rest: R,
}

impl Settings {
    /// The defaults, for this target.
    ///
    /// # Errors
    /// [`ConfigError`] when the target is no host, host and port, or URL.
    pub fn new(target: &str, spelling: Spelling) -> Result<Settings, ConfigError> {
        let parsed = Target::parse(target).ok_or_else(|| {
            ConfigError::new(
                spelling.target_name(),
                spelling.show(&Value::Text(Target::shown(target))),
                target::ALLOWED,
            )
        })?;
        Ok(Settings {
            spelling,
            target: parsed,
            name: None,
            policy: Policy::default(),
            bulkhead: None,
            rate_limit: None,
            hedge: None,
        })
    }

    /// The settings as a whole: what no single one of them could tell.
    ///
    /// # Errors
    /// [`ConfigError`] when a group was begun and the setting is missing that it cannot do without.
    pub(crate) fn finish(mut self) -> Result<Settings, ConfigError> {
        let spelling = self.spelling;
        let missing = |id: Id| {
            let spec = SPECS.iter().find(|spec| spec.id == id).expect("every id is in the table");
            ConfigError::new(spelling.name(spec), spelling.nothing(), spelling.allowed(spec))
        };
        if let Some(Draft { needed, rest }) = self.bulkhead.take() {
            let limit = needed.ok_or_else(|| missing(Id::MaxConcurrent))?;
            self.policy.shared.bulkhead = Some(Bulkhead { limit, ..rest });
        }
        if let Some(Draft { needed, rest }) = self.rate_limit.take() {
            let rate = needed.ok_or_else(|| missing(Id::Rate))?;
            self.policy.shared.rate_limit = Some(RateLimit { rate, ..rest });
        }
        if let Some(Draft { needed, rest }) = self.hedge.take() {
            let after = needed.ok_or_else(|| missing(Id::HedgeAfter))?;
            self.policy.hedge = Some(Hedge { after, max: rest });
            self.check_hedge()?;
        }
        Ok(self)
    }

    /// H1: what a hedge needs besides.
    fn check_hedge(&mut self) -> Result<(), ConfigError> {
        let (spelling, policy) = (self.spelling, &mut self.policy);
        let wrong = |id: Id, value: Value, allowed: &str| {
            let spec = SPECS.iter().find(|spec| spec.id == id).expect("every id is in the table");
            Err(ConfigError::new(spelling.name(spec), spelling.show(&value), allowed))
        };
        if !policy.idempotent {
            let allowed =
                format!("{} beside hedge, which runs the function twice at once", spelling.show(&Value::Bool(true)));
            return wrong(Id::Idempotent, Value::Bool(false), &allowed);
        }
        if policy.max_retries < 2 {
            return wrong(
                Id::MaxRetries,
                Value::Int(policy.max_retries.into()),
                "2 or more beside hedge, which is an attempt",
            );
        }
        // Who waits for a function on its own thread cannot begin another.
        if policy.run_in == Some(RunIn::Caller) {
            return wrong(
                Id::RunIn,
                Value::Text("caller".into()),
                "worker beside hedge, which runs the function twice at once",
            );
        }
        policy.run_in = Some(RunIn::Worker);
        Ok(())
    }

    /// Sets one field. A group can be switched off as a whole by [`Value::Null`] or `false`.
    ///
    /// # Errors
    /// [`ConfigError`] when there is no such field, or its value is of the wrong kind or out of range; the draft is then
    /// as it was.
    pub fn set(&mut self, field: &str, value: Value) -> Result<(), ConfigError> {
        let spelling = self.spelling;
        let Some(spec) = SPECS.iter().find(|s| spelling.offers(s) && spelling.name(s) == field) else {
            return Err(unknown(spelling, field, &value));
        };
        self.assign(spec, &value).ok_or_else(|| ConfigError::new(field, spelling.show(&value), spelling.allowed(spec)))
    }

    fn assign(&mut self, spec: &Spec, value: &Value) -> Option<()> {
        let spelling = self.spelling;
        let policy = &mut self.policy;
        match (spec.id, spec.kind) {
            (Id::MaxRetries, kind) => policy.max_retries = spelling.count(value, kind)??,
            (Id::Timeout, kind) => policy.timeout = spelling.length(value, kind)?,
            (Id::Deadline, kind) => policy.deadline = spelling.length(value, kind)?,
            (Id::Base, kind) => policy.backoff.base = spelling.length(value, kind)??,
            (Id::Max, kind) => policy.backoff.max = spelling.length(value, kind)??,
            (Id::HintMax, kind) => policy.backoff.hint_max = spelling.length(value, kind)??,
            (Id::Factor, kind) => policy.backoff.factor = number(value, kind)?,
            (Id::Jitter, _) => policy.backoff.jitter = *Jitter::ALL.iter().find(|j| is_text(value, j.as_str()))?,
            (Id::RunIn, _) => {
                policy.run_in = Some(match value {
                    Value::Text(t) if t == "worker" => RunIn::Worker,
                    Value::Text(t) if t == "caller" => RunIn::Caller,
                    _ => return None,
                });
            }
            (Id::Name, _) => match value {
                Value::Text(name) if is_name(name) => self.name = Some(name.clone()),
                _ => return None,
            },
            (Id::Backoff, _) => policy.backoff = switched(value)?.map_or_else(Backoff::none, |()| Backoff::default()),
            (Id::Budget, _) => policy.shared.budget = switched(value)?.map(|()| Budget::default()),
            (Id::Breaker, _) => policy.shared.breaker = switched(value)?.map(|()| Breaker::default()),
            // There is nothing to be switched on without a number.
            (Id::Bulkhead, _) => switched(value)?.is_none().then(|| self.bulkhead = None)?,
            (Id::RateLimit, _) => switched(value)?.is_none().then(|| self.rate_limit = None)?,
            (Id::Ratio | Id::MinPerSecond | Id::BudgetWindow, kind) => {
                let budget = policy.shared.budget.get_or_insert_default();
                match spec.id {
                    Id::Ratio => budget.ratio = number(value, kind)?,
                    Id::MinPerSecond => budget.min_per_second = number(value, kind)?,
                    _ => budget.window = spelling.length(value, kind)??,
                }
            }
            (Id::MaxConcurrent | Id::MaxQueue | Id::QueueTimeout, kind) => {
                return self.assign_bulkhead(spec.id, kind, value);
            }
            (Id::Rate | Id::Per | Id::Burst | Id::MaxWait, kind) => {
                return self.assign_rate_limit(spec.id, kind, value);
            }
            (Id::Hedge, _) => switched(value)?.is_none().then(|| self.hedge = None)?,
            (Id::HedgeAfter | Id::HedgeMax, kind) => return self.assign_hedge(spec.id, kind, value),
            (Id::Idempotent, _) => match value {
                Value::Bool(truth) => policy.idempotent = *truth,
                _ => return None,
            },
            (Id::Fallback, _) => policy.fallback = switched(value)?.is_some(),
            (Id::Host, _) => return None,
            (id, kind) => {
                return assign_breaker(policy.shared.breaker.get_or_insert_default(), spelling, id, kind, value);
            }
        }
        Some(())
    }

    fn assign_bulkhead(&mut self, id: Id, kind: Kind, value: &Value) -> Option<()> {
        let spelling = self.spelling;
        let mut draft = self.bulkhead.clone().unwrap_or(Draft { needed: None, rest: Bulkhead::new(0) });
        match (id, kind) {
            (Id::MaxConcurrent, Kind::CountOr { least, most, word }) => match value {
                Value::Null => {
                    self.bulkhead = None;
                    return Some(());
                }
                text if is_text(text, word) => draft.needed = Some(Limit::Adaptive),
                count => draft.needed = Some(Limit::Fixed(spelling.whole(count, least, most)? as u32)),
            },
            (Id::MaxQueue, kind) => draft.rest.max_queue = spelling.count(value, kind)??,
            (_, kind) => draft.rest.queue_timeout = spelling.length(value, kind)?,
        }
        self.bulkhead = Some(draft);
        Some(())
    }

    fn assign_hedge(&mut self, id: Id, kind: Kind, value: &Value) -> Option<()> {
        let spelling = self.spelling;
        let mut draft = self.hedge.clone().unwrap_or(Draft { needed: None, rest: 1 });
        match (id, kind, value) {
            (Id::HedgeAfter, _, Value::Text(word)) => draft.needed = Some(After::quantile(word)?),
            (Id::HedgeAfter, Kind::DurationOr { least, .. }, value) => {
                draft.needed = Some(After::Fixed(spelling.length(value, Kind::Duration { least, none: false })??));
            }
            (_, kind, value) => draft.rest = spelling.count(value, kind)??,
        }
        self.hedge = Some(draft);
        Some(())
    }

    fn assign_rate_limit(&mut self, id: Id, kind: Kind, value: &Value) -> Option<()> {
        let spelling = self.spelling;
        let mut draft = self.rate_limit.clone().unwrap_or(Draft { needed: None, rest: RateLimit::new(1.0) });
        match id {
            Id::Rate => draft.needed = Some(number(value, kind)?),
            Id::Per => draft.rest.per = spelling.length(value, kind)??,
            Id::Burst => draft.rest.burst = spelling.count(value, kind)?,
            _ => draft.rest.max_wait = spelling.length(value, kind)??,
        }
        self.rate_limit = Some(draft);
        Some(())
    }

    /// Every setting, as that language spells it; for documentation, and for tests that compare a binding with it.
    pub fn fields(spelling: Spelling) -> Vec<Field> {
        SPECS
            .iter()
            .filter(|spec| spelling.offers(spec))
            .map(|spec| Field {
                name: spelling.name(spec),
                kind: spec.kind.as_str(),
                default: spec.default.into(),
                allowed: spelling.allowed(spec),
            })
            .collect()
    }

    /// [`fields`](Settings::fields) as a JSON array of objects.
    pub fn fields_json(spelling: Spelling) -> String {
        let mut json = String::from("[");
        for field in Settings::fields(spelling) {
            let comma = if json.len() > 1 { "," } else { "" };
            // Names, kinds, defaults and what is allowed are this file's own words: nothing in them needs escaping.
            let Field { name, kind, default, allowed } = field;
            let _ = write!(
                json,
                r#"{comma}{{"name":"{name}","kind":"{kind}","default":"{default}","allowed":"{allowed}"}}"#
            );
        }
        json + "]"
    }
}

fn assign_breaker(breaker: &mut Breaker, spelling: Spelling, id: Id, kind: Kind, value: &Value) -> Option<()> {
    match id {
        Id::FailureRate => breaker.failure_rate = number(value, kind)?,
        Id::SlowRate => breaker.slow_rate = number(value, kind)?,
        Id::MinCalls => breaker.min_calls = spelling.count(value, kind)??,
        Id::ConsecutiveFailures => breaker.consecutive_failures = spelling.count(value, kind)?,
        Id::Probes => breaker.probes = spelling.count(value, kind)??,
        Id::Window => breaker.window = spelling.length(value, kind)??,
        Id::SlowCall => breaker.slow_call = spelling.length(value, kind)?,
        Id::OpenFor => breaker.open_for = spelling.length(value, kind)??,
        Id::OpenMax => breaker.open_max = spelling.length(value, kind)??,
        _ => return None,
    }
    Some(())
}

/// A group as a whole: `Some(None)` is off, `Some(Some(()))` on, `None` neither.
fn switched(value: &Value) -> Option<Option<()>> {
    match value {
        Value::Null | Value::Bool(false) => Some(None),
        Value::Bool(true) => Some(Some(())),
        _ => None,
    }
}

impl Kind {
    const fn as_str(self) -> &'static str {
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

impl Spelling {
    fn camel(self) -> bool {
        matches!(self, Spelling::Node | Spelling::Java)
    }

    /// Where Python and Java choose between the caller's thread and one of the ambassador's, Node has one thread, C two
    /// functions, and Rust a task. C and Rust have no classes of exceptions; there `classify` tells failures apart.
    fn offers(self, spec: &Spec) -> bool {
        match spec.name {
            "run_in" => matches!(self, Spelling::Python | Spelling::Java),
            "fallback" => self != Spelling::Rust,
            "retry_on" | "not_on" => !matches!(self, Spelling::C | Spelling::Rust),
            _ => true,
        }
    }

    fn name(self, spec: &Spec) -> String {
        let mut name = String::with_capacity(spec.name.len() + 3);
        for letter in spec.name.chars() {
            match letter {
                '_' if self.camel() => name.push('_'),
                l if name.ends_with('_') && self.camel() => {
                    name.pop();
                    name.push(l.to_ascii_uppercase());
                }
                l => name.push(l),
            }
        }
        if matches!(spec.kind, Kind::Duration { .. } | Kind::DurationOr { .. }) {
            match self {
                Spelling::Node | Spelling::Java => name.push_str("Ms"),
                Spelling::C => name.push_str("_ms"),
                Spelling::Python | Spelling::Rust => {}
            }
        }
        name
    }

    fn target_name(self) -> &'static str {
        match self {
            Spelling::Python => "target_host",
            Spelling::Node => "targetHost",
            Spelling::Java | Spelling::C | Spelling::Rust => "target",
        }
    }

    const fn nothing(self) -> &'static str {
        match self {
            Spelling::Python | Spelling::Rust => "None",
            Spelling::Node | Spelling::Java => "null",
            Spelling::C => "AMB_NONE",
        }
    }

    const fn unit(self) -> (Nanos, &'static str) {
        match self {
            Spelling::Python => (SECOND, "seconds"),
            Spelling::Node | Spelling::Java | Spelling::C => (MILLISECOND, "milliseconds"),
            Spelling::Rust => (SECOND, "seconds"),
        }
    }

    fn allowed(self, spec: &Spec) -> String {
        match spec.kind {
            Kind::Count { least, most, none } => {
                let or = if none { format!(", or {}", self.nothing()) } else { String::new() };
                format!("a whole number from {least} to {most}{or}")
            }
            Kind::CountOr { least, most, word } => {
                format!("a whole number from {least} to {most}, {word}, or {}", self.nothing())
            }
            Kind::DurationOr { least, words } => {
                let length = self.length_allowed(least);
                format!("{length}, or one of {}", words().join(", "))
            }
            Kind::Truth => ["true", "false"].map(|truth| self.show(&Value::Bool(truth == "true"))).join(" or "),
            Kind::Duration { least, none } => {
                let or = if none { format!(", or {}", self.nothing()) } else { String::new() };
                self.length_allowed(least) + &or
            }
            Kind::Number { least, most } => format!("a number from {least} to {most}"),
            Kind::Choice(choices) => format!("one of {}", choices().join(", ")),
            Kind::Name => "1 to 200 printable characters".into(),
            Kind::Group => {
                let prefix = format!("{}.", spec.name);
                let fields: Vec<String> = SPECS
                    .iter()
                    .filter(|s| s.name.starts_with(&prefix))
                    .map(|s| self.name(s)[prefix.len()..].to_owned())
                    .collect();
                let off = match spec.id {
                    Id::Backoff => "none",
                    _ => "off",
                };
                format!("{} for {off}, or a group of {}", self.nothing(), fields.join(", "))
            }
            Kind::Host(allowed) => allowed.into(),
        }
    }

    fn length_allowed(self, least: Nanos) -> String {
        let (unit, name) = self.unit();
        let from = match least {
            0 => "from 0 to".into(),
            1 => "above 0 and at most".into(),
            least if self == Spelling::Rust => format!("from {} to", spell(least)),
            least => format!("from {} to", least as f64 / unit as f64),
        };
        match self {
            Spelling::Rust => format!("a duration {from} {}", spell(LONGEST)),
            _ => format!("a number of {name} {from} {}", LONGEST / unit),
        }
    }

    fn show(self, value: &Value) -> String {
        match value {
            Value::Null => self.nothing().into(),
            Value::Bool(truth) if self == Spelling::Python => if *truth { "True" } else { "False" }.into(),
            Value::Bool(truth) => truth.to_string(),
            Value::Int(number) => number.to_string(),
            Value::Float(number) if number.is_nan() => if self == Spelling::Python { "nan" } else { "NaN" }.into(),
            Value::Float(number) if number.is_infinite() => {
                let sign = if *number < 0.0 { "-" } else { "" };
                format!("{sign}{}", if self.camel() { "Infinity" } else { "inf" })
            }
            // There a number is a number, whole or not; elsewhere 3.0 is no 3, which is what the message may be about.
            Value::Float(number) if matches!(self, Spelling::Node | Spelling::C) && number.abs() < 1e15 => {
                number.to_string()
            }
            Value::Float(number) => format!("{number:?}"),
            Value::Length(length) => spell(*length),
            // Escaped as every language here would; a long one is cut, for it goes into a message.
            Value::Text(text) => match text.char_indices().nth(200) {
                Some((at, _)) => format!("{:?}…", &text[..at]),
                None => format!("{text:?}"),
            },
            Value::Other(shown) => shown.chars().take(200).collect(),
        }
    }

    fn whole(self, value: &Value, least: i64, most: i64) -> Option<i64> {
        let whole = match *value {
            Value::Int(whole) => whole,
            // JavaScript has one kind of number.
            Value::Float(number) if self == Spelling::Node && number.fract() == 0.0 => number as i64,
            _ => return None,
        };
        (least..=most).contains(&whole).then_some(whole)
    }

    fn count(self, value: &Value, kind: Kind) -> Option<Option<u32>> {
        match (kind, value) {
            (Kind::Count { none: true, .. }, Value::Null) => Some(None),
            (Kind::Count { least, most, .. }, value) => Some(Some(self.whole(value, least, most)? as u32)),
            _ => None,
        }
    }

    fn length(self, value: &Value, kind: Kind) -> Option<Option<Nanos>> {
        let Kind::Duration { least, none } = kind else {
            return None;
        };
        let unit = self.unit().0 as f64;
        let length = match *value {
            Value::Null if none => return Some(None),
            Value::Length(length) => length,
            Value::Int(number) => scaled(number as f64, unit)?,
            Value::Float(number) => scaled(number, unit)?,
            _ => return None,
        };
        (least..=LONGEST).contains(&length).then_some(Some(length))
    }
}

/// A number of units in nanoseconds. What is above zero never becomes zero.
fn scaled(number: f64, unit: f64) -> Option<Nanos> {
    let length = number * unit;
    // Not `number < 0.0`, which NaN would pass.
    if !(number >= 0.0 && length <= LONGEST as f64) {
        return None;
    }
    Some(if number > 0.0 { (length.round() as Nanos).max(1) } else { 0 })
}

fn number(value: &Value, kind: Kind) -> Option<f64> {
    let Kind::Number { least, most } = kind else { return None };
    let number = match *value {
        Value::Int(number) => number as f64,
        Value::Float(number) => number,
        _ => return None,
    };
    (number >= least && number <= most).then_some(number)
}

fn is_text(value: &Value, expected: &str) -> bool {
    matches!(value, Value::Text(text) if text == expected)
}

fn is_name(name: &str) -> bool {
    (1..=200).contains(&name.chars().count()) && !name.chars().any(char::is_control) && name.trim() == name
}

fn unknown(spelling: Spelling, field: &str, value: &Value) -> ConfigError {
    let names: Vec<String> = SPECS.iter().filter(|s| spelling.offers(s)).map(|s| spelling.name(s)).collect();
    let plain = |name: &str| name.to_ascii_lowercase().replace('_', "");
    let asked = plain(field);
    let nearest = names
        .iter()
        .map(|name| (strsim::damerau_levenshtein(&plain(name), &asked), name))
        .min_by_key(|(distance, _)| *distance)
        // A third of the letters wrong is a slip of the pen; more is another word.
        .filter(|(distance, name)| distance * 3 <= name.len().max(field.len()));
    // Those of its group, if it has one; else those that stand alone.
    let group = field.find('.').map_or("", |at| &field[..=at]);
    let is_beside = |name: &&String| match group {
        "" => !name.contains('.'),
        group => name.starts_with(group),
    };
    let mut beside: Vec<&str> = names.iter().filter(is_beside).map(String::as_str).collect();
    if beside.is_empty() {
        beside = names.iter().filter(|name| !name.contains('.')).map(String::as_str).collect();
    }
    let mut allowed = format!("one of the settings {}", beside.join(", "));
    if let Some((_, name)) = nearest {
        let _ = write!(allowed, "; did you mean {name}?");
    }
    ConfigError::new(field, spelling.show(value), allowed)
}
