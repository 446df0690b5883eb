//! The circuit breaker: stops sending attempts to a target that fails, and finds out by a few probes when it has recovered
//! (B1–B5). Counts attempts; its state is the target's, shared by all its proxies.
//!
//! The whole state is one word (which state, its generation, probes under way and probes that succeeded), so that every
//! change is one compare-and-swap. Each change begins a new generation; a permit carries the one it was given in, and an
//! outcome of an earlier generation moves nothing (B4).

use std::num::NonZeroU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::time::Duration;

use crate::clock::{Nanos, SECOND, nanos};
use crate::policy::window::{At, Window};
use crate::stripes::Striped;
use crate::sync::{AtomicU64, in_one_order};

/// When to open, for how long, and how to close again. The default opens when at least half of at least 20 attempts within
/// 30 s have failed.
///
/// ```
/// use std::time::Duration;
/// use ambassador_core::Breaker;
///
/// let strict = Breaker::default().failure_rate(0.2).open_for(Duration::from_secs(1)).consecutive_failures(5);
/// assert_eq!(strict.probes, 3);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Breaker {
    /// The share of failed attempts in the window from which on it opens: above 0, at most 1.
    pub failure_rate: f64,
    /// How many outcomes the window must hold before rates count.
    pub min_calls: u32,
    /// The window over which outcomes are counted.
    pub window: Nanos,
    /// Opens after so many failures in a row, whatever the rate.
    pub consecutive_failures: Option<u32>,
    /// An attempt that takes at least so long is slow.
    pub slow_call: Option<Nanos>,
    /// The share of slow attempts in the window from which on it opens; heeded when `slow_call` is set.
    pub slow_rate: f64,
    /// How long it stays open the first time; doubles with each reopening (B2).
    pub open_for: Nanos,
    /// How long it stays open at most.
    pub open_max: Nanos,
    /// How many attempts half-open lets through at once; as many successes close it (B3).
    pub probes: u32,
}

impl Default for Breaker {
    fn default() -> Breaker {
        Breaker {
            failure_rate: 0.5,
            min_calls: 20,
            window: 30 * SECOND,
            consecutive_failures: None,
            slow_call: None,
            slow_rate: 1.0,
            open_for: 5 * SECOND,
            open_max: 60 * SECOND,
            probes: 3,
        }
    }
}

impl Breaker {
    /// The most probes that may be set: each has a place of its own.
    pub const MOST_PROBES: u32 = 16;

    /// Sets the share of failures from which on it opens.
    pub fn failure_rate(self, failure_rate: f64) -> Breaker {
        Breaker { failure_rate, ..self }
    }

    /// Sets how many outcomes the window must hold before rates count.
    pub fn min_calls(self, min_calls: u32) -> Breaker {
        Breaker { min_calls, ..self }
    }

    /// Sets the window over which outcomes are counted.
    pub fn window(self, window: Duration) -> Breaker {
        Breaker { window: nanos(window), ..self }
    }

    /// Opens also after so many failures in a row.
    pub fn consecutive_failures(self, failures: impl Into<Option<u32>>) -> Breaker {
        Breaker { consecutive_failures: failures.into(), ..self }
    }

    /// Opens also when at least `slow_rate` of the attempts take at least so long.
    pub fn slow_call(self, slow_call: impl Into<Option<Duration>>) -> Breaker {
        Breaker { slow_call: slow_call.into().map(nanos), ..self }
    }

    /// Sets the share of slow attempts from which on it opens.
    pub fn slow_rate(self, slow_rate: f64) -> Breaker {
        Breaker { slow_rate, ..self }
    }

    /// Sets how long it stays open the first time.
    pub fn open_for(self, open_for: Duration) -> Breaker {
        Breaker { open_for: nanos(open_for), ..self }
    }

    /// Sets how long it stays open at most.
    pub fn open_max(self, open_max: Duration) -> Breaker {
        Breaker { open_max: nanos(open_max), ..self }
    }

    /// Sets how many attempts half-open lets through.
    pub fn probes(self, probes: u32) -> Breaker {
        Breaker { probes, ..self }
    }

    /// B2: how long the opening lasts that follows so many others.
    fn length_of_opening(&self, earlier: u64) -> Nanos {
        let doubled = self.open_for.saturating_mul(1 << earlier.min(40));
        doubled.min(self.open_max.max(self.open_for))
    }
}

/// A state of the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Circuit {
    /// Attempts go through and are counted.
    Closed = 0,
    /// Attempts are refused, for a time.
    Open = 1,
    /// A few attempts go through, to see.
    HalfOpen = 2,
    /// Refuses everything until it is reset by hand.
    Isolated = 3,
}

impl Circuit {
    /// Every state.
    pub const ALL: [Circuit; 4] = [Circuit::Closed, Circuit::Open, Circuit::HalfOpen, Circuit::Isolated];

    /// The name in events and health.
    pub const fn as_str(self) -> &'static str {
        match self {
            Circuit::Closed => "closed",
            Circuit::Open => "open",
            Circuit::HalfOpen => "half_open",
            Circuit::Isolated => "isolated",
        }
    }
}

/// A change of state, for the one who made it to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub from: Circuit,
    pub to: Circuit,
}

/// Leave to run one attempt: generation, and the place among the probes (from 1; 0 is no probe). One word, and so is an `Option`
/// of it, for every call has one: a copy of parts that were just written waits for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Permit(NonZeroU64);

impl Permit {
    const IS_ONE: u64 = 1 << 63;

    #[inline]
    pub const fn new(generation: u32, place: u8) -> Permit {
        match NonZeroU64::new(Permit::IS_ONE | (place as u64) << 32 | generation as u64) {
            Some(word) => Permit(word),
            None => unreachable!(),
        }
    }

    #[inline]
    pub const fn generation(self) -> u32 {
        self.0.get() as u32
    }

    #[inline]
    pub const fn place(self) -> u8 {
        (self.0.get() >> 32) as u8
    }
}

/// An attempt was refused; `after` is how long until one may go through, if that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub after: Option<Nanos>,
}

/// The state as one word: 16 bits of probes under way, 8 of probes that succeeded, 32 of generation, 6 of openings in a row, 2
/// of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Word(u64);

impl Word {
    fn new(circuit: Circuit, generation: u32, openings: u64) -> Word {
        Word((circuit as u64) << 62 | openings.min(63) << 56 | u64::from(generation) << 24)
    }

    #[inline]
    fn circuit(self) -> Circuit {
        Circuit::ALL[(self.0 >> 62) as usize]
    }

    fn openings(self) -> u64 {
        self.0 >> 56 & 63
    }

    #[inline]
    fn generation(self) -> u32 {
        (self.0 >> 24) as u32
    }

    fn succeeded(self) -> u32 {
        (self.0 >> 16 & 0xFF) as u32
    }

    fn under_way(self) -> u16 {
        self.0 as u16
    }

    fn with_probe(self, place: u8) -> Word {
        Word(self.0 | 1 << (place - 1))
    }

    fn without_probe(self, place: u8) -> Word {
        Word(self.0 & !(1 << (place - 1)))
    }

    fn with_success(self) -> Word {
        Word(self.0 + (1 << 16))
    }

    /// The same generation's next state.
    fn next(self, circuit: Circuit, openings: u64) -> Word {
        Word::new(circuit, self.generation().wrapping_add(1), openings)
    }
}

// An instant is kept beside the word, by whoever changed the word, after that. It is tagged by the low bits of the generation
// that it belongs to, so that nobody takes an earlier one for it.
const TAG_BITS: u32 = 4;
const TAG_MASK: u64 = (1 << TAG_BITS) - 1;
const INSTANT_MASK: u64 = u64::MAX >> TAG_BITS;

/// An instant that belongs to a generation: 36 years of nanoseconds, and a tag.
#[derive(Debug)]
struct Tagged(AtomicU64);

impl Tagged {
    fn word(generation: u32, instant: Nanos) -> u64 {
        (u64::from(generation) & TAG_MASK) << (64 - TAG_BITS) | instant & INSTANT_MASK
    }

    /// For what every generation stores: who was held up meanwhile does not overwrite what a later one has stored.
    fn store_in_order(&self, generation: u32, instant: Nanos) {
        let word = Tagged::word(generation, instant);
        let _ = self.0.fetch_update(Release, Relaxed, |present| {
            let ahead = (present >> (64 - TAG_BITS)).wrapping_sub(u64::from(generation)) & TAG_MASK;
            (ahead == 0 || ahead > TAG_MASK / 2).then_some(word)
        });
    }

    fn store(&self, generation: u32, instant: Nanos) {
        self.0.store(Tagged::word(generation, instant), Release);
    }

    /// `None` while it is not stored yet.
    fn load(&self, generation: u32) -> Option<Nanos> {
        let word = self.0.load(Acquire);
        (word >> (64 - TAG_BITS) == u64::from(generation) & TAG_MASK).then_some(word & INSTANT_MASK)
    }
}

/// What changes while attempts run.
#[derive(Debug)]
pub(crate) struct Cells {
    word: AtomicU64,
    /// Open: until when. Otherwise: since when. Stored by every generation.
    instant: Tagged,
    /// When the probe at each place counts as failed (B3).
    leases: [Tagged; Breaker::MOST_PROBES as usize],
    /// Outcomes, each in one of the two: successes come with every call, failures in trouble.
    successes: Striped<Window>,
    failures: Window,
    /// The same by how long attempts took, while slow ones matter.
    quick: Window,
    slow: Window,
    /// Generation and failures in a row.
    in_a_row: AtomicU64,
    /// How often each state was entered.
    pub entered: [AtomicU64; 4],
}

impl Default for Cells {
    fn default() -> Cells {
        Cells {
            word: AtomicU64::new(Word::new(Circuit::Closed, 0, 0).0),
            instant: Tagged(AtomicU64::new(0)),
            leases: std::array::from_fn(|_| Tagged(AtomicU64::new(TAG_MASK << (64 - TAG_BITS)))),
            successes: Striped::default(),
            failures: Window::default(),
            quick: Window::default(),
            slow: Window::default(),
            in_a_row: AtomicU64::new(0),
            entered: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

impl Cells {
    #[inline]
    fn word(&self) -> Word {
        Word(self.word.load(Acquire))
    }

    /// The one who succeeds has changed the state, and tells.
    fn change(&self, from: Word, to: Word, instant: Nanos) -> Option<Change> {
        self.word.compare_exchange(from.0, to.0, AcqRel, Acquire).ok()?;
        self.instant.store_in_order(to.generation(), instant);
        // What was counted is of no use any more, and is not to be found when generations come round.
        if matches!(to.circuit(), Circuit::Open | Circuit::Isolated | Circuit::Closed) {
            self.successes.begin(to.generation());
            for window in [&self.failures, &self.quick, &self.slow] {
                window.begin(to.generation());
            }
        }
        if from.circuit() != to.circuit() {
            self.entered[to.circuit() as usize].fetch_add(1, Relaxed);
        }
        Some(Change { from: from.circuit(), to: to.circuit() })
    }

    /// O2: leave for an attempt that starts now, with a lease until `now + lease` if it becomes a probe.
    #[inline]
    pub fn admit(&self, breaker: &Breaker, lease: Nanos, now: Nanos) -> (Result<Permit, Refused>, Option<Change>) {
        let word = self.word();
        if word.circuit() == Circuit::Closed {
            return (Ok(Permit::new(word.generation(), 0)), None);
        }
        self.admit_if_it_may(breaker, lease, now)
    }

    #[cold]
    fn admit_if_it_may(
        &self,
        breaker: &Breaker,
        lease: Nanos,
        now: Nanos,
    ) -> (Result<Permit, Refused>, Option<Change>) {
        loop {
            let word = self.word();
            match word.circuit() {
                Circuit::Closed => return (Ok(Permit::new(word.generation(), 0)), None),
                Circuit::Isolated => return (Err(Refused { after: None }), None),
                Circuit::Open => {
                    let Some(until) = self.instant.load(word.generation()) else {
                        if self.word() != word {
                            continue;
                        }
                        // Whoever opened it is about to say until when.
                        return (Err(Refused { after: None }), None);
                    };
                    // B2: half-open from exactly then on.
                    if now < until {
                        return (Err(Refused { after: Some(until - now) }), None);
                    }
                    let half_open = word.next(Circuit::HalfOpen, word.openings()).with_probe(1);
                    if let Some(change) = self.change(word, half_open, now) {
                        return (Ok(self.lease(half_open, 1, lease, now)), Some(change));
                    }
                }
                Circuit::HalfOpen => {
                    let free = (1..=breaker.probes.min(Breaker::MOST_PROBES) as u8)
                        .find(|place| word.under_way() & 1 << (place - 1) == 0);
                    // B3: as many as are still needed, and no more.
                    if let Some(place) =
                        free.filter(|_| word.under_way().count_ones() + word.succeeded() < breaker.probes)
                    {
                        let admitted = word.with_probe(place);
                        if self.word.compare_exchange(word.0, admitted.0, AcqRel, Acquire).is_ok() {
                            return (Ok(self.lease(admitted, place, lease, now)), None);
                        }
                        continue;
                    }
                    if !self.has_a_lost_probe(word, lease, now) {
                        return (Err(Refused { after: None }), None);
                    }
                    if let Some(change) = self.open(breaker, word, now) {
                        let until = self.instant.load(self.word().generation());
                        return (Err(Refused { after: until.and_then(|until| until.checked_sub(now)) }), Some(change));
                    }
                }
            }
        }
    }

    fn lease(&self, word: Word, place: u8, lease: Nanos, now: Nanos) -> Permit {
        let generation = word.generation();
        self.leases[usize::from(place) - 1].store(generation, now.saturating_add(lease));
        Permit::new(generation, place)
    }

    /// B3: half-open cannot wedge. A probe whose lease is not there (its thread was held up before it could store it) has what
    /// it would have if it had begun with the state.
    fn has_a_lost_probe(&self, word: Word, lease: Nanos, now: Nanos) -> bool {
        let generation = word.generation();
        let usual = || self.instant.load(generation).map(|since| since.saturating_add(lease));
        (0..Breaker::MOST_PROBES as usize)
            .filter(|place| word.under_way() & 1 << place != 0)
            .any(|place| self.leases[place].load(generation).or_else(usual).is_some_and(|end| end <= now))
    }

    /// Opens from closed or half-open; `None` when somebody else changed the state first.
    fn open(&self, breaker: &Breaker, word: Word, now: Nanos) -> Option<Change> {
        let since = self.instant.load(word.generation());
        // B2: after one full window closed, counting begins anew.
        let has_held =
            word.circuit() == Circuit::Closed && since.is_some_and(|since| now.saturating_sub(since) >= breaker.window);
        let earlier = if has_held { 0 } else { word.openings() };
        let open = word.next(Circuit::Open, earlier + 1);
        self.change(word, open, now.saturating_add(breaker.length_of_opening(earlier)))
    }

    /// An attempt ended; cancelled ones are [`let_go`](Cells::let_go).
    #[inline]
    pub fn record(&self, breaker: &Breaker, permit: Permit, failed: bool, took: Nanos, now: Nanos) -> Option<Change> {
        let word = self.word();
        // B4
        if word.generation() != permit.generation() {
            return None;
        }
        let slow = breaker.slow_call.is_some_and(|slow_call| took >= slow_call);
        match word.circuit() {
            Circuit::Closed => self.count(breaker, word, failed, slow, now),
            Circuit::HalfOpen => self.report(breaker, permit, failed || slow, now),
            Circuit::Open | Circuit::Isolated => None,
        }
    }

    #[inline]
    fn count(&self, breaker: &Breaker, word: Word, failed: bool, slow: bool, now: Nanos) -> Option<Change> {
        let at = At::new(word.generation(), breaker.window, now);
        if failed {
            self.failures.add(at)
        } else {
            self.successes.add(at)
        }
        let mut trips = false;
        if let Some(most) = breaker.consecutive_failures {
            trips = self.failures_in_a_row(word.generation(), failed) >= u64::from(most);
        }
        // B1: after each outcome is recorded, which counts; of two at once, one sees the other. Failures are read first: their share
        // as it is weighed is then one that there was at some moment, or less. While there is none, there is nothing to weigh.
        in_one_order();
        let failures = self.failures.sum(at);
        if failures > 0 {
            trips |= reaches(failures, self.successes.total(at), breaker.min_calls, breaker.failure_rate);
        }
        if breaker.slow_call.is_some() {
            if slow {
                self.slow.add(at)
            } else {
                self.quick.add(at)
            }
            in_one_order();
            trips |= reaches(self.slow.sum(at), self.quick.sum(at), breaker.min_calls, breaker.slow_rate);
        }
        if trips { self.open(breaker, word, now) } else { None }
    }

    fn failures_in_a_row(&self, generation: u32, failed: bool) -> u64 {
        let key = u64::from(generation) << 32;
        let mut present = self.in_a_row.load(Acquire);
        loop {
            let before = if present >> 32 == key >> 32 { present & u64::from(u32::MAX) } else { 0 };
            let after = if failed { before + 1 } else { 0 };
            // As a rule: success after success, and no thread takes the word out of another's hands for that.
            if present == key | after {
                return after;
            }
            match self.in_a_row.compare_exchange_weak(present, key | after, AcqRel, Acquire) {
                Ok(_) => return after,
                Err(other) => present = other,
            }
        }
    }

    /// B3: a probe has reported.
    #[cold]
    fn report(&self, breaker: &Breaker, permit: Permit, failed: bool, now: Nanos) -> Option<Change> {
        loop {
            let word = self.word();
            if word.generation() != permit.generation() || permit.place() == 0 {
                return None;
            }
            // Too late to count as anything else, though nobody has asked meanwhile.
            let lease = self.leases[usize::from(permit.place()) - 1].load(word.generation());
            if failed || lease.is_some_and(|end| now > end) {
                if let Some(change) = self.open(breaker, word, now) {
                    return Some(change);
                }
                continue;
            }
            let succeeded = word.without_probe(permit.place()).with_success();
            if succeeded.succeeded() < breaker.probes {
                if self.word.compare_exchange(word.0, succeeded.0, AcqRel, Acquire).is_ok() {
                    return None;
                }
                continue;
            }
            let closed = word.next(Circuit::Closed, word.openings());
            if let Some(change) = self.change(word, closed, now) {
                return Some(change);
            }
        }
    }

    /// The attempt was cancelled, or never ran: a probe gives its place back, and nothing moves (B3).
    pub fn let_go(&self, permit: Permit) {
        if permit.place() == 0 {
            return;
        }
        let _ = self.word.fetch_update(AcqRel, Acquire, |word| {
            let word = Word(word);
            (word.generation() == permit.generation() && word.circuit() == Circuit::HalfOpen)
                .then(|| word.without_probe(permit.place()).0)
        });
    }

    /// R6: whether an attempt that would start at `then` is certain to be refused.
    pub fn will_refuse(&self, then: Nanos) -> bool {
        let word = self.word();
        match word.circuit() {
            Circuit::Closed | Circuit::HalfOpen => false,
            Circuit::Open => self.instant.load(word.generation()).is_none_or(|until| then < until),
            Circuit::Isolated => true,
        }
    }

    /// By hand; beats every timer.
    pub fn isolate(&self, now: Nanos) -> Option<Change> {
        loop {
            let word = self.word();
            if word.circuit() == Circuit::Isolated {
                return None;
            }
            if let Some(change) = self.change(word, word.next(Circuit::Isolated, word.openings()), now) {
                return Some(change);
            }
        }
    }

    /// By hand: closed, with an empty window and nothing to double.
    pub fn reset(&self, now: Nanos) -> Option<Change> {
        loop {
            let word = self.word();
            let closed = word.next(Circuit::Closed, 0);
            if let Some(change) = self.change(word, closed, now) {
                return (change.from != change.to).then_some(change);
            }
        }
    }

    /// The state at that instant. What is open and has run out its time is told as open until an attempt tries it.
    pub fn circuit(&self) -> Circuit {
        self.word().circuit()
    }

    /// How long until it lets a probe through, when it is open.
    pub fn open_for(&self, now: Nanos) -> Option<Nanos> {
        let word = self.word();
        let until = self.instant.load(word.generation())?;
        (word.circuit() == Circuit::Open).then(|| until.saturating_sub(now))
    }

    /// What was counted over a window of another length says nothing about this one.
    pub fn forget_counts(&self) {
        // What could open it goes first, lest it be weighed against nothing.
        for window in [&self.failures, &self.slow] {
            window.forget();
        }
        self.successes.forget();
        self.quick.forget();
    }

    /// Outcomes and failures in the window.
    pub fn counts(&self, breaker: &Breaker, now: Nanos) -> (u64, u64) {
        let at = At::new(self.word().generation(), breaker.window, now);
        let failures = self.failures.sum(at);
        (failures + self.successes.total(at), failures)
    }
}

/// B1: whether enough outcomes were counted, and at least that share of them as failed or slow. Divided rather than multiplied:
/// the quotient of two small numbers is the same binary fraction as the rate that somebody wrote.
fn reaches(bad: u64, good: u64, least: u32, rate: f64) -> bool {
    let outcomes = bad + good;
    bad > 0 && outcomes >= u64::from(least) && bad as f64 / outcomes as f64 >= rate
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    const T0: Nanos = 3000 * SECOND;
    const LEASE: Nanos = 2 * SECOND;

    struct Fixture {
        breaker: Breaker,
        cells: Cells,
    }

    impl Fixture {
        fn new(breaker: Breaker) -> Fixture {
            Fixture { breaker, cells: Cells::default() }
        }

        fn admit(&self, now: Nanos) -> Result<Permit, Refused> {
            self.cells.admit(&self.breaker, LEASE, now).0
        }

        fn record(&self, permit: Permit, failed: bool, now: Nanos) -> Option<Change> {
            self.cells.record(&self.breaker, permit, failed, 0, now)
        }

        fn run(&self, failed: bool, now: Nanos) {
            let permit = self.admit(now).expect("closed");
            self.record(permit, failed, now);
        }

        /// Opens it at `now`, by as many failures as it takes.
        fn trip(&self, now: Nanos) {
            while self.cells.circuit() != Circuit::Open {
                self.run(true, now);
            }
        }
    }

    fn default() -> Fixture {
        Fixture::new(Breaker::default())
    }

    #[test]
    fn it_opens_at_the_minimum_and_not_before() {
        let it = default();
        for _ in 0..19 {
            it.run(true, T0);
        }
        assert_eq!(it.cells.circuit(), Circuit::Closed);
        it.run(true, T0);
        assert_eq!(it.cells.circuit(), Circuit::Open);
        assert_eq!(it.admit(T0), Err(Refused { after: Some(5 * SECOND) }));
    }

    #[test]
    fn the_outcome_that_is_recorded_counts_also_when_it_is_a_success() {
        let it = default();
        for n in 0..20 {
            it.run(n < 10, T0);
        }
        assert_eq!(it.cells.circuit(), Circuit::Open);
        let just_below = default();
        for n in 0..20 {
            just_below.run(n < 9, T0);
        }
        assert_eq!(just_below.cells.circuit(), Circuit::Closed);
    }

    #[test]
    fn it_is_half_open_from_exactly_its_time_on() {
        let it = default();
        it.trip(T0);
        assert_eq!(it.admit(T0 + 5 * SECOND - 1), Err(Refused { after: Some(1) }));
        assert_eq!(it.cells.circuit(), Circuit::Open);
        assert!(it.admit(T0 + 5 * SECOND).is_ok());
        assert_eq!(it.cells.circuit(), Circuit::HalfOpen);
    }

    #[test]
    fn half_open_lets_its_probes_through_and_refuses_the_others() {
        let it = default();
        it.trip(T0);
        let now = T0 + 5 * SECOND;
        let probes: Vec<Permit> = (0..3).map(|_| it.admit(now).unwrap()).collect();
        assert_eq!(it.admit(now), Err(Refused { after: None }));
        for (n, probe) in probes.into_iter().enumerate() {
            let change = it.record(probe, false, now);
            assert_eq!(change.is_some(), n == 2);
        }
        assert_eq!((it.cells.circuit(), it.cells.counts(&it.breaker, now)), (Circuit::Closed, (0, 0)));
    }

    #[test]
    fn one_failed_probe_reopens_for_twice_as_long_up_to_the_cap() {
        let it = default();
        it.trip(T0);
        let mut now = T0;
        for seconds in [5, 10, 20, 40, 60, 60] {
            let length = seconds * SECOND;
            assert_eq!(it.admit(now), Err(Refused { after: Some(length) }));
            now += length;
            let probe = it.admit(now).unwrap();
            assert_eq!(it.record(probe, true, now), Some(Change { from: Circuit::HalfOpen, to: Circuit::Open }));
        }
    }

    fn close(it: &Fixture, now: Nanos) {
        for _ in 0..3 {
            let probe = it.admit(now).unwrap();
            it.record(probe, false, now);
        }
        assert_eq!(it.cells.circuit(), Circuit::Closed);
    }

    #[test]
    fn the_doubling_goes_on_until_it_was_closed_for_a_full_window() {
        for (closed_for, next) in [(30 * SECOND - 1, 10), (30 * SECOND, 5)] {
            let it = default();
            it.trip(T0);
            let closed_at = T0 + 5 * SECOND;
            close(&it, closed_at);
            it.trip(closed_at + closed_for);
            assert_eq!(it.admit(closed_at + closed_for), Err(Refused { after: Some(next * SECOND) }));
        }
    }

    #[test]
    fn a_cancelled_probe_gives_its_place_back_and_moves_nothing() {
        let it = default();
        it.trip(T0);
        let now = T0 + 5 * SECOND;
        let probes: Vec<Permit> = (0..3).map(|_| it.admit(now).unwrap()).collect();
        it.cells.let_go(probes[1]);
        assert_eq!(it.cells.circuit(), Circuit::HalfOpen);
        let again = it.admit(now).unwrap();
        assert_eq!(again.place(), probes[1].place());
        assert!(it.admit(now).is_err());
    }

    #[test]
    fn a_probe_that_never_reports_counts_as_failed_when_its_lease_ends() {
        let it = default();
        it.trip(T0);
        let now = T0 + 5 * SECOND;
        let lost: Vec<Permit> = (0..3).map(|_| it.admit(now).unwrap()).collect();
        assert_eq!(it.admit(now + LEASE - 1), Err(Refused { after: None }));
        assert_eq!(it.admit(now + LEASE), Err(Refused { after: Some(10 * SECOND) }));
        assert_eq!(it.cells.circuit(), Circuit::Open);
        // What they report later moves nothing.
        assert_eq!(it.record(lost[0], false, now + LEASE), None);
        assert!(it.admit(now + LEASE + 10 * SECOND).is_ok());
    }

    #[test]
    fn an_outcome_of_an_earlier_generation_moves_nothing() {
        let it = default();
        let stale = it.admit(T0).unwrap();
        it.trip(T0);
        let now = T0 + 5 * SECOND;
        let _probe = it.admit(now).unwrap();
        assert_eq!((it.record(stale, false, now), it.record(stale, true, now)), (None, None));
        assert_eq!(it.cells.circuit(), Circuit::HalfOpen);
        it.cells.let_go(stale);
        assert_eq!(it.cells.word().under_way(), 1);
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_success_between_them_does_not() {
        let it = Fixture::new(Breaker::default().consecutive_failures(3));
        for failed in [true, true, false, true, true] {
            it.run(failed, T0);
        }
        assert_eq!(it.cells.circuit(), Circuit::Closed);
        it.run(true, T0);
        assert_eq!(it.cells.circuit(), Circuit::Open);
    }

    #[test]
    fn slow_attempts_open_it_and_a_slow_probe_fails() {
        let it = Fixture::new(Breaker::default().slow_call(Duration::from_secs(1)).slow_rate(0.5).min_calls(4));
        let run = |took, now| {
            let permit = it.admit(now).unwrap();
            it.cells.record(&it.breaker, permit, false, took, now)
        };
        for took in [0, SECOND, SECOND - 1] {
            assert_eq!(run(took, T0), None);
        }
        assert!(run(SECOND, T0).is_some());
        assert_eq!(run(SECOND, T0 + 5 * SECOND), Some(Change { from: Circuit::HalfOpen, to: Circuit::Open }));
    }

    #[test]
    fn isolated_beats_every_timer_until_it_is_reset() {
        let it = default();
        it.trip(T0);
        assert!(it.cells.isolate(T0).is_some() && it.cells.isolate(T0).is_none());
        assert_eq!(it.admit(T0 + 3600 * SECOND), Err(Refused { after: None }));
        assert!(it.cells.will_refuse(T0 + 3600 * SECOND));
        it.cells.reset(T0 + 3600 * SECOND);
        it.trip(T0 + 3600 * SECOND);
        assert_eq!(it.admit(T0 + 3600 * SECOND), Err(Refused { after: Some(5 * SECOND) }));
    }

    #[test]
    fn whether_an_attempt_will_be_refused_is_known_before_the_wait() {
        let it = default();
        assert!(!it.cells.will_refuse(T0));
        it.trip(T0);
        assert!(it.cells.will_refuse(T0 + 5 * SECOND - 1));
        assert!(!it.cells.will_refuse(T0 + 5 * SECOND));
    }
}
