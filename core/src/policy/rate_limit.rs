//! The rate limit: so many calls per time, evenly, with a burst (L2). The generic cell rate algorithm (GCRA, ITU-T I.371): one
//! word says when the next call would conform; a call that comes too early is refused, or waits its turn.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::time::Duration;

use crate::clock::{Nanos, SECOND, nanos};
use crate::sync::AtomicU64;

/// How many calls there may be.
///
/// ```
/// use std::time::Duration;
/// use ambassador_core::RateLimit;
///
/// let limit = RateLimit::new(100.0).burst(10).max_wait(Duration::from_millis(50));
/// assert_eq!(limit.per, 1_000_000_000);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RateLimit {
    /// Calls in each `per`; above 0.
    pub rate: f64,
    /// The time that `rate` is meant for; default 1 s.
    pub per: Nanos,
    /// How many calls may come at once after a quiet time; at least 1. `None`: `rate`, rounded up.
    pub burst: Option<u32>,
    /// How long a call may wait for its turn; default 0, which refuses at once.
    pub max_wait: Nanos,
}

impl RateLimit {
    /// So many calls a second.
    pub fn new(rate: f64) -> RateLimit {
        RateLimit { rate, per: SECOND, burst: None, max_wait: 0 }
    }

    /// Sets the time that `rate` is meant for.
    pub fn per(self, per: Duration) -> RateLimit {
        RateLimit { per: nanos(per), ..self }
    }

    /// Sets how many calls may come at once.
    pub fn burst(self, burst: impl Into<Option<u32>>) -> RateLimit {
        RateLimit { burst: burst.into(), ..self }
    }

    /// Sets how long a call may wait for its turn.
    pub fn max_wait(self, max_wait: Duration) -> RateLimit {
        RateLimit { max_wait: nanos(max_wait), ..self }
    }

    /// How far apart calls are; never less than they should be.
    fn interval(&self) -> Nanos {
        ((self.per as f64 / self.rate).ceil() as Nanos).max(1)
    }

    fn burst_or_rate(&self) -> Nanos {
        self.burst.map_or_else(|| (self.rate.ceil() as Nanos).max(1), Nanos::from)
    }
}

/// A turn that was given; to be given back if it is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    /// When the call may go on; now, or later.
    pub at: Nanos,
    /// What the word was set to.
    pub next: Nanos,
}

/// When the next call would conform, if the last burst had been even. On cache lines of its own: every call writes it.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Cells(AtomicU64);

impl Cells {
    /// A call comes: its turn, or how long until it would have one.
    pub fn ask(&self, limit: &RateLimit, now: Nanos) -> Result<Turn, Nanos> {
        let (interval, burst) = (limit.interval(), limit.burst_or_rate());
        let mut present = self.0.load(Relaxed);
        loop {
            let next = present.max(now).saturating_add(interval);
            let at = next.saturating_sub(interval.saturating_mul(burst)).max(now);
            if at - now > limit.max_wait {
                return Err(at - now);
            }
            match self.0.compare_exchange_weak(present, next, AcqRel, Relaxed) {
                Ok(_) => return Ok(Turn { at, next }),
                Err(other) => present = other,
            }
        }
    }

    /// The call went away before its turn. If others have queued behind it, its turn is lost: theirs were told already.
    pub fn give_back(&self, limit: &RateLimit, next: Nanos) {
        let _ = self.0.compare_exchange(next, next.saturating_sub(limit.interval()), AcqRel, Acquire);
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    const T0: Nanos = 3000 * SECOND;

    fn ask(cells: &Cells, limit: &RateLimit, now: Nanos) -> Result<Nanos, Nanos> {
        cells.ask(limit, now).map(|turn| turn.at)
    }

    #[test]
    fn a_burst_goes_through_and_then_one_in_each_interval() {
        let (limit, cells) = (RateLimit::new(10.0).burst(3), Cells::default());
        for _ in 0..3 {
            assert_eq!(ask(&cells, &limit, T0), Ok(T0));
        }
        assert_eq!(ask(&cells, &limit, T0), Err(SECOND / 10));
        assert_eq!(ask(&cells, &limit, T0 + SECOND / 10 - 1), Err(1));
        assert_eq!(ask(&cells, &limit, T0 + SECOND / 10), Ok(T0 + SECOND / 10));
        assert_eq!(ask(&cells, &limit, T0 + SECOND / 10), Err(SECOND / 10));
    }

    #[test]
    fn the_burst_is_the_rate_unless_it_is_set() {
        for (rate, burst) in [(10.0, 10), (2.5, 3), (0.1, 1)] {
            let (limit, cells) = (RateLimit::new(rate), Cells::default());
            assert_eq!((0..100).filter(|_| ask(&cells, &limit, T0).is_ok()).count(), burst);
        }
    }

    #[test]
    fn who_may_wait_gets_a_turn_of_its_own() {
        let limit = RateLimit::new(10.0).burst(1).max_wait(Duration::from_millis(200));
        let cells = Cells::default();
        let turns: Vec<_> = (0..4).map(|_| ask(&cells, &limit, T0)).collect();
        let tenth = SECOND / 10;
        assert_eq!(turns, [Ok(T0), Ok(T0 + tenth), Ok(T0 + 2 * tenth), Err(3 * tenth)]);
    }

    #[test]
    fn a_turn_that_is_given_back_is_the_next_ones_unless_others_queue_behind_it() {
        let limit = RateLimit::new(10.0).burst(1).max_wait(Duration::from_secs(1));
        let cells = Cells::default();
        cells.ask(&limit, T0).unwrap();
        let turn = cells.ask(&limit, T0).unwrap();
        cells.give_back(&limit, turn.next);
        assert_eq!(cells.ask(&limit, T0).unwrap(), turn);
        let behind = cells.ask(&limit, T0).unwrap();
        cells.give_back(&limit, turn.next);
        assert_eq!(cells.ask(&limit, T0).unwrap().at, behind.at + SECOND / 10);
    }

    #[test]
    fn many_threads_get_exactly_the_burst() {
        let (limit, cells) = (RateLimit::new(1000.0), Cells::default());
        let through: usize = std::thread::scope(|scope| {
            let callers: Vec<_> =
                (0..8).map(|_| scope.spawn(|| (0..1000).filter(|_| cells.ask(&limit, T0).is_ok()).count())).collect();
            callers.into_iter().map(|caller| caller.join().unwrap()).sum()
        });
        assert_eq!(through, 1000);
    }
}
