//! One request over a connection, and what comes back: a head, then a body that is read whole or handed on as a stream.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::Request;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::body::Body;
use super::connect::Place;
use super::decode::{self, Unpacked};
use super::fault::{Fault, Reach};
use super::pool::{Connection, GivingBack, Lease, Pool};
use crate::error::Code;

/// Bodies of requests up to that many bytes are on their way when hyper has them.
const SMALL: u64 = 8 << 10;

/// Bodies of responses that nobody wants are read up to that many bytes.
const SHORT: u32 = 64 << 10;

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
    mut request: impl FnMut(&Place, bool) -> Request<Body>,
) -> Result<Arriving, Fault> {
    loop {
        let connection = pool.connection().await?;
        is_sent.store(true, Relaxed);
        let (failed, was_fresh) = match connection {
            Connection::One(mut lease) => {
                let request = request(&pool.place, false);
                let is_small = request.body().size_hint().upper().is_some_and(|length| length <= SMALL);
                match lease.sender.try_send_request(request).await {
                    Ok(response) => {
                        let (head, body) = response.into_parts();
                        return Ok(Arriving { head, body, link: Link { lease: Some(lease), is_small, pool } });
                    }
                    Err(failed) => (failed, lease.is_fresh),
                }
            }
            Connection::Two(mut sender) => match sender.try_send_request(request(&pool.place, true)).await {
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
    /// Nobody wants the body. Where it is short, the connection is kept for it.
    pub async fn leave(self) {
        let endpoint = Arc::clone(&self.link.pool.place.name);
        let (_, body) = self.parts(false).await;
        if body.size_hint().upper().is_some_and(|length| length <= SHORT.into()) {
            let _ = body.whole(SHORT, &endpoint).await;
        }
    }

    /// The head, and the body as it comes, unpacked where that is asked for.
    pub async fn parts(self, unpack: bool) -> (http::response::Parts, Coming) {
        let Arriving { mut head, body, link } = self;
        if body.is_end_stream() {
            // There is none, and perhaps nobody reads it.
            if let Some(giving) = link.give_back() {
                giving.done().await;
            }
            return (head, Coming::Nothing);
        }
        let codings = if unpack { decode::codings(&mut head.headers) } else { Vec::new() };
        let endpoint = Arc::clone(&link.pool.place.name);
        let body = Stream { body, link: Some(link), giving: None };
        let body = match &codings[..] {
            [] => Coming::AsIs(body),
            codings => Coming::Unpacked(Box::new(Unpacked::new(body, codings, endpoint))),
        };
        (head, body)
    }
}

/// A response's body as it comes.
pub(super) enum Coming {
    Nothing,
    AsIs(Stream),
    Unpacked(Box<Unpacked>),
}

impl http_body::Body for Coming {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        match &mut *self {
            Coming::Nothing => Poll::Ready(None),
            Coming::AsIs(body) => Pin::new(body).poll_frame(cx),
            Coming::Unpacked(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Coming::Nothing => SizeHint::with_exact(0),
            Coming::AsIs(body) => body.body.size_hint(),
            Coming::Unpacked(_) => SizeHint::default(),
        }
    }
}

impl Coming {
    /// All of it, if it is no more than that.
    pub async fn whole(mut self, limit: u32, endpoint: &str) -> Result<Bytes, Fault> {
        let most = limit as usize;
        let too_large = || {
            let text = format!("its response's body is larger than http.max_body_bytes, {limit} bytes");
            Fault::new(Code::Body, Reach::Hopeless, text, endpoint)
        };
        let hint = self.size_hint();
        if hint.lower() > u64::from(limit) {
            return Err(too_large());
        }
        // One piece is handed on as it came.
        let (mut first, mut all, mut unrested) = (Bytes::new(), BytesMut::new(), 0);
        while let Some(frame) = self.frame().await {
            let Ok(piece) = frame?.into_data() else { continue };
            let length = first.len() + all.len() + piece.len();
            if length > most {
                return Err(too_large());
            }
            if length == piece.len() {
                first = piece;
                continue;
            }
            if all.is_empty() {
                all.reserve(hint.exact().map_or(length, |exact| exact as usize));
                all.extend_from_slice(&std::mem::take(&mut first));
            }
            all.extend_from_slice(&piece);
            // What is unpacked from little may be much: others want the thread too.
            unrested += piece.len();
            if unrested > REST_AFTER {
                unrested = 0;
                tokio::task::yield_now().await;
            }
        }
        Ok(if all.is_empty() { first } else { all.freeze() })
    }
}

/// After so many bytes the thread is left to others for a moment.
const REST_AFTER: usize = 1 << 20;

/// A response's body that is read as it comes. Dropped before its end, its connection is closed.
pub(super) struct Stream {
    body: Incoming,
    link: Option<Link>,
    giving: Option<GivingBack>,
}

impl http_body::Body for Stream {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let stream = &mut *self;
        if stream.link.is_some() {
            match ready!(Pin::new(&mut stream.body).poll_frame(cx)) {
                Some(Ok(frame)) => return Poll::Ready(Some(Ok(frame))),
                Some(Err(error)) => {
                    let fault = stream.link.take().map(|link| Fault::of_body(&error, &link.pool.place.name));
                    return Poll::Ready(fault.map(Err));
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
}
