//! The settings of networking that are in force (C3), as a map of [values](crate::values): each under its name as Java spells it, with
//! no secret among them (S3).

use ambassador_core::balance::Probe;
use ambassador_core::clock::Nanos;
use ambassador_core::discovery::Source;
use ambassador_core::endpoint::Endpoint;
use ambassador_core::policy::Policy;
use ambassador_core::policy::auth::{Auth, Token};
use ambassador_core::settings::Value;
use jni::EnvUnowned;
use jni::errors::ThrowRuntimeExAndDefault;
use jni::objects::{JClass, JObjectArray, JString};
use jni::sys::jlong;

use crate::{handle, values};

/// The settings of networking in force.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_network<'local>(
    mut env: EnvUnowned<'local>,
    _: JClass<'local>,
    proxy: jlong,
) -> JObjectArray<'local, JString<'local>> {
    env.with_env(|env| {
        // SAFETY: Java passes the handle of a proxy that it keeps alive until this returns.
        let network = unsafe { handle::proxy(proxy) }.map_or(Value::Null, |proxy| network(&proxy.policy_in_force()));
        values::write(env, &network)
    })
    .resolve::<ThrowRuntimeExAndDefault>()
}

fn network(policy: &Policy) -> Value {
    let shared = &policy.shared;
    let (tls, http) = (&shared.tls, &shared.http);
    let outlier = shared.outlier.map(|outlier| {
        map([
            ("consecutiveFailures", Value::Int(outlier.consecutive_failures.into())),
            ("base", Value::Length(outlier.base)),
            ("max", Value::Length(outlier.max)),
            ("maxEjected", Value::Float(outlier.max_ejected)),
            ("panic", Value::Float(outlier.panic)),
        ])
    });
    let health_check = shared.health_check.as_ref().map(|check| {
        map([
            (
                "path",
                match &check.probe {
                    Probe::Http(path) => text(path),
                    Probe::Tcp => Value::Null,
                },
            ),
            ("interval", Value::Length(check.interval)),
            ("timeout", Value::Length(check.timeout)),
            ("unhealthy", Value::Int(check.unhealthy.into())),
            ("healthy", Value::Int(check.healthy.into())),
        ])
    });
    let discovery = shared.discovery.as_ref().map(|discovery| {
        let (kind, name) = match &discovery.source {
            Source::Dns(name) => ("dns", text(name)),
            Source::Srv(name) => ("srv", text(name)),
            Source::File(path) => ("file", text(&path.to_string_lossy())),
        };
        map([
            ("kind", text(kind)),
            ("name", name),
            ("servers", list(discovery.servers.iter().map(|server| text(&server.to_string())))),
            ("refresh", Value::Length(discovery.refresh)),
        ])
    });
    let path = |path: &Option<std::path::PathBuf>| optional(path.as_ref().map(|path| text(&path.to_string_lossy())));
    map([
        ("endpoints", list(shared.endpoints.iter().map(endpoint))),
        ("discovery", optional(discovery)),
        ("balance", text(shared.balance.as_str())),
        ("hashOn", optional(shared.hash_on.as_ref().map(|key| text(&key.to_string())))),
        ("zone", optional(shared.zone.as_deref().map(text))),
        ("slowStart", optional(shared.slow_start.map(|length: Nanos| Value::Length(length)))),
        ("outlier", optional(outlier)),
        ("healthCheck", optional(health_check)),
        (
            "tls",
            map([
                ("ca", path(&tls.ca)),
                ("cert", path(&tls.cert)),
                ("key", path(&tls.key)),
                ("serverName", optional(tls.server_name.as_deref().map(text))),
                ("minVersion", text(tls.min_version.as_str())),
                ("pins", list(tls.pins.iter().map(|pin| text(pin)))),
                ("dangerousAcceptInvalidCertificates", Value::Bool(tls.dangerous_accept_invalid_certificates)),
            ]),
        ),
        ("auth", optional(policy.auth.as_ref().map(|auth| text(scheme(auth))))),
        ("headers", list(policy.headers.iter().map(|(name, _)| text(name)))),
        ("idempotencyKey", text(policy.idempotency_key.as_str())),
        (
            "http",
            map([
                ("version", text(http.version.as_str())),
                ("maxHeaderBytes", Value::Int(http.max_header_bytes.into())),
                ("maxBodyBytes", Value::Int(http.max_body_bytes.into())),
                ("replayBytes", Value::Int(http.replay_bytes.into())),
                ("followRedirects", Value::Int(http.follow_redirects.into())),
                ("decompress", Value::Bool(http.decompress)),
                ("proxyFromEnvironment", Value::Bool(http.proxy_from_environment)),
                ("attemptHeaders", Value::Bool(http.attempt_headers)),
                ("maxConnections", Value::Int(http.max_connections.into())),
                ("idleTimeout", Value::Length(http.idle_timeout)),
            ]),
        ),
    ])
}

fn endpoint(endpoint: &Endpoint) -> Value {
    let metadata = endpoint.its_metadata().iter().map(|(name, value)| (name.clone(), text(value))).collect();
    map([
        ("url", text(endpoint.as_str())),
        ("weight", Value::Int(endpoint.its_weight().into())),
        ("zone", optional(endpoint.its_zone().map(text))),
        ("metadata", Value::Map(metadata)),
    ])
}

/// The setting by which the kind of auth was chosen.
fn scheme(auth: &Auth) -> &'static str {
    match auth {
        Auth::Bearer(Token::Value(_)) => "bearer",
        Auth::Bearer(Token::Env(_)) => "bearerEnv",
        Auth::Bearer(Token::File(_)) => "bearerFile",
        Auth::Basic { .. } => "basic",
        Auth::ApiKey { .. } => "apiKey",
        Auth::OAuth2(_) => "oauth2",
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn optional(value: Option<Value>) -> Value {
    value.unwrap_or(Value::Null)
}

fn list(values: impl Iterator<Item = Value>) -> Value {
    Value::List(values.collect())
}

fn map<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::Map(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
}
