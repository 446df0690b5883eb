//! What goes wrong below HTTP: at which endpoint, how, and whether the request may have been made by then (P1, P2). Texts tell what
//! happened, and never what was sent: no query, header or credential (S3).

use std::error::Error as StdError;
use std::fmt;
use std::io::ErrorKind;

use super::auth::AuthFault;
use super::tls::TlsFault;
use crate::error::Code;

/// Why an attempt brought no response.
#[derive(Debug)]
pub(super) struct Fault {
    pub code: Code,
    pub reach: Reach,
    /// `connection refused`
    pub text: String,
    /// `http://10.0.0.7:8080`; empty where none has a part in it.
    pub endpoint: String,
}

/// How far the request had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// P1: nobody has acted on it.
    Unsent,
    /// P1: and only another endpoint may answer otherwise.
    UnsentHere,
    /// P2: somebody may have.
    Sent,
    /// It would go wrong in the same way again.
    Hopeless,
}

impl Fault {
    pub fn new(code: Code, reach: Reach, text: impl Into<String>, endpoint: &str) -> Fault {
        Fault { code, reach, text: text.into(), endpoint: endpoint.into() }
    }

    pub fn connect(text: impl Into<String>, endpoint: &str) -> Fault {
        Fault::new(Code::Connect, Reach::Unsent, text, endpoint)
    }

    /// No secure connection could be made, or the server takes ours for none.
    pub fn tls(fault: &TlsFault, endpoint: &str) -> Fault {
        // P1: with a certificate that does not verify, nothing changes here.
        let reach = if fault.is_certificate() { Reach::UnsentHere } else { Reach::Unsent };
        Fault::new(Code::Tls, reach, fault.to_string(), endpoint)
    }

    /// The request cannot say who sends it, and goes nowhere.
    pub fn auth(fault: &AuthFault) -> Fault {
        let reach = if fault.may_pass() { Reach::Unsent } else { Reach::Hopeless };
        Fault::new(Code::Auth, reach, fault.to_string(), "")
    }

    /// The exchange over a connection failed before the head of a response had come.
    pub fn of_exchange(error: &hyper::Error, is_unsent: bool, limit: u32, endpoint: &str) -> Fault {
        let reach = if is_unsent || is_unprocessed(error) { Reach::Unsent } else { Reach::Sent };
        let fault = |code, reach, text: String| Fault::new(code, reach, text, endpoint);
        if error.is_parse_too_large() || is_too_large(error) {
            let text = format!("the head of its response is larger than http.max_header_bytes, {limit} bytes");
            return fault(Code::Protocol, Reach::Hopeless, text);
        }
        if error.is_user() {
            return fault(Code::Body, Reach::Hopeless, format!("the request's body failed: {}", innermost(error)));
        }
        if error.is_parse() {
            return fault(Code::Protocol, reach, format!("what it sent is not HTTP/1.1: {error}"));
        }
        match h2(error).and_then(h2::Error::reason) {
            Some(reason @ (h2::Reason::REFUSED_STREAM | h2::Reason::NO_ERROR | h2::Reason::CANCEL)) => {
                fault(Code::Transport, reach, format!("it would not answer the request: {}", reason.description()))
            }
            // Which of the two h2 does not tell. A head that goes on and on is a load to it.
            Some(h2::Reason::PROTOCOL_ERROR | h2::Reason::ENHANCE_YOUR_CALM)
                if h2(error).is_some_and(h2::Error::is_library) =>
            {
                let text = format!(
                    "the head of its response is larger than http.max_header_bytes, {limit} bytes, or what it sent is not HTTP/2"
                );
                fault(Code::Protocol, reach, text)
            }
            Some(reason) => fault(Code::Protocol, reach, format!("HTTP/2 failed: {}", reason.description())),
            None => fault(
                Code::Transport,
                reach,
                format!("the connection was {} before the response had come", lost(error)),
            ),
        }
    }

    /// A response's body could not be read further.
    pub fn of_body(error: &(dyn StdError + 'static), endpoint: &str) -> Fault {
        let is_malformed = chain(error).any(|error| {
            error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::InvalidInput)
        });
        if is_malformed {
            return Fault::new(Code::Protocol, Reach::Sent, "its response's body is not HTTP/1.1", endpoint);
        }
        let text = format!("the connection was {} inside the response's body", lost(error));
        Fault::new(Code::Transport, Reach::Sent, text, endpoint)
    }
}

/// `http://10.0.0.7:8080: connection refused`
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.endpoint.is_empty() { f.write_str(&self.text) } else { write!(f, "{}: {}", self.endpoint, self.text) }
    }
}

/// P1: HTTP/2 says that nothing was done. Of a GOAWAY that tells of a failure this cannot be known: h2 fails every stream by it,
/// also those up to its last id.
fn is_unprocessed(error: &hyper::Error) -> bool {
    h2(error).is_some_and(|error| match error.reason() {
        Some(h2::Reason::REFUSED_STREAM) => error.is_remote(),
        Some(h2::Reason::NO_ERROR) => error.is_go_away() && error.is_remote(),
        _ => false,
    })
}

/// HTTP/2 says so in words alone.
fn is_too_large(error: &hyper::Error) -> bool {
    h2(error).is_some_and(|error| error.is_library() && error.reason() == Some(h2::Reason::FRAME_SIZE_ERROR))
}

fn h2(error: &hyper::Error) -> Option<&h2::Error> {
    chain(error).find_map(|error| error.downcast_ref())
}

/// `reset`, or `closed`.
fn lost(error: &(dyn StdError + 'static)) -> &'static str {
    let is_reset = chain(error).any(|error| {
        let io = error.downcast_ref::<std::io::Error>();
        io.is_some_and(|io| matches!(io.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe))
            || error.downcast_ref::<h2::Error>().is_some_and(h2::Error::is_reset)
    });
    if is_reset { "reset" } else { "closed" }
}

fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let of = |error: &&'a (dyn StdError + 'static)| -> Option<&'a (dyn StdError + 'static)> { (*error).source() };
    std::iter::successors(Some(error), of)
}

fn innermost(error: &(dyn StdError + 'static)) -> String {
    chain(error).last().unwrap_or(error).to_string()
}

impl StdError for Fault {}
