//! A configuration from the program's own code.

use ambassador_core::ConfigError;
use ambassador_core::config;
use pyo3::prelude::*;

use crate::raise;

pub fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(configure, module)?)
}

/// That file, or that text, holds for proxies that are made from now on.
#[pyfunction]
fn configure(py: Python<'_>, path_or_text: &str) -> PyResult<()> {
    config::configure(path_or_text).map(drop).map_err(|faults| raise::config(py, &ConfigError::from(faults)))
}
