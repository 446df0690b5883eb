//! Requests of coroutines: what comes of them waits in a queue of their event loop, which is woken once for all that has come
//! meanwhile; its own thread fetches them. No thread of the runtime touches the interpreter.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

use ambassador_core::AmbassadorProxy;
use ambassador_core::clock::now;
use ambassador_core::http::{Body, Failed, Retry, Sending, Told as Teller};
use pyo3::exceptions::PyTypeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use super::request::{ARGUMENTS, Asked, read};
use super::{End, Told};

/// The queue of one event loop.
#[pyclass(frozen, module = "ambassador_proxy._native")]
pub struct Completions {
    queue: Arc<Queue>,
    reader: UnixStream,
    /// With the GIL held only.
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    last: u64,
    /// The futures of the loop, and the requests that they stand for, if it is one.
    futures: HashMap<u64, (Py<PyAny>, Option<Sending>)>,
}

/// What threads of the runtime see of it.
struct Queue {
    come: Mutex<Vec<Come>>,
    writer: UnixStream,
}

enum Come {
    /// A line to be logged (R7).
    Line(String),
    Ended(u64, Box<(End, Told)>),
    /// What a future waited for may be looked at again.
    Ready(u64),
}

impl Queue {
    fn push(&self, come: Come) {
        let mut all = lock(&self.come);
        all.push(come);
        let is_first = all.len() == 1;
        drop(all);
        if is_first {
            // A full pipe wakes as well; a loop that is gone need not be woken.
            let _ = (&self.writer).write(&[1]);
        }
    }
}

/// Tells a loop that a future of its has something to look at.
pub struct Bell {
    queue: Arc<Queue>,
    id: u64,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.queue.push(Come::Ready(self.id));
    }
}

struct Runtime {
    queue: Arc<Queue>,
    id: u64,
    /// Until it has ended.
    told: Option<Told>,
}

impl Runtime {
    fn ends(&mut self, end: End) {
        if let Some(told) = self.told.take() {
            self.queue.push(Come::Ended(self.id, Box::new((end, Told { ended: now(), ..told }))));
        }
    }
}

impl Teller for Runtime {
    fn retry(&mut self, retry: Retry) {
        self.queue.push(Come::Line(retry.line));
    }

    fn ended(mut self, ended: Result<http::Response<Body>, Failed>) {
        self.ends(ended.map_or_else(End::Failed, End::Answered));
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.ends(End::Lost);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[pymethods]
impl Completions {
    #[new]
    fn new() -> PyResult<Completions> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        let queue = Arc::new(Queue { come: Mutex::default(), writer });
        Ok(Completions { queue, reader, waiting: Mutex::default() })
    }

    /// Readable when there is something to be fetched.
    fn fileno(&self) -> i32 {
        self.reader.as_raw_fd()
    }

    /// `send(future, proxy, method, path, headers, body, stream, idempotent, timeout, deadline, parent)`: the request's number.
    #[pyo3(signature = (*args))]
    fn send(&self, args: &Bound<'_, PyTuple>) -> PyResult<u64> {
        let py = args.py();
        if args.len() as isize != ARGUMENTS + 1 {
            return Err(PyTypeError::new_err("send takes a future and what is sent"));
        }
        let given: Vec<Bound<'_, PyAny>> = args.iter().collect();
        let pointers: Vec<_> = given[1..].iter().map(Bound::as_ptr).collect();
        // SAFETY: the GIL is held, and there are as many references.
        let Asked { proxy, request, options, line } = unsafe { read(py, pointers.as_ptr())? };
        let id = self.waits(&given[0], None);
        let told = Told { proxy: proxy.clone(), line, began: now(), ended: 0 };
        let runtime = Runtime { queue: Arc::clone(&self.queue), id, told: Some(told) };
        let sending = AmbassadorProxy::spawn_send(&proxy, request, options, runtime);
        // Whatever it has come to meanwhile is fetched by this very thread, later.
        if let Some((_, place)) = lock(&self.waiting).futures.get_mut(&id) {
            *place = Some(sending);
        }
        Ok(id)
    }

    /// The caller of that request went away: it ends cancelled (O3). Does nothing to one that has ended.
    fn cancel(&self, id: u64) {
        let gone = lock(&self.waiting).futures.remove(&id);
        if let Some((_, Some(sending))) = &gone {
            sending.cancel();
        }
    }

    /// What has come since: a future, and what it comes to, or `None` and a line to be logged.
    fn fetch<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.calm();
        let come = std::mem::take(&mut *lock(&self.queue.come));
        let fetched = PyList::empty(py);
        for one in come {
            match one {
                Come::Line(line) => fetched.append((py.None(), line))?,
                Come::Ended(id, end) => {
                    let waiting = lock(&self.waiting).futures.remove(&id);
                    // One that was cancelled is nobody's.
                    if let Some((future, _)) = waiting {
                        let (end, told) = *end;
                        fetched.append((future, end.into_python(py, told)?))?;
                    }
                }
                Come::Ready(id) => {
                    let waiting = lock(&self.waiting).futures.remove(&id);
                    if let Some((future, _)) = waiting {
                        fetched.append((future, py.None()))?;
                    }
                }
            }
        }
        Ok(fetched)
    }

    /// Takes what woke the loop, for loops that cannot look at a file themselves: the thread that does so for them has slept
    /// until there was something.
    #[pyo3(name = "calm")]
    fn calm_for(&self) {
        self.calm();
    }

    /// What waits holds the loop, which holds this.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Ok(waiting) = self.waiting.try_lock() {
            for (future, _) in waiting.futures.values() {
                visit.call(future)?;
            }
        }
        Ok(())
    }

    fn __clear__(&self) {
        let gone = std::mem::take(&mut lock(&self.waiting).futures);
        for (_, sending) in gone.into_values() {
            if let Some(sending) = sending {
                sending.cancel();
            }
        }
    }
}

impl Drop for Completions {
    fn drop(&mut self) {
        // The loop is gone, and with it all that waited.
        self.__clear__();
    }
}

impl Completions {
    /// From now on that future waits; its number.
    fn waits(&self, future: &Bound<'_, PyAny>, sending: Option<Sending>) -> u64 {
        let mut waiting = lock(&self.waiting);
        waiting.last += 1;
        let id = waiting.last;
        waiting.futures.insert(id, (future.clone().unbind(), sending));
        id
    }

    /// Something that wakes that future, and its number.
    pub fn bell(&self, future: &Bound<'_, PyAny>) -> (Waker, u64) {
        let id = self.waits(future, None);
        (Waker::from(Arc::new(Bell { queue: Arc::clone(&self.queue), id })), id)
    }

    /// That future does not wait any more.
    pub fn forget(&self, id: u64) {
        self.cancel(id);
    }

    /// Takes what woke the loop.
    fn calm(&self) {
        let mut taken = [0; 64];
        loop {
            match (&self.reader).read(&mut taken) {
                Ok(64) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => return,
            }
        }
    }
}
