//! What a call costs in memory: a first attempt that succeeds allocates nothing, once there was one of its target's on the same thread. That it takes no mutex holds by
//! construction: on its way there are only atomics, of the target's state and of the switches for faults and shutdown.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::{Future, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use ambassador_core::balance::Balance;
use ambassador_core::call::{Call, Decision, Outcome};
use ambassador_core::clock::{Nanos, SECOND, now};
use ambassador_core::proxy::Begin;
use ambassador_core::testing::VirtualTime;
use ambassador_core::{AmbassadorProxy, Builder, Bulkhead, Endpoint};
use common::*;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every method hands its arguments to the system's allocator, unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's contract is this one's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often this thread allocated during the body.
fn allocations(body: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    body();
    ALLOCATIONS.get() - before
}

/// Where calls are counted that this thread makes of the target is there now.
fn called_once(builder: Builder) -> AmbassadorProxy {
    let proxy = builder.build().unwrap();
    for now in [T0, T0 + MINUTE] {
        call_at(&proxy, now);
    }
    proxy
}

const MINUTE: Nanos = 60 * SECOND;

fn call_at(proxy: &AmbassadorProxy, now: Nanos) {
    let mut call = begin(proxy, now);
    let _ = proxy.settle(&mut call, now, Outcome::Ok, None);
}

#[test]
fn the_count_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(7)))), 1);
}

#[test]
fn a_first_attempt_that_succeeds_allocates_nothing() {
    let proxy = called_once(with_defaults().deadline(PATIENCE).bulkhead(Bulkhead::new(100)));
    let allocated = allocations(|| {
        for n in 0..1000 {
            let now = T0 + MINUTE + n * SECOND;
            let mut call = begin(&proxy, now);
            call = Call::from_words(call.to_words());
            let decision = proxy.settle(&mut call, now, Outcome::Ok, None);
            assert_eq!(Decision::unpack(decision.pack()), decision);
        }
    });
    assert_eq!((allocated, ends(&proxy)[0]), (0, 1002));
}

#[test]
fn nor_does_one_that_goes_to_an_endpoint_however_that_is_chosen() {
    for balance in Balance::ALL {
        let endpoints = (0..20).map(|n| Endpoint::new(&format!("10.0.0.{n}:80")).unwrap());
        let proxy = called_once(by(with_defaults(), balance).endpoints(endpoints));
        let allocated = allocations(|| {
            for n in 0..1000u64 {
                let now = T0 + MINUTE + n;
                let Begin::Run(mut call) = proxy.begin_keyed(now, &n.to_le_bytes()) else { panic!() };
                assert!(proxy.chosen_endpoint(&call).is_some() && proxy.has_endpoints());
                let _ = proxy.settle(&mut call, now, Outcome::Ok, None);
            }
        });
        assert_eq!((allocated, ends(&proxy)[0]), (0, 1002), "{balance:?}");
    }
}

#[test]
fn nor_do_decisions_about_failures() {
    let proxy = called_once(builder());
    let fail = || {
        let mut call = begin(&proxy, T0);
        fail_and_wait(&proxy, &mut call);
        let _ = time_out(&proxy, &mut call);
        proxy.cancel(&mut call, T0);
    };
    // Where calls of more than one attempt are counted.
    fail();
    let allocated = allocations(|| (0..1000).for_each(|_| fail()));
    assert_eq!((allocated, ends(&proxy)[4]), (0, 1001));
}

#[test]
fn a_call_in_rust_whose_function_is_ready_allocates_nothing() {
    // The clock stands, or a new epoch of its histograms might begin meanwhile.
    let _time = VirtualTime::start();
    let proxy = called_once(with_defaults().bulkhead(Bulkhead::new(100)));
    call_at(&proxy, now());
    let allocated = allocations(|| {
        for n in 0..1000 {
            let mut call = pin!(proxy.call(|| ready(Ok::<_, std::fmt::Error>(n))));
            let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert_eq!(polled, Poll::Ready(Ok(n)));
        }
    });
    assert_eq!(allocated, 0);
}
