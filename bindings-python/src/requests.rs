//! Requests that the core makes. A request is read here from what Python gave, goes on the core's runtime, and comes back in one of
//! two ways: its caller's thread waits for it (`flight`), or the event loop is told, all that has come at once (`completions`).
//! Threads of the runtime never touch the interpreter. What the user's own code takes part in (bodies, fallbacks, logging) is
//! Python, in `_http.py` and its neighbours.

pub mod completions;
pub mod feed;
mod flight;
pub mod headers;
mod request;
pub mod response;

use ambassador_core::http::Failed;
use ambassador_core::{AmbassadorProxy, Code};
use bytes::Bytes;
use pyo3::prelude::*;

use crate::raise;
use response::{Response, Unanswered};

/// Puts the functions that wait into the module, and the methods that do into their classes.
pub fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    flight::add(module)?;
    feed::add(module)?;
    response::add(module)
}

/// What a request has come to.
pub enum End {
    Answered(http::Response<ambassador_core::http::Body>),
    Failed(Failed),
    /// The runtime was ended under it.
    Lost,
}

/// What is known of a request besides.
pub struct Told {
    pub proxy: AmbassadorProxy,
    /// Its method and path, for errors that name it.
    pub line: String,
    pub began: u64,
    pub ended: u64,
}

impl End {
    /// As what Python gets: a response, an exception that is to be raised, or one that a fallback may answer (H2).
    fn into_python(self, py: Python<'_>, told: Told) -> PyResult<Py<PyAny>> {
        match self {
            End::Answered(response) => Ok(Py::new(py, Response::new(response, told))?.into_any()),
            End::Failed(Failed { error, answering }) => {
                let error = raise::failed(py, &error)?;
                match answering {
                    Some(answering) => Ok(Py::new(py, Unanswered::new(error, answering))?.into_any()),
                    None => Ok(error),
                }
            }
            End::Lost => raise::ended(py, &told.proxy, Code::Shutdown),
        }
    }
}

/// The bytes of an object that has some.
fn bytes_of(given: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    if let Ok(bytes) = given.cast::<pyo3::types::PyBytes>() {
        return Ok(Bytes::copy_from_slice(bytes.as_bytes()));
    }
    if let Ok(text) = given.cast::<pyo3::types::PyString>() {
        return Ok(Bytes::copy_from_slice(text.to_str()?.as_bytes()));
    }
    if let Ok(bytes) = given.cast::<pyo3::types::PyByteArray>() {
        return Ok(bytes.to_vec().into());
    }
    let kind = given.get_type().name()?;
    Err(pyo3::exceptions::PyTypeError::new_err(format!("a piece of a body is bytes or str, not {kind}")))
}
