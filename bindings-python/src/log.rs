//! What goes to Python's logging. What a call brings is fetched by its own thread (`_events.py`); what happens on a thread of the
//! runtime's wakes a daemon thread of Python's, which fetches it: no thread of the core's ever waits for the interpreter.

use std::sync::{Condvar, Mutex, PoisonError};

use ambassador_core::AmbassadorProxy;
use ambassador_core::event::{self, Event};
use ambassador_core::telemetry::log::{self, Level};
use pyo3::ffi;
use pyo3::prelude::*;

use crate::once::Leaked;
use crate::raw::{self, Object};

/// An event: as JSON; the number of its level if it is to be logged, or 0; and the line that says it then.
pub type Told = (String, u8, String);

/// What has happened to a target and was told to nobody yet.
pub fn told(core: &AmbassadorProxy) -> Vec<Told> {
    spelled(core.name(), &core.fetch_events())
}

fn spelled(name: &str, events: &[Event]) -> Vec<Told> {
    let spell = |event: &Event| {
        let (level, line) = log::numbered(name, event);
        (event.to_json(name), level, line)
    };
    events.iter().map(spell).collect()
}

/// Whether something has happened that nobody looks for.
#[derive(Default)]
struct News {
    has_come: Mutex<bool>,
    comes: Condvar,
}

static NEWS: Leaked<News> = Leaked::new();

impl News {
    fn tell(&self) {
        *self.has_come.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.comes.notify_one();
    }

    fn wait(&self) {
        let has_come = self.has_come.lock().unwrap_or_else(PoisonError::into_inner);
        let has_come = self.comes.wait_while(has_come, |has_come| !*has_come);
        *has_come.unwrap_or_else(PoisonError::into_inner) = false;
    }
}

/// F3: news in the parent are the parent's.
pub fn forked() {
    NEWS.forget();
}

/// `wait_for_news()`.
unsafe extern "C-unwind" fn wait_for_news(_: Object, _: *const Object, _: isize, _: Object) -> Object {
    // SAFETY: called by the interpreter, on a daemon thread: here is nothing to drop.
    unsafe {
        raw::detached(|| NEWS.get_or(News::default).wait());
        ffi::Py_NewRef(ffi::Py_None())
    }
}

pub fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    log::on_background(|| NEWS.get_or(News::default).tell());
    module.add_function(wrap_pyfunction!(operators_log_level, module)?)?;
    module.add_function(wrap_pyfunction!(set_log_level, module)?)?;
    module.add_function(wrap_pyfunction!(pending_events, module)?)?;
    raw::add(
        module,
        raw::method(
            c"wait_for_news",
            wait_for_news,
            c"Waits until something has happened that no call's thread looks for.",
        ),
    )
}

/// The number of the level that AMBASSADOR_LOG asks for, or `None`.
#[pyfunction]
fn operators_log_level() -> Option<u8> {
    log::operators().map(|level| level as u8)
}

/// So much is logged from now on, never more than AMBASSADOR_LOG asks for.
#[pyfunction]
fn set_log_level(number: u8) {
    log::set_level(Level::from_number(number).unwrap_or(Level::Debug));
}

/// What has happened to any target that no call's thread looks for: names, and what happened to each.
#[pyfunction]
fn pending_events() -> Vec<(String, Vec<Told>)> {
    let pending = event::pending().into_iter();
    pending
        .map(|(name, events)| {
            let told = spelled(&name, &events);
            (name, told)
        })
        .collect()
}
