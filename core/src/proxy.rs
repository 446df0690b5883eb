//! The ambassador for one target: its policy, the state it shares with every proxy of the same name (C4), and the protocol
//! by which any host drives a call: [`begin`](AmbassadorProxy::begin), [`settle`](AmbassadorProxy::settle),
//! [`resume`](AmbassadorProxy::resume). Each is guarded, so a fault of the core never costs a call (F1).
//!
//! ```
//! use ambassador_core::{AmbassadorProxy, Code, clock};
//! use ambassador_core::call::{Decision, Give, Outcome, Stop};
//! use ambassador_core::proxy::Begin;
//!
//! let proxy = AmbassadorProxy::new("payment-api.example.com")?;
//! let Begin::Run(mut call) = proxy.begin(clock::now()) else { unreachable!() };
//! // … the host runs the user's function …
//! let decision = proxy.settle(&mut call, clock::now(), Outcome::Ok, None);
//! assert_eq!(decision, Decision::Finish(Give::Value, Stop::Ok));
//! # Ok::<_, ambassador_core::ConfigError>(())
//! ```

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::call::{Call, Decision, Outcome, Stop};
use crate::clock::{NEVER, Nanos, spell};
use crate::error::{Code, ConfigError, Error};
use crate::fault::{self, Point};
use crate::policy::Policy;
use crate::policy::backoff::Backoff;
use crate::settings::{Settings, Spelling, Value};
use crate::target::{State, Target};
use crate::{event, runtime};

/// The ambassador for one target. Cheap to clone; clones and other proxies of the same name share their state.
#[derive(Clone, Debug)]
pub struct AmbassadorProxy(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    target: Target,
    policy: Policy,
    state: Arc<State>,
}

/// How a call begins.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub enum Begin {
    /// Run the first attempt.
    Run(Call),
    /// Run nothing; the caller gets this error.
    Refuse(Code),
    /// The core failed (F1): run the function once, hand back whatever comes, and settle nothing.
    Direct,
}

impl AmbassadorProxy {
    /// A proxy with every setting at its default: 3 attempts of at most 2 s, exponential backoff from 2 s with full jitter.
    ///
    /// # Errors
    /// [`ConfigError`] when the target is no host.
    pub fn new(target: &str) -> Result<AmbassadorProxy, ConfigError> {
        AmbassadorProxy::builder(target).build()
    }

    /// A proxy with settings of your own.
    ///
    /// ```
    /// use std::time::Duration;
    /// use ambassador_core::{AmbassadorProxy, Backoff};
    ///
    /// let proxy = AmbassadorProxy::builder("payment-api.example.com")
    ///     .max_retries(5)
    ///     .timeout(Duration::from_millis(500))
    ///     .backoff(Backoff::exponential(Duration::from_millis(50)))
    ///     .build()?;
    /// # Ok::<_, ambassador_core::ConfigError>(())
    /// ```
    pub fn builder(target: &str) -> Builder {
        Builder { target: target.into(), edits: Vec::new() }
    }

    /// A proxy of settings that were checked one by one.
    pub fn from_settings(settings: Settings) -> AmbassadorProxy {
        let name = settings.name.as_deref().unwrap_or(settings.target.as_str());
        let state = State::shared(name);
        AmbassadorProxy(Arc::new(Inner { target: settings.target, policy: settings.policy, state }))
    }

    /// The target, as it was given.
    pub fn target(&self) -> &str {
        self.0.target.as_str()
    }

    /// The name that state is shared by: the target, unless one was set.
    pub fn name(&self) -> &str {
        self.0.state.name()
    }

    /// The settings in force.
    pub fn policy(&self) -> &Policy {
        &self.0.policy
    }

    /// A call begins (O1), and with it its deadline's clock. Unless [`Begin::Run`] it is over already.
    #[inline]
    pub fn begin(&self, now: Nanos) -> Begin {
        let begun = fault::guard(Point::Begin, || {
            // Counted first, then looked; a drain shuts the door first, then counts. One of the two sees the other.
            self.state().begin();
            if runtime::is_shut_down() {
                return self.refuse();
            }
            Begin::Run(Call::enter(&self.0.policy, now))
        });
        match begun {
            Some(begin) => begin,
            None => {
                self.fault("begin");
                Begin::Direct
            }
        }
    }

    /// The running attempt ended. `hint` is the wait that the server or the function asked for (R3). Said when no attempt
    /// runs, it changes nothing of a call that has ended, and ends one that waits, cancelled.
    #[inline]
    pub fn settle(&self, call: &mut Call, now: Nanos, outcome: Outcome, hint: Option<Nanos>) -> Decision {
        if !call.is_running() {
            return self.out_of_turn(call, now);
        }
        let decided = fault::guard(Point::Settle, || call.settle(&self.0.policy, self.state(), now, outcome, hint));
        let decision = match decided {
            Some(decision) => decision,
            None => {
                self.fault("settle");
                call.give_up(self.state(), outcome)
            }
        };
        event::settled(self.state(), call, now, decision);
        if matches!(decision, Decision::Finish(..)) {
            runtime::call_ended();
        }
        decision
    }

    /// The wait is over, or the host woke early and is told to go on waiting. Said when the call does not wait, it changes
    /// nothing of one that has ended, and ends one that runs, cancelled.
    pub fn resume(&self, call: &mut Call, now: Nanos) -> Decision {
        if !call.is_waiting() {
            return self.out_of_turn(call, now);
        }
        let decided = fault::guard(Point::Resume, || call.resume(&self.0.policy, self.state(), now));
        let decision = match decided {
            Some(decision) => decision,
            None => {
                self.fault("resume");
                call.give_up(self.state(), call.last())
            }
        };
        if let Decision::Finish(_, stop) = decision {
            event::call_ended(self.state(), call, now, stop);
            runtime::call_ended();
        }
        decision
    }

    /// A host lost count of its call: better ended than in flight for ever.
    #[cold]
    fn out_of_turn(&self, call: &mut Call, now: Nanos) -> Decision {
        self.cancel(call, now);
        Call::OVER
    }

    /// The caller went away: the call ends cancelled, wherever it stands (O3). Does nothing to a call that has ended.
    pub fn cancel(&self, call: &mut Call, now: Nanos) {
        self.cut_short(call, now, Stop::Cancelled);
    }

    /// [`cancel`](AmbassadorProxy::cancel), for that reason.
    pub(crate) fn cut_short(&self, call: &mut Call, now: Nanos, stop: Stop) {
        if call.has_ended() {
            return;
        }
        let in_attempt = call.is_running();
        call.cancel(self.state());
        if in_attempt {
            event::attempt_ended(self.state(), call, now);
        }
        event::call_ended(self.state(), call, now, stop);
        runtime::call_ended();
    }

    /// T3: a result came after its attempt had been given up, and was dropped.
    pub fn note_late(&self) {
        self.state().late.fetch_add(1, Relaxed);
    }

    /// O3: work outlives its bound from now on …
    pub fn note_abandoned(&self) {
        self.state().abandoned.fetch_add(1, Relaxed);
    }

    /// … and has ended.
    pub fn note_abandoned_ended(&self) {
        // Never below zero: a forked child starts from zero while work of the parent's is still known to it.
        let _ = self.state().abandoned.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1));
    }

    /// R7: the line that tells of a retry, for the host's own logging; also an event through `tracing`. `wait` is what is left
    /// until the instant of [`Decision::WaitUntil`].
    pub fn retry_line(&self, call: &Call, wait: Nanos, error: &str) -> String {
        event::retry(self.state(), call, wait, error)
    }

    /// What an error of that code says: what happened, to which target, and what to do.
    pub fn error_message(&self, code: Code, call: Option<&Call>, now: Nanos) -> String {
        let mut text = format!("{}: ", self.target());
        let policy = &self.0.policy;
        let _ = match (code, call, policy.timeout, policy.deadline) {
            (Code::Timeout, Some(call), Some(timeout), _) => {
                write!(
                    text,
                    "attempt {} of {} did not end within {}",
                    call.attempt(),
                    policy.max_retries,
                    spell(timeout)
                )
            }
            (Code::Deadline, Some(_), _, Some(deadline)) => {
                write!(text, "the call did not end within its deadline of {}", spell(deadline))
            }
            (Code::Shutdown, Some(_), ..) => write!(text, "the ambassador was shut down before the call ended"),
            _ => write!(text, "{}", code.summary()),
        };
        if let Some(call) = call {
            let _ = write!(text, " ({})", taken(call, now));
        }
        let _ = write!(text, "; {}", code.advice());
        text
    }

    /// The error of that code, for Rust callers.
    pub(crate) fn error(&self, code: Code, call: Option<&Call>, now: Nanos) -> Error {
        Error {
            code,
            target: self.target().into(),
            attempts: call.map_or(0, Call::attempt),
            elapsed: Duration::from_nanos(call.map_or(0, |call| call.elapsed(now))),
            message: self.error_message(code, call, now),
        }
    }

    /// A4: what is noted on the app's own error: `[Ambassador] payment-api.example.com: 3 attempts in 6.01s, retries exhausted`.
    pub fn end_note(&self, call: &Call, now: Nanos, stop: Stop) -> String {
        format!("[Ambassador] {}: {}, {}", self.target(), taken(call, now), stop.as_str())
    }

    /// What an attempt may send along: `idempotency-key`, the same for all attempts of a call; `traceparent`, of one trace
    /// for the call and a span for each attempt; `x-ambassador-attempt`; and, when bounded, `x-ambassador-remaining-ms`.
    pub fn headers(&self, call: &Call, id: CallId, now: Nanos) -> Vec<(&'static str, String)> {
        let trace = id.0;
        let span = (trace as u64 ^ (trace >> 64) as u64).wrapping_add(u64::from(call.attempt())).max(1);
        let mut headers = vec![
            ("idempotency-key", id.to_string()),
            ("traceparent", format!("00-{trace:032x}-{span:016x}-01")),
            ("x-ambassador-attempt", call.attempt().to_string()),
        ];
        if call.bound() != NEVER {
            headers.push(("x-ambassador-remaining-ms", (call.bound().saturating_sub(now) / 1_000_000).to_string()));
        }
        headers
    }

    /// The health of this target, as JSON; the same in all languages.
    pub fn health(&self) -> String {
        let state = self.state();
        let count = |cell: &std::sync::atomic::AtomicU64| cell.load(Relaxed);
        let in_flight = state.in_flight();
        let (calls, attempts) = (&state.calls, &state.attempts);
        format!(
            concat!(
                r#"{{"target":{},"name":{},"in_flight":{},"#,
                r#""calls":{{"ok":{},"failure":{},"timeout":{},"rejected":{},"cancelled":{},"fallback":0}},"#,
                r#""attempts":{{"ok":{},"failure":{},"timeout":{},"cancelled":{}}},"#,
                r#""retries":{},"late_results":{},"abandoned":{},"internal_errors":{}}}"#
            ),
            quoted(self.target()),
            quoted(self.name()),
            in_flight,
            count(&calls.ok),
            count(&calls.failure),
            count(&calls.timeout),
            count(&state.rejected),
            count(&calls.cancelled),
            count(&attempts.ok),
            count(&attempts.failure),
            count(&attempts.timeout),
            count(&attempts.cancelled),
            count(&state.retries),
            count(&state.late),
            count(&state.abandoned),
            count(&state.internal_errors),
        )
    }

    /// For tests: from now on this target's jitter is that of the seed. The same seed gives the same waits in every language.
    pub fn seed_jitter(&self, seed: u64) {
        self.state().seed(seed);
    }

    #[inline]
    fn state(&self) -> &State {
        &self.0.state
    }

    #[cold]
    fn refuse(&self) -> Begin {
        self.state().reject();
        event::refused(self.state(), Stop::Shutdown);
        Begin::Refuse(Code::Shutdown)
    }

    #[cold]
    fn fault(&self, at: &str) {
        self.state().internal_errors.fetch_add(1, Relaxed);
        event::internal(self.state(), at);
    }
}

/// `3 attempts in 6.01s`.
fn taken(call: &Call, now: Nanos) -> String {
    let plural = if call.attempt() == 1 { "" } else { "s" };
    format!("{} attempt{plural} in {}", call.attempt(), spell(call.elapsed(now)))
}

/// JSON text. A name may hold anything printable.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// What marks all attempts of one call as the same call: 128 random bits, spelled as a version 4 UUID (RFC 9562).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallId(u128);

impl CallId {
    /// A new one.
    pub fn random() -> CallId {
        let mut bytes = [0; 16];
        if getrandom::fill(&mut bytes).is_err() {
            // No entropy is no reason to lose the call: the clock and the process tell calls apart almost as well.
            let seed = (crate::clock::now() as u128) << 64 | (std::process::id() as u128);
            bytes = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835).to_be_bytes();
        }
        CallId::from_bits(u128::from_be_bytes(bytes))
    }

    /// The id of these bits; version and variant are set as RFC 9562 asks.
    pub const fn from_bits(bits: u128) -> CallId {
        let version = 0xF << 76;
        let variant = 0x3 << 62;
        CallId(bits & !version & !variant | 0x4 << 76 | 0x2 << 62)
    }

    /// Its bits, for a host that keeps them.
    pub const fn to_bits(self) -> u128 {
        self.0
    }
}

impl std::fmt::Display for CallId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hex = format!("{:032x}", self.0);
        write!(f, "{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

/// Settings of a proxy to be, for Rust. Checked by [`build`](Builder::build).
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    target: String,
    edits: Vec<(&'static str, Value)>,
}

impl Builder {
    fn set(mut self, field: &'static str, value: Value) -> Builder {
        self.edits.push((field, value));
        self
    }

    /// Attempts in all, the first one included (C1): 1 to 100; default 3.
    pub fn max_retries(self, attempts: u32) -> Builder {
        self.set("max_retries", Value::Int(attempts.into()))
    }

    /// The name that state is shared by (C4); default the target.
    pub fn name(self, name: &str) -> Builder {
        self.set("name", Value::Text(name.into()))
    }

    /// The bound of each attempt (T1), or `None` for none; default 2 s.
    pub fn timeout(self, timeout: impl Into<Option<Duration>>) -> Builder {
        self.set("timeout", length(timeout.into()))
    }

    /// The bound of the whole call, waits included, or `None` for none; default none.
    pub fn deadline(self, deadline: impl Into<Option<Duration>>) -> Builder {
        self.set("deadline", length(deadline.into()))
    }

    /// The waits between attempts (R1, R2); default exponential from 2 s, with full jitter.
    pub fn backoff(self, backoff: Backoff) -> Builder {
        self.set("backoff.base", Value::Length(backoff.base))
            .set("backoff.factor", Value::Float(backoff.factor))
            .set("backoff.max", Value::Length(backoff.max))
            .set("backoff.jitter", Value::Text(backoff.jitter.as_str().into()))
            .set("backoff.hint_max", Value::Length(backoff.hint_max))
    }

    /// The proxy.
    ///
    /// # Errors
    /// [`ConfigError`] for the first setting that is wrong; it names the field, the value and what is allowed.
    pub fn build(self) -> Result<AmbassadorProxy, ConfigError> {
        let mut settings = Settings::new(&self.target, Spelling::Rust)?;
        for (field, value) in self.edits {
            settings.set(field, value)?;
        }
        Ok(AmbassadorProxy::from_settings(settings))
    }
}

fn length(duration: Option<Duration>) -> Value {
    duration.map_or(Value::Null, |d| Value::Length(crate::clock::nanos(d)))
}
