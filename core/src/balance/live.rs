//! The endpoints of a target's state: the set that holds, who is chosen of it, what becomes of the attempts there, and who waits
//! for a first set. Choosing takes no lock; changing the set, and leaving an endpoint out, does, for a moment.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::atomic::{
    AtomicU8, AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst},
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use arc_swap::ArcSwap;
use tracing::Level;

use super::member::{Condition, Member, Place};
use super::pick::{Wish, pick};
use super::set::{Changed, Set};
use super::tasks::Tasks;
use super::{Outlier, outlier};
use crate::call::Outcome;
use crate::clock::{self, Nanos};
use crate::endpoint::Endpoint;
use crate::event::{Event, quoted};
use crate::policy::Shared;
use crate::target::State;

/// The target itself is the one endpoint, and nothing here is asked.
const OFF: u8 = 0;
/// Some are looked for, and none were found yet.
const AWAITED: u8 = 1;
/// There is a set, perhaps an empty one.
const KNOWN: u8 = 2;

/// How often a choice is made again because the set changed meanwhile.
const CHOICES: usize = 8;

/// What a target's state knows of its endpoints.
#[derive(Debug)]
pub(crate) struct Endpoints {
    mode: AtomicU8,
    set: ArcSwap<Set>,
    /// The number of the set that holds.
    version: AtomicU64,
    /// Where those stand that come one after the other.
    turn: AtomicU64,
    /// How often an endpoint was left out or fell ill, and how often it had been when all were seen to be well.
    troubles: AtomicU64,
    calm: AtomicU64,
    // Swapped whole in a forked child: a lock held by another thread at the fork would stay held there.
    changing: ArcSwap<Mutex<()>>,
    /// Of those that a slot was given in.
    last_generation: AtomicU32,
    /// Calls that wait for a first set, and the number given last.
    waiting: ArcSwap<Mutex<HashMap<u64, Waker>>>,
    last_number: AtomicU64,
    pub(super) tasks: Tasks,
}

/// Where an attempt goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    There(Place),
    /// There is no endpoint (E4), or none is well and that is not to be ignored (E3).
    Nowhere,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Endpoints {
    pub fn new(shared: &Shared) -> Endpoints {
        let endpoints = Endpoints {
            mode: AtomicU8::new(OFF),
            set: ArcSwap::default(),
            version: AtomicU64::new(0),
            turn: AtomicU64::new(0),
            troubles: AtomicU64::new(0),
            calm: AtomicU64::new(0),
            changing: ArcSwap::default(),
            last_generation: AtomicU32::new(0),
            waiting: ArcSwap::default(),
            last_number: AtomicU64::new(0),
            tasks: Tasks::default(),
        };
        endpoints.begin_with(shared);
        endpoints
    }

    /// What is written down holds until something else is found.
    fn begin_with(&self, shared: &Shared) -> Changed {
        let changed = self.replace(shared, shared.endpoints.clone());
        self.set_mode(match (shared.endpoints.is_empty(), &shared.discovery) {
            (true, None) => OFF,
            (true, Some(_)) => AWAITED,
            (false, _) => KNOWN,
        });
        changed
    }

    /// Whether there is anything to choose from.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.mode.load(Acquire) != OFF
    }

    /// Whether a first set is awaited.
    #[inline]
    pub fn is_awaited(&self) -> bool {
        self.mode.load(Acquire) == AWAITED
    }

    fn set_mode(&self, mode: u8) {
        self.mode.store(mode, Release);
        if mode != AWAITED {
            let woken = std::mem::take(&mut *lock(&self.waiting.load()));
            woken.into_values().for_each(Waker::wake);
        }
    }

    /// The number of a call that waits for the first set.
    pub fn await_set(&self) -> u64 {
        self.last_number.fetch_add(1, Relaxed) + 1
    }

    /// Wakes `waker` when there is a first set; at once when there is one.
    pub fn wake_when_known(&self, number: u64, waker: Waker) {
        let waiting = self.waiting.load();
        let mut waiting = lock(&waiting);
        if self.is_awaited() {
            waiting.insert(number, waker);
        } else {
            drop(waiting);
            waker.wake();
        }
    }

    /// It waits no longer.
    pub fn leave(&self, number: u64) {
        lock(&self.waiting.load()).remove(&number);
    }

    fn replace(&self, shared: &Shared, endpoints: Vec<Endpoint>) -> Changed {
        let changing = self.changing.load();
        let _changing = lock(&changing);
        let present = self.set.load_full();
        // Nobody is new among the first.
        let joined = if present.members.is_empty() { 0 } else { clock::now() };
        let mut last_generation = self.last_generation.load(Relaxed);
        let (set, changed) = present.next(endpoints, shared, &mut last_generation, self.turn.load(Acquire), joined);
        self.last_generation.store(last_generation, Relaxed);
        let version = set.version;
        self.set.store(Arc::new(set));
        self.version.store(version, SeqCst);
        changed
    }

    /// C4: other settings hold.
    pub fn obey(&self, before: &Shared, shared: &Shared) -> Changed {
        let beside = |shared: &Shared| (shared.discovery.clone(), shared.health_check.clone(), shared.tls.clone());
        if beside(before) != beside(shared) {
            self.tasks.stop();
        }
        if before.endpoints != shared.endpoints || before.discovery != shared.discovery {
            // E4: what is known stays until something else is found.
            let is_found = shared.endpoints.is_empty() && shared.discovery.is_some();
            return if is_found && self.mode.load(Acquire) == KNOWN {
                Changed::default()
            } else {
                self.begin_with(shared)
            };
        }
        if before.balance != shared.balance || before.zone != shared.zone {
            let present = self.set.load_full().members.iter().map(|member| member.endpoint.clone()).collect();
            return self.replace(shared, present);
        }
        Changed::default()
    }

    /// F3: in a forked child nothing is in flight, nobody waits, and nobody looks.
    pub fn begin_anew(&self) {
        self.changing.store(Arc::default());
        self.waiting.store(Arc::default());
        self.set.load().all().for_each(|member| member.block.begin_anew());
        self.tasks.begin_anew();
    }

    /// The endpoint at that place.
    pub fn at(&self, place: Place) -> Option<Endpoint> {
        self.with(place, |member| member.endpoint.clone())
    }

    #[inline]
    pub fn with<T>(&self, place: Place, look: impl FnOnce(&Member) -> T) -> Option<T> {
        if place.is_none() { None } else { self.set.load().at(place).map(look) }
    }

    /// Those that hold now.
    pub fn set(&self) -> Arc<Set> {
        self.set.load_full()
    }

    /// E4: whether nobody knows that they are still there.
    pub fn is_stale(&self) -> bool {
        self.set.load().is_stale.load(Relaxed)
    }

    fn is_calm(&self) -> bool {
        self.calm.load(Acquire) == self.troubles.load(Acquire)
    }

    /// Whoever chooses next looks whether all are well.
    pub fn trouble(&self) {
        self.troubles.fetch_add(1, AcqRel);
    }

    /// An attempt goes nowhere any more, and nothing was learned.
    pub fn let_go(&self, place: Place) {
        self.with(place, |member| member.block.end());
    }

    /// H1: an attempt that lost had run so long already.
    pub fn raise(&self, place: Place, ran: Nanos, now: Nanos) {
        self.with(place, |member| member.block.hot.ewma.raise(ran, now));
    }
}

impl State {
    /// O2: where an attempt goes that begins now, of a call that has tried those endpoints (E2).
    pub(crate) fn choose(&self, shared: &Shared, tried: u64, key: u64, now: Nanos) -> Choice {
        let endpoints = &self.endpoints;
        let panic = shared.outlier.unwrap_or_default().panic;
        let mut choices = 0;
        loop {
            let set = endpoints.set.load();
            let is_calm = endpoints.is_calm() || self.look_around(&set, now);
            let Shared { balance, slow_start, .. } = *shared;
            let wish = Wish { balance, slow_start, panic, is_calm, tried, key, now };
            let Some(at) = pick(&set, &wish, &endpoints.turn, || self.random()) else { return Choice::Nowhere };
            let member = &set.members[at];
            member.block.begin();
            choices += 1;
            // Counted first, then looked; who changes the set tells so first, then counts. One of the two sees the other. Among so
            // many changes, any choice is as good.
            if endpoints.version.load(SeqCst) == set.version || choices == CHOICES {
                return Choice::There(member.place);
            }
            member.block.end();
        }
    }

    /// E3: brings those back whose time is over. Whether all are well.
    #[cold]
    fn look_around(&self, set: &Set, now: Nanos) -> bool {
        let troubles = self.endpoints.troubles.load(Acquire);
        let mut is_calm = true;
        for member in &set.members {
            if outlier::bring_back(&member.block, now) {
                self.tell_of(member, "back", None);
            }
            is_calm &= member.block.is_well();
        }
        if is_calm {
            self.endpoints.calm.store(troubles, Release);
        }
        is_calm
    }

    /// E3: an attempt that went there has ended so.
    pub(crate) fn went(&self, shared: &Shared, place: Place, outcome: Outcome, started: Nanos, now: Nanos) {
        let set = self.endpoints.set.load();
        let Some(member) = set.at(place) else { return };
        let took = now.saturating_sub(started);
        member.block.end();
        match outcome {
            Outcome::Ok => member.block.hot.ewma.count(took, now),
            Outcome::Retry | Outcome::Fail | Outcome::Timeout | Outcome::Deferred | Outcome::Overdue => {
                member.block.hot.ewma.raise(took, now)
            }
            Outcome::Cancelled => {}
        }
        let Some(outlier) = &shared.outlier else { return };
        if outlier::is_to_be_ejected(outlier, &member.block, outcome, started) {
            self.eject(outlier, member, now);
        }
    }

    #[cold]
    fn eject(&self, outlier: &Outlier, member: &Member, now: Nanos) {
        let changing = self.endpoints.changing.load();
        let changing = lock(&changing);
        let set = self.endpoints.set.load();
        let is_left_out = |one: &&Member| one.block.condition(now) == Condition::Ejected;
        let is_there = set.at(member.place).is_some();
        let left_out = set.members.iter().filter(is_left_out).count();
        if !is_there || is_left_out(&member) || left_out >= outlier::most(outlier, set.members.len()) {
            return;
        }
        let length = outlier::eject(outlier, &member.block.health, now);
        self.endpoints.trouble();
        drop(changing);
        self.tell_of(member, "ejected", Some(length));
    }

    /// What active checks say of an endpoint has changed.
    pub(crate) fn judge(&self, member: &Member, is_healthy: bool, now: Nanos) {
        if is_healthy {
            member.block.health.since.store(now, Relaxed);
            member.block.health.failures_in_a_row.store(0, Relaxed);
        }
        member.block.health.is_unhealthy.store(!is_healthy, Release);
        self.endpoints.trouble();
        self.tell_of(member, if is_healthy { "healthy" } else { "unhealthy" }, None);
    }

    fn tell_of(&self, member: &Member, to: &'static str, ejected_for: Option<Nanos>) {
        self.tell(Endpoints::level_of(to), || Event::Endpoint {
            address: member.endpoint.as_str().into(),
            to,
            ejected_for,
        });
    }

    /// E4: these are the endpoints from now on.
    pub(crate) fn set_endpoints(&self, shared: &Shared, found: Vec<Endpoint>) {
        let was_stale = self.endpoints.set.load().is_stale.load(Relaxed);
        let is_same = {
            let set = self.endpoints.set.load();
            self.endpoints.mode.load(Acquire) == KNOWN && set.members.iter().map(|member| &member.endpoint).eq(&found)
        };
        let changed = if is_same { Changed::default() } else { self.endpoints.replace(shared, found) };
        if is_same {
            self.endpoints.set.load().is_stale.store(false, Relaxed);
        }
        self.endpoints.set_mode(KNOWN);
        if was_stale || changed != Changed::default() {
            self.tell_of_endpoints(changed, None);
        }
    }

    /// E4: a look for endpoints went wrong; the last good ones stay.
    #[cfg(feature = "http")]
    pub(crate) fn keep_endpoints(&self, why: String) {
        let set = self.endpoints.set.load();
        if !set.is_stale.swap(true, Relaxed) {
            self.tell_of_endpoints(Changed::default(), Some(why));
        }
    }

    pub(crate) fn tell_of_endpoints(&self, changed: Changed, stale: Option<String>) {
        let level = if stale.is_some() { Level::WARN } else { Level::INFO };
        let Changed { added, removed } = changed;
        self.tell(level, || Event::Endpoints { added, removed, stale });
        self.listeners.hear(self.name());
    }
}

impl Endpoints {
    fn level_of(to: &str) -> Level {
        if matches!(to, "ejected" | "unhealthy") { Level::WARN } else { Level::INFO }
    }

    /// Each endpoint and how it is, as a JSON array; `null` when the target itself is the one.
    pub fn to_json(&self, now: Nanos) -> String {
        if !self.is_on() {
            return "null".into();
        }
        let set = self.set.load();
        let is_stale = set.is_stale.load(Relaxed);
        let mut json = String::from("[");
        for member in &set.members {
            let (endpoint, block) = (&member.endpoint, &member.block);
            let condition = block.condition(now);
            let ejected_for = match condition {
                Condition::Ejected => (block.health.ejected_until.load(Relaxed).saturating_sub(now)).to_string(),
                _ => "null".into(),
            };
            let ewma = match block.hot.ewma.get(now) {
                0.0 => "null".into(),
                average => (average as u64).to_string(),
            };
            let _ = write!(
                json,
                concat!(
                    r#"{}{{"address":{},"zone":{},"weight":{},"state":"{}","in_flight":{},"ewma_ns":{},"#,
                    r#""consecutive_failures":{},"ejected_for_ns":{},"times_ejected":{},"stale":{}}}"#
                ),
                if json.len() > 1 { "," } else { "" },
                quoted(endpoint.as_str()),
                endpoint.its_zone().map_or("null".into(), quoted),
                endpoint.its_weight(),
                condition.as_str(),
                block.in_flight(),
                ewma,
                block.health.failures_in_a_row.load(Relaxed),
                ejected_for,
                block.health.ejections.load(Relaxed),
                is_stale,
            );
        }
        json + "]"
    }
}
