//! What a function sees of its attempt: `proxy.execute(fn)` calls `fn(attempt)`. A first attempt comes before its call is a
//! Python object, for most calls never need to be one.

use std::ptr::{self, null_mut};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use ambassador_core::call::Call as CoreCall;
use ambassador_core::clock::{Nanos, now};
use ambassador_core::proxy::CallId;
use ambassador_core::telemetry::trace;
use ambassador_core::{AmbassadorProxy, Endpoint};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3::{PyTypeInfo, ffi};

use crate::call::{Call, seconds_until};
use crate::raw::{self, Object};
use crate::{settings, tracing};

const NO_HINT: u64 = u64::MAX;

/// One attempt of a call, as its function sees it: `proxy.execute(fn)` calls `fn(attempt)`.
#[pyclass(frozen, module = "ambassador_proxy")]
pub struct Attempt {
    proxy: AmbassadorProxy,
    /// As it stood when this attempt started: an abandoned attempt goes on seeing its own number.
    call: CoreCall,
    bound: Nanos,
    /// Where it goes, if not to the target itself.
    endpoint: Option<Endpoint>,
    given_up: AtomicBool,
    hint: AtomicU64,
    /// The call, from when there is one as a Python object: it knows the id that all its attempts share.
    of: OnceLock<Py<Call>>,
    /// The id, until then.
    id: OnceLock<CallId>,
}

impl Attempt {
    pub fn new(proxy: &AmbassadorProxy, call: CoreCall, bound: Nanos) -> Attempt {
        Attempt {
            proxy: proxy.clone(),
            call,
            bound,
            endpoint: proxy.chosen_endpoint(&call),
            given_up: AtomicBool::new(false),
            hint: AtomicU64::new(NO_HINT),
            of: OnceLock::new(),
            id: OnceLock::new(),
        }
    }

    /// What a Python object holds.
    ///
    /// # Safety
    /// The GIL is held; `attempt` is an `Attempt` that outlives the answer.
    pub unsafe fn behind<'a>(attempt: Object) -> &'a Attempt {
        // SAFETY: as this function asks of its caller; a frozen class needs no borrow.
        unsafe {
            let attempt = Bound::ref_from_ptr(Python::assume_attached(), &attempt);
            &*ptr::from_ref(attempt.cast_unchecked::<Attempt>().get())
        }
    }

    /// It is an attempt of that call, which has just become a Python object or has just started it.
    pub fn belongs_to(&self, call: &Bound<'_, Call>) {
        if let Some(id) = self.id.get() {
            call.get().is_known_as(*id);
        }
        let _ = self.of.set(call.clone().unbind());
    }

    fn id(&self) -> CallId {
        match self.of.get() {
            Some(call) => call.get().id(),
            None => *self.id.get_or_init(CallId::random),
        }
    }

    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let headers = PyDict::new(py);
        for (name, value) in self.proxy.headers(&self.call, self.id(), now()) {
            headers.set_item(name, value)?;
        }
        Ok(headers)
    }

    pub fn hint(&self) -> Option<Nanos> {
        let hint = self.hint.load(Relaxed);
        (hint != NO_HINT).then_some(hint)
    }
}

/// Gives `Attempt` its `headers`, for which the host's tracer is asked.
pub fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    raw::add_getter(&Attempt::type_object(module.py()), c"headers", headers, HEADERS_DOC)
}

const HEADERS_DOC: &std::ffi::CStr =
    c"What to send along: `idempotency-key` (the same for all attempts of a call), `traceparent`, `x-ambassador-attempt` and,
when bounded, `x-ambassador-remaining-ms`. A new dict at each read.";

unsafe extern "C-unwind" fn headers(attempt: Object, _: *mut std::ffi::c_void) -> Object {
    // SAFETY: called by the interpreter, with an `Attempt` that it holds; nothing is to be dropped while the tracer is asked.
    unsafe {
        let said = tracing::ask();
        if said.is_null() && !ffi::PyErr_Occurred().is_null() {
            return null_mut();
        }
        let py = Python::assume_attached();
        match trace::within(tracing::read(said), || Attempt::behind(attempt).headers(py)) {
            Ok(headers) => headers.into_ptr(),
            Err(error) => {
                error.restore(py);
                null_mut()
            }
        }
    }
}

#[pymethods]
impl Attempt {
    /// The number of this attempt: 1, 2, 3 …
    #[getter]
    fn attempt(&self) -> u32 {
        self.call.attempt()
    }

    /// The address of the endpoint that this attempt goes to; where there are no endpoints, the target.
    #[getter]
    fn endpoint(&self) -> &str {
        self.endpoint.as_ref().map_or(self.proxy.target(), Endpoint::as_str)
    }

    /// Seconds until this attempt's bound, down to 0; `None` when it is not bounded. Fit to be the timeout of a socket.
    #[getter]
    fn remaining(&self) -> Option<f64> {
        seconds_until(self.bound)
    }

    /// Whether the caller no longer waits for this attempt. Long work looks at it from time to time.
    #[getter]
    fn cancelled(&self) -> bool {
        self.given_up.load(Relaxed) || now() >= self.bound
    }

    /// Set by the function before it raises: how long to wait at least before the next attempt, in seconds or as a
    /// `timedelta`. `None` takes it back.
    #[getter]
    fn retry_after(&self) -> Option<f64> {
        self.hint().map(|nanos| nanos as f64 / 1e9)
    }

    #[setter]
    fn set_retry_after(&self, length: &Bound<'_, PyAny>) {
        // R3: garbage is ignored.
        let hint = settings::hint(length).map_or(NO_HINT, |nanos| nanos.min(NO_HINT - 1));
        self.hint.store(hint, Relaxed);
    }

    /// The attempt was given up while its function still runs.
    #[pyo3(name = "_give_up")]
    pub fn give_up(&self) {
        self.given_up.store(true, Relaxed);
    }

    fn __repr__(&self) -> String {
        format!("<Attempt {} of {}>", self.call.attempt(), self.proxy.target())
    }
}
