//! All of this process as Python sees it: the snapshot, the metrics, the admin server. The GIL is kept meanwhile: nothing here waits
//! for Python, and who gives it up may not get it back while the interpreter ends (F4).

use ambassador_core::telemetry::{self, AdminOptions, Format};
use pyo3::prelude::*;

use crate::raise;

pub fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    telemetry::set_language("python");
    module.add_class::<Admin>()?;
    module.add_function(wrap_pyfunction!(snapshot_json, module)?)?;
    module.add_function(wrap_pyfunction!(metrics, module)?)?;
    module.add_function(wrap_pyfunction!(serve_admin, module)?)
}

/// All targets of this process and the process itself, as JSON.
#[pyfunction]
fn snapshot_json() -> String {
    telemetry::snapshot()
}

/// The same as metrics, in that format.
#[pyfunction]
fn metrics(py: Python<'_>, format: &str) -> PyResult<String> {
    Format::named(format).map(telemetry::metrics).map_err(|wrong| raise::config(py, &wrong))
}

/// Answers at that address from now on.
#[pyfunction]
fn serve_admin(
    py: Python<'_>,
    address: &str,
    token: Option<String>,
    hosts: Vec<String>,
    remote: bool,
) -> PyResult<Admin> {
    let options = AdminOptions { token, hosts, remote };
    telemetry::serve_admin(address, options).map(Admin).map_err(|wrong| raise::config(py, &wrong))
}

/// An admin server; it serves until it is stopped, also when nobody holds this.
#[pyclass(frozen, module = "ambassador_proxy")]
struct Admin(telemetry::Admin);

#[pymethods]
impl Admin {
    #[getter]
    fn address(&self) -> String {
        self.0.address().to_string()
    }

    #[getter]
    fn url(&self) -> String {
        format!("http://{}/", self.0.address())
    }

    #[getter]
    fn token(&self) -> &str {
        self.0.token()
    }

    #[getter]
    fn is_serving(&self) -> bool {
        self.0.is_serving()
    }

    /// Ends it, with all its connections.
    fn stop(&self) {
        self.0.stop();
    }

    fn __enter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    #[pyo3(signature = (*_raised))]
    fn __exit__(&self, _raised: &Bound<'_, pyo3::types::PyTuple>) {
        self.0.stop();
    }

    fn __repr__(&self) -> String {
        format!("<Admin {}>", self.url())
    }
}
