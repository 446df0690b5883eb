//! What the settings of TLS name: roots, and the client's certificate with its key, from PEM; the system's roots; and whether all
//! of it can be used, which is found out when a proxy is made (C2). No message holds anything of a file's content.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use base64::prelude::{BASE64_STANDARD, Engine};
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;

use super::verify::Pin;
use crate::http::Wrong;
use crate::http::watched::Watched;
use crate::policy::tls::Tls;

/// Whether TLS can be spoken with these settings: names and pins have their form, and the files can be read and hold what they
/// should. Reads files.
///
/// # Errors
/// The first setting that is [`Wrong`].
pub fn check(tls: &Tls) -> Result<(), Wrong> {
    checked_forms(tls)?;
    let shown = |path: &Path| format!("{:?}", path.display().to_string());
    if let Some(ca) = &tls.ca {
        Watched::new([ca], roots).read_once().map_err(|why| Wrong {
            field: "tls.ca",
            value: shown(ca),
            allowed: format!("a file of certificates in PEM ({why})"),
        })?;
    }
    if let (Some(cert), Some(key)) = (&tls.cert, &tls.key) {
        Watched::new([cert], |contents| certificates(&contents[0])).read_once().map_err(|why| Wrong {
            field: "tls.cert",
            value: shown(cert),
            allowed: format!("a file of the client's certificate in PEM, and of those that signed it ({why})"),
        })?;
        Watched::new([cert, key], identity).read_once().map_err(|why| Wrong {
            field: "tls.key",
            value: shown(key),
            allowed: format!("a file of the private key of `tls.cert` in PEM ({why})"),
        })?;
    }
    Ok(())
}

/// What can be seen of the settings without looking at files.
pub(super) fn checked_forms(tls: &Tls) -> Result<(Arc<[Pin]>, Option<ServerName<'static>>), Wrong> {
    match (&tls.cert, &tls.key) {
        (Some(_), None) => {
            let allowed = "a file of the private key of `tls.cert` in PEM, for that is set".into();
            return Err(Wrong { field: "tls.key", value: "nothing".into(), allowed });
        }
        (None, Some(_)) => {
            let allowed = "a file of the certificate of `tls.key` in PEM, for that is set".into();
            return Err(Wrong { field: "tls.cert", value: "nothing".into(), allowed });
        }
        _ => {}
    }
    let pins = tls.pins.iter().map(|text| pin(text).ok_or(text)).collect::<Result<_, _>>().map_err(|text| Wrong {
        field: "tls.pins",
        value: format!("{text:?}"),
        allowed: "the SHA-256 of a public key (SPKI) in Base64, which is 44 characters".into(),
    })?;
    let server_name = match &tls.server_name {
        None => None,
        Some(text) => Some(server_name(text).ok_or_else(|| Wrong {
            field: "tls.server_name",
            value: format!("{text:?}"),
            allowed: "a host name such as payment-api.example.com, or an address".into(),
        })?),
    };
    Ok((pins, server_name))
}

fn pin(text: &str) -> Option<Pin> {
    BASE64_STANDARD.decode(text).ok()?.try_into().ok()
}

/// A host as TLS names it: without brackets, and without the dot at its end.
pub(super) fn server_name(host: &str) -> Option<ServerName<'static>> {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let host = host.strip_suffix('.').unwrap_or(host);
    ServerName::try_from(host).ok().map(|name| name.to_owned())
}

/// A file of roots.
pub(super) fn roots(contents: &[Vec<u8>]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(certificates(&contents[0])?);
    if usable == 0 { Err("none of its certificates can be a root".into()) } else { Ok(roots) }
}

/// A file of the client's certificates, and one of its key.
pub(super) fn identity(contents: &[Vec<u8>]) -> Result<CertifiedKey, String> {
    let chain = certificates(&contents[0])?;
    let key = PrivateKeyDer::from_pem_slice(&contents[1]).map_err(|_| {
        let is_encrypted = contents[1].windows(9).any(|part| part == b"ENCRYPTED");
        if is_encrypted { "its key is encrypted, and no passphrase can be given" } else { "it holds no private key" }
    })?;
    CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => "it is the key of another certificate".into(),
        rustls::Error::InvalidCertificate(_) => "the certificate cannot be read".into(),
        _ => "it is of a kind that cannot be used; RSA, ECDSA (P-256, P-384) and Ed25519 can".into(),
    })
}

fn certificates(content: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(content).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err("it holds no certificate".into()),
        Err(_) => Err("what it holds is not PEM".into()),
    }
}

/// The cryptography in use.
pub(super) fn provider() -> CryptoProvider {
    rustls::crypto::ring::default_provider()
}

/// The system's roots, found when they are first wanted.
pub(super) fn system_roots() -> Result<Arc<RootCertStore>, String> {
    // Not behind a lock, which a child made by `fork` could inherit locked. Two threads may both look.
    static FOUND: ArcSwapOption<RootCertStore> = ArcSwapOption::const_empty();
    if let Some(found) = &*FOUND.load() {
        return Ok(Arc::clone(found));
    }
    let loaded = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(loaded.certs);
    if usable == 0 {
        let why = loaded.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
        return Err(format!(
            "the system has no root certificates{why}; install its package of them, or name a file of some by `tls.ca` or the \
             environment variable SSL_CERT_FILE"
        ));
    }
    let roots = Arc::new(roots);
    FOUND.store(Some(Arc::clone(&roots)));
    Ok(roots)
}
