//! How a connection comes about: TCP to one of them (RFC 8305: several at once, each a little later than the
//! one before), TLS, and the agreement which HTTP is spoken.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::body::Body;
use super::environment::{self, Via};
use super::fault::{Fault, Reach};
use super::tls::Connector;
use crate::discovery;
use crate::error::Code;
use crate::policy::http::{Http, Version};

/// RFC 8305, section 5: how long one address is tried alone before another is tried beside it.
const HEAD_START: Duration = Duration::from_millis(250);

/// Where connections lead, and whose certificate is asked for there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// `http://10.0.0.7:8080`, as errors tell of it.
    pub name: Arc<str>,
    pub host: Arc<str>,
    pub port: u16,
    /// The name that a certificate has to be for; `None` without TLS.
    pub server_name: Option<Arc<str>>,
    /// Whether it is another origin than the target's, which is shown no certificate of ours (P5).
    pub is_elsewhere: bool,
    /// The proxy that it is reached by.
    pub via: Option<Via>,
}

impl Place {
    /// The proxy that is asked for whole URLs there, in the clear.
    pub fn asked_proxy(&self) -> Option<&Via> {
        self.via.as_ref().filter(|_| self.server_name.is_none())
    }
}

/// What TLS is spoken by; or what is wrong with its settings.
pub(super) type Secure = Result<Connector, Arc<str>>;

/// A connection, ready for requests.
pub(super) enum Connected {
    One(http1::SendRequest<Body>),
    Two(http2::SendRequest<Body>),
}

/// Connects. To be called on the shared runtime, where what drives the connection stays.
pub(super) async fn connect(
    place: &Place,
    http: &Http,
    tls: &Secure,
    servers: &[SocketAddr],
) -> Result<Connected, Fault> {
    let mut tcp = reach(place, servers).await?;
    if let (Some(via), Some(_)) = (&place.via, &place.server_name) {
        environment::tunnel(&mut tcp, via, &place.host, place.port, &place.name).await?;
    }
    let Some(name) = &place.server_name else {
        return agree(tcp, http.version == Version::Http2, place, http).await;
    };
    let tls = tls.as_ref().map_err(|why| Fault::new(Code::Tls, Reach::Hopeless, why.to_string(), &place.name))?;
    let secure = tls.connect(tcp, name, http.version).await.map_err(|fault| Fault::tls(&fault, &place.name))?;
    let speaks_two = secure.get_ref().1.alpn_protocol() == Some(b"h2");
    if http.version == Version::Http2 && !speaks_two {
        let text = "it does not speak HTTP/2, which http.version asks for";
        return Err(Fault::new(Code::Protocol, Reach::UnsentHere, text, &place.name));
    }
    agree(secure, speaks_two, place, http).await
}

/// TCP to the place's host, or to the proxy before it.
async fn reach(place: &Place, servers: &[SocketAddr]) -> Result<TcpStream, Fault> {
    let (host, port) = match &place.via {
        Some(via) if !via.is_known => {
            let text = "the environment names a proxy of a kind that is not known; http:// is";
            return Err(Fault::new(Code::Connect, Reach::Hopeless, text, &place.name));
        }
        Some(via) => (&*via.host, via.port),
        None => (&*place.host, place.port),
    };
    let addresses = discovery::addresses(host, port, servers).await;
    let addresses = addresses.map_err(|why| Fault::connect(why, &place.name))?;
    let tcp = first_of(addresses).await.map_err(|error| {
        let text = format!("no connection: {}", in_words(&error));
        Fault::connect(text, &place.name)
    })?;
    // Requests are written whole; to wait for more of them would only cost time.
    let _ = tcp.set_nodelay(true);
    Ok(tcp)
}

/// The first address that answers; the last error when none does.
async fn first_of(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    if let [address] = addresses[..] {
        return TcpStream::connect(address).await;
    }
    let mut left = addresses.into_iter();
    let mut trying = JoinSet::new();
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        let next = left.next();
        let is_last = next.is_none();
        if let Some(address) = next {
            trying.spawn(TcpStream::connect(address));
        }
        let ended = if is_last {
            trying.join_next().await
        } else {
            // One that failed makes way at once.
            match tokio::time::timeout(HEAD_START, trying.join_next()).await {
                Ok(ended) => ended,
                Err(_) => continue,
            }
        };
        match ended {
            Some(Ok(Ok(tcp))) => return Ok(tcp),
            Some(Ok(Err(error))) => last = error,
            Some(Err(_)) => {}
            None if is_last => return Err(last),
            None => {}
        }
    }
}

/// The two sides begin to speak HTTP over that stream.
async fn agree<S>(stream: S, is_two: bool, place: &Place, http: &Http) -> Result<Connected, Fault>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let failed = |error: hyper::Error| Fault::new(Code::Protocol, Reach::Unsent, error.to_string(), &place.name);
    if is_two {
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .max_header_list_size(http.max_header_bytes)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(failed)?;
        tokio::spawn(connection);
        return Ok(Connected::Two(sender));
    }
    let (sender, connection) = http1::Builder::new()
        .max_buf_size((http.max_header_bytes as usize).max(LEAST_BUFFER))
        .handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    tokio::spawn(connection);
    Ok(Connected::One(sender))
}

/// Less than this hyper does not take.
const LEAST_BUFFER: usize = 8192;

/// How much of a body by HTTP/2 may be on its way, and wait here to be read.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// `connection refused`: what the operating system says, without its number.
fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".into(),
        io::ErrorKind::HostUnreachable => "host unreachable".into(),
        io::ErrorKind::NetworkUnreachable => "network unreachable".into(),
        io::ErrorKind::TimedOut => "nothing answers at the address".into(),
        _ => error.to_string(),
    }
}
