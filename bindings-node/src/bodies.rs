//! Bodies that are streams, both ways, a piece at a time: JavaScript asks for each piece of a response's body, and is asked for each of a
//! request's. So neither side has more of one in memory than it is ready for.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ambassador_core::http::{Body, BoxError};
use ambassador_core::{Error, runtime};
use bytes::{Bytes, BytesMut};
use http_body::Frame;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use crate::inbox::{Entry, Inbox, Kind};
use crate::requests::{attempts_of, error_of, head_of};

/// A body that is over so soon after the head goes with it: most do, and JavaScript is woken once. A head waits no longer.
const SOON: Duration = Duration::from_millis(1);
/// One that is longer is a stream in any case.
const SHORT: usize = 64 << 10;

/// A response's body on its way. Dropped, the rest of it is given up.
pub struct Reading {
    wants: UnboundedSender<()>,
    task: AbortHandle,
}

impl Reading {
    /// JavaScript wants the next piece.
    pub fn pull(&self) {
        // Who no longer listens has told why.
        let _ = self.wants.send(());
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Tells a response whose body is a stream.
pub fn read(inbox: &Arc<Inbox>, id: u32, response: http::Response<Body>) {
    let (wants, wanted) = mpsc::unbounded_channel();
    let task = runtime::handle().spawn(relay(Arc::clone(inbox), id, response, wanted)).abort_handle();
    let reading = Entry::Reading(Reading { wants, task });
    let mut inside = inbox.lock();
    let none = match inside.entries.get_mut(&id) {
        Some(entry) => Some(std::mem::replace(entry, reading)),
        // Nobody waits for it any more, or it is over.
        None => Some(reading),
    };
    drop(inside);
    drop(none);
}

async fn relay(inbox: Arc<Inbox>, id: u32, response: http::Response<Body>, mut wanted: UnboundedReceiver<()>) {
    let (parts, mut body) = response.into_parts();
    let (numbers, head) = ([parts.status.as_u16().into(), attempts_of(&parts)], head_of(&parts));
    let until = Instant::now() + SOON;
    let mut first = Bytes::new();
    let mut failed = None;
    loop {
        match timeout_at(until, body.chunk()).await {
            Ok(Some(Ok(piece))) if first.is_empty() => first = piece,
            Ok(Some(Ok(piece))) => {
                let mut both = BytesMut::from(first);
                both.extend_from_slice(&piece);
                first = both.freeze();
            }
            Ok(Some(Err(error))) => {
                failed = Some(error);
                break;
            }
            Ok(None) => {
                let mut inside = inbox.lock();
                let ended = inside.entries.remove(&id);
                if ended.is_some() {
                    inside.tell(id, Kind::Whole, numbers, &head, first);
                }
                drop(inside);
                return drop(ended);
            }
            Err(_) => break,
        }
        if first.len() > SHORT {
            break;
        }
    }
    if !inbox.tell(id, Kind::Head, numbers, &head, first) {
        return;
    }
    loop {
        // One piece is read ahead.
        let next = match failed.take() {
            Some(error) => Some(Err(error)),
            None => body.chunk().await,
        };
        if wanted.recv().await.is_none() {
            return;
        }
        match next {
            Some(Ok(piece)) => _ = inbox.tell(id, Kind::Piece, [0; 2], &[], piece),
            Some(Err(error)) => {
                let told = match error.downcast::<Error>() {
                    Ok(error) => error_of(&error),
                    Err(other) => format!("BODY\n0\n0\n\n{other}"),
                };
                return end(&inbox, id, Kind::Failed, told.as_bytes());
            }
            None => return end(&inbox, id, Kind::End, &[]),
        }
    }
}

fn end(inbox: &Inbox, id: u32, kind: Kind, head: &[u8]) {
    let mut inside = inbox.lock();
    let ended = inside.entries.remove(&id);
    if ended.is_some() {
        inside.tell(id, kind, [0; 2], head, Bytes::new());
    }
    drop(inside);
    drop(ended);
}

/// A request's body that JavaScript brings, as far as the engine has not taken it.
#[derive(Default)]
pub struct Upload(Mutex<Pending>);

#[derive(Default)]
struct Pending {
    next: Option<Next>,
    is_asked: bool,
    waker: Option<Waker>,
}

enum Next {
    Piece(Bytes),
    Failed(String),
    End,
}

impl Upload {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, next: Next) {
        let mut pending = self.lock();
        pending.next = Some(next);
        pending.is_asked = false;
        let waker = pending.waker.take();
        drop(pending);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The piece that was wanted.
    pub fn push(&self, piece: Bytes) {
        self.put(Next::Piece(piece));
    }

    /// There is no more.
    pub fn end(&self) {
        self.put(Next::End);
    }

    /// JavaScript's stream failed.
    pub fn fail(&self, why: String) {
        self.put(Next::Failed(why));
    }
}

/// The engine's side of an [`Upload`].
pub struct Uploading {
    pub inbox: Arc<Inbox>,
    pub id: u32,
    pub upload: Arc<Upload>,
}

impl http_body::Body for Uploading {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut pending = self.upload.lock();
        match pending.next.take() {
            Some(Next::Piece(piece)) => return Poll::Ready(Some(Ok(Frame::data(piece)))),
            Some(Next::Failed(why)) => return Poll::Ready(Some(Err(why.into()))),
            Some(Next::End) => {
                pending.next = Some(Next::End);
                return Poll::Ready(None);
            }
            None => pending.waker = Some(cx.waker().clone()),
        }
        let is_asked = std::mem::replace(&mut pending.is_asked, true);
        drop(pending);
        if !is_asked {
            self.inbox.lock().tell(self.id, Kind::Want, [0; 2], &[], Bytes::new());
        }
        Poll::Pending
    }
}

impl Drop for Uploading {
    fn drop(&mut self) {
        let mut inside = self.inbox.lock();
        // Unless JavaScript has brought all of it.
        let upload = inside.uploads.remove(&self.id);
        if upload.is_some() {
            inside.tell(self.id, Kind::Enough, [0; 2], &[], Bytes::new());
        }
        drop(inside);
        drop(upload);
    }
}
