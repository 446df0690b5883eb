//! A limit found from latency: as many calls at once as the target takes without growing slower. The gradient algorithm of
//! Netflix's concurrency-limits (`GradientLimit`): the latency that the target has with few calls, over the present one, says by how
//! much the limit was too high; a small queue is always allowed, so that the limit can grow. That latency is an average of calls
//! that came while there was room, and of some with few others from time to time: a target may have changed.

use std::sync::atomic::Ordering::Relaxed;

use crate::clock::Nanos;
use crate::sync::AtomicU64;

const FIRST: f64 = 20.0;
const LEAST: f64 = 1.0;
const MOST: f64 = 1000.0;
/// How much of the limit may queue at the target, at least; else the limit's square root.
const QUEUE: f64 = 4.0;
/// How much slower than with few calls one may be before the limit shrinks.
const TOLERANCE: f64 = 1.5;
/// How fast the limit follows.
const SMOOTHING: f64 = 0.2;
/// After how many calls the latency with few calls is measured anew, and over how many.
const PROBE: u64 = 1000;
const PROBED: u64 = 10;
/// Over how many calls that latency is averaged.
const MEMORY: f64 = 10.0;

/// The limit, and the latency with few calls, 0 when it is not known; both as the bits of floating-point numbers.
#[derive(Debug)]
pub(crate) struct Cells {
    limit: AtomicU64,
    at_rest: AtomicU64,
    calls: AtomicU64,
}

impl Default for Cells {
    fn default() -> Cells {
        Cells { limit: AtomicU64::new(FIRST.to_bits()), at_rest: AtomicU64::new(0), calls: AtomicU64::new(0) }
    }
}

impl Cells {
    /// How many calls may run at once.
    pub fn limit(&self) -> u32 {
        f64::from_bits(self.limit.load(Relaxed)) as u32
    }

    /// An attempt took so long while so many calls ran.
    pub fn learn(&self, took: Nanos, in_flight: u64) {
        let call = self.calls.fetch_add(1, Relaxed) + 1;
        if call.is_multiple_of(PROBE) {
            change(&self.at_rest, |_| 0.0);
            change(&self.limit, |limit| limit.min(QUEUE));
            return;
        }
        let took = took.max(1) as f64;
        let has_room = (in_flight as f64) < f64::from_bits(self.limit.load(Relaxed)) / 2.0;
        let at_rest = change(&self.at_rest, |at_rest| match at_rest {
            0.0 => took,
            _ if has_room || call % PROBE < PROBED => at_rest + (took - at_rest) / MEMORY,
            _ => at_rest,
        });
        change(&self.limit, |limit| {
            // Few calls say nothing about many.
            if (in_flight as f64) < limit / 2.0 {
                return limit;
            }
            let gradient = (TOLERANCE * at_rest / took).clamp(0.5, 1.0);
            let wanted = limit * gradient + limit.sqrt().max(QUEUE);
            (limit + (wanted - limit) * SMOOTHING).clamp(LEAST, MOST)
        });
    }
}

fn change(cell: &AtomicU64, how: impl Fn(f64) -> f64) -> f64 {
    let mut present = cell.load(Relaxed);
    loop {
        let changed = how(f64::from_bits(present));
        match cell.compare_exchange_weak(present, changed.to_bits(), Relaxed, Relaxed) {
            Ok(_) => return changed,
            Err(other) => present = other,
        }
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;
    use crate::clock::MILLISECOND;

    /// A target that takes ten calls at once as quickly as one, and more of them in turn.
    fn latency(in_flight: u64) -> Nanos {
        10 * MILLISECOND * in_flight.max(10) / 10
    }

    #[test]
    fn it_settles_near_what_the_target_takes_and_stays_there() {
        let cells = Cells::default();
        let mut after_probe = 0;
        for call in 1..20_000 {
            let in_flight = u64::from(cells.limit());
            cells.learn(latency(in_flight), in_flight);
            // But for the moment after each probe.
            after_probe = if call % PROBE == 0 { 0 } else { after_probe + 1 };
            assert!(after_probe < 50 || (8..60).contains(&cells.limit()), "{call}: {}", cells.limit());
        }
    }

    #[test]
    fn it_grows_while_the_target_keeps_up_and_only_when_it_is_used() {
        let cells = Cells::default();
        for _ in 0..PROBE / 2 {
            cells.learn(MILLISECOND, 1);
        }
        assert_eq!(cells.limit(), 20);
        for _ in 0..PROBE / 3 {
            cells.learn(MILLISECOND, u64::from(cells.limit()));
        }
        assert!(cells.limit() > 500, "{}", cells.limit());
    }

    #[test]
    fn it_shrinks_when_the_target_grows_slow_and_never_below_one() {
        let cells = Cells::default();
        for _ in 0..100 {
            cells.learn(MILLISECOND, u64::from(cells.limit()));
        }
        let before = cells.limit();
        for _ in 0..100 {
            cells.learn(1000 * MILLISECOND, u64::from(cells.limit()));
        }
        assert!(before > 50 && (1..=10).contains(&cells.limit()), "{before}, then {}", cells.limit());
    }
}
