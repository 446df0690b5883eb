//! Counts that every call writes are kept a few times over, once for each of some stripes, and a thread counts in one of them:
//! threads that count in the same word take its cache line out of each other's hands, which costs them more than all else
//! that a call does. Who reads adds the stripes up.
//!
//! Half of the stripes are for threads that have one to themselves, as long as they live: such a thread counts by a read and a write,
//! without locking the line, which is most of what counting costs. When these are taken, threads share the others.

use std::ops::Deref;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Relaxed, Release},
};

use once_cell::race::OnceBox;

/// Under loom two, so that a model sees both and has not to look at many.
pub(crate) const STRIPES: usize = if cfg!(feature = "loom") { 2 } else { 16 };

/// The first so many are one thread's each. Under loom none, where a model says which thread takes which.
const ALONE: usize = if cfg!(feature = "loom") { 0 } else { STRIPES / 2 };

/// So many of a kind, none of which shares a cache line with anything else.
#[derive(Debug, Default)]
pub(crate) struct Striped<T>([Apart<T>; STRIPES]);

/// Alone on its cache lines. Two of 64 bytes, for processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Apart<T>(T);

/// The present thread's stripe.
pub(crate) struct Mine<'a, T> {
    stripe: &'a T,
    is_alone: bool,
}

impl<T> Deref for Mine<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.stripe
    }
}

impl<'a, T> Mine<'a, T> {
    #[inline]
    fn of(stripes: &'a [Apart<T>; STRIPES]) -> Mine<'a, T> {
        let mine = mine() % STRIPES;
        Mine { stripe: &stripes[mine].0, is_alone: mine < ALONE }
    }

    /// Counts so many more in a cell of it, in which everybody counts so and in no other way.
    #[inline]
    pub fn raise(&self, of: impl FnOnce(&T) -> &AtomicU64, more: u64) {
        let cell = of(self.stripe);
        if self.is_alone {
            cell.store(cell.load(Relaxed).wrapping_add(more), Release);
        } else {
            cell.fetch_add(more, Release);
        }
    }
}

impl<T> Striped<T> {
    /// The present thread's.
    #[inline]
    pub fn mine(&self) -> Mine<'_, T> {
        Mine::of(&self.0)
    }

    pub fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|Apart(stripe)| stripe)
    }

    pub fn sum(&self, of: impl Fn(&T) -> u64) -> u64 {
        self.all().map(of).sum()
    }
}

/// The same, of which each is made when it is needed first: for what is large.
#[derive(Debug)]
pub(crate) struct OnDemand<T>([OnceBox<Apart<T>>; STRIPES]);

impl<T> Default for OnDemand<T> {
    fn default() -> OnDemand<T> {
        OnDemand([const { OnceBox::new() }; STRIPES])
    }
}

impl<T: Default> OnDemand<T> {
    /// The present thread's.
    #[inline]
    pub fn mine(&self) -> Mine<'_, T> {
        let mine = mine() % STRIPES;
        // Made twice where two threads come at once, rather than waited for: a fork between the two would leave the child waiting.
        let Apart(stripe) = self.0[mine].get_or_init(|| Box::new(Apart::default()));
        Mine { stripe, is_alone: mine < ALONE }
    }

    /// What those that were needed have counted in that cell of theirs.
    pub fn sum(&self, of: impl Fn(&T) -> &AtomicU64) -> u64 {
        self.0.iter().filter_map(OnceBox::get).fold(0, |sum, stripe| sum.wrapping_add(of(&stripe.0).load(Relaxed)))
    }
}

#[cfg(not(feature = "loom"))]
use by_turns::mine;

/// Threads take a stripe each at their first call: one that nobody has, else one of the shared ones in turn. Neither that nor a
/// later call allocates.
#[cfg(not(feature = "loom"))]
mod by_turns {
    use std::cell::Cell;
    use std::sync::atomic::{
        AtomicU64, AtomicUsize,
        Ordering::{AcqRel, Acquire, Relaxed, Release},
    };

    use super::{ALONE, STRIPES};

    const NONE: usize = usize::MAX;

    static FREE: Free = Free(AtomicU64::new((1 << ALONE) - 1));

    thread_local! {
        static MINE: Cell<usize> = const { Cell::new(NONE) };
        static HELD: Cell<Option<Held>> = const { Cell::new(None) };
    }

    /// The stripes that no thread has to itself. In a forked child those of the threads that are not there stay taken.
    pub(super) struct Free(pub AtomicU64);

    impl Free {
        pub fn take(&self) -> Option<usize> {
            let free = self.0.fetch_update(AcqRel, Acquire, |free| (free != 0).then(|| free & (free - 1))).ok()?;
            Some(free.trailing_zeros() as usize)
        }

        /// Who takes it next sees all that was counted.
        pub fn give_back(&self, stripe: usize) {
            self.0.fetch_or(1 << stripe, Release);
        }
    }

    /// A thread's own stripe, until it ends.
    struct Held(usize);

    impl Drop for Held {
        fn drop(&mut self) {
            // What is still called on this thread, by what ends after this, counts among others.
            MINE.set(shared());
            FREE.give_back(self.0);
        }
    }

    #[inline]
    pub fn mine() -> usize {
        match MINE.get() {
            NONE => first(),
            mine => mine,
        }
    }

    #[cold]
    fn first() -> usize {
        let mine = alone().unwrap_or_else(shared);
        MINE.set(mine);
        mine
    }

    /// None for a thread that is ending: it could not give it back.
    fn alone() -> Option<usize> {
        HELD.try_with(|held| {
            let stripe = FREE.take()?;
            held.set(Some(Held(stripe)));
            Some(stripe)
        })
        .ok()
        .flatten()
    }

    fn shared() -> usize {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        ALONE + NEXT.fetch_add(1, Relaxed) % (STRIPES - ALONE)
    }
}

#[cfg(feature = "loom")]
pub(crate) use by_hand::{mine, take};

/// A model says which thread takes which, or its executions would differ.
#[cfg(feature = "loom")]
mod by_hand {
    use std::cell::Cell;

    loom::thread_local! {
        static MINE: Cell<usize> = Cell::new(0);
    }

    pub fn mine() -> usize {
        MINE.with(Cell::get)
    }

    pub fn take(stripe: usize) {
        MINE.with(|mine| mine.set(stripe));
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use std::cell::RefCell;
    use std::collections::HashSet;
    use std::sync::{Arc, Barrier};
    use std::thread;

    use super::by_turns::Free;
    use super::*;

    #[test]
    fn a_thread_keeps_its_stripe_and_what_all_count_adds_up() {
        let counts = Striped::<AtomicU64>::default();
        thread::scope(|scope| {
            for _ in 0..3 * STRIPES {
                scope.spawn(|| {
                    let mine = counts.mine();
                    for _ in 0..1000 {
                        assert!(std::ptr::eq(&*mine, &*counts.mine()));
                        mine.raise(|count| count, 1);
                    }
                });
            }
        });
        assert_eq!(counts.sum(|count| count.load(Relaxed)), 3 * STRIPES as u64 * 1000);
    }

    #[test]
    fn a_stripe_that_a_thread_has_to_itself_is_taken_by_no_other_until_it_is_given_back() {
        let free = Free(AtomicU64::new(0b111));
        let taken: HashSet<_> = (0..3).filter_map(|_| free.take()).collect();
        assert_eq!((taken, free.take()), (HashSet::from([0, 1, 2]), None));
        free.give_back(1);
        assert_eq!((free.take(), free.take()), (Some(1), None));
    }

    #[test]
    fn what_is_counted_while_a_thread_ends_is_counted_among_others() {
        struct CountsAtItsEnd(Arc<Striped<AtomicU64>>);

        impl Drop for CountsAtItsEnd {
            fn drop(&mut self) {
                self.0.mine().raise(|count| count, 1);
            }
        }

        thread_local! {
            static LAST: RefCell<Option<CountsAtItsEnd>> = const { RefCell::new(None) };
        }

        let counts = Arc::new(Striped::<AtomicU64>::default());
        for is_first in [true, false].repeat(4 * STRIPES) {
            let counts = Arc::clone(&counts);
            let ends = move || {
                let at_its_end = || LAST.set(Some(CountsAtItsEnd(Arc::clone(&counts))));
                // What a thread begins to hold first ends last on some systems, and first on others.
                if is_first {
                    at_its_end();
                }
                counts.mine().raise(|count| count, 1);
                if !is_first {
                    at_its_end();
                }
            };
            thread::spawn(ends).join().unwrap();
        }
        assert_eq!(counts.sum(|count| count.load(Relaxed)), 2 * 8 * STRIPES as u64);
    }

    #[test]
    fn threads_are_spread_over_the_stripes() {
        let counts = Striped::<u64>::default();
        let all_there = Barrier::new(STRIPES);
        let used: HashSet<usize> = thread::scope(|scope| {
            let threads: Vec<_> = (0..STRIPES)
                .map(|_| {
                    scope.spawn(|| {
                        all_there.wait();
                        let mine = std::ptr::from_ref(&*counts.mine()).addr();
                        // One that ended now would leave its stripe to the next.
                        all_there.wait();
                        mine
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        // Threads of other tests may come between.
        assert!(used.len() > 1, "{used:?}");
        assert!(used.iter().all(|address| address % 128 == 0), "{used:?}");
    }
}
