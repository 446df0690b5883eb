//! Why no secure connection could be made, in words: which of the things that go wrong it was, what the certificate says, and
//! the setting to look at. Holds no secrets: what keys and certificates' files hold is never part of a message.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use rustls::{AlertDescription, CertificateError, Error as Rustls, InvalidMessage, PeerIncompatible};

/// Which of the things that go wrong it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// A certificate's time is over.
    Expired,
    /// A certificate's time has not come.
    NotYetValid,
    /// The server's certificate was issued by itself, and is none of the roots.
    SelfSigned,
    /// The server's certificate leads to none of the roots.
    UnknownIssuer,
    /// The certificate is for other names.
    WrongHost,
    /// No public key of the chain is one of those that are pinned.
    PinMismatch,
    /// The server's certificate does not verify for another reason.
    BadCertificate,
    /// The peer wants a certificate of the client's, and got none.
    ClientCertificateRequired,
    /// The peer does not take the client's certificate.
    ClientCertificateRefused,
    /// There is no version of TLS that both sides speak.
    NoCommonVersion,
    /// What the peer speaks is not TLS.
    NotTls,
    /// The peer closed the connection during the handshake.
    Closed,
    /// Files that settings name cannot be used, or the system has no roots.
    Settings,
    /// The two sides agree on nothing else, or the peer breaks the protocol.
    Handshake,
}

impl Reason {
    /// Its name: `expired`, `unknown_issuer`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::Expired => "expired",
            Reason::NotYetValid => "not_yet_valid",
            Reason::SelfSigned => "self_signed",
            Reason::UnknownIssuer => "unknown_issuer",
            Reason::WrongHost => "wrong_host",
            Reason::PinMismatch => "pin_mismatch",
            Reason::BadCertificate => "bad_certificate",
            Reason::ClientCertificateRequired => "client_certificate_required",
            Reason::ClientCertificateRefused => "client_certificate_refused",
            Reason::NoCommonVersion => "no_common_version",
            Reason::NotTls => "not_tls",
            Reason::Closed => "closed",
            Reason::Settings => "settings",
            Reason::Handshake => "handshake",
        }
    }

    /// Whether the server's certificate does not verify: tried again only on another endpoint, and never with less checking (P1).
    pub const fn is_certificate(self) -> bool {
        matches!(
            self,
            Reason::Expired
                | Reason::NotYetValid
                | Reason::SelfSigned
                | Reason::UnknownIssuer
                | Reason::WrongHost
                | Reason::PinMismatch
                | Reason::BadCertificate
        )
    }
}

/// Why no secure connection could be made. Whatever it is, nothing of a request was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFault {
    pub(super) reason: Reason,
    pub(super) message: String,
}

impl TlsFault {
    pub(super) fn new(reason: Reason, message: impl Into<String>) -> TlsFault {
        TlsFault { reason, message: message.into() }
    }

    /// Which of the things that go wrong it was.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// [`Reason::is_certificate`].
    pub fn is_certificate(&self) -> bool {
        self.reason.is_certificate()
    }

    /// What TLS said during the handshake with `host`, to which the client has shown a certificate or has none.
    pub(super) fn of_handshake(error: &io::Error, host: &str, has_identity: bool) -> TlsFault {
        match in_chain(error) {
            Some(cause) => TlsFault::of(cause, host, has_identity),
            None => {
                let message = match error.kind() {
                    io::ErrorKind::UnexpectedEof => {
                        format!("{host} closed the connection during the handshake; does it speak TLS at this port?")
                    }
                    _ => format!("the connection to {host} was lost during the handshake: {error}"),
                };
                TlsFault::new(Reason::Closed, message)
            }
        }
    }

    /// In TLS 1.3 the peer looks at the client's certificate when the client already takes the connection for good, so that
    /// what it thinks of it comes as an error of the first read. `None` when the error is of another kind.
    pub(super) fn of_first_read(error: &(dyn StdError + 'static), host: &str, has_identity: bool) -> Option<TlsFault> {
        let fault = TlsFault::of(in_chain(error)?, host, has_identity);
        let is_about_client =
            matches!(fault.reason, Reason::ClientCertificateRequired | Reason::ClientCertificateRefused);
        is_about_client.then_some(fault)
    }

    fn of(error: &Rustls, host: &str, has_identity: bool) -> TlsFault {
        match error {
            Rustls::InvalidCertificate(CertificateError::Other(other)) => match other.0.downcast_ref::<TlsFault>() {
                Some(fault) => fault.clone(),
                None => {
                    TlsFault::new(Reason::BadCertificate, format!("the certificate of {host} does not verify: {other}"))
                }
            },
            Rustls::InvalidCertificate(why) => {
                TlsFault::new(Reason::BadCertificate, format!("the certificate of {host} does not verify: {why}"))
            }
            Rustls::NoCertificatesPresented => {
                TlsFault::new(Reason::BadCertificate, format!("{host} shows no certificate"))
            }
            Rustls::AlertReceived(alert) => TlsFault::of_alert(*alert, host, has_identity),
            Rustls::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
                | PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled
                | PeerIncompatible::SupportedVersionsExtensionRequired,
            ) => TlsFault::new(Reason::NoCommonVersion, no_common_version(host)),
            Rustls::InvalidMessage(
                InvalidMessage::InvalidContentType
                | InvalidMessage::UnknownProtocolVersion
                | InvalidMessage::InvalidEmptyPayload
                | InvalidMessage::MessageTooLarge,
            ) => TlsFault::new(
                Reason::NotTls,
                format!(
                    "what {host} answers at this port is not TLS; is it plain HTTP, for which the target says http://?"
                ),
            ),
            other => TlsFault::new(Reason::Handshake, format!("the handshake with {host} failed: {other}")),
        }
    }

    fn of_alert(alert: AlertDescription, host: &str, has_identity: bool) -> TlsFault {
        use AlertDescription as Alert;
        match alert {
            Alert::CertificateRequired => TlsFault::new(Reason::ClientCertificateRequired, wants_certificate(host)),
            Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError
                if has_identity =>
            {
                TlsFault::new(
                    Reason::ClientCertificateRefused,
                    format!("{host} does not take the client's certificate ({alert:?}); look at what `tls.cert` names"),
                )
            }
            Alert::BadCertificate | Alert::CertificateUnknown | Alert::UnknownCA | Alert::AccessDenied => {
                TlsFault::new(Reason::ClientCertificateRequired, wants_certificate(host))
            }
            Alert::ProtocolVersion => TlsFault::new(Reason::NoCommonVersion, no_common_version(host)),
            Alert::HandshakeFailure => TlsFault::new(
                Reason::Handshake,
                if has_identity {
                    format!("{host} agrees to nothing that was offered (HandshakeFailure)")
                } else {
                    format!(
                        "{host} agrees to nothing that was offered (HandshakeFailure); servers say so too when they want a client's \
                         certificate, which `tls.cert` and `tls.key` name"
                    )
                },
            ),
            Alert::UnrecognisedName => TlsFault::new(
                Reason::Handshake,
                format!(
                    "{host} does not know the name that was asked for (UnrecognisedName); look at `tls.server_name`"
                ),
            ),
            Alert::NoApplicationProtocol => TlsFault::new(
                Reason::Handshake,
                format!(
                    "{host} speaks no version of HTTP that was offered (NoApplicationProtocol); look at `http.version`"
                ),
            ),
            other => TlsFault::new(Reason::Handshake, format!("{host} ended the handshake: {other:?}")),
        }
    }
}

fn wants_certificate(host: &str) -> String {
    format!("{host} wants a client's certificate, which `tls.cert` and `tls.key` name")
}

fn no_common_version(host: &str) -> String {
    format!("{host} speaks no version of TLS that is spoken here; look at `tls.min_version`, 1.2 or 1.3")
}

/// What TLS says, wherever in the chain of causes.
fn in_chain<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Rustls> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<Rustls>() {
            return Some(found);
        }
        // An I/O error's source is that of what it wraps, not what it wraps.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for TlsFault {}
