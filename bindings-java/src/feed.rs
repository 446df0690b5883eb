//! A request's body that is a stream: pieces come from a publisher of Java's, which asks for room after each that was taken.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use ambassador_core::http::BoxError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::mail::{self, Message};

/// The side of Java's.
pub struct Feed {
    ticket: i64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    pieces: VecDeque<Bytes>,
    /// There are no more: it is complete, or broke off, which is said how.
    end: Option<Option<String>>,
    waker: Option<Waker>,
}

impl Feed {
    pub fn new(ticket: i64) -> Arc<Feed> {
        Arc::new(Feed { ticket, state: Mutex::default() })
    }

    pub fn piece(&self, piece: Bytes) {
        let mut state = self.lock();
        state.pieces.push_back(piece);
        wake(state);
    }

    pub fn end(&self, why: Option<String>) {
        let mut state = self.lock();
        state.end.get_or_insert(why);
        wake(state);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wake(mut state: MutexGuard<'_, State>) {
    let waker = state.waker.take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// The side of the core's.
pub struct Outgoing {
    feed: Arc<Feed>,
    left: Option<u64>,
    is_done: bool,
}

impl Outgoing {
    /// A body of that length, if it is known.
    pub fn new(feed: Arc<Feed>, length: Option<u64>) -> Outgoing {
        Outgoing { feed, left: length, is_done: false }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let feed = Arc::clone(&self.feed);
        let mut state = feed.lock();
        if let Some(piece) = state.pieces.pop_front() {
            drop(state);
            mail::post(feed.ticket, Message::Taken);
            self.left = self.left.map(|left| left.saturating_sub(piece.len() as u64));
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match state.end.clone() {
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
            Some(why) => {
                drop(state);
                self.is_done = true;
                Poll::Ready(why.map(|why| Err(why.into())))
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        if !self.is_done {
            mail::post(self.feed.ticket, Message::Unwanted);
        }
    }
}
