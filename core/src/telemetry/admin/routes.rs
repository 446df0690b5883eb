//! What the admin server answers: each path, with the headers that keep a browser from making anything else of it.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};
use tracing::Level;

use super::stream::{Hub, Stream};
use super::{Server, door};
use crate::config;
use crate::event::quoted;
use crate::target::State;
use crate::telemetry::{self, Format, dashboard, metrics, not_ready, snapshot, warm};

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
/// How many may read the stream of events at once.
const MOST_STREAMS: u64 = 200;

/// On every response. A page of ours loads nothing from elsewhere, and is part of no other page.
const HEADERS: [(HeaderName, &str); 5] = [
    (
        HeaderName::from_static("content-security-policy"),
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (HeaderName::from_static("x-content-type-options"), "nosniff"),
    (HeaderName::from_static("referrer-policy"), "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (CACHE_CONTROL, "no-store"),
];

/// What is answered with.
pub(super) enum Content {
    Whole(Bytes),
    Events(Box<Stream>),
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Content::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Content::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Content::Events(stream) => Pin::new(&mut **stream).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Content::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Events(_) => SizeHint::default(),
        }
    }
}

type Answer = Response<Content>;

fn answer(status: StatusCode, content_type: &'static str, content: impl Into<Bytes>) -> Answer {
    with(status, content_type, Content::Whole(content.into()))
}

fn with(status: StatusCode, content_type: &'static str, content: Content) -> Answer {
    let mut answer = Response::new(content);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.extend(HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value))));
    answer
}

fn refuse(status: StatusCode, why: &str) -> Answer {
    answer(status, TEXT, format!("{why}\n"))
}

/// What one server answers with.
pub(super) struct Routes {
    server: Arc<Server>,
    hub: Rc<Hub>,
}

impl Routes {
    pub fn new(server: Arc<Server>) -> Routes {
        Routes { server, hub: Rc::default() }
    }

    pub fn answer<B>(&self, request: &Request<B>) -> Answer {
        let (path, headers) = (request.uri().path(), request.headers());
        if !door::is_for_us(headers, &self.server.options) {
            return refuse(StatusCode::FORBIDDEN, "this server is not known by that name; its address in numbers is");
        }
        if let Some((name, action)) = action(path) {
            return if request.method() == Method::POST { self.act(headers, name, action) } else { allow("POST") };
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return allow("GET, HEAD");
        }
        if path == "/healthz" {
            return answer(StatusCode::OK, TEXT, "alive\n");
        }
        if let Some(file) = dashboard::file(path) {
            return answer(StatusCode::OK, file.content_type, file.content);
        }
        let is_trusted = !door::is_guarded(self.server.address) || door::shows_token(headers, &self.server.options);
        match path {
            "/readyz" => readiness(is_trusted),
            "/metrics" | "/v1/snapshot" | "/v1/events" | "/v1/config" if !is_trusted => ask_for_token(),
            "/metrics" => {
                let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
                let format = Format::accepted(accept);
                answer(StatusCode::OK, format.content_type(), metrics(format))
            }
            "/v1/snapshot" => answer(StatusCode::OK, JSON, snapshot()),
            "/v1/config" => answer(StatusCode::OK, JSON, telemetry::config()),
            "/v1/events" => self.events(request.uri().query().unwrap_or_default()),
            _ => refuse(StatusCode::NOT_FOUND, "there is nothing here"),
        }
    }

    fn events(&self, query: &str) -> Answer {
        let level = query.split('&').find_map(|field| field.strip_prefix("level=")).unwrap_or("debug");
        let Ok(level) = level.parse::<Level>() else {
            return refuse(StatusCode::BAD_REQUEST, "level is one of error, warn, info, debug");
        };
        if crate::telemetry::bus::readers() >= MOST_STREAMS {
            return refuse(StatusCode::SERVICE_UNAVAILABLE, "too many read the events already");
        }
        let stream = Content::Events(Box::new(Stream::new(&self.hub, level)));
        with(StatusCode::OK, "text/event-stream; charset=utf-8", stream)
    }

    fn act(&self, headers: &HeaderMap, name: &str, action: Action) -> Answer {
        if !door::is_same_origin(headers) {
            return refuse(StatusCode::FORBIDDEN, "a page of another origin may not do this");
        }
        if !door::shows_token(headers, &self.server.options) {
            return ask_for_token();
        }
        let name = unescaped(name);
        let states = State::all();
        let Some(state) = states.iter().find(|state| state.name() == name) else {
            return refuse(StatusCode::NOT_FOUND, "there is no target of that name");
        };
        if state.settings().breaker.is_none() {
            return refuse(StatusCode::CONFLICT, "the breaker of that target is off");
        }
        match action {
            Action::Isolate => state.isolate(),
            Action::Reset => state.reset(),
        }
        let circuit = state.breaker.circuit().as_str();
        answer(StatusCode::OK, JSON, format!(r#"{{"name":{},"circuit":"{circuit}"}}"#, quoted(&name)))
    }
}

#[derive(Clone, Copy)]
enum Action {
    Isolate,
    Reset,
}

/// `/v1/targets/{name}/isolate`.
fn action(path: &str) -> Option<(&str, Action)> {
    let (name, action) = path.strip_prefix("/v1/targets/")?.rsplit_once('/')?;
    match action {
        "isolate" => Some((name, Action::Isolate)),
        "reset" => Some((name, Action::Reset)),
        _ => None,
    }
}

/// A segment of a path without its escapes.
fn unescaped(segment: &str) -> String {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = after.get(..2).and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        match (first, escaped) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What is said of a configuration that cannot be used.
const STALE: &str = "the configuration cannot be used, and the last good one stays in force";

fn readiness(is_trusted: bool) -> Answer {
    // Who asks whether discovery is warm sets it going: before it says so there may be no call that would.
    warm();
    let reasons = not_ready();
    if reasons.is_empty() {
        // F2: the last good one stays, and calls go on by it: no reason to send them elsewhere.
        return match config::trouble() {
            None => answer(StatusCode::OK, TEXT, "ready\n"),
            Some(_) if !is_trusted => answer(StatusCode::OK, TEXT, format!("ready\n{STALE}\n")),
            Some(faults) => answer(StatusCode::OK, TEXT, format!("ready\n{STALE}: {}\n", faults.in_short())),
        };
    }
    let told = if is_trusted { reasons.join("\n") } else { "not ready".into() };
    refuse(StatusCode::SERVICE_UNAVAILABLE, &told)
}

fn allow(methods: &'static str) -> Answer {
    let mut answer = refuse(StatusCode::METHOD_NOT_ALLOWED, "that method is not for this");
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    answer
}

fn ask_for_token() -> Answer {
    let mut answer = refuse(StatusCode::UNAUTHORIZED, "show the token: authorization: Bearer …");
    answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_a_path_may_hold_anything() {
        for (segment, name) in
            [("payments", "payments"), ("a%2Fb%20c", "a/b c"), ("100%", "100%"), ("%zz%4", "%zz%4"), ("%C3%B6", "ö")]
        {
            assert_eq!(unescaped(segment), name);
        }
        assert!(matches!(action("/v1/targets/http://x/y/reset"), Some(("http://x/y", Action::Reset))));
        assert!(action("/v1/targets/x/close").is_none() && action("/v1/targets/isolate").is_none());
    }
}
