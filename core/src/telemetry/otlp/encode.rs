//! Spans as OTLP's requests carry them, with the names of OpenTelemetry's semantic conventions.
//! <https://github.com/open-telemetry/opentelemetry-proto>

use std::collections::BTreeMap;

use super::wire::Message;
use crate::call::{Outcome, Stop};
use crate::telemetry;
use crate::telemetry::spans::{Attempt, Brought, Finished, Requested};

/// Who exports.
pub(super) fn resource(said: &BTreeMap<String, String>) -> Message {
    let mut message = Message::default();
    let mut attributes = Attributes { of: &mut message, field: 1 };
    if !said.contains_key("service.name") {
        let program = std::env::current_exe().ok();
        let program = program.as_deref().and_then(|path| path.file_name()?.to_str()).map(|name| format!(":{name}"));
        attributes.text("service.name", &format!("unknown_service{}", program.unwrap_or_default()));
    }
    attributes.text("telemetry.sdk.name", "ambassador");
    attributes.text("telemetry.sdk.language", telemetry::language());
    attributes.text("telemetry.sdk.version", crate::version());
    attributes.int("process.pid", std::process::id().into());
    for (key, value) in said {
        attributes.text(key, value);
    }
    message
}

/// An `ExportTraceServiceRequest`.
pub(super) fn traces(resource: &[u8], spans: &[Finished]) -> Vec<u8> {
    request(resource, |scope| {
        for finished in spans {
            scope.message(2, |message| span(message, finished));
        }
    })
}

/// Both kinds of requests have the same three levels.
pub(super) fn request(resource: &[u8], write: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut request = Message::default();
    request.message(1, |of_resource| {
        of_resource.bytes(1, resource);
        of_resource.message(2, |of_scope| {
            of_scope.message(1, |scope| {
                scope.text(1, "ambassador");
                scope.text(2, crate::version());
            });
            write(of_scope);
        });
    });
    request.into_bytes()
}

const INTERNAL: u64 = 1;
const CLIENT: u64 = 3;
const ERROR: u64 = 2;

fn span(message: &mut Message, finished: &Finished) {
    let Finished { name, context, parent, start, end, requested, attempts, outcome, stop } = finished;
    message.bytes(1, &context.trace_id().to_be_bytes());
    message.bytes(2, &context.span_id().to_be_bytes());
    message.text(3, context.tracestate().unwrap_or_default());
    if *parent != 0 {
        message.bytes(4, &parent.to_be_bytes());
    }
    match requested {
        Some(requested) => message.text(5, method(requested).0),
        None => message.text(5, &format!("call {name}")),
    }
    message.varint(6, if requested.is_some() { CLIENT } else { INTERNAL });
    message.fixed64(7, *start);
    message.fixed64(8, *end);
    let last = attempts.last();
    let error = error_of(finished);
    let mut attributes = Attributes { of: message, field: 9 };
    attributes.text("ambassador.target", name);
    attributes.text("ambassador.outcome", outcome);
    attributes.text("ambassador.stop", stop.as_str());
    attributes.int("ambassador.attempts", attempts.len() as i64);
    if let Some(requested) = requested {
        asked(&mut attributes, requested);
        if attempts.len() > 1 {
            attributes.int("http.request.resend_count", attempts.len() as i64 - 1);
        }
        brought(&mut attributes, last.and_then(|last| last.brought));
    }
    if let Some(error) = &error {
        attributes.text("error.type", error);
    }
    for attempt in attempts {
        message.message(11, |event| attempt_event(event, attempt));
    }
    if error.is_some() {
        message.message(15, |status| {
            status.text(2, if outcome_is_ok(outcome) { "" } else { stop.as_str() });
            status.varint(3, ERROR);
        });
    }
    message.fixed32(16, context.flags().into());
}

fn outcome_is_ok(outcome: &str) -> bool {
    matches!(outcome, "ok" | "fallback")
}

/// S3: no query, no credentials.
fn asked(attributes: &mut Attributes<'_>, requested: &Requested) {
    let Requested { scheme, host, port, path, .. } = requested;
    let (known, original) = method(requested);
    attributes.text("http.request.method", known);
    if let Some(original) = original {
        attributes.text("http.request.method_original", original);
    }
    attributes.text("url.scheme", scheme);
    attributes.text("server.address", host);
    attributes.int("server.port", (*port).into());
    let shown = if host.contains(':') { format!("[{host}]") } else { host.to_string() };
    let is_usual = (*scheme, *port) == ("https", 443) || (*scheme, *port) == ("http", 80);
    let port = if is_usual { String::new() } else { format!(":{port}") };
    attributes.text("url.full", &format!("{scheme}://{shown}{port}{path}"));
}

/// As the conventions know it, and as it is.
fn method(requested: &Requested) -> (&str, Option<&str>) {
    match requested.method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "CONNECT" | "OPTIONS" | "TRACE" | "PATCH") => {
            (known, None)
        }
        other => ("_OTHER", Some(other)),
    }
}

fn brought(attributes: &mut Attributes<'_>, brought: Option<Brought>) {
    if let Some(Brought::Response { status, version }) = brought {
        attributes.int("http.response.status_code", status.into());
        attributes.text("network.protocol.version", version);
    }
}

fn attempt_event(event: &mut Message, attempt: &Attempt) {
    event.fixed64(1, attempt.at);
    event.text(2, "attempt");
    let mut attributes = Attributes { of: event, field: 3 };
    attributes.int("ambassador.attempt.number", attempt.number.into());
    attributes.text("ambassador.attempt.outcome", attempt.outcome.as_str());
    attributes.double("ambassador.attempt.duration", attempt.took as f64 / 1e9);
    if let Some(endpoint) = &attempt.endpoint {
        attributes.text("server.address", endpoint.host());
        if let Some(port) = endpoint.port() {
            attributes.int("server.port", port.into());
        }
    }
    brought(&mut attributes, attempt.brought);
    if let Some(error) = error_of_attempt(attempt) {
        attributes.text("error.type", &error);
    }
}

/// The status where that is an error, else the code or the class: few, and the same in every language.
fn error_of_attempt(attempt: &Attempt) -> Option<String> {
    match (attempt.outcome, attempt.brought) {
        (_, Some(Brought::Response { status, .. })) => (status >= 400).then(|| status.to_string()),
        (_, Some(Brought::Fault(code))) => Some(code.as_str().into()),
        (Outcome::Ok, None) => None,
        (Outcome::Timeout | Outcome::Overdue, None) => Some("TIMEOUT".into()),
        (outcome, None) => Some(outcome.as_str().into()),
    }
}

fn error_of(finished: &Finished) -> Option<String> {
    let last = finished.attempts.last().and_then(error_of_attempt);
    match (finished.outcome, finished.stop) {
        ("ok" | "fallback", _) => last.filter(|_| finished.requested.is_some() && finished.outcome == "ok"),
        ("rejected", Stop::CircuitOpen) => Some("CIRCUIT_OPEN".into()),
        ("rejected", Stop::BulkheadFull) => Some("BULKHEAD_FULL".into()),
        ("rejected", Stop::RateLimited) => Some("RATE_LIMITED".into()),
        ("rejected", Stop::NoEndpoint) => Some("NO_ENDPOINT".into()),
        ("rejected", _) => Some("SHUTDOWN".into()),
        (_, Stop::Deadline) => Some("DEADLINE".into()),
        (outcome, _) => Some(last.unwrap_or_else(|| outcome.into())),
    }
}

/// `KeyValue`s, as that field of a message.
pub(super) struct Attributes<'a> {
    pub of: &'a mut Message,
    pub field: u32,
}

impl Attributes<'_> {
    fn pair(&mut self, key: &str, value: impl FnOnce(&mut Message)) {
        self.of.message(self.field, |pair| {
            pair.text(1, key);
            pair.message(2, value);
        });
    }

    pub fn text(&mut self, key: &str, text: &str) {
        self.pair(key, |value| value.text(1, text));
    }

    pub fn int(&mut self, key: &str, number: i64) {
        self.pair(key, |value| value.int(3, number));
    }

    pub fn double(&mut self, key: &str, number: f64) {
        self.pair(key, |value| value.double(4, number));
    }
}
