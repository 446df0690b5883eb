//! Endpoints that are left out because attempts at them fail (E3). Counted is how attempts end, whoever asked for them: failures
//! and timeouts in a row. An ejection is over when its time is; nobody waits for that, whoever chooses next sees it.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use super::Outlier;
use super::member::{Block, Health};
use crate::call::Outcome;
use crate::clock::Nanos;

/// An attempt at the endpoint ended so: whether it has to be left out, if that is allowed.
pub(crate) fn is_to_be_ejected(outlier: &Outlier, block: &Block, outcome: Outcome, started: Nanos) -> bool {
    let health = &block.health;
    // Of an attempt that began before it was left out, or while it was: it tells nothing that was not known then.
    if health.ejected_until.load(Acquire) != 0 || started < health.since.load(Relaxed) {
        return false;
    }
    match outcome {
        // A3
        Outcome::Cancelled => false,
        Outcome::Ok | Outcome::Deferred => {
            // As a rule there is nothing to forget, and nothing to write.
            if health.failures_in_a_row.load(Relaxed) != 0 {
                health.failures_in_a_row.store(0, Relaxed);
            }
            false
        }
        Outcome::Retry | Outcome::Fail | Outcome::Timeout | Outcome::Overdue => {
            health.failures_in_a_row.fetch_add(1, AcqRel) + 1 >= outlier.consecutive_failures
        }
    }
}

/// How many of so many endpoints may be left out at once: their share, but one where there are two or more.
pub(crate) fn most(outlier: &Outlier, endpoints: usize) -> usize {
    match endpoints {
        0 | 1 => 0,
        // The sum of a share and less than any endpoint is: 0.3 of ten are three.
        count => ((count as f64 * outlier.max_ejected + 1e-9) as usize).clamp(1, count),
    }
}

/// It is left out from now on; for how long. To be asked with the lock that changes are made under.
pub(crate) fn eject(outlier: &Outlier, health: &Health, now: Nanos) -> Nanos {
    let times = forgiven(outlier, health, now).saturating_add(1);
    let length = outlier.base.saturating_mul(times.into()).min(outlier.max.max(outlier.base));
    health.streak.store(times, Relaxed);
    health.ejections.fetch_add(1, Relaxed);
    health.failures_in_a_row.store(0, Relaxed);
    health.ejected_until.store(now.saturating_add(length), Release);
    length
}

/// How often it was left out, less one for each `base` that it has been back since.
fn forgiven(outlier: &Outlier, health: &Health, now: Nanos) -> u32 {
    let streak = health.streak.load(Relaxed);
    if streak == 0 {
        return 0;
    }
    let back_for = now.saturating_sub(health.since.load(Relaxed));
    let forgiven = back_for / outlier.base.max(1);
    streak.saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX))
}

/// Whether its ejection is over, and this is who saw it first.
pub(crate) fn bring_back(block: &Block, now: Nanos) -> bool {
    let health = &block.health;
    let until = health.ejected_until.load(Acquire);
    if until == 0 || until > now {
        return false;
    }
    // First: attempts that began before it count for nothing.
    health.since.fetch_max(until, Relaxed);
    health.ejected_until.compare_exchange(until, 0, AcqRel, Acquire).is_ok()
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;
    use crate::clock::SECOND;

    const T0: Nanos = 1000 * SECOND;

    fn fails(block: &Block, started: Nanos) -> bool {
        is_to_be_ejected(&Outlier::default(), block, Outcome::Retry, started)
    }

    #[test]
    fn so_many_failures_in_a_row_and_none_fewer_leave_it_out() {
        let block = Block::default();
        for round in 0..3 {
            assert!((1..5).all(|_| !fails(&block, T0)), "{round}");
            assert!(!is_to_be_ejected(&Outlier::default(), &block, Outcome::Cancelled, T0));
            assert!(!is_to_be_ejected(&Outlier::default(), &block, Outcome::Ok, T0));
        }
        assert!((1..5).all(|_| !fails(&block, T0)));
        assert!(is_to_be_ejected(&Outlier::default(), &block, Outcome::Timeout, T0));
    }

    #[test]
    fn each_time_is_longer_up_to_the_longest_and_good_times_are_counted_for_it() {
        let (outlier, block) = (Outlier::default(), Block::default());
        let mut now = T0;
        let mut ejected = |after: Nanos| {
            now += after;
            let length = eject(&outlier, &block.health, now);
            now += length;
            assert!(bring_back(&block, now) && !bring_back(&block, now));
            length / SECOND
        };
        assert_eq!([1, 1, 1].map(|seconds| ejected(seconds * SECOND)), [30, 60, 90]);
        assert_eq!(ejected(61 * SECOND), 60, "two are forgiven");
        assert_eq!(ejected(3600 * SECOND), 30);
        assert_eq!((0..20).map(|_| ejected(0)).last(), Some(300));
    }

    #[test]
    fn what_began_before_it_was_back_moves_nothing() {
        let block = Block::default();
        let length = eject(&Outlier::default(), &block.health, T0);
        assert!((0..9).all(|_| !fails(&block, T0 + SECOND)), "left out");
        assert!(bring_back(&block, T0 + length));
        assert!((0..9).all(|_| !fails(&block, T0 + length - 1)), "it began before");
        assert!((1..5).all(|_| !fails(&block, T0 + length)) && fails(&block, T0 + length));
    }

    #[test]
    fn one_of_two_may_be_left_out_and_of_many_their_share() {
        let most = |share, count| most(&Outlier { max_ejected: share, ..Outlier::default() }, count);
        assert_eq!([0, 1, 2, 10, 19, 20].map(|count| most(0.1, count)), [0, 0, 1, 1, 1, 2]);
        assert_eq!((most(0.0, 5), most(0.3, 10), most(1.0, 3)), (1, 3, 3));
    }
}
