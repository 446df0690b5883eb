//! A sink that hands on what it is told, for tests to wait for.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use ambassador_core::discovery::{Discovery, Sink, watch};
use ambassador_core::target::Target;
use ambassador_core::{Endpoint, runtime};
use tokio::task::AbortHandle;

use crate::common::PATIENCE;

/// A watch that runs, and what it told.
pub struct Watching {
    told: Receiver<Result<Vec<Endpoint>, String>>,
    task: AbortHandle,
}

struct Telling(Mutex<Sender<Result<Vec<Endpoint>, String>>>);

impl Sink for Telling {
    fn found(&self, endpoints: Vec<Endpoint>) {
        // Nobody listens any more to a watch that is about to be dropped.
        let _ = self.0.lock().unwrap().send(Ok(endpoints));
    }

    fn failed(&self, why: String) {
        let _ = self.0.lock().unwrap().send(Err(why));
    }
}

impl Watching {
    pub fn begin(discovery: Discovery, target: &str) -> Watching {
        let (tell, told) = channel();
        let target = Target::parse(target).expect("a target");
        let watching = watch(discovery, target, Arc::new(Telling(Mutex::new(tell))));
        let task = runtime::handle().spawn(watching).abort_handle();
        Watching { told, task }
    }

    /// What it tells next.
    pub fn next(&self) -> Result<Vec<Endpoint>, String> {
        let told = self.told.recv_timeout(PATIENCE).expect("a look is told of");
        assert!(told.as_ref().is_ok_and(|found| !found.is_empty()) || told.is_err(), "a set was emptied (E4)");
        told
    }

    /// The addresses that it tells next.
    pub fn found(&self) -> Vec<String> {
        shown(&self.next().expect("endpoints are found"))
    }

    /// Why its next look that goes wrong did.
    pub fn failed(&self) -> String {
        loop {
            if let Err(why) = self.next() {
                return why;
            }
        }
    }

    /// Waits until these are the endpoints. Until then they are `before`, or looks go wrong.
    pub fn turns(&self, before: &[&str], after: &[&str]) {
        loop {
            let Ok(found) = self.next() else { continue };
            let found = shown(&found);
            if found == after {
                return;
            }
            assert_eq!(found, before);
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub fn shown(endpoints: &[Endpoint]) -> Vec<String> {
    endpoints.iter().map(|endpoint| endpoint.as_str().to_owned()).collect()
}
