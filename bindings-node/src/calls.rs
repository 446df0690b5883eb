//! The way of a call. These natives take no arguments and give no results: all numbers go through the [`Exchange`], and
//! the natives of a first attempt that succeeds touch neither JavaScript's heap nor ours. They are plain Node-API
//! callbacks, for the conversions of the derive macro would cost more than the core does.
//!
//! Faults of the core's are caught in the core (F1). A fault of this file's own becomes an `Error`.

use std::ffi::{CStr, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;

use ambassador_core::call::{Call, Decision, Give, Hedge, Outcome, Stop};
use ambassador_core::clock::{self, NEVER, Nanos};
use ambassador_core::{AmbassadorProxy, Code, testing};
use napi::bindgen_prelude::{External, Object, Result, check_status, sys};
use napi::{Env, JsValue};
use napi_derive::napi;

use crate::exchange::Exchange;
use crate::instance::Instance;
use crate::post::Post;
use crate::slab::Slab;

// What `answer` says; `lib/bridge.js` has the same numbers.
const RUN: i32 = 0;
const WAIT: i32 = 1;
const VALUE: i32 = 2;
const LAST_ERROR: i32 = 3;
/// F1: run the function once, and settle nothing.
const DIRECT: i32 = 4;
/// As `WAIT`, for a place in the bulkhead: it may come free before the wait is over (L1).
const QUEUE: i32 = 5;
/// Others of the call's attempts still run, and none begins beside them now (H1).
const AWAIT: i32 = -1;
/// The error at that place of `Code::ALL`, counted from here.
const ERROR: i32 = 6;

/// Added to an outcome: the attempt ended at the instant that was given, and was judged since.
const JUDGED: i32 = 8;

/// What a call ends with when there is no telling how it stands.
const LOST: Decision = Decision::Finish(Give::LastError, Stop::Internal);

type Callback = unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value;

const NATIVES: [(&CStr, Callback); 13] = [
    (c"begin", begin),
    (c"settle", settle),
    (c"settleAttempt", settle_attempt),
    (c"hedge", hedge),
    (c"resume", resume),
    (c"cancel", cancel),
    (c"answered", answered),
    (c"release", release),
    (c"queue", queue),
    (c"pass", pass),
    (c"note", note),
    (c"now", now),
    (c"fault", fault),
];

/// What every environment gets: the natives above, its `exchange`, and its `instance`, to be given to `open`.
#[napi(module_exports)]
pub fn init(mut exports: Object<'_>, env: Env) -> Result<()> {
    crate::events::begin_to_log();
    let (exchange, buffer) = Exchange::create(env.raw())?;
    let instance =
        Rc::new(Instance { exchange, proxies: Slab::new().into(), post: Arc::default(), inbox: Arc::default() });
    for (name, callback) in NATIVES {
        // SAFETY: `env` is loading this addon and `exports` is its object. Each function owns one count of the instance,
        // and gives it back when the function itself is collected, after which nothing calls it.
        unsafe { define(env.raw(), exports.raw(), name, callback, Rc::into_raw(Rc::clone(&instance)))? };
    }
    // SAFETY: both are alive values of this environment.
    check_status!(unsafe { sys::napi_set_named_property(env.raw(), exports.raw(), c"exchange".as_ptr(), buffer) })?;
    exports.set("instance", External::new(instance))
}

unsafe fn define(
    env: sys::napi_env,
    exports: sys::napi_value,
    name: &CStr,
    callback: Callback,
    instance: *const Instance,
) -> Result<()> {
    let data = instance.cast_mut().cast();
    let mut function = ptr::null_mut();
    // SAFETY: by this function's contract; the callbacks expect an `Instance` as their data.
    unsafe {
        check_status!(sys::napi_create_function(env, name.as_ptr(), -1, Some(callback), data, &mut function))?;
        check_status!(sys::napi_add_finalizer(env, function, data, Some(forget), ptr::null_mut(), ptr::null_mut()))?;
        check_status!(sys::napi_set_named_property(env, exports, name.as_ptr(), function))
    }
}

unsafe extern "C" fn forget(_: sys::napi_env, data: *mut c_void, _: *mut c_void) {
    // SAFETY: `init` gave this function's finalizer one count of the instance, once.
    drop(unsafe { Rc::from_raw(data.cast_const().cast::<Instance>()) });
}

/// A call begins. In: proxy. Out: answer (`RUN`, `WAIT`, `QUEUE`, `DIRECT` or an error), call, heard; attempt and at for `RUN`, at for
/// a wait, answering for an error. The call stays until `release`, also a refused one.
unsafe extern "C" fn begin(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    native(env, info, |instance, exchange| {
        let Some(proxy) = instance.proxies.borrow_mut().get_mut(exchange.proxy.get() as usize).map(|p| &raw const **p)
        else {
            exchange.answer.set(ERROR + Code::Internal as i32);
            return;
        };
        // SAFETY: JavaScript holds the proxy while it calls this, and nothing here lets it go.
        let proxy = unsafe { &*proxy };
        let now = clock::now();
        let mut calls = proxy.calls.borrow_mut();
        let (number, call) = calls.insert(Call::coming(now));
        let decision = proxy.core.enter(call, now);
        exchange.heard.set(i32::from(proxy.core.keeps_events()));
        exchange.call.set(number as i32);
        match decision {
            Some(Decision::Run | Decision::Await) => {
                tell_attempt(exchange, call);
                exchange.answer.set(RUN);
            }
            Some(Decision::WaitUntil(at)) => {
                tell_wait(exchange, &proxy.core, call, at);
            }
            Some(Decision::Finish(give, _)) => {
                exchange.answering.set(i32::from(call.is_answering()));
                let code = if let Give::Error(code) = give { code } else { Code::Internal };
                exchange.answer.set(ERROR + code as i32);
            }
            None => {
                calls.remove(number);
                exchange.answer.set(DIRECT);
            }
        }
    })
}

/// The running attempt ended. In: proxy, call, outcome, hint; at when `JUDGED` is added to the outcome. Out: answer, late, answering, heard; at and wait for `WAIT`. The call is
/// gone when the answer is `VALUE`; else it stays until `release`.
unsafe extern "C" fn settle(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    native(env, info, |instance, exchange| {
        let (outcome, hint, now) = ended(exchange);
        decide(instance, exchange, now, |core, call| core.settle(call, now, outcome, hint));
    })
}

/// H1: as `settle`, for one of a call's attempts. In besides: attempt. Out besides: answer `AWAIT`; or `RUN`, as for `resume`; ended,
/// the number of the attempt that the answer is about.
unsafe extern "C" fn settle_attempt(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    native(env, info, |instance, exchange| {
        let (outcome, hint, now) = ended(exchange);
        let number = exchange.attempt.get() as u32;
        decide(instance, exchange, now, |core, call| {
            let decision = core.settle_attempt(call, number, now, outcome, hint);
            exchange.ended.set(call.ended() as i32);
            decision
        });
    })
}

/// H1: whether another attempt begins now. In: proxy, call. Out: answer, `RUN`, `WAIT` for when to ask again, or `AWAIT` for none; attempt
/// and at for `RUN`, at for `WAIT`; heard.
unsafe extern "C" fn hedge(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    native(env, info, |instance, exchange| {
        let now = clock::now();
        decide(instance, exchange, now, |core, call| match core.hedge(call, now) {
            Hedge::Run => Decision::Run,
            Hedge::At(at) => Decision::WaitUntil(at),
            Hedge::Never => Decision::Await,
        });
    })
}

/// A wait is over, or was cut short. In: proxy, call. Out: answer, attempt, at, answering, heard.
unsafe extern "C" fn resume(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    native(env, info, |instance, exchange| {
        let now = clock::now();
        decide(instance, exchange, now, |core, call| core.resume(call, now));
    })
}

/// The caller went away; the call is gone. In: proxy, call. Out: heard.
unsafe extern "C" fn cancel(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    native(env, info, |instance, exchange| {
        let now = clock::now();
        decide(instance, exchange, now, |core, call| {
            core.cancel(call, now);
            LOST
        });
        let_go(instance, exchange);
    })
}

/// H2: the fallback answered, or failed too; the call is gone. In: proxy, call, outcome: 1 when it answered. Out: heard.
unsafe extern "C" fn answered(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    native(env, info, |instance, exchange| {
        let (now, well) = (clock::now(), exchange.outcome.get() == 1);
        decide(instance, exchange, now, |core, call| {
            core.answered(call, now, well);
            LOST
        });
        let_go(instance, exchange);
    })
}

/// The call queues: from now on `lib/post.js` is told when its turn has come. In: proxy, call; outcome: its ticket.
unsafe extern "C" fn queue(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    native(env, info, |instance, exchange| {
        let mut proxies = instance.proxies.borrow_mut();
        let Some(proxy) = proxies.get_mut(exchange.proxy.get() as usize) else { return };
        let Some(call) = proxy.calls.borrow_mut().get_mut(exchange.call.get() as usize).copied() else { return };
        proxy.core.wake_at_turn(&call, Post::waker(&instance.post, exchange.outcome.get()));
    })
}

/// Whether a wait is over: its end has come, or time is virtual and moves there. In: at. Out: answer, 1 or 0.
unsafe extern "C" fn pass(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    native(env, info, |_, exchange| {
        // The cast saturates: `Infinity` is `NEVER`.
        let at = exchange.at.get() as Nanos;
        exchange.answer.set(i32::from(at <= clock::now() || testing::pass(at)));
    })
}

/// Whatever was to be said of a call that has ended was said; it is gone. In: proxy, call.
unsafe extern "C" fn release(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    native(env, info, let_go)
}

/// T3, O3. In: proxy; outcome: 0, a late result was dropped; 1, work outlives its bound; 2, such work has ended.
unsafe extern "C" fn note(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    native(env, info, |instance, exchange| {
        if let Some(proxy) = instance.proxies.borrow_mut().get_mut(exchange.proxy.get() as usize) {
            match exchange.outcome.get() {
                0 => proxy.core.note_late(),
                1 => proxy.core.note_abandoned(),
                _ => proxy.core.note_abandoned_ended(),
            }
        }
    })
}

/// The present instant. Out: at, is_virtual.
unsafe extern "C" fn now(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    native(env, info, |_, exchange| {
        exchange.at.set(clock::now() as f64);
        exchange.is_virtual.set(i32::from(testing::instant().is_some()));
    })
}

/// For tests: a fault of this file's own.
unsafe extern "C" fn fault(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    native(env, info, |_, _| panic!("a fault injected into a native"))
}

/// Runs the body of a native. A panic must not leave it, or Node would abort: it becomes an `Error`.
#[inline(always)]
fn native(
    env: sys::napi_env,
    info: sys::napi_callback_info,
    body: impl FnOnce(&Instance, &Exchange),
) -> sys::napi_value {
    let mut data = ptr::null_mut();
    // SAFETY: Node calls the native with its own environment and info; what is not asked for may be null.
    unsafe {
        sys::napi_get_cb_info(env, info, ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), &mut data);
    }
    // SAFETY: `define` gave every native the address of an instance, which lives as long as the native does.
    let instance = unsafe { &*data.cast_const().cast::<Instance>() };
    // SAFETY: see `Exchange::create`; JavaScript does not run while this native does.
    let exchange = unsafe { &*instance.exchange };
    if catch_unwind(AssertUnwindSafe(|| body(instance, exchange))).is_err() {
        // SAFETY: as above; both texts end with a zero.
        unsafe {
            let (code, message) = (c"ERR_AMBASSADOR_INTERNAL", c"a fault of the ambassador itself; report it");
            sys::napi_throw_error(env, code.as_ptr(), message.as_ptr());
        }
    }
    ptr::null_mut()
}

#[inline(always)]
fn decide(
    instance: &Instance,
    exchange: &Exchange,
    now: Nanos,
    how: impl FnOnce(&AmbassadorProxy, &mut Call) -> Decision,
) {
    let mut proxies = instance.proxies.borrow_mut();
    let Some(proxy) = proxies.get_mut(exchange.proxy.get() as usize) else {
        exchange.answer.set(LAST_ERROR);
        return;
    };
    let mut calls = proxy.calls.borrow_mut();
    let number = exchange.call.get() as usize;
    let Some(call) = calls.get_mut(number) else {
        exchange.answer.set(LAST_ERROR);
        return;
    };
    let answer = match how(&proxy.core, call) {
        Decision::Finish(Give::Value, _) => VALUE,
        Decision::Finish(Give::LastError, _) => LAST_ERROR,
        Decision::Finish(Give::Error(code), _) => ERROR + code as i32,
        Decision::Await => AWAIT,
        Decision::WaitUntil(at) => {
            exchange.wait.set(at.saturating_sub(now) as f64);
            tell_wait(exchange, &proxy.core, call, at)
        }
        Decision::Run => {
            tell_attempt(exchange, call);
            RUN
        }
    };
    exchange.answer.set(answer);
    exchange.answering.set(i32::from(call.is_answering()));
    exchange.heard.set(i32::from(proxy.core.keeps_events()));
    exchange.late.set(i32::from(call.last() == Outcome::Timeout));
    if answer == VALUE {
        calls.remove(number);
    }
}

fn let_go(instance: &Instance, exchange: &Exchange) {
    if let Some(proxy) = instance.proxies.borrow_mut().get_mut(exchange.proxy.get() as usize) {
        proxy.calls.borrow_mut().remove(exchange.call.get() as usize);
    }
}

/// How an attempt ended, and when: the outcome, the hint, the instant.
#[inline]
fn ended(exchange: &Exchange) -> (Outcome, Option<Nanos>, Nanos) {
    let outcome = exchange.outcome.get();
    let now = if outcome & JUDGED == 0 { clock::now() } else { exchange.at.get() as Nanos };
    (Outcome::from_number((outcome & !JUDGED) as u8), hint(exchange.hint.get()), now)
}

#[inline]
fn tell_attempt(exchange: &Exchange, call: &Call) {
    exchange.attempt.set(call.attempt() as i32);
    exchange.at.set(instant(call.bound()));
}

/// Until when it waits, and for what; the answer that says so.
fn tell_wait(exchange: &Exchange, core: &AmbassadorProxy, call: &Call, at: Nanos) -> i32 {
    let answer = if core.is_queued(call) { QUEUE } else { WAIT };
    exchange.at.set(instant(at));
    exchange.answer.set(answer);
    answer
}

/// An instant for JavaScript.
#[inline]
fn instant(at: Nanos) -> f64 {
    if at == NEVER { f64::INFINITY } else { at as f64 }
}

/// R3: milliseconds that were asked for. NaN is none; a past instant is 0; the cast saturates. Never early by rounding.
#[inline]
fn hint(ms: f64) -> Option<Nanos> {
    (!ms.is_nan()).then(|| (ms.max(0.0) * 1e6).ceil() as Nanos)
}
