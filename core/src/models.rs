//! What `tests/models.rs` runs under loom: the cells of the breaker, the budget and the bulkhead, by two or three threads.

use loom::sync::Arc;
use loom::thread;

use crate::clock::{Nanos, SECOND};
use crate::policy::breaker::{self, Breaker, Circuit, Permit};
use crate::policy::budget::{self, Budget};
use crate::policy::bulkhead::{self, Bulkhead, Entry, Limit};
use crate::policy::window::{At, Window};
use crate::stripes;

const T0: Nanos = 3000 * SECOND;
const LEASE: Nanos = SECOND;

fn quick() -> Breaker {
    Breaker { min_calls: 1, probes: 2, ..Breaker::default() }
}

fn admit(cells: &breaker::Cells, now: Nanos) -> Option<Permit> {
    cells.admit(&quick(), LEASE, now).0.ok()
}

/// Open at T0, so that a probe may run at T0 + 5 s.
fn opened() -> (Arc<breaker::Cells>, Permit) {
    let cells = Arc::new(breaker::Cells::default());
    let stale = admit(&cells, T0).expect("closed");
    let permit = admit(&cells, T0).expect("closed");
    cells.record(&quick(), permit, true, 0, T0);
    assert_eq!(cells.circuit(), Circuit::Open);
    (cells, stale)
}

/// Two failures at once: one of the two opens it, and tells.
pub fn breaker_opens_once() {
    let cells = Arc::new(breaker::Cells::default());
    let fail = |cells: Arc<breaker::Cells>| {
        let permit = admit(&cells, T0);
        permit.is_some_and(|permit| cells.record(&quick(), permit, true, 0, T0).is_some())
    };
    let other = thread::spawn({
        let cells = Arc::clone(&cells);
        move || fail(cells)
    });
    let mine = fail(Arc::clone(&cells));
    assert!(mine ^ other.join().unwrap());
    assert_eq!((cells.circuit(), cells.open_for(T0)), (Circuit::Open, Some(5 * SECOND)));
}

/// Closed, and one failure of two outcomes opens it: they come at once, each in a stripe of its own, and neither alone is enough.
pub fn breaker_misses_no_outcome() {
    misses_none(false, true);
}

/// The same of two successes, the second of which makes the failures that there were count.
pub fn breaker_misses_no_success() {
    misses_none(false, false);
}

fn misses_none(one: bool, other: bool) {
    let breaker = Breaker { min_calls: 3, failure_rate: 0.3, ..quick() };
    let cells = Arc::new(breaker::Cells::default());
    let record = move |cells: &breaker::Cells, breaker: &Breaker, failed| {
        let permit = admit(cells, T0).expect("closed");
        cells.record(breaker, permit, failed, 0, T0).is_some()
    };
    assert!(!record(&cells, &breaker, true));
    let thread = thread::spawn({
        let (cells, breaker) = (Arc::clone(&cells), breaker.clone());
        move || {
            stripes::take(1);
            record(&cells, &breaker, other)
        }
    });
    let mine = record(&cells, &breaker, one);
    assert!(mine ^ thread.join().unwrap());
    assert_eq!(cells.circuit(), Circuit::Open);
}

/// Three callers and two probes.
pub fn half_open_admits_its_probes() {
    let (cells, _) = opened();
    let then = T0 + 5 * SECOND;
    let callers: Vec<_> = (0..2)
        .map(|_| {
            let cells = Arc::clone(&cells);
            thread::spawn(move || admit(&cells, then).is_some())
        })
        .collect();
    let mine = admit(&cells, then).is_some();
    let admitted = callers.into_iter().filter_map(|caller| caller.join().ok()).filter(|&in_| in_).count();
    assert_eq!(admitted + usize::from(mine), 2);
}

/// A success that was admitted before it opened reports while the two probes do.
pub fn stale_outcomes_move_nothing() {
    let (cells, stale) = opened();
    let then = T0 + 5 * SECOND;
    let first = admit(&cells, then).expect("a probe");
    let late = thread::spawn({
        let cells = Arc::clone(&cells);
        move || cells.record(&quick(), stale, false, 0, then)
    });
    let change = cells.record(&quick(), first, false, 0, then);
    assert_eq!((change, late.join().unwrap()), (None, None));
    assert_eq!(cells.circuit(), Circuit::HalfOpen);
}

/// One probe is cancelled while another comes: a place is free for one more.
pub fn a_cancelled_probe_leaves_no_trace() {
    let (cells, _) = opened();
    let then = T0 + 5 * SECOND;
    let first = admit(&cells, then).expect("a probe");
    let canceller = thread::spawn({
        let cells = Arc::clone(&cells);
        move || cells.let_go(first)
    });
    let second = admit(&cells, then).expect("two probes");
    canceller.join().unwrap();
    let third = admit(&cells, then).expect("the place that was given back");
    assert!(admit(&cells, then).is_none());
    assert_ne!(second.place(), third.place());
}

/// Two retries want the last token.
pub fn budget_is_not_overdrawn() {
    let budget = Budget::default().ratio(1.0).min_per_second(0.0);
    let cells = Arc::new(budget::Cells::default());
    cells.deposit(&budget, T0);
    let other = thread::spawn({
        let (cells, budget) = (Arc::clone(&cells), budget.clone());
        move || cells.take(&budget, T0)
    });
    let mine = cells.take(&budget, T0);
    let other = other.join().unwrap();
    assert!(!(mine && other));
    // Refused for each other's sake: it is still there.
    assert_eq!(cells.take(&budget, T0), !(mine || other));
}

/// Two outcomes, and a bucket that both find outdated.
pub fn window_counts_once() {
    let window = Arc::new(Window::default());
    let length = 30 * SECOND;
    window.add(At::new(1, length, T0));
    let now = At::new(1, length, T0 + 30 * SECOND);
    let other = thread::spawn({
        let window = Arc::clone(&window);
        move || window.add(now)
    });
    window.add(now);
    other.join().unwrap();
    assert_eq!(window.sum(now), 2);
}

fn turn_of(entry: Entry) -> Option<u64> {
    match entry {
        Entry::Queued(number) => Some(number),
        _ => None,
    }
}

/// One place: its holder leaves while another comes, who is in at once or is called in.
pub fn queue_forgets_nobody() {
    let bulkhead = Bulkhead::new(1).max_queue(1);
    let cells = Arc::new(bulkhead::Cells::default());
    assert_eq!(cells.enter(&bulkhead), Entry::In);
    let leaver = thread::spawn({
        let cells = Arc::clone(&cells);
        move || {
            stripes::take(1);
            cells.leave(Limit::Fixed(1));
        }
    });
    let turn = turn_of(cells.enter(&bulkhead));
    leaver.join().unwrap();
    assert!(turn.is_none_or(|number| cells.has_turn(number)));
    assert_eq!(cells.occupied(), (1, 0));
}

/// Two places, one of them free; its thread and another come and go: there is always one, whoever spares it.
pub fn a_spared_place_is_not_missed() {
    let bulkhead = Bulkhead::new(2);
    let cells = Arc::new(bulkhead::Cells::default());
    assert_eq!(cells.enter(&bulkhead), Entry::In);
    let other = thread::spawn({
        let (cells, bulkhead) = (Arc::clone(&cells), bulkhead.clone());
        move || {
            stripes::take(1);
            assert_eq!(cells.enter(&bulkhead), Entry::In);
            cells.leave(bulkhead.limit);
        }
    });
    cells.leave(bulkhead.limit);
    assert_eq!(cells.enter(&bulkhead), Entry::In);
    other.join().unwrap();
    assert_eq!(cells.occupied(), (1, 0));
    assert_eq!([(); 2].map(|()| cells.enter(&bulkhead)), [Entry::In, Entry::Full]);
}

/// One place, that is spared: two who come at once do not both get it.
pub fn a_spared_place_is_one_callers() {
    let bulkhead = Bulkhead::new(1);
    let cells = Arc::new(bulkhead::Cells::default());
    assert_eq!(cells.enter(&bulkhead), Entry::In);
    cells.leave(bulkhead.limit);
    let other = thread::spawn({
        let (cells, bulkhead) = (Arc::clone(&cells), bulkhead.clone());
        move || {
            stripes::take(1);
            cells.enter(&bulkhead)
        }
    });
    let mine = cells.enter(&bulkhead);
    let other = other.join().unwrap();
    assert!((mine == Entry::In) ^ (other == Entry::In));
    assert_eq!(cells.occupied(), (1, 0));
}

/// The only call leaves its work behind, which keeps the only place: whoever comes meanwhile gets none.
pub fn abandoned_work_keeps_the_place() {
    let bulkhead = Bulkhead::new(1);
    let cells = Arc::new(bulkhead::Cells::default());
    assert_eq!(cells.enter(&bulkhead), Entry::In);
    let other = thread::spawn({
        let (cells, limit) = (Arc::clone(&cells), bulkhead.limit);
        move || {
            // The same stripe as the one who comes.
            cells.abandon();
            cells.leave(limit);
        }
    });
    assert_eq!(cells.enter(&bulkhead), Entry::Full);
    other.join().unwrap();
    assert_eq!(cells.enter(&bulkhead), Entry::Full);
}

/// Who queues goes away while it is called in.
pub fn leaver_leaves_no_trace() {
    let bulkhead = Bulkhead::new(1).max_queue(1);
    let cells = Arc::new(bulkhead::Cells::default());
    assert_eq!(cells.enter(&bulkhead), Entry::In);
    let number = turn_of(cells.enter(&bulkhead)).expect("it is full");
    let leaver = thread::spawn({
        let cells = Arc::clone(&cells);
        move || cells.leave(Limit::Fixed(1))
    });
    cells.leave_queue(Limit::Fixed(1), number);
    leaver.join().unwrap();
    assert_eq!((cells.occupied(), cells.enter(&bulkhead)), ((0, 0), Entry::In));
}

/// Abandoned work ends while a call comes, that finds no room because of it.
pub fn abandoned_work_calls_in() {
    let bulkhead = Bulkhead::new(1).max_queue(1);
    let cells = Arc::new(bulkhead::Cells::default());
    cells.abandon();
    let ender = thread::spawn({
        let cells = Arc::clone(&cells);
        move || cells.abandoned_ended(Limit::Fixed(1))
    });
    let turn = turn_of(cells.enter(&bulkhead));
    ender.join().unwrap();
    assert!(turn.is_none_or(|number| cells.has_turn(number)));
}
