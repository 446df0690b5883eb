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
mod told;
mod watched;
mod wrong;

use std::time::Duration;

pub use body::{Body, BoxError};
pub use told::{Answering, Failed, Retry, Sending, Served, Told};
pub use wrong::Wrong;

pub(crate) use engine::{Engine, Slot};
pub(crate) use request::Common;

use crate::clock::{self, Nanos};
use crate::error::{ConfigError, Error};
use crate::proxy::AmbassadorProxy;
use crate::settings::{self, Spelling, Value};
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
    /// The bound of each of its attempts, in place of the proxy's `timeout` (T1); [`Duration::MAX`] is none.
    pub timeout: Option<Duration>,
    /// The bound of the whole call, in place of the proxy's `deadline`; [`Duration::MAX`] is none.
    pub deadline: Option<Duration>,
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

    /// The bounds that hold, where they are not the proxy's.
    fn bounds(&self) -> Option<Bounds> {
        let nanos = |bound: Duration| (bound != Duration::MAX).then(|| clock::nanos(bound));
        let Options { timeout, deadline, .. } = *self;
        (timeout.is_some() || deadline.is_some())
            .then(|| Bounds { timeout: timeout.map(nanos), deadline: deadline.map(nanos) })
    }

    /// Sets `timeout` or `deadline` as that language spells it, and from a value of its own.
    ///
    /// ```
    /// use ambassador_core::http::Options;
    /// use ambassador_core::settings::{Spelling, Value};
    ///
    /// let mut options = Options::default();
    /// options.set(Spelling::Node, "timeoutMs", &Value::Int(300))?;
    /// assert_eq!(options.timeout, Some(std::time::Duration::from_millis(300)));
    /// assert!(options.set(Spelling::Node, "timeoutMs", &Value::Int(0)).is_err());
    /// # Ok::<_, ambassador_core::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// [`ConfigError`] when the setting would refuse that value too.
    pub fn set(&mut self, spelling: Spelling, field: &str, value: &Value) -> Result<(), ConfigError> {
        let (is_deadline, bound) = settings::bound(spelling, field, value)?;
        let bound = Some(bound.map_or(Duration::MAX, Duration::from_nanos));
        *(if is_deadline { &mut self.deadline } else { &mut self.timeout }) = bound;
        Ok(())
    }
}

/// The bounds of one request: what is there takes the place of the policy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub timeout: Option<Option<Nanos>>,
    pub deadline: Option<Option<Nanos>>,
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
}
