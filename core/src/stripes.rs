//! Counts that every call writes are kept a few times over, once for each of some stripes, and a thread counts in one of them:
//! threads that count in the same word take its cache line out of each other's hands, which costs them more than all else
//! that a call does. Who reads adds the stripes up.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use once_cell::race::OnceBox;

/// Under loom two, so that a model sees both and has not to look at many.
pub(crate) const STRIPES: usize = if cfg!(feature = "loom") { 2 } else { 8 };

/// So many of a kind, none of which shares a cache line with anything else.
#[derive(Debug, Default)]
pub(crate) struct Striped<T>([Apart<T>; STRIPES]);

/// Alone on its cache lines. Two of 64 bytes, for processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Apart<T>(T);

impl<T> Striped<T> {
    /// The present thread's.
    #[inline]
    pub fn mine(&self) -> &T {
        &self.0[mine() % STRIPES].0
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
    pub fn mine(&self) -> &T {
        // Made twice where two threads come at once, rather than waited for: a fork between the two would leave the child waiting.
        &self.0[mine() % STRIPES].get_or_init(|| Box::new(Apart::default())).0
    }

    /// What those that were needed have counted in that cell of theirs.
    pub fn sum(&self, of: impl Fn(&T) -> &AtomicU64) -> u64 {
        self.0.iter().filter_map(OnceBox::get).fold(0, |sum, stripe| sum.wrapping_add(of(&stripe.0).load(Relaxed)))
    }
}

#[cfg(not(feature = "loom"))]
use by_turns::mine;

/// Threads take the stripes in turn, each at its first call. Neither that nor a later call allocates.
#[cfg(not(feature = "loom"))]
mod by_turns {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    const NONE: usize = usize::MAX;

    thread_local! {
        static MINE: Cell<usize> = const { Cell::new(NONE) };
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
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let mine = NEXT.fetch_add(1, Relaxed) % super::STRIPES;
        MINE.set(mine);
        mine
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
    use std::collections::HashSet;
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    #[test]
    fn a_thread_keeps_its_stripe_and_what_all_count_adds_up() {
        let counts = Striped::<AtomicU64>::default();
        thread::scope(|scope| {
            for _ in 0..3 * STRIPES {
                scope.spawn(|| {
                    let mine = counts.mine();
                    for _ in 0..1000 {
                        assert!(std::ptr::eq(mine, counts.mine()));
                        mine.fetch_add(1, Relaxed);
                    }
                });
            }
        });
        assert_eq!(counts.sum(|count| count.load(Relaxed)), 3 * STRIPES as u64 * 1000);
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
                        std::ptr::from_ref(counts.mine()).addr()
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
