//! What Java has to be told besides decisions: whose turn in a bulkhead's queue has come, and what has happened to a target.
//! Both wait here, or in the core, until Java asks, after a decision of its own: nothing calls into the JVM.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

use ambassador_core::event::Event;
use jni::EnvUnowned;
use jni::errors::{Error, LogErrorAndDefault, ThrowRuntimeExAndDefault};
use jni::objects::{JClass, JLongArray, JString};
use jni::sys::{jint, jlong};

use crate::handle;

/// Numbers of those who wait in Java and whose turn has come. The lock is held for a push or a take.
static WOKEN: Mutex<Vec<jlong>> = Mutex::new(Vec::new());
/// Whether there is one.
static ANY: AtomicBool = AtomicBool::new(false);

/// Called by whoever ends another call, on a thread of Java's that is within a native and asks for the numbers after it.
struct Number(jlong);

impl Wake for Number {
    fn wake(self: Arc<Self>) {
        WOKEN.lock().unwrap_or_else(PoisonError::into_inner).push(self.0);
        ANY.store(true, SeqCst);
    }
}

/// The number is to be told when the turn of the call in the bulkhead's queue has come.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_wakeAtTurn<'local>(
    mut env: EnvUnowned<'local>,
    _: JClass<'local>,
    proxy: jlong,
    words: JLongArray<'local>,
    number: jlong,
) {
    env.with_env(|env| {
        // SAFETY: Java passes the handle of a proxy that it keeps alive until this returns.
        if let Some(proxy) = unsafe { handle::proxy(proxy) } {
            let (call, _) = handle::read(env, &words)?;
            proxy.wake_at_turn(&call, Waker::from(Arc::new(Number(number))));
        }
        Ok::<_, Error>(())
    })
    .resolve::<LogErrorAndDefault>();
}

/// Whose turn has come since the last asking: writes as many numbers as there is place for, and tells how many.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_woken<'local>(
    mut env: EnvUnowned<'local>,
    _: JClass<'local>,
    into: JLongArray<'local>,
) -> jint {
    if !ANY.load(SeqCst) {
        return 0;
    }
    env.with_env(|env| {
        let place = into.len(env)?;
        let numbers: Vec<jlong> = {
            let mut woken = WOKEN.lock().unwrap_or_else(PoisonError::into_inner);
            let count = woken.len().min(place);
            let numbers = woken.drain(..count).collect();
            ANY.store(!woken.is_empty(), SeqCst);
            numbers
        };
        into.set_region(env, 0, &numbers)?;
        Ok::<_, Error>(numbers.len() as jint)
    })
    .resolve::<LogErrorAndDefault>()
}

/// From now on what happens to the proxy's target is kept until it is asked for.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_keepEvents(_: EnvUnowned<'_>, _: JClass<'_>, proxy: jlong) {
    // SAFETY: Java passes the handle of a proxy that it keeps alive until this returns.
    if let Some(proxy) = unsafe { handle::proxy(proxy) } {
        proxy.keep_events();
    }
}

/// What has happened and was not asked for yet, five lines for each: its kind, and its fields as the core orders them. Null
/// when nothing has.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_events<'local>(
    mut env: EnvUnowned<'local>,
    _: JClass<'local>,
    proxy: jlong,
) -> JString<'local> {
    env.with_env(|env| {
        // SAFETY: Java passes the handle of a proxy that it keeps alive until this returns.
        let events = unsafe { handle::proxy(proxy) }.map_or_else(Vec::new, |proxy| proxy.fetch_events());
        if events.is_empty() {
            return Ok(JString::default());
        }
        JString::from_str(env, events.iter().map(lines).collect::<Vec<_>>().join("\n"))
    })
    .resolve::<ThrowRuntimeExAndDefault>()
}

fn lines(event: &Event) -> String {
    let none = String::new;
    let fields = match event {
        Event::Attempt { attempt, outcome, elapsed, endpoint } => {
            let endpoint = endpoint.as_ref().map_or_else(none, |endpoint| endpoint.as_str().into());
            [attempt.to_string(), (*outcome).into(), elapsed.to_string(), endpoint]
        }
        Event::Hedge { attempt, after } => [attempt.to_string(), after.to_string(), none(), none()],
        Event::Retry { attempt, wait } => [attempt.to_string(), wait.to_string(), none(), none()],
        Event::Call { attempts, outcome, stop, elapsed } => {
            [attempts.to_string(), (*outcome).into(), (*stop).into(), elapsed.to_string()]
        }
        Event::Circuit { from, to, open_for } => {
            [(*from).into(), (*to).into(), open_for.map_or_else(none, |length| length.to_string()), none()]
        }
        Event::Endpoint { address, to, ejected_for } => {
            let ejected_for = ejected_for.map_or_else(none, |length| length.to_string());
            [address.to_string(), (*to).into(), ejected_for, none()]
        }
        // There are no spaces in addresses.
        Event::Endpoints { added, removed, stale } => {
            [added.join(" "), removed.join(" "), stale.clone().unwrap_or_default(), none()]
        }
        Event::Settings { before, now } => [before.clone(), now.clone(), none(), none()],
        Event::Credentials { field, why } => [(*field).into(), why.clone().unwrap_or_default(), none(), none()],
        Event::Internal { at } => [(*at).into(), none(), none(), none()],
        _ => [none(), none(), none(), none()],
    };
    format!("{}\n{}", event.kind(), fields.map(|field| field.replace('\n', " ")).join("\n"))
}
