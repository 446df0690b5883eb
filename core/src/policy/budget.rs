//! The retry budget: retries may be so many for each call, so that a target in trouble gets no storm of them (R5).
//!
//! Over a sliding window each call deposits `ratio`, and `min_per_second` flows in besides, so that a target with few calls may
//! be retried too; each retry takes one. As in Finagle's `RetryBudget` and tower's, a first attempt is never refused.

use std::time::Duration;

use crate::clock::{Nanos, SECOND, nanos};
use crate::policy::window::{At, Window};
use crate::stripes::Striped;
use crate::sync::in_one_order;

/// How many retries there may be. The default is one for every five calls over 10 s, and ten a second besides.
///
/// ```
/// use ambassador_core::Budget;
///
/// let tight = Budget::default().ratio(0.1).min_per_second(1.0);
/// assert_eq!(tight.window, 10_000_000_000);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Budget {
    /// What each call deposits: retries a call, 0 to 1000.
    pub ratio: f64,
    /// Retries a second that there may be whatever the calls.
    pub min_per_second: f64,
    /// The window over which deposits and retries are counted.
    pub window: Nanos,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget { ratio: 0.2, min_per_second: 10.0, window: 10 * SECOND }
    }
}

impl Budget {
    /// Sets what each call deposits.
    pub fn ratio(self, ratio: f64) -> Budget {
        Budget { ratio, ..self }
    }

    /// Sets how many retries a second there may be whatever the calls.
    pub fn min_per_second(self, min_per_second: f64) -> Budget {
        Budget { min_per_second, ..self }
    }

    /// Sets the window over which deposits and retries are counted.
    pub fn window(self, window: Duration) -> Budget {
        Budget { window: nanos(window), ..self }
    }

    #[inline]
    fn at(&self, now: Nanos) -> At {
        At::new(0, self.window, now)
    }
}

/// What changes while calls run: deposits, of every call, and retries of the window.
#[derive(Debug, Default)]
pub(crate) struct Cells {
    deposits: Striped<Window>,
    retries: Window,
}

impl Cells {
    /// A call begins its first attempt.
    #[inline]
    pub fn deposit(&self, budget: &Budget, now: Nanos) {
        self.deposits.add(budget.at(now));
    }

    /// Takes the token of one retry, unless there is none. Two that want the last one at the same instant may both be
    /// refused; never both given.
    pub fn take(&self, budget: &Budget, now: Nanos) -> bool {
        let at = budget.at(now);
        self.retries.add(at);
        in_one_order();
        if self.tokens(budget, now) >= 0.0 {
            return true;
        }
        self.retries.take_back(at);
        false
    }

    /// A retry was not made after all. `taken` is when its token was taken.
    pub fn give_back(&self, budget: &Budget, taken: Nanos) {
        self.retries.take_back(budget.at(taken));
    }

    /// What was counted over a window of another length says nothing about this one.
    pub fn forget_counts(&self) {
        self.deposits.forget();
        self.retries.forget();
    }

    /// How many retries are left at that instant; below zero only while some are about to be refused.
    pub fn tokens(&self, budget: &Budget, now: Nanos) -> f64 {
        let at = budget.at(now);
        let (retries, deposits) = (self.retries.sum(at), self.deposits.total(at));
        let floor = budget.min_per_second * (budget.window as f64 / SECOND as f64);
        // Ten deposits of a tenth are one retry, whatever their sum in binary fractions.
        (budget.ratio * deposits as f64 + floor + 1e-9).floor() - retries as f64
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    const T0: Nanos = 3000 * SECOND;

    fn only_by_calls() -> (Budget, Cells) {
        (Budget::default().min_per_second(0.0), Cells::default())
    }

    #[test]
    fn five_calls_pay_for_one_retry() {
        let (budget, cells) = only_by_calls();
        for calls in 1..=10 {
            cells.deposit(&budget, T0);
            assert_eq!(cells.take(&budget, T0), calls % 5 == 0, "{calls} calls");
        }
    }

    #[test]
    fn without_calls_there_is_the_floor() {
        let (budget, cells) = (Budget::default(), Cells::default());
        let taken = (0..1000).filter(|_| cells.take(&budget, T0)).count();
        assert_eq!(taken, 100);
        assert!(!cells.take(&budget, T0 + 10 * SECOND - 1));
        assert!(cells.take(&budget, T0 + 10 * SECOND));
    }

    #[test]
    fn deposits_leave_with_their_window() {
        let (budget, cells) = only_by_calls();
        for _ in 0..5 {
            cells.deposit(&budget, T0);
        }
        assert_eq!(cells.tokens(&budget, T0 + 10 * SECOND - 1), 1.0);
        assert_eq!(cells.tokens(&budget, T0 + 10 * SECOND), 0.0);
    }

    #[test]
    fn a_token_that_is_given_back_may_be_taken_again() {
        let (budget, cells) = only_by_calls();
        for _ in 0..5 {
            cells.deposit(&budget, T0);
        }
        assert!(cells.take(&budget, T0) && !cells.take(&budget, T0 + SECOND));
        cells.give_back(&budget, T0);
        assert!(cells.take(&budget, T0 + SECOND));
    }

    #[test]
    fn many_threads_never_take_more_than_there_is() {
        let (budget, cells) = (Budget::default(), Cells::default());
        let taken: usize = std::thread::scope(|scope| {
            let takers: Vec<_> =
                (0..8).map(|_| scope.spawn(|| (0..1000).filter(|_| cells.take(&budget, T0)).count())).collect();
            takers.into_iter().map(|taker| taker.join().unwrap()).sum()
        });
        assert!(taken <= 100, "{taken}");
        // Whoever was refused for another's sake may try again: none is lost.
        let left = (0..1000).filter(|_| cells.take(&budget, T0)).count();
        assert_eq!(taken + left, 100);
    }
}
