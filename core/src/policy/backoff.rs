//! How long to wait between attempts: exponential backoff, a cap, and four kinds of jitter (R1, R2). Pure: the random
//! numbers are passed in, so the same seed gives the same waits in every language.
//!
//! The kinds of jitter and their names are those of Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture
//! Blog, 2015.

use std::time::Duration;

use crate::clock::{Nanos, SECOND, nanos};

/// The schedule of waits. The default is 2 s, doubling, at most 30 s, with full jitter.
///
/// ```
/// use std::time::Duration;
/// use ambassador_core::{Backoff, Jitter};
///
/// let waits = Backoff::exponential(Duration::from_millis(50)).max(Duration::from_secs(1)).jitter(Jitter::Equal);
/// assert_eq!(Backoff::none().base, 0);
/// # assert_eq!(waits.base, 50_000_000);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Backoff {
    /// The wait after the first attempt, before jitter.
    pub base: Nanos,
    /// What each further wait is multiplied by; at least 1.
    pub factor: f64,
    /// The cap; applied before jitter, so that the thousandth wait still spreads.
    pub max: Nanos,
    /// How waits are spread.
    pub jitter: Jitter,
    /// A server's hint above this ends the call instead of being waited for (R3).
    pub hint_max: Nanos,
}

/// How waits are spread, so that clients who failed together do not return together (R2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jitter {
    /// Uniform between 0 and the scheduled wait.
    Full,
    /// Half of the scheduled wait, plus uniform between 0 and the other half.
    Equal,
    /// Uniform between `base` and three times the wait before, at most `max`.
    Decorrelated,
    /// The scheduled wait itself.
    None,
}

impl Jitter {
    /// Every kind, in the order in which messages list them.
    pub const ALL: [Jitter; 4] = [Jitter::Full, Jitter::Equal, Jitter::Decorrelated, Jitter::None];

    /// The name in settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Jitter::Full => "full",
            Jitter::Equal => "equal",
            Jitter::Decorrelated => "decorrelated",
            Jitter::None => "none",
        }
    }
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff { base: 2 * SECOND, factor: 2.0, max: 30 * SECOND, jitter: Jitter::Full, hint_max: 60 * SECOND }
    }
}

impl Backoff {
    /// The default schedule, but starting at `base`.
    pub fn exponential(base: Duration) -> Backoff {
        Backoff { base: nanos(base), ..Backoff::default() }
    }

    /// The same wait each time.
    pub fn constant(wait: Duration) -> Backoff {
        Backoff { factor: 1.0, jitter: Jitter::None, max: nanos(wait), ..Backoff::exponential(wait) }
    }

    /// No waits at all.
    pub fn none() -> Backoff {
        Backoff { base: 0, max: 0, jitter: Jitter::None, ..Backoff::default() }
    }

    /// Sets what each further wait is multiplied by.
    pub fn factor(self, factor: f64) -> Backoff {
        Backoff { factor, ..self }
    }

    /// Sets the cap.
    pub fn max(self, max: Duration) -> Backoff {
        Backoff { max: nanos(max), ..self }
    }

    /// Sets the kind of jitter.
    pub fn jitter(self, jitter: Jitter) -> Backoff {
        Backoff { jitter, ..self }
    }

    /// Sets the largest hint that is still waited for.
    pub fn hint_max(self, hint_max: Duration) -> Backoff {
        Backoff { hint_max: nanos(hint_max), ..self }
    }

    /// The wait after failed attempt `attempt` (1, 2, 3 …); `previous` is the wait before it, 0 if there was none. Draws at
    /// most one number from `random`.
    pub(crate) fn wait(&self, attempt: u32, previous: Nanos, random: impl FnOnce() -> u64) -> Nanos {
        match self.jitter {
            Jitter::None => self.scheduled(attempt),
            Jitter::Full => within(0, self.scheduled(attempt), random()),
            Jitter::Equal => {
                let half = self.scheduled(attempt) / 2;
                half + within(0, self.scheduled(attempt) - half, random())
            }
            Jitter::Decorrelated => {
                let previous = if previous == 0 { self.base } else { previous };
                within(self.base, previous.saturating_mul(3), random()).min(self.max)
            }
        }
    }

    // R1: min(max, base·factor^(n-1)). Multiplied step by step rather than by `powi`, whose last bit is the platform's own
    // affair; it stops at the cap, so that nothing overflows.
    fn scheduled(&self, attempt: u32) -> Nanos {
        let (mut wait, max) = (self.base as f64, self.max as f64);
        if self.factor > 1.0 && wait > 0.0 {
            for _ in 1..attempt {
                if wait >= max {
                    break;
                }
                wait *= self.factor;
            }
        }
        // `as` saturates; a wait that reached the cap is the cap itself, not its rounding through f64.
        if wait >= max { self.max } else { wait as Nanos }
    }
}

/// A number from `low` to `high`, both included, from 64 random bits.
fn within(low: Nanos, high: Nanos, random: u64) -> Nanos {
    let width = high.saturating_sub(low) as u128 + 1;
    low + ((random as u128 * width) >> 64) as Nanos
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOWEST: u64 = 0;
    const HIGHEST: u64 = u64::MAX;

    fn seconds(backoff: &Backoff, attempt: u32, previous: Nanos, random: u64) -> f64 {
        backoff.wait(attempt, previous, || random) as f64 / SECOND as f64
    }

    #[test]
    fn without_jitter_the_waits_are_the_seeds() {
        let backoff = Backoff::default().jitter(Jitter::None);
        let waits: Vec<f64> = (1..=6).map(|n| seconds(&backoff, n, 0, HIGHEST)).collect();
        assert_eq!(waits, [2.0, 4.0, 8.0, 16.0, 30.0, 30.0]);
    }

    #[test]
    fn each_jitter_reaches_both_ends_of_its_range_and_no_further() {
        for (jitter, attempt, previous, low, high) in [
            (Jitter::Full, 1, 0, 0.0, 2.0),
            (Jitter::Full, 3, 0, 0.0, 8.0),
            (Jitter::Full, 1024, 0, 0.0, 30.0),
            (Jitter::Equal, 2, 0, 2.0, 4.0),
            (Jitter::Equal, 1024, 0, 15.0, 30.0),
            (Jitter::Decorrelated, 1, 0, 2.0, 6.0),
            (Jitter::Decorrelated, 2, 5 * SECOND, 2.0, 15.0),
            (Jitter::Decorrelated, 1024, 30 * SECOND, 2.0, 30.0),
        ] {
            let backoff = Backoff::default().jitter(jitter);
            assert_eq!(seconds(&backoff, attempt, previous, LOWEST), low, "{jitter:?} {attempt} low");
            assert_eq!(seconds(&backoff, attempt, previous, HIGHEST), high, "{jitter:?} {attempt} high");
        }
    }

    #[test]
    fn overflow_saturates_at_the_cap() {
        let backoff = Backoff { base: u64::MAX / 2, factor: 1e6, max: u64::MAX - 1, jitter: Jitter::None, hint_max: 0 };
        assert_eq!(backoff.wait(100, 0, || 0), u64::MAX - 1);
        let decorrelated = backoff.jitter(Jitter::Decorrelated);
        assert_eq!(decorrelated.wait(3, u64::MAX - 1, || HIGHEST), u64::MAX - 1);
    }

    #[test]
    fn no_backoff_is_no_wait() {
        for attempt in 1..100 {
            assert_eq!(Backoff::none().wait(attempt, 0, || HIGHEST), 0);
        }
    }
}
