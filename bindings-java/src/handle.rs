//! What a `long` of Java's stands for: a proxy, or a draft of settings, that lives on the heap until Java frees it. And a
//! call as the five numbers that Java keeps between its attempts.

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

/// An instant of Java's. Its clock starts at a second, so only a fault brings a negative number.
#[inline]
pub fn instant(java: jlong) -> Nanos {
    java.max(1) as Nanos
}

/// An instant for Java, whose numbers are signed: the one that never comes is its largest.
#[inline]
pub fn to_java(instant: Nanos) -> jlong {
    jlong::try_from(instant).unwrap_or(jlong::MAX)
}

/// The call that entered at `entered` and is in its first attempt, bounded by `bound`, both as Java got them from `begin`.
#[inline]
pub fn first(entered: jlong, bound: jlong) -> Call {
    let until = if bound == jlong::MAX {
        NEVER
    } else {
        bound as Nanos
    };
    // As `Call::to_words` tells a call that just entered; a test below holds this to it.
    Call::from_words([instant(entered), instant(entered), until, 0, 1])
}

/// The call that Java keeps in these five numbers.
pub fn read(env: &Env<'_>, words: &JLongArray<'_>) -> Result<Call> {
    let mut numbers = [0; Call::WORDS];
    words.get_region(env, 0, &mut numbers)?;
    Ok(Call::from_words(numbers.map(|number| number as u64)))
}

/// Gives the call back to Java.
pub fn write(env: &Env<'_>, words: &JLongArray<'_>, call: &Call) -> Result<()> {
    words.set_region(env, 0, &call.to_words().map(|number| number as jlong))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ambassador_core::clock::SECOND;
    use ambassador_core::proxy::Begin;
    use ambassador_core::settings::{Spelling, Value};

    fn begun(timeout: Value) -> Call {
        let mut settings = Settings::new("first-call.example.com", Spelling::Java).expect("a host");
        settings.set("timeoutMs", timeout).expect("a timeout");
        match AmbassadorProxy::from_settings(settings).begin(7 * SECOND) {
            Begin::Run(call) => call,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_first_attempt_is_told_by_when_it_entered_and_its_bound() {
        for call in [begun(Value::Int(250)), begun(Value::Null)] {
            assert_eq!(first(to_java(call.entered()), to_java(call.bound())), call);
        }
    }

    #[test]
    fn what_is_lent_is_taken_back_and_nothing_stays_nothing() {
        let handle = lend(String::from("lent"));
        // SAFETY: it was lent above, and is taken back once.
        let text = unsafe { take_back::<String>(handle) };
        assert_eq!(text.as_deref().map(String::as_str), Some("lent"));
        // SAFETY: 0 stands for nothing.
        assert!(unsafe {
            proxy(0).is_none() && draft(0).is_none() && take_back::<String>(0).is_none()
        });
    }
}
