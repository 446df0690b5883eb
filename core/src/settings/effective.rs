//! The settings in force as a list (C3): each field of the table with its value, as a language spells it, and where that comes
//! from. What only a host can hold (`retry_on`, `not_on`, `classify`, `fallback`) is not among them; what is secret is `***` (S3).

use std::fmt::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use super::spelling::{Spelling, read_length};
use super::table::{Id, Kind, SPECS, Spec};
use super::{Settings, Value};
use crate::balance::Probe;
use crate::clock::Nanos;
use crate::discovery::Source;
use crate::endpoint::Endpoint;
use crate::event::quoted;
use crate::policy::auth::{Auth, Token};
use crate::policy::backoff::Backoff;
use crate::policy::bulkhead::Limit;
use crate::policy::hedge::After;
use crate::policy::{Policy, RunIn, Shared};

/// What is told in place of a secret.
const HIDDEN: &str = "***";

/// A setting in force: its name and value as a language spells them, and where the value comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Effective {
    /// The field: `backoff.hint_max`. A group has a row of its own, which says whether it is on.
    pub field: String,
    /// Its value; that of a field whose group is off is [`Value::Null`].
    pub value: Value,
    /// Where the value comes from.
    pub origin: Origin,
}

/// Where a setting's value comes from (C3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is the one that nobody has to say.
    Default,
    /// The app gave it when it made the proxy.
    Constructor,
    /// The configuration file says so.
    Config(Place),
    /// Another proxy of the same name, made later, asked for it (C4).
    Another,
}

/// A line of a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::Constructor => f.write_str("constructor"),
            Origin::Config(place) => write!(f, "config {place}"),
            Origin::Another => f.write_str("another proxy of the name"),
        }
    }
}

/// The fields that a configuration file set, and where.
pub(crate) type Places = Vec<(&'static str, Place)>;

/// Every setting in force. `own` is what this proxy was made with, `in_force` the same with what another of its name has changed,
/// `places` what of `own` a configuration file said.
pub(crate) fn effective(
    spelling: Spelling,
    (name, target): (&str, &str),
    own: &Policy,
    in_force: &Policy,
    places: &Places,
) -> Vec<Effective> {
    let listed = SPECS.iter().filter(|spec| spelling.offers(spec) && !matches!(spec.kind, Kind::Host(_)));
    listed
        .map(|spec| {
            let value = read(spec, in_force, name);
            let origin = if value != read(spec, own, name) {
                Origin::Another
            } else if let Some(place) = place_of(places, spec) {
                Origin::Config(place)
            } else if is_default(spec, &value, in_force, target) {
                Origin::Default
            } else {
                Origin::Constructor
            };
            Effective { field: spelling.name(spec), value: spelling.spelled(value), origin }
        })
        .collect()
}

/// Where a file said it last: of a field itself or of its group as a whole, of a group also of one of its fields.
fn place_of(places: &Places, spec: &Spec) -> Option<Place> {
    let group = spec.name.split_once('.').map_or("", |(group, _)| group);
    let within = matches!(spec.kind, Kind::Group).then(|| format!("{}.", spec.name));
    let concerns = |said: &str| {
        said == spec.name || said == group || within.as_ref().is_some_and(|within| said.starts_with(within.as_str()))
    };
    places.iter().rev().find(|(said, _)| concerns(said)).map(|(_, place)| place.clone())
}

/// The groups of the settings that all proxies of a name share (C4), and those that are in none.
const OF_STATE: [&str; 14] = [
    "budget",
    "breaker",
    "bulkhead",
    "rate_limit",
    "endpoints",
    "discovery",
    "balance",
    "hash_on",
    "zone",
    "slow_start",
    "outlier",
    "health_check",
    "tls",
    "http",
];

/// Those settings, as the table names them, and their values; of a group that is off, that there is none.
pub(crate) fn of_state(shared: &Shared) -> Vec<(&'static str, Value)> {
    let policy = Policy { shared: shared.clone(), ..Policy::default() };
    let mut all: Vec<(&'static str, Value)> = Vec::with_capacity(SPECS.len());
    for spec in &SPECS {
        let (first, is_field) = spec.name.split_once('.').map_or((spec.name, false), |(group, _)| (group, true));
        let is_off = is_field && all.last().is_some_and(|(name, value)| *name == first && *value == Value::Null);
        if !OF_STATE.contains(&first) || is_off {
            continue;
        }
        match (spec.kind, read(spec, &policy, "")) {
            (Kind::Group, Value::Bool(true)) => {}
            (Kind::Group, _) => all.push((spec.name, Value::Null)),
            (_, value) => all.push((spec.name, value)),
        }
    }
    all
}

/// The same as JSON: an array of objects of `field`, `value` and `origin`.
pub(crate) fn to_json(settings: &[Effective]) -> String {
    let mut json = String::with_capacity(settings.len() * 64);
    json.push('[');
    for (at, Effective { field, value, origin }) in settings.iter().enumerate() {
        let comma = if at > 0 { "," } else { "" };
        let _ = write!(json, r#"{comma}{{"field":{},"value":"#, quoted(field));
        push_json(&mut json, value);
        let _ = write!(json, r#","origin":{}}}"#, quoted(&origin.to_string()));
    }
    json + "]"
}

impl Value {
    /// The value as JSON; a length of time as the configuration file spells it.
    pub fn to_json(&self) -> String {
        let mut json = String::new();
        push_json(&mut json, self);
        json
    }
}

fn push_json(json: &mut String, value: &Value) {
    match value {
        Value::Null => json.push_str("null"),
        Value::Bool(truth) => json.push_str(if *truth { "true" } else { "false" }),
        Value::Int(number) => _ = write!(json, "{number}"),
        // JSON has no word for what is no number; no setting is one.
        Value::Float(number) if number.is_finite() => _ = write!(json, "{number}"),
        Value::Float(_) => json.push_str("null"),
        Value::Length(length) => json.push_str(&quoted(&exactly(*length))),
        Value::Text(text) | Value::Other(text) => json.push_str(&quoted(text)),
        Value::List(values) => {
            json.push('[');
            for (at, value) in values.iter().enumerate() {
                json.push_str(if at > 0 { "," } else { "" });
                push_json(json, value);
            }
            json.push(']');
        }
        Value::Map(pairs) => {
            json.push('{');
            for (at, (name, value)) in pairs.iter().enumerate() {
                let _ = write!(json, "{}{}:", if at > 0 { "," } else { "" }, quoted(name));
                push_json(json, value);
            }
            json.push('}');
        }
    }
}

/// A length of time that nothing was rounded of, as the configuration file spells it: `2s`, `1500ms`, `250us`.
pub(crate) fn exactly(length: Nanos) -> String {
    let units = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us"), (1, "ns")];
    let (unit, name) = units.into_iter().find(|(unit, _)| length.is_multiple_of(*unit)).unwrap_or((1, "ns"));
    format!("{}{name}", length / unit)
}

impl Spelling {
    /// The value in the language's own unit.
    fn spelled(self, value: Value) -> Value {
        match (self, value) {
            (Spelling::File, Value::Length(length)) => Value::Text(exactly(length)),
            (Spelling::Rust, value) => value,
            (_, Value::Length(length)) => {
                let unit = self.unit().0;
                match length % unit {
                    0 if self != Spelling::Python => Value::Int((length / unit) as i64),
                    _ => Value::Float(length as f64 / unit as f64),
                }
            }
            (_, value) => value,
        }
    }
}

/// Whether that is what holds when nobody says anything. What a proxy was made with is told as the default where it is the same.
fn is_default(spec: &Spec, value: &Value, policy: &Policy, target: &str) -> bool {
    let is_off = |group: &str| {
        let group = SPECS.iter().find(|spec| spec.name == group && matches!(spec.kind, Kind::Group));
        // Of a group that is off, so that no field has a value, the group's own row tells whose wish that is.
        group.is_some_and(|group| {
            read(group, policy, "") == Value::Bool(false) && default_of(group) == Value::Bool(false)
        })
    };
    match (spec.id, value) {
        (Id::Name, Value::Text(name)) => name == target,
        (_, Value::Null) if spec.name.split_once('.').is_some_and(|(group, _)| is_off(group)) => true,
        // A hedge needs workers.
        (Id::RunIn, Value::Text(_)) => policy.hedge.is_some(),
        // Nobody sends a key.
        (Id::ApiKeyHeader, Value::Null) => true,
        (_, Value::List(values)) => values.is_empty(),
        (_, Value::Map(pairs)) => pairs.is_empty(),
        _ => *value == default_of(spec),
    }
}

/// The default of the table as a value.
fn default_of(spec: &Spec) -> Value {
    let text = spec.default;
    let value = match spec.kind {
        Kind::Count { .. } | Kind::CountOr { .. } => text.parse().ok().map(Value::Int),
        Kind::Number { .. } => text.parse().ok().map(Value::Float),
        Kind::Duration { .. } | Kind::DurationOr { .. } => read_length(text).map(Value::Length),
        Kind::Choice(choices) => choices().contains(&text).then(|| Value::Text(text.into())),
        Kind::Truth => Some(Value::Bool(text == "true")),
        Kind::Group => Some(Value::Bool(text != "off")),
        Kind::Text(_) if spec.id == Id::ApiKeyHeader => Some(Value::Text(text.into())),
        _ => None,
    };
    value.unwrap_or(Value::Null)
}

/// What the policy says of that field.
fn read(spec: &Spec, policy: &Policy, name: &str) -> Value {
    let shared = &policy.shared;
    match spec.id {
        Id::MaxRetries => count(policy.max_retries),
        Id::Name => Value::Text(name.into()),
        Id::Timeout => length(policy.timeout),
        Id::Deadline => length(policy.deadline),
        Id::RunIn => text(policy.run_in.map(|place| match place {
            RunIn::Worker => "worker",
            RunIn::Caller => "caller",
        })),
        Id::Backoff => Value::Bool(policy.backoff != Backoff::none()),
        Id::Base => Value::Length(policy.backoff.base),
        Id::Factor => Value::Float(policy.backoff.factor),
        Id::Max => Value::Length(policy.backoff.max),
        Id::Jitter => text(Some(policy.backoff.jitter.as_str())),
        Id::HintMax => Value::Length(policy.backoff.hint_max),
        Id::Hedge => Value::Bool(policy.hedge.is_some()),
        Id::HedgeAfter => match policy.hedge.map(|hedge| hedge.after) {
            Some(After::Fixed(length)) => Value::Length(length),
            quantile => text(quantile.map(|quantile| quantile.to_string())),
        },
        Id::HedgeMax => policy.hedge.map_or(Value::Null, |hedge| count(hedge.max)),
        Id::Idempotent => Value::Bool(policy.idempotent),
        Id::Fallback | Id::Host => Value::Null,
        Id::Budget => Value::Bool(shared.budget.is_some()),
        Id::Breaker => Value::Bool(shared.breaker.is_some()),
        Id::Bulkhead => Value::Bool(shared.bulkhead.is_some()),
        Id::RateLimit => Value::Bool(shared.rate_limit.is_some()),
        Id::Ratio | Id::MinPerSecond | Id::BudgetWindow | Id::MaxConcurrent | Id::MaxQueue | Id::QueueTimeout => {
            limits(spec.id, policy)
        }
        Id::Rate | Id::Per | Id::Burst | Id::MaxWait => rates(spec.id, policy),
        Id::FailureRate
        | Id::MinCalls
        | Id::Window
        | Id::ConsecutiveFailures
        | Id::SlowCall
        | Id::SlowRate
        | Id::OpenFor
        | Id::OpenMax
        | Id::Probes => breaker(spec.id, policy),
        Id::Headers => {
            let hidden = |(name, _): &(String, _)| (name.clone(), Value::Text(HIDDEN.into()));
            Value::Map(policy.headers.iter().map(hidden).collect())
        }
        Id::IdempotencyKey => text(Some(policy.idempotency_key.as_str())),
        Id::Auth => Value::Bool(policy.auth.is_some()),
        Id::Endpoints => Value::List(shared.endpoints.iter().map(endpoint).collect()),
        Id::Balance => text(Some(shared.balance.as_str())),
        Id::HashOn => text(shared.hash_on.as_ref()),
        Id::Zone => text(shared.zone.as_ref()),
        Id::SlowStart => length(shared.slow_start),
        Id::Outlier => Value::Bool(shared.outlier.is_some()),
        Id::Discovery => Value::Bool(shared.discovery.is_some()),
        Id::HealthCheck => Value::Bool(shared.health_check.is_some()),
        Id::Tls | Id::Http => Value::Bool(true),
        _ => match spec.name.split_once('.').map_or("", |(group, _)| group) {
            "auth" => auth(spec.id, policy.auth.as_ref()),
            "tls" => tls(spec.id, policy),
            "http" => http(spec.id, policy),
            _ => network(spec.id, policy),
        },
    }
}

fn limits(id: Id, policy: &Policy) -> Value {
    match (id, &policy.shared.budget, &policy.shared.bulkhead) {
        (Id::Ratio, Some(budget), _) => Value::Float(budget.ratio),
        (Id::MinPerSecond, Some(budget), _) => Value::Float(budget.min_per_second),
        (Id::BudgetWindow, Some(budget), _) => Value::Length(budget.window),
        (Id::MaxConcurrent, _, Some(bulkhead)) => match bulkhead.limit {
            Limit::Fixed(most) => count(most),
            Limit::Adaptive => text(Some("adaptive")),
        },
        (Id::MaxQueue, _, Some(bulkhead)) => count(bulkhead.max_queue),
        (Id::QueueTimeout, _, Some(bulkhead)) => length(bulkhead.queue_timeout),
        _ => Value::Null,
    }
}

fn rates(id: Id, policy: &Policy) -> Value {
    let Some(limit) = &policy.shared.rate_limit else { return Value::Null };
    match id {
        Id::Rate => Value::Float(limit.rate),
        Id::Per => Value::Length(limit.per),
        Id::Burst => limit.burst.map_or(Value::Null, count),
        _ => Value::Length(limit.max_wait),
    }
}

fn breaker(id: Id, policy: &Policy) -> Value {
    let Some(breaker) = &policy.shared.breaker else { return Value::Null };
    match id {
        Id::FailureRate => Value::Float(breaker.failure_rate),
        Id::MinCalls => count(breaker.min_calls),
        Id::Window => Value::Length(breaker.window),
        Id::ConsecutiveFailures => breaker.consecutive_failures.map_or(Value::Null, count),
        Id::SlowCall => length(breaker.slow_call),
        Id::SlowRate => Value::Float(breaker.slow_rate),
        Id::OpenFor => Value::Length(breaker.open_for),
        Id::OpenMax => Value::Length(breaker.open_max),
        _ => count(breaker.probes),
    }
}

fn network(id: Id, policy: &Policy) -> Value {
    let shared = &policy.shared;
    match (id, &shared.discovery, &shared.outlier, &shared.health_check) {
        (Id::Dns, Some(discovery), ..) => match &discovery.source {
            Source::Dns(name) => text(Some(name)),
            _ => Value::Null,
        },
        (Id::Srv, Some(discovery), ..) => match &discovery.source {
            Source::Srv(name) => text(Some(name)),
            _ => Value::Null,
        },
        (Id::File, Some(discovery), ..) => match &discovery.source {
            Source::File(file) => path(Some(file)),
            _ => Value::Null,
        },
        (Id::Servers, Some(discovery), ..) => {
            Value::List(discovery.servers.iter().map(|server| text(Some(server))).collect())
        }
        (Id::Refresh, Some(discovery), ..) => Value::Length(discovery.refresh),
        (Id::OutlierFailures, _, Some(outlier), _) => count(outlier.consecutive_failures),
        (Id::OutlierBase, _, Some(outlier), _) => Value::Length(outlier.base),
        (Id::OutlierMax, _, Some(outlier), _) => Value::Length(outlier.max),
        (Id::OutlierShare, _, Some(outlier), _) => Value::Float(outlier.max_ejected),
        (Id::OutlierPanic, _, Some(outlier), _) => Value::Float(outlier.panic),
        (Id::HealthPath, .., Some(check)) => match &check.probe {
            Probe::Http(path) => text(Some(path)),
            Probe::Tcp => Value::Null,
        },
        (Id::HealthTcp, .., Some(check)) => Value::Bool(check.probe == Probe::Tcp),
        (Id::HealthInterval, .., Some(check)) => Value::Length(check.interval),
        (Id::HealthTimeout, .., Some(check)) => Value::Length(check.timeout),
        (Id::Unhealthy, .., Some(check)) => count(check.unhealthy),
        (Id::Healthy, .., Some(check)) => count(check.healthy),
        _ => Value::Null,
    }
}

fn tls(id: Id, policy: &Policy) -> Value {
    let tls = &policy.shared.tls;
    match id {
        Id::TlsCa => path(tls.ca.as_ref()),
        Id::TlsCert => path(tls.cert.as_ref()),
        Id::TlsKey => path(tls.key.as_ref()),
        Id::ServerName => text(tls.server_name.as_ref()),
        Id::MinVersion => text(Some(tls.min_version.as_str())),
        Id::Pins => Value::List(tls.pins.iter().map(|pin| text(Some(pin))).collect()),
        _ => Value::Bool(tls.dangerous_accept_invalid_certificates),
    }
}

fn http(id: Id, policy: &Policy) -> Value {
    let http = &policy.shared.http;
    match id {
        Id::HttpVersion => text(Some(http.version.as_str())),
        Id::MaxHeaderBytes => count(http.max_header_bytes),
        Id::MaxBodyBytes => count(http.max_body_bytes),
        Id::ReplayBytes => count(http.replay_bytes),
        Id::FollowRedirects => count(http.follow_redirects),
        Id::Decompress => Value::Bool(http.decompress),
        Id::ProxyFromEnvironment => Value::Bool(http.proxy_from_environment),
        Id::AttemptHeaders => Value::Bool(http.attempt_headers),
        Id::MaxConnections => count(http.max_connections),
        _ => Value::Length(http.idle_timeout),
    }
}

fn auth(id: Id, auth: Option<&Auth>) -> Value {
    let hidden = || Value::Text(HIDDEN.into());
    match (id, auth) {
        (Id::Bearer, Some(Auth::Bearer(Token::Value(_)))) => hidden(),
        (Id::BearerEnv, Some(Auth::Bearer(Token::Env(name)))) => text(Some(name)),
        (Id::BearerFile, Some(Auth::Bearer(Token::File(file)))) => path(Some(file)),
        (Id::Username, Some(Auth::Basic { username, .. })) => text(Some(username)),
        (Id::Password, Some(Auth::Basic { .. })) => hidden(),
        (Id::ApiKey, Some(Auth::ApiKey { .. })) => hidden(),
        (Id::ApiKeyHeader, Some(Auth::ApiKey { header, .. })) => text(Some(header)),
        (Id::TokenUrl, Some(Auth::OAuth2(client))) => text(Some(&client.token_url)),
        (Id::OAuthClient, Some(Auth::OAuth2(client))) => text(Some(&client.client_id)),
        (Id::OAuthSecret, Some(Auth::OAuth2(_))) => hidden(),
        (Id::Scope, Some(Auth::OAuth2(client))) => text(client.scope.as_ref()),
        _ => Value::Null,
    }
}

/// An endpoint as it would be set: its URL alone where that is all.
fn endpoint(endpoint: &Endpoint) -> Value {
    let url = text(Some(endpoint.as_str()));
    let metadata = endpoint.its_metadata();
    if endpoint.its_weight() == 1 && endpoint.its_zone().is_none() && metadata.is_empty() {
        return url;
    }
    let mut fields = vec![("url".to_owned(), url), ("weight".into(), count(endpoint.its_weight()))];
    fields.extend(endpoint.its_zone().map(|zone| ("zone".into(), text(Some(zone)))));
    if !metadata.is_empty() {
        let pairs = metadata.iter().map(|(name, value)| (name.clone(), text(Some(value)))).collect();
        fields.push(("metadata".into(), Value::Map(pairs)));
    }
    Value::Map(fields)
}

fn count(count: u32) -> Value {
    Value::Int(count.into())
}

fn length(length: Option<Nanos>) -> Value {
    length.map_or(Value::Null, Value::Length)
}

fn text(text: Option<impl fmt::Display>) -> Value {
    text.map_or(Value::Null, |text| Value::Text(text.to_string()))
}

fn path(path: Option<&PathBuf>) -> Value {
    text(path.map(|path| path.display()))
}

impl Settings {
    /// Every default of the table, as the table has it.
    #[cfg(test)]
    fn table_defaults() -> impl Iterator<Item = (&'static str, Value)> {
        SPECS.iter().map(|spec| (spec.name, default_of(spec)))
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    fn all(policy: &Policy) -> Vec<Effective> {
        effective(Spelling::File, ("payments", "payments"), policy, policy, &Places::new())
    }

    #[test]
    fn what_nobody_has_set_is_the_default_that_the_table_tells() {
        for Effective { field, origin, .. } in all(&Policy::default()) {
            assert_eq!(origin, Origin::Default, "{field}");
        }
        let named = |name: &str| Settings::table_defaults().find(|(field, _)| *field == name).map(|(_, value)| value);
        assert_eq!(named("timeout"), Some(Value::Length(2_000_000_000)));
        assert_eq!(named("breaker.slow_rate"), Some(Value::Float(1.0)));
        assert_eq!(named("rate_limit"), Some(Value::Bool(false)));
    }

    #[test]
    fn lengths_are_spelled_to_the_last_nanosecond() {
        for (length, spelled) in [(0, "0s"), (90_000_000_000, "90s"), (1_500_000_000, "1500ms"), (1_001, "1001ns")] {
            assert_eq!(exactly(length), spelled);
            assert_eq!(read_length(spelled), Some(length));
        }
    }
}
