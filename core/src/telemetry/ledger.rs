//! Who is seen by name, and what those counted that are gone (S2): a target's counters outlive its last proxy, and go on where they
//! stood when its name returns. How many names there are has a bound, for each is a row of everything that is exported; what lies
//! beyond goes under `other`.
//!
//! No call comes here: only the first proxy of a name, the end of its last one, and whoever looks.

use std::collections::HashMap;
use std::ops::AddAssign;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use once_cell::sync::Lazy;

use super::lengths::Lengths;
use super::totals::Totals;
use crate::target::State;

/// How many targets are seen by name. Those that come when so many are there are summed under [`OTHER`].
pub const MOST_TARGETS: usize = 200;

/// The name of all that have none of their own.
pub const OTHER: &str = "other";

#[derive(Default)]
struct Ledger {
    /// By their addresses, which nobody else has while they are here.
    live: HashMap<usize, Live>,
    /// How many states each name has that is seen: one, and while one makes room for another, two.
    names: HashMap<Box<str>, u32>,
    /// What was counted under names whose states are gone; also of names that have returned since.
    gone: HashMap<Box<str>, Gone>,
    /// What those counted that had no name here, and are gone.
    other: Counted,
    /// How many have gone so far.
    departures: u64,
}

/// A state that has proxies.
struct Live {
    state: Weak<State>,
    has_name: bool,
}

/// All that a state counts.
#[derive(Clone, Default)]
struct Counted {
    totals: Totals,
    lengths: Lengths,
}

impl Counted {
    fn of(state: &State) -> Counted {
        Counted { totals: Totals::of(state), lengths: Lengths::of(state) }
    }
}

impl AddAssign<&Counted> for Counted {
    fn add_assign(&mut self, more: &Counted) {
        self.totals += &more.totals;
        self.lengths += &more.lengths;
    }
}

struct Gone {
    counted: Counted,
    /// Which departure the last one of this name was.
    at: u64,
}

// Swapped whole in a forked child, if another thread of its parent's was here at the fork.
static LEDGER: Lazy<ArcSwap<Mutex<Ledger>>> = Lazy::new(ArcSwap::default);

fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ledger {
    fn enter(&mut self, state: &Arc<State>) {
        let has_name = self.has_room_for(state.name());
        if has_name {
            *self.names.entry(state.name().into()).or_default() += 1;
        }
        self.live.insert(Arc::as_ptr(state).addr(), Live { state: Arc::downgrade(state), has_name });
    }

    /// Whether a state of that name, which comes now, is seen by it.
    fn has_room_for(&mut self, name: &str) -> bool {
        if name == OTHER {
            return false;
        }
        if self.names.contains_key(name) || self.gone.contains_key(name) {
            return true;
        }
        let only_gone = || self.gone.iter().filter(|(name, _)| !self.names.contains_key(*name));
        if self.names.len() + only_gone().count() < MOST_TARGETS {
            return true;
        }
        // The name that was gone longest makes room, and its counts are kept with the others'.
        let oldest = only_gone().min_by_key(|(_, gone)| gone.at).map(|(name, _)| name.clone());
        let Some(gone) = oldest.and_then(|name| self.gone.remove(&name)) else { return false };
        self.other += &gone.counted;
        true
    }

    fn leave(&mut self, state: &State) {
        let Some(Live { has_name, .. }) = self.live.remove(&std::ptr::from_ref(state).addr()) else { return };
        let counted = Counted::of(state);
        if !has_name {
            self.other += &counted;
            return;
        }
        self.forget_name(state.name());
        self.departures += 1;
        let at = self.departures;
        let gone = self.gone.entry(state.name().into()).or_insert_with(|| Gone { counted: Counted::default(), at });
        gone.counted += &counted;
        gone.at = at;
    }

    fn forget_name(&mut self, name: &str) {
        match self.names.get_mut(name) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(self.names.remove(name)),
        }
    }
}

/// A state has its first proxy.
pub(crate) fn enter(state: &Arc<State>) {
    lock(&LEDGER.load()).enter(state);
}

/// Its last one is gone. Does nothing for a state that nobody shares, and that never entered.
pub(crate) fn leave(state: &State) {
    lock(&LEDGER.load()).leave(state);
}

/// F3: in a forked child there is nobody who would unlock what another thread had locked.
pub(crate) fn begin_anew() {
    let ledger = LEDGER.load();
    if matches!(ledger.try_lock(), Err(TryLockError::WouldBlock)) {
        LEDGER.store(Arc::default());
        State::all().iter().for_each(enter);
    }
}

/// A name, with all that was ever counted under it.
pub(crate) struct Row {
    pub name: Box<str>,
    /// `None` when its last proxy is gone.
    pub state: Option<Arc<State>>,
    pub totals: Totals,
    /// How long things took under this name of those that are gone.
    lengths_before: Lengths,
}

impl Row {
    /// Of whom is gone.
    fn new(name: &str, Counted { totals, lengths }: Counted) -> Row {
        Row { name: name.into(), state: None, totals, lengths_before: lengths }
    }

    /// How long things took under this name.
    pub fn lengths(&self) -> Lengths {
        with_present(&self.lengths_before, self.state.iter())
    }
}

/// How long things took of those that are gone, and of these.
fn with_present<'s>(before: &Lengths, states: impl Iterator<Item = &'s Arc<State>>) -> Lengths {
    let mut lengths = before.clone();
    states.for_each(|state| lengths += &Lengths::of(state));
    lengths
}

/// All that have no row of their own.
pub(crate) struct Others {
    pub states: Vec<Arc<State>>,
    pub totals: Totals,
    lengths_before: Lengths,
}

impl Others {
    pub fn lengths(&self) -> Lengths {
        with_present(&self.lengths_before, self.states.iter())
    }

    /// Whether there was never one.
    pub fn are_none(&self) -> bool {
        self.states.is_empty() && self.totals == Totals::default()
    }
}

/// Every name in order, and what is under none of them. A count that is read here is never less than it was.
pub(crate) fn read() -> (Vec<Row>, Others) {
    let (live, gone, Counted { totals, lengths }) = look();
    let gone = gone.into_iter().map(|(name, counted)| {
        let row = Row::new(&name, counted);
        (name, row)
    });
    let mut rows: HashMap<Box<str>, Row> = gone.collect();
    let mut others = Others { states: Vec::new(), totals, lengths_before: lengths };
    for (state, has_name) in live {
        let totals = Totals::of(&state);
        if has_name {
            let name = state.name();
            let row = rows.entry(name.into()).or_insert_with(|| Row::new(name, Counted::default()));
            row.totals += &totals;
            row.state = Some(state);
        } else {
            others.totals += &totals;
            others.states.push(state);
        }
    }
    let mut rows: Vec<Row> = rows.into_values().collect();
    rows.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    (rows, others)
}

type Looked = (Vec<(Arc<State>, bool)>, Vec<(Box<str>, Counted)>, Counted);

/// Who is there, and who is gone: nobody is missing between the two.
fn look() -> Looked {
    let ledger = LEDGER.load_full();
    let mut patience = 100;
    loop {
        // Outlives the lock: the last user of a state may be this one, and its end comes here too.
        let mut live = Vec::new();
        let mut ledger = lock(&ledger);
        let mut is_leaving = false;
        // Without one that never arrives, for it was left by a thread of the parent's, at a fork.
        ledger.live.retain(|_, one| match one.state.upgrade() {
            Some(state) => {
                live.push((state, one.has_name));
                true
            }
            // Its last user is on the way to `leave`.
            None => {
                is_leaving = true;
                patience > 0
            }
        });
        if !is_leaving || patience == 0 {
            let gone = ledger.gone.iter().map(|(name, gone)| (name.clone(), gone.counted.clone())).collect();
            return (live, gone, ledger.other.clone());
        }
        drop(ledger);
        patience -= 1;
        thread::sleep(Duration::from_micros(100));
    }
}
