//! A policy, told to C: numbers as they are, choices as words that live as long as the process, and texts and lists that are kept
//! beside the options that point to them. Secrets are not told (S3).

use std::ffi::{CString, c_char};
use std::path::Path;
use std::{mem, ptr};

use ambassador_core::balance::{HealthCheck, Outlier, Probe};
use ambassador_core::discovery::{Discovery, Source};
use ambassador_core::policy::auth::{Auth, Secret, Token};
use ambassador_core::policy::http::Http;
use ambassador_core::policy::tls::Tls;
use ambassador_core::{Endpoint, Policy};

use super::amb_options;
use super::network::{
    amb_auth, amb_discovery, amb_endpoint, amb_health_check, amb_http, amb_outlier, amb_pair, amb_tls,
};
use super::policies::{amb_backoff, amb_breaker, amb_budget, amb_bulkhead, amb_hedge, amb_rate_limit};
use super::values::{ms, or_none, word};
use crate::c_text;

/// A policy as C reads it, and the texts that it points to.
pub(crate) struct Told {
    policy: Policy,
    pub options: amb_options,
    _kept: Kept,
}

// SAFETY: the pointers are to words that live as long as the process and to what is kept here, none of which changes.
unsafe impl Send for Told {}

impl Told {
    pub fn new(policy: Policy, name: *const c_char) -> Told {
        let mut kept = Kept::default();
        let options = kept.options(&policy, name);
        Told { policy, options, _kept: kept }
    }

    pub fn is_of(&self, policy: &Policy) -> bool {
        self.policy == *policy
    }
}

/// Of the default policy, in which there are no texts to be kept.
pub(super) fn defaults() -> amb_options {
    Kept::default().options(&Policy::default(), ptr::null())
}

/// Texts and lists, each of which stays where it is.
#[derive(Default)]
struct Kept {
    texts: Vec<CString>,
    lists: Vec<Box<[*const c_char]>>,
    pairs: Vec<Box<[amb_pair]>>,
    endpoints: Box<[amb_endpoint]>,
}

impl Kept {
    fn text(&mut self, text: &str) -> *const c_char {
        let text = c_text(text);
        let pointer = text.as_ptr();
        self.texts.push(text);
        pointer
    }

    fn text_or_null(&mut self, text: Option<&str>) -> *const c_char {
        text.map_or(ptr::null(), |text| self.text(text))
    }

    fn path(&mut self, path: Option<&Path>) -> *const c_char {
        path.map_or(ptr::null(), |path| self.text(&path.to_string_lossy()))
    }

    fn list(&mut self, texts: impl Iterator<Item = String>) -> (*const *const c_char, usize) {
        let list: Box<[_]> = texts.map(|text| self.text(&text)).collect();
        if list.is_empty() {
            return (ptr::null(), 0);
        }
        let (pointer, count) = (list.as_ptr(), list.len());
        self.lists.push(list);
        (pointer, count)
    }

    fn pairs<'a>(&mut self, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> (*const amb_pair, usize) {
        let list: Box<[_]> =
            pairs.map(|(name, value)| amb_pair { name: self.text(name), value: self.text(value) }).collect();
        if list.is_empty() {
            return (ptr::null(), 0);
        }
        let (pointer, count) = (list.as_ptr(), list.len());
        self.pairs.push(list);
        (pointer, count)
    }

    fn endpoints(&mut self, endpoints: &[Endpoint]) -> (*const amb_endpoint, usize) {
        if endpoints.is_empty() {
            return (ptr::null(), 0);
        }
        self.endpoints = endpoints
            .iter()
            .map(|endpoint| {
                let known = endpoint.its_metadata().iter().map(|(name, value)| (name.as_str(), value.as_str()));
                let (metadata, metadata_count) = self.pairs(known);
                amb_endpoint {
                    url: self.text(endpoint.as_str()),
                    weight: endpoint.its_weight().into(),
                    zone: self.text_or_null(endpoint.its_zone()),
                    metadata,
                    metadata_count,
                }
            })
            .collect();
        (self.endpoints.as_ptr(), self.endpoints.len())
    }

    fn options(&mut self, policy: &Policy, name: *const c_char) -> amb_options {
        let shared = &policy.shared;
        let (endpoints, endpoints_count) = self.endpoints(&shared.endpoints);
        let (headers, headers_count) = self.pairs(policy.headers.iter().map(|(name, _)| (name.as_str(), HIDDEN)));
        let balancers = [c"p2c", c"round_robin", c"least_request", c"random", c"ring_hash", c"maglev"];
        amb_options {
            size: mem::size_of::<amb_options>(),
            max_retries: policy.max_retries.into(),
            name,
            timeout_ms: or_none(policy.timeout),
            deadline_ms: or_none(policy.deadline),
            backoff: amb_backoff::of(&policy.backoff),
            classify: None,
            classify_data: ptr::null_mut(),
            budget: amb_budget::of(shared.budget.as_ref()),
            breaker: amb_breaker::of(shared.breaker.as_ref()),
            bulkhead: amb_bulkhead::of(shared.bulkhead.as_ref()),
            rate_limit: amb_rate_limit::of(shared.rate_limit.as_ref()),
            fallback: None,
            fallback_data: ptr::null_mut(),
            hedge: amb_hedge::of(policy.hedge),
            idempotent: policy.idempotent,
            endpoints,
            endpoints_count,
            discovery: self.discovery(shared.discovery.as_ref()),
            balance: word(&balancers, shared.balance.as_str()),
            hash_on: self.text_or_null(shared.hash_on.as_ref().map(ToString::to_string).as_deref()),
            zone: self.text_or_null(shared.zone.as_deref()),
            slow_start_ms: or_none(shared.slow_start),
            outlier: outlier(shared.outlier.as_ref()),
            health_check: self.health_check(shared.health_check.as_ref()),
            tls: self.tls(&shared.tls),
            auth: self.auth(policy.auth.as_ref()),
            headers,
            headers_count,
            idempotency_key: word(&[c"off", c"auto"], policy.idempotency_key.as_str()),
            http: http(&shared.http),
        }
    }

    fn discovery(&mut self, set: Option<&Discovery>) -> amb_discovery {
        let usual = Discovery::new(Source::Dns(String::new()));
        let discovery = set.unwrap_or(&usual);
        let (servers, servers_count) = self.list(discovery.servers.iter().map(ToString::to_string));
        let mut told = amb_discovery {
            enabled: set.is_some(),
            dns: ptr::null(),
            srv: ptr::null(),
            file: ptr::null(),
            servers,
            servers_count,
            refresh_ms: ms(discovery.refresh),
        };
        match set.map(|discovery| &discovery.source) {
            None => {}
            Some(Source::Dns(name)) => told.dns = self.text(name),
            Some(Source::Srv(name)) => told.srv = self.text(name),
            Some(Source::File(path)) => told.file = self.path(Some(path)),
        }
        told
    }

    fn health_check(&mut self, set: Option<&HealthCheck>) -> amb_health_check {
        let check = set.cloned().unwrap_or(HealthCheck::new(Probe::Tcp));
        let path = match &check.probe {
            Probe::Http(path) => Some(path.as_str()),
            Probe::Tcp => None,
        };
        amb_health_check {
            enabled: set.is_some(),
            tcp: set.is_some() && path.is_none(),
            path: self.text_or_null(path),
            interval_ms: ms(check.interval),
            timeout_ms: ms(check.timeout),
            unhealthy: check.unhealthy.into(),
            healthy: check.healthy.into(),
        }
    }

    fn tls(&mut self, tls: &Tls) -> amb_tls {
        let (pins, pins_count) = self.list(tls.pins.iter().cloned());
        amb_tls {
            ca: self.path(tls.ca.as_deref()),
            cert: self.path(tls.cert.as_deref()),
            key: self.path(tls.key.as_deref()),
            server_name: self.text_or_null(tls.server_name.as_deref()),
            min_version: word(&[c"1.2", c"1.3"], tls.min_version.as_str()),
            pins,
            pins_count,
            dangerous_accept_invalid_certificates: tls.dangerous_accept_invalid_certificates,
        }
    }

    fn auth(&mut self, set: Option<&Auth>) -> amb_auth {
        let mut told = amb_auth {
            enabled: set.is_some(),
            bearer: ptr::null(),
            bearer_env: ptr::null(),
            bearer_file: ptr::null(),
            username: ptr::null(),
            password: ptr::null(),
            api_key: ptr::null(),
            api_key_header: ptr::null(),
            token_url: ptr::null(),
            client_id: ptr::null(),
            client_secret: ptr::null(),
            scope: ptr::null(),
        };
        let hidden = |_: &Secret| HIDDEN_C.as_ptr();
        match set {
            None => {}
            Some(Auth::Bearer(Token::Value(token))) => told.bearer = hidden(token),
            Some(Auth::Bearer(Token::Env(name))) => told.bearer_env = self.text(name),
            Some(Auth::Bearer(Token::File(path))) => told.bearer_file = self.path(Some(path)),
            Some(Auth::Basic { username, password }) => {
                told.username = self.text(username);
                told.password = hidden(password);
            }
            Some(Auth::ApiKey { header, key }) => {
                told.api_key = hidden(key);
                told.api_key_header = self.text(header);
            }
            Some(Auth::OAuth2(client)) => {
                told.token_url = self.text(&client.token_url);
                told.client_id = self.text(&client.client_id);
                told.client_secret = hidden(&client.client_secret);
                told.scope = self.text_or_null(client.scope.as_deref());
            }
        }
        told
    }
}

/// In place of a secret.
const HIDDEN: &str = "***";
const HIDDEN_C: &std::ffi::CStr = c"***";

fn outlier(set: Option<&Outlier>) -> amb_outlier {
    let outlier = set.copied().unwrap_or_default();
    amb_outlier {
        enabled: set.is_some(),
        consecutive_failures: outlier.consecutive_failures.into(),
        base_ms: ms(outlier.base),
        max_ms: ms(outlier.max),
        max_ejected: outlier.max_ejected,
        panic: outlier.panic,
    }
}

fn http(http: &Http) -> amb_http {
    amb_http {
        version: word(&[c"auto", c"1", c"2"], http.version.as_str()),
        max_header_bytes: http.max_header_bytes.into(),
        max_body_bytes: http.max_body_bytes.into(),
        replay_bytes: http.replay_bytes.into(),
        follow_redirects: http.follow_redirects.into(),
        decompress: http.decompress,
        proxy_from_environment: http.proxy_from_environment,
        attempt_headers: http.attempt_headers,
        max_connections: http.max_connections.into(),
        idle_timeout_ms: ms(http.idle_timeout),
    }
}
