//! The settings in force, as Python shows them: keyword arguments of `Policy`, each group those of its own class. What is secret
//! is shown as `***` (S3).

use std::path::Path;

use ambassador_core::balance::{HealthCheck, Outlier, Probe};
use ambassador_core::clock::Nanos;
use ambassador_core::discovery::{Discovery, Source};
use ambassador_core::policy::auth::{Auth, Token};
use ambassador_core::policy::http::Http;
use ambassador_core::policy::tls::Tls;
use ambassador_core::{After, Backoff, Breaker, Budget, Bulkhead, Endpoint, Hedge, Limit, RateLimit};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::proxy::SetUp;

const SECRET: &str = "***";

type Values<'py> = PyResult<Bound<'py, PyDict>>;

/// A dict of these names and values.
macro_rules! values {
    ($py:expr, $($name:literal: $value:expr),+ $(,)?) => {{
        let values = PyDict::new($py);
        $(values.set_item($name, $value)?;)+
        Ok(values)
    }};
}

pub fn seconds(length: Nanos) -> f64 {
    length as f64 / 1e9
}

pub fn shown<'py>(py: Python<'py>, set_up: &SetUp) -> Values<'py> {
    let policy = set_up.core.policy_in_force();
    let shared = &policy.shared;
    let headers = PyDict::new(py);
    for (name, _) in &policy.headers {
        headers.set_item(name, SECRET)?;
    }
    let endpoints = shared.endpoints.iter().map(|endpoint| endpoint_of(py, endpoint)).collect::<PyResult<Vec<_>>>()?;
    values!(py,
        "max_retries": policy.max_retries,
        "name": set_up.core.name(),
        "timeout": policy.timeout.map(seconds),
        "deadline": policy.deadline.map(seconds),
        "run_in": if set_up.on_caller() { "caller" } else { "worker" },
        "backoff": backoff_of(py, &policy.backoff)?,
        "budget": shared.budget.as_ref().map(|budget| budget_of(py, budget)).transpose()?,
        "breaker": shared.breaker.as_ref().map(|breaker| breaker_of(py, breaker)).transpose()?,
        "bulkhead": shared.bulkhead.as_ref().map(|bulkhead| bulkhead_of(py, bulkhead)).transpose()?,
        "rate_limit": shared.rate_limit.as_ref().map(|limit| rate_limit_of(py, limit)).transpose()?,
        "hedge": policy.hedge.map(|hedge| hedge_of(py, hedge)).transpose()?,
        "idempotent": policy.idempotent,
        "endpoints": endpoints,
        "discovery": shared.discovery.as_ref().map(|discovery| discovery_of(py, discovery)).transpose()?,
        "balance": shared.balance.as_str(),
        "hash_on": shared.hash_on.as_ref().map(ToString::to_string),
        "zone": shared.zone.as_deref(),
        "slow_start": shared.slow_start.map(seconds),
        "outlier": shared.outlier.as_ref().map(|outlier| outlier_of(py, outlier)).transpose()?,
        "health_check": shared.health_check.as_ref().map(|check| health_check_of(py, check)).transpose()?,
        "tls": tls_of(py, &shared.tls)?,
        "auth": policy.auth.as_ref().map(|auth| auth_of(py, auth)).transpose()?,
        "headers": headers,
        "idempotency_key": policy.idempotency_key.as_str(),
        "http": http_of(py, &shared.http)?,
    )
}

fn backoff_of<'py>(py: Python<'py>, backoff: &Backoff) -> Values<'py> {
    values!(py,
        "base": seconds(backoff.base),
        "factor": backoff.factor,
        "max": seconds(backoff.max),
        "jitter": backoff.jitter.as_str(),
        "hint_max": seconds(backoff.hint_max),
    )
}

fn budget_of<'py>(py: Python<'py>, budget: &Budget) -> Values<'py> {
    values!(py,
        "ratio": budget.ratio,
        "min_per_second": budget.min_per_second,
        "window": seconds(budget.window),
    )
}

fn breaker_of<'py>(py: Python<'py>, breaker: &Breaker) -> Values<'py> {
    values!(py,
        "failure_rate": breaker.failure_rate,
        "min_calls": breaker.min_calls,
        "window": seconds(breaker.window),
        "consecutive_failures": breaker.consecutive_failures,
        "slow_call": breaker.slow_call.map(seconds),
        "slow_rate": breaker.slow_rate,
        "open_for": seconds(breaker.open_for),
        "open_max": seconds(breaker.open_max),
        "probes": breaker.probes,
    )
}

fn bulkhead_of<'py>(py: Python<'py>, bulkhead: &Bulkhead) -> Values<'py> {
    let limit = match bulkhead.limit {
        Limit::Fixed(limit) => limit.into_bound_py_any(py)?,
        Limit::Adaptive => "adaptive".into_bound_py_any(py)?,
    };
    values!(py,
        "max_concurrent": limit,
        "max_queue": bulkhead.max_queue,
        "queue_timeout": bulkhead.queue_timeout.map(seconds),
    )
}

fn rate_limit_of<'py>(py: Python<'py>, limit: &RateLimit) -> Values<'py> {
    values!(py,
        "rate": limit.rate,
        "per": seconds(limit.per),
        "burst": limit.burst,
        "max_wait": seconds(limit.max_wait),
    )
}

fn hedge_of(py: Python<'_>, hedge: Hedge) -> Values<'_> {
    let after = match hedge.after {
        After::Fixed(length) => seconds(length).into_bound_py_any(py)?,
        quantile @ After::Quantile(_) => quantile.to_string().into_bound_py_any(py)?,
    };
    values!(py, "after": after, "max": hedge.max)
}

fn endpoint_of<'py>(py: Python<'py>, endpoint: &Endpoint) -> Values<'py> {
    let metadata = endpoint.its_metadata();
    values!(py,
        "url": endpoint.as_str(),
        "weight": endpoint.its_weight(),
        "zone": endpoint.its_zone(),
        "metadata": (!metadata.is_empty()).then_some(metadata),
    )
}

fn discovery_of<'py>(py: Python<'py>, discovery: &Discovery) -> Values<'py> {
    let (mut dns, mut srv, mut file) = (None, None, None);
    match &discovery.source {
        Source::Dns(name) => dns = Some(name),
        Source::Srv(name) => srv = Some(name),
        Source::File(path) => file = Some(path_of(path)),
    }
    let servers = PyTuple::new(py, discovery.servers.iter().map(ToString::to_string))?;
    values!(py,
        "dns": dns,
        "srv": srv,
        "file": file,
        "servers": (!servers.is_empty()).then_some(servers),
        "refresh": seconds(discovery.refresh),
    )
}

fn outlier_of<'py>(py: Python<'py>, outlier: &Outlier) -> Values<'py> {
    values!(py,
        "consecutive_failures": outlier.consecutive_failures,
        "base": seconds(outlier.base),
        "max": seconds(outlier.max),
        "max_ejected": outlier.max_ejected,
        "panic": outlier.panic,
    )
}

fn health_check_of<'py>(py: Python<'py>, check: &HealthCheck) -> Values<'py> {
    let path = match &check.probe {
        Probe::Http(path) => Some(path),
        Probe::Tcp => None,
    };
    values!(py,
        "path": path,
        "tcp": path.is_none(),
        "interval": seconds(check.interval),
        "timeout": seconds(check.timeout),
        "unhealthy": check.unhealthy,
        "healthy": check.healthy,
    )
}

fn tls_of<'py>(py: Python<'py>, tls: &Tls) -> Values<'py> {
    let pins = PyTuple::new(py, &tls.pins)?;
    values!(py,
        "ca": tls.ca.as_deref().map(path_of),
        "cert": tls.cert.as_deref().map(path_of),
        "key": tls.key.as_deref().map(path_of),
        "server_name": tls.server_name.as_deref(),
        "min_version": tls.min_version.as_str(),
        "pins": (!pins.is_empty()).then_some(pins),
        "dangerous_accept_invalid_certificates": tls.dangerous_accept_invalid_certificates,
    )
}

fn auth_of<'py>(py: Python<'py>, auth: &Auth) -> Values<'py> {
    match auth {
        Auth::Bearer(Token::Value(_)) => values!(py, "bearer": SECRET),
        Auth::Bearer(Token::Env(name)) => values!(py, "bearer_env": name),
        Auth::Bearer(Token::File(path)) => values!(py, "bearer_file": path_of(path)),
        Auth::Basic { username, .. } => values!(py, "username": username, "password": SECRET),
        Auth::ApiKey { header, .. } => values!(py, "api_key": SECRET, "api_key_header": header),
        Auth::OAuth2(client) => values!(py,
            "token_url": &client.token_url,
            "client_id": &client.client_id,
            "client_secret": SECRET,
            "scope": client.scope.as_deref(),
        ),
    }
}

fn http_of<'py>(py: Python<'py>, http: &Http) -> Values<'py> {
    values!(py,
        "version": http.version.as_str(),
        "max_header_bytes": http.max_header_bytes,
        "max_body_bytes": http.max_body_bytes,
        "replay_bytes": http.replay_bytes,
        "follow_redirects": http.follow_redirects,
        "decompress": http.decompress,
        "proxy_from_environment": http.proxy_from_environment,
        "attempt_headers": http.attempt_headers,
        "max_connections": http.max_connections,
        "idle_timeout": seconds(http.idle_timeout),
    )
}

fn path_of(path: &Path) -> &str {
    // Settings are text, and so was this.
    path.to_str().unwrap_or_default()
}
