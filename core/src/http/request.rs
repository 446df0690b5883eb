//! What is sent: the caller's request, made one for the target. Its path follows the target's, its headers are joined by the
//! policy's and the ambassador's own; what is only for one connection stays behind.

use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, Entry, HOST, HeaderMap, HeaderName,
    HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Request, Uri, Version};

use super::body::Body;
use super::environment::Via;
use crate::call::Call;
use crate::clock::{NEVER, Nanos};
use crate::policy::Policy;
use crate::policy::http::IdempotencyKey;
use crate::proxy::CallId;
use crate::target::Target;
use crate::telemetry::trace::{self, Context};

pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const TRACEPARENT: HeaderName = HeaderName::from_static(trace::TRACEPARENT);
const TRACESTATE: HeaderName = HeaderName::from_static(trace::TRACESTATE);
const ATTEMPT: HeaderName = HeaderName::from_static("x-ambassador-attempt");
const REMAINING: HeaderName = HeaderName::from_static("x-ambassador-remaining-ms");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Whom requests are for: an origin (RFC 6454).
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// As `Host` says it.
    host: HeaderValue,
    pub(super) authority: Authority,
    pub(super) scheme: Scheme,
}

impl Site {
    /// That origin, without the port that the scheme means anyway.
    pub(super) fn new(scheme: Scheme, authority: &str) -> Site {
        let text = authority_of(authority, &scheme);
        Site {
            host: HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("")),
            // It has been read before, as part of a target or of a URL.
            authority: text.parse().unwrap_or_else(|_| Authority::from_static("localhost")),
            scheme,
        }
    }

    /// Host, port, and whether TLS is spoken.
    pub(super) fn parts(&self) -> (&str, u16, bool) {
        let is_tls = self.scheme == Scheme::HTTPS;
        let port = self.authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        (self.authority.host().trim_matches(['[', ']']), port, is_tls)
    }

    /// Whether it is the same origin.
    pub(super) fn is(&self, other: &Site) -> bool {
        self.scheme == other.scheme && self.authority.as_str().eq_ignore_ascii_case(other.authority.as_str())
    }
}

/// What all requests of a proxy have in common, read once.
#[derive(Debug)]
pub(crate) struct Common {
    pub(super) site: Site,
    base_path: Box<str>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Common {
    pub fn new(target: &Target, policy: &Policy) -> Common {
        let is_tls = target.is_tls().unwrap_or(true);
        let headers = policy.headers.iter().filter_map(|(name, value)| {
            let mut value = HeaderValue::from_str(value.reveal()).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value))
        });
        Common {
            site: Site::new(if is_tls { Scheme::HTTPS } else { Scheme::HTTP }, target.authority()),
            base_path: target.base_path().into(),
            headers: headers.collect(),
        }
    }
}

/// A call's request, as each of its attempts sends it.
pub(super) struct Draft {
    pub method: Method,
    /// In origin form: a path.
    pub path: PathAndQuery,
    pub headers: HeaderMap,
    /// Whether responses are unpacked: whoever asks for a coding himself gets it.
    pub unpacks: bool,
    trace: Onward,
}

/// P6: what an attempt says of its trace, unless the call has a span.
enum Onward {
    /// Nothing: it is the ambassador's own request.
    Nothing,
    /// What the caller's own headers say.
    AsIs,
    /// What comes from that span.
    From(Context),
    /// A trace begins here, known by that number.
    Begun(u128),
}

impl Draft {
    /// The request for the target; a text that says why there can be none.
    pub fn new(
        common: &Common,
        policy: &Policy,
        parts: http::request::Parts,
        decompress: bool,
        is_stream: bool,
    ) -> Result<Draft, String> {
        let path = common.path_of(&parts.uri)?;
        let mut headers = parts.headers;
        without_hops(&mut headers, is_stream);
        for (name, value) in &common.headers {
            if let Entry::Vacant(entry) = headers.entry(name) {
                entry.insert(value.clone());
            }
        }
        if let Entry::Vacant(entry) = headers.entry(USER_AGENT) {
            entry.insert(HeaderValue::from_static(concat!("ambassador/", env!("CARGO_PKG_VERSION"))));
        }
        let unpacks = decompress && !headers.contains_key(ACCEPT_ENCODING);
        if unpacks {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, deflate, br, zstd"));
        }
        // P2
        if policy.idempotency_key == IdempotencyKey::Auto
            && let Entry::Vacant(entry) = headers.entry(IDEMPOTENCY_KEY)
            && let Ok(key) = HeaderValue::from_maybe_shared(bytes::Bytes::from(CallId::random().to_string()))
        {
            entry.insert(key);
        }
        Ok(Draft { method: parts.method, path, headers, unpacks, trace: Onward::Nothing })
    }

    /// P6: what the request comes from: what its headers say, else the `current` span. Where there is neither, a trace begins, known
    /// by what `begun` gives.
    pub fn trace_on(
        &mut self,
        current: impl FnOnce() -> Option<Context>,
        begun: impl FnOnce() -> u128,
    ) -> Option<Context> {
        let own = context_of(&self.headers);
        if own.is_some() {
            self.trace = Onward::AsIs;
            return own;
        }
        // What is no context begins anew.
        self.headers.remove(TRACEPARENT);
        self.headers.remove(TRACESTATE);
        let current = current();
        self.trace = match &current {
            Some(current) => Onward::From(current.clone()),
            None => Onward::Begun(begun()),
        };
        current
    }

    /// What an attempt of the call sends.
    pub fn for_attempt(&self, call: &Call, has_attempt_headers: bool, now: Nanos) -> HeaderMap {
        let mut headers = self.headers.clone();
        let mut insert = |name: HeaderName, value: String| {
            if let Ok(value) = HeaderValue::from_maybe_shared(bytes::Bytes::from(value)) {
                headers.insert(name, value);
            }
        };
        // P6
        let own = call.span().context();
        let begun = match (&own, &self.trace) {
            (None, Onward::Begun(trace)) => Some(Context::begun(*trace, call.attempt())),
            _ => None,
        };
        let context = match &self.trace {
            Onward::From(context) => Some(context),
            _ => None,
        };
        if let Some(context) = own.as_ref().or(begun.as_ref()).or(context) {
            insert(TRACEPARENT, context.traceparent());
            if let Some(state) = context.tracestate() {
                insert(TRACESTATE, state.into());
            }
        }
        if has_attempt_headers {
            insert(ATTEMPT, call.attempt().to_string());
            if call.bound() != NEVER {
                insert(REMAINING, (call.bound().saturating_sub(now) / 1_000_000).to_string());
            }
        }
        headers
    }
}

/// What the headers say of a trace; of two that say it, neither is believed.
fn context_of(headers: &HeaderMap) -> Option<Context> {
    let mut parents = headers.get_all(TRACEPARENT).iter();
    let (Some(parent), None) = (parents.next(), parents.next()) else { return None };
    let states: Vec<&str> = headers.get_all(TRACESTATE).iter().filter_map(|value| value.to_str().ok()).collect();
    Context::parse(parent.to_str().ok()?, (!states.is_empty()).then(|| states.join(",")).as_deref())
}

impl Common {
    /// The target's path, then the request's.
    fn path_of(&self, uri: &Uri) -> Result<PathAndQuery, String> {
        let own = uri.path_and_query();
        if let Some(authority) = uri.authority() {
            // A whole URL is the target's own, or it is nobody's here.
            let scheme = uri.scheme().unwrap_or(&self.site.scheme).clone();
            if !Site::new(scheme, authority.as_str()).is(&self.site) {
                return Err("the request's URL is not the target's; give its path".into());
            }
            return Ok(own.cloned().unwrap_or_else(|| PathAndQuery::from_static("/")));
        }
        let own = own.ok_or("the request has no path")?;
        if self.base_path.is_empty() || own.as_str() == "*" {
            return Ok(own.clone());
        }
        let joined = match own.as_str() {
            path if path.starts_with('/') => format!("{}{path}", self.base_path),
            query => format!("{}{query}", self.base_path),
        };
        PathAndQuery::from_maybe_shared(bytes::Bytes::from(joined)).map_err(|_| "the request's path is none".into())
    }
}

/// What is asked of a site.
pub(super) struct Asked {
    pub method: Method,
    pub path: PathAndQuery,
    pub headers: HeaderMap,
    pub body: Body,
}

impl Site {
    /// The request by HTTP/1; of a proxy, where there is one in between.
    pub(super) fn by_one(&self, asked: Asked, proxy: Option<&Via>) -> Request<Body> {
        let Asked { method, path, mut headers, body } = asked;
        headers.insert(HOST, self.host.clone());
        let uri = match proxy {
            None => Uri::from(path),
            Some(proxy) => {
                if let Some(authorization) = &proxy.authorization {
                    headers.insert(PROXY_AUTHORIZATION, authorization.clone());
                }
                self.whole(path)
            }
        };
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        request
    }

    /// The request by HTTP/2, which has a field of its own for the host.
    pub(super) fn by_two(&self, asked: Asked) -> Request<Body> {
        let mut request = Request::new(asked.body);
        *request.method_mut() = asked.method;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = self.whole(asked.path);
        *request.headers_mut() = asked.headers;
        request
    }

    fn whole(&self, path: PathAndQuery) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).unwrap_or_default()
    }
}

/// Without the port that the scheme means anyway.
fn authority_of<'a>(text: &'a str, scheme: &Scheme) -> &'a str {
    let default = if *scheme == Scheme::HTTPS { ":443" } else { ":80" };
    text.strip_suffix(default).filter(|host| !host.is_empty()).unwrap_or(text)
}

/// RFC 9110, section 7.6.1: what is for one connection only. That one is the ambassador's to describe, as is the length of a body in
/// memory, and the host.
fn without_hops(headers: &mut HeaderMap, is_stream: bool) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok())
            .collect();
        for name in named {
            headers.remove(name);
        }
    }
    let is_hop = |name: &HeaderName| {
        [
            CONNECTION,
            TRANSFER_ENCODING,
            UPGRADE,
            TRAILER,
            EXPECT,
            HOST,
            KEEP_ALIVE,
            PROXY_CONNECTION,
            PROXY_AUTHENTICATE,
        ]
        .contains(name)
            || (*name == CONTENT_LENGTH && !is_stream)
    };
    let hops: Vec<HeaderName> = headers.keys().filter(|name| is_hop(name)).cloned().collect();
    for name in hops {
        headers.remove(name);
    }
    // Of what it may ask for, this alone goes further than one connection.
    if headers.get(TE).is_some_and(|value| value != "trailers") {
        headers.remove(TE);
    }
}

/// P5: what says who asks, or what it knows; never for another origin.
pub(super) fn without_credentials(headers: &mut HeaderMap, common: &Common) {
    for name in [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION] {
        headers.remove(name);
    }
    for (name, _) in &common.headers {
        headers.remove(name);
    }
    let sensitive: Vec<HeaderName> =
        headers.iter().filter(|(_, value)| value.is_sensitive()).map(|(name, _)| name.clone()).collect();
    for name in sensitive {
        headers.remove(name);
    }
}
