//! The end (O1, F4): `shutdown` refuses what comes, waits for what is in flight, but not for ever. It is for the whole
//! process, so each test has one to itself.

mod common;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use ambassador_core::call::{Outcome, Stop};
use ambassador_core::clock::now;
use ambassador_core::proxy::Begin;
use ambassador_core::{CallError, Code, runtime};
use common::*;

#[test]
fn nothing_in_flight_is_drained_at_once_also_a_second_time() {
    alone("nothing_in_flight_is_drained_at_once_also_a_second_time", || {
        assert!(!runtime::is_shut_down());
        assert!(runtime::shutdown(Duration::ZERO));
        assert!(runtime::shutdown(Duration::MAX));
        assert!(runtime::is_shut_down());
    });
}

#[test]
fn a_call_after_shutdown_is_refused_counted_and_never_run() {
    alone("a_call_after_shutdown_is_refused_counted_and_never_run", || {
        let proxy = builder().build().unwrap();
        assert!(runtime::shutdown(PATIENCE));
        assert!(matches!(proxy.begin(now()), Begin::Refuse(_, Code::Shutdown)));
        let ended = proxy.call_blocking(|| async { unreachable!("it ran") as Result<(), &str> });
        let Err(CallError::Ambassador(error, None)) = ended else { panic!("{ended:?}") };
        assert_eq!((error.code(), error.attempts()), (Code::Shutdown, 0));
        assert_eq!(
            error.to_string(),
            "payment-api.example.com: the call came after `shutdown`; make no calls after `shutdown`"
        );
        assert_eq!((ends(&proxy), attempts(&proxy), number(&proxy, "in_flight")), ([0, 0, 0, 2, 0], [0; 4], 0));
    });
}

#[test]
fn what_is_in_flight_ends_well_waits_included() {
    alone("what_is_in_flight_ends_well_waits_included", || {
        let proxy = builder().backoff(briefly()).max_retries(20).build().unwrap();
        let begun = Barrier::new(2);
        thread::scope(|scope| {
            let calling = scope.spawn(|| {
                let mut left = 20;
                proxy.call_blocking(|| {
                    if left == 20 {
                        begun.wait();
                    }
                    left -= 1;
                    std::future::ready(if left == 0 { Ok(7) } else { Err("not yet") })
                })
            });
            begun.wait();
            assert!(runtime::shutdown(PATIENCE));
            assert_eq!(number(&proxy, "in_flight"), 0);
            assert_eq!(calling.join().unwrap(), Ok(7));
        });
    });
}

#[test]
fn a_call_that_hangs_is_not_waited_for_for_ever() {
    alone("a_call_that_hangs_is_not_waited_for_for_ever", || {
        let proxy = builder().build().unwrap();
        let mut call = begin(&proxy, now());
        let begun = Instant::now();
        assert!(!runtime::shutdown(Duration::from_millis(30)));
        assert!(begun.elapsed() >= Duration::from_millis(30));
        assert_eq!(number(&proxy, "in_flight"), 1);
        let _ = proxy.settle(&mut call, now(), Outcome::Ok, None);
        assert!(runtime::shutdown(PATIENCE), "it has ended meanwhile");
    });
}

#[test]
fn a_call_that_outlives_the_drain_ends_with_shutdown_where_it_needs_a_timer() {
    alone("a_call_that_outlives_the_drain_ends_with_shutdown_where_it_needs_a_timer", || {
        // One waits between attempts for an hour, one runs an attempt bounded by an hour; both on threads of their own.
        let hour = Duration::from_secs(3600);
        let waits = builder().backoff(ambassador_core::Backoff::constant(hour)).build().unwrap();
        let hangs = builder().timeout(hour).build().unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| waits.call_blocking(|| async { Err::<(), _>("no") }));
            let hanging = scope.spawn(|| hangs.call_blocking(std::future::pending::<Result<(), &str>>));
            while number(&waits, "attempts.failure") == 0 || number(&hangs, "in_flight") == 0 {
                thread::yield_now();
            }
            assert!(!runtime::shutdown(Duration::from_millis(30)));
            let ended = waiting.join().expect("it does not panic");
            let Err(CallError::Ambassador(error, Some("no"))) = ended else { panic!("{ended:?}") };
            assert_eq!((error.code(), error.attempts()), (Code::Shutdown, 1));
            assert!(error.to_string().contains("the ambassador was shut down before the call ended (1 attempt in "));
            let ended = hanging.join().expect("it does not panic");
            assert_eq!(ended.unwrap_err().code(), Some(Code::Shutdown));
        });
        assert_eq!((ends(&waits), attempts(&waits)), ([0, 0, 0, 0, 1], [0, 1, 0, 0]));
        assert_eq!((ends(&hangs), attempts(&hangs)), ([0, 0, 0, 0, 1], [0, 0, 0, 1]));
        assert_eq!(Stop::Shutdown.as_str(), "shutting down");
    });
}

#[test]
fn no_call_slips_in_behind_a_drain() {
    alone("no_call_slips_in_behind_a_drain", || {
        let proxy = builder().build().unwrap();
        let (drained, slipped, calls) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
        let started = Barrier::new(5);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    started.wait();
                    loop {
                        let Begin::Run(mut call) = proxy.begin(now()) else { return };
                        if drained.load(SeqCst) {
                            slipped.fetch_add(1, SeqCst);
                        }
                        calls.fetch_add(1, SeqCst);
                        let _ = proxy.settle(&mut call, now(), Outcome::Ok, None);
                    }
                });
            }
            started.wait();
            while calls.load(SeqCst) < 10_000 {
                thread::yield_now();
            }
            assert!(runtime::shutdown(PATIENCE));
            drained.store(true, SeqCst);
        });
        assert_eq!(slipped.load(SeqCst), 0);
        assert_eq!(ends(&proxy), [calls.load(SeqCst), 0, 0, 4, 0], "one refusal ended each thread");
    });
}

#[test]
fn a_process_ends_at_once_with_calls_in_flight() {
    alone("a_process_ends_at_once_with_calls_in_flight", || {
        let proxy = Arc::new(builder().timeout(None).build().unwrap());
        let (here, there) = (Arc::clone(&proxy), Arc::new(Barrier::new(2)));
        let begun = Arc::clone(&there);
        thread::spawn(move || {
            here.call_blocking(|| {
                begun.wait();
                std::future::pending::<Result<(), &str>>()
            })
        });
        there.wait();
        runtime::handle().spawn(std::future::pending::<()>());
        // This body returns, and `alone` waits for the process to end well.
        assert_eq!(number(&proxy, "in_flight"), 1);
    });
}
