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

mod effective;
#[cfg(feature = "http")]
pub(crate) mod layer;
mod network;
mod spelling;
pub(crate) mod table;

use std::fmt::Write;

use crate::clock::Nanos;
use crate::endpoint::Endpoint;
use crate::error::ConfigError;
use crate::policy::backoff::{Backoff, Jitter};
use crate::policy::breaker::Breaker;
use crate::policy::budget::Budget;
use crate::policy::bulkhead::{Bulkhead, Limit};
use crate::policy::hedge::{After, Hedge};
use crate::policy::rate_limit::RateLimit;
use crate::policy::{Policy, RunIn};
use crate::target::{self, Target};

pub use effective::{Effective, Origin, Place};
pub(crate) use effective::{Places, effective, of_state, to_json};
pub use spelling::Spelling;
#[cfg(feature = "http")]
pub(crate) use spelling::nearest;
use spelling::{is_name, is_text, number};
use table::{Id, Kind, SPECS, Spec};

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
    /// Values one after the other.
    List(Vec<Value>),
    /// Values by name.
    Map(Vec<(String, Value)>),
    /// Anything else, as the language shows it: `[1, 2]`.
    Other(String),
}

/// A setting, as one language spells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// `count`, `count_or_word`, `duration`, `duration_or_word`, `number`, `choice`, `truth`, `text`, `secret`, `texts`, `pairs`,
    /// `endpoints`, `group` or `host`.
    pub kind: &'static str,
    /// Its default, as text.
    pub default: String,
    /// What is allowed.
    pub allowed: String,
}

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
    drafts: network::Drafts,
}

/// A bound that one request has in place of its proxy's: whether it is that of the whole call, and how long it is.
#[cfg(feature = "http")]
pub(crate) fn bound(spelling: Spelling, field: &str, value: &Value) -> Result<(bool, Option<Nanos>), ConfigError> {
    let is_it = |spec: &&Spec| matches!(spec.id, Id::Timeout | Id::Deadline) && spelling.name(spec) == field;
    let spec = SPECS.iter().find(is_it).ok_or_else(|| unknown(spelling, field, value))?;
    let bound = spelling.length(value, spec.kind);
    let bound = bound.ok_or_else(|| ConfigError::new(field, spelling.show(value), spelling.allowed(spec)))?;
    Ok((spec.id == Id::Deadline, bound))
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
            drafts: network::Drafts::default(),
        })
    }

    /// The settings as a whole: what no single one of them could tell.
    ///
    /// # Errors
    /// [`ConfigError`] when a group was begun and the setting is missing that it cannot do without.
    pub(crate) fn finish(mut self) -> Result<Settings, ConfigError> {
        let spelling = self.spelling;
        let missing = |id: Id| {
            let spec = Spec::of(id);
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
        self.finish_network()?;
        Ok(self)
    }

    /// C3: lays the configuration in force over what the app has set; what of it that was, and where it stands.
    #[cfg(feature = "http")]
    pub(crate) fn obey_configuration(&mut self) -> Result<Places, ConfigError> {
        let config = crate::config::in_force()?;
        Ok(config.map_or_else(Places::new, |config| self.obey(&config)))
    }

    /// Lays that configuration over what has been set.
    #[cfg(feature = "http")]
    pub(crate) fn obey(&mut self, config: &crate::config::Config) -> Places {
        let mut places = Places::new();
        let (name, target) = (self.state_name().to_owned(), self.target.clone());
        for layer in config.layers(&name, &target) {
            self.overlay(layer, &mut places);
        }
        places
    }

    /// Nobody reads one.
    #[cfg(not(feature = "http"))]
    pub(crate) fn obey_configuration(&mut self) -> Result<Places, ConfigError> {
        Ok(Places::new())
    }

    /// The name that state is shared by (C4).
    pub(crate) fn state_name(&self) -> &str {
        self.name.as_deref().unwrap_or(self.target.as_str())
    }

    /// H1: what a hedge needs besides.
    fn check_hedge(&mut self) -> Result<(), ConfigError> {
        let (spelling, policy) = (self.spelling, &mut self.policy);
        let wrong = |id: Id, value: Value, allowed: &str| {
            Err(ConfigError::new(spelling.name(Spec::of(id)), spelling.show(&value), allowed))
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
        self.assign(spec, &value)
            .ok_or_else(|| ConfigError::new(field, network::shown(spelling, spec, &value), spelling.allowed(spec)))
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
            (id, kind) if spec.name.starts_with("breaker.") => {
                return assign_breaker(policy.shared.breaker.get_or_insert_default(), spelling, id, kind, value);
            }
            _ => return self.assign_network(spec, value),
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
            (Id::HedgeAfter, Kind::DurationOr { least, .. }, value) => {
                let quantile = match value {
                    Value::Text(word) => After::quantile(word),
                    _ => None,
                };
                let fixed = || spelling.length(value, Kind::Duration { least, none: false })?.map(After::Fixed);
                draft.needed = Some(quantile.or_else(fixed)?);
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

    /// A list of endpoints as a language spells it, for those that its own code finds.
    ///
    /// # Errors
    /// [`ConfigError`] when it is none.
    pub fn endpoints(spelling: Spelling, value: &Value) -> Result<Vec<Endpoint>, ConfigError> {
        let spec = Spec::of(Id::Endpoints);
        network::endpoints(value).ok_or_else(|| {
            ConfigError::new(spelling.name(spec), network::shown(spelling, spec, value), spelling.allowed(spec))
        })
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

fn unknown(spelling: Spelling, field: &str, value: &Value) -> ConfigError {
    let names: Vec<String> = SPECS.iter().filter(|s| spelling.offers(s)).map(|s| spelling.name(s)).collect();
    let nearest = spelling::nearest(field, names.iter().map(String::as_str));
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
    if let Some(name) = nearest {
        let _ = write!(allowed, "; did you mean {name}?");
    }
    // S3: a slip of the pen is not to bring to light what a group of secrets was given.
    let is_secret = ["auth", "header"].iter().any(|group| spelling::plain(field).starts_with(group));
    let shown = if is_secret { "***".into() } else { spelling.show(value) };
    ConfigError::new(field, shown, allowed)
}
