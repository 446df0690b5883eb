//! A configuration from the program's own code.

use ambassador_core::ConfigError;
use ambassador_core::config;
use jni::EnvUnowned;
use jni::errors::ThrowRuntimeExAndDefault;
use jni::objects::{JClass, JObjectArray, JString};
use jni::sys::jboolean;

use crate::drafts::tell;

/// That file, or that text, holds for proxies that are made from now on; `false`, and `wrong` filled, when something is wrong with it.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_configure<'local>(
    mut env: EnvUnowned<'local>,
    _: JClass<'local>,
    path_or_text: JString<'local>,
    wrong: JObjectArray<'local, JString<'local>>,
) -> jboolean {
    env.with_env(|env| match config::configure(&path_or_text.try_to_string(env)?) {
        Ok(_) => Ok(true),
        Err(faults) => tell(env, &wrong, &ConfigError::from(faults)).map(|()| false),
    })
    .resolve::<ThrowRuntimeExAndDefault>()
}
