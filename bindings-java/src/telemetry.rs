//! All of this process as Java sees it: the snapshot, the metrics, the admin server.

use ambassador_core::telemetry::{self, Admin, AdminOptions, Format};
use jni::EnvUnowned;
use jni::errors::ThrowRuntimeExAndDefault;
use jni::objects::{JClass, JObjectArray, JString};
use jni::sys::{jboolean, jlong};

use crate::drafts::tell;
use crate::{handle, values};

/// Which language this is, for the snapshot and the metrics: said when the library is loaded.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_beginTelemetry(_: EnvUnowned<'_>, _: JClass<'_>) {
    telemetry::set_language("java");
}

/// All targets of this process and the process itself, as JSON.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_snapshot<'local>(
    mut env: EnvUnowned<'local>,
    _: JClass<'local>,
) -> JString<'local> {
    env.with_env(|env| JString::from_str(env, telemetry::snapshot())).resolve::<ThrowRuntimeExAndDefault>()
}

/// The same as metrics in that format; null, and `wrong` filled, when there is none such.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_metrics<'local>(
    mut env: EnvUnowned<'local>,
    _: JClass<'local>,
    format: JString<'local>,
    wrong: JObjectArray<'local, JString<'local>>,
) -> JString<'local> {
    env.with_env(|env| match Format::named(&format.try_to_string(env)?) {
        Ok(format) => JString::from_str(env, telemetry::metrics(format)),
        Err(error) => tell(env, &wrong, &error).map(|()| JString::default()),
    })
    .resolve::<ThrowRuntimeExAndDefault>()
}

/// Answers at that address from now on: the handle of an admin server, whose token is null for one that is made; `hosts` has a name a line. 0, and `wrong`
/// filled, when it cannot.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_serveAdmin<'local>(
    mut env: EnvUnowned<'local>,
    _: JClass<'local>,
    address: JString<'local>,
    token: JString<'local>,
    hosts: JString<'local>,
    remote: jboolean,
    wrong: JObjectArray<'local, JString<'local>>,
) -> jlong {
    env.with_env(|env| {
        let token = if token.is_null() { None } else { Some(token.try_to_string(env)?) };
        let hosts = hosts.try_to_string(env)?.lines().map(String::from).collect();
        let options = AdminOptions { token, hosts, remote };
        match telemetry::serve_admin(&address.try_to_string(env)?, options) {
            Ok(admin) => Ok(handle::lend(admin)),
            Err(error) => tell(env, &wrong, &error).map(|()| 0),
        }
    })
    .resolve::<ThrowRuntimeExAndDefault>()
}

/// Where an admin server answers, and what has to be shown to do something there.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_adminAddress<'local>(
    mut env: EnvUnowned<'local>,
    _: JClass<'local>,
    admin: jlong,
) -> JObjectArray<'local, JString<'local>> {
    env.with_env(|env| {
        // SAFETY: Java passes the handle of a server that it keeps alive until this returns.
        let texts = unsafe { handle::lent::<Admin>(admin) }
            .map_or_else(Vec::new, |admin| vec![admin.address().to_string(), admin.token().into()]);
        values::texts(env, &texts)
    })
    .resolve::<ThrowRuntimeExAndDefault>()
}

/// Whether it still answers.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_adminServes(
    _: EnvUnowned<'_>,
    _: JClass<'_>,
    admin: jlong,
) -> jboolean {
    // SAFETY: as above.
    unsafe { handle::lent::<Admin>(admin) }.is_some_and(Admin::is_serving)
}

/// Ends it, with all its connections.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_adminStop(_: EnvUnowned<'_>, _: JClass<'_>, admin: jlong) {
    // SAFETY: as above.
    if let Some(admin) = unsafe { handle::lent::<Admin>(admin) } {
        admin.stop();
    }
}

/// An admin server that no object of Java's refers to any more; it serves on.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_freeAdmin(_: EnvUnowned<'_>, _: JClass<'_>, admin: jlong) {
    // SAFETY: the cleaner calls this once, when the object that held the handle is gone.
    drop(unsafe { handle::take_back::<Admin>(admin) });
}
