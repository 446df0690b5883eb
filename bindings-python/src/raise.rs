//! The ambassador's own errors, as the exception classes of `errors.py`. Their texts are the core's.

use ambassador_core::call::Call;
use ambassador_core::clock::Nanos;
use ambassador_core::{AmbassadorProxy, Code, ConfigError};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The exception for a wrong setting (C2).
pub fn config(py: Python<'_>, wrong: &ConfigError) -> PyErr {
    let build = || {
        let kwargs = PyDict::new(py);
        kwargs.set_item("field", &wrong.field)?;
        kwargs.set_item("value", &wrong.value)?;
        kwargs.set_item("allowed", &wrong.allowed)?;
        class(py, Code::Config)?.call((wrong.to_string(),), Some(&kwargs))
    };
    build().map_or_else(|error| error, PyErr::from_value)
}

/// The exception of that code, for a call of this proxy.
pub fn error<'py>(
    py: Python<'py>,
    proxy: &AmbassadorProxy,
    code: Code,
    call: Option<&Call>,
    now: Nanos,
) -> PyResult<Bound<'py, PyAny>> {
    let kwargs = PyDict::new(py);
    kwargs.set_item("target", proxy.target())?;
    kwargs.set_item("attempts", call.map_or(0, Call::attempt))?;
    kwargs.set_item("elapsed", call.map_or(0, |call| call.elapsed(now)) as f64 / 1e9)?;
    class(py, code)?.call((proxy.error_message(code, call, now),), Some(&kwargs))
}

fn class(py: Python<'_>, code: Code) -> PyResult<Bound<'_, PyAny>> {
    let by_code = py.import("ambassador_proxy.errors")?.getattr("BY_CODE")?;
    let name = code.as_str();
    by_code.get_item(name).map_err(|_| PyRuntimeError::new_err(format!("no exception class for {name:?}")))
}
