//! The settings of networking: endpoints, discovery, balancers, health, TLS, auth and HTTP. Some groups are one of several kinds;
//! which one is known when all of a group has been said.

use std::collections::BTreeMap;
use std::path::PathBuf;
#[cfg(feature = "http")]
use std::sync::Arc;

use super::spelling::{is_text, number};
#[cfg(feature = "http")]
use super::table::SPECS;
use super::table::{Id, Kind, Spec};
use super::{Settings, Spelling, Value, switched};
use crate::balance::{Balance, HashOn, HealthCheck, Outlier, Probe};
use crate::clock::{Nanos, SECOND};
use crate::discovery::{Discovery, Source};
use crate::endpoint::Endpoint;
use crate::error::ConfigError;
#[cfg(feature = "http")]
use crate::http::{Wrong, auth::Authorizer, tls};
use crate::policy::auth::{Auth, ClientCredentials, Secret, Token};
use crate::policy::http::{Http, IdempotencyKey, Version};
use crate::policy::tls::{Tls, TlsVersion};
use crate::target::Target;

/// Groups of which one kind has to be chosen, as far as they have been said.
#[derive(Clone, Debug, Default)]
pub(super) struct Drafts {
    discovery: Option<DiscoveryDraft>,
    health_check: Option<HealthDraft>,
    auth: Option<AuthDraft>,
}

#[derive(Clone, Debug)]
struct DiscoveryDraft {
    sources: [Option<String>; 3],
    servers: Vec<std::net::SocketAddr>,
    refresh: Nanos,
}

#[derive(Clone, Debug)]
struct HealthDraft {
    path: Option<String>,
    tcp: bool,
    rest: HealthCheck,
}

#[derive(Clone, Debug, Default)]
struct AuthDraft {
    /// A token, the variable that has it, the file that has it.
    bearer: [Option<Secret>; 3],
    username: Option<Secret>,
    password: Option<Secret>,
    api_key: Option<Secret>,
    api_key_header: Option<String>,
    token_url: Option<Secret>,
    client_id: Option<Secret>,
    client_secret: Option<Secret>,
    scope: Option<Secret>,
}

#[cfg(feature = "http")]
impl Drafts {
    /// Nothing is said of where endpoints are looked for; of how, all that was.
    pub(super) fn forget_source(&mut self) {
        if let Some(draft) = &mut self.discovery {
            draft.sources = [const { None }; 3];
        }
    }

    pub(super) fn forget_discovery(&mut self) {
        self.discovery = None;
    }

    /// Nothing is said of what is asked; of when, all that was.
    pub(super) fn forget_probe(&mut self) {
        if let Some(draft) = &mut self.health_check {
            (draft.path, draft.tcp) = (None, false);
        }
    }

    pub(super) fn forget_auth(&mut self) {
        self.auth = None;
    }
}

impl Settings {
    /// Sets one field of networking; `None` when its value is not allowed.
    pub(super) fn assign_network(&mut self, spec: &Spec, value: &Value) -> Option<()> {
        let (spelling, kind) = (self.spelling, spec.kind);
        let shared = &mut self.policy.shared;
        match spec.id {
            Id::Endpoints => shared.endpoints = endpoints(value)?,
            Id::Balance => shared.balance = *Balance::ALL.iter().find(|b| is_text(value, b.as_str()))?,
            Id::HashOn => shared.hash_on = optional(value, |value| HashOn::parse(text(value)?))?,
            Id::Zone => shared.zone = optional(value, |value| Some(text(value)?.into()))?,
            Id::SlowStart => shared.slow_start = spelling.length(value, kind)?,
            Id::Outlier => shared.outlier = switched(value)?.map(|()| Outlier::default()),
            Id::OutlierFailures | Id::OutlierBase | Id::OutlierMax | Id::OutlierShare | Id::OutlierPanic => {
                let outlier = shared.outlier.get_or_insert_default();
                match spec.id {
                    Id::OutlierFailures => outlier.consecutive_failures = spelling.count(value, kind)??,
                    Id::OutlierBase => outlier.base = spelling.length(value, kind)??,
                    Id::OutlierMax => outlier.max = spelling.length(value, kind)??,
                    Id::OutlierShare => outlier.max_ejected = number(value, kind)?,
                    _ => outlier.panic = number(value, kind)?,
                }
            }
            // There is nothing to be switched on without its one setting.
            Id::Discovery => switched(value)?.is_none().then(|| self.drafts.discovery = None)?,
            Id::HealthCheck => switched(value)?.is_none().then(|| self.drafts.health_check = None)?,
            Id::Auth => switched(value)?.is_none().then(|| self.drafts.auth = None)?,
            Id::Tls => shared.tls = switched(value)?.is_none().then(Tls::default)?,
            Id::Http => shared.http = switched(value)?.is_none().then(Http::default)?,
            Id::Headers => self.policy.headers = headers(value)?,
            Id::IdempotencyKey => {
                self.policy.idempotency_key =
                    *IdempotencyKey::ALL.iter().find(|choice| is_text(value, choice.as_str()))?;
            }
            _ => return self.assign_network_group(spec, value),
        }
        Some(())
    }

    fn assign_network_group(&mut self, spec: &Spec, value: &Value) -> Option<()> {
        let spelling = self.spelling;
        match spec.name.split_once('.')?.0 {
            "discovery" => {
                let mut draft = self.drafts.discovery.clone().unwrap_or(DiscoveryDraft {
                    sources: [const { None }; 3],
                    servers: Vec::new(),
                    refresh: 30 * SECOND,
                });
                draft.assign(spec, spelling, value)?;
                self.drafts.discovery = Some(draft);
            }
            "health_check" => {
                let mut draft = self.drafts.health_check.clone().unwrap_or(HealthDraft {
                    path: None,
                    tcp: false,
                    rest: HealthCheck::new(Probe::Tcp),
                });
                draft.assign(spec, spelling, value)?;
                self.drafts.health_check = Some(draft);
            }
            "auth" => {
                let mut draft = self.drafts.auth.clone().unwrap_or_default();
                draft.assign(spec.id, value)?;
                self.drafts.auth = Some(draft);
            }
            "tls" => assign_tls(&mut self.policy.shared.tls, spec.id, value)?,
            _ => assign_http(&mut self.policy.shared.http, spec, spelling, value)?,
        }
        Some(())
    }

    /// What no single setting of networking could tell.
    pub(super) fn finish_network(&mut self) -> Result<(), ConfigError> {
        let spelling = self.spelling;
        let drafts = std::mem::take(&mut self.drafts);
        let wrong =
            |id: Id, shown: String, allowed: &str| Err(ConfigError::new(spelling.name(Spec::of(id)), shown, allowed));
        let missing = |id: Id| {
            let spec = Spec::of(id);
            ConfigError::new(spelling.name(spec), spelling.nothing(), spelling.allowed(spec))
        };
        let policy = &mut self.policy;
        if let Some(draft) = drafts.discovery {
            policy.shared.discovery = Some(draft.finish(spelling)?);
            if !policy.shared.endpoints.is_empty() {
                let count = format!("a list of {}", policy.shared.endpoints.len());
                return wrong(Id::Endpoints, count, "no endpoints beside discovery, which finds them");
            }
        }
        if let Some(draft) = drafts.health_check {
            policy.shared.health_check = Some(draft.finish(spelling)?);
        }
        if let Some(draft) = drafts.auth {
            policy.auth = Some(draft.finish(spelling)?);
        }
        let is_by_key = matches!(policy.shared.balance, Balance::RingHash | Balance::Maglev);
        match &policy.shared.hash_on {
            None if is_by_key => return Err(missing(Id::HashOn)),
            Some(key) if !is_by_key => {
                return wrong(
                    Id::HashOn,
                    spelling.show(&Value::Text(key.to_string())),
                    "a key beside ring_hash or maglev alone",
                );
            }
            _ => {}
        }
        let tls = &policy.shared.tls;
        match (&tls.cert, &tls.key) {
            (Some(_), None) => Err(missing(Id::TlsKey)),
            (None, Some(_)) => Err(missing(Id::TlsCert)),
            _ => Ok(()),
        }
    }
}

#[cfg(feature = "http")]
impl Settings {
    /// What says who sends requests. Now that the settings are whole, files of TLS are read, and headers made, to see whether they can
    /// be (C2).
    pub(crate) fn authorization(&self) -> Result<Option<Arc<Authorizer>>, ConfigError> {
        let wrong = |Wrong { field, value, allowed }: Wrong| {
            let spec = SPECS.iter().find(|spec| spec.name == field);
            ConfigError::new(spec.map_or_else(|| field.into(), |spec| self.spelling.name(spec)), value, allowed)
        };
        let tls = &self.policy.shared.tls;
        tls::check(tls).map_err(wrong)?;
        let Some(auth) = &self.policy.auth else { return Ok(None) };
        let authorizer = Authorizer::new(auth, &self.target, tls, self.state_name()).map_err(wrong)?;
        Ok(Some(Arc::new(authorizer)))
    }
}

#[cfg(not(feature = "http"))]
impl Settings {
    /// Nobody sends any.
    pub(crate) fn authorization(&self) -> Result<Option<std::convert::Infallible>, ConfigError> {
        Ok(None)
    }
}

/// That one of a group's kinds was chosen, and which.
fn one_of(spelling: Spelling, group: Id, kinds: &[(Id, bool)]) -> Result<usize, ConfigError> {
    let name = |id: Id| spelling.name(Spec::of(id));
    let given: Vec<usize> = (0..kinds.len()).filter(|&at| kinds[at].1).collect();
    if let [one] = given[..] {
        return Ok(one);
    }
    let all = kinds.iter().map(|(id, _)| name(*id)).collect::<Vec<_>>().join(", ");
    let shown = match given[..] {
        [] => spelling.nothing().to_owned(),
        _ => given.iter().map(|&at| name(kinds[at].0)).collect::<Vec<_>>().join(" and "),
    };
    Err(ConfigError::new(name(group), shown, format!("one of {all}")))
}

impl DiscoveryDraft {
    fn assign(&mut self, spec: &Spec, spelling: Spelling, value: &Value) -> Option<()> {
        match spec.id {
            Id::Dns => self.sources[0] = optional(value, host_name)?,
            Id::Srv => self.sources[1] = optional(value, host_name)?,
            Id::File => self.sources[2] = optional(value, |value| Some(text(value)?.into()))?,
            Id::Servers => {
                self.servers = texts(value)?
                    .into_iter()
                    .map(|server| {
                        server.parse().or_else(|_| server.parse().map(|ip| std::net::SocketAddr::new(ip, 53))).ok()
                    })
                    .collect::<Option<_>>()?;
            }
            _ => self.refresh = spelling.length(value, spec.kind)??,
        }
        Some(())
    }

    fn finish(self, spelling: Spelling) -> Result<Discovery, ConfigError> {
        let [dns, srv, file] = &self.sources;
        let kinds = [(Id::Dns, dns.is_some()), (Id::Srv, srv.is_some()), (Id::File, file.is_some())];
        let at = one_of(spelling, Id::Discovery, &kinds)?;
        let chosen = self.sources.into_iter().flatten().next().unwrap_or_default();
        let source = match at {
            0 => Source::Dns(chosen),
            1 => Source::Srv(chosen),
            _ => Source::File(PathBuf::from(chosen)),
        };
        Ok(Discovery { source, servers: self.servers, refresh: self.refresh })
    }
}

impl HealthDraft {
    fn assign(&mut self, spec: &Spec, spelling: Spelling, value: &Value) -> Option<()> {
        match spec.id {
            Id::HealthPath => {
                self.path = optional(value, |value| {
                    let path = text(value)?;
                    (path.starts_with('/') && path.parse::<http::uri::PathAndQuery>().is_ok()).then(|| path.into())
                })?;
            }
            Id::HealthTcp => self.tcp = truth(value)?,
            Id::HealthInterval => self.rest.interval = spelling.length(value, spec.kind)??,
            Id::HealthTimeout => self.rest.timeout = spelling.length(value, spec.kind)??,
            Id::Unhealthy => self.rest.unhealthy = spelling.count(value, spec.kind)??,
            _ => self.rest.healthy = spelling.count(value, spec.kind)??,
        }
        Some(())
    }

    fn finish(self, spelling: Spelling) -> Result<HealthCheck, ConfigError> {
        one_of(spelling, Id::HealthCheck, &[(Id::HealthPath, self.path.is_some()), (Id::HealthTcp, self.tcp)])?;
        let probe = self.path.map_or(Probe::Tcp, Probe::Http);
        Ok(HealthCheck { probe, ..self.rest })
    }
}

impl AuthDraft {
    fn assign(&mut self, id: Id, value: &Value) -> Option<()> {
        let place = match id {
            Id::ApiKeyHeader => {
                let name = |value: &Value| Some(text(value)?.parse::<http::HeaderName>().ok()?.as_str().to_owned());
                self.api_key_header = optional(value, name)?;
                return Some(());
            }
            Id::Bearer => &mut self.bearer[0],
            Id::BearerEnv => &mut self.bearer[1],
            Id::BearerFile => &mut self.bearer[2],
            Id::Username => &mut self.username,
            Id::Password => &mut self.password,
            Id::ApiKey => &mut self.api_key,
            Id::TokenUrl => &mut self.token_url,
            Id::OAuthClient => &mut self.client_id,
            Id::OAuthSecret => &mut self.client_secret,
            _ => &mut self.scope,
        };
        let is_allowed: fn(&str) -> bool = match id {
            // A header's value, as far as a field of it may be anything at all.
            Id::Bearer | Id::ApiKey => |text| http::HeaderValue::from_str(text).is_ok(),
            // RFC 7617: the first colon ends the name.
            Id::Username => |text| !text.contains(':'),
            Id::TokenUrl => |text| Target::parse(text).is_some_and(|url| url.is_tls().is_some()),
            _ => |_| true,
        };
        *place = optional(value, |value| text(value).filter(|text| is_allowed(text)).map(Secret::new))?;
        Some(())
    }

    fn finish(self, spelling: Spelling) -> Result<Auth, ConfigError> {
        let [bearer, env, file] = self.bearer;
        let kinds = [
            (Id::Bearer, bearer.is_some()),
            (Id::BearerEnv, env.is_some()),
            (Id::BearerFile, file.is_some()),
            (Id::Username, self.username.is_some()),
            (Id::ApiKey, self.api_key.is_some()),
            (Id::TokenUrl, self.token_url.is_some()),
        ];
        let at = one_of(spelling, Id::Auth, &kinds)?;
        let needed = |id: Id, value: Option<Secret>| {
            let spec = Spec::of(id);
            value.ok_or_else(|| ConfigError::new(spelling.name(spec), spelling.nothing(), spelling.allowed(spec)))
        };
        let shown = |secret: &Option<Secret>| secret.as_ref().map(|text| text.reveal().to_owned());
        Ok(match at {
            3 => Auth::Basic {
                username: shown(&self.username).unwrap_or_default(),
                password: needed(Id::Password, self.password)?,
            },
            4 => Auth::ApiKey {
                header: self.api_key_header.unwrap_or_else(|| "x-api-key".into()),
                key: needed(Id::ApiKey, self.api_key)?,
            },
            5 => Auth::OAuth2(ClientCredentials {
                token_url: shown(&self.token_url).unwrap_or_default(),
                client_id: needed(Id::OAuthClient, self.client_id)?.reveal().into(),
                client_secret: needed(Id::OAuthSecret, self.client_secret)?,
                scope: shown(&self.scope),
            }),
            2 => Auth::Bearer(Token::File(PathBuf::from(shown(&file).unwrap_or_default()))),
            1 => Auth::Bearer(Token::Env(shown(&env).unwrap_or_default())),
            _ => Auth::Bearer(Token::Value(needed(Id::Bearer, bearer)?)),
        })
    }
}

fn assign_tls(tls: &mut Tls, id: Id, value: &Value) -> Option<()> {
    let path = |value: &Value| optional(value, |value| Some(PathBuf::from(text(value)?)));
    match id {
        Id::TlsCa => tls.ca = path(value)?,
        Id::TlsCert => tls.cert = path(value)?,
        Id::TlsKey => tls.key = path(value)?,
        Id::ServerName => {
            // A host alone: certificates are not for ports.
            let is_host = |name: &&str| {
                Target::parse(name).is_some_and(|target| target.is_tls().is_none() && target.port().is_none())
            };
            tls.server_name = optional(value, |value| text(value).filter(is_host).map(str::to_owned))?;
        }
        Id::MinVersion => tls.min_version = *TlsVersion::ALL.iter().find(|v| is_text(value, v.as_str()))?,
        Id::Pins => {
            let pins = texts(value)?;
            if !pins.iter().all(|pin| is_pin(pin)) {
                return None;
            }
            tls.pins = pins;
        }
        _ => tls.dangerous_accept_invalid_certificates = truth(value)?,
    }
    Some(())
}

/// Whether it is a SHA-256 in Base64: 32 bytes.
fn is_pin(pin: &str) -> bool {
    let digits = pin.strip_suffix('=').unwrap_or_default();
    digits.len() == 43 && digits.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
}

fn assign_http(http: &mut Http, spec: &Spec, spelling: Spelling, value: &Value) -> Option<()> {
    let kind = spec.kind;
    match spec.id {
        Id::HttpVersion => http.version = *Version::ALL.iter().find(|v| is_text(value, v.as_str()))?,
        Id::MaxHeaderBytes => http.max_header_bytes = spelling.count(value, kind)??,
        Id::MaxBodyBytes => http.max_body_bytes = spelling.count(value, kind)??,
        Id::ReplayBytes => http.replay_bytes = spelling.count(value, kind)??,
        Id::FollowRedirects => http.follow_redirects = spelling.count(value, kind)??,
        Id::Decompress => http.decompress = truth(value)?,
        Id::ProxyFromEnvironment => http.proxy_from_environment = truth(value)?,
        Id::AttemptHeaders => http.attempt_headers = truth(value)?,
        Id::MaxConnections => http.max_connections = spelling.count(value, kind)??,
        _ => http.idle_timeout = spelling.length(value, kind)??,
    }
    Some(())
}

fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        _ => None,
    }
}

/// Text that says something.
pub(super) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) if !text.is_empty() && !text.contains(['\0', '\n', '\r']) => Some(text),
        _ => None,
    }
}

pub(super) fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Null => Some(Vec::new()),
        Value::List(values) => values.iter().map(|value| text(value).map(str::to_owned)).collect(),
        _ => None,
    }
}

/// A host, perhaps with a port; no URL.
fn host_name(value: &Value) -> Option<String> {
    let name = text(value)?;
    Target::parse(name).filter(|target| target.is_tls().is_none()).map(|target| target.as_str().to_owned())
}

/// Nothing, or what it has to be.
fn optional<T>(value: &Value, read: impl FnOnce(&Value) -> Option<T>) -> Option<Option<T>> {
    match value {
        Value::Null => Some(None),
        value => read(value).map(Some),
    }
}

fn headers(value: &Value) -> Option<Vec<(String, Secret)>> {
    let pairs = match value {
        Value::Null => return Some(Vec::new()),
        Value::Map(pairs) => pairs,
        _ => return None,
    };
    pairs
        .iter()
        .map(|(name, value)| {
            let name = name.parse::<http::HeaderName>().ok()?;
            let Value::Text(value) = value else { return None };
            http::HeaderValue::from_str(value).ok()?;
            Some((name.as_str().to_owned(), Secret::new(value)))
        })
        .collect()
}

/// The endpoints of a list: hosts or URLs, or maps of `url`, `weight`, `zone` and `metadata`.
pub(super) fn endpoints(value: &Value) -> Option<Vec<Endpoint>> {
    match value {
        Value::Null => Some(Vec::new()),
        Value::List(values) => values.iter().map(endpoint).collect(),
        _ => None,
    }
}

fn endpoint(value: &Value) -> Option<Endpoint> {
    let fields = match value {
        Value::Map(fields) => fields,
        value => return Endpoint::new(text(value)?).filter(has_no_path),
    };
    let url = fields.iter().find(|(name, _)| name == "url")?;
    let mut endpoint = Endpoint::new(text(&url.1)?).filter(has_no_path)?;
    for (name, value) in fields {
        endpoint = match (name.as_str(), value) {
            ("url", _) | ("zone" | "weight" | "metadata", Value::Null) => endpoint,
            ("weight", Value::Int(weight)) if (1..=Endpoint::MOST_WEIGHT.into()).contains(weight) => {
                endpoint.weight(*weight as u32)
            }
            // Where there is one kind of number.
            ("weight", Value::Float(weight))
                if weight.fract() == 0.0 && (1.0..=f64::from(Endpoint::MOST_WEIGHT)).contains(weight) =>
            {
                endpoint.weight(*weight as u32)
            }
            ("zone", value) => endpoint.zone(text(value)?),
            ("metadata", Value::Map(pairs)) => {
                let pair = |(name, value): &(String, Value)| Some((name.clone(), text(value)?.to_owned()));
                endpoint.metadata(pairs.iter().map(pair).collect::<Option<BTreeMap<_, _>>>()?)
            }
            _ => return None,
        };
    }
    Some(endpoint)
}

/// Paths are the target's, the same at every endpoint.
fn has_no_path(endpoint: &Endpoint) -> bool {
    endpoint.address().base_path().is_empty()
}

/// What a message shows of a value that is not allowed: no secret, wherever somebody may have put one (S3).
pub(super) fn shown(spelling: Spelling, spec: &Spec, value: &Value) -> String {
    let hidden = || "***".to_owned();
    match (spec.id, spec.kind, value) {
        // Of digits alone.
        (_, Kind::Secret(_), Value::Int(_) | Value::Float(_)) => hidden(),
        (_, _, Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Length(_)) => {
            spelling.show(value)
        }
        (Id::Auth, ..) | (_, Kind::Secret(_), _) => hidden(),
        // A password, behind the colon.
        (Id::Username, _, Value::Text(text)) if text.contains(':') => hidden(),
        (_, Kind::Pairs(_), Value::Map(pairs)) => {
            let hidden = |(name, _): &(String, Value)| (name.clone(), Value::Other(hidden()));
            spelling.show(&Value::Map(pairs.iter().map(hidden).collect()))
        }
        (_, Kind::Pairs(_), _) => hidden(),
        (Id::TokenUrl | Id::Dns | Id::Srv, ..) | (_, Kind::Endpoints, _) => spelling.show(&without_credentials(value)),
        _ => spelling.show(value),
    }
}

/// The same, with what may be credentials in URLs hidden.
fn without_credentials(value: &Value) -> Value {
    match value {
        Value::Text(text) => Value::Text(Target::shown(text)),
        Value::List(values) => Value::List(values.iter().map(without_credentials).collect()),
        Value::Map(pairs) => {
            Value::Map(pairs.iter().map(|(name, value)| (name.clone(), without_credentials(value))).collect())
        }
        Value::Other(shown) if shown.contains('@') => Value::Other("***".into()),
        value => value.clone(),
    }
}
