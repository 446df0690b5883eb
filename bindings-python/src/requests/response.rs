//! A response: its parts become Python objects when they are read. Of one that is a stream, pieces are taken by whoever reads
//! them: on its own thread, or when the event loop is told that there is one.

use std::pin::Pin;
use std::ptr::null_mut;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use ambassador_core::clock::Nanos;
use ambassador_core::http::{Answering, Body, Served};
use ambassador_core::{AmbassadorProxy, Code, Error, runtime};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{StatusCode, Version};
use http_body::Body as _;
use pyo3::PyTypeInfo;
use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::Told;
use super::completions::Completions;
use super::flight::LOOK;
use super::headers::Headers;
use crate::raw::{self, Object};
use crate::{interrupt, raise};

/// What came back for a request: the last response, whatever its status.
#[pyclass(frozen, weakref, module = "ambassador_proxy")]
pub struct Response {
    status: StatusCode,
    version: Version,
    headers: HeaderMap,
    content: Mutex<Content>,
    proxy: AmbassadorProxy,
    line: String,
    attempts: u32,
    elapsed: Nanos,
    generation: u32,
}

enum Content {
    Whole(Bytes),
    Made(Py<PyBytes>),
    Stream(Box<Body>),
    /// Read to its end piece by piece, or closed.
    Over,
}

impl Response {
    pub fn new(response: http::Response<Body>, told: Told) -> Response {
        let (parts, mut body) = response.into_parts();
        let content = match whole(&mut body) {
            Some(bytes) => Content::Whole(bytes),
            None => Content::Stream(Box::new(body)),
        };
        Response {
            status: parts.status,
            version: parts.version,
            headers: parts.headers,
            content: Mutex::new(content),
            proxy: told.proxy,
            line: told.line,
            attempts: parts.extensions.get().map_or(0, |served: &Served| served.attempts),
            elapsed: told.ended.saturating_sub(told.began),
            generation: interrupt::generation(),
        }
    }

    pub fn header_map(&self) -> &HeaderMap {
        &self.headers
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next piece: `Ready(None)` at the end.
    fn poll_piece(&self, waker: &Waker) -> Poll<Option<Result<Bytes, Fault>>> {
        let mut content = self.content();
        let Content::Stream(body) = &mut *content else { return Poll::Ready(None) };
        if self.generation != interrupt::generation() {
            // F3: it arrives in the parent.
            return Poll::Ready(Some(Err(Fault::Forked)));
        }
        let handle = runtime::handle();
        let _entered = handle.enter();
        let mut cx = Context::from_waker(waker);
        let piece = loop {
            match Pin::new(&mut **body).poll_frame(&mut cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(piece) if !piece.is_empty() => return Poll::Ready(Some(Ok(piece))),
                    _ => {}
                },
                Poll::Ready(Some(Err(error))) => break Some(Err(Fault::of(error))),
                Poll::Ready(None) => break None,
            }
        };
        *content = Content::Over;
        Poll::Ready(piece)
    }
}

/// The bytes of a body that are all there.
fn whole(body: &mut Body) -> Option<Bytes> {
    body.as_bytes()?;
    let mut cx = Context::from_waker(Waker::noop());
    match Pin::new(body).poll_frame(&mut cx) {
        Poll::Ready(Some(Ok(frame))) => frame.into_data().ok(),
        _ => Some(Bytes::new()),
    }
}

/// Why a body could not be read to its end.
enum Fault {
    Known(Box<Error>),
    Other(String),
    Forked,
}

impl Fault {
    fn of(error: Box<dyn std::error::Error + Send + Sync>) -> Fault {
        match error.downcast::<Error>() {
            Ok(error) => Fault::Known(error),
            Err(other) => Fault::Other(other.to_string()),
        }
    }

    fn into_err(self, py: Python<'_>, proxy: &AmbassadorProxy) -> PyErr {
        let error = match self {
            Fault::Known(error) => raise::failed(py, &error),
            Fault::Other(why) => raise::saying(py, proxy, Code::Body, &why),
            Fault::Forked => raise::ended(py, proxy, Code::Forked),
        };
        error.map_or_else(|error| error, |error| PyErr::from_value(error.into_bound(py)))
    }
}

/// Gives `Response` its methods that wait.
pub fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let class = Response::type_object(module.py());
    raw::add_method(&class, raw::method(c"_next", next, c"The next piece of the body, waited for; None at its end."))
}

#[pymethods]
impl Response {
    /// The status: 200, 404 …
    #[getter]
    fn status_code(&self) -> u16 {
        self.status.as_u16()
    }

    /// What the status is called: `OK`.
    #[getter]
    fn reason_phrase(&self) -> &'static str {
        self.status.canonical_reason().unwrap_or("")
    }

    /// Whether the status says that it went well: 200 to 299.
    #[getter]
    fn is_success(&self) -> bool {
        self.status.is_success()
    }

    /// `HTTP/1.1`, `HTTP/2`.
    #[getter]
    fn http_version(&self) -> &'static str {
        match self.version {
            Version::HTTP_10 => "HTTP/1.0",
            Version::HTTP_2 => "HTTP/2",
            _ => "HTTP/1.1",
        }
    }

    /// How many attempts it took.
    #[getter]
    fn attempts(&self) -> u32 {
        self.attempts
    }

    /// How long it took, in seconds: to the end of the body, of a stream to the end of the headers.
    #[getter]
    fn elapsed(&self) -> f64 {
        self.elapsed as f64 / 1e9
    }

    /// The headers.
    #[getter]
    fn headers(slf: Py<Self>) -> Headers {
        Headers::new(slf)
    }

    /// The target that was asked.
    #[getter]
    fn target(&self) -> &str {
        self.proxy.target()
    }

    /// What was asked for: `GET /charges/42`, without the query.
    #[getter]
    fn _line(&self) -> &str {
        &self.line
    }

    /// The body, if it is there as a whole.
    #[getter]
    fn _content(&self, py: Python<'_>) -> Option<Py<PyBytes>> {
        let mut content = self.content();
        match &*content {
            Content::Whole(bytes) => {
                let made = PyBytes::new(py, bytes).unbind();
                *content = Content::Made(made.clone_ref(py));
                Some(made)
            }
            Content::Made(bytes) => Some(bytes.clone_ref(py)),
            Content::Stream(_) | Content::Over => None,
        }
    }

    /// A body that was read piece by piece, as a whole from now on.
    fn _keep(&self, bytes: Py<PyBytes>) {
        *self.content() = Content::Made(bytes);
    }

    /// Whether there is a body that has not been read to its end.
    #[getter]
    fn _is_stream(&self) -> bool {
        matches!(&*self.content(), Content::Stream(_))
    }

    /// The charset that the response says its body has.
    #[getter]
    fn _charset(&self) -> Option<String> {
        let kind = self.headers.get(CONTENT_TYPE)?.to_str().ok()?;
        kind.split(';').skip(1).find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"').to_owned())
        })
    }

    /// The next piece of the body if it is there, or `None` at its end; else a number: `future` is told when there is one.
    fn _poll(
        &self,
        py: Python<'_>,
        completions: &Bound<'_, Completions>,
        future: &Bound<'_, PyAny>,
    ) -> PyResult<(bool, Py<PyAny>)> {
        let (bell, id) = completions.get().bell(future);
        let polled = py.detach(|| self.poll_piece(&bell));
        if polled.is_ready() {
            completions.get().forget(id);
        }
        match polled {
            Poll::Pending => Ok((false, id.into_pyobject(py)?.into_any().unbind())),
            Poll::Ready(None) => Ok((true, py.None())),
            Poll::Ready(Some(Ok(piece))) => Ok((true, PyBytes::new(py, &piece).into_any().unbind())),
            Poll::Ready(Some(Err(fault))) => Err(fault.into_err(py, &self.proxy)),
        }
    }

    /// Gives the connection back, or up when there is more to come. Nothing to a response that has been read.
    fn close(&self) {
        let mut content = self.content();
        if matches!(&*content, Content::Stream(_)) {
            let body = std::mem::replace(&mut *content, Content::Over);
            drop(content);
            drop(body);
        }
    }

    fn __repr__(&self) -> String {
        format!("<Response [{}]>", self.status.as_u16())
    }
}

struct Parked(Thread);

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// A piece on its way from a wait into Python, which may end the thread between the two.
type Arrived = *mut Option<Result<Bytes, Fault>>;

/// `response._next()`.
unsafe extern "C-unwind" fn next(of: Object, _: *const Object, _: isize, _: Object) -> Object {
    // SAFETY: a method of `Response`, which its caller holds. Its thread may end in the wait: nothing here is to be dropped.
    unsafe {
        let response = behind(of);
        let sliced = interrupt::is_nested() || interrupt::is_main_thread();
        loop {
            let arrived: Arrived = raw::detached(|| wait(&*response, sliced));
            if !arrived.is_null() {
                return made(response, arrived);
            }
            if !raw::check_signals() || interrupt::raise_due() {
                return null_mut();
            }
        }
    }
}

unsafe fn behind(response: Object) -> *const Response {
    // SAFETY: as `next` was called; a frozen class needs no borrow.
    unsafe { Bound::ref_from_ptr(Python::assume_attached(), &response).cast_unchecked::<Response>().get() }
}

/// Null when nothing came within a slice.
fn wait(response: &Response, sliced: bool) -> Arrived {
    let waker = Waker::from(Arc::new(Parked(thread::current())));
    loop {
        match response.poll_piece(&waker) {
            Poll::Ready(piece) => return Box::into_raw(Box::new(piece)),
            Poll::Pending if sliced => {
                thread::park_timeout(LOOK);
                return match response.poll_piece(&waker) {
                    Poll::Ready(piece) => Box::into_raw(Box::new(piece)),
                    Poll::Pending => null_mut(),
                };
            }
            Poll::Pending => thread::park(),
        }
    }
}

unsafe fn made(response: *const Response, arrived: Arrived) -> Object {
    // SAFETY: the GIL is held; the piece was leaked by `wait`.
    let (py, response, arrived) = unsafe { (Python::assume_attached(), &*response, *Box::from_raw(arrived)) };
    match arrived {
        // SAFETY: the GIL is held.
        None => unsafe { ffi::Py_NewRef(ffi::Py_None()) },
        Some(Ok(piece)) => PyBytes::new(py, &piece).into_ptr(),
        Some(Err(fault)) => {
            fault.into_err(py, &response.proxy).restore(py);
            null_mut()
        }
    }
}

/// A request that failed, and whose error a fallback may answer (H2).
#[pyclass(frozen, module = "ambassador_proxy._native")]
pub struct Unanswered {
    error: Py<PyAny>,
    answering: Mutex<Option<Answering>>,
}

impl Unanswered {
    pub fn new(error: Py<PyAny>, answering: Answering) -> Unanswered {
        Unanswered { error, answering: Mutex::new(Some(answering)) }
    }
}

#[pymethods]
impl Unanswered {
    #[getter]
    fn error(&self, py: Python<'_>) -> Py<PyAny> {
        self.error.clone_ref(py)
    }

    /// How the fallback went.
    fn answered(&self, well: bool) -> PyResult<()> {
        let answering = self.answering.lock().unwrap_or_else(PoisonError::into_inner).take();
        let answering = answering.ok_or_else(|| PyRuntimeError::new_err("a failure is answered once"))?;
        answering.answered(well);
        Ok(())
    }
}
