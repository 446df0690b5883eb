//! The bulkhead: so many calls at once, and a queue for those that may wait (L1). First come, first served; who leaves the
//! queue leaves no trace. Work that was abandoned at its bound keeps its place until it really ends (O3).
//!
//! While nobody queues, a call enters and leaves by one compare-and-swap, as a rule of a word that is its thread's own: a place
//! that comes free is spared there for the thread's next call. Whoever finds no other place takes a spared one, so the limit is
//! exact. The queue has a lock, held for a moment, and never while user code runs.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering::{AcqRel, Acquire, SeqCst};
use std::task::Waker;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::clock::{Nanos, nanos};
use crate::policy::adaptive;
use crate::stripes::{STRIPES, Striped};
use crate::sync::{AtomicU64, Mutex, MutexGuard, fence, in_one_order};

/// How many calls may run at once, and how many may wait.
///
/// ```
/// use std::time::Duration;
/// use ambassador_core::{Bulkhead, Limit};
///
/// let few = Bulkhead::new(10).max_queue(100).queue_timeout(Duration::from_millis(200));
/// let found = Bulkhead { limit: Limit::Adaptive, ..few };
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Bulkhead {
    /// How many calls run at once.
    pub limit: Limit,
    /// How many more may wait; default 0.
    pub max_queue: u32,
    /// How long a call waits at most; `None`: as long as an attempt's timeout.
    pub queue_timeout: Option<Nanos>,
}

/// How many calls run at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// So many.
    Fixed(u32),
    /// As many as the target takes without growing slower; see [`adaptive`].
    Adaptive,
}

impl Limit {
    /// What holds where no bulkhead is set.
    pub(crate) const NONE: Limit = Limit::Fixed(u32::MAX);

    /// What those settings say.
    #[inline]
    pub(crate) fn of(bulkhead: Option<&Bulkhead>) -> Limit {
        bulkhead.map_or(Limit::NONE, |bulkhead| bulkhead.limit)
    }
}

impl Bulkhead {
    /// So many calls at once, and no queue.
    pub fn new(max_concurrent: u32) -> Bulkhead {
        Bulkhead { limit: Limit::Fixed(max_concurrent), max_queue: 0, queue_timeout: None }
    }

    /// As many calls at once as the target takes without growing slower.
    pub fn adaptive() -> Bulkhead {
        Bulkhead { limit: Limit::Adaptive, ..Bulkhead::new(0) }
    }

    /// Sets how many calls may wait.
    pub fn max_queue(self, max_queue: u32) -> Bulkhead {
        Bulkhead { max_queue, ..self }
    }

    /// Sets how long a call waits at most.
    pub fn queue_timeout(self, queue_timeout: Duration) -> Bulkhead {
        Bulkhead { queue_timeout: Some(nanos(queue_timeout)), ..self }
    }
}

/// What a call that comes gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A place.
    In,
    /// A place in the queue, of that number.
    Queued(u64),
    /// Neither.
    Full,
}

// A word is calls that are in and places that are spared | calls that queue.
const QUEUED: u64 = 1;
const IN: u64 = 1 << 32;

const fn is_in(word: u64) -> u64 {
    word >> 32
}

const fn queued(word: u64) -> u64 {
    word & (IN - 1)
}

/// One place, or none, that a thread has spared for its next call; and above that how often one was, so that whoever looks twice
/// sees whether it was there in between.
#[derive(Debug, Default)]
struct Spare(AtomicU64);

impl Spare {
    const THERE: u64 = 1;

    /// `false` when one is there already.
    #[inline]
    fn put(&self) -> bool {
        let word = self.0.load(SeqCst);
        word & Spare::THERE == 0 && self.0.compare_exchange(word, (word + 2) | Spare::THERE, SeqCst, SeqCst).is_ok()
    }

    #[inline]
    fn take(&self) -> bool {
        self.take_seen(self.0.load(SeqCst))
    }

    /// The same, if it is still the one that was seen.
    #[inline]
    fn take_seen(&self, seen: u64) -> bool {
        seen & Spare::THERE != 0 && self.0.compare_exchange(seen, seen & !Spare::THERE, SeqCst, SeqCst).is_ok()
    }
}

/// What changes while calls run. On cache lines of its own: every call looks at the word, and what is written beside it would
/// take it out of other threads' hands.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Cells {
    word: AtomicU64,
    spares: Striped<Spare>,
    /// Work that outlives its bound.
    abandoned: AtomicU64,
    // Swapped whole in a forked child: a lock held by another thread at the fork would stay held there.
    queue: ArcSwap<Mutex<Queue>>,
    pub adaptive: adaptive::Cells,
}

impl Default for Cells {
    fn default() -> Cells {
        Cells {
            word: AtomicU64::new(0),
            spares: Striped::default(),
            abandoned: AtomicU64::new(0),
            queue: ArcSwap::from_pointee(Mutex::new(Queue::default())),
            adaptive: adaptive::Cells::default(),
        }
    }
}

#[derive(Debug, Default)]
struct Queue {
    last: u64,
    waiting: VecDeque<Waiting>,
    /// Whose turn has come and who has not come for it.
    granted: BTreeSet<u64>,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    waker: Option<Waker>,
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cells {
    #[inline]
    fn most(&self, limit: Limit) -> u64 {
        match limit {
            Limit::Fixed(most) => most.into(),
            Limit::Adaptive => self.adaptive.limit().into(),
        }
    }

    #[inline]
    fn has_room(&self, word: u64, limit: Limit) -> bool {
        is_in(word) + self.abandoned.load(Acquire) < self.most(limit)
    }

    /// A call comes.
    #[inline]
    pub fn enter(&self, bulkhead: &Bulkhead) -> Entry {
        // The spare is looked at first: one that comes later may not be taken on what was seen before it came.
        let spare = self.spares.mine();
        let seen = spare.0.load(SeqCst);
        let mut word = self.word.load(SeqCst);
        if self.may_take_spares(word, bulkhead.limit) && spare.take_seen(seen) {
            return Entry::In;
        }
        // Nobody overtakes those who queue.
        while queued(word) == 0 && self.has_room(word, bulkhead.limit) {
            match self.word.compare_exchange_weak(word, word + IN, SeqCst, SeqCst) {
                Ok(_) => return Entry::In,
                Err(present) => word = present,
            }
        }
        self.enter_if_it_may(bulkhead)
    }

    /// Whether a spared place is one that there may be: nobody queues, and the limit was not lowered, by work that outlives its
    /// bound or by other settings.
    #[inline]
    fn may_take_spares(&self, word: u64, limit: Limit) -> bool {
        queued(word) == 0 && is_in(word) + self.abandoned.load(SeqCst) <= self.most(limit)
    }

    /// All places are taken, or spared for somebody.
    #[cold]
    fn enter_if_it_may(&self, bulkhead: &Bulkhead) -> Entry {
        loop {
            let before = self.look_at_spares();
            let word = self.word.load(SeqCst);
            if queued(word) > 0 {
                break;
            }
            if self.has_room(word, bulkhead.limit) {
                if self.word.compare_exchange(word, word + IN, SeqCst, SeqCst).is_ok() {
                    return Entry::In;
                }
                continue;
            }
            if before.iter().any(|spare| spare & Spare::THERE != 0) {
                if !self.may_take_spares(word, bulkhead.limit) {
                    self.give_up_spares(bulkhead.limit);
                } else if self.spares.all().zip(before).any(|(spare, seen)| spare.take_seen(seen)) {
                    return Entry::In;
                }
                continue;
            }
            // There was none at a moment at which there was no room: else one was spared meanwhile.
            if self.look_at_spares() == before {
                break;
            }
        }
        if bulkhead.max_queue == 0 { Entry::Full } else { self.queue_up(bulkhead) }
    }

    fn look_at_spares(&self) -> [u64; STRIPES] {
        let mut spares = [0; STRIPES];
        spares.iter_mut().zip(self.spares.all()).for_each(|(seen, spare)| *seen = spare.0.load(SeqCst));
        spares
    }

    /// What was spared is free for anybody, and first for those who queue.
    fn give_up_spares(&self, limit: Limit) {
        let given_up = self.spares.all().filter(|spare| spare.take()).count() as u64;
        if given_up > 0 && queued(self.word.fetch_sub(given_up * IN, SeqCst)) > 0 {
            self.call_in(limit);
        }
    }

    #[cold]
    fn queue_up(&self, bulkhead: &Bulkhead) -> Entry {
        let shared = self.queue.load();
        let mut queue = lock(&shared);
        let mut word = self.word.load(Acquire);
        loop {
            let (entry, next) = if queued(word) == 0 && self.has_room(word, bulkhead.limit) {
                (Entry::In, word + IN)
            } else if queued(word) < u64::from(bulkhead.max_queue) {
                (Entry::Queued(queue.last + 1), word + QUEUED)
            } else {
                return Entry::Full;
            };
            match self.word.compare_exchange_weak(word, next, AcqRel, Acquire) {
                Ok(_) => {
                    let Entry::Queued(number) = entry else { return entry };
                    queue.last = number;
                    queue.waiting.push_back(Waiting { number, waker: None });
                    drop(queue);
                    // Abandoned work may have ended since the look at it, or a place been spared, and seen nobody queue. The
                    // two fences see to it that one of the two sees the other.
                    fence(SeqCst);
                    self.give_up_spares(bulkhead.limit);
                    if self.has_room(self.word.load(Acquire), bulkhead.limit) {
                        self.call_in(bulkhead.limit);
                    }
                    return entry;
                }
                Err(present) => word = present,
            }
        }
    }

    /// Whether that one's turn has come; it is in from now on, if so.
    pub fn has_turn(&self, number: u64) -> bool {
        lock(&self.queue.load()).granted.remove(&number)
    }

    /// Wakes `waker` when that one's turn comes; at once if it has, or if nothing is known of it.
    pub fn wake_at_turn(&self, number: u64, waker: Waker) {
        let shared = self.queue.load();
        let mut queue = lock(&shared);
        match queue.waiting.iter_mut().find(|waiting| waiting.number == number) {
            Some(waiting) => waiting.waker = Some(waker),
            None => {
                drop(queue);
                waker.wake();
            }
        }
    }

    /// Who queues goes away. Its turn, if it has come, is the next one's.
    pub fn leave_queue(&self, limit: Limit, number: u64) {
        let shared = self.queue.load();
        let mut queue = lock(&shared);
        if queue.granted.remove(&number) {
            drop(queue);
            return self.leave(limit);
        }
        let before = queue.waiting.len();
        queue.waiting.retain(|waiting| waiting.number != number);
        if queue.waiting.len() < before {
            self.word.fetch_sub(QUEUED, AcqRel);
        }
    }

    /// A call ended.
    #[inline]
    pub fn leave(&self, limit: Limit) {
        let spare = self.spares.mine();
        // What finds the limit from latency is to know how many are in.
        if limit != Limit::Adaptive && queued(self.word.load(Acquire)) == 0 && spare.put() {
            in_one_order();
            // Whoever has queued up since may have missed it.
            if queued(self.word.load(SeqCst)) == 0 || !spare.take() {
                return;
            }
        }
        let before = self.word.fetch_sub(IN, SeqCst);
        if queued(before) > 0 {
            self.call_in(limit);
        }
    }

    /// Calls in those who queue, as far as there is room.
    #[cold]
    fn call_in(&self, limit: Limit) {
        let mut wakers = Vec::new();
        let shared = self.queue.load();
        let mut queue = lock(&shared);
        let mut word = self.word.load(Acquire);
        while !queue.waiting.is_empty() && self.has_room(word, limit) {
            match self.word.compare_exchange_weak(word, word + IN - QUEUED, AcqRel, Acquire) {
                Ok(_) => {
                    if let Some(next) = queue.waiting.pop_front() {
                        queue.granted.insert(next.number);
                        wakers.extend(next.waker);
                    }
                    word = self.word.load(Acquire);
                }
                Err(present) => word = present,
            }
        }
        drop(queue);
        for waker in wakers {
            waker.wake();
        }
    }

    /// O3: work outlives its bound, and keeps a place.
    pub fn abandon(&self) {
        self.abandoned.fetch_add(1, AcqRel);
    }

    /// Such work has ended.
    pub fn abandoned_ended(&self, limit: Limit) {
        // Never below zero: a forked child starts from zero while work of the parent's is still known to it.
        let _ = self.abandoned.fetch_update(AcqRel, Acquire, |n| n.checked_sub(1));
        fence(SeqCst);
        if queued(self.word.load(Acquire)) > 0 {
            self.call_in(limit);
        }
    }

    /// Work that outlives its bound.
    pub fn abandoned(&self) -> u64 {
        self.abandoned.load(Acquire)
    }

    /// Calls that are in, and calls that queue.
    pub fn occupied(&self) -> (u64, u64) {
        // Spares first: those that are spared since are in the word.
        let spared = self.spares.sum(|spare| spare.0.load(SeqCst) & Spare::THERE);
        let word = self.word.load(SeqCst);
        (is_in(word).saturating_sub(spared), queued(word))
    }

    /// How many may be in.
    pub fn limit(&self, bulkhead: &Bulkhead) -> u64 {
        self.most(bulkhead.limit)
    }

    /// F3: in a forked child, nobody is in and nobody queues.
    pub fn begin_anew(&self) {
        self.word.store(0, SeqCst);
        self.spares.all().for_each(|spare| spare.0.store(0, SeqCst));
        self.abandoned.store(0, SeqCst);
        self.queue.store(Arc::new(Mutex::new(Queue::default())));
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    use std::task::Wake;

    use super::*;

    struct Counted(AtomicU32);

    impl Wake for Counted {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    fn queued_as(entry: Entry) -> u64 {
        match entry {
            Entry::Queued(number) => number,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn as_many_enter_as_there_are_places() {
        let (bulkhead, cells) = (Bulkhead::new(2), Cells::default());
        assert_eq!([(); 3].map(|()| cells.enter(&bulkhead)), [Entry::In, Entry::In, Entry::Full]);
        cells.leave(bulkhead.limit);
        assert_eq!(cells.enter(&bulkhead), Entry::In);
    }

    #[test]
    fn a_spared_place_is_anybodys_who_finds_no_other() {
        let (bulkhead, cells) = (Bulkhead::new(2), Cells::default());
        assert_eq!([(); 2].map(|()| cells.enter(&bulkhead)), [Entry::In, Entry::In]);
        cells.spares.all().take(2).for_each(|spare| assert!(spare.put()));
        assert_eq!(cells.occupied(), (0, 0));
        assert_eq!([(); 3].map(|()| cells.enter(&bulkhead)), [Entry::In, Entry::In, Entry::Full]);
        assert_eq!(cells.occupied(), (2, 0));
    }

    #[test]
    fn spared_places_do_not_outlast_a_limit_that_was_lowered() {
        let (wide, narrow, cells) = (Bulkhead::new(3), Bulkhead::new(1), Cells::default());
        assert_eq!([(); 3].map(|()| cells.enter(&wide)), [Entry::In; 3]);
        cells.spares.all().take(2).for_each(|spare| assert!(spare.put()));
        assert_eq!(cells.enter(&narrow), Entry::Full);
        cells.leave(narrow.limit);
        assert_eq!([(); 2].map(|()| cells.enter(&narrow)), [Entry::In, Entry::Full]);
    }

    #[test]
    fn who_queues_is_called_in_in_order() {
        let (bulkhead, cells) = (Bulkhead::new(1).max_queue(2), Cells::default());
        assert_eq!(cells.enter(&bulkhead), Entry::In);
        let (first, second) = (queued_as(cells.enter(&bulkhead)), queued_as(cells.enter(&bulkhead)));
        assert_eq!(cells.enter(&bulkhead), Entry::Full);
        cells.leave(bulkhead.limit);
        // Called in, not come yet: nobody takes its place.
        assert_eq!(queued_as(cells.enter(&bulkhead)), second + 1);
        assert!(!cells.has_turn(second) && cells.has_turn(first) && !cells.has_turn(first));
        cells.leave(bulkhead.limit);
        assert!(cells.has_turn(second));
        assert_eq!(cells.occupied(), (1, 1));
    }

    #[test]
    fn who_leaves_the_queue_leaves_no_trace() {
        let (bulkhead, cells) = (Bulkhead::new(1).max_queue(3), Cells::default());
        cells.enter(&bulkhead);
        let waiting = [(); 3].map(|()| queued_as(cells.enter(&bulkhead)));
        cells.leave_queue(bulkhead.limit, waiting[1]);
        cells.leave_queue(bulkhead.limit, waiting[1]);
        assert_eq!(cells.occupied(), (1, 2));
        cells.leave(bulkhead.limit);
        // Its turn has come already: it is the next one's.
        cells.leave_queue(bulkhead.limit, waiting[0]);
        assert!(!cells.has_turn(waiting[0]) && cells.has_turn(waiting[2]));
        cells.leave(bulkhead.limit);
        assert_eq!(cells.occupied(), (0, 0));
    }

    #[test]
    fn whose_turn_comes_is_woken_once() {
        let (bulkhead, cells) = (Bulkhead::new(1).max_queue(1), Cells::default());
        let woken = Arc::new(Counted(AtomicU32::new(0)));
        cells.enter(&bulkhead);
        let number = queued_as(cells.enter(&bulkhead));
        cells.wake_at_turn(number, Arc::clone(&woken).into());
        assert_eq!(woken.0.load(SeqCst), 0);
        cells.leave(bulkhead.limit);
        assert_eq!(woken.0.load(SeqCst), 1);
        // Too late to wait: at once.
        cells.wake_at_turn(number, Arc::clone(&woken).into());
        assert_eq!(woken.0.load(SeqCst), 2);
    }

    #[test]
    fn abandoned_work_keeps_a_place_until_it_ends() {
        let (bulkhead, cells) = (Bulkhead::new(1).max_queue(1), Cells::default());
        cells.enter(&bulkhead);
        cells.abandon();
        cells.leave(bulkhead.limit);
        let number = queued_as(cells.enter(&bulkhead));
        assert!(!cells.has_turn(number));
        cells.abandoned_ended(bulkhead.limit);
        assert!(cells.has_turn(number));
    }

    #[test]
    fn places_in_are_places_out() {
        let (bulkhead, cells) = (Bulkhead::new(3).max_queue(5), Cells::default());
        let most = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for thread in 0..8u64 {
                let (bulkhead, cells, most) = (&bulkhead, &cells, &most);
                scope.spawn(move || {
                    for n in 0..5_000 {
                        let entered = match cells.enter(bulkhead) {
                            Entry::In => true,
                            Entry::Full => false,
                            Entry::Queued(number) if (n + thread) % 3 == 0 => {
                                cells.leave_queue(bulkhead.limit, number);
                                false
                            }
                            Entry::Queued(number) => {
                                while !cells.has_turn(number) {
                                    std::thread::yield_now();
                                }
                                true
                            }
                        };
                        if entered {
                            most.fetch_max(cells.occupied().0, SeqCst);
                            cells.leave(bulkhead.limit);
                        }
                    }
                });
            }
        });
        assert_eq!(cells.occupied(), (0, 0));
        assert!(most.load(SeqCst) <= 3, "{most:?}");
    }
}
