//! `ambassador_proxy._native`: the Python side's way into the core. Here is what has to be native: the protocol of a call,
//! the quick way of a first attempt that succeeds, bounds on the caller's thread, and the hand-over to worker threads.
//! What goes on after a first failure (waits, logging, notes) is Python, in `python/ambassador_proxy/`.
//!
//! No Python code is run, and nothing waited for, with a Rust frame below that has something to drop, or a frame of pyo3's: at
//! the end of the interpreter CPython ends daemon threads by unwinding them, and such a frame would turn that into an abort
//! (F4). See `raw` and `direct`.

mod attempt;
mod call;
mod configuration;
mod direct;
mod interrupt;
mod kind;
mod log;
mod once;
mod policy;
mod pool;
mod proxy;
mod racer;
mod raise;
mod raw;
mod requests;
mod settings;
mod step;
mod telemetry;
mod tracing;
mod turn;
mod wrapped;

use pyo3::prelude::*;
use pyo3::types::PyDict;

/// What other modules of the package need of this one.
#[pymodule]
mod _native {
    use super::*;

    #[pymodule_export]
    use attempt::Attempt;
    #[pymodule_export]
    use call::Call;
    #[pymodule_export]
    use pool::worker_threads;
    #[pymodule_export]
    use proxy::Proxy;
    #[pymodule_export]
    use racer::Racer;
    #[pymodule_export]
    use requests::completions::Completions;
    #[pymodule_export]
    use requests::feed::Feed;
    #[pymodule_export]
    use requests::headers::Headers;
    #[pymodule_export]
    use requests::response::{Response, Unanswered};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        direct::add(module)?;
        pool::add(module)?;
        wrapped::add(module)?;
        step::add(module)?;
        requests::add(module)?;
        log::add(module)?;
        telemetry::add(module)?;
        tracing::add(module)?;
        attempt::add(module)?;
        configuration::add(module)?;
        module.add("BY_SIGNAL", interrupt::BY_SIGNAL)?;
        call::add(module)
    }

    /// The parts of the way that are written in Python: what goes on after a first attempt, whole calls of plain and of
    /// coroutine functions, those whose attempts run beside each other, what tells them apart, what the thread-bound parts need, and the classes of errors.
    #[pyfunction]
    #[allow(clippy::too_many_arguments)]
    fn install(
        go_on: Py<PyAny>,
        drive: Py<PyAny>,
        drive_async: Py<PyAny>,
        race: Py<PyAny>,
        race_async: Py<PyAny>,
        is_async: Py<PyAny>,
        start_worker: Py<PyAny>,
        main_thread: u64,
        prepare: Py<PyAny>,
        interrupted: Py<PyAny>,
        by_code: Bound<'_, PyDict>,
        enter: Py<PyAny>,
        hear: Py<PyAny>,
    ) -> PyResult<()> {
        direct::install(go_on, drive, drive_async, race, race_async, enter, hear);
        kind::install(by_code.py(), is_async)?;
        pool::install(start_worker);
        interrupt::install(main_thread, prepare, interrupted);
        raise::install(by_code)
    }

    /// The version of this package and of the core.
    #[pyfunction]
    fn version() -> &'static str {
        ambassador_core::version()
    }

    /// Interrupts a thread by an asynchronous exception.
    #[pyfunction]
    fn interrupt_thread(ident: u64) {
        interrupt::send(ident);
    }

    /// Whether a bound of this thread has passed whose function still runs.
    #[pyfunction]
    fn due() -> bool {
        interrupt::due()
    }

    /// Whether this thread runs on behalf of a bounded call, so that waits must stay interruptible.
    #[pyfunction]
    fn is_nested() -> bool {
        interrupt::is_nested()
    }

    /// F3: in a forked child.
    #[pyfunction]
    fn forked() {
        interrupt::forked();
        pool::forked();
        turn::forked();
        log::forked();
        ambassador_core::runtime::forked();
    }

    /// For tests: makes the core panic at "begin", "settle" or "resume"; "" makes it stop.
    #[pyfunction]
    fn inject_panic(at: &str) {
        ambassador_core::fault::inject_panic(at);
    }

    /// For tests: from now on time is virtual; `None` makes it real again. The instant, in nanoseconds, or `None`.
    #[pyfunction]
    fn virtual_time(starts: Option<bool>) -> Option<u64> {
        match starts {
            Some(true) => ambassador_core::testing::start(),
            Some(false) => ambassador_core::testing::stop(),
            None => {}
        }
        ambassador_core::testing::instant()
    }

    /// For tests: moves virtual time on, by nanoseconds.
    #[pyfunction]
    fn advance(length: u64) {
        ambassador_core::testing::advance(length);
    }

    /// For tests: the waits that were passed in virtual time, in nanoseconds.
    #[pyfunction]
    fn waits() -> Vec<u64> {
        ambassador_core::testing::waits()
    }

    /// For tests: every setting, as JSON.
    #[pyfunction]
    fn settings_json() -> String {
        ambassador_core::settings::Settings::fields_json(ambassador_core::settings::Spelling::Python)
    }
}
