//! The front door for Rust: `call`, `execute`, `call_blocking`. The function runs in the caller's task; at the bound its
//! future is dropped (T2). Timers are the shared runtime's, so any executor will do.

mod hedged;

use std::borrow::Cow;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use std::sync::{Arc, OnceLock};
use std::task::{Poll, Wake, Waker};
use std::time::Duration;

use crate::call::{Call, Decision, Give, Outcome, Stop};
use crate::clock::{self, NEVER, Nanos, now};
use crate::endpoint::Endpoint;
use crate::error::{Code, Error};
use crate::policy::hedge::Hedge;
use crate::proxy::{AmbassadorProxy, CallId};
use crate::runtime;
use crate::testing;

/// What a call ends with, if not with a value.
#[derive(Clone, Debug, PartialEq)]
pub enum CallError<E> {
    /// The function's own error, of the last attempt, unchanged (A4).
    Failed(E),
    /// An error of the ambassador's, and the function's last own error if there was one.
    Ambassador(Error, Option<E>),
}

impl<E> CallError<E> {
    /// The code, when the error is the ambassador's.
    pub fn code(&self) -> Option<Code> {
        match self {
            CallError::Failed(_) => None,
            CallError::Ambassador(error, _) => Some(error.code()),
        }
    }

    /// The function's own last error, if there was one.
    pub fn into_failed(self) -> Option<E> {
        match self {
            CallError::Failed(error) => Some(error),
            CallError::Ambassador(_, cause) => cause,
        }
    }
}

impl<E: fmt::Display> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Failed(error) => error.fmt(f),
            CallError::Ambassador(error, _) => error.fmt(f),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for CallError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            CallError::Failed(error) => error.source(),
            CallError::Ambassador(_, cause) => cause.as_ref().map(|cause| cause as _),
        }
    }
}

/// One attempt, as the function sees it.
#[derive(Clone, Debug)]
pub struct Attempt {
    proxy: AmbassadorProxy,
    call: Call,
    shared: Arc<PerCall>,
    /// Where it goes, if not to the target itself.
    endpoint: Option<Endpoint>,
}

/// What the attempts of one call share.
#[derive(Debug, Default)]
struct PerCall {
    id: OnceLock<CallId>,
    /// By attempt, for those that may run at once: its number (7 bits: there are at most 100), and its hint (57 bits: 4 years,
    /// which no `hint_max` allows).
    hints: [AtomicU64; AT_ONCE],
}

/// How many attempts of a call may run at once (H1).
const AT_ONCE: usize = Hedge::MOST as usize + 1;

const HINT_BITS: u32 = 57;
const LONGEST_HINT: Nanos = (1 << HINT_BITS) - 1;

impl PerCall {
    fn set_hint(&self, attempt: u32, hint: Nanos) {
        let attempt = u64::from(attempt);
        // T3: an attempt that was given up has no say in a later one.
        let _ = self.hints[attempt as usize % AT_ONCE].fetch_update(Relaxed, Relaxed, |present| {
            (present >> HINT_BITS <= attempt).then_some(attempt << HINT_BITS | hint.min(LONGEST_HINT))
        });
    }

    fn asked(&self, attempt: u32) -> Option<Nanos> {
        let hint = self.hints[attempt as usize % AT_ONCE].load(Relaxed);
        (hint >> HINT_BITS == u64::from(attempt)).then_some(hint & LONGEST_HINT)
    }
}

impl Attempt {
    /// The attempt's number: 1, 2, 3 …
    pub fn attempt(&self) -> u32 {
        self.call.attempt()
    }

    /// Where the attempt goes: an endpoint's address, without endpoints the target.
    pub fn endpoint(&self) -> &str {
        self.endpoint.as_ref().map_or(self.proxy.target(), Endpoint::as_str)
    }

    /// What is left until the attempt's bound; `None` when it has none.
    pub fn remaining(&self) -> Option<Duration> {
        let bound = self.call.bound();
        (bound != NEVER).then(|| Duration::from_nanos(bound.saturating_sub(now())))
    }

    /// Whether the bound has passed.
    pub fn cancelled(&self) -> bool {
        now() >= self.call.bound()
    }

    /// What to send along: `idempotency-key` (the same for all attempts of this call), `traceparent`,
    /// `x-ambassador-attempt`, and `x-ambassador-remaining-ms` when the attempt is bounded.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        self.proxy.headers(&self.call, *self.shared.id.get_or_init(CallId::random), now())
    }

    /// Asks for at least that wait before the next attempt (R3), as a server does by `Retry-After`.
    pub fn set_retry_after(&self, wait: Duration) {
        self.shared.set_hint(self.call.attempt(), clock::nanos(wait));
    }
}

impl AmbassadorProxy {
    /// Calls the function until it succeeds, may not be tried again, or no attempt is left. Every `Err` may be tried again;
    /// see [`classify`](AmbassadorProxy::classify) for anything else.
    ///
    /// # Errors
    /// [`CallError::Failed`] with the last attempt's own error, or [`CallError::Ambassador`] when the last attempt outran
    /// its bound, or the call was refused.
    pub fn call<F, Fut, T, E>(&self, mut function: F) -> impl Future<Output = Result<T, CallError<E>>>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: fmt::Display,
    {
        self.judged_by(by_result).run(move |_| function(), &Unread)
    }

    /// [`call`](AmbassadorProxy::call), for a function that wants to know its attempt's number, bound and headers.
    ///
    /// ```
    /// # let proxy = ambassador_core::AmbassadorProxy::new("payment-api.example.com").unwrap();
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let number = proxy.execute(|ctx| async move { Ok::<_, std::io::Error>(ctx.attempt()) }).await?;
    /// assert_eq!(number, 1);
    /// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`call`](AmbassadorProxy::call).
    pub fn execute<F, Fut, T, E>(&self, function: F) -> impl Future<Output = Result<T, CallError<E>>>
    where
        F: FnMut(Attempt) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: fmt::Display,
    {
        self.judged_by(by_result).execute(function)
    }

    /// Nothing listens or answers.
    fn judged_by<C>(&self, classifier: C) -> Terms<'_, C, fn(&str), NoFallback> {
        Terms { proxy: self, classifier, on_retry: |_| (), fallback: NoFallback }
    }

    /// [`call`](AmbassadorProxy::call), for callers without an executor: blocks the present thread until the call is over.
    ///
    /// # Errors
    /// As [`call`](AmbassadorProxy::call).
    pub fn call_blocking<F, Fut, T, E>(&self, function: F) -> Result<T, CallError<E>>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: fmt::Display,
    {
        runtime::block_on(self.call(function))
    }

    /// The same proxy, with a classifier of results (A2): what is a success, what may be tried again, what may not.
    ///
    /// ```
    /// use ambassador_core::call::Outcome;
    /// # use std::io::{Error, ErrorKind};
    /// # let proxy = ambassador_core::AmbassadorProxy::new("payment-api.example.com").unwrap();
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let careful = proxy.classify(|result: &Result<(), Error>| match result {
    ///     Ok(()) => Outcome::Ok,
    ///     Err(e) if e.kind() == ErrorKind::PermissionDenied => Outcome::Fail,
    ///     Err(_) => Outcome::Retry,
    /// });
    /// let refused = careful.call(|| async { Err(ErrorKind::PermissionDenied.into()) }).await;
    /// assert!(refused.is_err());
    /// # });
    /// ```
    pub fn classify<C, T, E>(&self, classifier: C) -> Classified<'_, C>
    where
        C: Fn(&Result<T, E>) -> Outcome,
    {
        Classified { proxy: Cow::Borrowed(self), classifier, on_retry: |_| (), fallback: NoFallback }
    }

    /// The same proxy, with something that answers in place of the final error (H2): a function of that error. The call then
    /// counts as `fallback`. A call that is cancelled is not answered.
    ///
    /// ```
    /// # let proxy = ambassador_core::AmbassadorProxy::builder("payment-api.example.com").max_retries(1).build().unwrap();
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let cautious = proxy.fallback(|_| Ok("to be charged later"));
    /// let answer = cautious.call(|| async { Err(std::io::Error::other("Payment API unreachable")) }).await;
    /// assert_eq!(answer?, "to be charged later");
    /// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub fn fallback<A, T, E>(&self, answer: A) -> WithFallback<'_, T, E, A>
    where
        A: Fn(&CallError<E>) -> Result<T, CallError<E>>,
    {
        self.classify(by_result as ByResult<T, E>).fallback(answer)
    }
}

/// A proxy with a fallback, and no classifier of its own.
pub type WithFallback<'a, T, E, A> = Classified<'a, ByResult<T, E>, fn(&str), Fallback<A>>;

/// The classifier of a proxy that has none of its own: any error may be tried again.
pub type ByResult<T, E> = fn(&Result<T, E>) -> Outcome;

/// A1: a value is `ok`, any error is `retry`.
fn by_result<T, E>(result: &Result<T, E>) -> Outcome {
    match result {
        Ok(_) => Outcome::Ok,
        Err(_) => Outcome::Retry,
    }
}

/// What answers in place of a call's error, or does not.
pub trait Answer<T, E> {
    /// Its answer; `None` when there is none to be had.
    fn answer(&self, error: &CallError<E>) -> Option<Result<T, CallError<E>>>;

    /// The call ended in error, so: whether somebody keeps it, to answer it later where it may be.
    #[doc(hidden)]
    fn keep(&self, _call: &Call) -> bool {
        false
    }

    /// The call ended with that value.
    #[doc(hidden)]
    fn gave(&self, _value: &mut T, _call: &Call) {}
}

/// Nothing answers; the error stands.
#[derive(Clone, Copy, Debug)]
pub struct NoFallback;

impl<T, E> Answer<T, E> for NoFallback {
    fn answer(&self, _: &CallError<E>) -> Option<Result<T, CallError<E>>> {
        None
    }
}

impl<A: Answer<T, E>, T, E> Answer<T, E> for &A {
    fn answer(&self, error: &CallError<E>) -> Option<Result<T, CallError<E>>> {
        (**self).answer(error)
    }
}

/// A function of the error answers.
#[derive(Clone, Copy, Debug)]
pub struct Fallback<A>(A);

impl<A, T, E> Answer<T, E> for Fallback<A>
where
    A: Fn(&CallError<E>) -> Result<T, CallError<E>>,
{
    fn answer(&self, error: &CallError<E>) -> Option<Result<T, CallError<E>>> {
        Some((self.0)(error))
    }
}

/// A proxy with a classifier, and perhaps a fallback; made by [`AmbassadorProxy::classify`].
#[derive(Debug)]
pub struct Classified<'a, C, L = fn(&str), A = NoFallback> {
    proxy: Cow<'a, AmbassadorProxy>,
    classifier: C,
    on_retry: L,
    fallback: A,
}

impl<'a, C, L: Fn(&str), A> Classified<'a, C, L, A> {
    /// Also gives each retry's line (R7) to this listener, besides the event through `tracing`. One that panics changes
    /// nothing for the call (F5).
    pub fn on_retry<M: Fn(&str)>(self, listener: M) -> Classified<'a, C, M, A> {
        let Classified { proxy, classifier, fallback, .. } = self;
        Classified { proxy, classifier, on_retry: listener, fallback }
    }

    /// See [`AmbassadorProxy::fallback`].
    pub fn fallback<B, T, E>(self, answer: B) -> Classified<'a, C, L, Fallback<B>>
    where
        B: Fn(&CallError<E>) -> Result<T, CallError<E>>,
    {
        let Classified { proxy, classifier, on_retry, .. } = self;
        Classified { proxy: Cow::Owned(proxy.with_fallback()), classifier, on_retry, fallback: Fallback(answer) }
    }

    /// See [`AmbassadorProxy::call`].
    ///
    /// # Errors
    /// As there.
    pub fn call<F, Fut, T, E>(&self, mut function: F) -> impl Future<Output = Result<T, CallError<E>>>
    where
        C: Fn(&Result<T, E>) -> Outcome,
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        A: Answer<T, E>,
        E: fmt::Display,
    {
        self.terms().run(move |_| function(), &Unread)
    }

    /// See [`AmbassadorProxy::execute`].
    ///
    /// # Errors
    /// As there.
    pub fn execute<F, Fut, T, E>(&self, function: F) -> impl Future<Output = Result<T, CallError<E>>>
    where
        C: Fn(&Result<T, E>) -> Outcome,
        F: FnMut(Attempt) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        A: Answer<T, E>,
        E: fmt::Display,
    {
        self.terms().execute(function)
    }

    fn terms(&self) -> Terms<'_, &C, &L, &A> {
        let Classified { proxy, classifier, on_retry, fallback } = self;
        Terms { proxy, classifier, on_retry, fallback }
    }
}

/// What a call is made with. It is one future, whichever way it was asked for: each one around another would move its result.
pub(crate) struct Terms<'a, C, L, A> {
    pub proxy: &'a AmbassadorProxy,
    pub classifier: C,
    pub on_retry: L,
    pub fallback: A,
}

/// What there is to read from attempts, beside the class of what they bring.
pub(crate) trait Reads<T, E> {
    /// R3: the wait that the attempt of that number asked for, which brought this.
    fn hint(&self, _attempt: u32, _brought: Option<&Result<T, E>>) -> Option<Nanos> {
        None
    }

    /// The call as it enters: with its key, where there is one to find an endpoint by (E1), and its span (P6).
    fn prepared(&self, call: Call) -> Call {
        call
    }

    /// R7: what the line says of a value that may be tried again.
    fn text(&self, _value: &T) -> String {
        "its result may be tried again".into()
    }

    /// R7: the line of a retry was told; whether there is more to tell of it. `brought` is nothing when the attempt outran its bound.
    fn retried(&self, _retried: Retried<'_, T, E>) {}

    /// Whether the attempt of that number, which has ended, never went to its endpoint: neither that one nor the target is the worse.
    fn went_nowhere(&self, _attempt: u32) -> bool {
        false
    }

    /// Whether the call may go on when an attempt has outrun its bound (P2).
    fn may_follow(&self) -> bool {
        true
    }

    /// Whether the policy's hedge is for this call.
    fn may_hedge(&self) -> bool {
        true
    }
}

/// A retry that follows, and why.
#[cfg_attr(not(feature = "http"), allow(dead_code, reason = "only requests tell of it"))]
pub(crate) struct Retried<'a, T, E> {
    /// The number of the attempt that failed.
    pub attempt: u32,
    pub wait: Nanos,
    /// `None` when it outran its bound.
    pub brought: Option<Result<&'a T, &'a E>>,
    /// The failure in words.
    pub cause: String,
    pub line: String,
}

/// There is nothing to read.
struct Unread;

impl<T, E> Reads<T, E> for Unread {}

impl<T, E> Reads<T, E> for PerCall {
    fn hint(&self, attempt: u32, _: Option<&Result<T, E>>) -> Option<Nanos> {
        self.asked(attempt)
    }
}

/// What outran its bound, or came after it, ends so.
fn overran<T, E>(proxy: &AmbassadorProxy, reader: &impl Reads<T, E>, is_late: bool) -> Outcome {
    match (reader.may_follow(), is_late) {
        (true, false) => Outcome::Timeout,
        // T3: dropped, whatever a classifier would say of it.
        (true, true) => Outcome::Retry,
        (false, is_late) => {
            if is_late {
                proxy.note_late();
            }
            Outcome::Overdue
        }
    }
}

impl<C, L: Fn(&str), A> Terms<'_, C, L, A> {
    async fn execute<F, Fut, T, E>(self, mut function: F) -> Result<T, CallError<E>>
    where
        C: Fn(&Result<T, E>) -> Outcome,
        F: FnMut(Attempt) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        A: Answer<T, E>,
        E: fmt::Display,
    {
        let (proxy, shared) = (self.proxy, Arc::new(PerCall::default()));
        let attempt = |call: &Call| {
            let endpoint = proxy.chosen_endpoint(call);
            function(Attempt { proxy: proxy.clone(), call: *call, shared: Arc::clone(&shared), endpoint })
        };
        self.run(attempt, &*shared).await
    }

    pub(crate) async fn run<F, Fut, T, E>(self, mut attempt: F, reader: &impl Reads<T, E>) -> Result<T, CallError<E>>
    where
        C: Fn(&Result<T, E>) -> Outcome,
        F: FnMut(&Call) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        A: Answer<T, E>,
        E: fmt::Display,
    {
        let (proxy, answer) = (self.proxy, &self.fallback);
        let entered = now();
        let mut flight = InFlight { proxy, call: reader.prepared(Call::coming(entered)) };
        let begun = match proxy.enter(&mut flight.call, entered) {
            Some(Decision::WaitUntil(_)) => match flight.wait().await {
                Ok(decision) => decision,
                Err(ShutDown) => return Err(flight.shut_down(None)),
            },
            Some(decision) => decision,
            // F1: once, directly.
            None => {
                flight.call = Call::direct(entered);
                return attempt(&flight.call).await.map_err(CallError::Failed);
            }
        };
        if let Decision::Finish(give, _) = begun {
            let code = if let Give::Error(code) = give { code } else { Code::Internal };
            return flight.refused(code, answer);
        }
        if proxy.policy().hedge.is_some() && reader.may_hedge() {
            // In a box: few calls are hedged, and the others' futures need not be as large.
            return Box::pin(hedged::run(&self, flight, attempt, reader)).await;
        }
        let mut last_error = None;
        loop {
            let Ok(ended) = bounded(attempt(&flight.call), flight.call.bound()).await else {
                return Err(flight.shut_down(last_error));
            };
            // O2: the bound is the attempt's; what its classifier takes is not counted.
            let at = now();
            let outcome = match &ended {
                None => overran(proxy, reader, false),
                Some(_) if flight.call.is_late(at) => overran(proxy, reader, true),
                Some(result) => {
                    // A2: what a classifier throws is what the call ends with, and its attempt has failed.
                    catch_unwind(AssertUnwindSafe(|| (self.classifier)(result))).unwrap_or_else(|thrown| {
                        let _ = proxy.settle(&mut flight.call, at, Outcome::Fail, None);
                        proxy.answered(&mut flight.call, at, false);
                        resume_unwind(thrown)
                    })
                }
            };
            let number = flight.call.attempt();
            let asked = reader.hint(number, ended.as_ref());
            if reader.went_nowhere(number) {
                proxy.acquit(&mut flight.call, number);
            }
            let mut decision = proxy.settle(&mut flight.call, at, outcome, asked);
            let (value, error) = match ended {
                // T3: what came too late is dropped. What the classifier itself calls a timeout is the cause of it.
                _ if flight.call.last() == Outcome::Timeout && outcome != Outcome::Timeout => (None, None),
                Some(Ok(value)) => (Some(value), None),
                Some(Err(error)) => (None, Some(error)),
                None => (None, None),
            };
            if let Decision::WaitUntil(until) = decision {
                self.tell_retry(&flight.call, at, until, value.as_ref(), error.as_ref(), reader);
            }
            last_error = error.or(last_error);
            if matches!(decision, Decision::WaitUntil(_)) {
                decision = match flight.wait().await {
                    Ok(decision) => decision,
                    Err(ShutDown) => return Err(flight.shut_down(last_error)),
                };
            }
            let Decision::Finish(give, _) = decision else { continue };
            return flight.conclude(give, value, last_error, answer);
        }
    }

    /// R7
    fn tell_retry<T, E: fmt::Display>(
        &self,
        call: &Call,
        at: Nanos,
        until: Nanos,
        value: Option<&T>,
        error: Option<&E>,
        reader: &impl Reads<T, E>,
    ) {
        let proxy = self.proxy;
        let cause = match (error, value) {
            (Some(error), _) => error.to_string(),
            (None, Some(value)) => reader.text(value),
            (None, None) => proxy.error_message(Code::Timeout, Some(call), at),
        };
        let wait = until.saturating_sub(at);
        let line = proxy.retry_line(call, wait, &cause);
        let brought = error.map(Err).or(value.map(Ok));
        let _ = catch_unwind(AssertUnwindSafe(|| {
            (self.on_retry)(&line);
            reader.retried(Retried { attempt: call.ended(), wait, brought, cause, line });
        }));
    }
}

/// A call that ends cancelled when its future is dropped (O3).
struct InFlight<'a> {
    proxy: &'a AmbassadorProxy,
    call: Call,
}

impl InFlight<'_> {
    /// Waits, and for a place in the bulkhead's queue no longer than until there is one; what the core decides then.
    async fn wait(&mut self) -> Result<Decision, ShutDown> {
        loop {
            let decision = self.proxy.resume(&mut self.call, now());
            let Decision::WaitUntil(until) = decision else { return Ok(decision) };
            if self.proxy.is_queued(&self.call) {
                in_queue(self.proxy, &self.call, until).await?;
            } else {
                sleep_until(until).await?;
            }
        }
    }

    /// The call has ended so.
    fn conclude<T, E>(
        &mut self,
        give: Give,
        value: Option<T>,
        last_error: Option<E>,
        answer: &impl Answer<T, E>,
    ) -> Result<T, CallError<E>> {
        let proxy = self.proxy;
        let error = |code, call: &Call, cause| CallError::Ambassador(proxy.error(code, Some(call), now()), cause);
        let ended = match (give, value, last_error) {
            (Give::Error(code), _, cause) => Err(error(code, &self.call, cause)),
            (_, Some(mut value), _) => {
                answer.gave(&mut value, &self.call);
                // A value that is a failure to the classifier is no error to be answered.
                if self.call.is_answering() {
                    proxy.answered(&mut self.call, now(), false);
                }
                Ok(value)
            }
            (_, None, Some(error)) => Err(CallError::Failed(error)),
            // A timeout whose decision failed (F1).
            (_, None, None) => Err(error(Code::Timeout, &self.call, None)),
        };
        ended.or_else(|error| self.answered(error, answer))
    }

    /// The call was refused.
    fn refused<T, E>(&mut self, code: Code, answer: &impl Answer<T, E>) -> Result<T, CallError<E>> {
        let error = CallError::Ambassador(self.proxy.error(code, Some(&self.call), now()), None);
        self.answered(error, answer)
    }

    /// H2: what answers in place of the error. One that panics drops the flight, which ends the call.
    fn answered<T, E>(&mut self, error: CallError<E>, answer: &impl Answer<T, E>) -> Result<T, CallError<E>> {
        let is_kept = answer.keep(&self.call);
        if !self.call.is_answering() {
            return Err(error);
        }
        let Some(answered) = answer.answer(&error) else {
            if is_kept {
                // Not this flight's to end any more.
                self.call = Call::direct(self.call.entered());
            }
            return Err(error);
        };
        self.proxy.answered(&mut self.call, now(), answered.is_ok());
        answered
    }

    /// F4: no timer is left for it.
    #[cold]
    fn shut_down<E>(&mut self, cause: Option<E>) -> CallError<E> {
        let at = now();
        self.proxy.cut_short(&mut self.call, at, Stop::Shutdown);
        CallError::Ambassador(self.proxy.error(Code::Shutdown, Some(&self.call), at), cause)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        // As a rule it has, and the clock need not be asked.
        if !self.call.has_ended() {
            self.proxy.cancel(&mut self.call, now());
        }
    }
}

/// The runtime was shut down, and its timers with it.
struct ShutDown;

/// The future's output, or `None` once the bound has passed. The timer is made only if the future has to be waited for.
async fn bounded<F: Future>(future: F, bound: Nanos) -> Result<Option<F::Output>, ShutDown> {
    let mut future = pin!(future);
    let mut timer = None;
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(Some(output)));
        }
        // In virtual time a function that moves the clock beyond its bound has timed out when it ends.
        if bound == NEVER || testing::instant().is_some() {
            return Poll::Pending;
        }
        let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(bound)));
        timer.as_mut().poll(cx).map_ok(|()| None)
    })
    .await
}

/// Waits until that instant, or until a place has come free.
async fn in_queue(proxy: &AmbassadorProxy, call: &Call, until: Nanos) -> Result<(), ShutDown> {
    let mut timer = pin!(sleep_until(until));
    let woken = Arc::new(AtomicBool::new(false));
    poll_fn(|cx| {
        if woken.load(SeqCst) {
            return Poll::Ready(Ok(()));
        }
        let waker = WokenAtTurn { woken: Arc::clone(&woken), task: cx.waker().clone() };
        proxy.wake_at_turn(call, Arc::new(waker).into());
        timer.as_mut().poll(cx)
    })
    .await
}

/// Tells a task that woke because its turn has come.
struct WokenAtTurn {
    woken: Arc<AtomicBool>,
    task: Waker,
}

impl Wake for WokenAtTurn {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, SeqCst);
        self.task.wake_by_ref();
    }
}

/// T1: never early.
async fn sleep_until(at: Nanos) -> Result<(), ShutDown> {
    // No wait is none, not a tick of the timer; nor is one in virtual time.
    if at <= now() || testing::pass(at) {
        return Ok(());
    }
    let Some(instant) = clock::to_instant(at) else {
        return std::future::pending().await;
    };
    let timer = {
        let handle = runtime::handle_for_timer();
        let _entered = handle.enter();
        tokio::time::sleep_until(instant.into())
    };
    let mut timer = pin!(timer);
    poll_fn(|cx| {
        if runtime::has_ended() {
            return Poll::Ready(Err(ShutDown));
        }
        // Tokio's timers panic when their runtime has ended, which it may have done this moment.
        match catch_unwind(AssertUnwindSafe(|| timer.as_mut().poll(cx))) {
            Ok(fired) => fired.map(Ok),
            Err(_) => Poll::Ready(Err(ShutDown)),
        }
    })
    .await
}
