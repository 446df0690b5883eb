//! A call in flight as a Python object, for the ways on which Python drives it. Every decision is the core's; here it is kept, and
//! put into Python's terms.

use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use ambassador_core::AmbassadorProxy;
use ambassador_core::call::{Call as CoreCall, Decision, Give, Hedge, Outcome, Stop};
use ambassador_core::clock::{NEVER, Nanos, now};
use ambassador_core::error::Code;
use ambassador_core::event::Event;
use ambassador_core::proxy::CallId;
use pyo3::PyTypeInfo;
use pyo3::prelude::*;

use crate::attempt::Attempt;
use crate::racer::Racer;
use crate::raw::{self, Object};
use crate::{interrupt, log, raise, settings, turn};

// What `settle` and `resume` answer.
pub const RUN: u8 = 0;
pub const WAIT: u8 = 1;
pub const VALUE: u8 = 2;
pub const LAST_ERROR: u8 = 3;
pub const ERROR: u8 = 4;
/// Others of the call's attempts still run (H1).
pub const AWAIT: u8 = 5;

/// Gives `Call` its method `error`, and puts the names of decisions and outcomes into the module.
pub fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    for (name, number) in
        [("RUN", RUN), ("WAIT", WAIT), ("VALUE", VALUE), ("LAST_ERROR", LAST_ERROR), ("ERROR", ERROR), ("AWAIT", AWAIT)]
    {
        module.add(name, number)?;
    }
    for (name, outcome) in [
        ("OK", Outcome::Ok),
        ("RETRY", Outcome::Retry),
        ("FAIL", Outcome::Fail),
        ("TIMEOUT", Outcome::Timeout),
        ("CANCELLED", Outcome::Cancelled),
    ] {
        module.add(name, outcome as u8)?;
    }
    let doc = c"The ambassador's own error that the last decision named.";
    raw::add_method(&Call::type_object(module.py()), raw::method(c"error", error, doc))
}

/// Seconds until that instant, down to 0; `None` when it never comes.
pub fn seconds_until(at: Nanos) -> Option<f64> {
    (at != NEVER).then(|| at.saturating_sub(now()) as f64 / 1e9)
}

/// A call in flight.
#[pyclass(frozen, module = "ambassador_proxy._native")]
pub struct Call {
    proxy: AmbassadorProxy,
    generation: u32,
    is_direct: bool,
    /// How it begins: `RUN`, `WAIT`, or `ERROR` when it was refused.
    begins: u8,
    // Held for a moment each, and never while Python code runs.
    state: Mutex<State>,
}

struct State {
    call: CoreCall,
    id: Option<CallId>,
    /// Of the last decision: when it was made, until when to wait, what to give and why.
    decided: Nanos,
    until: Nanos,
    give: Give,
    stop: Stop,
    /// When to ask for another attempt beside those that run (H1).
    hedge_at: Nanos,
}

impl Call {
    pub fn of(proxy: &AmbassadorProxy, call: CoreCall) -> Call {
        Call::new(proxy, call, false)
    }

    /// A call that has to wait before its first attempt.
    pub fn waiting(proxy: &AmbassadorProxy, call: CoreCall, until: Nanos, now: Nanos) -> Call {
        let mut waiting = Call::new(proxy, call, false);
        waiting.begins = WAIT;
        waiting.state_mut().decided(Decision::WaitUntil(until), now);
        waiting
    }

    /// A call that was refused.
    pub fn refused(proxy: &AmbassadorProxy, call: CoreCall, code: Code, now: Nanos) -> Call {
        let mut refused = Call::new(proxy, call, false);
        refused.begins = ERROR;
        refused.state_mut().decided(Decision::Finish(Give::Error(code), Stop::Ok), now);
        refused
    }

    /// F1: the core failed at the beginning; the function runs once, and nothing is settled.
    pub fn direct(proxy: &AmbassadorProxy, now: Nanos) -> Call {
        Call::new(proxy, CoreCall::direct(now), true)
    }

    fn new(proxy: &AmbassadorProxy, call: CoreCall, is_direct: bool) -> Call {
        let state = State {
            call,
            id: None,
            decided: 0,
            until: 0,
            give: Give::LastError,
            stop: Stop::Cancelled,
            hedge_at: NEVER,
        };
        let generation = interrupt::generation();
        Call { proxy: proxy.clone(), generation, is_direct, begins: RUN, state: Mutex::new(state) }
    }

    fn state_mut(&mut self) -> &mut State {
        self.state.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until when it waits.
    pub fn until(&self) -> Nanos {
        self.state().until
    }

    /// See `AmbassadorProxy::wake_at_turn`.
    pub fn wake_at_turn(&self, waker: Waker) {
        let call = self.state().call;
        self.proxy.wake_at_turn(&call, waker);
    }

    /// What a Python object holds.
    ///
    /// # Safety
    /// The GIL is held; `call` is a `Call` that outlives the answer.
    pub unsafe fn behind<'a>(call: Object) -> &'a Call {
        // SAFETY: as this function asks of its caller; a frozen class needs no borrow.
        unsafe { &*ptr::from_ref(Bound::ref_from_ptr(Python::assume_attached(), &call).cast_unchecked::<Call>().get()) }
    }

    pub fn proxy(&self) -> &AmbassadorProxy {
        &self.proxy
    }

    /// What marks all its attempts as the same call.
    pub fn id(&self) -> CallId {
        *self.state().id.get_or_insert_with(CallId::random)
    }

    /// Its first attempt has told that id already.
    pub fn is_known_as(&self, id: CallId) {
        self.state().id = Some(id);
    }

    pub fn bound(&self) -> Nanos {
        if self.is_direct { NEVER } else { self.state().call.bound() }
    }

    /// When to ask for another attempt beside those that run (H1).
    pub fn hedge_at(&self) -> Nanos {
        self.state().hedge_at
    }

    /// The attempt of that number has ended; see `AmbassadorProxy::settle_attempt`.
    pub fn settle_attempt(
        &self,
        py: Python<'_>,
        number: u32,
        at: Nanos,
        outcome: Outcome,
        hint: Option<Nanos>,
    ) -> PyResult<u8> {
        self.check_owner(py)?;
        let decided = {
            let mut state = self.state();
            let decision = self.proxy.settle_attempt(&mut state.call, number, at, outcome, hint);
            state.decided(decision, at)
        };
        turn::tell(py);
        Ok(decided)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// F3: a forked child inherits the calls of its parent as they stood; they are not its own.
    fn check_owner(&self, py: Python<'_>) -> PyResult<()> {
        if self.generation == interrupt::generation() {
            return Ok(());
        }
        let call = self.state().call;
        // SAFETY: the GIL is held.
        let error =
            unsafe { Bound::from_owned_ptr_or_err(py, raise::error(&self.proxy, Code::Forked, Some(&call), now()))? };
        Err(PyErr::from_value(error))
    }

    fn last_decision(&self) -> (CoreCall, Give, Nanos) {
        let state = self.state();
        (state.call, state.give, state.decided)
    }

    /// Keeps a decision, and says which it is.
    pub fn decided(&self, decision: Decision, at: Nanos) -> u8 {
        self.state().decided(decision, at)
    }
}

impl State {
    fn decided(&mut self, decision: Decision, at: Nanos) -> u8 {
        self.decided = at;
        match decision {
            Decision::Run => RUN,
            Decision::Await => AWAIT,
            Decision::WaitUntil(until) => {
                self.until = until;
                WAIT
            }
            Decision::Finish(give, stop) => {
                self.give = give;
                self.stop = stop;
                match give {
                    Give::Value => VALUE,
                    Give::LastError => LAST_ERROR,
                    Give::Error(_) => ERROR,
                }
            }
        }
    }
}

impl Drop for Call {
    /// O3: a call whose coroutine or frame was collected in mid-flight ends cancelled.
    fn drop(&mut self) {
        if self.generation == interrupt::generation() && !self.is_direct {
            let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
            self.proxy.cancel(&mut state.call, now());
            // SAFETY: the GIL is held where Python's objects are freed.
            turn::tell(unsafe { Python::assume_attached() });
        }
    }
}

#[pymethods]
impl Call {
    /// Whether the core failed (F1): run the function once, and settle nothing.
    #[getter]
    fn is_direct(&self) -> bool {
        self.is_direct
    }

    /// How it begins: `RUN`, `WAIT`, or `ERROR` when it was refused.
    #[getter]
    fn begins(&self) -> u8 {
        self.begins
    }

    /// The number of the attempt.
    #[getter]
    fn attempt(&self) -> u32 {
        self.state().call.attempt()
    }

    /// Whether nothing is to watch the running attempt's bound: there is none, or time is virtual, where a function that moves the
    /// clock beyond its bound has timed out when it ends.
    #[getter]
    fn is_unwatched(&self) -> bool {
        self.bound() == NEVER || ambassador_core::testing::instant().is_some()
    }

    /// Seconds until the running attempt's bound; `None` without one.
    #[getter]
    fn remaining(&self) -> Option<f64> {
        seconds_until(self.bound())
    }

    /// Seconds until the wait is over.
    #[getter]
    fn left(&self) -> f64 {
        self.state().until.saturating_sub(now()) as f64 / 1e9
    }

    /// The wait that was decided, in seconds.
    #[getter]
    fn wait(&self) -> f64 {
        let state = self.state();
        state.until.saturating_sub(state.decided) as f64 / 1e9
    }

    /// Whether the attempt that ended last outran its bound, so that what it brought is dropped (T3).
    #[getter]
    fn timed_out(&self) -> bool {
        self.state().call.last() == Outcome::Timeout
    }

    /// Why the call ended, in words.
    #[getter]
    fn stop(&self) -> &'static str {
        self.state().stop.as_str()
    }

    /// What the function sees of the attempt that starts now.
    fn context(slf: &Bound<'_, Call>) -> PyResult<Py<Attempt>> {
        let call = slf.get().state().call;
        let attempt = Attempt::new(&slf.get().proxy, call, slf.get().bound());
        attempt.belongs_to(slf);
        Py::new(slf.py(), attempt)
    }

    /// The attempt that begins now, of several that may run at once (H1); its function sees it if `with_context`.
    fn racer(slf: &Bound<'_, Call>, with_context: bool) -> PyResult<Py<Racer>> {
        let call = slf.get().state().call;
        Racer::new(slf, call, with_context)
    }

    /// H1: whether another attempt begins now beside those that run.
    fn hedge(&self, py: Python<'_>) -> PyResult<bool> {
        self.check_owner(py)?;
        let mut state = self.state();
        let hedge = self.proxy.hedge(&mut state.call, now());
        state.hedge_at = if let Hedge::At(at) = hedge { at } else { NEVER };
        Ok(hedge == Hedge::Run)
    }

    /// Seconds until `hedge` is to be asked again; `None` for never.
    #[getter]
    fn until_hedge(&self) -> Option<f64> {
        let at = self.hedge_at();
        seconds_until(at)
    }

    /// The number of the attempt that ended last (H1).
    #[getter]
    fn ended(&self) -> u32 {
        self.state().call.ended()
    }

    /// The running attempt ended. `hint` is what its error says of when to come again (R3); what the attempt says goes first.
    #[pyo3(signature = (outcome, context=None, hint=None))]
    fn settle(
        &self,
        py: Python<'_>,
        outcome: u8,
        context: Option<&Bound<'_, Attempt>>,
        hint: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u8> {
        self.check_owner(py)?;
        let hint = asked(context, hint);
        let decided = {
            let mut state = self.state();
            let at = now();
            let decision = self.proxy.settle(&mut state.call, at, Outcome::from_number(outcome), hint);
            state.decided(decision, at)
        };
        turn::tell(py);
        Ok(decided)
    }

    /// The wait is over, or was cut short.
    fn resume(&self, py: Python<'_>) -> PyResult<u8> {
        self.check_owner(py)?;
        let decided = {
            let mut state = self.state();
            let at = now();
            let decision = self.proxy.resume(&mut state.call, at);
            state.decided(decision, at)
        };
        turn::tell(py);
        Ok(decided)
    }

    /// T3: whether what the running attempt brings now comes too late, so that nobody needs to judge it.
    #[getter]
    fn is_late(&self) -> bool {
        self.state().call.is_late(now())
    }

    /// In virtual time the wait is over at once: whether it was.
    fn pass_time(&self) -> bool {
        let until = self.state().until;
        ambassador_core::testing::pass(until)
    }

    /// Whether it waits for a place in the bulkhead, which may come free before its wait is over.
    #[getter]
    fn is_queued(&self) -> bool {
        let call = self.state().call;
        self.proxy.is_queued(&call)
    }

    /// Calls `function` when its turn has come; perhaps at once.
    fn on_turn(&self, py: Python<'_>, function: Py<PyAny>) {
        self.wake_at_turn(turn::telling(function));
        turn::tell(py);
    }

    /// Whether something else may answer in place of its error (H2).
    #[getter]
    fn is_answering(&self) -> bool {
        self.state().call.is_answering()
    }

    /// H2: something else has answered, or has failed too.
    pub fn answered(&self, well: bool) {
        self.proxy.answered(&mut self.state().call, now(), well);
    }

    /// Whether anybody listens to what happens to its target.
    #[getter]
    fn is_heard(&self) -> bool {
        self.proxy.keeps_events()
    }

    /// The name of the state that its target's proxies share.
    #[getter]
    fn name(&self) -> &str {
        self.proxy.name()
    }

    /// What has happened and was told to nobody yet.
    fn fetch_events(&self) -> Vec<log::Told> {
        log::told(&self.proxy)
    }

    /// The call ends cancelled, wherever it stands (A3). Does nothing to a call that has ended.
    fn cancel(&self, py: Python<'_>) {
        if self.generation == interrupt::generation() && !self.is_direct {
            self.proxy.cancel(&mut self.state().call, now());
            turn::tell(py);
        }
    }

    /// R7: the line that tells of the retry to come, and the event of which it tells, as JSON.
    fn retry_line(&self, error: &str) -> (String, String) {
        let (call, wait) = {
            let state = self.state();
            (state.call, state.until.saturating_sub(state.decided))
        };
        let event = Event::Retry { attempt: call.ended(), wait };
        (self.proxy.retry_line(&call, wait, error), event.to_json(self.proxy.name()))
    }

    /// What is said of an attempt that outran its bound.
    fn timeout_text(&self) -> String {
        let state = self.state();
        self.proxy.error_message(Code::Timeout, Some(&state.call), state.decided)
    }

    /// T3: a result came after its attempt had been given up.
    fn note_late(&self) {
        self.proxy.note_late();
    }

    /// O3: work outlives its bound from now on (`True`), or has ended (`False`).
    fn note_abandoned(&self, py: Python<'_>, begins: bool) {
        if begins {
            self.proxy.note_abandoned();
        } else {
            self.proxy.note_abandoned_ended();
            turn::tell(py);
        }
    }

    /// A4: what is noted on the app's own error.
    fn end_note(&self) -> String {
        let state = self.state();
        self.proxy.end_note(&state.call, state.decided, state.stop)
    }
}

/// R3: what the attempt asks for goes before what its error does.
pub fn asked(context: Option<&Bound<'_, Attempt>>, hint: Option<&Bound<'_, PyAny>>) -> Option<Nanos> {
    context.and_then(|context| context.get().hint()).or_else(|| hint.and_then(settings::hint))
}

/// `Call.error()`: the ambassador's own error that the last decision named.
unsafe extern "C-unwind" fn error(call: Object, _: *const Object, _: isize, _: Object) -> Object {
    // SAFETY: called by the interpreter, which has checked the class. Nothing here is to be dropped while Python code runs.
    unsafe {
        let of = Call::behind(call);
        let (call, give, at) = of.last_decision();
        let code = match give {
            Give::Error(code) => code,
            _ => Code::Internal,
        };
        raise::error(&of.proxy, code, Some(&call), at)
    }
}
