//! One request over a connection, and what comes back: a head, then a body that is read whole or handed on as a stream.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::body::{Body, BoxError};
use super::fault::{Fault, Reach};
use super::pool::{Connection, GivingBack, Lease, Pool};
use crate::error::Code;

/// Bodies of requests up to that many bytes are on their way when hyper has them.
const SMALL: u64 = 8 << 10;

/// A response whose body is still to be read.
pub(super) struct Arriving {
    pub head: http::response::Parts,
    pub body: Incoming,
    pub link: Link,
}

/// The connection that a response comes by.
pub(super) struct Link {
    /// Of HTTP/1.
    lease: Option<Lease>,
    is_small: bool,
    pub pool: Arc<Pool>,
}

/// Sends what `request` makes for the connection at hand, and waits for the head of the response. `is_sent` tells whether anything may
/// have gone out, at any moment (P1).
pub(super) async fn exchange(
    pool: Arc<Pool>,
    is_sent: &AtomicBool,
    limit: u32,
    mut request: impl FnMut(bool) -> Request<Body>,
) -> Result<Arriving, Fault> {
    loop {
        let connection = pool.connection().await?;
        is_sent.store(true, Relaxed);
        let (failed, was_fresh) = match connection {
            Connection::One(mut lease) => {
                let request = request(false);
                let is_small = http_body::Body::size_hint(request.body()).upper().is_some_and(|length| length <= SMALL);
                match lease.sender.try_send_request(request).await {
                    Ok(response) => {
                        let (head, body) = response.into_parts();
                        return Ok(Arriving { head, body, link: Link { lease: Some(lease), is_small, pool } });
                    }
                    Err(failed) => (failed, lease.is_fresh),
                }
            }
            Connection::Two(mut sender) => match sender.try_send_request(request(true)).await {
                Ok(response) => {
                    let (head, body) = response.into_parts();
                    return Ok(Arriving { head, body, link: Link { lease: None, is_small: true, pool } });
                }
                Err(failed) => (failed, false),
            },
        };
        let is_unsent = failed.message().is_some();
        if is_unsent {
            is_sent.store(false, Relaxed);
            if !was_fresh {
                // It was closed while nobody used it, and nothing of the request has left: another connection, the same attempt.
                continue;
            }
        }
        let error = failed.into_error();
        let fault = match pool.refusal(&error) {
            Some(refused) => Fault::tls(&refused, &pool.place.name),
            None => Fault::of_exchange(&error, is_unsent, limit, &pool.place.name),
        };
        if fault.reach == Reach::Unsent {
            is_sent.store(false, Relaxed);
        }
        return Err(fault);
    }
}

impl Link {
    /// The body has been read to its end.
    pub fn give_back(self) -> Option<GivingBack> {
        let is_small = self.is_small;
        self.lease.map(|lease| lease.give_back(is_small))
    }
}

impl Arriving {
    /// Reads the body whole.
    pub async fn whole(self, limit: u32) -> Result<Response<Body>, Fault> {
        let Arriving { head, mut body, link } = self;
        let place = Arc::clone(&link.pool);
        let too_large = || {
            let text = format!("its response's body is larger than http.max_body_bytes, {limit} bytes");
            Fault::new(Code::Body, Reach::Hopeless, text, &place.place.name)
        };
        if http_body::Body::size_hint(&body).lower() > u64::from(limit) {
            return Err(too_large());
        }
        // One piece is handed on as it came.
        let (mut first, mut all) = (Bytes::new(), BytesMut::new());
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Fault::of_body(&error, &place.place.name))?;
            let Ok(piece) = frame.into_data() else { continue };
            if first.len() + all.len() + piece.len() > limit as usize {
                return Err(too_large());
            }
            if first.is_empty() && all.is_empty() {
                first = piece;
                continue;
            }
            if all.is_empty() {
                all.reserve(first.len() + piece.len());
                all.extend_from_slice(&first);
                first = Bytes::new();
            }
            all.extend_from_slice(&piece);
        }
        if let Some(giving) = link.give_back() {
            giving.done().await;
        }
        let all = if first.is_empty() { all.freeze() } else { first };
        Ok(Response::from_parts(head, Body::from(all)))
    }

    /// Hands the body on as it comes.
    pub async fn stream(self, error: impl Fn(Fault) -> BoxError + Send + 'static) -> Response<Body> {
        let Arriving { head, body, link } = self;
        if http_body::Body::is_end_stream(&body) {
            // There is none: perhaps nobody reads it.
            if let Some(giving) = link.give_back() {
                giving.done().await;
            }
            return Response::from_parts(head, Body::empty());
        }
        let body = Stream { body, link: Some(link), giving: None, error: Box::new(error) };
        Response::from_parts(head, Body::stream(body))
    }
}

/// A response's body that is read as it comes. Dropped before its end, its connection is closed.
struct Stream {
    body: Incoming,
    link: Option<Link>,
    giving: Option<GivingBack>,
    error: Box<dyn Fn(Fault) -> BoxError + Send>,
}

impl http_body::Body for Stream {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let stream = &mut *self;
        if stream.link.is_some() {
            match ready!(Pin::new(&mut stream.body).poll_frame(cx)) {
                Some(Ok(frame)) => return Poll::Ready(Some(Ok(frame))),
                Some(Err(error)) => {
                    let fault = stream.link.take().map(|link| Fault::of_body(&error, &link.pool.place.name));
                    return Poll::Ready(fault.map(|fault| Err((stream.error)(fault))));
                }
                None => stream.giving = stream.link.take().and_then(Link::give_back),
            }
        }
        if let Some(giving) = &mut stream.giving {
            ready!(giving.poll_done(cx));
            stream.giving = None;
        }
        Poll::Ready(None)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
