//! Whether a server's certificate convinces: it leads to a root, is valid now, is for the host, and, where keys are pinned, one of
//! the chain that was verified is among them. A certificate that the server merely sends along counts for nothing.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath, spki_for_anchor};

use super::certificate::{Stated, date, digest_of, key_digest, spelled};
use super::fault::{Reason, TlsFault};

/// The SHA-256 of a public key.
pub(super) type Pin = [u8; 32];

/// How servers are verified.
#[derive(Debug)]
pub(super) struct Verifier {
    /// `None`: any certificate is taken (`tls.dangerous_accept_invalid_certificates`).
    pub roots: Option<Arc<RootCertStore>>,
    /// Where they come from, for people.
    pub roots_shown: String,
    pub pins: Arc<[Pin]>,
    pub algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    fn verify(
        &self,
        roots: &RootCertStore,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), TlsFault> {
        let explain = |error| self.explain(error, own, others, host, now);
        let parsed = EndEntityCert::try_from(own).map_err(explain)?;
        let any_pinned = |path: &VerifiedPath<'_>| {
            // Another way to a root may hold one.
            if self.pins.is_empty() || self.pins_in(path) { Ok(()) } else { Err(webpki::Error::UnknownIssuer) }
        };
        let usage = KeyUsage::server_auth();
        let algorithms = self.algorithms.all;
        let verified =
            parsed.verify_for_usage(algorithms, &roots.roots, others, now, usage, None, Some(&any_pinned)).map(drop);
        if verified.is_err() && !self.pins.is_empty() {
            // Without them: then it is they that it fails at.
            let usage = KeyUsage::server_auth();
            let path =
                parsed.verify_for_usage(algorithms, &roots.roots, others, now, usage, None, None).map_err(explain)?;
            return Err(self.no_pin(&keys_of(&path), own, host));
        }
        verified.map_err(explain)?;
        parsed.verify_is_valid_for_subject_name(host).map_err(explain)
    }

    fn pins_in(&self, path: &VerifiedPath<'_>) -> bool {
        keys_of(path).iter().any(|key| self.pins.contains(key))
    }

    fn no_pin(&self, seen: &[Pin], own: &CertificateDer<'_>, host: &ServerName<'_>) -> TlsFault {
        let seen = seen.iter().map(spelled).collect::<Vec<_>>().join(", ");
        let message = format!(
            "no public key of {}'s chain is among `tls.pins`; it has {seen}; the certificate is {}",
            host.to_str(),
            Stated::of(own)
        );
        TlsFault::new(Reason::PinMismatch, message)
    }

    /// In words, and with what the certificates say.
    fn explain(
        &self,
        error: webpki::Error,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        now: UnixTime,
    ) -> TlsFault {
        use webpki::Error;
        let (stated, host) = (Stated::of(own), host.to_str());
        let now = date(i64::try_from(now.as_secs()).unwrap_or(i64::MAX / 2));
        // Of the chain, the one whose time is meant.
        let whose = |is_meant: &dyn Fn(&Stated) -> bool| {
            let of_issuer = || others.iter().map(Stated::of).find(is_meant);
            if is_meant(&stated) {
                (format!("the certificate of {host}"), stated.clone())
            } else if let Some(issuer) = of_issuer() {
                (format!("a certificate of those that vouch for {host}"), issuer)
            } else {
                (format!("the certificate of {host}"), stated.clone())
            }
        };
        let roots = &self.roots_shown;
        match error {
            Error::CertExpired { not_after, .. } => {
                let end = i64::try_from(not_after.as_secs()).ok();
                let (whose, stated) = whose(&|stated| stated.not_after == end);
                let message = format!("{whose} has expired: {stated}; by this machine's clock it is {now}");
                TlsFault::new(Reason::Expired, message)
            }
            Error::CertNotValidYet { not_before, .. } => {
                let begin = i64::try_from(not_before.as_secs()).ok();
                let (whose, stated) = whose(&|stated| stated.not_before == begin);
                let message = format!("{whose} is not valid yet: {stated}; by this machine's clock it is {now}");
                TlsFault::new(Reason::NotYetValid, message)
            }
            Error::CertNotValidForName(_) => {
                let names = stated.names_shown();
                let message = format!(
                    "the certificate is for {names}, not for {host}: {stated}; `tls.server_name` is the name that it has to be for"
                );
                TlsFault::new(Reason::WrongHost, message)
            }
            Error::CaUsedAsEndEntity if stated.is_self_issued => {
                let message = format!(
                    "the certificate of {host} is self-signed, and that of an authority, which no server can show for itself: \
                     {stated}; make it one without CA:TRUE, and `tls.ca` can name it"
                );
                TlsFault::new(Reason::SelfSigned, message)
            }
            Error::UnknownIssuer if stated.is_self_issued => {
                let message = format!(
                    "the certificate of {host} is self-signed, and not among {roots}: {stated}; `tls.ca` names a file of roots to \
                     trust"
                );
                TlsFault::new(Reason::SelfSigned, message)
            }
            Error::UnknownIssuer => {
                let lone = if others.is_empty() { "; the server sends no intermediate certificate" } else { "" };
                let message = format!(
                    "the certificate of {host} leads to none of {roots}: {stated}{lone}; `tls.ca` names a file of roots to trust"
                );
                TlsFault::new(Reason::UnknownIssuer, message)
            }
            other => {
                let message = format!("the certificate of {host} does not verify ({other}): {stated}");
                TlsFault::new(Reason::BadCertificate, message)
            }
        }
    }
}

/// The public keys of all certificates of a chain that was verified, the root's last.
fn keys_of(path: &VerifiedPath<'_>) -> Vec<Pin> {
    let own = path.end_entity().subject_public_key_info();
    let others = path.intermediate_certificates().map(|certificate| certificate.subject_public_key_info());
    let root = spki_for_anchor(path.anchor());
    std::iter::once(digest_of(&own)).chain(others.map(|key| digest_of(&key))).chain([digest_of(&root)]).collect()
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = match &self.roots {
            Some(roots) => self.verify(roots, own, others, host, now),
            // Nobody vouches for the others; that the server has the key of its own, the handshake shows.
            None => match key_digest(own) {
                Some(key) if !self.pins.is_empty() && !self.pins.contains(&key) => Err(self.no_pin(&[key], own, host)),
                None if !self.pins.is_empty() => Err(self.no_pin(&[], own, host)),
                _ => Ok(()),
            },
        };
        match verified {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(fault) => Err(CertificateError::Other(OtherError(Arc::new(fault))).into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, own, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, own, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
