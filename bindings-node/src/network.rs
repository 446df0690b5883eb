//! The settings of networking that are in force, as `proxy.policy` tells them (C3). Secrets are not told (S3).

use std::collections::HashMap;
use std::path::PathBuf;

use ambassador_core::Endpoint;
use ambassador_core::balance::{HealthCheck, Outlier, Probe};
use ambassador_core::discovery::{Discovery, Source};
use ambassador_core::policy::auth::{Auth, Token};
use ambassador_core::policy::http::Http;
use ambassador_core::policy::tls::Tls;
use napi_derive::napi;

use crate::policy::{HIDDEN, OrNull, or_null};
use crate::settings::milliseconds;

#[napi(object)]
pub struct EndpointInForce {
    pub url: String,
    pub weight: u32,
    pub zone: OrNull<String>,
    pub metadata: HashMap<String, String>,
}

impl From<&Endpoint> for EndpointInForce {
    fn from(endpoint: &Endpoint) -> EndpointInForce {
        EndpointInForce {
            url: endpoint.as_str().into(),
            weight: endpoint.its_weight(),
            zone: or_null(endpoint.its_zone().map(Into::into)),
            metadata: endpoint.its_metadata().clone().into_iter().collect(),
        }
    }
}

#[napi(object)]
pub struct DiscoveryInForce {
    pub dns: OrNull<String>,
    pub srv: OrNull<String>,
    pub file: OrNull<String>,
    pub servers: Vec<String>,
    pub refresh_ms: f64,
}

impl From<&Discovery> for DiscoveryInForce {
    fn from(discovery: &Discovery) -> DiscoveryInForce {
        let (dns, srv, file) = match &discovery.source {
            Source::Dns(name) => (Some(name.clone()), None, None),
            Source::Srv(name) => (None, Some(name.clone()), None),
            Source::File(path) => (None, None, Some(path.display().to_string())),
        };
        DiscoveryInForce {
            dns: or_null(dns),
            srv: or_null(srv),
            file: or_null(file),
            servers: discovery.servers.iter().map(ToString::to_string).collect(),
            refresh_ms: milliseconds(discovery.refresh),
        }
    }
}

#[napi(object)]
pub struct OutlierInForce {
    pub consecutive_failures: u32,
    pub base_ms: f64,
    pub max_ms: f64,
    pub max_ejected: f64,
    pub panic: f64,
}

impl From<&Outlier> for OutlierInForce {
    fn from(outlier: &Outlier) -> OutlierInForce {
        OutlierInForce {
            consecutive_failures: outlier.consecutive_failures,
            base_ms: milliseconds(outlier.base),
            max_ms: milliseconds(outlier.max),
            max_ejected: outlier.max_ejected,
            panic: outlier.panic,
        }
    }
}

#[napi(object)]
pub struct HealthCheckInForce {
    pub path: OrNull<String>,
    pub tcp: bool,
    pub interval_ms: f64,
    pub timeout_ms: f64,
    pub unhealthy: u32,
    pub healthy: u32,
}

impl From<&HealthCheck> for HealthCheckInForce {
    fn from(check: &HealthCheck) -> HealthCheckInForce {
        let path = match &check.probe {
            Probe::Http(path) => Some(path.clone()),
            Probe::Tcp => None,
        };
        HealthCheckInForce {
            tcp: path.is_none(),
            path: or_null(path),
            interval_ms: milliseconds(check.interval),
            timeout_ms: milliseconds(check.timeout),
            unhealthy: check.unhealthy,
            healthy: check.healthy,
        }
    }
}

#[napi(object)]
pub struct TlsInForce {
    pub ca: OrNull<String>,
    pub cert: OrNull<String>,
    pub key: OrNull<String>,
    pub server_name: OrNull<String>,
    pub min_version: String,
    pub pins: Vec<String>,
    pub dangerous_accept_invalid_certificates: bool,
}

impl From<&Tls> for TlsInForce {
    fn from(tls: &Tls) -> TlsInForce {
        let path = |path: &Option<PathBuf>| or_null(path.as_ref().map(|path| path.display().to_string()));
        TlsInForce {
            ca: path(&tls.ca),
            cert: path(&tls.cert),
            key: path(&tls.key),
            server_name: or_null(tls.server_name.clone()),
            min_version: tls.min_version.as_str().into(),
            pins: tls.pins.clone(),
            dangerous_accept_invalid_certificates: tls.dangerous_accept_invalid_certificates,
        }
    }
}

#[napi(object)]
pub struct AuthInForce {
    pub bearer: OrNull<String>,
    pub bearer_env: OrNull<String>,
    pub bearer_file: OrNull<String>,
    pub username: OrNull<String>,
    pub password: OrNull<String>,
    pub api_key: OrNull<String>,
    pub api_key_header: OrNull<String>,
    pub token_url: OrNull<String>,
    pub client_id: OrNull<String>,
    pub client_secret: OrNull<String>,
    pub scope: OrNull<String>,
}

impl AuthInForce {
    fn none() -> AuthInForce {
        let none = || or_null(None);
        AuthInForce {
            bearer: none(),
            bearer_env: none(),
            bearer_file: none(),
            username: none(),
            password: none(),
            api_key: none(),
            api_key_header: none(),
            token_url: none(),
            client_id: none(),
            client_secret: none(),
            scope: none(),
        }
    }
}

impl From<&Auth> for AuthInForce {
    fn from(auth: &Auth) -> AuthInForce {
        let told = |text: &str| or_null(Some(text.to_owned()));
        let none = AuthInForce::none();
        match auth {
            Auth::Bearer(Token::Value(_)) => AuthInForce { bearer: told(HIDDEN), ..none },
            Auth::Bearer(Token::Env(name)) => AuthInForce { bearer_env: told(name), ..none },
            Auth::Bearer(Token::File(path)) => AuthInForce { bearer_file: told(&path.display().to_string()), ..none },
            Auth::Basic { username, .. } => AuthInForce { username: told(username), password: told(HIDDEN), ..none },
            Auth::ApiKey { header, .. } => AuthInForce { api_key: told(HIDDEN), api_key_header: told(header), ..none },
            Auth::OAuth2(credentials) => AuthInForce {
                token_url: told(&credentials.token_url),
                client_id: told(&credentials.client_id),
                client_secret: told(HIDDEN),
                scope: or_null(credentials.scope.clone()),
                ..none
            },
        }
    }
}

#[napi(object)]
pub struct HttpInForce {
    pub version: String,
    pub max_header_bytes: u32,
    pub max_body_bytes: u32,
    pub replay_bytes: u32,
    pub follow_redirects: u32,
    pub decompress: bool,
    pub proxy_from_environment: bool,
    pub attempt_headers: bool,
    pub max_connections: u32,
    pub idle_timeout_ms: f64,
}

impl From<&Http> for HttpInForce {
    fn from(http: &Http) -> HttpInForce {
        HttpInForce {
            version: http.version.as_str().into(),
            max_header_bytes: http.max_header_bytes,
            max_body_bytes: http.max_body_bytes,
            replay_bytes: http.replay_bytes,
            follow_redirects: http.follow_redirects,
            decompress: http.decompress,
            proxy_from_environment: http.proxy_from_environment,
            attempt_headers: http.attempt_headers,
            max_connections: http.max_connections,
            idle_timeout_ms: milliseconds(http.idle_timeout),
        }
    }
}
