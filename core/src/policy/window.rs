//! Counts over a sliding window: ten buckets, each one word, so that many threads count without a lock and nothing is counted
//! twice or lost. A bucket of an earlier time, or of an earlier generation, is overwritten by the first who needs its place.
//!
//! An event at t leaves the window at the end of the tenth bucket after its own: never later than t + window.

use std::sync::atomic::Ordering::{AcqRel, Acquire};

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

    fn key(self) -> u64 {
        (self.generation & GENERATION_MASK) << EPOCH_BITS | self.epoch & EPOCH_MASK
    }

    /// How many buckets that key lies before this one; `None` when it is of another generation, of the future, or of no window.
    fn age_of(self, key: u64) -> Option<u64> {
        let age = self.epoch.wrapping_sub(key) & EPOCH_MASK;
        (key >> EPOCH_BITS == self.generation & GENERATION_MASK && age < BUCKETS).then_some(age)
    }

    /// Whether a bucket of that key must not be overwritten: it is of a later generation or time.
    fn is_before(self, key: u64) -> bool {
        let generation = (key >> EPOCH_BITS).wrapping_sub(self.generation) & GENERATION_MASK;
        if generation != 0 {
            return generation <= GENERATION_MASK / 2;
        }
        let epochs = key.wrapping_sub(self.epoch) & EPOCH_MASK;
        epochs != 0 && epochs <= EPOCH_MASK / 2
    }
}

/// The cells of one window.
#[derive(Debug)]
pub(crate) struct Window([AtomicU64; BUCKETS as usize]);

impl Default for Window {
    fn default() -> Window {
        Window(std::array::from_fn(|_| AtomicU64::new(0)))
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
        let bucket = &self.0[(at.epoch % BUCKETS) as usize];
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

    /// What the window holds at that instant.
    #[inline]
    pub fn sum(&self, at: At) -> Counts {
        let mut sum = Counts::default();
        for bucket in &self.0 {
            let word = bucket.load(Acquire);
            if at.age_of(word >> (2 * COUNT_BITS)).is_some() {
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
