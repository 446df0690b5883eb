//! One endpoint among those of a target, and its block: what is known of it while calls run. The block is the endpoint's for as
//! long as it is among them, however often the set changes, and beyond that until the last attempt at it has ended.

use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, SeqCst},
};

use super::ewma::PeakEwma;
use crate::clock::Nanos;
use crate::endpoint::Endpoint;

/// Which endpoint an attempt goes to: its slot, and above that the generation in which it was put there; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place(u64);

impl Place {
    pub const NONE: Place = Place(0);

    pub const fn new(slot: u32, generation: u32) -> Place {
        Place((generation as u64) << 32 | slot as u64)
    }

    #[inline]
    pub const fn from_word(word: u64) -> Place {
        Place(word)
    }

    #[inline]
    pub const fn to_word(self) -> u64 {
        self.0
    }

    #[inline]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    pub const fn slot(self) -> usize {
        self.0 as u32 as usize
    }

    /// Its bit in the mask of those that a call has tried (E2). 64 slots have one of their own.
    pub const fn bit(self) -> u64 {
        1 << (self.slot() % 64)
    }
}

/// An endpoint with its place and its block.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub endpoint: Endpoint,
    pub place: Place,
    /// Its weight, in units of the greatest that all weights are multiples of.
    pub units: u64,
    /// Whether it stands in the zone of this process.
    pub is_near: bool,
    pub block: Arc<Block>,
}

/// What is known of an endpoint.
#[derive(Debug, Default)]
pub(crate) struct Block {
    /// What each attempt writes.
    pub hot: Hot,
    /// What as a rule is only read.
    pub health: Health,
}

/// On cache lines of its own: what is read of every endpoint at every choice is beside it.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Hot {
    in_flight: AtomicU32,
    pub ewma: PeakEwma,
    /// Where it stands among those that come one after the other.
    pub pass: AtomicU64,
}

/// Whether it is well.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Health {
    pub failures_in_a_row: AtomicU32,
    /// Until when it is left out (E3); 0 when it is not.
    pub ejected_until: AtomicU64,
    /// Since when it is among those that are chosen, where that matters: added later than the first, back, or healthy again.
    pub since: AtomicU64,
    /// How often it was left out, less what is forgiven.
    pub streak: AtomicU32,
    /// How often it was left out in all.
    pub ejections: AtomicU64,
    /// What the active checks say.
    pub is_unhealthy: AtomicBool,
    /// How many checks in a row have said otherwise.
    pub checks_in_a_row: AtomicU32,
}

/// How an endpoint is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    Healthy,
    Ejected,
    Unhealthy,
}

impl Condition {
    pub const ALL: [Condition; 3] = [Condition::Healthy, Condition::Ejected, Condition::Unhealthy];

    pub const fn as_str(self) -> &'static str {
        match self {
            Condition::Healthy => "healthy",
            Condition::Ejected => "ejected",
            Condition::Unhealthy => "unhealthy",
        }
    }
}

/// The least share of its weight that an endpoint has which starts slowly, in 1024ths.
const LEAST: u64 = 102;

/// A unit of weight, in the 1024ths that choices are made by.
pub(crate) const UNIT: u64 = 1024;

impl Block {
    pub fn in_flight(&self) -> u32 {
        self.hot.in_flight.load(SeqCst)
    }

    /// An attempt goes to it …
    pub fn begin(&self) {
        self.hot.in_flight.fetch_add(1, SeqCst);
    }

    /// … and has ended. In a forked child, the parent's were forgotten.
    pub fn end(&self) {
        let _ = self.hot.in_flight.fetch_update(SeqCst, SeqCst, |count| count.checked_sub(1));
    }

    /// F3: what is in flight is the parent's.
    pub fn begin_anew(&self) {
        self.hot.in_flight.store(0, SeqCst);
    }

    /// How it is, of one whose ejection was [looked at](super::outlier::bring_back) at this choice.
    #[inline]
    pub fn is_well(&self) -> bool {
        self.health.ejected_until.load(Acquire) == 0 && !self.health.is_unhealthy.load(Relaxed)
    }

    pub fn condition(&self, now: Nanos) -> Condition {
        if self.health.is_unhealthy.load(Relaxed) {
            Condition::Unhealthy
        } else if self.health.ejected_until.load(Acquire) > now {
            Condition::Ejected
        } else {
            Condition::Healthy
        }
    }

    /// What share of its weight it has while it starts slowly, in 1024ths.
    pub fn ramp(&self, slow_start: Option<Nanos>, now: Nanos) -> u64 {
        let (Some(length), since) = (slow_start, self.health.since.load(Relaxed)) else { return UNIT };
        let passed = now.saturating_sub(since);
        if since == 0 || passed >= length {
            return UNIT;
        }
        ((u128::from(passed) * u128::from(UNIT) / u128::from(length)) as u64).clamp(LEAST, UNIT)
    }
}

impl Member {
    /// Its weight at present, in 1024ths of a unit.
    pub fn weight(&self, slow_start: Option<Nanos>, now: Nanos) -> u64 {
        self.units * self.block.ramp(slow_start, now)
    }
}

/// A stride of one who has the weight 1 in 1024ths: far above the largest weight, and far below where a word comes round.
pub(crate) const STRIDE: u64 = 1 << 42;

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;
    use crate::clock::SECOND;

    #[test]
    fn who_starts_slowly_has_a_tenth_of_its_weight_and_then_more_and_more() {
        let block = Block::default();
        block.health.since.store(100 * SECOND, Relaxed);
        let at = |seconds: Nanos| block.ramp(Some(10 * SECOND), (100 + seconds) * SECOND);
        assert_eq!([at(0), at(5), at(10), at(99)], [LEAST, UNIT / 2, UNIT, UNIT]);
        assert_eq!(block.ramp(None, 100 * SECOND), UNIT);
    }

    #[test]
    fn what_is_in_flight_never_falls_below_none() {
        let block = Block::default();
        block.begin();
        block.begin_anew();
        block.end();
        assert_eq!(block.in_flight(), 0);
    }
}
