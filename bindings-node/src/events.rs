//! Events: what has happened to a target is fetched by the thread whose call it happened in, and told and logged there; the other
//! threads that listen to that target are told by post. So is what happens on a thread of the core's, which one thread logs.

use std::fmt::Write;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError, Weak};

use ambassador_core::event::{self, Event, quoted};
use ambassador_core::telemetry::log::{self, Level};
use napi::bindgen_prelude::External;
use napi_derive::napi;

use crate::instance::{Handle, Instance};
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

/// What has happened and was told to nobody: a JSON array, if there is anything and this environment listens, or logs it. Whatever
/// other environment listens gets it by post.
#[napi(catch_unwind)]
pub fn fetch_events(handle: &External<Handle>) -> Option<String> {
    let core = &handle.proxy.core;
    let events = core.fetch_events();
    if events.is_empty() {
        return None;
    }
    let own = &handle.instance.post;
    let is_heard = tell(core.name(), &events, own);
    let (json, is_logged) = spelled(core.name(), &events, true);
    (is_heard || is_logged).then_some(json)
}

/// Tells the environments that listen to that name, but for one, by post; whether that one listens.
fn tell(name: &str, events: &[Event], but: &Arc<Post>) -> bool {
    let posts: Vec<Arc<Post>> =
        listening().iter().filter(|entry| *entry.name == *name).map(|entry| Arc::clone(&entry.post)).collect();
    let (own, others): (Vec<_>, Vec<_>) = posts.into_iter().partition(|post| Arc::ptr_eq(post, but));
    if !others.is_empty() {
        let (json, _) = spelled(name, events, false);
        for post in others {
            post.send(Message::Events(json.clone()));
        }
    }
    !own.is_empty()
}

/// A JSON array: of each event itself, the number of the level at which it is to be logged there, or 0, and the line that says it
/// then. Whether any is.
fn spelled(name: &str, events: &[Event], logs: bool) -> (String, bool) {
    let (mut json, mut any) = (String::from("["), false);
    for event in events {
        let comma = if json.len() == 1 { "" } else { "," };
        let (level, line) = if logs { log::numbered(name, event) } else { (0, String::new()) };
        any |= level != 0;
        let _ = write!(json, "{comma}{},{level},{}", event.to_json(name), quoted(&line));
    }
    (json + "]", any)
}

/// Which environments log what happens on threads of the core's: the first one that is still there does.
static LOGGING: Mutex<Vec<Weak<Post>>> = Mutex::new(Vec::new());

/// From now on this environment, unless another does, logs what happens on threads of the core's. Its post is open.
#[napi(catch_unwind)]
pub fn attend(instance: &External<Rc<Instance>>) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| log::on_background(tell_pending));
    logging().push(Arc::downgrade(&instance.post));
}

fn logging() -> MutexGuard<'static, Vec<Weak<Post>>> {
    LOGGING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// On a thread of the core's.
fn tell_pending() {
    let first = {
        let mut logging = logging();
        logging.retain(|post| post.upgrade().is_some_and(|post| post.is_open()));
        logging.first().and_then(Weak::upgrade)
    };
    // Nobody is there: it waits for the next call.
    let Some(post) = first else { return };
    for (name, events) in event::pending() {
        let is_heard = tell(&name, &events, &post);
        let (json, is_logged) = spelled(&name, &events, true);
        if is_heard || is_logged {
            post.send(Message::Events(json));
        }
    }
}

/// The process begins to log: warnings, unless the operator asks for something else. Once, whatever environments come.
pub fn begin_to_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| log::begin(Level::Warn));
}

/// So much is logged from now on: a number of the core's.
#[napi(catch_unwind)]
pub fn set_log_level(number: u8) {
    if let Some(level) = Level::from_number(number) {
        log::set_level(level);
    }
}

/// How much is logged.
#[napi(catch_unwind)]
pub fn log_level() -> u8 {
    log::level() as u8
}
