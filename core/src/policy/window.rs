//! Counts over a sliding window: ten buckets, each one word, so that many threads count without a lock and nothing is counted
//! twice or lost. A bucket of an earlier time, or of an earlier generation, is overwritten by the first who needs its place.
//!
//! An event at t leaves the window when the tenth bucket after its own begins: never later than t + window. Keys are short, so
//! what is old is cleared before its key could come round again: when the window was idle for longer than itself, and when its
//! owner begins a new generation.
//!
//! Who counts in one window and then sums up another sees what was counted there, or is seen by who counted it: all accesses
//! are `SeqCst`, which costs a reader nothing.

use std::sync::atomic::Ordering::SeqCst;

use crate::clock::Nanos;
use crate::stripes::Striped;
use crate::sync::AtomicU64;

/// How many buckets a window has. Under loom two, or its models would not come to an end.
pub(crate) const BUCKETS: u64 = if cfg!(feature = "loom") { 2 } else { 10 };

// A word is generation | epoch | count.
const COUNT_BITS: u32 = 36;
const COUNT_MAX: u64 = (1 << COUNT_BITS) - 1;
const EPOCH_BITS: u32 = 20;
const EPOCH_MASK: u64 = (1 << EPOCH_BITS) - 1;
const GENERATION_BITS: u32 = 8;
const GENERATION_MASK: u64 = (1 << GENERATION_BITS) - 1;

/// When and in which generation something is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct At {
    generation: u64,
    epoch: u64,
}

impl At {
    /// The instant's bucket of a window of that length.
    #[inline]
    pub fn new(generation: u32, window: Nanos, now: Nanos) -> At {
        At { generation: u64::from(generation), epoch: now / (window / BUCKETS).max(1) }
    }

    #[inline]
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
    #[inline]
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
    /// The first epoch, whole, in which nothing of what was counted so far is within the window any more; 0 when nothing was.
    idle_from: AtomicU64,
}

impl Default for Window {
    fn default() -> Window {
        Window { buckets: std::array::from_fn(|_| AtomicU64::new(0)), idle_from: AtomicU64::new(0) }
    }
}

impl Window {
    /// Counts one. Does nothing when the window has moved on past that instant.
    #[inline]
    pub fn add(&self, at: At) {
        self.change(at, |count| (count + 1).min(COUNT_MAX));
    }

    /// Takes one back, if its bucket is still there.
    pub fn take_back(&self, at: At) {
        let bucket = &self.buckets[(at.epoch % BUCKETS) as usize];
        let _ = bucket.fetch_update(SeqCst, SeqCst, |word| {
            (word >> COUNT_BITS == at.key() && word & COUNT_MAX > 0).then(|| word - 1)
        });
    }

    #[inline]
    fn change(&self, at: At, change: impl Fn(u64) -> u64) {
        let idle_from = self.idle_from.load(SeqCst);
        if at.epoch.saturating_add(BUCKETS) > idle_from {
            self.move_on(idle_from, at);
        }
        let bucket = &self.buckets[(at.epoch % BUCKETS) as usize];
        let mut word = bucket.load(SeqCst);
        loop {
            let key = word >> COUNT_BITS;
            let count = if key == at.key() {
                word & COUNT_MAX
            } else if at.is_before(key) && word != 0 {
                return;
            } else {
                0
            };
            let changed = at.key() << COUNT_BITS | change(count);
            match bucket.compare_exchange_weak(word, changed, SeqCst, SeqCst) {
                Ok(_) => return,
                Err(present) => word = present,
            }
        }
    }

    /// The first event of a later epoch. What was idle for longer than the window is cleared by the one who finds it so.
    #[cold]
    fn move_on(&self, idle_from: u64, at: At) {
        let later = at.epoch.saturating_add(BUCKETS);
        if at.epoch < idle_from {
            self.idle_from.fetch_max(later, SeqCst);
        } else if self.idle_from.compare_exchange(idle_from, later, SeqCst, SeqCst).is_ok() {
            // Only this bucket stays, lest a key that has come round does; what another counts at this moment in a later one may be
            // lost with it.
            self.clear(|key| key == at.key());
        }
    }

    /// Empties all buckets but those whose key is to stay.
    fn clear(&self, stays: impl Fn(u64) -> bool) {
        for bucket in &self.buckets {
            let _ = bucket.fetch_update(SeqCst, SeqCst, |word| (word != 0 && !stays(word >> COUNT_BITS)).then_some(0));
        }
    }

    /// A generation has begun: whatever other ones have left is cleared.
    pub fn begin(&self, generation: u32) {
        self.clear(|key| key >> EPOCH_BITS == u64::from(generation) & GENERATION_MASK);
    }

    /// Empty, as at the beginning.
    pub fn forget(&self) {
        self.idle_from.store(0, SeqCst);
        self.clear(|_| false);
    }

    /// What the window holds at that instant.
    #[inline]
    pub fn sum(&self, at: At) -> u64 {
        if at.epoch >= self.idle_from.load(SeqCst) { 0 } else { self.sum_of_buckets(at) }
    }

    fn sum_of_buckets(&self, at: At) -> u64 {
        let words = (0..).zip(&self.buckets).map(|(place, bucket)| (place, bucket.load(SeqCst)));
        words.filter(|&(place, word)| at.covers(place, word >> COUNT_BITS)).map(|(_, word)| word & COUNT_MAX).sum()
    }
}

/// Windows of which each thread counts in its own, and that are one to who sums up.
impl Striped<Window> {
    #[inline]
    pub fn add(&self, at: At) {
        self.mine().add(at);
    }

    pub fn total(&self, at: At) -> u64 {
        self.sum(|window| window.sum(at))
    }

    pub fn begin(&self, generation: u32) {
        self.all().for_each(|window| window.begin(generation));
    }

    pub fn forget(&self) {
        self.all().for_each(Window::forget);
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;
    use crate::clock::SECOND;
    use crate::stripes::STRIPES;

    const WINDOW: Nanos = 30 * SECOND;
    const T0: Nanos = 3000 * SECOND;

    fn at(generation: u32, now: Nanos) -> At {
        At::new(generation, WINDOW, now)
    }

    fn sum(window: &Window, generation: u32, now: Nanos) -> u64 {
        window.sum(at(generation, now))
    }

    #[test]
    fn what_is_counted_stays_for_the_window_and_leaves_at_its_end() {
        let window = Window::default();
        assert_eq!(sum(&window, 1, T0), 0);
        window.add(at(1, T0));
        window.add(at(1, T0 + 3 * SECOND));
        assert_eq!(sum(&window, 1, T0 + 3 * SECOND), 2);
        assert_eq!(sum(&window, 1, T0 + 30 * SECOND - 1), 2);
        assert_eq!(sum(&window, 1, T0 + 30 * SECOND), 1);
        assert_eq!(sum(&window, 1, T0 + 33 * SECOND), 0);
    }

    #[test]
    fn a_window_counts_from_the_first_moment_of_the_clock_on() {
        let window = Window::default();
        window.add(at(1, 1));
        assert_eq!((sum(&window, 1, 1), sum(&window, 1, 30 * SECOND - 1), sum(&window, 1, 30 * SECOND)), (1, 1, 0));
    }

    #[test]
    fn a_window_idle_for_longer_than_itself_is_empty_and_starts_anew() {
        let window = Window::default();
        for bucket in 0..10 {
            window.add(at(1, T0 + bucket * 3 * SECOND));
        }
        let later = T0 + 1000 * SECOND;
        assert_eq!(sum(&window, 1, later), 0);
        window.add(at(1, later));
        assert_eq!(sum(&window, 1, later), 1);
    }

    #[test]
    fn another_generation_sees_nothing_and_cannot_be_disturbed_by_an_earlier_one() {
        let window = Window::default();
        window.add(at(1, T0));
        assert_eq!(sum(&window, 2, T0), 0);
        window.add(at(2, T0));
        window.add(at(1, T0));
        assert_eq!((sum(&window, 2, T0), sum(&window, 1, T0)), (1, 0));
    }

    #[test]
    fn who_comes_late_to_a_bucket_that_moved_on_is_not_counted() {
        let window = Window::default();
        window.add(at(1, T0 + 30 * SECOND));
        window.add(at(1, T0));
        assert_eq!(sum(&window, 1, T0 + 30 * SECOND), 1);
    }

    #[test]
    fn a_full_bucket_stays_full() {
        let window = Window::default();
        window.add(at(1, T0));
        window.change(at(1, T0), |_| COUNT_MAX);
        window.add(at(1, T0));
        assert_eq!(sum(&window, 1, T0), COUNT_MAX);
    }

    #[test]
    fn what_is_taken_back_is_gone_unless_its_bucket_is() {
        let window = Window::default();
        window.add(at(1, T0));
        window.take_back(at(1, T0));
        window.take_back(at(1, T0));
        assert_eq!(sum(&window, 1, T0), 0);
        window.add(at(1, T0 + 30 * SECOND));
        window.take_back(at(1, T0));
        assert_eq!(sum(&window, 1, T0 + 30 * SECOND), 1);
    }

    #[test]
    fn a_bucket_that_was_not_used_for_however_long_is_used_again() {
        for idle in [10, 1 << 19, (1 << 19) + 10, (1 << 20) - 10, 1 << 20, (1 << 20) + 10, 5 << 20] {
            let window = Window::default();
            // Kept awake at one place, so that the others grow old without the window being idle.
            window.add(at(1, T0));
            let later = T0 + idle * 3 * SECOND;
            window.add(at(1, later - 5 * 3 * SECOND));
            assert_eq!(sum(&window, 1, later), 1, "{idle} buckets later");
            window.add(at(1, later));
            assert_eq!(sum(&window, 1, later), 2, "{idle} buckets later");
        }
    }

    #[test]
    fn a_generation_that_comes_round_again_finds_nothing_of_the_first() {
        let window = Window::default();
        window.add(at(1, T0));
        window.begin(2);
        assert_eq!(sum(&window, 1 + 256, T0), 0);
        for generation in [130, 255, 256, 257] {
            window.begin(generation);
            window.add(at(generation, T0));
            assert_eq!(sum(&window, generation, T0), 1, "{generation}");
        }
    }

    #[test]
    fn many_threads_count_exactly() {
        let (window, striped) = (Window::default(), Striped::<Window>::default());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for n in 0..10_000 {
                        let at = at(1, T0 + (n % 10) * 3 * SECOND);
                        window.add(at);
                        striped.add(at);
                    }
                });
            }
        });
        let now = at(1, T0 + 27 * SECOND);
        assert_eq!((window.sum(now), striped.total(now)), (80_000, 80_000));
    }

    #[test]
    fn striped_windows_begin_and_forget_as_one() {
        let striped = Striped::<Window>::default();
        let add_everywhere = |at| striped.all().for_each(|window| window.add(at));
        add_everywhere(at(1, T0));
        assert_eq!(striped.total(at(1, T0)), STRIPES as u64);
        striped.begin(2);
        assert_eq!(striped.total(at(1, T0)), 0);
        add_everywhere(at(2, T0));
        striped.forget();
        assert_eq!(striped.total(at(2, T0)), 0);
    }
}
