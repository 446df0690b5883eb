//! What is said of calls: the core makes every text, so that it is the same in every language. None of this is on the way
//! of a call that succeeds at once.

use std::time::Duration;

use ambassador_core::call::Call;
use ambassador_core::clock;
use ambassador_core::proxy::CallId;
use ambassador_core::settings::Spelling;
use ambassador_core::telemetry::trace;
use ambassador_core::{Code, fault, runtime};
use napi::bindgen_prelude::External;
use napi_derive::napi;

use crate::instance::Handle;
use crate::settings::milliseconds;

/// The names of all codes, by their places.
#[napi(catch_unwind)]
pub fn codes() -> Vec<&'static str> {
    Code::ALL.iter().map(|code| code.as_str()).collect()
}

/// What the error at that place of `Code::ALL` says, about that call, or about none when the number is below zero. What else is
/// told of the call goes into the exchange: attempt; at: how long it has taken; wait: when it may come again, NaN when nobody
/// knows; both in milliseconds.
#[napi(catch_unwind)]
pub fn tell(handle: &External<Handle>, call: i32, code: u32) -> String {
    let core = &handle.proxy.core;
    let (call, now) = (find(handle, call), clock::now());
    let code = Code::ALL.get(code as usize).copied().unwrap_or(Code::Internal);
    // SAFETY: see `Exchange::create`; JavaScript does not run while this native does.
    let exchange = unsafe { &*handle.instance.exchange };
    exchange.attempt.set(call.map_or(0, |call| call.attempt() as i32));
    exchange.at.set(call.map_or(0.0, |call| milliseconds(call.elapsed(now))));
    exchange.wait.set(call.and_then(|call| call.retry_after()).map_or(f64::NAN, milliseconds));
    core.error_message(code, call.as_ref(), now)
}

/// The address of the endpoint that was chosen for that attempt of the call, while it runs; none where the target itself is the
/// one.
#[napi(catch_unwind)]
pub fn endpoint(handle: &External<Handle>, call: i32, attempt: u32) -> Option<String> {
    let call = find(handle, call)?;
    handle.proxy.core.chosen_endpoint_of(&call, attempt).map(|endpoint| endpoint.as_str().into())
}

/// R7: the line of the retry that the call waits for, `wait` nanoseconds long.
#[napi(catch_unwind)]
pub fn retry_line(handle: &External<Handle>, call: i32, wait: f64, error: String) -> Option<String> {
    find(handle, call).map(|call| handle.proxy.core.retry_line(&call, wait as u64, &error))
}

/// What marks a call as one: 128 random bits, as hexadecimal digits.
#[napi(catch_unwind)]
pub fn call_id() -> String {
    format!("{:032x}", CallId::random().to_bits())
}

/// What that attempt may send along: name, value, name, value … `call` is below zero when it has ended; `bound` is nanoseconds, or `Infinity`;
/// `parent` is what the host's tracer says.
#[napi(catch_unwind)]
pub fn headers(
    handle: &External<Handle>,
    call: i32,
    id: String,
    attempt: u32,
    bound: f64,
    parent: String,
) -> Vec<String> {
    let id = CallId::from_bits(u128::from_str_radix(&id, 16).unwrap_or_default());
    let now = clock::now();
    let [entered, .., permit, number, place, tried, key] = match find(handle, call) {
        Some(call) => call.to_words(),
        None => Call::direct(now).to_words(),
    };
    // The call's span is its own, whatever it has come to; the rest is as this attempt began. The cast saturates: `Infinity` is `NEVER`.
    let call = Call::from_words([entered, now, bound as u64, 0, attempt.into(), permit, number, place, tried, key]);
    let headers = trace::within(trace::from_lines(&parent), || handle.proxy.core.headers(&call, id, now));
    headers.into_iter().flat_map(|(name, value)| [name.into(), value]).collect()
}

/// Whether calls have spans of their own, which are below the host's.
#[napi(catch_unwind)]
pub fn has_spans() -> bool {
    trace::has_spans()
}

/// The host's present span, for the call that begins next.
#[napi(catch_unwind)]
pub fn give_context(parent: String) {
    trace::give(trace::from_lines(&parent));
}

/// The target, as it was given.
#[napi(catch_unwind)]
pub fn target(handle: &External<Handle>) -> String {
    handle.proxy.core.target().into()
}

/// The name that its state is shared by.
#[napi(catch_unwind)]
pub fn name(handle: &External<Handle>) -> String {
    handle.proxy.core.name().into()
}

/// Every setting in force with where it comes from, as JSON: spelled as JavaScript does, or the same as in all languages.
#[napi(catch_unwind)]
pub fn effective_policy(handle: &External<Handle>, as_node: bool) -> String {
    handle.proxy.core.effective_policy_json(if as_node { Spelling::Node } else { Spelling::File })
}

/// The health of a proxy's target, as JSON.
#[napi(catch_unwind)]
pub fn health(handle: &External<Handle>) -> String {
    handle.proxy.core.health()
}

/// Opens the circuit by hand.
#[napi(catch_unwind)]
pub fn isolate(handle: &External<Handle>) {
    handle.proxy.core.isolate();
}

/// Closes the circuit by hand.
#[napi(catch_unwind)]
pub fn reset(handle: &External<Handle>) {
    handle.proxy.core.reset();
}

/// Refuses new calls from now on, and does not wait for those in flight; whether all have ended. Once they have, or nothing is left of the
/// time, what is to be exported is sent within what is left.
#[napi(catch_unwind)]
pub fn drain(left_ms: f64) -> bool {
    // More than a duration can hold is for ever.
    let left = if left_ms > 0.0 {
        Duration::try_from_secs_f64(left_ms / 1e3).unwrap_or(Duration::MAX)
    } else {
        Duration::ZERO
    };
    runtime::shutdown_in_slices(Duration::ZERO, left)
}

/// The version of the core in this library.
#[napi(catch_unwind)]
pub fn version() -> &'static str {
    ambassador_core::version()
}

/// For tests: decisions at `begin`, `settle` or `resume` panic from now on; anything else ends that.
#[napi(catch_unwind)]
pub fn inject_panic(at: String) {
    fault::inject_panic(&at);
}

/// For tests: the jitter of this proxy's target is that of the seed.
#[napi(catch_unwind)]
pub fn seed_jitter(handle: &External<Handle>, seed: f64) {
    handle.proxy.core.seed_jitter(seed as u64);
}

fn find(handle: &External<Handle>, call: i32) -> Option<Call> {
    let number = usize::try_from(call).ok()?;
    handle.proxy.calls.borrow_mut().get_mut(number).copied()
}
