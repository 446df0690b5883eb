//! What is said of calls: the core makes every text, so that it is the same in every language. None of this is on the way of a
//! call that succeeds at once.

use std::time::Duration;

use ambassador_core::call::{Decision, Stop};
use ambassador_core::clock::{self, Nanos};
use ambassador_core::policy::{Policy, RunIn};
use ambassador_core::proxy::CallId;
use ambassador_core::settings::{Settings, Spelling};
use ambassador_core::telemetry::trace;
use ambassador_core::{After, AmbassadorProxy, Bulkhead, Code, Hedge, Jitter, Limit, RateLimit, runtime};
use jni::errors::{Error, Result, ThrowRuntimeExAndDefault};
use jni::objects::{JClass, JLongArray, JObjectArray, JString};
use jni::sys::{jboolean, jint, jlong};
use jni::{Env, EnvUnowned};

use crate::handle::{self, to_java};
use crate::{tracing, values};

/// R7: the line of a retry; `words` are those of a call that waits.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_retryLine<'local>(
    env: EnvUnowned<'local>,
    _: JClass<'local>,
    proxy: jlong,
    words: JLongArray<'local>,
    error: JString<'local>,
) -> JString<'local> {
    say(env, proxy, |env, proxy| {
        let (call, decided) = handle::read(env, &words)?;
        Ok(proxy.retry_line(&call, call.bound().saturating_sub(decided), &error.try_to_string(env)?))
    })
}

/// The message of an error of the ambassador's.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_errorMessage<'local>(
    env: EnvUnowned<'local>,
    _: JClass<'local>,
    proxy: jlong,
    code: jint,
    words: JLongArray<'local>,
) -> JString<'local> {
    say(env, proxy, |env, proxy| {
        let (call, decided) = handle::read(env, &words)?;
        Ok(proxy.error_message(code_at(code), Some(&call), decided))
    })
}

/// The name of the code at that place of `Code::ALL`: `TIMEOUT`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_codeName<'local>(
    mut env: EnvUnowned<'local>,
    _: JClass<'local>,
    code: jint,
) -> JString<'local> {
    env.with_env(|env| JString::from_str(env, code_at(code).as_str())).resolve::<ThrowRuntimeExAndDefault>()
}

/// What an attempt may send along: name, value, name, value, a line each. `id` is the call's, two numbers; both 0 until
/// the first asking, which fills them; `parent` is the host's span that the call began below.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_headers<'local>(
    env: EnvUnowned<'local>,
    _: JClass<'local>,
    proxy: jlong,
    words: JLongArray<'local>,
    id: JLongArray<'local>,
    parent: JString<'local>,
) -> JString<'local> {
    say(env, proxy, |env, proxy| {
        let (call, _) = handle::read(env, &words)?;
        let mut bits = [0; 2];
        id.get_region(env, 0, &mut bits)?;
        if bits == [0; 2] {
            let fresh = CallId::random().to_bits();
            bits = [(fresh >> 64) as jlong, fresh as jlong];
            id.set_region(env, 0, &bits)?;
        }
        let id = CallId::from_bits(u128::from(bits[0] as u64) << 64 | u128::from(bits[1] as u64));
        let parent = tracing::context(env, &parent)?;
        let headers = trace::within(parent, || proxy.headers(&call, id, clock::now()));
        let lines: Vec<String> = headers.into_iter().map(|(name, value)| format!("{name}\n{value}")).collect();
        Ok(lines.join("\n"))
    })
}

/// The address of the endpoint that was chosen for the present attempt; empty where the target itself is the one.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_endpoint<'local>(
    env: EnvUnowned<'local>,
    _: JClass<'local>,
    proxy: jlong,
    words: JLongArray<'local>,
) -> JString<'local> {
    say(env, proxy, |env, proxy| {
        let (call, _) = handle::read(env, &words)?;
        Ok(proxy.chosen_endpoint(&call).map_or_else(String::new, |endpoint| endpoint.as_str().into()))
    })
}

/// Every setting in force and where it comes from, as JSON that is byte for byte the same in all languages.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_policyJson<'local>(
    env: EnvUnowned<'local>,
    _: JClass<'local>,
    proxy: jlong,
) -> JString<'local> {
    say(env, proxy, |_, proxy| Ok(proxy.policy_json()))
}

/// The same spelled as Java does: of each setting its name, its value as JSON, and where that comes from.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_effectivePolicy<'local>(
    mut env: EnvUnowned<'local>,
    _: JClass<'local>,
    proxy: jlong,
) -> JObjectArray<'local, JString<'local>> {
    env.with_env(|env| {
        // SAFETY: Java passes the handle of a proxy that it keeps alive until this returns.
        let proxy = unsafe { handle::proxy(proxy) };
        let settings = proxy.map_or_else(Vec::new, |proxy| proxy.effective_policy(Spelling::Java));
        let texts = settings
            .iter()
            .flat_map(|setting| [setting.field.clone(), setting.value.to_json(), setting.origin.to_string()]);
        values::texts(env, &texts.collect::<Vec<_>>())
    })
    .resolve::<ThrowRuntimeExAndDefault>()
}

/// The health of a proxy's target, as JSON.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_health<'local>(
    env: EnvUnowned<'local>,
    _: JClass<'local>,
    proxy: jlong,
) -> JString<'local> {
    say(env, proxy, |_, proxy| Ok(proxy.health()))
}

/// The name that a proxy's state is shared by.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_name<'local>(
    env: EnvUnowned<'local>,
    _: JClass<'local>,
    proxy: jlong,
) -> JString<'local> {
    say(env, proxy, |_, proxy| Ok(proxy.name().into()))
}

/// Every setting, as Java spells it; JSON.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_settings<'local>(
    mut env: EnvUnowned<'local>,
    _: JClass<'local>,
) -> JString<'local> {
    env.with_env(|env| JString::from_str(env, Settings::fields_json(Spelling::Java)))
        .resolve::<ThrowRuntimeExAndDefault>()
}

/// The version of the core in this library.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_version<'local>(
    mut env: EnvUnowned<'local>,
    _: JClass<'local>,
) -> JString<'local> {
    env.with_env(|env| JString::from_str(env, ambassador_core::version())).resolve::<ThrowRuntimeExAndDefault>()
}

/// C3: the settings in force. Lengths are nanoseconds, and -1 is none; shares are bits of a double. Attempts, timeout,
/// deadline, base, factor (bits of a double), max, jitter (its place in `Jitter::ALL`), largest hint; where functions run: 0
/// is not said, 1 a worker, 2 the caller's thread; whether something answers in place of an error; then each group, after
/// whether it is on: the budget's three, the breaker's nine, the bulkhead's three (0 at once is adaptive), the rate limit's
/// four, the hedge's three (a length, or else a quantile in hundredths, and how many); and whether calls are idempotent.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_policy<'local>(
    mut env: EnvUnowned<'local>,
    _: JClass<'local>,
    proxy: jlong,
    into: JLongArray<'local>,
) {
    env.with_env(|env| {
        // SAFETY: Java passes the handle of a proxy that it keeps alive until this returns.
        match unsafe { handle::proxy(proxy) } {
            Some(proxy) => into.set_region(env, 0, &numbers(&proxy.policy_in_force())),
            None => Ok(()),
        }
    })
    .resolve::<ThrowRuntimeExAndDefault>();
}

fn numbers(policy: &Policy) -> Vec<jlong> {
    let length = |length: Option<Nanos>| length.map_or(-1, to_java);
    let count = |count: Option<u32>| count.map_or(-1, jlong::from);
    let bits = |number: f64| number.to_bits() as jlong;
    let Policy { backoff, shared, .. } = policy;
    let jitter = Jitter::ALL.iter().position(|jitter| *jitter == backoff.jitter).unwrap_or(0);
    let mut numbers = vec![
        policy.max_retries.into(),
        length(policy.timeout),
        length(policy.deadline),
        to_java(backoff.base),
        bits(backoff.factor),
        to_java(backoff.max),
        jitter as jlong,
        to_java(backoff.hint_max),
        match policy.run_in {
            None => 0,
            Some(RunIn::Worker) => 1,
            Some(RunIn::Caller) => 2,
        },
        policy.fallback.into(),
    ];
    let mut group = |is_on: bool, fields: &[jlong]| {
        numbers.push(is_on.into());
        numbers.extend_from_slice(fields);
    };
    let budget = shared.budget.clone().unwrap_or_default();
    group(shared.budget.is_some(), &[bits(budget.ratio), bits(budget.min_per_second), to_java(budget.window)]);
    let breaker = shared.breaker.clone().unwrap_or_default();
    group(
        shared.breaker.is_some(),
        &[
            bits(breaker.failure_rate),
            breaker.min_calls.into(),
            to_java(breaker.window),
            count(breaker.consecutive_failures),
            length(breaker.slow_call),
            bits(breaker.slow_rate),
            to_java(breaker.open_for),
            to_java(breaker.open_max),
            breaker.probes.into(),
        ],
    );
    let bulkhead = shared.bulkhead.clone().unwrap_or_else(Bulkhead::adaptive);
    let most = match bulkhead.limit {
        Limit::Fixed(most) => most.into(),
        Limit::Adaptive => 0,
    };
    group(shared.bulkhead.is_some(), &[most, bulkhead.max_queue.into(), length(bulkhead.queue_timeout)]);
    let limit = shared.rate_limit.clone().unwrap_or_else(|| RateLimit::new(1.0));
    group(
        shared.rate_limit.is_some(),
        &[bits(limit.rate), to_java(limit.per), count(limit.burst), to_java(limit.max_wait)],
    );
    let hedge = policy.hedge.unwrap_or_else(Hedge::after_p95);
    let (after, quantile) = match hedge.after {
        After::Fixed(length) => (to_java(length), -1),
        After::Quantile(hundredths) => (-1, hundredths.into()),
    };
    group(policy.hedge.is_some(), &[after, quantile, hedge.max.into()]);
    numbers.push(policy.idempotent.into());
    numbers
}

/// A4: why the call of `words` ended, as a note: `[Ambassador] payment-api.example.com: 3 attempts in 6.01s, …`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_endNote<'local>(
    env: EnvUnowned<'local>,
    _: JClass<'local>,
    proxy: jlong,
    words: JLongArray<'local>,
    decision: jlong,
) -> JString<'local> {
    say(env, proxy, |env, proxy| {
        let (call, decided) = handle::read(env, &words)?;
        let stop = match Decision::unpack(decision) {
            Decision::Finish(_, stop) => stop,
            _ => Stop::Internal,
        };
        Ok(proxy.end_note(&call, decided, stop))
    })
}

/// Refuses new calls, and waits for those in flight, a slice of the nanoseconds that are left.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_shutdown<'local>(
    mut env: EnvUnowned<'local>,
    _: JClass<'local>,
    slice: jlong,
    left: jlong,
) -> jboolean {
    env.with_env(|_| {
        let length = |nanos: jlong| Duration::from_nanos(nanos.max(0) as u64);
        Ok::<_, Error>(runtime::shutdown_in_slices(length(slice), length(left)))
    })
    .resolve::<ThrowRuntimeExAndDefault>()
}

fn code_at(place: jint) -> Code {
    usize::try_from(place).ok().and_then(|place| Code::ALL.get(place)).copied().unwrap_or(Code::Internal)
}

fn say<'local>(
    mut env: EnvUnowned<'local>,
    proxy: jlong,
    text: impl FnOnce(&mut Env<'local>, &AmbassadorProxy) -> Result<String>,
) -> JString<'local> {
    env.with_env(|env| {
        // SAFETY: Java passes the handle of a proxy that it keeps alive until this returns.
        match unsafe { handle::proxy(proxy) } {
            Some(proxy) => {
                let text = text(env, proxy)?;
                JString::from_str(env, text)
            }
            None => Ok(JString::default()),
        }
    })
    .resolve::<ThrowRuntimeExAndDefault>()
}
