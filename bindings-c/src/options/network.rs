//! The groups of `amb_options` that concern the network: endpoints and how one is chosen, TLS, who asks, and HTTP. A text that is null
//! is not set.

use std::ffi::c_char;

use ambassador_core::ConfigError;
use ambassador_core::settings::{Settings, Value};

use super::amb_options;
use super::values::{bound, list, pairs, text, texts};

/// A name, and what it says: a header, or something that is known of an endpoint.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct amb_pair {
    /// The name.
    pub name: *const c_char,
    /// What it says.
    pub value: *const c_char,
}

/// Where attempts may go: one of a target's endpoints.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct amb_endpoint {
    /// A host, with a port if needed, or an http:// or https:// URL without a path.
    pub url: *const c_char,
    /// Its share of the calls beside those of other weights: 1 to 1000; 0 for 1.
    pub weight: i64,
    /// The zone that it stands in; null when that is not known.
    pub zone: *const c_char,
    /// What else is known of it.
    pub metadata: *const amb_pair,
    /// How many of these there are.
    pub metadata_count: usize,
}

/// Where endpoints are looked for: one of `dns`, `srv` and `file` has to be set.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct amb_discovery {
    /// Whether it is on; default false. When it is not, the rest is not looked at.
    pub enabled: bool,
    /// A host, with a port if needed: every address that DNS has of it is an endpoint.
    pub dns: *const c_char,
    /// A name such as `_http._tcp.payment-api.example.com`: every SRV record that DNS has of it is an endpoint.
    pub srv: *const c_char,
    /// The path of a JSON or YAML file of endpoints, which is watched.
    pub file: *const c_char,
    /// The DNS servers to ask: IP addresses, with ports if needed; none (the default) for those of the system.
    pub servers: *const *const c_char,
    /// How many of these there are.
    pub servers_count: usize,
    /// The longest time between two looks; default 30,000 ms.
    pub refresh_ms: f64,
}

/// When an endpoint is left out for a while because attempts at it fail.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct amb_outlier {
    /// Whether it is on; default true. When it is not, the rest is not looked at.
    pub enabled: bool,
    /// After so many failures one after the other; default 5.
    pub consecutive_failures: i64,
    /// How long, times how often it was left out before; default 30,000 ms.
    pub base_ms: f64,
    /// The longest that an endpoint is left out; default 300,000 ms.
    pub max_ms: f64,
    /// The share of the endpoints that may be left out at once, though always one where there are two or more; default 0.1.
    pub max_ejected: f64,
    /// Below this share of healthy endpoints, health is ignored; default 0.5.
    pub panic: f64,
}

/// How endpoints are asked whether they are well, beside the calls that they get: one of `path` and `tcp` has to be set.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct amb_health_check {
    /// Whether it is on; default false. When it is not, the rest is not looked at.
    pub enabled: bool,
    /// By GET of this path, to be answered by a status of 200 to 299.
    pub path: *const c_char,
    /// By a connection.
    pub tcp: bool,
    /// How long between two checks of an endpoint; default 10,000 ms.
    pub interval_ms: f64,
    /// How long an answer may take; default 1000 ms.
    pub timeout_ms: f64,
    /// After so many failed checks one after the other an endpoint is left out; default 3.
    pub unhealthy: i64,
    /// After so many that succeed it is back; default 2.
    pub healthy: i64,
}

/// TLS to the target. Verification is the rule.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct amb_tls {
    /// The path of a file of root certificates in PEM; null (the default) for the system's.
    pub ca: *const c_char,
    /// The path of the client's certificate, and those that signed it, in PEM. Read again when the file changes.
    pub cert: *const c_char,
    /// The path of its private key, in PEM.
    pub key: *const c_char,
    /// The name that the server's certificate has to be for; null (the default) for the target's host.
    pub server_name: *const c_char,
    /// The lowest version that is spoken: "1.2" (the default) or "1.3".
    pub min_version: *const c_char,
    /// Of these, one has to be the SHA-256 of the public key (SPKI) of a certificate that the server shows, in Base64; none (the
    /// default) is asked for when there are none.
    pub pins: *const *const c_char,
    /// How many of these there are.
    pub pins_count: usize,
    /// Whether a certificate is taken for good that does not verify; default false. Anybody on the way may then read and change
    /// everything.
    pub dangerous_accept_invalid_certificates: bool,
}

/// How requests say who sends them: by one of `bearer`, `bearer_env`, `bearer_file`, `username` with `password`, `api_key`, or
/// `token_url` with `client_id` and `client_secret`. Never sent to another origin, and never shown.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct amb_auth {
    /// Whether it is on; default false. When it is not, the rest is not looked at.
    pub enabled: bool,
    /// A token.
    pub bearer: *const c_char,
    /// The environment variable that has it, read at each request.
    pub bearer_env: *const c_char,
    /// The path of the file that has it, read again when it changes.
    pub bearer_file: *const c_char,
    /// The user's name.
    pub username: *const c_char,
    /// The user's password.
    pub password: *const c_char,
    /// A key, sent in a header of its own.
    pub api_key: *const c_char,
    /// The name of that header; null (the default) for `x-api-key`.
    pub api_key_header: *const c_char,
    /// The URL where a token is fetched, as OAuth 2.0 says of client credentials.
    pub token_url: *const c_char,
    /// The client's name there.
    pub client_id: *const c_char,
    /// Its secret.
    pub client_secret: *const c_char,
    /// What the token is asked for; null when that has not to be said.
    pub scope: *const c_char,
}

/// How requests are made.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct amb_http {
    /// "auto" (the default): HTTP/2 where TLS agrees on it, else HTTP/1.1; "1"; or "2", without TLS by prior knowledge.
    pub version: *const c_char,
    /// How large the head of a response may be: 8192 to 16,777,216 bytes, default 65,536.
    pub max_header_bytes: i64,
    /// How large a body may be that is read whole, unpacked: 1 to 2,147,483,648 bytes, default 67,108,864.
    pub max_body_bytes: i64,
    /// How much of a body that is read by a function is kept for another attempt: up to 1,073,741,824 bytes, default 1,048,576.
    pub replay_bytes: i64,
    /// How many redirects are followed: 0 (the default) to 20.
    pub follow_redirects: i64,
    /// Whether compressed bodies are asked for and unpacked; default true.
    pub decompress: bool,
    /// Whether HTTP_PROXY, HTTPS_PROXY and NO_PROXY are obeyed; default false.
    pub proxy_from_environment: bool,
    /// Whether `x-ambassador-attempt` and `x-ambassador-remaining-ms` are sent; default false.
    pub attempt_headers: bool,
    /// How many connections may be open to an endpoint by HTTP/1: from 1, default 100.
    pub max_connections: i64,
    /// How long a connection is kept that nothing uses; default 60,000 ms.
    pub idle_timeout_ms: f64,
}

/// Sets what is said, if something is.
///
/// # Safety
/// The text is null or ends with a zero.
unsafe fn set_text(settings: &mut Settings, field: &str, pointer: *const c_char) -> Result<(), ConfigError> {
    if pointer.is_null() {
        return Ok(());
    }
    // SAFETY: by this function's contract.
    settings.set(field, unsafe { text(pointer) })
}

/// A list of endpoints.
///
/// # Safety
/// As of [`draft`].
pub(crate) unsafe fn endpoints(pointer: *const amb_endpoint, count: usize) -> Value {
    // SAFETY: by this function's contract.
    let list = unsafe { list(pointer, count) };
    let Some(list) = list else { return Value::Other("NULL".into()) };
    // SAFETY: as above.
    Value::List(list.iter().map(|endpoint| unsafe { endpoint.value() }).collect())
}

impl amb_endpoint {
    /// # Safety
    /// As of [`draft`].
    unsafe fn value(&self) -> Value {
        // SAFETY: by this function's contract.
        let (url, zone, metadata) =
            unsafe { (text(self.url), text(self.zone), pairs(self.metadata, self.metadata_count)) };
        let mut fields = vec![("url".into(), url)];
        if self.weight != 0 {
            fields.push(("weight".into(), Value::Int(self.weight)));
        }
        if !self.zone.is_null() {
            fields.push(("zone".into(), zone));
        }
        if self.metadata_count > 0 {
            fields.push(("metadata".into(), metadata));
        }
        Value::Map(fields)
    }
}

/// # Safety
/// Texts are null or end with a zero; lists are null or as long as their counts say.
pub(super) unsafe fn draft(settings: &mut Settings, options: &amb_options) -> Result<(), ConfigError> {
    // SAFETY: by this function's contract, here and below.
    unsafe {
        settings.set("endpoints", endpoints(options.endpoints, options.endpoints_count))?;
        options.discovery.draft(settings)?;
        set_text(settings, "balance", options.balance)?;
        set_text(settings, "hash_on", options.hash_on)?;
        set_text(settings, "zone", options.zone)?;
        settings.set("slow_start_ms", bound(options.slow_start_ms))?;
        options.outlier.draft(settings)?;
        options.health_check.draft(settings)?;
        options.tls.draft(settings)?;
        options.auth.draft(settings)?;
        settings.set("headers", pairs(options.headers, options.headers_count))?;
        set_text(settings, "idempotency_key", options.idempotency_key)?;
        options.http.draft(settings)
    }
}

impl amb_discovery {
    /// # Safety
    /// As of [`draft`].
    unsafe fn draft(&self, settings: &mut Settings) -> Result<(), ConfigError> {
        if !self.enabled {
            return Ok(());
        }
        settings.set("discovery.refresh_ms", Value::Float(self.refresh_ms))?;
        // SAFETY: by this function's contract.
        unsafe {
            set_text(settings, "discovery.dns", self.dns)?;
            set_text(settings, "discovery.srv", self.srv)?;
            set_text(settings, "discovery.file", self.file)?;
            settings.set("discovery.servers", texts(self.servers, self.servers_count))
        }
    }
}

impl amb_outlier {
    fn draft(&self, settings: &mut Settings) -> Result<(), ConfigError> {
        settings.set("outlier", Value::Bool(self.enabled))?;
        if self.enabled {
            settings.set("outlier.consecutive_failures", Value::Int(self.consecutive_failures))?;
            settings.set("outlier.base_ms", Value::Float(self.base_ms))?;
            settings.set("outlier.max_ms", Value::Float(self.max_ms))?;
            settings.set("outlier.max_ejected", Value::Float(self.max_ejected))?;
            settings.set("outlier.panic", Value::Float(self.panic))?;
        }
        Ok(())
    }
}

impl amb_health_check {
    /// # Safety
    /// As of [`draft`].
    unsafe fn draft(&self, settings: &mut Settings) -> Result<(), ConfigError> {
        if !self.enabled {
            return Ok(());
        }
        settings.set("health_check.tcp", Value::Bool(self.tcp))?;
        settings.set("health_check.interval_ms", Value::Float(self.interval_ms))?;
        settings.set("health_check.timeout_ms", Value::Float(self.timeout_ms))?;
        settings.set("health_check.unhealthy", Value::Int(self.unhealthy))?;
        settings.set("health_check.healthy", Value::Int(self.healthy))?;
        // SAFETY: by this function's contract.
        unsafe { set_text(settings, "health_check.path", self.path) }
    }
}

impl amb_tls {
    /// # Safety
    /// As of [`draft`].
    unsafe fn draft(&self, settings: &mut Settings) -> Result<(), ConfigError> {
        let accept = Value::Bool(self.dangerous_accept_invalid_certificates);
        settings.set("tls.dangerous_accept_invalid_certificates", accept)?;
        // SAFETY: by this function's contract.
        unsafe {
            set_text(settings, "tls.ca", self.ca)?;
            set_text(settings, "tls.cert", self.cert)?;
            set_text(settings, "tls.key", self.key)?;
            set_text(settings, "tls.server_name", self.server_name)?;
            set_text(settings, "tls.min_version", self.min_version)?;
            settings.set("tls.pins", texts(self.pins, self.pins_count))
        }
    }
}

impl amb_auth {
    /// # Safety
    /// As of [`draft`].
    unsafe fn draft(&self, settings: &mut Settings) -> Result<(), ConfigError> {
        if !self.enabled {
            return Ok(());
        }
        let fields = [
            ("auth.bearer", self.bearer),
            ("auth.bearer_env", self.bearer_env),
            ("auth.bearer_file", self.bearer_file),
            ("auth.username", self.username),
            ("auth.password", self.password),
            ("auth.api_key", self.api_key),
            ("auth.api_key_header", self.api_key_header),
            ("auth.token_url", self.token_url),
            ("auth.client_id", self.client_id),
            ("auth.client_secret", self.client_secret),
            ("auth.scope", self.scope),
        ];
        if fields.iter().all(|(_, text)| text.is_null()) {
            // A group that was begun and has nothing: the core says of what it could be.
            settings.set("auth.bearer", Value::Null)?;
        }
        // SAFETY: by this function's contract.
        fields.into_iter().try_for_each(|(field, text)| unsafe { set_text(settings, field, text) })
    }
}

impl amb_http {
    /// # Safety
    /// As of [`draft`].
    unsafe fn draft(&self, settings: &mut Settings) -> Result<(), ConfigError> {
        // SAFETY: by this function's contract.
        unsafe { set_text(settings, "http.version", self.version)? };
        settings.set("http.max_header_bytes", Value::Int(self.max_header_bytes))?;
        settings.set("http.max_body_bytes", Value::Int(self.max_body_bytes))?;
        settings.set("http.replay_bytes", Value::Int(self.replay_bytes))?;
        settings.set("http.follow_redirects", Value::Int(self.follow_redirects))?;
        settings.set("http.decompress", Value::Bool(self.decompress))?;
        settings.set("http.proxy_from_environment", Value::Bool(self.proxy_from_environment))?;
        settings.set("http.attempt_headers", Value::Bool(self.attempt_headers))?;
        settings.set("http.max_connections", Value::Int(self.max_connections))?;
        settings.set("http.idle_timeout_ms", Value::Float(self.idle_timeout_ms))
    }
}
