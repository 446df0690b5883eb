//! The settings of a proxy to be, as Rust spells them.

use std::path::Path;
use std::time::Duration;

use super::AmbassadorProxy;
use crate::balance::{Balance, HashOn, HealthCheck, Outlier, Probe};
use crate::discovery::{Discovery, Source};
use crate::endpoint::Endpoint;
use crate::error::ConfigError;
use crate::policy::auth::{Auth, Secret, Token};
use crate::policy::backoff::Backoff;
use crate::policy::breaker::Breaker;
use crate::policy::budget::Budget;
use crate::policy::bulkhead::{Bulkhead, Limit};
use crate::policy::hedge::{After, Hedge};
use crate::policy::http::{Http, IdempotencyKey};
use crate::policy::rate_limit::RateLimit;
use crate::policy::tls::Tls;
use crate::settings::{Settings, Spelling, Value};

/// Settings of a proxy to be, for Rust. Checked by [`build`](Builder::build).
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    pub(super) target: String,
    pub(super) edits: Vec<(&'static str, Value)>,
}

impl Builder {
    fn set(mut self, field: &'static str, value: Value) -> Builder {
        self.edits.push((field, value));
        self
    }

    /// Attempts in all, the first one included (C1): 1 to 100; default 3.
    pub fn max_retries(self, attempts: u32) -> Builder {
        self.set("max_retries", Value::Int(attempts.into()))
    }

    /// The name that state is shared by (C4); default the target.
    pub fn name(self, name: &str) -> Builder {
        self.set("name", Value::Text(name.into()))
    }

    /// The bound of each attempt (T1), or `None` for none; default 2 s.
    pub fn timeout(self, timeout: impl Into<Option<Duration>>) -> Builder {
        self.set("timeout", duration(timeout.into()))
    }

    /// The bound of the whole call, waits included, or `None` for none; default none.
    pub fn deadline(self, deadline: impl Into<Option<Duration>>) -> Builder {
        self.set("deadline", duration(deadline.into()))
    }

    /// The waits between attempts (R1, R2); default exponential from 2 s, with full jitter.
    pub fn backoff(self, backoff: Backoff) -> Builder {
        self.set("backoff.base", Value::Length(backoff.base))
            .set("backoff.factor", Value::Float(backoff.factor))
            .set("backoff.max", Value::Length(backoff.max))
            .set("backoff.jitter", Value::Text(backoff.jitter.as_str().into()))
            .set("backoff.hint_max", Value::Length(backoff.hint_max))
    }

    /// The circuit breaker (B1–B5), or `None` for none; on by default.
    pub fn breaker(self, breaker: impl Into<Option<Breaker>>) -> Builder {
        let Some(breaker) = breaker.into() else { return self.set("breaker", Value::Null) };
        let count = |count: Option<u32>| count.map_or(Value::Null, |count| Value::Int(count.into()));
        self.set("breaker", Value::Bool(true))
            .set("breaker.failure_rate", Value::Float(breaker.failure_rate))
            .set("breaker.min_calls", Value::Int(breaker.min_calls.into()))
            .set("breaker.window", Value::Length(breaker.window))
            .set("breaker.consecutive_failures", count(breaker.consecutive_failures))
            .set("breaker.slow_call", breaker.slow_call.map_or(Value::Null, Value::Length))
            .set("breaker.slow_rate", Value::Float(breaker.slow_rate))
            .set("breaker.open_for", Value::Length(breaker.open_for))
            .set("breaker.open_max", Value::Length(breaker.open_max))
            .set("breaker.probes", Value::Int(breaker.probes.into()))
    }

    /// The retry budget (R5), or `None` for none; on by default.
    pub fn budget(self, budget: impl Into<Option<Budget>>) -> Builder {
        let Some(budget) = budget.into() else { return self.set("budget", Value::Null) };
        self.set("budget", Value::Bool(true))
            .set("budget.ratio", Value::Float(budget.ratio))
            .set("budget.min_per_second", Value::Float(budget.min_per_second))
            .set("budget.window", Value::Length(budget.window))
    }

    /// How many calls run at once (L1), or `None` for any number; off by default.
    pub fn bulkhead(self, bulkhead: impl Into<Option<Bulkhead>>) -> Builder {
        let Some(bulkhead) = bulkhead.into() else { return self.set("bulkhead", Value::Null) };
        let limit = match bulkhead.limit {
            Limit::Fixed(limit) => Value::Int(limit.into()),
            Limit::Adaptive => Value::Text("adaptive".into()),
        };
        self.set("bulkhead.max_concurrent", limit)
            .set("bulkhead.max_queue", Value::Int(bulkhead.max_queue.into()))
            .set("bulkhead.queue_timeout", bulkhead.queue_timeout.map_or(Value::Null, Value::Length))
    }

    /// How many calls there may be in a time (L2), or `None` for any number; off by default.
    pub fn rate_limit(self, limit: impl Into<Option<RateLimit>>) -> Builder {
        let Some(limit) = limit.into() else { return self.set("rate_limit", Value::Null) };
        self.set("rate_limit.rate", Value::Float(limit.rate))
            .set("rate_limit.per", Value::Length(limit.per))
            .set("rate_limit.burst", limit.burst.map_or(Value::Null, |burst| Value::Int(burst.into())))
            .set("rate_limit.max_wait", Value::Length(limit.max_wait))
    }

    /// Whether another attempt begins beside one that takes long (H1), or `None` for never; off by default. Needs
    /// [`idempotent`](Builder::idempotent).
    pub fn hedge(self, hedge: impl Into<Option<Hedge>>) -> Builder {
        let Some(hedge) = hedge.into() else { return self.set("hedge", Value::Null) };
        let after = match hedge.after {
            After::Fixed(length) => Value::Length(length),
            quantile => Value::Text(quantile.to_string()),
        };
        self.set("hedge.after", after).set("hedge.max", Value::Int(hedge.max.into()))
    }

    /// The endpoints that attempts go to, one of which is chosen for each (E1); default the target itself.
    ///
    /// ```
    /// use ambassador_core::{AmbassadorProxy, Endpoint};
    ///
    /// let payments = AmbassadorProxy::builder("http://payment-api.example.com")
    ///     .endpoints(["10.0.0.7:8080", "10.0.0.8:8080"].into_iter().filter_map(Endpoint::new))
    ///     .build()?;
    /// # Ok::<_, ambassador_core::ConfigError>(())
    /// ```
    pub fn endpoints(self, endpoints: impl IntoIterator<Item = Endpoint>) -> Builder {
        let field = |name: &str, value: Value| (name.to_owned(), value);
        let listed = endpoints.into_iter().map(|endpoint| {
            let metadata = endpoint.its_metadata().iter().map(|(name, text)| field(name, Value::Text(text.clone())));
            Value::Map(vec![
                field("url", Value::Text(endpoint.as_str().into())),
                field("weight", Value::Int(endpoint.its_weight().into())),
                field("zone", text(endpoint.its_zone())),
                field("metadata", Value::Map(metadata.collect())),
            ])
        });
        let listed = Value::List(listed.collect());
        self.set("endpoints", listed)
    }

    /// Where endpoints are looked for (E4), or `None` for nowhere; off by default.
    pub fn discovery(self, discovery: impl Into<Option<Discovery>>) -> Builder {
        let Some(discovery) = discovery.into() else { return self.set("discovery", Value::Null) };
        let source = match &discovery.source {
            Source::Dns(name) => ("discovery.dns", Value::Text(name.clone())),
            Source::Srv(name) => ("discovery.srv", Value::Text(name.clone())),
            Source::File(file) => ("discovery.file", path(Some(file))),
        };
        let servers = discovery.servers.iter().map(|server| Value::Text(server.to_string())).collect();
        self.set("discovery", Value::Null)
            .set(source.0, source.1)
            .set("discovery.servers", Value::List(servers))
            .set("discovery.refresh", Value::Length(discovery.refresh))
    }

    /// How an endpoint is chosen (E1); default `p2c`.
    pub fn balance(self, balance: Balance) -> Builder {
        self.set("balance", Value::Text(balance.as_str().into()))
    }

    /// What of a request is the key of `ring_hash` and `maglev`.
    pub fn hash_on(self, key: HashOn) -> Builder {
        self.set("hash_on", Value::Text(key.to_string()))
    }

    /// The zone that this process stands in, whose endpoints are preferred; default none.
    pub fn zone(self, zone: &str) -> Builder {
        self.set("zone", Value::Text(zone.into()))
    }

    /// How long an endpoint that is new, or back, gets less than its share, or `None` for not at all, which is the default.
    pub fn slow_start(self, length: impl Into<Option<Duration>>) -> Builder {
        self.set("slow_start", duration(length.into()))
    }

    /// When an endpoint is left out because attempts at it fail (E3), or `None` for never; on by default.
    pub fn outlier(self, outlier: impl Into<Option<Outlier>>) -> Builder {
        let Some(outlier) = outlier.into() else { return self.set("outlier", Value::Null) };
        self.set("outlier.consecutive_failures", Value::Int(outlier.consecutive_failures.into()))
            .set("outlier.base", Value::Length(outlier.base))
            .set("outlier.max", Value::Length(outlier.max))
            .set("outlier.max_ejected", Value::Float(outlier.max_ejected))
            .set("outlier.panic", Value::Float(outlier.panic))
    }

    /// How endpoints are asked whether they are well, or `None` for not at all, which is the default.
    pub fn health_check(self, check: impl Into<Option<HealthCheck>>) -> Builder {
        let Some(check) = check.into() else { return self.set("health_check", Value::Null) };
        let probe = match &check.probe {
            Probe::Http(path) => ("health_check.path", Value::Text(path.clone())),
            Probe::Tcp => ("health_check.tcp", Value::Bool(true)),
        };
        self.set("health_check", Value::Null)
            .set(probe.0, probe.1)
            .set("health_check.interval", Value::Length(check.interval))
            .set("health_check.timeout", Value::Length(check.timeout))
            .set("health_check.unhealthy", Value::Int(check.unhealthy.into()))
            .set("health_check.healthy", Value::Int(check.healthy.into()))
    }

    /// TLS to the target; default the system's roots, and TLS 1.2 or 1.3.
    pub fn tls(self, tls: Tls) -> Builder {
        self.set("tls.ca", path(tls.ca.as_deref()))
            .set("tls.cert", path(tls.cert.as_deref()))
            .set("tls.key", path(tls.key.as_deref()))
            .set("tls.server_name", text(tls.server_name.as_deref()))
            .set("tls.min_version", Value::Text(tls.min_version.as_str().into()))
            .set("tls.pins", Value::List(tls.pins.into_iter().map(Value::Text).collect()))
            .set("tls.dangerous_accept_invalid_certificates", Value::Bool(tls.dangerous_accept_invalid_certificates))
    }

    /// How requests are made.
    pub fn http(self, http: Http) -> Builder {
        self.set("http.version", Value::Text(http.version.as_str().into()))
            .set("http.max_header_bytes", Value::Int(http.max_header_bytes.into()))
            .set("http.max_body_bytes", Value::Int(http.max_body_bytes.into()))
            .set("http.replay_bytes", Value::Int(http.replay_bytes.into()))
            .set("http.follow_redirects", Value::Int(http.follow_redirects.into()))
            .set("http.decompress", Value::Bool(http.decompress))
            .set("http.proxy_from_environment", Value::Bool(http.proxy_from_environment))
            .set("http.attempt_headers", Value::Bool(http.attempt_headers))
            .set("http.max_connections", Value::Int(http.max_connections.into()))
            .set("http.idle_timeout", Value::Length(http.idle_timeout))
    }

    /// How requests say who sends them, or `None` for not at all, which is the default.
    pub fn auth(self, auth: impl Into<Option<Auth>>) -> Builder {
        let secret = |secret: &Secret| Value::Text(secret.reveal().into());
        let said = |text: &str| Value::Text(text.into());
        let none = self.set("auth", Value::Null);
        match auth.into() {
            None => none,
            Some(Auth::Bearer(Token::Value(token))) => none.set("auth.bearer", secret(&token)),
            Some(Auth::Bearer(Token::Env(name))) => none.set("auth.bearer_env", said(&name)),
            Some(Auth::Bearer(Token::File(file))) => none.set("auth.bearer_file", path(Some(&file))),
            Some(Auth::Basic { username, password }) => {
                none.set("auth.username", said(&username)).set("auth.password", secret(&password))
            }
            Some(Auth::ApiKey { header, key }) => {
                none.set("auth.api_key", secret(&key)).set("auth.api_key_header", said(&header))
            }
            Some(Auth::OAuth2(client)) => none
                .set("auth.token_url", said(&client.token_url))
                .set("auth.client_id", said(&client.client_id))
                .set("auth.client_secret", secret(&client.client_secret))
                .set("auth.scope", text(client.scope.as_deref())),
        }
    }

    /// Headers that every request has, unless it brings its own.
    pub fn headers<'a>(self, headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Builder {
        let pairs = headers.into_iter().map(|(name, said)| (name.to_owned(), Value::Text(said.into()))).collect();
        self.set("headers", Value::Map(pairs))
    }

    /// Whether requests get an `Idempotency-Key` (P2); off by default.
    pub fn idempotency_key(self, choice: IdempotencyKey) -> Builder {
        self.set("idempotency_key", Value::Text(choice.as_str().into()))
    }

    /// Whether a call may safely be made twice; default no.
    pub fn idempotent(self, idempotent: bool) -> Builder {
        self.set("idempotent", Value::Bool(idempotent))
    }

    /// The proxy.
    ///
    /// # Errors
    /// [`ConfigError`] for the first setting that is wrong; it names the field, the value and what is allowed.
    pub fn build(self) -> Result<AmbassadorProxy, ConfigError> {
        let mut settings = Settings::new(&self.target, Spelling::Rust)?;
        for (field, value) in self.edits {
            settings.set(field, value)?;
        }
        AmbassadorProxy::from_settings(settings)
    }
}

fn text(text: Option<&str>) -> Value {
    text.map_or(Value::Null, |text| Value::Text(text.into()))
}

/// A path that is no text is shown, and refused.
fn path(path: Option<&Path>) -> Value {
    path.map_or(Value::Null, |path| match path.to_str() {
        Some(text) => Value::Text(text.into()),
        None => Value::Other(format!("{path:?}")),
    })
}

fn duration(duration: Option<Duration>) -> Value {
    duration.map_or(Value::Null, |d| Value::Length(crate::clock::nanos(d)))
}
