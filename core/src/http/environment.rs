//! Proxies by the environment, where they are asked for: `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`. What is for `https`
//! goes through a tunnel (CONNECT), so the proxy sees none of it.

use std::sync::Arc;

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::fault::{Fault, Reach};
use crate::error::Code;

/// The proxy that connections to a place go by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Via {
    pub host: Arc<str>,
    pub port: u16,
    /// Who the proxy is told it is.
    pub authorization: Option<HeaderValue>,
    /// Whether a proxy of that kind can be spoken to.
    pub is_known: bool,
}

/// What the environment says, read once.
pub(super) struct Environment(Matcher);

impl Environment {
    pub fn read() -> Environment {
        Environment(Matcher::from_env())
    }

    /// The proxy for that URL, if there is one.
    pub fn proxy_for(&self, url: &str) -> Option<Via> {
        let intercept = self.0.intercept(&url.parse::<Uri>().ok()?)?;
        let uri = intercept.uri();
        let is_known = uri.scheme_str() == Some("http");
        Some(Via {
            host: uri.host()?.trim_matches(['[', ']']).into(),
            port: uri.port_u16().unwrap_or(80),
            authorization: intercept.basic_auth().cloned(),
            is_known,
        })
    }
}

/// The most that a proxy may say before the tunnel stands.
const MOST: usize = 8 << 10;

/// Asks the proxy for a tunnel to there.
pub(super) async fn tunnel(tcp: &mut TcpStream, via: &Via, host: &str, port: u16, endpoint: &str) -> Result<(), Fault> {
    let failed = |why: String| {
        Fault::new(Code::Connect, Reach::Unsent, format!("the proxy {}:{} {why}", via.host, via.port), endpoint)
    };
    let host = if host.contains(':') { format!("[{host}]") } else { host.into() };
    let mut asked = format!("CONNECT {host}:{port} HTTP/1.1\r\nhost: {host}:{port}\r\n").into_bytes();
    if let Some(authorization) = &via.authorization {
        asked.extend_from_slice(b"proxy-authorization: ");
        asked.extend_from_slice(authorization.as_bytes());
        asked.extend_from_slice(b"\r\n");
    }
    asked.extend_from_slice(b"\r\n");
    tcp.write_all(&asked).await.map_err(|_| failed("closed the connection".into()))?;
    let mut said = Vec::new();
    // Byte by byte: what follows the head is the tunnel's already.
    while !said.ends_with(b"\r\n\r\n") {
        match tcp.read_u8().await {
            Ok(byte) if said.len() < MOST => said.push(byte),
            _ => return Err(failed("did not answer as one".into())),
        }
    }
    let status = said.split(|byte| *byte == b' ').nth(1).and_then(|status| std::str::from_utf8(status).ok());
    match status.and_then(|status| status.trim().parse::<u16>().ok()) {
        Some(200..=299) => Ok(()),
        Some(407) => Err(failed("wants to know who asks: put the credentials into HTTPS_PROXY".into())),
        Some(status) => Err(failed(format!("answered {status}"))),
        None => Err(failed("did not answer as one".into())),
    }
}
