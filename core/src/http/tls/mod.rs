//! TLS to a target: verified against the system's roots or a file of them, with a client's certificate where one is set, and
//! with pins. Files are read again when they change, so that certificates rotate while the program runs; what cannot be used
//! replaces nothing.
//!
//! ```no_run
//! use ambassador_core::http::tls::Connector;
//! use ambassador_core::policy::http::Version;
//! use ambassador_core::policy::tls::Tls;
//! use tokio::net::TcpStream;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let connector = Connector::new(&Tls::default(), "payments").map_err(|wrong| wrong.allowed)?;
//! let connection = TcpStream::connect("payment-api.example.com:443").await?;
//! let secure = connector.connect(connection, "payment-api.example.com", Version::Auto).await?;
//! # Ok(()) }
//! ```

mod certificate;
mod fault;
mod files;
mod verify;

pub use fault::{Reason, TlsFault};
pub use files::check;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use arc_swap::ArcSwapOption;
use rustls::pki_types::ServerName;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Wrong;
use super::watched::Watched;
use crate::clock::{self, SECOND};
use crate::event;
use crate::policy::http::Version;
use crate::policy::tls::{Tls, TlsVersion};
use verify::{Pin, Verifier};

/// Makes secure connections to a target. Cheap to clone; clones share sessions, which are resumed.
#[derive(Clone)]
pub struct Connector(Arc<Inner>);

struct Inner {
    /// Whose it is, for what is told.
    name: String,
    tls: Tls,
    pins: Arc<[Pin]>,
    server_name: Option<ServerName<'static>>,
    roots: Option<Watched<RootCertStore>>,
    identity: Option<Watched<CertifiedKey>>,
    built: ArcSwapOption<Built>,
    looked: AtomicU64,
}

/// What connections are made by, for as long as the files hold the same.
struct Built {
    /// Sessions are behind locks, which a child made by `fork` could inherit locked: it builds its own (F3).
    process: u32,
    roots: Option<Arc<RootCertStore>>,
    identity: Option<Arc<CertifiedKey>>,
    connector: TlsConnector,
    generation: u64,
}

impl Connector {
    /// A connector of these settings, for the state of that name. Reads no file yet: [`check`] does.
    ///
    /// # Errors
    /// [`Wrong`] when a pin or a name has not its form, or a certificate comes without a key.
    pub fn new(tls: &Tls, name: &str) -> Result<Connector, Wrong> {
        let (pins, server_name) = files::checked_forms(tls)?;
        if tls.dangerous_accept_invalid_certificates {
            tracing::warn!(
                target: "ambassador",
                name,
                "`tls.dangerous_accept_invalid_certificates` is on: anybody on the way can read and change what is sent"
            );
        }
        let roots = tls.ca.as_ref().filter(|_| !tls.dangerous_accept_invalid_certificates);
        let identity = tls.cert.as_ref().zip(tls.key.as_ref());
        Ok(Connector(Arc::new(Inner {
            name: name.into(),
            tls: tls.clone(),
            pins,
            server_name,
            roots: roots.map(|ca| Watched::new([ca], files::roots)),
            identity: identity.map(|(cert, key)| Watched::new([cert, key], files::identity)),
            built: ArcSwapOption::empty(),
            looked: AtomicU64::new(0),
        })))
    }

    /// Speaks TLS over `connection` with `host`, which is whom the certificate has to be for unless `tls.server_name` says
    /// otherwise, and offers that version of HTTP, or both.
    ///
    /// # Errors
    /// [`TlsFault`].
    pub async fn connect<C>(&self, connection: C, host: &str, version: Version) -> Result<TlsStream<C>, TlsFault>
    where
        C: AsyncRead + AsyncWrite + Unpin,
    {
        let built = self.0.built()?;
        let server = match &self.0.server_name {
            Some(name) => name.clone(),
            None => files::server_name(host).ok_or_else(|| {
                TlsFault::new(Reason::Settings, format!("{host:?} is no name that a certificate could be for"))
            })?,
        };
        let shown = server.to_str().into_owned();
        let offered: &[&[u8]] = match version {
            Version::Auto => &[b"h2", b"http/1.1"],
            Version::Http1 => &[b"http/1.1"],
            Version::Http2 => &[b"h2"],
        };
        let offered = offered.iter().map(|protocol| protocol.to_vec()).collect();
        let connected = built.connector.with_alpn(offered).connect(server, connection).await;
        connected.map_err(|error| TlsFault::of_handshake(&error, &shown, built.identity.is_some()))
    }

    /// What the peer thinks of the client's certificate, when the first read of a connection fails: in TLS 1.3 that comes after
    /// the handshake. `None` when the error is of another kind.
    pub fn fault_of(&self, error: &(dyn StdError + 'static), host: &str) -> Option<TlsFault> {
        TlsFault::of_first_read(error, host, self.0.tls.cert.is_some())
    }

    /// A number that is another one when the files hold something else than they did: connections that were made before are not
    /// to be used again, for a root may have been removed. Looks at the files at most once a second.
    pub fn generation(&self) -> u64 {
        if self.0.roots.is_some() || self.0.identity.is_some() {
            let (now, looked) = (clock::now(), self.0.looked.load(Relaxed));
            if now.abs_diff(looked) >= SECOND && self.0.looked.compare_exchange(looked, now, Relaxed, Relaxed).is_ok() {
                // That there is nothing to connect by, whoever connects is told.
                let _ = self.0.built();
            }
        }
        self.0.built.load().as_ref().map_or(0, |built| built.generation)
    }
}

impl Inner {
    /// What connections are made by now.
    fn built(&self) -> Result<Arc<Built>, TlsFault> {
        let roots = match &self.roots {
            _ if self.tls.dangerous_accept_invalid_certificates => None,
            Some(watched) => Some(self.look(watched, "tls.ca")?),
            None => Some(files::system_roots().map_err(|why| TlsFault::new(Reason::Settings, why))?),
        };
        let identity = match &self.identity {
            Some(watched) => Some(self.look(watched, "tls.cert")?),
            None => None,
        };
        loop {
            let last = self.built.load();
            if let Some(last) = &*last
                && last.process == std::process::id()
                && is_same(&last.roots, &roots)
                && is_same(&last.identity, &identity)
            {
                return Ok(Arc::clone(last));
            }
            let generation = last.as_ref().map_or(0, |last| last.generation + 1);
            let built = Arc::new(self.build(roots.clone(), identity.clone(), generation)?);
            let before = self.built.compare_and_swap(&*last, Some(Arc::clone(&built)));
            if before.as_ref().map(Arc::as_ptr) == last.as_ref().map(Arc::as_ptr) {
                return Ok(built);
            }
        }
    }

    /// What the files hold, or held when it could be used.
    fn look<T>(&self, watched: &Watched<T>, field: &'static str) -> Result<Arc<T>, TlsFault> {
        let value = watched.get(|change| event::credentials(&self.name, field, change.why()));
        value.map_err(|why| TlsFault::new(Reason::Settings, format!("`{field}` cannot be used: {why}")))
    }

    fn build(
        &self,
        roots: Option<Arc<RootCertStore>>,
        identity: Option<Arc<CertifiedKey>>,
        generation: u64,
    ) -> Result<Built, TlsFault> {
        let provider = files::provider();
        let verifier = Verifier {
            roots: roots.clone(),
            roots_shown: match &self.tls.ca {
                Some(ca) => format!("the roots of {}", ca.display()),
                None => "the system's roots".into(),
            },
            pins: Arc::clone(&self.pins),
            algorithms: provider.signature_verification_algorithms,
        };
        let versions: &[_] = match self.tls.min_version {
            TlsVersion::V1_2 => &[&TLS13, &TLS12],
            TlsVersion::V1_3 => &[&TLS13],
        };
        let building = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)
            .map_err(|error| TlsFault::new(Reason::Settings, error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let config = match &identity {
            Some(key) => building.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(CertifiedKey::clone(key)))),
            None => building.with_no_client_auth(),
        };
        let connector = TlsConnector::from(Arc::new(config));
        Ok(Built { process: std::process::id(), roots, identity, connector, generation })
    }
}

fn is_same<T>(one: &Option<Arc<T>>, other: &Option<Arc<T>>) -> bool {
    one.as_ref().map(Arc::as_ptr) == other.as_ref().map(Arc::as_ptr)
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("name", &self.0.name).field("tls", &self.0.tls).finish_non_exhaustive()
    }
}
