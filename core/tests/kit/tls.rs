//! Certificates made for a test, and a TLS server on loopback that shows them.

use std::fs;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A folder of its own for a test, gone with it.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("ambassador-test-{}-{}", std::process::id(), NEXT.fetch_add(1, SeqCst));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).unwrap();
        Folder(folder)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// As it is done where nobody is to see half of it: written beside it, then renamed.
    pub fn swap(&self, name: &str, content: impl AsRef<[u8]>) {
        let beside = self.file(&format!(".{name}.new"), content);
        fs::rename(beside, self.path(name)).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Who issues certificates.
pub struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
    /// From those that it was issued by.
    above: Vec<CertificateDer<'static>>,
}

impl Authority {
    pub fn new(name: &str) -> Authority {
        let key = KeyPair::generate().unwrap();
        let params = Authority::params(name);
        let certificate = params.self_signed(&key).unwrap();
        Authority { certificate, issuer: Issuer::new(params, key), above: Vec::new() }
    }

    /// One below it, whose certificate servers have to send along.
    pub fn intermediate(&self, name: &str) -> Authority {
        let key = KeyPair::generate().unwrap();
        let params = Authority::params(name);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let above = std::iter::once(certificate.der().clone()).chain(self.above.iter().cloned()).collect();
        Authority { certificate, issuer: Issuer::new(params, key), above }
    }

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    }

    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    pub fn der(&self) -> CertificateDer<'static> {
        self.certificate.der().clone()
    }

    /// The pin of its key.
    pub fn pin(&self) -> String {
        pin_of(self.issuer.key())
    }

    /// A certificate for these names.
    pub fn issue(&self, names: &[&str]) -> Identity {
        self.issue_with(names, |_| {})
    }

    pub fn issue_with(&self, names: &[&str], edit: impl FnOnce(&mut CertificateParams)) -> Identity {
        let (params, key) = request(names, edit);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let chain = std::iter::once(certificate.der().clone()).chain(self.above.iter().cloned()).collect();
        let pem = certificate.pem() + &self.above.iter().map(pem_of).collect::<String>();
        Identity { chain, pem, key }
    }
}

/// A certificate with its key, and those that vouch for it.
pub struct Identity {
    pub chain: Vec<CertificateDer<'static>>,
    /// The chain.
    pub pem: String,
    pub key: KeyPair,
}

impl Identity {
    /// One that nobody vouches for but itself.
    pub fn self_signed(names: &[&str]) -> Identity {
        let (params, key) = request(names, |_| {});
        let certificate = params.self_signed(&key).unwrap();
        Identity { chain: vec![certificate.der().clone()], pem: certificate.pem(), key }
    }

    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    pub fn pin(&self) -> String {
        pin_of(&self.key)
    }
}

fn request(names: &[&str], edit: impl FnOnce(&mut CertificateParams)) -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::new(names.iter().map(|name| name.to_string()).collect::<Vec<_>>()).unwrap();
    params.distinguished_name.push(DnType::CommonName, names[0]);
    params.use_authority_key_identifier_extension = true;
    edit(&mut params);
    (params, KeyPair::generate().unwrap())
}

fn pem_of(certificate: &CertificateDer<'static>) -> String {
    use base64::prelude::{BASE64_STANDARD, Engine};
    let text = BASE64_STANDARD.encode(certificate);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line)).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

fn pin_of(key: &impl PublicKeyData) -> String {
    use base64::prelude::{BASE64_STANDARD, Engine};
    let digest = ring::digest::digest(&ring::digest::SHA256, &key.subject_public_key_info());
    BASE64_STANDARD.encode(digest.as_ref())
}

/// A server's settings: one identity, all versions, no client certificates, HTTP/2 and HTTP/1.1.
pub fn showing(identity: &Identity) -> ServerConfig {
    server_config(identity, rustls::ALL_VERSIONS, None)
}

/// The same, of one version.
pub fn showing_only(identity: &Identity, version: &'static SupportedProtocolVersion) -> ServerConfig {
    server_config(identity, &[version], None)
}

/// The same, for clients that one of these authorities vouches for.
pub fn asking(
    identity: &Identity,
    version: &'static SupportedProtocolVersion,
    authorities: &[&Authority],
) -> ServerConfig {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority.der()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    server_config(identity, &[version], Some(verifier))
}

fn server_config(
    identity: &Identity,
    versions: &[&'static SupportedProtocolVersion],
    clients: Option<Arc<dyn ClientCertVerifier>>,
) -> ServerConfig {
    let building = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap();
    let building = match clients {
        Some(verifier) => building.with_client_cert_verifier(verifier),
        None => building.with_no_client_auth(),
    };
    let key = PrivateKeyDer::try_from(identity.key.serialize_der()).unwrap();
    let mut config = building.with_single_cert(identity.chain.clone(), key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

/// What a server has seen of those that came through the handshake.
#[derive(Default)]
pub struct Seen {
    pub handshakes: AtomicU64,
    pub refused: AtomicU64,
    /// The client's certificate of the last one.
    pub client: Mutex<Option<CertificateDer<'static>>>,
    /// The name that the last one asked for.
    pub server_name: Mutex<Option<String>>,
}

/// A TLS server on loopback, gone when it is dropped.
pub struct Server {
    pub address: SocketAddr,
    pub seen: Arc<Seen>,
    accepting: AbortHandle,
}

impl Server {
    /// It greets with one byte, and sends back what it is sent.
    pub async fn echo(config: ServerConfig) -> Server {
        Server::start(config, |mut stream| async move {
            let mut buffer = [0; 4096];
            let mut answer = stream.write_all(b"!").await;
            while answer.is_ok() {
                match stream.read(&mut buffer).await {
                    Ok(read @ 1..) => answer = stream.write_all(&buffer[..read]).await,
                    _ => break,
                }
            }
        })
        .await
    }

    /// `serve` has each connection that came through the handshake.
    pub async fn start<S, F>(config: ServerConfig, serve: S) -> Server
    where
        S: Fn(TlsStream<TcpStream>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let seen = Arc::<Seen>::default();
        let (acceptor, noted) = (TlsAcceptor::from(Arc::new(config)), Arc::clone(&seen));
        let (address, accepting) = accept(move |stream| {
            let (acceptor, seen, serve) = (acceptor.clone(), Arc::clone(&noted), serve.clone());
            async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    seen.refused.fetch_add(1, SeqCst);
                    return;
                };
                let session = stream.get_ref().1;
                seen.handshakes.fetch_add(1, SeqCst);
                *seen.client.lock().unwrap() =
                    session.peer_certificates().and_then(|chain| chain.first()).map(|own| own.clone().into_owned());
                *seen.server_name.lock().unwrap() = session.server_name().map(String::from);
                serve(stream).await;
            }
        })
        .await;
        Server { address, seen, accepting }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Accepts connections on loopback, each a task, until it is aborted.
pub async fn accept<S, F>(serve: S) -> (SocketAddr, AbortHandle)
where
    S: Fn(TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepting = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    (address, accepting.abort_handle())
}

/// The path as settings take it.
pub fn some(path: &Path) -> Option<PathBuf> {
    Some(path.into())
}
