//! Events of all targets, to whoever listens to the whole process (S1). Costs something only while somebody does.
//!
//! Each subscriber has a queue with a bound. What does not fit is lost to that subscriber, and counted; whoever tells an event never
//! waits, takes no lock, and wakes nobody: a subscriber looks when it has time.

use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, LazyLock};

use arc_swap::ArcSwap;

use super::process::unix_ms;
use crate::event::{Event, quoted};

/// What happened, to which state, when.
#[derive(Debug)]
pub(crate) struct Told {
    pub name: Box<str>,
    pub event: Event,
    pub at_ms: u64,
}

impl Told {
    /// The event's JSON, which also says when it happened, how much it matters, and itself in words.
    pub fn to_json(&self) -> String {
        let mut json = self.event.to_json(&self.name);
        json.pop();
        let (level, message) = (self.event.level(), quoted(&self.event.message(&self.name)));
        json + &format!(r#","level":"{level}","message":{message},"at_ms":{}}}"#, self.at_ms)
    }
}

struct Subscriber {
    queue: SyncSender<Arc<Told>>,
    lost: AtomicU64,
}

// Swapped whole rather than locked.
static SUBSCRIBERS: LazyLock<ArcSwap<Vec<Arc<Subscriber>>>> = LazyLock::new(ArcSwap::default);
/// Whether there is any.
static IS_HEARD: AtomicBool = AtomicBool::new(false);
static DROPPED: AtomicU64 = AtomicU64::new(0);
static READERS: AtomicU64 = AtomicU64::new(0);

/// Whether anybody listens.
#[inline]
pub(crate) fn is_heard() -> bool {
    IS_HEARD.load(Relaxed)
}

/// Tells all subscribers.
#[cold]
pub(crate) fn tell(name: &str, event: &Event) {
    let told = Arc::new(Told { name: name.into(), event: event.clone(), at_ms: unix_ms() });
    for subscriber in SUBSCRIBERS.load().iter() {
        if subscriber.queue.try_send(Arc::clone(&told)).is_err() {
            subscriber.lost.fetch_add(1, Relaxed);
        }
    }
}

/// A reader was too slow for so many, and has been told so, or is gone.
pub(crate) fn note_dropped(count: u64) {
    DROPPED.fetch_add(count, Relaxed);
}

/// How many events readers were too slow for, together.
pub(crate) fn dropped() -> u64 {
    DROPPED.load(Relaxed)
}

/// How many read a stream of events.
pub(crate) fn readers() -> u64 {
    READERS.load(Relaxed)
}

/// Somebody who reads a stream of events, until it is dropped.
pub(crate) struct Reader(());

impl Reader {
    pub fn new() -> Reader {
        READERS.fetch_add(1, Relaxed);
        Reader(())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        READERS.fetch_sub(1, Relaxed);
    }
}

/// Hears of every event, until it is dropped.
pub(crate) struct Subscription {
    subscriber: Arc<Subscriber>,
    queue: Receiver<Arc<Told>>,
}

/// Listens from now on; so many events may wait.
pub(crate) fn subscribe(capacity: usize) -> Subscription {
    let (sender, queue) = sync_channel(capacity);
    let subscriber = Arc::new(Subscriber { queue: sender, lost: AtomicU64::new(0) });
    SUBSCRIBERS.rcu(|present| present.iter().chain([&subscriber]).cloned().collect::<Vec<_>>());
    look_who_listens();
    Subscription { subscriber, queue }
}

impl Subscription {
    /// What has happened since this was last asked.
    pub fn hear(&self) -> impl Iterator<Item = Arc<Told>> {
        self.queue.try_iter()
    }

    /// How many events were lost to it since this was last asked.
    pub fn lost(&self) -> u64 {
        self.subscriber.lost.swap(0, Relaxed)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let others = |present: &Arc<Vec<Arc<Subscriber>>>| -> Vec<Arc<Subscriber>> {
            present.iter().filter(|one| !Arc::ptr_eq(one, &self.subscriber)).cloned().collect()
        };
        SUBSCRIBERS.rcu(others);
        look_who_listens();
    }
}

/// Two who come and go at once both look, and the one who looks last sees what both have done.
fn look_who_listens() {
    loop {
        let is_heard = !SUBSCRIBERS.load().is_empty();
        IS_HEARD.store(is_heard, SeqCst);
        if is_heard != SUBSCRIBERS.load().is_empty() {
            return;
        }
    }
}

/// F3: who listened in the parent listens there.
pub(crate) fn begin_anew() {
    // Leaked: another thread of the parent's may have been in the middle of its queue.
    std::mem::forget(SUBSCRIBERS.swap(Arc::default()));
    IS_HEARD.store(false, SeqCst);
    READERS.store(0, Relaxed);
}
