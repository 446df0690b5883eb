//! The deadline board under load (T1, T2): many threads arm and disarm, one watchdog waits. No bound is missed, none fires
//! early, and of each call exactly one of the two hears: its thread, or the watchdog.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;

use ambassador_core::board::Board;
use ambassador_core::clock::{MILLISECOND, NEVER, Nanos, SECOND, now};

const THREADS: u64 = 8;

const STOP: u64 = u64::MAX;

/// Ends the watchdog, also when a test fails.
struct Stop<'a>(&'a Board);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        let stop = self.0.slot(STOP);
        self.0.arm(&stop, 1);
        while !stop.has_fired() {
            thread::yield_now();
        }
    }
}

/// A board, the watchdog that serves it, and what it fired, by owner.
fn with_watchdog(body: impl FnOnce(&Board, &[AtomicU64])) {
    let board = Board::new();
    let fired: Vec<AtomicU64> = (0..THREADS).map(|_| AtomicU64::new(0)).collect();
    thread::scope(|scope| {
        scope.spawn(|| {
            loop {
                let mut slots = Vec::new();
                board.wait(&mut slots);
                assert!(!slots.is_empty());
                for slot in slots {
                    if slot.owner() == STOP {
                        return;
                    }
                    fired[slot.owner() as usize].fetch_add(1, SeqCst);
                }
            }
        });
        let _stop = Stop(&board);
        body(&board, &fired);
    });
}

#[test]
fn a_call_that_ends_at_its_bound_is_heard_of_exactly_once() {
    const CALLS: u64 = 20_000;
    with_watchdog(|board, fired| {
        let heard: Vec<u64> = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|owner| {
                    scope.spawn(move || {
                        let slot = board.slot(owner);
                        let mut passed = 0;
                        for n in 0..CALLS {
                            // Some end before their bound, some after, most about then.
                            let bound = now() + n % 40 * 1000;
                            board.arm(&slot, bound);
                            while now() < bound {
                                std::hint::spin_loop();
                            }
                            if slot.disarm() {
                                passed += 1;
                                assert!(now() >= bound);
                            }
                            assert!(!slot.has_fired() && !slot.disarm());
                        }
                        passed
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        // The watchdog may have marked a slot and not have counted it yet.
        for (owner, heard) in heard.into_iter().enumerate() {
            while fired[owner].load(SeqCst) < heard {
                thread::yield_now();
            }
            assert_eq!(fired[owner].load(SeqCst), heard);
        }
    });
}

#[test]
fn every_bound_of_a_thread_that_hangs_fires_and_none_early() {
    with_watchdog(|board, fired| {
        thread::scope(|scope| {
            for owner in 0..THREADS {
                scope.spawn(move || {
                    let slot = board.slot(owner);
                    for n in 0..50 {
                        let bound = now() + (n * owner) % 7 * 100_000;
                        board.arm(&slot, bound);
                        // Hangs until it is interrupted: a bound that were missed would hang this test.
                        while !slot.has_fired() {
                            thread::yield_now();
                        }
                        assert!(now() >= bound);
                        assert!(slot.disarm());
                    }
                });
            }
        });
        // A slot is marked before the watchdog counts it.
        while fired.iter().any(|fired| fired.load(SeqCst) < 50) {
            thread::yield_now();
        }
        assert!(fired.iter().all(|fired| fired.load(SeqCst) == 50));
    });
}

#[test]
fn the_earliest_of_many_bounds_fires_first_though_armed_last() {
    let board = Board::new();
    let hour: Nanos = now() + 3600 * SECOND;
    let far: Vec<_> = (0..1000).map(|owner| board.slot(owner)).collect();
    for slot in &far {
        board.arm(slot, hour + slot.owner());
    }
    let near = board.slot(1000);
    board.arm(&near, now() + MILLISECOND);
    let mut fired = Vec::new();
    board.wait(&mut fired);
    assert_eq!(fired.iter().map(|slot| slot.owner()).collect::<Vec<_>>(), [1000]);
    assert!(far.iter().all(|slot| !slot.has_fired()));
}

#[test]
fn all_that_is_due_is_told_at_once() {
    let board = Board::new();
    let slots: Vec<_> = (0..10).map(|owner| board.slot(owner)).collect();
    for slot in &slots {
        board.arm(slot, 1 + slot.owner());
    }
    let mut fired = vec![Arc::clone(&slots[0])];
    board.wait(&mut fired);
    assert_eq!(fired.len(), 11, "appended to what was there");
}

#[test]
fn what_is_not_bounded_is_not_armed() {
    let board = Board::new();
    let (unbounded, bounded) = (board.slot(1), board.slot(2));
    board.arm(&unbounded, NEVER);
    assert!(!unbounded.has_fired() && !unbounded.disarm());
    board.arm(&bounded, now());
    let mut fired = Vec::new();
    board.wait(&mut fired);
    assert_eq!(fired.len(), 1);
}

#[test]
fn threads_come_and_go_while_the_watchdog_waits() {
    let ended = AtomicBool::new(false);
    with_watchdog(|board, fired| {
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..500 {
                    thread::scope(|inner| _ = inner.spawn(|| drop(board.slot(0))));
                }
                ended.store(true, SeqCst);
            });
            let slot = board.slot(1);
            let mut count = 0;
            while !ended.load(SeqCst) || count == 0 {
                board.arm(&slot, now() + 50_000);
                while !slot.has_fired() {
                    thread::yield_now();
                }
                slot.disarm();
                count += 1;
            }
            assert_eq!(fired[0].load(SeqCst), 0);
        });
    });
}
