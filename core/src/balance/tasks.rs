//! What runs beside the calls of a target with endpoints, on the shared runtime: whoever looks for endpoints, and whoever asks them
//! whether they are well. It begins with the first call, in each process anew (F3), and ends with the state.

use std::panic::{AssertUnwindSafe, catch_unwind};
#[cfg(feature = "http")]
use std::sync::Weak;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{AcqRel, Acquire, Release},
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tokio::task::AbortHandle;

use super::check;
use crate::runtime;
use crate::target::{State, Target};

/// What runs.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    has_begun: AtomicBool,
    // Swapped whole in a forked child, in which nothing runs.
    running: ArcSwap<Mutex<Vec<AbortHandle>>>,
}

fn lock(running: &Mutex<Vec<AbortHandle>>) -> MutexGuard<'_, Vec<AbortHandle>> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tasks {
    /// Whatever runs ends; the next call begins it anew, as the settings then say.
    pub fn stop(&self) {
        let running = self.running.load();
        let mut running = lock(&running);
        running.drain(..).for_each(|task| task.abort());
        self.has_begun.store(false, Release);
    }

    #[cfg(all(test, not(feature = "loom")))]
    pub fn running(&self) -> Vec<AbortHandle> {
        lock(&self.running.load()).clone()
    }

    pub fn begin_anew(&self) {
        self.running.store(Arc::default());
        self.has_begun.store(false, Release);
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.stop();
    }
}

impl State {
    /// A call comes: what has to run beside it runs from now on.
    #[inline]
    pub(crate) fn look_after_endpoints(self: &Arc<State>, target: &Target) {
        if self.endpoints.is_on() && !self.endpoints.tasks.has_begun.load(Acquire) {
            self.begin_tasks(target);
        }
    }

    /// What has to run beside its calls runs from now on, whether or not one comes.
    #[cfg(feature = "admin")]
    pub(crate) fn look_for_endpoints(self: &Arc<State>) {
        if let Some(target) = self.its_target() {
            self.look_after_endpoints(target);
        }
    }

    #[cold]
    fn begin_tasks(self: &Arc<State>, target: &Target) {
        let tasks = &self.endpoints.tasks;
        let running = tasks.running.load();
        // Until what begins is there to be stopped: who changes the settings has changed them before.
        let mut running = lock(&running);
        if tasks.has_begun.swap(true, AcqRel) {
            return;
        }
        let shared = self.settings();
        let weak = Arc::downgrade(self);
        let begin = || {
            let mut begun = Vec::new();
            #[cfg(feature = "http")]
            if let Some(discovery) = &shared.discovery {
                let sink = Arc::new(Found(weak.clone()));
                let watch = crate::discovery::watch(discovery.clone(), target.clone(), sink);
                begun.push(runtime::handle().spawn(watch).abort_handle());
            }
            if let Some(settings) = &shared.health_check {
                let checks = check::run(settings.clone(), target.clone(), weak);
                begun.push(runtime::handle().spawn(checks).abort_handle());
            }
            begun
        };
        // Without threads for them, calls go on with what is known.
        if let Ok(begun) = catch_unwind(AssertUnwindSafe(begin)) {
            running.extend(begun);
        }
    }
}

/// Tells a state which endpoints were found, for as long as somebody uses it.
#[cfg(feature = "http")]
struct Found(Weak<State>);

#[cfg(feature = "http")]
impl crate::discovery::Sink for Found {
    fn found(&self, endpoints: Vec<crate::Endpoint>) {
        if let Some(state) = self.0.upgrade() {
            state.set_endpoints(&state.settings(), endpoints);
        }
    }

    fn failed(&self, why: String) {
        if let Some(state) = self.0.upgrade() {
            state.keep_endpoints(why);
        }
    }
}
