//! Counts over a sliding window: ten buckets, each one word, so that many threads count without a lock and nothing is counted
//! twice or lost. A bucket of an earlier time, or of an earlier generation, is overwritten by the first who needs its place.
//!
//! An event at t leaves the window when the tenth bucket after its own begins: never later than t + window. Keys are short, so
//! what is old is cleared before its key could come round again: when the window was idle for longer than itself, and when its
//! owner begins a new generation.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};

use crate::clock::Nanos;
use crate::sync::AtomicU64;

/// How many buckets a window has.
pub(crate) const BUCKETS: u64 = 10;

// A word is generation | epoch | first count | second count.
const COUNT_BITS: u32 = 18;
const COUNT_MAX: u64 = (1 << COUNT_BITS) - 1;
const EPOCH_BITS: u32 = 20;
const EPOCH_MASK: u64 = (1 << EPOCH_BITS) - 1;
const GENERATION_BITS: u32 = 8;
const GENERATION_MASK: u64 = (1 << GENERATION_BITS) - 1;

/// Two counts that go together: outcomes and failures, deposits and withdrawals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub first: u64,
    pub second: u64,
}

/// When and in which generation something is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct At {
    generation: u64,
    epoch: u64,
}

impl At {
    /// The instant's bucket of a window of that length.
    pub fn new(generation: u32, window: Nanos, now: Nanos) -> At {
        At { generation: u64::from(generation), epoch: now / (window / BUCKETS).max(1) }
    }

    /// The bucket's number since the beginning of the clock.
    pub fn epoch(self) -> u64 {
        self.epoch
    }

    fn key(self) -> u64 {
        (self.generation & GENERATION_MASK) << EPOCH_BITS | self.epoch & EPOCH_MASK
    }

    /// Whether what a bucket at that place holds under that key is within the window.
    fn covers(self, place: u64, key: u64) -> bool {
        let age = self.epoch.wrapping_sub(key) & EPOCH_MASK;
        key >> EPOCH_BITS == self.generation & GENERATION_MASK
            && age < BUCKETS
            && self.epoch.wrapping_sub(age) % BUCKETS == place
    }

    /// Whether a bucket of that key, at the place of this one, must not be overwritten: somebody quicker has moved on to the next
    /// round, or to one of the next generations. Anything else is old, however far its key has come round.
    fn is_before(self, key: u64) -> bool {
        let generations = (key >> EPOCH_BITS).wrapping_sub(self.generation) & GENERATION_MASK;
        let epochs = key.wrapping_sub(self.epoch) & EPOCH_MASK;
        if generations == 0 { epochs == BUCKETS } else { generations <= 4 }
    }
}

/// The cells of one window.
#[derive(Debug)]
pub(crate) struct Window {
    buckets: [AtomicU64; BUCKETS as usize],
    /// The latest epoch, whole, in which something was counted.
    latest: AtomicU64,
}

impl Default for Window {
    fn default() -> Window {
        Window { buckets: std::array::from_fn(|_| AtomicU64::new(0)), latest: AtomicU64::new(0) }
    }
}

impl Window {
    /// Counts one of each kind that is asked for. Does nothing when the window has moved on past that instant.
    #[inline]
    pub fn add(&self, at: At, first: bool, second: bool) {
        self.change(at, |counts| {
            // Full: both are halved, so that their ratio stays.
            if counts.first == COUNT_MAX || counts.second == COUNT_MAX {
                counts.first /= 2;
                counts.second /= 2;
            }
            counts.first += u64::from(first);
            counts.second += u64::from(second);
        });
    }

    /// Takes one of the second kind back, if its bucket is still there.
    pub fn take_back(&self, at: At) {
        self.change(at, |counts| counts.second = counts.second.saturating_sub(1));
    }

    #[inline]
    fn change(&self, at: At, change: impl Fn(&mut Counts)) {
        let latest = self.latest.load(Acquire);
        if at.epoch > latest {
            self.move_on(latest, at);
        }
        let bucket = &self.buckets[(at.epoch % BUCKETS) as usize];
        let mut word = bucket.load(Acquire);
        loop {
            let key = word >> (2 * COUNT_BITS);
            let mut counts = if key == at.key() {
                unpack(word)
            } else if at.is_before(key) && word != 0 {
                return;
            } else {
                Counts::default()
            };
            change(&mut counts);
            let changed = at.key() << (2 * COUNT_BITS) | counts.first << COUNT_BITS | counts.second;
            match bucket.compare_exchange_weak(word, changed, AcqRel, Acquire) {
                Ok(_) => return,
                Err(present) => word = present,
            }
        }
    }

    /// The first event of a later epoch. What was idle for longer than the window is cleared by the one who finds it so.
    #[cold]
    fn move_on(&self, latest: u64, at: At) {
        if at.epoch - latest < BUCKETS {
            self.latest.fetch_max(at.epoch, AcqRel);
        } else if self.latest.compare_exchange(latest, at.epoch, AcqRel, Acquire).is_ok() {
            self.clear(|key| key == at.key());
        }
    }

    /// Empties all buckets but those whose key is to stay.
    fn clear(&self, stays: impl Fn(u64) -> bool) {
        for bucket in &self.buckets {
            let _ = bucket.fetch_update(AcqRel, Acquire, |word| (!stays(word >> (2 * COUNT_BITS))).then_some(0));
        }
    }

    /// A generation has begun: whatever other ones have left is cleared.
    pub fn begin(&self, generation: u32) {
        self.clear(|key| key >> EPOCH_BITS == u64::from(generation) & GENERATION_MASK);
    }

    /// Empty, as at the beginning.
    pub fn forget(&self) {
        self.latest.store(0, Release);
        self.clear(|_| false);
    }

    /// What the window holds at that instant.
    #[inline]
    pub fn sum(&self, at: At) -> Counts {
        let mut sum = Counts::default();
        if at.epoch >= self.latest.load(Acquire).saturating_add(BUCKETS) {
            return sum;
        }
        for (place, bucket) in (0..).zip(&self.buckets) {
            let word = bucket.load(Acquire);
            if at.covers(place, word >> (2 * COUNT_BITS)) {
                let counts = unpack(word);
                sum.first += counts.first;
                sum.second += counts.second;
            }
        }
        sum
    }
}

const fn unpack(word: u64) -> Counts {
    Counts { first: word >> COUNT_BITS & COUNT_MAX, second: word & COUNT_MAX }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;
    use crate::clock::SECOND;

    const WINDOW: Nanos = 30 * SECOND;
    const T0: Nanos = 3000 * SECOND;

    fn sum(window: &Window, generation: u32, now: Nanos) -> (u64, u64) {
        let Counts { first, second } = window.sum(At::new(generation, WINDOW, now));
        (first, second)
    }

    #[test]
    fn what_is_counted_stays_for_the_window_and_leaves_at_its_end() {
        let window = Window::default();
        window.add(At::new(1, WINDOW, T0), true, true);
        window.add(At::new(1, WINDOW, T0 + 3 * SECOND), true, false);
        assert_eq!(sum(&window, 1, T0 + 3 * SECOND), (2, 1));
        assert_eq!(sum(&window, 1, T0 + 30 * SECOND - 1), (2, 1));
        assert_eq!(sum(&window, 1, T0 + 30 * SECOND), (1, 0));
        assert_eq!(sum(&window, 1, T0 + 33 * SECOND), (0, 0));
    }

    #[test]
    fn a_window_idle_for_longer_than_itself_is_empty_and_starts_anew() {
        let window = Window::default();
        for bucket in 0..10 {
            window.add(At::new(1, WINDOW, T0 + bucket * 3 * SECOND), true, true);
        }
        let later = T0 + 1000 * SECOND;
        assert_eq!(sum(&window, 1, later), (0, 0));
        window.add(At::new(1, WINDOW, later), true, false);
        assert_eq!(sum(&window, 1, later), (1, 0));
    }

    #[test]
    fn another_generation_sees_nothing_and_cannot_be_disturbed_by_an_earlier_one() {
        let window = Window::default();
        window.add(At::new(1, WINDOW, T0), true, true);
        assert_eq!(sum(&window, 2, T0), (0, 0));
        window.add(At::new(2, WINDOW, T0), true, false);
        window.add(At::new(1, WINDOW, T0), true, true);
        assert_eq!((sum(&window, 2, T0), sum(&window, 1, T0)), ((1, 0), (0, 0)));
    }

    #[test]
    fn who_comes_late_to_a_bucket_that_moved_on_is_not_counted() {
        let window = Window::default();
        window.add(At::new(1, WINDOW, T0 + 30 * SECOND), true, false);
        window.add(At::new(1, WINDOW, T0), true, true);
        assert_eq!(sum(&window, 1, T0 + 30 * SECOND), (1, 0));
    }

    #[test]
    fn a_full_bucket_keeps_its_ratio() {
        let window = Window::default();
        for n in 0..600_000 {
            window.add(At::new(1, WINDOW, T0), true, n % 4 == 0);
        }
        let (all, some) = sum(&window, 1, T0);
        assert!(all > COUNT_MAX / 2 && (some as f64 / all as f64 - 0.25).abs() < 1e-4, "{some} of {all}");
    }

    #[test]
    fn what_is_taken_back_is_gone_unless_its_bucket_is() {
        let window = Window::default();
        let at = At::new(1, WINDOW, T0);
        window.add(at, false, true);
        window.take_back(at);
        window.take_back(at);
        assert_eq!(sum(&window, 1, T0), (0, 0));
        window.add(At::new(1, WINDOW, T0 + 30 * SECOND), false, true);
        window.take_back(at);
        assert_eq!(sum(&window, 1, T0 + 30 * SECOND), (0, 1));
    }

    #[test]
    fn a_bucket_that_was_not_used_for_however_long_is_used_again() {
        for idle in [10, 1 << 19, (1 << 19) + 10, (1 << 20) - 10, 1 << 20, (1 << 20) + 10, 5 << 20] {
            let window = Window::default();
            // Kept awake at one place, so that the others grow old without the window being idle.
            window.add(At::new(1, WINDOW, T0), true, true);
            let later = T0 + idle * 3 * SECOND;
            let awake = later - 5 * 3 * SECOND;
            window.add(At::new(1, WINDOW, awake), true, true);
            assert_eq!(sum(&window, 1, later), (1, 1), "{idle} buckets later");
            window.add(At::new(1, WINDOW, later), true, false);
            assert_eq!(sum(&window, 1, later), (2, 1), "{idle} buckets later");
        }
    }

    #[test]
    fn a_generation_that_comes_round_again_finds_nothing_of_the_first() {
        let window = Window::default();
        window.add(At::new(1, WINDOW, T0), true, true);
        window.begin(2);
        assert_eq!(sum(&window, 1 + 256, T0), (0, 0));
        for generation in [130, 255, 256, 257] {
            window.begin(generation);
            window.add(At::new(generation, WINDOW, T0), true, false);
            assert_eq!(sum(&window, generation, T0), (1, 0), "{generation}");
        }
    }

    #[test]
    fn many_threads_count_exactly() {
        let window = Window::default();
        std::thread::scope(|scope| {
            for thread in 0..8u64 {
                let window = &window;
                scope.spawn(move || {
                    for n in 0..10_000 {
                        window.add(At::new(1, WINDOW, T0 + (n % 10) * 3 * SECOND), true, thread % 2 == 0);
                    }
                });
            }
        });
        assert_eq!(sum(&window, 1, T0 + 27 * SECOND), (80_000, 40_000));
    }
}
