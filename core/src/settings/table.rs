//! The table of settings: each with its name in the core's spelling, its kind and range, and its default. Names, units and messages
//! of all languages come from here.

use crate::balance::Balance;
use crate::clock::{MILLISECOND, Nanos};
use crate::policy::backoff::Jitter;
use crate::policy::breaker::Breaker;
use crate::policy::hedge::{After, Hedge};
use crate::policy::http::{IdempotencyKey, Version};
use crate::policy::tls::TlsVersion;

#[derive(Clone, Copy)]
pub(crate) enum Kind {
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
    /// Text, of which what is allowed is said here.
    Text(&'static str),
    /// The same, never shown.
    Secret(&'static str),
    /// A list of texts.
    Texts(&'static str),
    /// Names and texts, which are never shown.
    Pairs(&'static str),
    Endpoints,
    Group,
    /// Only the host can hold it: types, predicates.
    Host(&'static str),
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Id {
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
    Endpoints,
    Discovery,
    Dns,
    Srv,
    File,
    Servers,
    Refresh,
    Balance,
    HashOn,
    Zone,
    SlowStart,
    Outlier,
    OutlierFailures,
    OutlierBase,
    OutlierMax,
    OutlierShare,
    OutlierPanic,
    HealthCheck,
    HealthPath,
    HealthTcp,
    HealthInterval,
    HealthTimeout,
    Unhealthy,
    Healthy,
    Tls,
    TlsCa,
    TlsCert,
    TlsKey,
    ServerName,
    MinVersion,
    Pins,
    AcceptInvalid,
    Auth,
    Bearer,
    BearerEnv,
    BearerFile,
    Username,
    Password,
    ApiKey,
    ApiKeyHeader,
    TokenUrl,
    OAuthClient,
    OAuthSecret,
    Scope,
    Headers,
    IdempotencyKey,
    Http,
    HttpVersion,
    MaxHeaderBytes,
    MaxBodyBytes,
    ReplayBytes,
    FollowRedirects,
    Decompress,
    ProxyFromEnvironment,
    AttemptHeaders,
    MaxConnections,
    IdleTimeout,
    Host,
}

pub(crate) struct Spec {
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

fn balancers() -> Vec<&'static str> {
    Balance::ALL.map(Balance::as_str).to_vec()
}

fn tls_versions() -> Vec<&'static str> {
    TlsVersion::ALL.map(TlsVersion::as_str).to_vec()
}

fn http_versions() -> Vec<&'static str> {
    Version::ALL.map(Version::as_str).to_vec()
}

fn keys() -> Vec<&'static str> {
    IdempotencyKey::ALL.map(IdempotencyKey::as_str).to_vec()
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

/// Times that something takes a network's time: at least a millisecond.
const LONGER: Kind = Kind::Duration { least: MILLISECOND, none: false };
/// A file that is named.
const PATH: Kind = Kind::Text("the path of a file");
const ENVIRONMENT: Kind = Kind::Text("the name of an environment variable");
const SECRET: Kind = Kind::Secret("text of one line");

const fn count(least: i64, most: i64) -> Kind {
    Kind::Count { least, most, none: false }
}

pub(crate) static SPECS: [Spec; 99] = [
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
    spec(Id::Endpoints, "endpoints", Kind::Endpoints, "the target"),
    spec(Id::Discovery, "discovery", Kind::Group, "off"),
    spec(Id::Dns, "discovery.dns", Kind::Text("a host, with a port if needed"), "none"),
    spec(Id::Srv, "discovery.srv", Kind::Text("a name such as _http._tcp.payment-api.example.com"), "none"),
    spec(Id::File, "discovery.file", PATH, "none"),
    spec(Id::Servers, "discovery.servers", Kind::Texts("a list of IP addresses, with ports if needed"), "the system's"),
    spec(Id::Refresh, "discovery.refresh", LONGER, "30s"),
    spec(Id::Balance, "balance", Kind::Choice(balancers), "p2c"),
    spec(Id::HashOn, "hash_on", Kind::Text("path, or header: and its name, beside ring_hash or maglev"), "none"),
    spec(Id::Zone, "zone", Kind::Text("the name of a zone"), "none"),
    spec(Id::SlowStart, "slow_start", Kind::Duration { least: MILLISECOND, none: true }, "none"),
    spec(Id::Outlier, "outlier", Kind::Group, "on"),
    spec(Id::OutlierFailures, "outlier.consecutive_failures", count(1, MANY), "5"),
    spec(Id::OutlierBase, "outlier.base", LONGER, "30s"),
    spec(Id::OutlierMax, "outlier.max", LONGER, "300s"),
    spec(Id::OutlierShare, "outlier.max_ejected", Kind::Number { least: 0.0, most: 1.0 }, "0.1"),
    spec(Id::OutlierPanic, "outlier.panic", Kind::Number { least: 0.0, most: 1.0 }, "0.5"),
    spec(Id::HealthCheck, "health_check", Kind::Group, "off"),
    spec(Id::HealthPath, "health_check.path", Kind::Text("a path that begins with /"), "none"),
    spec(Id::HealthTcp, "health_check.tcp", Kind::Truth, "false"),
    spec(Id::HealthInterval, "health_check.interval", LONGER, "10s"),
    spec(Id::HealthTimeout, "health_check.timeout", LONGER, "1s"),
    spec(Id::Unhealthy, "health_check.unhealthy", count(1, 1000), "3"),
    spec(Id::Healthy, "health_check.healthy", count(1, 1000), "2"),
    spec(Id::Tls, "tls", Kind::Group, "system roots"),
    spec(Id::TlsCa, "tls.ca", PATH, "the system's"),
    spec(Id::TlsCert, "tls.cert", PATH, "none"),
    spec(Id::TlsKey, "tls.key", PATH, "none"),
    spec(Id::ServerName, "tls.server_name", Kind::Text("a host without a port"), "the target's host"),
    spec(Id::MinVersion, "tls.min_version", Kind::Choice(tls_versions), "1.2"),
    spec(
        Id::Pins,
        "tls.pins",
        Kind::Texts("a list of SHA-256 digests of public keys (SPKI) in Base64, 44 characters each"),
        "none",
    ),
    spec(Id::AcceptInvalid, "tls.dangerous_accept_invalid_certificates", Kind::Truth, "false"),
    spec(Id::Auth, "auth", Kind::Group, "off"),
    spec(Id::Bearer, "auth.bearer", SECRET, "none"),
    spec(Id::BearerEnv, "auth.bearer_env", ENVIRONMENT, "none"),
    spec(Id::BearerFile, "auth.bearer_file", PATH, "none"),
    spec(Id::Username, "auth.username", Kind::Text("text of one line without a colon"), "none"),
    spec(Id::Password, "auth.password", SECRET, "none"),
    spec(Id::ApiKey, "auth.api_key", SECRET, "none"),
    spec(Id::ApiKeyHeader, "auth.api_key_header", Kind::Text("the name of a header"), "x-api-key"),
    spec(Id::TokenUrl, "auth.token_url", Kind::Text("an http:// or https:// URL without credentials or query"), "none"),
    spec(Id::OAuthClient, "auth.client_id", Kind::Text("text of one line"), "none"),
    spec(Id::OAuthSecret, "auth.client_secret", SECRET, "none"),
    spec(Id::Scope, "auth.scope", Kind::Text("text of one line"), "none"),
    spec(Id::Headers, "headers", Kind::Pairs("names of headers and what they say"), "none"),
    spec(Id::IdempotencyKey, "idempotency_key", Kind::Choice(keys), "off"),
    spec(Id::Http, "http", Kind::Group, "see its fields"),
    spec(Id::HttpVersion, "http.version", Kind::Choice(http_versions), "auto"),
    spec(Id::MaxHeaderBytes, "http.max_header_bytes", count(8192, 16 << 20), "65536"),
    spec(Id::MaxBodyBytes, "http.max_body_bytes", count(1, 1 << 31), "67108864"),
    spec(Id::ReplayBytes, "http.replay_bytes", count(0, 1 << 30), "1048576"),
    spec(Id::FollowRedirects, "http.follow_redirects", count(0, 20), "0"),
    spec(Id::Decompress, "http.decompress", Kind::Truth, "true"),
    spec(Id::ProxyFromEnvironment, "http.proxy_from_environment", Kind::Truth, "false"),
    spec(Id::AttemptHeaders, "http.attempt_headers", Kind::Truth, "false"),
    spec(Id::MaxConnections, "http.max_connections", count(1, MANY), "100"),
    spec(Id::IdleTimeout, "http.idle_timeout", LONGER, "60s"),
];

impl Kind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Kind::Count { .. } => "count",
            Kind::CountOr { .. } => "count_or_word",
            Kind::Duration { .. } => "duration",
            Kind::DurationOr { .. } => "duration_or_word",
            Kind::Number { .. } => "number",
            Kind::Choice(_) => "choice",
            Kind::Truth => "truth",
            Kind::Name | Kind::Text(_) => "text",
            Kind::Secret(_) => "secret",
            Kind::Texts(_) => "texts",
            Kind::Pairs(_) => "pairs",
            Kind::Endpoints => "endpoints",
            Kind::Group => "group",
            Kind::Host(_) => "host",
        }
    }
}
