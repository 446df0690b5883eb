//! How long a target's attempts take, for hedges that begin after a quantile of that (H1): of what they took over the last minute.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::clock::{MILLISECOND, Nanos};
use crate::sync::AtomicU64;
use crate::telemetry::histogram::{Durations, LONGEST_WINDOW};

/// How many attempts must be known before there is a quantile.
const LEAST: u64 = 20;
/// A quantile that is known is looked at anew so often at most: it is asked for at every attempt.
const FRESH_FOR: Nanos = 100 * MILLISECOND;

/// The cells of one target; made when the first proxy asks for a quantile.
#[derive(Debug)]
pub(crate) struct Cells {
    durations: Durations,
    /// Of each quantile that may be asked for: when it was looked at, and what it was.
    known: [(AtomicU64, AtomicU64); 100],
}

impl Default for Cells {
    fn default() -> Cells {
        let known = std::array::from_fn(|_| (AtomicU64::new(0), AtomicU64::new(0)));
        Cells { durations: Durations::default(), known }
    }
}

impl Cells {
    /// An attempt took so long; of one that was cut short, at least so long.
    pub fn count(&self, took: Nanos, now: Nanos) {
        self.durations.record(took, now);
    }

    /// What that many hundredths of the attempts took at most; `None` while too few are known. Never told too short, and too long by a
    /// sixteenth at most.
    pub fn quantile(&self, hundredths: u8, now: Nanos) -> Option<Nanos> {
        let (looked_at, known) = &self.known[usize::from(hundredths) % 100];
        let (since, last) = (looked_at.load(Acquire), known.load(Relaxed));
        if since != 0 && now.saturating_sub(since) < FRESH_FOR && last != 0 {
            return Some(last);
        }
        let took = self.durations.since(LONGEST_WINDOW, now);
        let found = (took.count >= LEAST).then(|| took.quantile_or_longer(f64::from(hundredths) / 100.0)).flatten();
        known.store(found.unwrap_or(0), Relaxed);
        looked_at.store(now, Release);
        found
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;
    use crate::clock::SECOND;

    const T0: Nanos = 3000 * SECOND;

    #[test]
    fn a_quantile_is_what_so_many_attempts_took_at_most() {
        let cells = Cells::default();
        for ms in 1..=100 {
            cells.count(ms * MILLISECOND, T0);
        }
        for (hundredths, ms) in [(50, 50), (90, 90), (95, 95), (99, 99)] {
            let exact = ms * MILLISECOND;
            let told = cells.quantile(hundredths, T0).unwrap();
            assert!(told >= exact && told <= exact + exact / 16, "p{hundredths} is {told}");
        }
    }

    #[test]
    fn too_few_attempts_have_no_quantile() {
        let cells = Cells::default();
        for _ in 0..LEAST - 1 {
            cells.count(MILLISECOND, T0);
        }
        assert_eq!(cells.quantile(95, T0), None);
        cells.count(MILLISECOND, T0);
        assert!(cells.quantile(95, T0).is_some());
    }

    #[test]
    fn what_is_older_than_a_minute_is_forgotten() {
        let cells = Cells::default();
        for _ in 0..LEAST {
            cells.count(SECOND, T0);
        }
        assert!(cells.quantile(95, T0 + LONGEST_WINDOW).is_some_and(|quantile| quantile >= SECOND));
        let later = T0 + LONGEST_WINDOW + FRESH_FOR;
        assert_eq!(cells.quantile(95, later), None);
        for _ in 0..LEAST {
            cells.count(MILLISECOND, later);
        }
        assert!(cells.quantile(95, later).is_some_and(|quantile| quantile < SECOND));
    }
}
