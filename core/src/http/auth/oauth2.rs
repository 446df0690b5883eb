//! Tokens by client credentials (RFC 6749, section 4.4). They are fetched through an ambassador of their own, shared by all who
//! wait, kept, and fetched anew before they end, by one task, while requests go on with the old one. A token that a server refused
//! is never used again.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use base64::prelude::{BASE64_STANDARD, Engine};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Request, StatusCode};
use serde::Deserialize;
use tokio::sync::watch;

use super::{AuthFault, Origin, bearer, sensitive};
use crate::clock::{self, NEVER, Nanos, SECOND};
use crate::event;
use crate::http::{Body, Wrong};
use crate::policy::auth::ClientCredentials;
use crate::policy::backoff::Backoff;
use crate::policy::http::Http;
use crate::policy::tls::Tls;
use crate::proxy::AmbassadorProxy;
use crate::runtime;
use crate::target::Target;

/// The largest response that a token may come in.
const MOST_BYTES: u32 = 64 << 10;

/// How long before its end a token is fetched anew, at most; of one that is short-lived a fifth of its time.
const AHEAD: Nanos = 60 * SECOND;

/// How long nothing is fetched ahead of time after that has failed.
const PAUSE: Nanos = SECOND;

/// A token that was fetched because another was refused, and is refused as well within that time, is not replaced: the next one
/// would fare no better.
const TRUSTED: Nanos = 10 * SECOND;

/// A token, as it is sent.
#[derive(Debug)]
pub(super) struct Token {
    pub number: u64,
    pub header: HeaderValue,
    fetched_at: Nanos,
    refresh_at: Nanos,
    ends_at: Nanos,
    /// Whether it was fetched because the one before was refused.
    is_replacement: bool,
}

/// How a fetch ends.
type Ended = Result<Arc<Token>, AuthFault>;

/// A fetch on its way, which everybody waits for who needs a token.
struct Flight {
    /// One that was begun before a `fork` is the parent's (F3).
    process: u32,
    ended: watch::Receiver<Option<Ended>>,
}

/// A client's tokens.
pub(super) struct Tokens {
    /// The proxy's whose tokens they are.
    name: Box<str>,
    endpoint: AmbassadorProxy,
    path: String,
    client: HeaderValue,
    body: Bytes,
    /// What the endpoint is not to hand back in an error.
    secret: Box<str>,
    present: ArcSwapOption<Token>,
    flight: ArcSwapOption<Flight>,
    numbers: AtomicU64,
    /// No token is fetched ahead of time before that.
    paused_until: AtomicU64,
    was_refused: AtomicBool,
}

impl Tokens {
    /// Those of a client, for the proxy of that name. `tls` is how the target's origin is spoken to, whose endpoint may be there too.
    pub fn new(client: &ClientCredentials, own: &Origin, tls: &Tls, name: &str) -> Result<Tokens, Wrong> {
        let wrong = |field, value: String, allowed: &str| Wrong { field, value, allowed: allowed.into() };
        let not_a_url = || {
            let shown = format!("{:?}", Target::shown(&client.token_url));
            wrong("auth.token_url", shown, "an http:// or https:// URL without credentials or query")
        };
        let target = Target::parse(&client.token_url).filter(|url| url.is_tls().is_some()).ok_or_else(not_a_url)?;
        let scheme = if target.is_tls() == Some(true) { "https" } else { "http" };
        let origin = format!("{scheme}://{}", target.authority());
        let path = client.token_url[origin.len()..].to_owned();
        let endpoint = AmbassadorProxy::builder(&origin)
            .name(&format!("tokens of {name}"))
            .timeout(Duration::from_secs(5))
            .backoff(Backoff::exponential(Duration::from_millis(100)).max(Duration::from_secs(2)))
            // To ask twice costs a token at most.
            .idempotent(true)
            .http(Http { max_body_bytes: MOST_BYTES, ..Http::default() })
            .tls(if Origin::of_target(&target) == *own { tls.clone() } else { Tls::default() })
            .build()
            .map_err(|_| not_a_url())?;
        // RFC 6749, section 2.3.1: encoded as in forms first.
        let secret = client.client_secret.reveal();
        let pair = format!("{}:{}", encoded(&client.client_id), encoded(secret));
        let header = sensitive(&format!("Basic {}", BASE64_STANDARD.encode(pair)));
        let header = header.ok_or_else(|| wrong("auth.client_secret", "***".into(), "text"))?;
        let mut body = "grant_type=client_credentials".to_owned();
        if let Some(scope) = &client.scope {
            body.push_str("&scope=");
            body.push_str(&encoded(scope));
        }
        Ok(Tokens {
            name: name.into(),
            endpoint,
            path: if path.is_empty() { "/".into() } else { path },
            client: header,
            body: body.into(),
            secret: secret.into(),
            present: ArcSwapOption::empty(),
            flight: ArcSwapOption::empty(),
            numbers: AtomicU64::new(0),
            paused_until: AtomicU64::new(0),
            was_refused: AtomicBool::new(false),
        })
    }

    /// A token that is good: the present one, or the next.
    pub async fn token(self: &Arc<Tokens>) -> Ended {
        let now = clock::now();
        if let Some(token) = &*self.present.load()
            && now < token.ends_at
        {
            if now >= token.refresh_at && now >= self.paused_until.load(Relaxed) {
                self.join();
            }
            return Ok(Arc::clone(token));
        }
        let mut ended = self.join();
        let told = ended.wait_for(Option::is_some).await;
        let ended = told.ok().and_then(|ended| ended.clone());
        ended.unwrap_or_else(|| Err(AuthFault { message: "the fetch of a token was given up".into(), may_pass: true }))
    }

    /// A server does not take the token of that number: it is not used again. Whether the next one may do better.
    pub fn refused(&self, number: u64) -> bool {
        let present = self.present.load();
        let Some(token) = present.as_ref().filter(|token| token.number == number) else {
            // Somebody else was refused earlier.
            return true;
        };
        if token.is_replacement && clock::now().saturating_sub(token.fetched_at) < TRUSTED {
            return false;
        }
        self.was_refused.store(true, Relaxed);
        self.present.compare_and_swap(&*present, None);
        true
    }

    /// The fetch that is on its way, or one that begins now.
    fn join(self: &Arc<Tokens>) -> watch::Receiver<Option<Ended>> {
        loop {
            let present = self.flight.load();
            if let Some(flight) = &*present
                && flight.process == std::process::id()
                && flight.ended.has_changed().is_ok()
            {
                return flight.ended.clone();
            }
            let (sender, receiver) = watch::channel(None);
            let flight = Arc::new(Flight { process: std::process::id(), ended: receiver.clone() });
            let before = self.flight.compare_and_swap(&*present, Some(Arc::clone(&flight)));
            if before.as_ref().map(Arc::as_ptr) != present.as_ref().map(Arc::as_ptr) {
                continue;
            }
            // Not the caller's: who goes away is not to take the others' token along.
            let tokens = Arc::clone(self);
            runtime::handle().spawn(async move {
                let ended = tokens.fetch().await;
                match &ended {
                    Ok(token) => tokens.present.store(Some(Arc::clone(token))),
                    Err(fault) => {
                        tokens.paused_until.store(clock::now() + PAUSE, Relaxed);
                        let (name, why) = (&*tokens.name, fault.to_string());
                        if tokens.present.load().as_ref().is_some_and(|token| clock::now() < token.ends_at) {
                            event::credentials(name, "auth.token_url", Some(why));
                        } else {
                            tracing::warn!(target: "ambassador", name, why, "no token could be fetched");
                        }
                    }
                }
                // Who comes from now on finds what was fetched, or fetches anew.
                tokens.flight.store(None);
                let _ = sender.send(Some(ended));
            });
            return receiver;
        }
    }

    async fn fetch(&self) -> Ended {
        let is_replacement = self.was_refused.swap(false, Relaxed);
        let asked_at = clock::now();
        let request = Request::post(&self.path)
            .header(AUTHORIZATION, self.client.clone())
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(self.body.clone()))
            .map_err(|_| self.fault("its path is none", false))?;
        let response = self.endpoint.send(request).await;
        let response = response.map_err(|error| self.fault(&format!("cannot be asked: {error}"), true))?;
        let status = response.status();
        // Read whole by now, and no longer than was allowed.
        let body = response.into_body().bytes().await.unwrap_or_default();
        if status != StatusCode::OK {
            let may_pass = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
            let reason = self.reason(&body).map(|reason| format!(" ({reason})")).unwrap_or_default();
            return Err(self.fault(&format!("answers {}{reason}", status.as_u16()), may_pass));
        }
        let granted: Granted =
            serde_json::from_slice(&body).map_err(|_| self.fault("answers what holds no token", false))?;
        if granted.token_type.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
            return Err(self.fault("gives a token that is no bearer's", false));
        }
        let Some(header) = bearer(&granted.access_token) else {
            return Err(self.fault("gives a token that no header can hold", false));
        };
        let lifetime = granted.expires_in.and_then(Length::nanos);
        let ends_at = lifetime.map_or(NEVER, |length| asked_at.saturating_add(length));
        Ok(Arc::new(Token {
            number: self.numbers.fetch_add(1, Relaxed),
            header,
            fetched_at: clock::now(),
            // Without a lifetime it is good until it is refused.
            refresh_at: lifetime.map_or(NEVER, |length| ends_at - AHEAD.min(length / 5)),
            ends_at,
            is_replacement,
        }))
    }

    /// RFC 6749, section 5.2: the code of the endpoint's error, which is a word. Descriptions are free text, and stay away.
    fn reason(&self, body: &[u8]) -> Option<String> {
        let refused: Refused = serde_json::from_slice(body).ok()?;
        let is_word = refused.error.len() <= 64
            && refused.error.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
        (is_word && !refused.error.contains(&*self.secret)).then_some(refused.error)
    }

    fn fault(&self, what: &str, may_pass: bool) -> AuthFault {
        AuthFault { message: format!("no token: {}{} {what}", self.endpoint.target(), self.path), may_pass }
    }
}

/// RFC 6749, section 5.1.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    token_type: Option<String>,
    expires_in: Option<Length>,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
}

/// Seconds, which some endpoints write as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Length {
    Number(f64),
    Text(String),
}

impl Length {
    /// `None` when it is no length.
    fn nanos(self) -> Option<Nanos> {
        let seconds = match self {
            Length::Number(seconds) => seconds,
            Length::Text(text) => text.parse().ok()?,
        };
        // A length below 0 has ended when it begins; one beyond all bounds is the longest.
        seconds.is_finite().then_some((seconds.max(0.0) * SECOND as f64) as Nanos)
    }
}

/// `application/x-www-form-urlencoded`.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => encoded.push('+'),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => encoded.push(char::from(byte)),
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_encoded_byte_by_byte() {
        assert_eq!(encoded("a b&c=d+e%ü:"), "a+b%26c%3Dd%2Be%25%C3%BC%3A");
    }

    #[test]
    fn lengths_are_read_as_numbers_and_as_text() {
        let read = |json: &str| serde_json::from_str::<Length>(json).unwrap().nanos();
        assert_eq!(read("3600"), Some(3600 * SECOND));
        assert_eq!(read("\"3600\""), Some(3600 * SECOND));
        assert_eq!((read("0"), read("-5"), read("\"soon\"")), (Some(0), Some(0), None));
        assert_eq!(read("1e300"), Some(u64::MAX));
    }
}
