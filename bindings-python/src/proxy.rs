//! The native part of `AmbassadorProxy`: a core proxy with its settings, and what is asked of it. How calls go is in `direct`
//! and in Python.

use std::sync::OnceLock;

use ambassador_core::AmbassadorProxy;
use ambassador_core::policy::RunIn;
use ambassador_core::settings::{Settings, Spelling};
use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::policy::{self, seconds};
use crate::{log, raise, settings};

/// The native part of a proxy.
#[pyclass(frozen, subclass, weakref, module = "ambassador_proxy._native")]
pub struct Proxy {
    set_up: OnceLock<SetUp>,
}

/// What `__init__` gave.
pub struct SetUp {
    pub core: AmbassadorProxy,
    /// Calls run on the caller's own thread.
    pub on_caller: bool,
    /// Several attempts of a call may run at once (H1).
    pub hedges: bool,
    /// A `classify` sees values too, so that none is a success before it was asked.
    pub sees_values: bool,
    /// What its errors say.
    pub texts: raise::Texts,
    rules: Py<PyAny>,
}

impl Proxy {
    #[inline]
    pub fn get(&self) -> Option<&SetUp> {
        self.set_up.get()
    }

    fn set(&self) -> PyResult<&SetUp> {
        self.get().ok_or_else(not_set_up)
    }
}

pub fn not_set_up() -> PyErr {
    PyRuntimeError::new_err(
        "this proxy has no target yet: a subclass with an __init__ of its own must call super().__init__(target_host)",
    )
}

#[pymethods]
impl Proxy {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Proxy {
        Proxy { set_up: OnceLock::new() }
    }

    /// Rules may lead back to the proxy. A cycle breaks elsewhere, so there is no `__clear__`: a call under way needs its rules.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.get().map_or(Ok(()), |set_up| visit.call(&set_up.rules))
    }

    /// Called once by `__init__`.
    fn _set_up(
        &self,
        target: &Bound<'_, PyAny>,
        edits: &Bound<'_, PyDict>,
        rules: Py<PyAny>,
        sees_values: bool,
    ) -> PyResult<()> {
        let py = target.py();
        let settings = settings::read(target, edits)?.map_err(|wrong| raise::config(py, &wrong))?;
        let core = AmbassadorProxy::from_settings(settings).map_err(|wrong| raise::config(py, &wrong))?;
        let policy = core.policy();
        // Without a bound there is nothing that a thread of its own would give.
        let bounded = policy.timeout.is_some() || policy.deadline.is_some();
        let hedges = policy.hedge.is_some();
        let on_caller = policy.run_in.map_or(!bounded, |place| place == RunIn::Caller);
        let texts = raise::Texts::of(py, &core);
        self.set_up
            .set(SetUp { core, on_caller, hedges, sees_values, texts, rules })
            .map_err(|_| PyRuntimeError::new_err("a proxy is set up once; make another one for other settings"))
    }

    /// The target, as it was given.
    #[getter]
    fn target(&self) -> PyResult<&str> {
        Ok(self.set()?.core.target())
    }

    /// The name that state is shared by: the target, unless one was set.
    #[getter]
    fn name(&self) -> PyResult<&str> {
        Ok(self.set()?.core.name())
    }

    /// Attempts in all, the first one included.
    #[getter]
    fn max_retries(&self) -> PyResult<u32> {
        Ok(self.set()?.core.policy().max_retries)
    }

    /// The bound of each attempt in seconds, or `None`.
    #[getter]
    fn timeout(&self) -> PyResult<Option<f64>> {
        Ok(self.set()?.core.policy().timeout.map(seconds))
    }

    /// The settings in force, as keyword arguments of `Policy`.
    fn _policy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        policy::shown(py, self.set()?)
    }

    /// From now on these are the endpoints: a list as the setting takes it.
    fn _set_endpoints(&self, endpoints: &Bound<'_, PyAny>) -> PyResult<()> {
        let core = &self.set()?.core;
        let read = Settings::endpoints(Spelling::Python, &settings::value(endpoints));
        core.set_endpoints(read.map_err(|wrong| raise::config(endpoints.py(), &wrong))?);
        Ok(())
    }

    /// Every setting in force with where it comes from, as JSON: spelled as Python does, or the same as in all languages.
    fn _effective_policy(&self, as_python: bool) -> PyResult<String> {
        let spelling = if as_python { Spelling::Python } else { Spelling::File };
        Ok(self.set()?.core.effective_policy_json(spelling))
    }

    /// The health of the target, as JSON.
    fn _health(&self) -> PyResult<String> {
        Ok(self.set()?.core.health())
    }

    /// Opens the circuit by hand.
    fn _isolate(&self) -> PyResult<()> {
        self.set()?.core.isolate();
        Ok(())
    }

    /// Closes the circuit by hand.
    fn _reset(&self) -> PyResult<()> {
        self.set()?.core.reset();
        Ok(())
    }

    /// Whether something looks for its endpoints, or after them, beside the calls.
    fn _has_tasks(&self) -> PyResult<bool> {
        let shared = &self.set()?.core.policy().shared;
        Ok(shared.discovery.is_some() || shared.health_check.is_some())
    }

    /// From now on events are kept until they are fetched.
    fn _keep_events(&self) -> PyResult<()> {
        self.set()?.core.keep_events();
        Ok(())
    }

    /// Whether anybody listens to what happens to its target.
    #[getter]
    fn is_heard(&self) -> PyResult<bool> {
        Ok(self.set()?.core.keeps_events())
    }

    /// What has happened and was told to nobody yet.
    fn fetch_events(&self) -> PyResult<Vec<log::Told>> {
        Ok(log::told(&self.set()?.core))
    }

    /// What tells outcomes apart (A2), or `None`.
    #[getter]
    fn _rules(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(self.set()?.rules.clone_ref(py))
    }

    /// Whether calls run on the caller's own thread.
    #[getter]
    fn _on_caller(&self) -> PyResult<bool> {
        Ok(self.set()?.on_caller)
    }

    /// Whether several attempts of a call may run at once (H1).
    #[getter]
    fn _hedges(&self) -> bool {
        self.get().is_some_and(|set_up| set_up.hedges)
    }

    /// For tests: the same seed gives the same waits.
    fn _seed_jitter(&self, seed: u64) -> PyResult<()> {
        self.set()?.core.seed_jitter(seed);
        Ok(())
    }
}
