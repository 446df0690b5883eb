//! The way to the collector, by the ambassador itself: with retries, a bound, and what the collector says of it told once.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use tokio::io::AsyncReadExt;

use super::environment::Road;
use super::{COUNTS, warn, wire};
use crate::http::{Body, Options};
use crate::policy::backoff::Backoff;
use crate::policy::tls::Tls;
use crate::proxy::AmbassadorProxy;

/// The way to the collector, for one kind of what is sent.
pub(super) struct Sender {
    kind: &'static str,
    proxy: AmbassadorProxy,
    road: Road,
    is_failing: bool,
    is_refused: bool,
}

impl Sender {
    pub fn new(kind: &'static str, road: &Road) -> Option<Sender> {
        let tls = Tls { ca: road.ca.clone(), cert: road.cert.clone(), key: road.key.clone(), ..Tls::default() };
        let proxy = AmbassadorProxy::builder(&road.origin)
            .name(&format!("ambassador's {kind}"))
            .timeout(road.timeout)
            .deadline(road.timeout)
            .max_retries(5)
            .backoff(Backoff::exponential(Duration::from_secs(1)))
            .breaker(None)
            .budget(None)
            .tls(tls)
            .build();
        match proxy {
            Ok(proxy) => {
                let (proxy, road) = (proxy.for_exports(), road.clone());
                Some(Sender { kind, proxy, road, is_failing: false, is_refused: false })
            }
            Err(error) => {
                warn(&format!("no {kind} are exported: {error}"));
                None
            }
        }
    }

    /// How many of what the message holds the collector has refused; `None` when it has not taken the message at all.
    pub async fn send(&mut self, message: Vec<u8>) -> Option<u64> {
        match self.answer(message).await {
            Ok(answer) => {
                self.is_failing = false;
                let (refused, why) = wire::refused(&answer);
                if refused > 0 && !std::mem::replace(&mut self.is_refused, true) {
                    warn(&format!("the collector refuses {refused} of the {}: {why}", self.kind));
                }
                Some(refused)
            }
            Err(why) => {
                COUNTS.failed.fetch_add(1, Relaxed);
                // Told once, until it goes well again.
                if !std::mem::replace(&mut self.is_failing, true) {
                    let Sender { kind, road, .. } = self;
                    warn(&format!(
                        "{kind} cannot be sent to {}{}, and are dropped until they can: {why}",
                        road.origin, road.path
                    ));
                }
                None
            }
        }
    }

    async fn answer(&self, message: Vec<u8>) -> Result<Vec<u8>, String> {
        let request = self.request(message).await?;
        let mut options = Options::default();
        // It may get it twice, as OTLP allows.
        options.idempotent = Some(true);
        match self.proxy.send_with(request, options).await {
            Ok(response) if response.status().is_success() => {
                Ok(response.into_body().as_bytes().unwrap_or_default().to_vec())
            }
            Ok(response) => Err(format!("it answers {}", response.status())),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn request(&self, message: Vec<u8>) -> Result<http::Request<Body>, String> {
        let mut request = http::Request::post(&self.road.path);
        let body = if self.road.gzip {
            request = request.header(CONTENT_ENCODING, "gzip");
            let mut packed = Vec::new();
            let mut encoder = async_compression::tokio::bufread::GzipEncoder::new(&message[..]);
            encoder.read_to_end(&mut packed).await.map_err(|error| error.to_string())?;
            packed
        } else {
            message
        };
        request = request.header(CONTENT_TYPE, "application/x-protobuf");
        request = request.header(USER_AGENT, concat!("OTel-OTLP-Exporter-Ambassador/", env!("CARGO_PKG_VERSION")));
        for (name, value) in &self.road.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("{name:?} is no header's name"))?;
            let mut value =
                HeaderValue::from_str(value.reveal()).map_err(|_| format!("{name} is no header's value"))?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        request.body(Body::from(body)).map_err(|error| error.to_string())
    }
}
