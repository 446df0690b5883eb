//! The stream of events (S1), as server-sent events: `event:` its kind, `data:` its JSON. Who reads too slowly loses events, and is told
//! how many: `event: lost`, `data: {"lost":17}`.
//!
//! All streams of a server share one subscription, which there is only while somebody reads, and the last events in one ring; each has
//! a place in it. The ring is this thread's alone.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt::Write;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tracing::Level;

use crate::telemetry::bus::{self, Reader, Subscription};

/// How many events may wait until a stream looks for them, and how many are kept for streams that are behind.
const MOST_EVENTS: usize = 8192;
/// How often a stream looks.
const EVERY: Duration = Duration::from_millis(100);
/// How many bytes are given out at once.
const PIECE: usize = 32 * 1024;
/// After so many looks without an event, a line says that the stream is still there.
const QUIET: u32 = 100;

/// Events as they go to whoever reads.
#[derive(Default)]
pub(super) struct Hub {
    subscription: RefCell<Option<Subscription>>,
    ring: RefCell<VecDeque<Line>>,
    /// The number of the event that comes next. Those that were lost have numbers too.
    next: Cell<u64>,
    readers: Cell<usize>,
}

struct Line {
    number: u64,
    level: Level,
    text: Box<str>,
}

impl Hub {
    /// What was told since somebody last looked.
    fn look(&self) {
        let subscription = self.subscription.borrow();
        let Some(subscription) = &*subscription else { return };
        let mut ring = self.ring.borrow_mut();
        let mut next = self.next.get() + subscription.lost();
        for told in subscription.hear().take(MOST_EVENTS) {
            let text = format!("event: {}\ndata: {}\n\n", told.event.kind(), told.to_json());
            if ring.len() == MOST_EVENTS {
                ring.pop_front();
            }
            ring.push_back(Line { number: next, level: told.event.level(), text: text.into() });
            next += 1;
        }
        self.next.set(next);
    }
}

/// One who reads.
pub(super) struct Stream {
    hub: Rc<Hub>,
    /// Which events: those that matter so much at least.
    level: Level,
    /// The number of the event that comes next.
    next: u64,
    tick: Interval,
    quiet: u32,
    has_begun: bool,
    _reader: Reader,
}

impl Stream {
    pub fn new(hub: &Rc<Hub>, level: Level) -> Stream {
        hub.subscription.borrow_mut().get_or_insert_with(|| bus::subscribe(MOST_EVENTS));
        hub.readers.set(hub.readers.get() + 1);
        let mut tick = interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let next = hub.next.get();
        Stream { hub: Rc::clone(hub), level, next, tick, quiet: 0, has_begun: false, _reader: Reader::new() }
    }

    /// The events that it has not had, as many as go into a piece.
    fn piece(&mut self) -> String {
        let hub = Rc::clone(&self.hub);
        let ring = hub.ring.borrow();
        let mut piece = String::new();
        for line in ring.range(ring.partition_point(|line| line.number < self.next)..) {
            if piece.len() + line.text.len() > PIECE && !piece.is_empty() {
                return piece;
            }
            self.miss_up_to(line.number, &mut piece);
            self.next = line.number + 1;
            if line.level <= self.level {
                piece.push_str(&line.text);
            }
        }
        self.miss_up_to(hub.next.get(), &mut piece);
        piece
    }

    /// All that had numbers before that one, and are not there any more.
    fn miss_up_to(&mut self, number: u64, piece: &mut String) {
        let lost = number - self.next;
        if lost > 0 {
            bus::note_dropped(lost);
            let _ = write!(piece, "event: lost\ndata: {{\"lost\":{lost}}}\n\n");
            self.next = number;
        }
    }
}

impl Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if !self.has_begun {
            self.has_begun = true;
            // At once, or a reader would wait for the head of the response until something happens.
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(
                b": the events of this process, from now on\n\n",
            )))));
        }
        loop {
            // What did not go into the last piece goes into the next.
            if self.next == self.hub.next.get() {
                if self.tick.poll_tick(cx).is_pending() {
                    return Poll::Pending;
                }
                self.hub.look();
            }
            let mut piece = self.piece();
            if piece.is_empty() {
                self.quiet += 1;
                if self.quiet < QUIET {
                    continue;
                }
                piece.push_str(": quiet\n\n");
            }
            self.quiet = 0;
            return Poll::Ready(Some(Ok(Frame::data(piece.into()))));
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        bus::note_dropped(self.hub.next.get() - self.next);
        let readers = self.hub.readers.get() - 1;
        self.hub.readers.set(readers);
        if readers == 0 {
            // Nobody listens: events cost nothing again.
            self.hub.subscription.take();
            self.hub.ring.take();
        }
    }
}
