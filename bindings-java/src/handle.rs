//! What a `long` of Java's stands for: a proxy, or a draft of settings, that lives on the heap until Java frees it. And a
//! call as Java keeps it: one number as a rule, the [permit](Lent::permit) of a first attempt, and else all its numbers.

use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use ambassador_core::AmbassadorProxy;
use ambassador_core::call::{Begun, Call, Decision};
use ambassador_core::clock::{NEVER, Nanos};
use ambassador_core::settings::Settings;
use ambassador_core::testing;
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
/// `handle` is 0, or came from `lend::<Lent>` and is not taken back while the answer is used: Java fences the owner of the
/// handle around each native.
#[inline]
pub unsafe fn proxy<'a>(handle: jlong) -> Option<&'a Lent> {
    // SAFETY: as this function asks of its caller.
    unsafe { (handle as *const Lent).as_ref() }
}

/// The draft of a handle; `None` for the handle of nothing.
///
/// # Safety
/// `handle` is 0, or came from `lend::<Settings>`, is not taken back while the answer is used, and is used by one thread.
pub unsafe fn draft<'a>(handle: jlong) -> Option<&'a mut Settings> {
    // SAFETY: as this function asks of its caller.
    unsafe { (handle as *mut Settings).as_mut() }
}

/// What else was lent; `None` for the handle of nothing.
///
/// # Safety
/// `handle` is 0, or came from `lend::<T>` and is not taken back while the answer is used.
pub unsafe fn lent<'a, T>(handle: jlong) -> Option<&'a T> {
    // SAFETY: as this function asks of its caller.
    unsafe { (handle as *const T).as_ref() }
}

/// A proxy as Java holds it.
pub struct Lent {
    proxy: AmbassadorProxy,
    /// How long a first attempt may take: the shorter of the timeout and the deadline; [`NEVER`] when neither is set.
    length: Nanos,
    /// The latest generation of the breaker's that a permit was given in.
    generation: AtomicU32,
}

impl Deref for Lent {
    type Target = AmbassadorProxy;

    fn deref(&self) -> &AmbassadorProxy {
        &self.proxy
    }
}

// A permit, from its lowest bit on: whether the call has a place in the bulkhead, and the breaker's leave; the low bits of the
// generation in which it was given; an instant in nanoseconds. The instant's 55 bits last for a year and seven weeks of a
// process; calls after that go the slow way. Six bits of the generation tell 64 changes of the breaker apart: an attempt during
// which there were exactly as many, or a multiple, would be counted in the generation that is then.
const HAS_PLACE: u64 = 1;
const HAS_LEAVE: u64 = 2;
const GENERATION_SHIFT: u32 = 2;
const GENERATION_MASK: u32 = (1 << 6) - 1;
const INSTANT_SHIFT: u32 = GENERATION_SHIFT + 6;

impl Lent {
    pub fn new(proxy: AmbassadorProxy) -> Lent {
        let policy = proxy.policy();
        let length = policy.timeout.unwrap_or(NEVER).min(policy.deadline.unwrap_or(NEVER));
        Lent { proxy, length, generation: AtomicU32::new(0) }
    }

    /// A call that has just begun its first attempt, as one number above 0: when the attempt must have ended, or, where nothing bounds
    /// it, when it entered; whether it has a place in the bulkhead; and the breaker's leave. `None` for a call that is more than
    /// that: one with a place among the probes, or an endpoint, and any in virtual time.
    #[inline]
    pub fn permit(&self, call: &Call) -> Option<jlong> {
        let Begun { has_place, leave } = call.just_begun()?;
        let instant = if call.bound() == NEVER { call.entered() } else { call.bound() };
        if instant >> (63 - INSTANT_SHIFT) != 0 || testing::instant().is_some() {
            return None;
        }
        let mut permit = instant << INSTANT_SHIFT;
        if has_place {
            permit |= HAS_PLACE;
        }
        if let Some(generation) = leave {
            if self.generation.load(Relaxed) != generation {
                self.generation.fetch_max(generation, Relaxed);
            }
            permit |= u64::from(generation & GENERATION_MASK) << GENERATION_SHIFT | HAS_LEAVE;
        }
        Some(permit as jlong)
    }

    /// The call of a [`permit`](Lent::permit) that this proxy gave.
    #[inline]
    pub fn first(&self, permit: jlong) -> Call {
        let permit = permit as u64;
        let leave = (permit & HAS_LEAVE != 0).then(|| {
            // The latest generation that ends in these bits.
            let latest = self.generation.load(Relaxed);
            let back = latest.wrapping_sub((permit >> GENERATION_SHIFT) as u32) & GENERATION_MASK;
            latest.wrapping_sub(back)
        });
        let instant = permit >> INSTANT_SHIFT;
        let (entered, until) = match self.length {
            NEVER => (instant, NEVER),
            length => (instant.saturating_sub(length).max(1), instant),
        };
        Call::begun(entered, until, Begun { has_place: permit & HAS_PLACE != 0, leave })
    }
}

/// How a call stands of which a number does not tell all, and what is decided: what Java [takes](take_back) to its words.
pub struct Standing {
    pub call: Call,
    pub decision: Decision,
    /// When that was decided.
    pub decided: Nanos,
}

/// An instant for Java, whose numbers are signed: the one that never comes is its largest.
#[inline]
pub fn to_java(instant: Nanos) -> jlong {
    jlong::try_from(instant).unwrap_or(jlong::MAX)
}

/// How many numbers Java keeps of a call: its words, and for Java to read: the instant of the last decision, the attempt,
/// until when it runs or waits, the outcome of the attempt that ended last, when a refused call may come again (-1 if nobody
/// knows), these flags, and the number of the attempt that ended last.
const KEPT: usize = Call::WORDS + 7;

/// Something of Java's may still answer (H2).
const ANSWERING: jlong = 1;
/// It waits for a place in the bulkhead, which may come free early.
const QUEUED: jlong = 2;
/// Time is virtual, and bounds are not armed.
const VIRTUAL: jlong = 4;

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
pub fn write(env: &Env<'_>, words: &JLongArray<'_>, proxy: &AmbassadorProxy, call: &Call, now: Nanos) -> Result<()> {
    let mut kept = [0; KEPT];
    for (kept, number) in kept.iter_mut().zip(call.to_words()) {
        *kept = number as jlong;
    }
    let flag = |holds: bool, flag: jlong| if holds { flag } else { 0 };
    let read = [
        to_java(now),
        call.attempt().into(),
        to_java(call.bound()),
        call.last() as jlong,
        call.retry_after().map_or(-1, to_java),
        flag(call.is_answering(), ANSWERING)
            | flag(proxy.is_queued(call), QUEUED)
            | flag(testing::instant().is_some(), VIRTUAL),
        call.ended().into(),
    ];
    kept[Call::WORDS..].copy_from_slice(&read);
    words.set_region(env, 0, &kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ambassador_core::Code;
    use ambassador_core::call::Outcome;
    use ambassador_core::clock::SECOND;
    use ambassador_core::proxy::Begin;
    use ambassador_core::settings::{Spelling, Value};

    fn proxy_of(settings: &[(&str, Value)]) -> Lent {
        let mut draft = Settings::new("first-call.example.com", Spelling::Java).expect("a host");
        for (field, value) in settings {
            draft.set(field, value.clone()).expect("a setting");
        }
        Lent::new(AmbassadorProxy::from_settings(draft).expect("settings").alone())
    }

    fn begun(proxy: &Lent, now: Nanos) -> Call {
        match proxy.begin(now) {
            Begin::Run(call) => call,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_first_attempt_is_told_by_its_permit() {
        let groups = [Value::Bool(true), Value::Null];
        let places = [Value::Int(9), Value::Null];
        for (breaker, places) in groups.iter().flat_map(|group| places.iter().map(move |places| (group, places))) {
            for (timeout, deadline) in [
                (Value::Int(250), Value::Null),
                (Value::Null, Value::Null),
                (Value::Null, Value::Int(1000)),
                (Value::Int(250), Value::Int(1000)),
                (Value::Int(250), Value::Int(10)),
            ] {
                let proxy = proxy_of(&[
                    ("timeoutMs", timeout),
                    ("deadlineMs", deadline),
                    ("breaker", breaker.clone()),
                    ("bulkhead.maxConcurrent", places.clone()),
                ]);
                let call = begun(&proxy, 7 * SECOND + 1);
                let permit = proxy.permit(&call).expect("a plain call");
                assert!(permit > 0);
                assert_eq!(proxy.first(permit), call);
            }
        }
    }

    #[test]
    fn a_permit_tells_its_generation_also_when_the_breaker_has_moved_on() {
        let proxy = proxy_of(&[]);
        let mut permits = Vec::new();
        // A reset is a generation of its own, as is what it follows.
        for _ in 0..50 {
            let call = begun(&proxy, 7 * SECOND);
            permits.push((proxy.permit(&call).expect("a plain call"), call));
            proxy.isolate();
            proxy.reset();
            if permits.len() > 30 {
                permits.remove(0);
            }
            for (permit, call) in &permits {
                assert_eq!(proxy.first(*permit), *call);
            }
        }
    }

    #[test]
    fn a_probe_has_no_permit() {
        let probed = proxy_of(&[("breaker.consecutiveFailures", Value::Int(1)), ("maxRetries", Value::Int(1))]);
        let mut call = begun(&probed, 7 * SECOND);
        let _ = probed.settle(&mut call, 7 * SECOND, Outcome::Retry, None);
        assert_eq!(probed.permit(&begun(&probed, 12 * SECOND)), None);
    }

    #[test]
    fn a_call_settled_by_its_permit_gives_its_place_back() {
        let proxy = proxy_of(&[("bulkhead.maxConcurrent", Value::Int(1))]);
        for _ in 0..3 {
            let permit = proxy.permit(&begun(&proxy, 7 * SECOND)).expect("the one place is free");
            assert!(matches!(proxy.begin(7 * SECOND), Begin::Refuse(_, Code::BulkheadFull)));
            let _ = proxy.settle(&mut proxy.first(permit), 7 * SECOND, Outcome::Ok, None);
        }
    }

    #[test]
    fn an_instant_beyond_its_bits_has_no_permit() {
        let proxy = proxy_of(&[]);
        assert_eq!(proxy.permit(&begun(&proxy, 1 << 55)), None);
        let last = begun(&proxy, (1 << 55) - 2 * SECOND - 1);
        assert_eq!(proxy.first(proxy.permit(&last).expect("it just fits")), last);
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
