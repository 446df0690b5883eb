//! One call as a state machine without I/O: it is told what happened and when, and answers what to do next. It never
//! sleeps, reads a clock, takes a lock or allocates, so the same code serves threads, event loops, C callbacks and
//! simulations in virtual time.
//!
//! A [`Call`] is plain numbers, so a host may keep it wherever it likes; [`AmbassadorProxy`](crate::AmbassadorProxy) is
//! how a host drives it. Carries out O2, R1–R4, T1, T3.

use std::sync::atomic::Ordering::Relaxed;

use crate::clock::{NEVER, Nanos};
use crate::error::Code;
use crate::policy::Policy;
use crate::target::State;

/// A call in flight. Copying it does not make a second call: keep one, and drive that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    entered: Nanos,
    started: Nanos,
    /// While an attempt runs, its bound; while the call waits, when the wait is over.
    until: Nanos,
    previous_wait: Nanos,
    attempt: u32,
    phase: Phase,
    last: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running = 0,
    Waiting = 1,
    Ended = 2,
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
            _ => Outcome::Retry,
        }
    }

    /// The name in events and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Retry | Outcome::Fail => "failure",
            Outcome::Timeout => "timeout",
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
    /// The call is over: hand this to the caller.
    Finish(Give, Stop),
}

/// What the caller gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Give {
    /// The value of the attempt that just ended.
    Value,
    /// The error of the attempt that ended last, the same object (A4).
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
}

impl Stop {
    const ALL: [Stop; 8] = [
        Stop::Ok,
        Stop::NotRetryable,
        Stop::Exhausted,
        Stop::Deadline,
        Stop::HintTooLong,
        Stop::Cancelled,
        Stop::Shutdown,
        Stop::Internal,
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
        }
    }
}

impl Decision {
    /// The decision as one number, for hosts to which only numbers go: 0 is `Run`, a positive number the instant of
    /// `WaitUntil`, a negative one `Finish`: −(1 + stop + 16·give), where `stop` is the position in [`Stop`] and `give` is 0 for
    /// `Value`, 1 for `LastError`, 2 + i for the error of `Code::ALL[i]`.
    #[inline]
    pub const fn pack(self) -> i64 {
        match self {
            Decision::Run => 0,
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
    pub const WORDS: usize = 5;

    /// The answer to whatever is said of a call that is over.
    pub(crate) const OVER: Decision = Decision::Finish(Give::LastError, Stop::Cancelled);

    /// A call that enters now; its first attempt starts at once.
    #[inline]
    pub(crate) fn enter(policy: &Policy, now: Nanos) -> Call {
        Call {
            entered: now,
            started: now,
            until: bound(policy, now, now),
            previous_wait: 0,
            attempt: 1,
            phase: Phase::Running,
            last: Outcome::Ok,
        }
    }

    /// What a function sees of its one attempt when the core failed (F1): a first attempt, unbounded.
    pub const fn direct(now: Nanos) -> Call {
        Call {
            entered: now,
            started: now,
            until: NEVER,
            previous_wait: 0,
            attempt: 1,
            phase: Phase::Ended,
            last: Outcome::Ok,
        }
    }

    /// The number of the attempt that runs, or ran last: 1, 2, 3 …
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

    /// When the running attempt must have ended: the earlier of its timeout and the call's deadline; [`NEVER`] when
    /// neither is set.
    #[inline]
    pub const fn bound(&self) -> Nanos {
        self.until
    }

    /// How long the call has taken so far.
    #[inline]
    pub const fn elapsed(&self, now: Nanos) -> Nanos {
        now.saturating_sub(self.entered)
    }

    /// The call as plain numbers, for a host that keeps it so.
    #[inline]
    pub const fn to_words(&self) -> [u64; Call::WORDS] {
        let state = self.attempt as u64 | (self.phase as u64) << 32 | (self.last as u64) << 40;
        [self.entered, self.started, self.until, self.previous_wait, state]
    }

    /// The call of numbers that [`to_words`](Call::to_words) gave.
    #[inline]
    pub const fn from_words([entered, started, until, previous_wait, state]: [u64; Call::WORDS]) -> Call {
        Call {
            entered,
            started,
            until,
            previous_wait,
            attempt: state as u32,
            phase: match (state >> 32) as u8 {
                0 => Phase::Running,
                1 => Phase::Waiting,
                _ => Phase::Ended,
            },
            last: Outcome::from_number((state >> 40) as u8),
        }
    }

    /// The running attempt ended; one has to run.
    #[inline]
    pub(crate) fn settle(
        &mut self,
        policy: &Policy,
        state: &State,
        now: Nanos,
        outcome: Outcome,
        hint: Option<Nanos>,
    ) -> Decision {
        // T1, T3: what ends after its bound is a timeout, and what it brought is dropped.
        let late = now > self.until && !matches!(outcome, Outcome::Timeout | Outcome::Cancelled);
        if late {
            state.late.fetch_add(1, Relaxed);
        }
        self.last = if late { Outcome::Timeout } else { outcome };
        state.attempts.count(self.last);
        match self.last {
            Outcome::Ok => self.finish(state, Give::Value, Stop::Ok),
            Outcome::Fail => self.finish(state, Give::LastError, Stop::NotRetryable),
            Outcome::Cancelled => self.finish(state, Give::LastError, Stop::Cancelled),
            Outcome::Retry | Outcome::Timeout => self.after_failure(policy, state, now, hint),
        }
    }

    #[cold]
    fn after_failure(&mut self, policy: &Policy, state: &State, now: Nanos, hint: Option<Nanos>) -> Decision {
        let deadline = self.deadline(policy);
        if now >= deadline {
            // The deadline wins over the timeout when it is what ended the attempt.
            let give = match self.last {
                Outcome::Timeout => Give::Error(Code::Deadline),
                _ => Give::LastError,
            };
            return self.finish(state, give, Stop::Deadline);
        }
        // C1: `max_retries` counts attempts.
        if self.attempt >= policy.max_retries {
            return self.finish(state, self.last_error(), Stop::Exhausted);
        }
        let hint = hint.unwrap_or(0);
        // R3: a hint raises the wait; one that is too long ends the call.
        if hint > policy.backoff.hint_max {
            return self.finish(state, self.last_error(), Stop::HintTooLong);
        }
        // R1, R2
        let wait = policy.backoff.wait(self.attempt, self.previous_wait, || state.random());
        let until = now.saturating_add(wait.max(hint));
        // R4: never sleep in vain.
        if until >= deadline {
            return self.finish(state, self.last_error(), Stop::Deadline);
        }
        self.previous_wait = wait;
        self.until = until;
        self.phase = Phase::Waiting;
        Decision::WaitUntil(until)
    }

    /// The wait is over, or the host woke early; the call has to wait.
    pub(crate) fn resume(&mut self, policy: &Policy, state: &State, now: Nanos) -> Decision {
        if now < self.until {
            return Decision::WaitUntil(self.until);
        }
        // O2: the deadline comes first. Woken too late for another attempt, the call ends as R4 says.
        if now >= self.deadline(policy) {
            return self.finish(state, self.last_error(), Stop::Deadline);
        }
        state.retries.fetch_add(1, Relaxed);
        self.attempt += 1;
        self.started = now;
        self.until = bound(policy, self.entered, now);
        self.phase = Phase::Running;
        Decision::Run
    }

    /// The caller went away, at whatever point (O3). Does nothing to a call that has ended.
    pub(crate) fn cancel(&mut self, state: &State) {
        if self.phase == Phase::Running {
            state.attempts.count(Outcome::Cancelled);
        }
        if self.phase != Phase::Ended {
            self.phase = Phase::Ended;
            self.last = Outcome::Cancelled;
            state.calls.count(Outcome::Cancelled);
        }
    }

    /// F1: the core failed while it decided; whatever the attempt brought is handed back.
    #[cold]
    pub(crate) fn give_up(&mut self, state: &State, outcome: Outcome) -> Decision {
        if self.phase != Phase::Ended {
            self.phase = Phase::Ended;
            self.last = outcome;
            state.calls.count(outcome);
        }
        let give = match outcome {
            Outcome::Ok => Give::Value,
            Outcome::Timeout => Give::Error(Code::Timeout),
            _ => Give::LastError,
        };
        Decision::Finish(give, Stop::Internal)
    }

    #[inline]
    pub(crate) fn is_running(&self) -> bool {
        self.phase == Phase::Running
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.phase == Phase::Waiting
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// How the attempt that ended last ended: what came after its bound is a timeout, whatever the host said of it.
    #[inline]
    pub const fn last(&self) -> Outcome {
        self.last
    }

    #[inline]
    fn finish(&mut self, state: &State, give: Give, stop: Stop) -> Decision {
        self.phase = Phase::Ended;
        state.calls.count(self.last);
        Decision::Finish(give, stop)
    }

    /// What "the last real error" is: the app's, or the timeout that took its place.
    fn last_error(&self) -> Give {
        match self.last {
            Outcome::Timeout => Give::Error(Code::Timeout),
            _ => Give::LastError,
        }
    }

    fn deadline(&self, policy: &Policy) -> Nanos {
        policy.deadline.map_or(NEVER, |d| self.entered.saturating_add(d))
    }
}

/// T1: min(timeout, time left).
#[inline]
fn bound(policy: &Policy, entered: Nanos, started: Nanos) -> Nanos {
    let timeout = policy.timeout.map_or(NEVER, |t| started.saturating_add(t));
    let deadline = policy.deadline.map_or(NEVER, |d| entered.saturating_add(d));
    timeout.min(deadline)
}
