//! Time as plain numbers: monotonic nanoseconds, passed into every decision. Nothing else in the core reads a clock;
//! hosts do, at the edge, with [`now`] or with a monotonic clock of their own.

use std::fmt::Write;
use std::time::{Duration, Instant};

use once_cell::sync::Lazy;

use crate::testing;

/// An instant, or a length of time, in nanoseconds of a monotonic clock. An instant is never 0.
pub type Nanos = u64;

/// The instant that never comes: "not bounded".
pub const NEVER: Nanos = u64::MAX;

/// One second.
pub const SECOND: Nanos = 1_000_000_000;

/// One millisecond.
pub const MILLISECOND: Nanos = 1_000_000;

static ORIGIN: Lazy<Nanos> = Lazy::new(monotonic);

/// The clock of the operating system's that an `Instant` is of as well, with less around it.
#[cfg(target_os = "linux")]
#[inline]
fn monotonic() -> Nanos {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    (time.tv_sec as Nanos).wrapping_mul(SECOND).wrapping_add(time.tv_nsec as Nanos)
}

#[cfg(not(target_os = "linux"))]
fn monotonic() -> Nanos {
    static FIRST: Lazy<Instant> = Lazy::new(Instant::now);
    FIRST.elapsed().as_nanos() as Nanos
}

/// The present instant: nanoseconds since shortly before this process first asked.
///
/// ```
/// let before = ambassador_core::clock::now();
/// assert!(ambassador_core::clock::now() >= before && before > 0);
/// ```
#[inline]
pub fn now() -> Nanos {
    match testing::instant() {
        None => real(),
        Some(instant) => instant,
    }
}

/// The present instant, whatever tests make of the clock.
#[inline]
fn real() -> Nanos {
    let origin = *ORIGIN;
    // The origin lies a second back, so that 0 stays free to mean "none".
    SECOND + monotonic().saturating_sub(origin)
}

/// The `Instant` of a [`Nanos`] instant, for Tokio's timers; `None` when it lies beyond what an `Instant` can say.
pub(crate) fn to_instant(at: Nanos) -> Option<Instant> {
    // An `Instant` could hold some centuries more; a timer that far off never fires either way.
    if at == NEVER {
        return None;
    }
    // T1: the `Instant` is read after what is left, and so the sum is never early.
    let left = at.saturating_sub(real());
    Instant::now().checked_add(Duration::from_nanos(left))
}

/// A `Duration` in nanoseconds, saturating below [`NEVER`].
pub fn nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).map_or(NEVER - 1, |nanos| nanos.min(NEVER - 1))
}

/// A length of time as people read it, to at most two decimals: `2s`, `1.37s`, `137ms`, `0.25ms`.
///
/// ```
/// # use ambassador_core::clock::spell;
/// assert_eq!(spell(2_000_000_000), "2s");
/// assert_eq!(spell(1_370_400_000), "1.37s");
/// assert_eq!(spell(137_000_000), "137ms");
/// ```
pub fn spell(length: Nanos) -> String {
    let mut text = String::with_capacity(16);
    push_spelled(&mut text, length);
    text
}

/// All that [`spell`] says of a length: two of which this is the same are spelled alike.
pub(crate) fn hundredths(length: Nanos) -> (u64, &'static str) {
    let (unit, name) = if length >= SECOND - MILLISECOND / 2 { (SECOND, "s") } else { (MILLISECOND, "ms") };
    let hundredth = unit / 100;
    (length / hundredth + u64::from(length % hundredth >= hundredth / 2), name)
}

/// [`spell`], at the end of a text: errors are made where calls are refused, which has to be quick.
pub(crate) fn push_spelled(text: &mut String, length: Nanos) {
    let (hundredths, name) = hundredths(length);
    let (whole, rest) = (hundredths / 100, hundredths % 100);
    let _ = match rest {
        0 => write!(text, "{whole}"),
        r if r % 10 == 0 => write!(text, "{whole}.{}", r / 10),
        r => write!(text, "{whole}.{r:02}"),
    };
    text.push_str(name);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_spelled_as_people_read_them() {
        for (length, spelled) in [
            (0, "0ms"),
            (250_000, "0.25ms"),
            (1_500_000, "1.5ms"),
            (137_000_000, "137ms"),
            (999_400_000, "999.4ms"),
            (999_600_000, "1s"),
            (SECOND, "1s"),
            (1_374_999_999, "1.37s"),
            (1_995_000_000, "2s"),
            (90 * SECOND, "90s"),
        ] {
            assert_eq!(spell(length), spelled, "{length}");
        }
    }

    #[test]
    fn an_instant_comes_no_earlier_than_what_it_stands_for() {
        for later in [0, MILLISECOND, SECOND, 3600 * SECOND] {
            let (before, at) = (Instant::now(), real() + later);
            let instant = to_instant(at).expect("it is within an hour");
            assert!(instant >= before + Duration::from_nanos(later));
            // What the clock says when an `Instant` has come is not before it.
            assert!(later > 0 || real() >= at);
        }
        assert_eq!(to_instant(NEVER), None);
    }

    #[test]
    fn the_clock_goes_as_fast_as_instants_do() {
        let (outer, begun) = (Instant::now(), real());
        let inner = Instant::now();
        while inner.elapsed() < Duration::from_millis(5) {
            std::hint::spin_loop();
        }
        let (at_least, passed) = (inner.elapsed(), Duration::from_nanos(real() - begun));
        assert!(passed >= at_least && passed <= outer.elapsed(), "{at_least:?}, {passed:?}");
    }
}
