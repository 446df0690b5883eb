//! Whom a target's certificate has to convince, and which one it is shown. Verification is the rule.

use std::path::PathBuf;

/// TLS to a target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// A file of root certificates in PEM, in place of the system's.
    pub ca: Option<PathBuf>,
    /// The client's certificate and those that signed it, in PEM. Read again when the file changes.
    pub cert: Option<PathBuf>,
    /// The certificate's private key, in PEM.
    pub key: Option<PathBuf>,
    /// The name that the server's certificate has to be for, and that is asked for (SNI), in place of the target's host.
    pub server_name: Option<String>,
    /// The lowest version that is spoken; default 1.2.
    pub min_version: TlsVersion,
    /// Of these, one has to be the SHA-256 of the public key (SPKI) of a certificate that the server shows, in Base64. None is
    /// asked for when there are none.
    pub pins: Vec<String>,
    /// Whether a certificate is taken for good that does not verify. Anybody on the way may then read and change everything.
    pub dangerous_accept_invalid_certificates: bool,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    /// 1.2
    #[default]
    V1_2,
    /// 1.3
    V1_3,
}

impl TlsVersion {
    /// Every choice.
    pub const ALL: [TlsVersion; 2] = [TlsVersion::V1_2, TlsVersion::V1_3];

    /// Its name in settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            TlsVersion::V1_2 => "1.2",
            TlsVersion::V1_3 => "1.3",
        }
    }
}
