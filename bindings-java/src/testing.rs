//! Virtual time, for `io.ambassador.testing` and for calls that are about to wait.

use ambassador_core::clock::Nanos;
use ambassador_core::testing;
use jni::EnvUnowned;
use jni::errors::ThrowRuntimeExAndDefault;
use jni::objects::{JClass, JLongArray};
use jni::sys::{jboolean, jlong};

use crate::handle::to_java;

/// A call is about to wait until that instant. `true`: time is virtual, and the wait is over.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_pass(_: EnvUnowned<'_>, _: JClass<'_>, until: jlong) -> jboolean {
    testing::pass(until as Nanos)
}

/// Time is virtual from now on, or real.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_testing_VirtualTime_set(
    _: EnvUnowned<'_>,
    _: JClass<'_>,
    is_virtual: jboolean,
) {
    if is_virtual { testing::start() } else { testing::stop() }
}

/// Moves virtual time on.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_testing_VirtualTime_move(_: EnvUnowned<'_>, _: JClass<'_>, length: jlong) {
    testing::advance(length.max(0) as Nanos);
}

/// How long time has been virtual, in nanoseconds of its own; -1 when it is real.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_testing_VirtualTime_passed(_: EnvUnowned<'_>, _: JClass<'_>) -> jlong {
    testing::instant().map_or(-1, |instant| to_java(instant - testing::START))
}

/// The waits that were passed, in nanoseconds.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_testing_VirtualTime_waited<'local>(
    mut env: EnvUnowned<'local>,
    _: JClass<'local>,
) -> JLongArray<'local> {
    env.with_env(|env| {
        let waits: Vec<jlong> = testing::waits().into_iter().map(to_java).collect();
        let array = JLongArray::new(env, waits.len())?;
        array.set_region(env, 0, &waits)?;
        Ok::<_, jni::errors::Error>(array)
    })
    .resolve::<ThrowRuntimeExAndDefault>()
}
