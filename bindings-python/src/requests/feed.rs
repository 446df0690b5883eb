//! The body of a request that is a stream: pieces come from Python, on a thread of the ambassador's or a task of the event loop, and
//! go to the connection as it takes them. Whoever brings them waits while there is enough.

use std::collections::VecDeque;
use std::pin::Pin;
use std::ptr::null_mut;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use ambassador_core::http::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use pyo3::PyTypeInfo;
use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;

use super::bytes_of;
use super::completions::Completions;
use crate::raw::{self, Object};

/// How many bytes may wait for the connection.
const ENOUGH: usize = 256 << 10;

/// A body that is fed.
#[pyclass(frozen, module = "ambassador_proxy._native")]
pub struct Feed {
    pipe: Arc<Mutex<Pipe>>,
    length: Option<u64>,
}

#[derive(Default)]
struct Pipe {
    pieces: VecDeque<Bytes>,
    waiting: usize,
    /// How it ended, once all was brought.
    end: Option<Result<(), String>>,
    is_taken: bool,
    /// Nobody reads it any more.
    is_over: bool,
    reader: Option<Waker>,
    feeder: Option<Waker>,
}

impl Pipe {
    fn has_room(&self) -> bool {
        self.is_over || self.waiting < ENOUGH
    }
}

fn lock(pipe: &Mutex<Pipe>) -> MutexGuard<'_, Pipe> {
    pipe.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Parked(Thread);

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Gives `Feed` its method `push`, which waits.
pub fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let doc = c"Brings a piece, and waits until there is room for it; whether anybody still reads.";
    raw::add_method(&Feed::type_object(module.py()), raw::method(c"push", push, doc))
}

#[pymethods]
impl Feed {
    /// `length`, in bytes, where it is known.
    #[new]
    #[pyo3(signature = (length=None))]
    fn new(length: Option<u64>) -> Feed {
        Feed { pipe: Arc::default(), length }
    }

    /// Brings a piece without waiting: 1, or 0 when there is no room for another one after it, or -1 when nobody reads any more.
    fn offer(&self, piece: &Bound<'_, PyAny>) -> PyResult<i8> {
        self.bring(bytes_of(piece)?);
        let pipe = lock(&self.pipe);
        Ok(if pipe.is_over { -1 } else { i8::from(pipe.has_room()) })
    }

    /// `future` is told as soon as there is room; that it is so already is answered by `None`, else by the number to forget it by.
    fn tell_of_room(&self, completions: &Bound<'_, Completions>, future: &Bound<'_, PyAny>) -> Option<u64> {
        let mut pipe = lock(&self.pipe);
        if pipe.has_room() {
            return None;
        }
        let (bell, id) = completions.get().bell(future);
        pipe.feeder = Some(bell);
        Some(id)
    }

    /// All was brought; or nothing more comes, for that reason.
    #[pyo3(signature = (why=None))]
    fn end(&self, why: Option<String>) {
        let mut pipe = lock(&self.pipe);
        pipe.end = Some(why.map_or(Ok(()), Err));
        let reader = pipe.reader.take();
        drop(pipe);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

impl Feed {
    pub fn body(&self) -> PyResult<Body> {
        let mut pipe = lock(&self.pipe);
        if std::mem::replace(&mut pipe.is_taken, true) {
            return Err(PyRuntimeError::new_err("a body that is a stream is sent once"));
        }
        Ok(Body::stream(Reader { pipe: Arc::clone(&self.pipe), left: self.length }))
    }

    fn bring(&self, piece: Bytes) {
        let mut pipe = lock(&self.pipe);
        if pipe.is_over || piece.is_empty() {
            return;
        }
        pipe.waiting += piece.len();
        pipe.pieces.push_back(piece);
        let reader = pipe.reader.take();
        drop(pipe);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

/// `feed.push(piece)`.
unsafe extern "C-unwind" fn push(of: Object, args: *const Object, count: isize, _: Object) -> Object {
    // SAFETY: a method of `Feed`, called by `_bodies.py`, and by nothing else, with a piece. Its thread may end in the wait: nothing
    // here is to be dropped.
    unsafe {
        debug_assert_eq!(count, 1);
        let Some(pipe) = brought(of, *args) else { return null_mut() };
        let reads = raw::detached(|| {
            let mut held = lock(&*pipe);
            while !held.has_room() {
                held.feeder = Some(Arc::new(Parked(thread::current())).into());
                drop(held);
                thread::park();
                held = lock(&*pipe);
            }
            !held.is_over
        });
        drop(Arc::from_raw(pipe));
        ffi::PyBool_FromLong(reads.into())
    }
}

/// The piece was brought: the pipe, leaked, which has to be given back. `None`, with an error set, when it is none.
unsafe fn brought(of: Object, piece: Object) -> Option<*const Mutex<Pipe>> {
    // SAFETY: as `push` was called.
    unsafe {
        let py = Python::assume_attached();
        let feed = Bound::ref_from_ptr(py, &of).cast_unchecked::<Feed>().get();
        match bytes_of(Bound::ref_from_ptr(py, &piece)) {
            Ok(piece) => {
                feed.bring(piece);
                Some(Arc::into_raw(Arc::clone(&feed.pipe)))
            }
            Err(wrong) => {
                wrong.restore(py);
                None
            }
        }
    }
}

/// The end that the connection reads.
struct Reader {
    pipe: Arc<Mutex<Pipe>>,
    /// Bytes that are still to come, where that is known.
    left: Option<u64>,
}

impl http_body::Body for Reader {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let pipe = Arc::clone(&self.pipe);
        let mut pipe = lock(&pipe);
        if let Some(piece) = pipe.pieces.pop_front() {
            pipe.waiting -= piece.len();
            let feeder = if pipe.has_room() { pipe.feeder.take() } else { None };
            drop(pipe);
            if let Some(feeder) = feeder {
                feeder.wake();
            }
            self.left = self.left.map(|left| left.saturating_sub(piece.len() as u64));
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match &pipe.end {
            Some(Ok(())) => Poll::Ready(None),
            Some(Err(why)) => Poll::Ready(Some(Err(why.clone().into()))),
            None => {
                pipe.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let pipe = lock(&self.pipe);
        pipe.pieces.is_empty() && matches!(pipe.end, Some(Ok(())))
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut pipe = lock(&self.pipe);
        pipe.is_over = true;
        pipe.pieces.clear();
        pipe.waiting = 0;
        let feeder = pipe.feeder.take();
        drop(pipe);
        if let Some(feeder) = feeder {
            feeder.wake();
        }
    }
}
