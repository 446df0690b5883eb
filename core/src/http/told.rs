//! What becomes of a request, for hosts that wait in ways of their own: each retry, then how it ended; and the request under way, as
//! such a host holds it.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use http::StatusCode;

use super::{Body, Options};
use crate::clock;
use crate::endpoint::Endpoint;
use crate::error::{Code, Error};
use crate::proxy::AmbassadorProxy;
use crate::runtime::{self, Coming};

/// Whence a response came: one of its extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Served {
    /// The endpoint that it came from.
    pub endpoint: Endpoint,
    /// The number of the attempt that it is the end of.
    pub attempt: u32,
    /// How many attempts the call made. Of one that was hedged it is not always the last that brings the response.
    pub attempts: u32,
}

/// Who is told of a request that was [spawned](AmbassadorProxy::spawn_send). Called on a thread of the runtime: keep it short.
pub trait Told: Send + 'static {
    /// R7: an attempt failed, and another follows.
    fn retry(&mut self, retry: Retry);
    /// The request has ended.
    fn ended(self, ended: Result<http::Response<Body>, Failed>);
}

/// R7: an attempt failed, and another follows after a wait.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retry {
    /// The number of the attempt that failed. Of a call that is hedged not every number is told: several fail, and one retry follows.
    pub attempt: u32,
    /// Where that attempt went; the target itself, where it had no credentials to go with.
    pub endpoint: Endpoint,
    /// What failed below HTTP, or `TIMEOUT`; `None` when there was a response.
    pub code: Option<Code>,
    /// The status of the response, when there was one.
    pub status: Option<StatusCode>,
    /// The failure in words: `HTTP 503 Service Unavailable`.
    pub cause: String,
    /// How long until the next attempt.
    pub wait: Duration,
    /// What is to be logged: `[Ambassador] Retry 1 after 1.37s: HTTP 503 Service Unavailable`.
    pub line: String,
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
    pub(super) fn new(proxy: AmbassadorProxy, call: crate::call::Call) -> Answering {
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
    /// For hosts that wait in ways of their own: sends it on the shared runtime, and tells how it ends. After a shutdown, which took
    /// the runtime's threads, it is refused here and now.
    pub fn spawn_send(&self, request: http::Request<Body>, options: Options, told: impl Told) -> Sending {
        let proxy = self.clone();
        // On a thread of the runtime nobody knows the host's present span.
        let options = Options { parent: options.parent_now(), is_asked: true, ..options };
        let coming = Coming::new();
        let sent = async move {
            let told = Mutex::new(told);
            let on_retry = |retry| told.lock().unwrap_or_else(PoisonError::into_inner).retry(retry);
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
