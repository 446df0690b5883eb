//! The way of a call: plain numbers in, one packed number out. The natives of a first attempt that succeeds touch neither
//! the JVM nor the heap. The clock is read here, so that Java has none of its own. Faults of the core's are caught in the
//! core (F1); those of this file's own end a call rather than run it again.

use ambassador_core::call::{Call, Decision, Give, Outcome, Stop};
use ambassador_core::clock::{self, Nanos};
use ambassador_core::proxy::Begin;
use ambassador_core::{AmbassadorProxy, Code, fault};
use jni::errors::{Error, LogErrorAndDefault};
use jni::objects::{JClass, JLongArray, JString};
use jni::sys::{jint, jlong};
use jni::{EnvUnowned, Outcome as JniOutcome};

use crate::handle::{self, first, permit};

/// `begin`: run the function once and settle nothing (F1).
const DIRECT: jlong = -1;

/// `begin`: refused, with the code at this place of `Code::ALL`.
const fn refused(code: Code) -> jlong {
    -2 - code as jlong
}

/// What a call ends with when there is no telling how it stands.
const LOST: Decision = Decision::Finish(Give::LastError, Stop::Internal);

/// The present instant of the core's clock.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_now(_: EnvUnowned<'_>, _: JClass<'_>) -> jlong {
    handle::to_java(clock::now())
}

/// A call begins. Positive: run the first attempt; the number is its [`permit`]. Negative: [`DIRECT`] or [`refused`].
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_begin(_: EnvUnowned<'_>, _: JClass<'_>, proxy: jlong) -> jlong {
    // SAFETY: Java passes the handle of a proxy that it keeps alive until this returns.
    let Some(proxy) = (unsafe { handle::proxy(proxy) }) else {
        return refused(Code::Internal);
    };
    match proxy.begin(clock::now()) {
        Begin::Run(call) => permit(&call),
        Begin::Refuse(code) => refused(code),
        Begin::Direct => DIRECT,
    }
}

/// The first attempt of a call ended. Writes `words`, which may be null for a success without a bound, unless the caller just
/// gets its value.
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
    let (mut call, now) = (first(proxy, permit), clock::now());
    let decision = settle(proxy, &mut call, now, outcome, hint);
    if let Decision::Finish(Give::Value, _) = decision {
        return decision.pack();
    }
    let written = env.with_env(|env| handle::write(env, &words, &call, now));
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
    words: JLongArray<'local>,
) {
    env.with_env(|env| {
        let now = clock::now();
        handle::write(env, &words, &Call::direct(now), now)
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
        let call = first(proxy, permit);
        handle::write(env, &words, &call, call.entered())
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
    // A negative hint stands for none.
    proxy.settle(call, now, Outcome::from_number(outcome as u8), u64::try_from(hint).ok())
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
        handle::write(env, words, &call, now)
    });
    or_lost(driven.into_outcome(), decision)
}

fn or_lost(kept: JniOutcome<(), Error>, decision: Decision) -> jlong {
    match kept {
        JniOutcome::Ok(()) => decision.pack(),
        JniOutcome::Err(_) | JniOutcome::Panic(_) => LOST.pack(),
    }
}
