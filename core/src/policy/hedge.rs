//! Hedging: a second attempt begins while the first still runs, and the first success wins (H1). For a target whose answers
//! are quick as a rule and slow now and then, as in Dean and Barroso, "The tail at scale" (Communications of the ACM, 2013).
//!
//! Two attempts run at once, so only what may safely be done twice is hedged: whoever asks for it says `idempotent` as well.
//! What runs at the same time is kept here while it does; a call that is not hedged has none of it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::balance::Place;
use crate::call::Outcome;
use crate::clock::{Nanos, nanos, spell};
use crate::policy::breaker::Permit;

/// When another attempt begins beside those that run, and how many.
///
/// ```
/// use std::time::Duration;
/// use ambassador_core::{After, Hedge};
///
/// let early = Hedge::after(Duration::from_millis(50));
/// let tail = Hedge { after: After::Quantile(99), ..early };
/// assert_eq!((early.max, tail.after.to_string().as_str()), (1, "p99"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hedge {
    /// How long the newest attempt has run when another one begins.
    pub after: After,
    /// How many may begin beside an attempt, 1 to 3; default 1. They count as attempts (C1).
    pub max: u32,
}

/// How long the newest attempt has run when another one begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// So long.
    Fixed(Nanos),
    /// Longer than that share of the target's attempts take, in hundredths: `Quantile(95)` is `p95`. Not before 20 attempts
    /// of the last minute are known.
    Quantile(u8),
}

impl After {
    /// The quantiles that may be asked for.
    pub const QUANTILES: [u8; 4] = [50, 90, 95, 99];

    /// The quantile of that name: `p95`.
    pub fn quantile(name: &str) -> Option<After> {
        After::QUANTILES.map(After::Quantile).into_iter().find(|after| after.to_string() == name)
    }
}

impl std::fmt::Display for After {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            After::Fixed(length) => f.write_str(&spell(*length)),
            After::Quantile(hundredths) => write!(f, "p{hundredths}"),
        }
    }
}

impl Hedge {
    /// The most that may be asked for.
    pub const MOST: u32 = 3;

    /// One more attempt, so long after the first.
    pub fn after(after: Duration) -> Hedge {
        Hedge { after: After::Fixed(nanos(after)), max: 1 }
    }

    /// One more attempt, when the first takes longer than 95 % of the target's do.
    pub fn after_p95() -> Hedge {
        Hedge { after: After::Quantile(95), max: 1 }
    }

    /// Sets how many may begin beside an attempt.
    pub fn max(self, max: u32) -> Hedge {
        Hedge { max, ..self }
    }
}

/// One of the attempts that run at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Racer {
    pub number: u32,
    pub started: Nanos,
    /// Its bound.
    pub until: Nanos,
    /// The breaker's leave.
    pub permit: Option<Permit>,
    /// Where it goes.
    pub place: Place,
    /// In virtual time, how it has ended: that is told when those before it have been.
    pub ended: Option<Ended>,
}

/// How an attempt ended in virtual time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub at: Nanos,
    pub outcome: Outcome,
    pub hint: Nanos,
    pub is_late: bool,
}

/// The attempts of one call that run at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Race {
    pub racers: Vec<Racer>,
    /// The longest wait that one of those that failed has asked for (R3).
    pub hint: Nanos,
}

/// The races of a target's calls, by number. Not on the way of a call that succeeds at once, nor of one that is not hedged.
#[derive(Debug, Default)]
pub(crate) struct Cells {
    /// The number given last; goes on in a forked child, so that no race there has the number of one of the parent's.
    last: AtomicU64,
    // Swapped whole in a forked child: a lock held by another thread at the fork would stay held there.
    races: ArcSwap<Mutex<HashMap<u64, Race>>>,
}

fn lock(races: &Mutex<HashMap<u64, Race>>) -> MutexGuard<'_, HashMap<u64, Race>> {
    races.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cells {
    /// A call has a race from now on, of that number; with its one attempt that runs.
    pub fn begin(&self, first: Racer) -> u64 {
        // As many as a call's words have room for.
        let number = self.last.fetch_add(1, Relaxed) % ((1 << 40) - 1) + 1;
        lock(&self.races.load()).insert(number, Race { racers: vec![first], hint: 0 });
        number
    }

    /// Looks at a race, or changes it. `None` when there is none of that number: it was the parent's of this process.
    pub fn with<T>(&self, number: u64, look: impl FnOnce(&mut Race) -> T) -> Option<T> {
        lock(&self.races.load()).get_mut(&number).map(look)
    }

    /// The race is over; what was left of it.
    pub fn end(&self, number: u64) -> Race {
        lock(&self.races.load()).remove(&number).unwrap_or_default()
    }

    /// F3: in a forked child, nothing runs.
    pub fn begin_anew(&self) {
        self.races.store(Arc::default());
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_has_a_name() {
        assert_eq!(After::quantile("p95"), Some(After::Quantile(95)));
        assert_eq!(After::quantile("p96"), None);
        assert_eq!(After::Fixed(50_000_000).to_string(), "50ms");
    }

    #[test]
    fn a_race_ends_once() {
        let cells = Cells::default();
        let first = Racer { number: 1, started: 7, until: 9, permit: None, place: Place::NONE, ended: None };
        let number = cells.begin(first);
        cells.with(number, |race| race.racers.push(Racer { number: 2, ..first }));
        assert_eq!(cells.end(number).racers.len(), 2);
        assert!(cells.end(number).racers.is_empty());
        assert!(cells.with(number, |_| ()).is_none());
    }

    #[test]
    fn a_forked_child_has_no_races() {
        let cells = Cells::default();
        let number =
            cells.begin(Racer { number: 1, started: 7, until: 9, permit: None, place: Place::NONE, ended: None });
        cells.begin_anew();
        assert!(cells.with(number, |_| ()).is_none());
        assert_ne!(
            cells.begin(Racer { number: 1, started: 7, until: 9, permit: None, place: Place::NONE, ended: None }),
            number
        );
    }
}
