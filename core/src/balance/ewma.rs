//! How slow an endpoint is at present: a moving average of what its attempts took that follows a rise at once and a fall
//! slowly, which is Finagle's peak EWMA (`com.twitter.finagle.loadbalancer.p2c`, also linkerd's). While nothing is measured it
//! decays, so that an endpoint that was slow once is tried again.
//!
//! One word: the average as a 32-bit float, and when it was last measured, in about milliseconds. Halved step by step rather than
//! by `exp`, whose last bit is each platform's own affair: the same calls choose the same endpoints everywhere.

use std::sync::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Acquire},
};

use crate::clock::{Nanos, SECOND};

/// After so long an average is worth half of what it was: what decays by a factor of e in 10 s.
const HALF: f32 = 6_931.0;

/// What an endpoint that is being tried for the first time is taken for by those who come meanwhile.
const UNKNOWN: f64 = SECOND as f64;

/// A tick is 2^20 ns, about a millisecond.
const TICK_SHIFT: u32 = 20;

/// How long attempts took.
#[derive(Debug, Default)]
pub(crate) struct PeakEwma(AtomicU64);

const fn pack(average: f32, tick: u32) -> u64 {
    (average.to_bits() as u64) << 32 | tick as u64
}

const fn unpack(word: u64) -> (f32, u32) {
    (f32::from_bits((word >> 32) as u32), word as u32)
}

const fn tick(now: Nanos) -> u32 {
    (now >> TICK_SHIFT) as u32
}

/// What is left of 1 after so many ticks: halves, and between two of them a straight line.
fn left_after(ticks: u32) -> f32 {
    let halves = ticks as f32 / HALF;
    let whole = halves as u32;
    if whole >= 64 {
        return 0.0;
    }
    let of_half = 1.0 / (1u64 << whole) as f32;
    of_half * (1.0 - (halves - whole as f32) / 2.0)
}

/// How many ticks lie between the two; none when a later one was seen already.
fn ticks_between(then: u32, now: u32) -> u32 {
    let passed = now.wrapping_sub(then);
    if passed > u32::MAX / 2 { 0 } else { passed }
}

impl PeakEwma {
    /// An attempt took so long.
    pub fn count(&self, took: Nanos, now: Nanos) {
        let took = took as f32;
        let next = |average: f32, ticks| {
            let left = left_after(ticks);
            if took > average * left { took } else { average * left + took * (1.0 - left) }
        };
        self.change(next, now);
    }

    /// An attempt took at least so long, or failed after it: that makes an endpoint slower, never quicker.
    pub fn raise(&self, took: Nanos, now: Nanos) {
        if took as f64 > self.get(now) {
            self.count(took, now);
        }
    }

    fn change(&self, next: impl Fn(f32, u32) -> f32, now: Nanos) {
        let _ = self.0.fetch_update(AcqRel, Acquire, |word| {
            if word == 0 {
                return Some(pack(next(0.0, u32::MAX).max(1.0), tick(now)));
            }
            let (average, then) = unpack(word);
            let ticks = ticks_between(then, tick(now));
            let next = next(average, ticks).max(1.0);
            // Of many within a tick the peaks alone count.
            (ticks > 0 || next > average).then_some(pack(next, then.wrapping_add(ticks)))
        });
    }

    /// The average now, in nanoseconds; 0 when nothing was measured yet.
    pub fn get(&self, now: Nanos) -> f64 {
        let word = self.0.load(Acquire);
        if word == 0 {
            return 0.0;
        }
        let (average, then) = unpack(word);
        f64::from(average * left_after(ticks_between(then, tick(now)))).max(1.0)
    }

    /// What it costs to send another attempt beside those in flight, which an endpoint of so many units of weight shares out among
    /// them. Where nothing is in flight weights make no difference: by them it is drawn already.
    pub fn cost(&self, in_flight: u32, units: u64, now: Nanos) -> f64 {
        let average = match self.get(now) {
            // The first one goes and sees.
            0.0 if in_flight == 0 => return 0.0,
            0.0 => UNKNOWN,
            average => average,
        };
        average * (f64::from(in_flight) / units as f64 + 1.0)
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;
    use crate::clock::MILLISECOND;

    const T0: Nanos = 1000 * SECOND;

    fn average(ewma: &PeakEwma, now: Nanos) -> u64 {
        (ewma.get(now) / 1e6).round() as u64
    }

    #[test]
    fn a_rise_counts_at_once_and_a_fall_slowly() {
        let ewma = PeakEwma::default();
        ewma.count(10 * MILLISECOND, T0);
        assert_eq!(average(&ewma, T0), 10);
        ewma.count(200 * MILLISECOND, T0);
        assert_eq!(average(&ewma, T0), 200);
        ewma.count(10 * MILLISECOND, T0 + SECOND);
        let after = average(&ewma, T0 + SECOND);
        assert!((180..200).contains(&after), "{after}");
    }

    #[test]
    fn it_is_halved_about_every_seven_seconds_of_silence() {
        let ewma = PeakEwma::default();
        ewma.count(1000 * MILLISECOND, T0);
        let averages = [0, 7, 14, 28].map(|seconds| average(&ewma, T0 + seconds * SECOND));
        assert!(averages[0] == 1000 && averages[1].abs_diff(520) < 30, "{averages:?}");
        assert!(averages[2].abs_diff(260) < 20 && averages[3].abs_diff(70) < 10, "{averages:?}");
        assert!(ewma.get(T0 + 3600 * SECOND) <= 1.0);
    }

    #[test]
    fn what_failed_quickly_makes_no_endpoint_quicker() {
        let ewma = PeakEwma::default();
        ewma.count(100 * MILLISECOND, T0);
        ewma.raise(MILLISECOND, T0 + SECOND);
        assert_eq!(average(&ewma, T0), 100);
        ewma.raise(500 * MILLISECOND, T0 + SECOND);
        assert_eq!(average(&ewma, T0 + SECOND), 500);
    }

    #[test]
    fn nobody_follows_the_first_before_it_has_told() {
        let ewma = PeakEwma::default();
        assert_eq!(ewma.cost(0, 1, T0), 0.0);
        assert!(ewma.cost(1, 1, T0) >= UNKNOWN);
        ewma.count(10 * MILLISECOND, T0);
        assert_eq!((ewma.cost(3, 1, T0).round(), ewma.cost(3, 3, T0).round()), (4e7, 2e7));
    }

    #[test]
    fn what_is_told_late_of_an_earlier_time_does_not_turn_it_back() {
        let ewma = PeakEwma::default();
        ewma.count(10 * MILLISECOND, T0);
        ewma.count(5 * MILLISECOND, T0 - SECOND);
        assert_eq!(average(&ewma, T0), 10);
    }
}
