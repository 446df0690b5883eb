//! P4: a request's body that is a stream, as several attempts read it. What was read is kept up to a limit, and read again by whoever
//! comes next; beyond it the body is there for one attempt only.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};

use super::body::{Body, BoxError};

/// A stream that attempts read.
pub(super) struct Replay(Arc<Shared>);

struct Shared {
    tape: Mutex<Tape>,
    waiting: Arc<Waiting>,
    length: SizeHint,
}

struct Tape {
    /// Not there while an attempt reads from it: it may be the user's code, which runs with nothing locked (O4).
    source: Option<Body>,
    /// Readers that came meanwhile.
    turned_away: Vec<Waker>,
    /// Every piece that was read, for as long as all are kept.
    kept: Vec<Piece>,
    is_kept: bool,
    /// How many pieces were read.
    count: usize,
    bytes: usize,
    most: usize,
    is_over: bool,
}

#[derive(Clone)]
enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
}

/// Readers that wait for the next piece. The source knows one waker; whichever reader polled it last may be gone.
#[derive(Default)]
struct Waiting(Mutex<Vec<Waker>>);

impl Waiting {
    fn add(&self, waker: &Waker) {
        let mut waiting = lock(&self.0);
        if !waiting.iter().any(|present| present.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    }
}

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        let waiting = std::mem::take(&mut *lock(&self.0));
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Replay {
    /// That stream, of which so many bytes are kept.
    pub fn new(source: Body, most: usize) -> Replay {
        let length = source.size_hint();
        let tape = Tape {
            source: Some(source),
            turned_away: Vec::new(),
            kept: Vec::new(),
            is_kept: true,
            count: 0,
            bytes: 0,
            most,
            is_over: false,
        };
        Replay(Arc::new(Shared { tape: Mutex::new(tape), waiting: Arc::default(), length }))
    }

    /// Whether another attempt can send all of it.
    pub fn is_whole(&self) -> bool {
        lock(&self.0.tape).is_kept
    }

    /// The body, from its beginning.
    pub fn rewound(&self) -> Body {
        Body::stream(Reader { shared: Arc::clone(&self.0), at: 0 })
    }
}

/// The source, while an attempt reads from it. Dropped, by a source that panics too, it is back.
struct Turn<'a> {
    shared: &'a Shared,
    source: Option<Body>,
}

impl<'a> Turn<'a> {
    /// The source is back, and who was turned away is to be woken.
    fn over(mut self) -> (MutexGuard<'a, Tape>, Vec<Waker>) {
        self.give_back()
    }

    fn give_back(&mut self) -> (MutexGuard<'a, Tape>, Vec<Waker>) {
        let mut tape = lock(&self.shared.tape);
        if let Some(source) = self.source.take() {
            tape.source = Some(source);
        }
        let turned_away = std::mem::take(&mut tape.turned_away);
        (tape, turned_away)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.source.is_some() {
            let (tape, turned_away) = self.give_back();
            drop(tape);
            turned_away.into_iter().for_each(Waker::wake);
        }
    }
}

/// One attempt's view of it.
struct Reader {
    shared: Arc<Shared>,
    at: usize,
}

impl http_body::Body for Reader {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let reader = &mut *self;
        let mut tape = lock(&reader.shared.tape);
        if reader.at < tape.count {
            let piece = tape.kept.get(reader.at).cloned();
            reader.at += 1;
            return Poll::Ready(Some(
                piece.map(Piece::frame).ok_or_else(|| "too much of it was read to be sent again".into()),
            ));
        }
        if tape.is_over {
            return Poll::Ready(None);
        }
        let Some(source) = tape.source.take() else {
            tape.turned_away.push(cx.waker().clone());
            return Poll::Pending;
        };
        drop(tape);
        let mut turn = Turn { shared: &reader.shared, source: Some(source) };
        reader.shared.waiting.add(cx.waker());
        let waker = Waker::from(Arc::clone(&reader.shared.waiting));
        let mut context = Context::from_waker(&waker);
        let polled = turn.source.as_mut().map_or(Poll::Ready(None), |source| Pin::new(source).poll_frame(&mut context));
        let (mut tape, turned_away) = turn.over();
        let Poll::Ready(next) = polled else {
            drop(tape);
            // It waits for the source now, and so do they.
            turned_away.into_iter().for_each(Waker::wake);
            return Poll::Pending;
        };
        let next = match next {
            Some(Ok(frame)) => {
                let piece = Piece::of(frame);
                tape.keep(&piece);
                reader.at += 1;
                Some(Ok(piece.frame()))
            }
            Some(Err(error)) => {
                tape.is_kept = false;
                tape.is_over = true;
                Some(Err(error))
            }
            None => {
                tape.is_over = true;
                None
            }
        };
        drop(tape);
        // Another attempt may wait for the same piece.
        waker.wake();
        turned_away.into_iter().for_each(Waker::wake);
        Poll::Ready(next)
    }

    fn size_hint(&self) -> SizeHint {
        if self.at == 0 { self.shared.length } else { SizeHint::default() }
    }
}

impl Tape {
    fn keep(&mut self, piece: &Piece) {
        self.count += 1;
        if let Piece::Data(bytes) = piece {
            self.bytes = self.bytes.saturating_add(bytes.len());
        }
        if self.bytes > self.most {
            self.is_kept = false;
            self.kept = Vec::new();
        } else {
            self.kept.push(piece.clone());
        }
    }
}

impl Piece {
    fn of(frame: Frame<Bytes>) -> Piece {
        match frame.into_data() {
            Ok(bytes) => Piece::Data(bytes),
            Err(frame) => Piece::Trailers(frame.into_trailers().unwrap_or_default()),
        }
    }

    fn frame(self) -> Frame<Bytes> {
        match self {
            Piece::Data(bytes) => Frame::data(bytes),
            Piece::Trailers(trailers) => Frame::trailers(trailers),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::runtime::block_on;

    struct Pieces(VecDeque<Bytes>);

    impl http_body::Body for Pieces {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
        }
    }

    fn replay(most: usize) -> Replay {
        let pieces = ["abc", "def", "ghi"].map(|piece| Bytes::from_static(piece.as_bytes()));
        Replay::new(Body::stream(Pieces(pieces.into())), most)
    }

    #[test]
    fn each_attempt_reads_it_from_its_beginning() {
        let replay = replay(9);
        let mut first = replay.rewound();
        assert_eq!(block_on(first.chunk()).unwrap().unwrap(), "abc");
        assert_eq!(block_on(replay.rewound().bytes()).unwrap(), "abcdefghi");
        assert_eq!(block_on(first.bytes()).unwrap(), "defghi");
        assert!(replay.is_whole());
    }

    /// A source that reads from the tape while it is read itself, as code of the user's may that sends the request again.
    struct Curious(Arc<Mutex<Option<Body>>>, bool);

    impl http_body::Body for Curious {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            if std::mem::replace(&mut self.1, true) {
                return Poll::Ready(None);
            }
            let other = lock(&self.0).take().map(|mut other| (Pin::new(&mut other).poll_frame(cx).is_pending(), other));
            let (is_pending, other) = other.unwrap();
            assert!(is_pending, "it has its turn later");
            *lock(&self.0) = Some(other);
            Poll::Ready(Some(Ok(Frame::data("abc".into()))))
        }
    }

    /// O4
    #[test]
    fn a_source_is_read_with_nothing_locked() {
        let other = Arc::new(Mutex::new(None));
        let replay = Replay::new(Body::stream(Curious(Arc::clone(&other), false)), 9);
        *lock(&other) = Some(replay.rewound());
        assert_eq!(block_on(replay.rewound().bytes()).unwrap(), "abc");
        let other = lock(&other).take().unwrap();
        assert_eq!(block_on(other.bytes()).unwrap(), "abc");
    }

    /// A source that has its pieces when two readers wait for each.
    struct Slow(Pieces, bool);

    impl http_body::Body for Slow {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            self.1 = !self.1;
            if self.1 {
                // From another thread, perhaps before this one has put the source back.
                let waker = cx.waker().clone();
                std::thread::spawn(move || waker.wake());
                return Poll::Pending;
            }
            Pin::new(&mut self.0).poll_frame(cx)
        }
    }

    #[test]
    fn attempts_that_read_at_once_each_get_all_of_it() {
        for _ in 0..100 {
            let pieces = (0..20).map(|number: u8| Bytes::from(vec![number])).collect();
            let replay = Replay::new(Body::stream(Slow(Pieces(pieces), false)), 100);
            let readers: Vec<_> = (0..4)
                .map(|_| {
                    let body = replay.rewound();
                    std::thread::spawn(move || block_on(body.bytes()).unwrap())
                })
                .collect();
            for reader in readers {
                assert_eq!(reader.join().unwrap(), (0..20).collect::<Vec<u8>>());
            }
        }
    }

    #[test]
    fn beyond_the_limit_it_is_there_for_one_attempt() {
        let replay = replay(8);
        assert_eq!(block_on(replay.rewound().bytes()).unwrap(), "abcdefghi");
        assert!(!replay.is_whole());
        assert!(block_on(replay.rewound().bytes()).is_err());
    }
}
