//! Events: what has happened to a target is fetched by the thread whose call it happened in, and told there; the other threads
//! that listen to that target are told by post.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use napi::bindgen_prelude::External;
use napi_derive::napi;

use crate::instance::Handle;
use crate::post::{Message, Post};

/// Which environments listen to which target's state. No user code runs, and nothing else is locked, while it is.
static LISTENING: Mutex<Vec<Entry>> = Mutex::new(Vec::new());

struct Entry {
    number: u64,
    name: Box<str>,
    post: Arc<Post>,
}

fn listening() -> MutexGuard<'static, Vec<Entry>> {
    LISTENING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// That an environment listens to a target's state, for as long as JavaScript holds this.
pub struct Listening(u64);

impl Drop for Listening {
    fn drop(&mut self) {
        listening().retain(|entry| entry.number != self.0);
    }
}

/// From now on this environment is told what happens to the proxy's target, through whatever proxy and thread.
#[napi(catch_unwind)]
pub fn listen(handle: &External<Handle>) -> External<Listening> {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let number = LAST.fetch_add(1, Relaxed);
    let (core, post) = (&handle.proxy.core, Arc::clone(&handle.instance.post));
    listening().push(Entry { number, name: core.name().into(), post });
    core.keep_events();
    External::new(Listening(number))
}

/// What has happened and was told to nobody: a JSON array, if there is anything and this environment listens. Whatever other
/// environment listens gets it by post.
#[napi(catch_unwind)]
pub fn fetch_events(handle: &External<Handle>) -> Option<String> {
    let core = &handle.proxy.core;
    let events: Vec<String> = core.fetch_events().iter().map(|event| event.to_json(core.name())).collect();
    if events.is_empty() {
        return None;
    }
    let json = format!("[{}]", events.join(","));
    let posts: Vec<Arc<Post>> =
        listening().iter().filter(|entry| *entry.name == *core.name()).map(|entry| Arc::clone(&entry.post)).collect();
    let (own, others): (Vec<_>, Vec<_>) = posts.into_iter().partition(|post| Arc::ptr_eq(post, &handle.instance.post));
    for post in others {
        post.send(Message::Events(json.clone()));
    }
    (!own.is_empty()).then_some(json)
}
