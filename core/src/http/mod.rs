//! HTTP by the core: [`send`](AmbassadorProxy::send) a request, and the ambassador finds an endpoint, connects, verifies, says who
//! asks, waits no longer than it may, and tries again where that is safe (P1–P6).
//!
//! ```no_run
//! use ambassador_core::AmbassadorProxy;
//! use ambassador_core::http::Body;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! let payments = AmbassadorProxy::new("https://payment-api.example.com")?;
//! let request = http::Request::get("/charges/42").body(Body::empty())?;
//! let response = payments.send(request).await?;
//! println!("{}: {:?}", response.status(), response.into_body().bytes().await?);
//! # Ok(()) }
//! ```

pub mod auth;
mod body;
mod connect;
mod decode;
mod engine;
mod environment;
mod exchange;
mod fault;
mod pool;
mod redirect;
mod replay;
mod request;
mod rules;
mod send;
pub mod tls;
mod watched;
mod wrong;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;

pub use body::{Body, BoxError};
pub use wrong::Wrong;

pub(crate) use engine::{Engine, Slot};
pub(crate) use request::Common;

use crate::clock;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::proxy::AmbassadorProxy;
use crate::runtime::{self, Coming};
use crate::telemetry::trace::{self, Context};

/// How far an attempt goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// To the end of the body, which is read whole.
    #[default]
    Whole,
    /// To the end of the head; the body is read as a stream, and no bound is on it.
    Stream,
}

/// What a request is sent with, where it differs from the proxy's settings.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Options {
    /// How far an attempt goes.
    pub mode: Mode,
    /// Whether the request may safely be made twice, whatever its method says (P2).
    pub idempotent: Option<bool>,
    /// What the request comes from in its trace (P6), unless its own `traceparent` says so; where neither does, the host's present
    /// span is [asked for](crate::telemetry::trace::set_source).
    pub parent: Option<Context>,
    /// It was, and there is no other.
    is_asked: bool,
}

impl Options {
    /// What the request comes from, as seen from here and now.
    fn parent_now(&self) -> Option<Context> {
        self.parent.clone().or_else(|| if self.is_asked { None } else { trace::current() })
    }
}

/// Whence a response came: one of its extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Served {
    /// The endpoint that it came from.
    pub endpoint: Endpoint,
    /// The number of the attempt that it is the end of.
    pub attempt: u32,
}

/// Who is told of a request that was [spawned](AmbassadorProxy::spawn_send). Called on a thread of the runtime: keep it short.
pub trait Told: Send + 'static {
    /// R7: an attempt failed, and another follows.
    fn retry(&mut self, line: String);
    /// The request has ended.
    fn ended(self, ended: Result<http::Response<Body>, Failed>);
}

/// How a request failed.
#[derive(Debug)]
pub struct Failed {
    /// The error.
    pub error: Error,
    /// Whether something of the host's may answer in its place (H2): to be told how that went.
    pub answering: Option<Answering>,
}

/// A request whose error the host's fallback may answer (H2). Dropped, the error stands.
#[derive(Debug)]
pub struct Answering {
    proxy: AmbassadorProxy,
    call: crate::call::Call,
}

impl Answering {
    fn new(proxy: AmbassadorProxy, call: crate::call::Call) -> Answering {
        Answering { proxy, call }
    }

    /// The fallback has answered, or has failed too.
    pub fn answered(mut self, well: bool) {
        self.proxy.answered(&mut self.call, clock::now(), well);
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.proxy.answered(&mut self.call, clock::now(), false);
    }
}

/// A request that was spawned. Dropping it changes nothing.
#[derive(Debug)]
pub struct Sending(Option<tokio::task::AbortHandle>);

impl Sending {
    /// The caller went away: the request ends cancelled, and nobody is told (O3). Does nothing to one that has ended.
    pub fn cancel(&self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

impl AmbassadorProxy {
    /// Sends a request to the target, and reads its body whole.
    ///
    /// The request's URI is a path, to which the target's own is put in front. The last response is handed back whatever its status
    /// (P3).
    ///
    /// # Errors
    /// [`Error`], whose code tells what failed: `CONNECT`, `TLS`, `PROTOCOL`, `BODY`, `TRANSPORT`, `TIMEOUT`, `DEADLINE`, `NO_ENDPOINT`, or a
    /// refusal.
    pub async fn send(&self, request: http::Request<Body>) -> Result<http::Response<Body>, Error> {
        self.send_with(request, Options::default()).await
    }

    /// [`send`](AmbassadorProxy::send), up to the head of the response: its body is a stream.
    ///
    /// # Errors
    /// As there; reading the body has errors of its own.
    pub async fn stream(&self, request: http::Request<Body>) -> Result<http::Response<Body>, Error> {
        self.send_with(request, Options { mode: Mode::Stream, ..Options::default() }).await
    }

    /// [`send`](AmbassadorProxy::send), with options.
    ///
    /// # Errors
    /// As there.
    pub async fn send_with(
        &self,
        request: http::Request<Body>,
        options: Options,
    ) -> Result<http::Response<Body>, Error> {
        self.send_telling(request, options, |_| ()).await.map_err(|failed| failed.error)
    }

    /// For hosts that wait in ways of their own: sends it on the shared runtime, and tells how it ends. After a shutdown, which took
    /// the runtime's threads, it is refused here and now.
    pub fn spawn_send(&self, request: http::Request<Body>, options: Options, told: impl Told) -> Sending {
        let proxy = self.clone();
        // On a thread of the runtime nobody knows the host's present span.
        let options = Options { parent: options.parent_now(), is_asked: true, ..options };
        let coming = Coming::new();
        let sent = async move {
            let told = Mutex::new(told);
            let on_retry = |line: &str| told.lock().unwrap_or_else(PoisonError::into_inner).retry(line.into());
            let ended = {
                let mut sending = pin!(proxy.send_telling(request, options, on_retry));
                let first = poll_fn(|cx| Poll::Ready(sending.as_mut().poll(cx))).await;
                drop(coming);
                match first {
                    Poll::Ready(ended) => ended,
                    Poll::Pending => sending.await,
                }
            };
            told.into_inner().unwrap_or_else(PoisonError::into_inner).ended(ended);
        };
        if runtime::is_shut_down() {
            runtime::block_on(sent);
            return Sending(None);
        }
        Sending(Some(runtime::handle().spawn(sent).abort_handle()))
    }
}
