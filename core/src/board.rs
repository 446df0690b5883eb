//! The deadline board: bounds for functions that run on their caller's own thread. A caller arms a slot and disarms it
//! again, a few atomics each and no wake-up; one watchdog thread of the host's waits here for slots whose bound passes, and
//! interrupts their owners in the language's own way (T1, T2).
//!
//! ```
//! use ambassador_core::{board::Board, clock};
//!
//! static BOARD: Board = Board::new();
//! let slot = BOARD.slot(7);
//! BOARD.arm(&slot, clock::now() + 5_000_000);
//! let mut fired = Vec::new();
//! BOARD.wait(&mut fired);
//! assert_eq!(fired[0].owner(), 7);
//! assert!(slot.disarm(), "it had fired");
//! ```

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{NEVER, Nanos, now};

const IDLE: u64 = 0;
const FIRED: u64 = NEVER;

/// One bound, for one function at a time.
#[derive(Debug)]
pub struct Slot {
    owner: u64,
    bound: AtomicU64,
}

impl Slot {
    /// What the host gave to [`Board::slot`].
    pub fn owner(&self) -> u64 {
        self.owner
    }

    /// The function ended. `true` when the bound had passed first: the host then takes back the interrupt that it sent, or
    /// is about to send.
    #[inline]
    pub fn disarm(&self) -> bool {
        self.bound.swap(IDLE, SeqCst) == FIRED
    }

    /// Whether the bound passed and nobody disarmed it since.
    #[inline]
    pub fn has_fired(&self) -> bool {
        self.bound.load(SeqCst) == FIRED
    }
}

/// A board of slots, for one watchdog thread.
#[derive(Debug)]
pub struct Board {
    slots: Mutex<Vec<Arc<Slot>>>,
    wake: Condvar,
    /// When the watchdog looks next; an earlier bound has to wake it.
    looks_at: AtomicU64,
}

impl Default for Board {
    fn default() -> Board {
        Board::new()
    }
}

impl Board {
    /// An empty board.
    pub const fn new() -> Board {
        Board { slots: Mutex::new(Vec::new()), wake: Condvar::new(), looks_at: AtomicU64::new(NEVER) }
    }

    /// A new slot. Keep it for many calls: making one takes a lock. The board forgets it when nobody else holds it.
    pub fn slot(&self, owner: u64) -> Arc<Slot> {
        let slot = Arc::new(Slot { owner, bound: AtomicU64::new(IDLE) });
        self.slots().push(Arc::clone(&slot));
        slot
    }

    /// From now on the slot fires at `bound`, unless disarmed before.
    #[inline]
    pub fn arm(&self, slot: &Slot, bound: Nanos) {
        if bound == NEVER {
            return;
        }
        slot.bound.store(bound, SeqCst);
        // The watchdog stores `looks_at` and then reads the slots; this stores the slot and then reads `looks_at`. In the
        // one order that all SeqCst operations have, one of the two sees the other.
        if bound < self.looks_at.load(SeqCst) {
            self.wake_watchdog();
        }
    }

    #[cold]
    fn wake_watchdog(&self) {
        // Under the lock, so that a watchdog between its look and its sleep is not missed.
        let _slots = self.slots();
        self.wake.notify_one();
    }

    /// Blocks until the bound of at least one slot has passed; those are appended to `fired`. For one thread only.
    pub fn wait(&self, fired: &mut Vec<Arc<Slot>>) {
        self.wait_until(NEVER, fired);
    }

    /// [`wait`](Board::wait), but for no longer than until that instant: `fired` may then be as it was.
    pub fn wait_until(&self, limit: Nanos, fired: &mut Vec<Arc<Slot>>) {
        let mut slots = self.slots();
        loop {
            let before = fired.len();
            let mut next = look(&slots, fired);
            if fired.len() > before {
                return;
            }
            // Said first and then checked: see `arm`.
            self.looks_at.store(next, SeqCst);
            next = look(&slots, fired);
            if fired.len() > before {
                return;
            }
            if next < self.looks_at.load(SeqCst) {
                continue;
            }
            if now() >= limit {
                return;
            }
            next = next.min(limit);
            slots.retain(|slot| Arc::strong_count(slot) > 1);
            slots = if next == NEVER {
                self.wake.wait(slots).unwrap_or_else(PoisonError::into_inner)
            } else {
                let left = Duration::from_nanos(next.saturating_sub(now()));
                self.wake.wait_timeout(slots, left).unwrap_or_else(PoisonError::into_inner).0
            };
        }
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fires what is due; the earliest bound of the rest.
fn look(slots: &[Arc<Slot>], fired: &mut Vec<Arc<Slot>>) -> Nanos {
    let mut next = NEVER;
    for slot in slots {
        let bound = slot.bound.load(SeqCst);
        if bound == IDLE || bound == FIRED {
            continue;
        }
        if bound > now() {
            next = next.min(bound);
        } else if slot.bound.compare_exchange(bound, FIRED, SeqCst, SeqCst).is_ok() {
            fired.push(Arc::clone(slot));
        }
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{MILLISECOND, SECOND};

    #[test]
    fn a_slot_fires_at_its_bound_and_not_before() {
        let board = Board::new();
        let slot = board.slot(1);
        let bound = now() + 20 * MILLISECOND;
        board.arm(&slot, bound);
        let mut fired = Vec::new();
        board.wait(&mut fired);
        assert!(now() >= bound);
        assert!(Arc::ptr_eq(&fired[0], &slot));
        assert!(slot.has_fired() && slot.disarm() && !slot.disarm());
    }

    #[test]
    fn an_earlier_bound_wakes_a_watchdog_that_sleeps_for_a_later_one() {
        let board = Arc::new(Board::new());
        let late = board.slot(1);
        board.arm(&late, now() + 3600 * SECOND);
        let watchdog = {
            let board = Arc::clone(&board);
            std::thread::spawn(move || {
                let mut fired = Vec::new();
                board.wait(&mut fired);
                fired.iter().map(|slot| slot.owner()).collect::<Vec<_>>()
            })
        };
        while board.looks_at.load(SeqCst) == NEVER {
            std::thread::yield_now();
        }
        let early = board.slot(2);
        board.arm(&early, now() + MILLISECOND);
        assert_eq!(watchdog.join().unwrap(), [2]);
        assert!(!late.disarm());
    }

    #[test]
    fn what_is_disarmed_never_fires() {
        let board = Board::new();
        let slot = board.slot(1);
        let other = board.slot(2);
        for _ in 0..1000 {
            board.arm(&slot, now() + SECOND);
            assert!(!slot.disarm());
        }
        board.arm(&other, now() + MILLISECOND);
        let mut fired = Vec::new();
        board.wait(&mut fired);
        assert_eq!(fired.len(), 1);
        assert!(!slot.has_fired());
    }

    #[test]
    fn a_limited_wait_ends_without_a_slot_that_fired() {
        let board = Board::new();
        let slot = board.slot(1);
        board.arm(&slot, now() + 3600 * SECOND);
        let limit = now() + MILLISECOND;
        let mut fired = Vec::new();
        board.wait_until(limit, &mut fired);
        assert!(fired.is_empty() && now() >= limit);
    }

    #[test]
    fn slots_of_threads_that_ended_are_forgotten() {
        let board = Board::new();
        for owner in 0..100 {
            drop(board.slot(owner));
        }
        let kept = board.slot(100);
        board.arm(&kept, now() + MILLISECOND);
        board.wait(&mut Vec::new());
        assert_eq!(board.slots().len(), 1);
    }
}
