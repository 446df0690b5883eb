//! What a `long` of Java's stands for: a proxy, or a draft of settings, that lives on the heap until Java frees it. And a
//! call as the numbers that Java keeps between its attempts.

use ambassador_core::AmbassadorProxy;
use ambassador_core::call::Call;
use ambassador_core::clock::{NEVER, Nanos};
use ambassador_core::settings::Settings;
use jni::Env;
use jni::errors::Result;
use jni::objects::JLongArray;
use jni::sys::jlong;

/// Moves a value to the heap; Java holds it from now on.
pub fn lend<T>(value: T) -> jlong {
    Box::into_raw(Box::new(value)) as jlong
}

/// Takes back what [`lend`] gave. `None` for the handle of nothing.
///
/// # Safety
/// `handle` is 0, or came from `lend::<T>` and was not taken back before.
pub unsafe fn take_back<T>(handle: jlong) -> Option<Box<T>> {
    let pointer = handle as *mut T;
    // SAFETY: as this function asks of its caller.
    (!pointer.is_null()).then(|| unsafe { Box::from_raw(pointer) })
}

/// The proxy of a handle; `None` for the handle of nothing.
///
/// # Safety
/// `handle` is 0, or came from `lend::<AmbassadorProxy>` and is not taken back while the answer is used: Java fences the
/// owner of the handle around each native.
#[inline]
pub unsafe fn proxy<'a>(handle: jlong) -> Option<&'a AmbassadorProxy> {
    // SAFETY: as this function asks of its caller.
    unsafe { (handle as *const AmbassadorProxy).as_ref() }
}

/// The draft of a handle; `None` for the handle of nothing.
///
/// # Safety
/// `handle` is 0, or came from `lend::<Settings>`, is not taken back while the answer is used, and is used by one thread.
pub unsafe fn draft<'a>(handle: jlong) -> Option<&'a mut Settings> {
    // SAFETY: as this function asks of its caller.
    unsafe { (handle as *mut Settings).as_mut() }
}

/// A call that is in its first attempt, as one number: when the attempt must have ended, or, where nothing bounds it, when it
/// entered. Always positive.
#[inline]
pub fn permit(call: &Call) -> jlong {
    match call.bound() {
        NEVER => to_java(call.entered()),
        bound => to_java(bound),
    }
}

/// The call of a [`permit`] that this proxy gave.
#[inline]
pub fn first(proxy: &AmbassadorProxy, permit: jlong) -> Call {
    // Only a fault brings a number below 1.
    let permit = permit.max(1) as Nanos;
    let policy = proxy.policy();
    // As `Call::to_words` tells a call that just entered; a test below holds this to it.
    match policy.timeout.into_iter().chain(policy.deadline).min() {
        None => Call::from_words([permit, permit, NEVER, 0, 1]),
        Some(length) => {
            let entered = permit.saturating_sub(length).max(1);
            Call::from_words([entered, entered, permit, 0, 1])
        }
    }
}

/// An instant for Java, whose numbers are signed: the one that never comes is its largest.
#[inline]
pub fn to_java(instant: Nanos) -> jlong {
    jlong::try_from(instant).unwrap_or(jlong::MAX)
}

/// How many numbers Java keeps of a call: its words, and for Java to read: the instant of the last decision, the attempt,
/// until when it runs or waits, and the outcome of the attempt that ended last.
const KEPT: usize = Call::WORDS + 4;

/// The call that Java keeps, and the instant of its last decision.
pub fn read(env: &Env<'_>, words: &JLongArray<'_>) -> Result<(Call, Nanos)> {
    let mut kept = [0; KEPT];
    words.get_region(env, 0, &mut kept)?;
    let mut numbers = [0; Call::WORDS];
    for (number, kept) in numbers.iter_mut().zip(kept) {
        *number = kept as u64;
    }
    Ok((Call::from_words(numbers), kept[Call::WORDS] as Nanos))
}

/// Gives the call back to Java, as it stands after a decision at `now`.
pub fn write(env: &Env<'_>, words: &JLongArray<'_>, call: &Call, now: Nanos) -> Result<()> {
    let mut kept = [0; KEPT];
    for (kept, number) in kept.iter_mut().zip(call.to_words()) {
        *kept = number as jlong;
    }
    let read = [to_java(now), call.attempt().into(), to_java(call.bound()), call.last() as jlong];
    kept[Call::WORDS..].copy_from_slice(&read);
    words.set_region(env, 0, &kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ambassador_core::clock::SECOND;
    use ambassador_core::proxy::Begin;
    use ambassador_core::settings::{Spelling, Value};

    fn proxy_of(timeout: Value, deadline: Value) -> AmbassadorProxy {
        let mut settings = Settings::new("first-call.example.com", Spelling::Java).expect("a host");
        settings.set("timeoutMs", timeout).expect("a timeout");
        settings.set("deadlineMs", deadline).expect("a deadline");
        AmbassadorProxy::from_settings(settings)
    }

    #[test]
    fn a_first_attempt_is_told_by_its_permit() {
        for (timeout, deadline) in [
            (Value::Int(250), Value::Null),
            (Value::Null, Value::Null),
            (Value::Null, Value::Int(1000)),
            (Value::Int(250), Value::Int(1000)),
            (Value::Int(250), Value::Int(10)),
        ] {
            let proxy = proxy_of(timeout, deadline);
            let Begin::Run(call) = proxy.begin(7 * SECOND) else { panic!("it runs") };
            assert_eq!(first(&proxy, permit(&call)), call);
        }
    }

    #[test]
    fn what_is_lent_is_taken_back_and_nothing_stays_nothing() {
        let handle = lend(String::from("lent"));
        // SAFETY: it was lent above, and is taken back once.
        let text = unsafe { take_back::<String>(handle) };
        assert_eq!(text.as_deref().map(String::as_str), Some("lent"));
        // SAFETY: 0 stands for nothing.
        assert!(unsafe { proxy(0).is_none() && draft(0).is_none() && take_back::<String>(0).is_none() });
    }
}
