//! Settings from Java, each checked by the core (C2), and the life of a proxy's handle. A wrong setting fills the `wrong` array
//! with field, value, what is allowed, and the message; Java makes the exception of it.

use ambassador_core::settings::{Settings, Spelling};
use ambassador_core::{AmbassadorProxy, ConfigError};
use jni::errors::{Result, ThrowRuntimeExAndDefault};
use jni::objects::{JClass, JObjectArray, JString};
use jni::sys::{jboolean, jlong};
use jni::{Env, EnvUnowned};

use crate::handle::{self, Lent};
use crate::values;

/// A draft of settings for a target; 0, and `wrong` filled, when it is none.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_draft<'local>(
    mut env: EnvUnowned<'local>,
    _: JClass<'local>,
    target: JString<'local>,
    wrong: JObjectArray<'local, JString<'local>>,
) -> jlong {
    env.with_env(|env| {
        let drafted = if target.is_null() {
            // No text at all is shown as what it is.
            Settings::new("", Spelling::Java).map_err(|error| ConfigError { value: "null".into(), ..error })
        } else {
            Settings::new(&target.try_to_string(env)?, Spelling::Java)
        };
        match drafted {
            Ok(settings) => Ok(handle::lend(settings)),
            Err(error) => tell(env, &wrong, &error).map(|()| 0),
        }
    })
    .resolve::<ThrowRuntimeExAndDefault>()
}

/// Sets one field to a [value](crate::values).
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_set<'local>(
    mut env: EnvUnowned<'local>,
    _: JClass<'local>,
    draft: jlong,
    field: JString<'local>,
    value: JObjectArray<'local, JString<'local>>,
    wrong: JObjectArray<'local, JString<'local>>,
) -> jboolean {
    env.with_env(|env| {
        // SAFETY: Java passes the handle of a draft that it alone holds.
        let Some(settings) = (unsafe { handle::draft(draft) }) else {
            return Ok(false);
        };
        let field = field.try_to_string(env)?;
        let value = values::read(env, &value)?;
        match settings.set(&field, value) {
            Ok(()) => Ok(true),
            Err(error) => tell(env, &wrong, &error).map(|()| false),
        }
    })
    .resolve::<ThrowRuntimeExAndDefault>()
}

/// The proxy of a draft, which is gone; 0, and `wrong` filled, when its settings make no whole.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_build<'local>(
    mut env: EnvUnowned<'local>,
    _: JClass<'local>,
    draft: jlong,
    wrong: JObjectArray<'local, JString<'local>>,
) -> jlong {
    env.with_env(|env| {
        // SAFETY: Java passes the handle of a draft that it alone holds, and forgets it here.
        let Some(settings) = (unsafe { handle::take_back::<Settings>(draft) }) else {
            return Ok(0);
        };
        match AmbassadorProxy::from_settings(*settings) {
            Ok(proxy) => Ok(handle::lend(Lent::new(proxy))),
            Err(error) => tell(env, &wrong, &error).map(|()| 0),
        }
    })
    .resolve::<ThrowRuntimeExAndDefault>()
}

/// These are the endpoints of the proxy's target from now on; `false`, and `wrong` filled, when they are none.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_setEndpoints<'local>(
    mut env: EnvUnowned<'local>,
    _: JClass<'local>,
    proxy: jlong,
    endpoints: JObjectArray<'local, JString<'local>>,
    wrong: JObjectArray<'local, JString<'local>>,
) -> jboolean {
    env.with_env(|env| {
        // SAFETY: Java passes the handle of a proxy that it keeps alive until this returns.
        let Some(proxy) = (unsafe { handle::proxy(proxy) }) else {
            return Ok(false);
        };
        let value = values::read(env, &endpoints)?;
        match Settings::endpoints(Spelling::Java, &value) {
            Ok(endpoints) => {
                proxy.set_endpoints(endpoints);
                Ok(true)
            }
            Err(error) => tell(env, &wrong, &error).map(|()| false),
        }
    })
    .resolve::<ThrowRuntimeExAndDefault>()
}

/// A draft that became no proxy.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_discard(_: EnvUnowned<'_>, _: JClass<'_>, draft: jlong) {
    // SAFETY: Java passes the handle of a draft that it alone holds, and forgets it here.
    drop(unsafe { handle::take_back::<Settings>(draft) });
}

/// A proxy that no object of Java's refers to any more.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_free(_: EnvUnowned<'_>, _: JClass<'_>, proxy: jlong) {
    // SAFETY: the cleaner calls this once, when the object that held the handle is gone.
    drop(unsafe { handle::take_back::<Lent>(proxy) });
}

/// Fills `wrong`.
pub fn tell<'local>(
    env: &mut Env<'local>,
    wrong: &JObjectArray<'local, JString<'local>>,
    error: &ConfigError,
) -> Result<()> {
    let message = error.to_string();
    for (at, text) in [&error.field, &error.value, &error.allowed, &message].into_iter().enumerate() {
        let text = JString::from_str(env, text)?;
        wrong.set_element(env, at, &text)?;
    }
    Ok(())
}
