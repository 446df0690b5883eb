//! What an attempt's end means (P1–P3), for the core to decide by: whether it may be tried again, and when. No decision is made
//! here.

use std::time::SystemTime;

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, Method, Response, StatusCode};

use super::body::Body;
use super::fault::{Fault, Reach};
use crate::call::Outcome;
use crate::clock::{self, Nanos, SECOND};

/// What may become of a request that was made, or may have been.
#[derive(Clone, Copy, Debug)]
pub(super) struct Repeat {
    /// P2: it may be made twice.
    pub is_idempotent: bool,
    /// P4: its body is still there.
    pub has_body: bool,
    /// E2: there is another endpoint to try.
    pub has_elsewhere: bool,
}

/// RFC 9110, section 9.2.2.
pub(super) fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::PUT | Method::DELETE | Method::OPTIONS | Method::TRACE)
}

/// A1: the class of what an attempt brought.
pub(super) fn class(brought: &Result<Response<Body>, Fault>, repeat: Repeat) -> Outcome {
    match brought {
        Ok(response) => class_of(asks(response), response.status(), repeat),
        Err(fault) => {
            let may_follow = match fault.reach {
                Reach::Unsent => true,
                Reach::UnsentHere => repeat.has_elsewhere,
                Reach::Sent => repeat.is_idempotent,
                Reach::Hopeless => false,
            };
            if may_follow && repeat.has_body { Outcome::Retry } else { Outcome::Fail }
        }
    }
}

fn class_of(asks: Asks, status: StatusCode, repeat: Repeat) -> Outcome {
    let may_repeat = repeat.is_idempotent && repeat.has_body;
    match asks {
        Asks::Nothing if status.is_server_error() => Outcome::Fail,
        Asks::Nothing => Outcome::Ok,
        Asks::Later if may_repeat => Outcome::Deferred,
        Asks::Later => Outcome::Ok,
        Asks::Again if may_repeat => Outcome::Retry,
        Asks::Again => Outcome::Fail,
    }
}

/// What a response asks of who made the request (P3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asks {
    Nothing,
    /// To try again, for something failed.
    Again,
    /// To try again, for it was asked too much, too slowly or too early.
    Later,
}

fn asks(response: &Response<Body>) -> Asks {
    match response.status().as_u16() {
        502..=504 => Asks::Again,
        408 | 425 | 429 => Asks::Later,
        200 => asks_by_grpc(response.headers()),
        _ => Asks::Nothing,
    }
}

/// gRPC's own status, where the head has it: a response without a message.
fn asks_by_grpc(headers: &HeaderMap) -> Asks {
    const RESOURCE_EXHAUSTED: &[u8] = b"8";
    const UNAVAILABLE: &[u8] = b"14";
    let Some(status) = headers.get("grpc-status") else { return Asks::Nothing };
    let is_grpc = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    match status.as_bytes() {
        UNAVAILABLE if is_grpc => Asks::Again,
        RESOURCE_EXHAUSTED if is_grpc => Asks::Later,
        _ => Asks::Nothing,
    }
}

/// R3: how long a response asks to wait before the next attempt.
pub(super) fn hint(response: &Response<Body>) -> Option<Nanos> {
    if asks(response) == Asks::Nothing {
        return None;
    }
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    // Both forms of RFC 9110, section 10.2.3; garbage is none.
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(value.parse::<u64>().map_or(clock::NEVER - 1, |seconds| seconds.saturating_mul(SECOND)));
    }
    let at = httpdate::parse_http_date(value).ok()?;
    // A date in the past is no wait.
    Some(at.duration_since(SystemTime::now()).map_or(0, clock::nanos))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn response(status: u16, headers: &[(&str, &str)]) -> Result<Response<Body>, Fault> {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        Ok(response.body(Body::empty()).unwrap())
    }

    const REPEATABLE: Repeat = Repeat { is_idempotent: true, has_body: true, has_elsewhere: false };
    const ONCE: Repeat = Repeat { is_idempotent: false, ..REPEATABLE };

    #[test]
    fn statuses_are_retried_that_may_be_otherwise_next_time() {
        for (status, repeatable, once) in [
            (200, Outcome::Ok, Outcome::Ok),
            (301, Outcome::Ok, Outcome::Ok),
            (404, Outcome::Ok, Outcome::Ok),
            (408, Outcome::Deferred, Outcome::Ok),
            (425, Outcome::Deferred, Outcome::Ok),
            (429, Outcome::Deferred, Outcome::Ok),
            (500, Outcome::Fail, Outcome::Fail),
            (502, Outcome::Retry, Outcome::Fail),
            (503, Outcome::Retry, Outcome::Fail),
            (504, Outcome::Retry, Outcome::Fail),
        ] {
            let brought = response(status, &[]);
            assert_eq!((class(&brought, REPEATABLE), class(&brought, ONCE)), (repeatable, once), "{status}");
        }
    }

    #[test]
    fn grpc_says_so_in_its_own_status() {
        let grpc = |status| response(200, &[("content-type", "application/grpc+proto"), ("grpc-status", status)]);
        let classes = ["0", "5", "8", "14"].map(|status| class(&grpc(status), REPEATABLE));
        assert_eq!(classes, [Outcome::Ok, Outcome::Ok, Outcome::Deferred, Outcome::Retry]);
    }

    #[test]
    fn what_was_not_sent_may_be_tried_again_whatever_it_is() {
        let of = |reach, repeat| class(&Err(Fault::new(crate::Code::Connect, reach, "", "")), repeat);
        assert_eq!(of(Reach::Unsent, ONCE), Outcome::Retry);
        assert_eq!(of(Reach::Sent, ONCE), Outcome::Fail);
        assert_eq!(of(Reach::Sent, REPEATABLE), Outcome::Retry);
        assert_eq!(of(Reach::Hopeless, REPEATABLE), Outcome::Fail);
        assert_eq!(of(Reach::UnsentHere, REPEATABLE), Outcome::Fail);
        assert_eq!(of(Reach::UnsentHere, Repeat { has_elsewhere: true, ..ONCE }), Outcome::Retry);
        assert_eq!(of(Reach::Unsent, Repeat { has_body: false, ..REPEATABLE }), Outcome::Fail);
    }

    #[test]
    fn retry_after_is_a_number_or_a_date_and_garbage_is_none() {
        let hint = |value: &str| hint(&response(503, &[("retry-after", value)]).unwrap());
        assert_eq!(hint("7"), Some(7 * SECOND));
        assert_eq!(hint("0"), Some(0));
        assert_eq!(hint("99999999999999999999999"), Some(clock::NEVER - 1));
        assert_eq!(hint("Sun, 06 Nov 1994 08:49:37 GMT"), Some(0));
        let later = SystemTime::now() + Duration::from_secs(3600);
        let wait = hint(&httpdate::fmt_http_date(later)).unwrap();
        assert!((3590 * SECOND..=3600 * SECOND).contains(&wait), "{wait}");
        for garbage in ["", "-1", "1.5", "soon", "1, 2"] {
            assert_eq!(hint(garbage), None, "{garbage}");
        }
    }
}
