//! One call as a state machine without I/O: it is told what happened and when, and answers what to do next. It never
//! sleeps, reads a clock, takes a lock or allocates while a call succeeds at once, so the same code serves threads, event
//! loops, C callbacks and simulations in virtual time.
//!
//! A [`Call`] is plain numbers, so a host may keep it wherever it likes; [`AmbassadorProxy`](crate::AmbassadorProxy) is
//! how a host drives it. Carries out O1–O3, R1–R6, T1, T3, H1, and asks the policies' cells and the endpoints where B, L, E and H2
//! say so.

mod endpoints;
mod flat;
mod hedging;

use std::sync::atomic::Ordering::Relaxed;

use tracing::Level;

pub(crate) use flat::Flat;

use crate::balance::{Choice, Place, hash};
use crate::clock::{NEVER, Nanos, SECOND};
use crate::error::Code;
use crate::event::{self, Event};
use crate::policy::breaker::Permit;
use crate::policy::bulkhead::{Entry, Limit};
use crate::policy::hedge::{After, Ended, Race, Racer};
use crate::policy::{Policy, Shared};
use crate::target::State;
use crate::telemetry::spans::{NUMBER_BITS, Span};
use crate::testing;

/// How long an attempt without a bound may be a probe of the breaker's before it counts as failed (B3).
const LEASE: Nanos = 10 * SECOND;

/// In a call's words the number of its span stands above the breaker's permit, or the number of its race.
const SPAN_SHIFT: u32 = u64::BITS - NUMBER_BITS;

/// A call in flight. Copying it does not make a second call: keep one, and drive that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    entered: Nanos,
    started: Nanos,
    /// While an attempt runs, its bound; while the call waits, when the wait is over.
    until: Nanos,
    /// The wait before this attempt; of a refused call, how long until it may come again, 0 if nobody knows.
    previous_wait: Nanos,
    attempt: u32,
    /// How many hedges have begun beside the attempt that was the first of those that run (H1); [`NO_MORE`] when none may.
    hedges: u8,
    /// The number of the attempt that ended last.
    ended: u8,
    phase: Phase,
    last: Outcome,
    /// Why it ended, when something else may still answer.
    stop: Stop,
    is_rejected: bool,
    /// The bulkhead's place.
    has_place: bool,
    /// The breaker's leave for the running attempt.
    permit: Option<Permit>,
    /// Where the attempts are kept that run at once; 0 while there is one at most.
    race: u64,
    /// Of the wait: when the budget's token was taken, which turn of the rate limit it is, which number in the queue.
    number: u64,
    /// Where the running attempt goes, of several the newest; none where the target itself is the one endpoint.
    place: Place,
    /// Which endpoints this call has tried, by their slots modulo 64 (E2).
    tried: u64,
    /// What endpoints are found by that are chosen by a key (E1); 0 without one.
    key: u64,
    /// The number of its span, while spans are exported; 0 for none.
    span: u32,
}

/// What a call holds that has just begun its first attempt, as a rule: [`Call::just_begun`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    /// A place in the bulkhead.
    pub has_place: bool,
    /// The breaker's leave, by the generation that it was given in.
    pub leave: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running = 0,
    /// Between two attempts.
    Waiting = 1,
    Ended = 2,
    /// For its turn by the rate limit.
    InTurn = 3,
    /// For a place in the bulkhead.
    Queued = 4,
    /// Its error is being answered by something of the host's (H2).
    Answering = 5,
    /// For the first endpoints to be found (E4).
    Seeking = 6,
}

impl Phase {
    const fn from_number(number: u8) -> Phase {
        match number {
            0 => Phase::Running,
            1 => Phase::Waiting,
            3 => Phase::InTurn,
            4 => Phase::Queued,
            5 => Phase::Answering,
            6 => Phase::Seeking,
            _ => Phase::Ended,
        }
    }
}

/// No more hedges begin beside the attempts that run.
const NO_MORE: u8 = u8::MAX;

/// What policies a call is driven by.
#[derive(Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub policy: &'a Policy,
    pub shared: &'a Shared,
    pub state: &'a State,
}

/// How an attempt ended (A1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Outcome {
    /// A success; its value is handed back as is.
    Ok = 0,
    /// A failure that may be tried again.
    Retry = 1,
    /// A failure that may not.
    Fail = 2,
    /// It had not ended at its bound.
    Timeout = 3,
    /// Control flow ended it: a cancelled task, an interrupt, Ctrl-C (A3).
    Cancelled = 4,
    /// A failure that may be tried again, by which the target is not the worse: it said that it is asked too much, or too early (P3).
    Deferred = 5,
    /// It had not ended at its bound, and may not be tried again: what it did by then is not known (P2).
    Overdue = 6,
}

impl Outcome {
    /// The outcome of that number; anything else is [`Outcome::Retry`], the default for failures.
    #[inline]
    pub const fn from_number(number: u8) -> Outcome {
        match number {
            0 => Outcome::Ok,
            2 => Outcome::Fail,
            3 => Outcome::Timeout,
            4 => Outcome::Cancelled,
            5 => Outcome::Deferred,
            6 => Outcome::Overdue,
            _ => Outcome::Retry,
        }
    }

    /// The name in events and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Retry | Outcome::Fail | Outcome::Deferred => "failure",
            Outcome::Timeout | Outcome::Overdue => "timeout",
            Outcome::Cancelled => "cancelled",
        }
    }
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// Run an attempt now.
    Run,
    /// Wait until that instant, never less, then ask again.
    WaitUntil(Nanos),
    /// The call is over: hand this to the caller. Attempts that still run are lost, and were recorded as cancelled.
    Finish(Give, Stop),
    /// An attempt has ended, and others of the call still run (H1): wait for the next of them to end.
    Await,
}

/// Whether another attempt begins beside those that run (H1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Hedge {
    /// One has begun: run it. Its number and bound are the call's now.
    Run,
    /// Ask again at that instant, if an attempt runs then.
    At(Nanos),
    /// Not until the next attempt that follows a wait.
    Never,
}

/// What the caller gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Give {
    /// The value of the attempt that just ended; see [`Call::ended`].
    Value,
    /// The error of the attempt that ended last, the same object (A4); see [`Call::ended`].
    LastError,
    /// An error of the ambassador's, its cause the last real error if there is one.
    Error(Code),
}

/// Why a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stop {
    /// An attempt succeeded.
    Ok = 0,
    /// The failure may not be tried again.
    NotRetryable = 1,
    /// No attempt is left.
    Exhausted = 2,
    /// The deadline passed, or would have before the next attempt (R4).
    Deadline = 3,
    /// The server asked for a longer wait than `hint_max` (R3).
    HintTooLong = 4,
    /// Control flow ended it.
    Cancelled = 5,
    /// The ambassador is shutting down.
    Shutdown = 6,
    /// The ambassador itself failed (F1).
    Internal = 7,
    /// The circuit breaker refused the attempt, or would have after the wait (B5, R6).
    CircuitOpen = 8,
    /// The retry budget is empty (R5).
    BudgetEmpty = 9,
    /// No place came free in the bulkhead (L1).
    BulkheadFull = 10,
    /// The rate limit had no turn for it (L2).
    RateLimited = 11,
    /// There is no endpoint to go to (E3, E4).
    NoEndpoint = 12,
}

impl Stop {
    /// Every reason.
    pub const ALL: [Stop; 13] = [
        Stop::Ok,
        Stop::NotRetryable,
        Stop::Exhausted,
        Stop::Deadline,
        Stop::HintTooLong,
        Stop::Cancelled,
        Stop::Shutdown,
        Stop::Internal,
        Stop::CircuitOpen,
        Stop::BudgetEmpty,
        Stop::BulkheadFull,
        Stop::RateLimited,
        Stop::NoEndpoint,
    ];

    /// In words, for notes and events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Stop::Ok => "succeeded",
            Stop::NotRetryable => "not retryable",
            Stop::Exhausted => "retries exhausted",
            Stop::Deadline => "no time left before the deadline",
            Stop::HintTooLong => "the server asked for a longer wait than hint_max",
            Stop::Cancelled => "cancelled",
            Stop::Shutdown => "shutting down",
            Stop::Internal => "internal fault of the ambassador",
            Stop::CircuitOpen => "the circuit is open",
            Stop::BudgetEmpty => "the retry budget is empty",
            Stop::BulkheadFull => "the bulkhead is full",
            Stop::RateLimited => "rate limited",
            Stop::NoEndpoint => "there is no endpoint",
        }
    }
}

impl Decision {
    /// The decision as one number, for hosts to which only numbers go: 0 is `Run`, a positive number the instant of
    /// `WaitUntil`, a negative one `Finish`: −(1 + stop + 16·give), where `stop` is the position in [`Stop`] and `give` is 0 for
    /// `Value`, 1 for `LastError`, 2 + i for the error of `Code::ALL[i]`; the least number of all is `Await`.
    #[inline]
    pub const fn pack(self) -> i64 {
        match self {
            Decision::Run => 0,
            Decision::Await => i64::MIN,
            Decision::WaitUntil(at) => {
                if at > i64::MAX as u64 {
                    i64::MAX
                } else if at == 0 {
                    1
                } else {
                    at as i64
                }
            }
            Decision::Finish(give, stop) => {
                let give = match give {
                    Give::Value => 0,
                    Give::LastError => 1,
                    Give::Error(code) => 2 + code as i64,
                };
                -(1 + stop as i64 + 16 * give)
            }
        }
    }

    /// The decision of a number that [`pack`](Decision::pack) made; of any other, the end of the call.
    pub fn unpack(packed: i64) -> Decision {
        match packed {
            0 => Decision::Run,
            i64::MIN => Decision::Await,
            at if at > 0 => Decision::WaitUntil(at as Nanos),
            finish => {
                let number = -(finish + 1);
                let stop = Stop::ALL.get((number % 16) as usize).copied().unwrap_or(Stop::Internal);
                let give = match number / 16 {
                    0 => Give::Value,
                    1 => Give::LastError,
                    code => Code::ALL.get(code as usize - 2).map_or(Give::LastError, |&code| Give::Error(code)),
                };
                Decision::Finish(give, stop)
            }
        }
    }
}

impl Call {
    /// How many words [`to_words`](Call::to_words) gives.
    pub const WORDS: usize = 10;

    /// The answer to whatever is said of a call that is over.
    pub(crate) const OVER: Decision = Decision::Finish(Give::LastError, Stop::Cancelled);

    #[inline]
    const fn new(phase: Phase, attempt: u32, now: Nanos) -> Call {
        Call {
            entered: now,
            started: now,
            until: NEVER,
            previous_wait: 0,
            attempt,
            hedges: 0,
            ended: 0,
            phase,
            last: Outcome::Ok,
            stop: Stop::Ok,
            is_rejected: false,
            has_place: false,
            permit: None,
            race: 0,
            number: 0,
            place: Place::NONE,
            tried: 0,
            key: 0,
            span: 0,
        }
    }

    /// What a function sees of its one attempt when the core failed (F1): a first attempt, unbounded.
    pub const fn direct(now: Nanos) -> Call {
        Call::new(Phase::Ended, 1, now)
    }

    /// The number of the attempt that runs, or ran last: 1, 2, 3 …; 0 when none has run.
    #[inline]
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// When the call entered.
    #[inline]
    pub const fn entered(&self) -> Nanos {
        self.entered
    }

    /// When the present attempt started.
    #[inline]
    pub const fn started(&self) -> Nanos {
        self.started
    }

    /// When the running attempt, of several the newest, must have ended: the earlier of its timeout and the call's deadline;
    /// [`NEVER`] when neither is set.
    #[inline]
    pub const fn bound(&self) -> Nanos {
        self.until
    }

    /// How long the call has taken so far.
    #[inline]
    pub const fn elapsed(&self, now: Nanos) -> Nanos {
        now.saturating_sub(self.entered)
    }

    pub(crate) const fn is_rejected(&self) -> bool {
        self.is_rejected
    }

    /// Of a call that was refused: how long after its refusal it may come again, when that is known.
    pub const fn retry_after(&self) -> Option<Nanos> {
        if self.is_rejected && self.previous_wait > 0 { Some(self.previous_wait) } else { None }
    }

    /// What there is to be kept of a call that has just begun to run, besides when its attempt must have ended: `None` where that is
    /// more, such as an endpoint, a key, a span, or a place among the breaker's probes. Asked of any other call, it says nothing.
    #[inline]
    pub const fn just_begun(&self) -> Option<Begun> {
        let leave = match self.permit {
            Some(permit) if permit.place() == 0 => Some(permit.generation()),
            Some(_) => return None,
            None => None,
        };
        if self.place.is_none() && self.key == 0 && self.span == 0 {
            Some(Begun { has_place: self.has_place, leave })
        } else {
            None
        }
    }

    /// The call of which that was told: when it entered, and until when its first attempt runs.
    #[inline]
    pub const fn begun(entered: Nanos, until: Nanos, Begun { has_place, leave }: Begun) -> Call {
        let permit = match leave {
            Some(generation) => Some(Permit::new(generation, 0)),
            None => None,
        };
        Call { until, has_place, permit, ..Call::new(Phase::Running, 1, entered) }
    }

    /// The call as plain numbers, for a host that keeps it so.
    #[inline]
    pub const fn to_words(&self) -> [u64; Call::WORDS] {
        let (permit, has_permit) = match self.permit {
            // Those that run at once have their own; the two are never there together.
            _ if self.race != 0 => (self.race, 1 << 3),
            Some(permit) => (permit.generation() as u64 | (permit.place() as u64) << 32, 1 << 2),
            None => (0, 0),
        };
        let flags = self.is_rejected as u64 | (self.has_place as u64) << 1 | has_permit;
        let state = self.attempt as u8 as u64
            | (self.hedges as u64) << 8
            | (self.ended as u64) << 16
            | (self.phase as u64) << 32
            | (self.last as u64) << 40
            | (self.stop as u64) << 48
            | flags << 56;
        let permit = permit | (self.span as u64) << SPAN_SHIFT;
        let Call { entered, started, until, previous_wait, number, tried, key, .. } = *self;
        [entered, started, until, previous_wait, state, permit, number, self.place.to_word(), tried, key]
    }

    /// The call of numbers that [`to_words`](Call::to_words) gave.
    #[inline]
    pub const fn from_words(
        [entered, started, until, previous_wait, state, permit, number, place, tried, key]: [u64; Call::WORDS],
    ) -> Call {
        let flags = state >> 56;
        let (permit, span) = (permit & ((1 << SPAN_SHIFT) - 1), (permit >> SPAN_SHIFT) as u32);
        let is_racing = flags & 8 != 0 && permit != 0;
        let stop = (state >> 48) as u8 as usize;
        Call {
            entered,
            started,
            until,
            previous_wait,
            attempt: state as u8 as u32,
            hedges: (state >> 8) as u8,
            ended: (state >> 16) as u8,
            phase: Phase::from_number((state >> 32) as u8),
            last: Outcome::from_number((state >> 40) as u8),
            stop: if stop < Stop::ALL.len() { Stop::ALL[stop] } else { Stop::Internal },
            is_rejected: flags & 1 != 0,
            has_place: flags & 2 != 0,
            permit: if flags & 4 != 0 && !is_racing {
                Some(Permit::new(permit as u32, (permit >> 32) as u8 % 17))
            } else {
                None
            },
            race: if is_racing { permit } else { 0 },
            number,
            place: Place::from_word(place),
            tried,
            key,
            span,
        }
    }

    /// A call that comes now, and has to [enter](crate::AmbassadorProxy::enter).
    #[inline]
    pub const fn coming(now: Nanos) -> Call {
        Call::new(Phase::Running, 0, now)
    }

    /// O1: a call enters now. Its deadline's clock starts; then it is the rate limit's turn, the bulkhead's, the breaker's.
    #[inline]
    pub(crate) fn enter(&mut self, rules: Rules<'_>, now: Nanos) -> Decision {
        match &rules.shared.rate_limit {
            None => self.ask_for_a_place(rules, now),
            Some(_) => self.ask_for_a_turn(rules, now),
        }
    }

    /// L2
    #[cold]
    fn ask_for_a_turn(&mut self, rules: Rules<'_>, now: Nanos) -> Decision {
        let Some(limit) = &rules.shared.rate_limit else { return self.ask_for_a_place(rules, now) };
        match rules.state.rate_limit.ask(limit, now) {
            Err(after) => self.refuse(rules, now, Code::RateLimited, after),
            Ok(turn) if turn.at <= now => self.ask_for_a_place(rules, now),
            // R4's sense: never wait in vain.
            Ok(turn) if turn.at >= self.deadline(rules.policy) => {
                rules.state.rate_limit.give_back(limit, turn.next);
                self.refuse(rules, now, Code::RateLimited, turn.at - now)
            }
            Ok(turn) => self.wait(Phase::InTurn, turn.next, turn.at),
        }
    }

    /// L1
    #[inline]
    fn ask_for_a_place(&mut self, rules: Rules<'_>, now: Nanos) -> Decision {
        let Some(bulkhead) = &rules.shared.bulkhead else { return self.first_attempt(rules, now) };
        match rules.state.bulkhead.enter(bulkhead) {
            Entry::In => {
                self.has_place = true;
                self.first_attempt(rules, now)
            }
            Entry::Full => self.refuse(rules, now, Code::BulkheadFull, 0),
            Entry::Queued(number) => {
                let patience = bulkhead.queue_timeout.or(rules.policy.timeout);
                let until = patience.map_or(NEVER, |patience| now.saturating_add(patience));
                self.wait(Phase::Queued, number, until.min(self.deadline(rules.policy)))
            }
        }
    }

    #[inline]
    fn first_attempt(&mut self, rules: Rules<'_>, now: Nanos) -> Decision {
        // Only after a wait. What has expired is not run.
        if now > self.entered && now >= self.deadline(rules.policy) {
            self.last = Outcome::Timeout;
            return self.finish(rules, now, Give::Error(Code::Deadline), Stop::Deadline);
        }
        let has_endpoints = rules.state.endpoints.is_on();
        if has_endpoints && self.phase != Phase::Seeking && rules.state.endpoints.is_awaited() {
            return self.seek(rules, now);
        }
        match ask_the_breaker(rules, now) {
            Ok(permit) => self.permit = permit,
            Err(after) => return self.refuse(rules, now, Code::CircuitOpen, after),
        }
        if has_endpoints && !self.find_endpoint(rules, now) {
            return self.refuse(rules, now, Code::NoEndpoint, 0);
        }
        if let Some(budget) = &rules.shared.budget {
            rules.state.budget.deposit(budget, now);
        }
        self.run(rules.policy, now)
    }

    #[inline]
    fn run(&mut self, policy: &Policy, now: Nanos) -> Decision {
        self.attempt += 1;
        self.hedges = 0;
        self.started = now;
        self.until = bound(policy, self.entered, now);
        self.phase = Phase::Running;
        self.number = 0;
        Decision::Run
    }

    fn wait(&mut self, phase: Phase, number: u64, until: Nanos) -> Decision {
        self.phase = phase;
        self.number = number;
        self.until = until;
        Decision::WaitUntil(until)
    }

    /// The call ends before its first attempt.
    #[cold]
    fn refuse(&mut self, rules: Rules<'_>, now: Nanos, code: Code, after: Nanos) -> Decision {
        let rejections = &rules.state.rejections;
        let (cell, stop) = match code {
            Code::RateLimited => (&rejections.rate_limited, Stop::RateLimited),
            Code::BulkheadFull => (&rejections.bulkhead_full, Stop::BulkheadFull),
            Code::CircuitOpen => (&rejections.circuit_open, Stop::CircuitOpen),
            Code::NoEndpoint => (&rejections.no_endpoint, Stop::NoEndpoint),
            _ => (&rejections.shutdown, Stop::Shutdown),
        };
        cell.fetch_add(1, Relaxed);
        self.is_rejected = true;
        self.previous_wait = after;
        self.finish(rules, now, Give::Error(code), stop)
    }

    /// O1: the ambassador is shutting down.
    #[cold]
    pub(crate) fn turn_away(&mut self, rules: Rules<'_>, now: Nanos) -> Decision {
        self.refuse(rules, now, Code::Shutdown, 0)
    }

    /// The one attempt that runs has ended; it has to run.
    #[inline]
    pub(crate) fn settle(&mut self, rules: Rules<'_>, now: Nanos, outcome: Outcome, hint: Option<Nanos>) -> Decision {
        // T1, T3: what ends after its bound is a timeout, and what it brought is dropped.
        let late = is_late(self.until, now, outcome);
        if late {
            rules.state.late.fetch_add(1, Relaxed);
        }
        self.last = if late || outcome == Outcome::Overdue { Outcome::Timeout } else { outcome };
        self.ended = self.attempt as u8;
        // As a rule, and nothing else may answer: without a detour.
        if self.last == Outcome::Ok {
            return self.succeeded(rules, now);
        }
        self.attempt_ended(rules, now);
        match self.last {
            Outcome::Fail => self.finish(rules, now, Give::LastError, Stop::NotRetryable),
            Outcome::Cancelled => self.finish(rules, now, Give::LastError, Stop::Cancelled),
            // P2
            Outcome::Timeout if outcome == Outcome::Overdue => {
                let (give, stop) = self.overdue(rules.policy, now);
                self.finish(rules, now, give, stop)
            }
            // T3: what it asked for came too late as well.
            _ => self.after_failure(rules, now, hint.filter(|_| !late)),
        }
    }

    #[inline]
    fn succeeded(&mut self, rules: Rules<'_>, now: Nanos) -> Decision {
        let (timings, took) = (&rules.state.timings, now.saturating_sub(self.started));
        let is_all_of_it = self.started == self.entered;
        let attempt = self.taken_attempt();
        self.record(rules, &attempt, Outcome::Ok, now);
        self.release(rules);
        self.tell_end(rules, Outcome::Ok.as_str(), Stop::Ok, now);
        if is_all_of_it {
            timings.both_took(took, now);
        } else {
            timings.attempt_took(took, now);
            timings.call_took(self.elapsed(now), now);
        }
        rules.state.count_call(Outcome::Ok);
        Decision::Finish(Give::Value, Stop::Ok)
    }

    /// The running attempt, which holds nothing any more.
    #[inline]
    fn taken_attempt(&mut self) -> Racer {
        let attempt = Racer { permit: self.permit.take(), ..self.newest() };
        self.place = Place::NONE;
        attempt
    }

    /// The attempt of that number went nowhere: what it took is given back before it is recorded.
    #[cold]
    pub(crate) fn acquit(&mut self, state: &State, number: u32) {
        let taken =
            |permit: &mut Option<Permit>, place: &mut Place| (permit.take(), std::mem::replace(place, Place::NONE));
        let racer = state.races.with(self.race, |race| {
            let racer = race.racers.iter_mut().find(|racer| racer.number == number)?;
            Some(taken(&mut racer.permit, &mut racer.place))
        });
        let (permit, place) = match racer {
            Some(Some(racer)) => racer,
            None if number == self.attempt => taken(&mut self.permit, &mut self.place),
            _ => return,
        };
        if let Some(permit) = permit {
            state.breaker.let_go(permit);
        }
        if !place.is_none() {
            state.endpoints.let_go(place);
            // E2
            self.tried &= !place.bit();
        }
    }

    /// T3: whether what the running attempt brings now comes too late, so that nobody needs to judge it.
    pub const fn is_late(&self, now: Nanos) -> bool {
        now > self.until
    }

    /// O2: the attempt is recorded, whatever is decided then.
    #[inline]
    fn attempt_ended(&mut self, rules: Rules<'_>, now: Nanos) {
        let attempt = self.taken_attempt();
        self.record_timed(rules, &attempt, self.last, now);
    }

    /// O2: an attempt has ended so, of a call that is more than this attempt.
    #[inline]
    fn record_timed(&self, rules: Rules<'_>, attempt: &Racer, outcome: Outcome, now: Nanos) {
        rules.state.timings.attempt_took(now.saturating_sub(attempt.started), now);
        self.record(rules, attempt, outcome, now);
    }

    /// The same, but for how long it took.
    #[inline]
    fn record(&self, rules: Rules<'_>, attempt: &Racer, outcome: Outcome, now: Nanos) {
        let Rules { policy, shared, state } = rules;
        let Racer { number, started, place, permit, .. } = *attempt;
        let took = now.saturating_sub(started);
        if self.span != 0 {
            self.tell_span(rules, attempt, outcome, now);
        }
        state.count_attempt(outcome);
        event::attempt_ended(state, number, outcome.as_str(), took, place);
        if !place.is_none() {
            state.went(shared, place, outcome, started, now);
        }
        if let Some(bulkhead) = &shared.bulkhead
            && bulkhead.limit == Limit::Adaptive
            && outcome == Outcome::Ok
        {
            state.bulkhead.adaptive.learn(took, state.bulkhead.occupied().0);
        }
        if policy.hedge.is_some() && matches!(outcome, Outcome::Ok | Outcome::Timeout) {
            state.took(took, now);
        }
        let Some(permit) = permit else { return };
        match &shared.breaker {
            // A3, B3: control flow moves nothing.
            _ if outcome == Outcome::Cancelled => state.breaker.let_go(permit),
            None => state.breaker.let_go(permit),
            Some(breaker) => {
                let failed = !matches!(outcome, Outcome::Ok | Outcome::Deferred);
                state.changed(state.breaker.record(breaker, permit, failed, took, now), now);
            }
        }
    }

    /// P6: the call's span has one attempt more.
    #[cold]
    fn tell_span(&self, rules: Rules<'_>, attempt: &Racer, outcome: Outcome, now: Nanos) {
        let Racer { number, started, place, .. } = *attempt;
        let endpoint = rules.state.endpoints.with(place, |member| member.endpoint.address().clone());
        self.span().attempt_ended(number, outcome, now.saturating_sub(started), now, endpoint);
    }

    /// What its span is kept under.
    #[inline]
    pub(crate) const fn span(&self) -> Span {
        Span { number: self.span, entered: self.entered }
    }

    /// The call has this span from now on.
    pub(crate) const fn set_span(&mut self, number: u32) {
        self.span = number;
    }

    /// What a call ends with whose attempt outran its bound, and may not be tried again.
    pub(super) fn overdue(&self, policy: &Policy, now: Nanos) -> (Give, Stop) {
        if now >= self.deadline(policy) {
            (Give::Error(Code::Deadline), Stop::Deadline)
        } else {
            (Give::Error(Code::Timeout), Stop::NotRetryable)
        }
    }

    #[cold]
    fn after_failure(&mut self, rules: Rules<'_>, now: Nanos, hint: Option<Nanos>) -> Decision {
        let Rules { policy, shared, state } = rules;
        let deadline = self.deadline(policy);
        if now >= deadline {
            // The deadline wins over the timeout when it is what ended the attempt.
            let give = match self.last {
                Outcome::Timeout => Give::Error(Code::Deadline),
                _ => Give::LastError,
            };
            return self.finish(rules, now, give, Stop::Deadline);
        }
        // C1: `max_retries` counts attempts.
        if self.attempt >= policy.max_retries {
            return self.finish(rules, now, self.last_error(), Stop::Exhausted);
        }
        let hint = hint.unwrap_or(0);
        // R3: a hint raises the wait; one that is too long ends the call.
        if hint > policy.backoff.hint_max {
            return self.finish(rules, now, self.last_error(), Stop::HintTooLong);
        }
        // R1, R2
        let wait = policy.backoff.wait(self.attempt, self.previous_wait, || state.random());
        let until = now.saturating_add(wait.max(hint));
        // R4: never sleep in vain.
        if until >= deadline {
            return self.finish(rules, now, self.last_error(), Stop::Deadline);
        }
        // R6
        if shared.breaker.is_some() && state.breaker.will_refuse(until) {
            return self.finish(rules, now, self.last_error(), Stop::CircuitOpen);
        }
        // R5: the token is taken before the sleep, when nothing else speaks against the retry.
        if shared.budget.as_ref().is_some_and(|budget| !state.budget.take(budget, now)) {
            return self.finish(rules, now, self.last_error(), Stop::BudgetEmpty);
        }
        self.previous_wait = wait;
        state.tell(Level::WARN, || Event::Retry { attempt: self.ended(), wait: until - now });
        self.wait(Phase::Waiting, now, until)
    }

    /// The wait is over, or the host woke early; the call has to wait.
    pub(crate) fn resume(&mut self, rules: Rules<'_>, now: Nanos) -> Decision {
        match self.phase {
            Phase::Queued => self.resume_queued(rules, now),
            Phase::Seeking if !rules.state.endpoints.is_awaited() => self.first_attempt(rules, now),
            _ if now < self.until => Decision::WaitUntil(self.until),
            Phase::InTurn => self.ask_for_a_place(rules, now),
            Phase::Seeking => {
                rules.state.endpoints.leave(self.number);
                self.first_attempt(rules, now)
            }
            _ => self.resume_after_wait(rules, now),
        }
    }

    fn resume_queued(&mut self, rules: Rules<'_>, now: Nanos) -> Decision {
        if rules.state.bulkhead.has_turn(self.number) {
            self.has_place = true;
            return self.first_attempt(rules, now);
        }
        if now < self.until {
            return Decision::WaitUntil(self.until);
        }
        self.leave_queue(rules);
        if now >= self.deadline(rules.policy) {
            self.last = Outcome::Timeout;
            return self.finish(rules, now, Give::Error(Code::Deadline), Stop::Deadline);
        }
        self.refuse(rules, now, Code::BulkheadFull, 0)
    }

    fn leave_queue(&self, rules: Rules<'_>) {
        rules.state.bulkhead.leave_queue(Limit::of(rules.shared.bulkhead.as_ref()), self.number);
    }

    /// The call waits no longer for its turn, its place, or the first endpoints.
    fn leave_wait(&self, rules: Rules<'_>) {
        if self.phase == Phase::Queued {
            self.leave_queue(rules);
        } else if self.phase == Phase::Seeking {
            rules.state.endpoints.leave(self.number);
        } else if let Some(limit) = &rules.shared.rate_limit {
            rules.state.rate_limit.give_back(limit, self.number);
        }
    }

    fn resume_after_wait(&mut self, rules: Rules<'_>, now: Nanos) -> Decision {
        // O2: the deadline comes first. Woken too late for another attempt, the call ends as R4 says.
        if now >= self.deadline(rules.policy) {
            self.give_token_back(rules);
            return self.finish(rules, now, self.last_error(), Stop::Deadline);
        }
        // R6
        match ask_the_breaker(rules, now) {
            Ok(permit) => self.permit = permit,
            Err(_) => {
                self.give_token_back(rules);
                return self.finish(rules, now, self.last_error(), Stop::CircuitOpen);
            }
        }
        if rules.state.endpoints.is_on() && !self.find_endpoint(rules, now) {
            self.give_token_back(rules);
            return self.finish(rules, now, self.last_error(), Stop::NoEndpoint);
        }
        rules.state.retry(self.last);
        self.run(rules.policy, now)
    }

    fn give_token_back(&self, rules: Rules<'_>) {
        if let Some(budget) = &rules.shared.budget {
            rules.state.budget.give_back(budget, self.number);
        }
    }

    /// The caller went away, at whatever point (O3). Does nothing to a call that has ended.
    pub(crate) fn cancel(&mut self, rules: Rules<'_>, now: Nanos, stop: Stop) {
        match self.phase {
            Phase::Ended => return,
            Phase::Running if self.race != 0 => drop(self.lose_others(rules, now)),
            Phase::Running => {
                self.last = Outcome::Cancelled;
                self.attempt_ended(rules, now);
            }
            Phase::Waiting => self.give_token_back(rules),
            Phase::InTurn | Phase::Queued | Phase::Seeking => self.leave_wait(rules),
            Phase::Answering => {}
        }
        self.last = Outcome::Cancelled;
        self.is_rejected = false;
        self.release(rules);
        self.end(rules, now, stop);
    }

    /// F1: the core failed while it decided; whatever the attempt of that number brought is handed back.
    #[cold]
    pub(crate) fn give_up(&mut self, rules: Rules<'_>, now: Nanos, number: u32, outcome: Outcome) -> Decision {
        let racers = rules.state.races.end(std::mem::take(&mut self.race)).racers;
        let own = (self.permit.take(), std::mem::replace(&mut self.place, Place::NONE));
        for (permit, place) in racers.into_iter().map(|racer| (racer.permit, racer.place)).chain([own]) {
            permit.into_iter().for_each(|permit| rules.state.breaker.let_go(permit));
            rules.state.endpoints.let_go(place);
        }
        match self.phase {
            Phase::Waiting => self.give_token_back(rules),
            // The function has not run yet: it runs now, as if nothing had to be asked.
            Phase::InTurn | Phase::Queued | Phase::Seeking => {
                self.leave_wait(rules);
                return self.run(rules.policy, now);
            }
            Phase::Running | Phase::Answering | Phase::Ended => {}
        }
        if self.phase != Phase::Ended {
            self.last = outcome;
            self.ended = number as u8;
            self.release(rules);
            self.end(rules, now, Stop::Internal);
        }
        let give = match outcome {
            Outcome::Ok => Give::Value,
            Outcome::Timeout => Give::Error(Code::Timeout),
            _ => Give::LastError,
        };
        Decision::Finish(give, Stop::Internal)
    }

    /// H2: what was to answer in place of the error has, or has failed too.
    pub(crate) fn answered(&mut self, rules: Rules<'_>, now: Nanos, well: bool) {
        if self.phase != Phase::Answering {
            return;
        }
        if !well {
            return self.end(rules, now, self.stop);
        }
        self.tell_end(rules, "fallback", self.stop, now);
        rules.state.timings.call_took(self.elapsed(now), now);
        rules.state.fell_back();
    }

    #[inline]
    pub(crate) fn is_running(&self) -> bool {
        self.phase == Phase::Running
    }

    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.phase, Phase::Waiting | Phase::InTurn | Phase::Queued | Phase::Seeking)
    }

    /// Whether its error may still be answered by something else (H2).
    #[inline]
    pub fn is_answering(&self) -> bool {
        self.phase == Phase::Answering
    }

    /// Which number in the bulkhead's queue it waits under.
    pub(crate) fn queue_number(&self) -> Option<u64> {
        (self.phase == Phase::Queued).then_some(self.number)
    }

    #[inline]
    pub(crate) fn has_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// How the attempt that ended last ended: what came after its bound is a timeout, whatever the host said of it.
    #[inline]
    pub const fn last(&self) -> Outcome {
        self.last
    }

    #[inline]
    fn finish(&mut self, rules: Rules<'_>, now: Nanos, give: Give, stop: Stop) -> Decision {
        self.release(rules);
        if rules.policy.fallback && give != Give::Value && self.last != Outcome::Cancelled {
            self.phase = Phase::Answering;
            self.stop = stop;
        } else {
            self.end(rules, now, stop);
        }
        Decision::Finish(give, stop)
    }

    /// O3: the bulkhead's place is free.
    #[inline]
    fn release(&mut self, rules: Rules<'_>) {
        if self.has_place {
            self.has_place = false;
            rules.state.bulkhead.leave(Limit::of(rules.shared.bulkhead.as_ref()));
        }
    }

    /// S1, P6: it has ended, and that is told.
    #[inline]
    fn tell_end(&mut self, rules: Rules<'_>, outcome: &'static str, stop: Stop, now: Nanos) {
        self.phase = Phase::Ended;
        if self.span != 0 {
            self.span().ended(rules.state.name(), outcome, stop, now);
        }
        event::call_ended(rules.state, self, outcome, stop, now);
    }

    /// S1, S2: counted and told, once.
    #[inline]
    fn end(&mut self, rules: Rules<'_>, now: Nanos, stop: Stop) {
        let outcome = if self.is_rejected { "rejected" } else { self.last.as_str() };
        self.tell_end(rules, outcome, stop, now);
        if self.is_rejected {
            rules.state.reject();
        } else {
            rules.state.timings.call_took(self.elapsed(now), now);
            rules.state.count_call(self.last);
        }
    }

    /// What "the last real error" is: the app's, or the timeout that took its place.
    fn last_error(&self) -> Give {
        match self.last {
            Outcome::Timeout => Give::Error(Code::Timeout),
            _ => Give::LastError,
        }
    }

    #[inline]
    fn deadline(&self, policy: &Policy) -> Nanos {
        policy.deadline.map_or(NEVER, |d| self.entered.saturating_add(d))
    }
}

/// O2: leave for an attempt that starts now, or how long until there may be one.
#[inline]
fn ask_the_breaker(rules: Rules<'_>, now: Nanos) -> Result<Option<Permit>, Nanos> {
    let Some(breaker) = &rules.shared.breaker else { return Ok(None) };
    let lease = rules.policy.timeout.unwrap_or(LEASE);
    let (answer, change) = rules.state.breaker.admit(breaker, lease, now);
    rules.state.changed(change, now);
    answer.map(Some).map_err(|refused| refused.after.unwrap_or(0))
}

/// T1, T3: whether what an attempt brings comes after its bound.
#[inline]
fn is_late(until: Nanos, now: Nanos, outcome: Outcome) -> bool {
    now > until && !matches!(outcome, Outcome::Timeout | Outcome::Cancelled | Outcome::Overdue)
}

/// T1: min(timeout, time left).
#[inline]
fn bound(policy: &Policy, entered: Nanos, started: Nanos) -> Nanos {
    let timeout = policy.timeout.map_or(NEVER, |t| started.saturating_add(t));
    let deadline = policy.deadline.map_or(NEVER, |d| entered.saturating_add(d));
    timeout.min(deadline)
}
