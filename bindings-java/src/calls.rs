//! The way of a call: plain numbers in, one packed number out. The natives of a first attempt that succeeds touch neither
//! the JVM nor the heap, unless there is more to such a call than a permit tells. The clock is read here, so that Java has
//! none of its own. Faults of the core's are caught in the core (F1); those of this file's own end a call rather than run it
//! again.

use ambassador_core::call::{Call, Decision, Give, Hedge, Outcome, Stop};
use ambassador_core::clock::{self, NEVER, Nanos};
use ambassador_core::telemetry::trace;
use ambassador_core::{AmbassadorProxy, fault};
use jni::errors::{Error, LogErrorAndDefault};
use jni::objects::{JClass, JLongArray, JString};
use jni::sys::{jboolean, jint, jlong};
use jni::{EnvUnowned, Outcome as JniOutcome};

use crate::handle::{self, Lent, Standing};
use crate::tracing;

/// `begin`: run the function once and settle nothing (F1).
const DIRECT: jlong = -1;

/// `returned`: the call is over, and its caller gets the value.
const GIVEN: jlong = Decision::Finish(Give::Value, Stop::Ok).pack();

/// What a call ends with when there is no telling how it stands.
const LOST: Decision = Decision::Finish(Give::LastError, Stop::Internal);

/// The present instant of the core's clock.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_now(_: EnvUnowned<'_>, _: JClass<'_>) -> jlong {
    handle::to_java(clock::now())
}

/// A call begins. Positive: run the first attempt; the number is its [permit](handle::Lent::permit). [`DIRECT`]; or any other
/// negative number, which is for [`stands`](Java_io_ambassador_Native_stands) to tell.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_begin(_: EnvUnowned<'_>, _: JClass<'_>, proxy: jlong) -> jlong {
    // SAFETY: Java passes the handle of a proxy that it keeps alive until this returns.
    match unsafe { handle::proxy(proxy) } {
        Some(proxy) => begin(proxy),
        None => DIRECT,
    }
}

/// The same, of a call below that span of the host's.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_beginWithin<'local>(
    mut env: EnvUnowned<'local>,
    _: JClass<'local>,
    proxy: jlong,
    parent: JString<'local>,
) -> jlong {
    // SAFETY: Java passes the handle of a proxy that it keeps alive until this returns.
    let Some(proxy) = (unsafe { handle::proxy(proxy) }) else {
        return DIRECT;
    };
    let parent = match env.with_env(|env| tracing::context(env, &parent)).into_outcome() {
        JniOutcome::Ok(parent) => parent,
        // F5
        JniOutcome::Err(_) | JniOutcome::Panic(_) => None,
    };
    trace::within(parent, || begin(proxy))
}

#[inline]
fn begin(proxy: &Lent) -> jlong {
    let now = clock::now();
    let mut call = Call::coming(now);
    match proxy.enter(&mut call, now) {
        Some(Decision::Run) => proxy.permit(&call).unwrap_or_else(|| to_tell(call, Decision::Run, now)),
        Some(decision) => to_tell(call, decision, now),
        None => DIRECT,
    }
}

/// The first attempt of a call brought a value, which nobody needs to judge. The decision that its caller gets it; or a number
/// below all decisions, which is for [`stands`](Java_io_ambassador_Native_stands) to tell.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_returned(
    _: EnvUnowned<'_>,
    _: JClass<'_>,
    proxy: jlong,
    permit: jlong,
) -> jlong {
    // SAFETY: Java passes the handle of a proxy that it keeps alive until this returns.
    let Some(proxy) = (unsafe { handle::proxy(proxy) }) else {
        return GIVEN;
    };
    let now = clock::now();
    let mut call = proxy.first(permit);
    match proxy.settle(&mut call, now, Outcome::Ok, None) {
        Decision::Finish(Give::Value, _) => GIVEN,
        decision => to_tell(call, decision, now),
    }
}

/// No pointer is negative, or as small as a decision.
#[cold]
fn to_tell(call: Call, decision: Decision, decided: Nanos) -> jlong {
    -handle::lend(Standing { call, decision, decided })
}

/// How a call stands of which `begin` or `returned` could not tell all: writes its `words` and gives the decision. Without words
/// to write, the call is cancelled.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_stands<'local>(
    mut env: EnvUnowned<'local>,
    _: JClass<'local>,
    proxy: jlong,
    answer: jlong,
    words: JLongArray<'local>,
) -> jlong {
    // SAFETY: Java passes the handle of a proxy that it keeps alive until this returns.
    let Some(proxy) = (unsafe { handle::proxy(proxy) }) else {
        return LOST.pack();
    };
    // SAFETY: Java passes what one of the two answered, once.
    let Some(standing) = (unsafe { handle::take_back::<Standing>(-answer) }) else {
        return LOST.pack();
    };
    let Standing { mut call, decision, decided } = *standing;
    let kept = env.with_env(|env| handle::write(env, &words, proxy, &call, decided)).into_outcome();
    if !matches!(kept, JniOutcome::Ok(())) {
        proxy.cancel(&mut call, clock::now());
    }
    or_lost(kept, decision)
}

/// The first attempt of a call ended.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_settleFirst<'local>(
    mut env: EnvUnowned<'local>,
    _: JClass<'local>,
    proxy: jlong,
    permit: jlong,
    outcome: jint,
    hint: jlong,
    words: JLongArray<'local>,
) -> jlong {
    // SAFETY: Java passes the handle of a proxy that it keeps alive until this returns.
    let Some(proxy) = (unsafe { handle::proxy(proxy) }) else {
        return LOST.pack();
    };
    let (mut call, now) = (proxy.first(permit), clock::now());
    let decision = settle(proxy, &mut call, now, outcome, hint);
    let written = env.with_env(|env| handle::write(env, &words, proxy, &call, now));
    or_lost(written.into_outcome(), decision)
}

/// A later attempt ended.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_settle<'local>(
    env: EnvUnowned<'local>,
    _: JClass<'local>,
    proxy: jlong,
    words: JLongArray<'local>,
    outcome: jint,
    hint: jlong,
) -> jlong {
    decide(env, proxy, &words, |proxy, call, now| settle(proxy, call, now, outcome, hint))
}

/// H1: the attempt of that number ended, of a call of which several may run.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_settleAttempt<'local>(
    env: EnvUnowned<'local>,
    _: JClass<'local>,
    proxy: jlong,
    words: JLongArray<'local>,
    number: jint,
    outcome: jint,
    hint: jlong,
) -> jlong {
    decide(env, proxy, &words, |proxy, call, now| {
        proxy.settle_attempt(call, number as u32, now, Outcome::from_number(outcome as u8), hint_of(hint))
    })
}

/// H1: whether another attempt begins now, as a decision: `Run`, or when to ask again, which may be never.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_hedge<'local>(
    env: EnvUnowned<'local>,
    _: JClass<'local>,
    proxy: jlong,
    words: JLongArray<'local>,
) -> jlong {
    decide(env, proxy, &words, |proxy, call, now| match proxy.hedge(call, now) {
        Hedge::Run => Decision::Run,
        Hedge::At(at) => Decision::WaitUntil(at),
        Hedge::Never => Decision::WaitUntil(NEVER),
    })
}

/// A wait is over.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_resume<'local>(
    env: EnvUnowned<'local>,
    _: JClass<'local>,
    proxy: jlong,
    words: JLongArray<'local>,
) -> jlong {
    decide(env, proxy, &words, |proxy, call, now| proxy.resume(call, now))
}

/// The caller went away.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_cancel<'local>(
    env: EnvUnowned<'local>,
    _: JClass<'local>,
    proxy: jlong,
    words: JLongArray<'local>,
) {
    decide(env, proxy, &words, |proxy, call, now| {
        proxy.cancel(call, now);
        Decision::Finish(Give::LastError, Stop::Cancelled)
    });
}

/// H2: what was to answer in place of the error has, or has failed too.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_answered<'local>(
    env: EnvUnowned<'local>,
    _: JClass<'local>,
    proxy: jlong,
    words: JLongArray<'local>,
    well: jboolean,
) {
    decide(env, proxy, &words, |proxy, call, now| {
        proxy.answered(call, now, well);
        Decision::Finish(Give::LastError, Stop::Ok)
    });
}

/// The circuit by hand (B1): `true` opens it until it is reset, `false` closes it.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_isolate(
    _: EnvUnowned<'_>,
    _: JClass<'_>,
    proxy: jlong,
    open: jboolean,
) {
    // SAFETY: Java passes the handle of a proxy that it keeps alive until this returns.
    if let Some(proxy) = unsafe { handle::proxy(proxy) } {
        if open { proxy.isolate() } else { proxy.reset() }
    }
}

/// T3, O3: 0, a late result was dropped; 1, work outlives its bound; 2, such work has ended.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_note(_: EnvUnowned<'_>, _: JClass<'_>, proxy: jlong, what: jint) {
    // SAFETY: Java passes the handle of a proxy that it keeps alive until this returns.
    let Some(proxy) = (unsafe { handle::proxy(proxy) }) else {
        return;
    };
    match what {
        0 => proxy.note_late(),
        1 => proxy.note_abandoned(),
        _ => proxy.note_abandoned_ended(),
    }
}

/// Writes the words of a call that the core does not drive (F1): what a function sees of its one attempt.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_direct<'local>(
    mut env: EnvUnowned<'local>,
    _: JClass<'local>,
    proxy: jlong,
    words: JLongArray<'local>,
) {
    // SAFETY: Java passes the handle of a proxy that it keeps alive until this returns.
    let Some(proxy) = (unsafe { handle::proxy(proxy) }) else {
        return;
    };
    env.with_env(|env| {
        let now = clock::now();
        handle::write(env, &words, proxy, &Call::direct(now), now)
    })
    .resolve::<LogErrorAndDefault>();
}

/// Writes the words of a call that is in its first attempt.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_first<'local>(
    mut env: EnvUnowned<'local>,
    _: JClass<'local>,
    proxy: jlong,
    permit: jlong,
    words: JLongArray<'local>,
) {
    // SAFETY: Java passes the handle of a proxy that it keeps alive until this returns.
    let Some(proxy) = (unsafe { handle::proxy(proxy) }) else {
        return;
    };
    env.with_env(|env| {
        let call = proxy.first(permit);
        handle::write(env, &words, proxy, &call, call.entered())
    })
    .resolve::<LogErrorAndDefault>();
}

/// For tests: decisions at `begin`, `settle` or `resume` panic from now on; anything else ends that.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_injectPanic<'local>(
    mut env: EnvUnowned<'local>,
    _: JClass<'local>,
    at: JString<'local>,
) {
    env.with_env(|env| {
        fault::inject_panic(&at.try_to_string(env)?);
        Ok::<_, Error>(())
    })
    .resolve::<LogErrorAndDefault>();
}

/// For tests: the jitter of this proxy's target is that of the seed.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_seedJitter(
    _: EnvUnowned<'_>,
    _: JClass<'_>,
    proxy: jlong,
    seed: jlong,
) {
    // SAFETY: Java passes the handle of a proxy that it keeps alive until this returns.
    if let Some(proxy) = unsafe { handle::proxy(proxy) } {
        proxy.seed_jitter(seed as u64);
    }
}

#[inline]
fn settle(proxy: &AmbassadorProxy, call: &mut Call, now: Nanos, outcome: jint, hint: jlong) -> Decision {
    proxy.settle(call, now, Outcome::from_number(outcome as u8), hint_of(hint))
}

/// A negative hint stands for none.
#[inline]
fn hint_of(hint: jlong) -> Option<Nanos> {
    u64::try_from(hint).ok()
}

fn decide(
    mut env: EnvUnowned<'_>,
    proxy: jlong,
    words: &JLongArray<'_>,
    how: impl FnOnce(&AmbassadorProxy, &mut Call, Nanos) -> Decision,
) -> jlong {
    // SAFETY: Java passes the handle of a proxy that it keeps alive until this returns.
    let Some(proxy) = (unsafe { handle::proxy(proxy) }) else {
        return LOST.pack();
    };
    let mut decision = LOST;
    let driven = env.with_env(|env| {
        let (mut call, _) = handle::read(env, words)?;
        let now = clock::now();
        decision = how(proxy, &mut call, now);
        handle::write(env, words, proxy, &call, now)
    });
    or_lost(driven.into_outcome(), decision)
}

fn or_lost(kept: JniOutcome<(), Error>, decision: Decision) -> jlong {
    match kept {
        JniOutcome::Ok(()) => decision.pack(),
        JniOutcome::Err(_) | JniOutcome::Panic(_) => LOST.pack(),
    }
}
