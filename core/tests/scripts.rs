//! Any script of outcomes and times, in virtual time: whatever a host tells a call, the rules hold. Attempts are within
//! `max_retries` (C1), waits within jitter's bounds (R1–R3), nothing goes on past the deadline (R4), results after their bound
//! are timeouts (T1, T3), and the counters add up (S2).

mod common;

use std::time::Duration;

use ambassador_core::call::{Decision, Give, Outcome, Stop};
use ambassador_core::clock::{MILLISECOND, NEVER, Nanos, SECOND};
use ambassador_core::{Backoff, Code, Jitter};
use common::*;
use proptest::prelude::*;

/// One step of a host: an attempt takes that long and ends so, or the call is cancelled; then it wakes that early, and at
/// last that late.
#[derive(Clone, Debug)]
struct Step {
    takes: Nanos,
    outcome: Outcome,
    hint: Option<Nanos>,
    cancels: bool,
    early: Nanos,
    late: Nanos,
}

fn lengths() -> impl Strategy<Value = Nanos> {
    prop_oneof![
        Just(0),
        Just(1),
        0..10 * MILLISECOND,
        0..10 * SECOND,
        // Right at the usual bounds.
        (2 * SECOND - 2)..(2 * SECOND + 2),
        0..100_000 * SECOND,
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        1 => Just(Outcome::Ok),
        6 => Just(Outcome::Retry),
        1 => Just(Outcome::Fail),
        3 => Just(Outcome::Timeout),
        1 => Just(Outcome::Cancelled),
        1 => Just(Outcome::Deferred),
        1 => Just(Outcome::Overdue),
    ];
    let hint = prop_oneof![3 => Just(None), 1 => lengths().prop_map(Some), 1 => Just(Some(NEVER))];
    (lengths(), outcome, hint, prop::bool::weighted(0.05), lengths(), lengths())
        .prop_map(|(takes, outcome, hint, cancels, early, late)| Step { takes, outcome, hint, cancels, early, late })
}

fn backoffs() -> impl Strategy<Value = Backoff> {
    (lengths(), prop_oneof![Just(1.0), Just(2.0), 1.0..1000.0], lengths(), 0..4usize, lengths()).prop_map(
        |(base, factor, max, jitter, hint_max)| {
            Backoff::exponential(Duration::from_nanos(base))
                .factor(factor)
                .max(Duration::from_nanos(max))
                .jitter(Jitter::ALL[jitter])
                .hint_max(Duration::from_nanos(hint_max))
        },
    )
}

fn bounds() -> impl Strategy<Value = Option<Duration>> {
    prop::option::of(lengths().prop_map(|length| Duration::from_nanos(length.max(1))))
}

/// What R1 and R2 allow for the wait after that attempt.
fn allowed(backoff: &Backoff, attempt: u32, previous: Nanos) -> (Nanos, Nanos) {
    let exact = backoff.base as f64 * backoff.factor.powi(attempt as i32 - 1);
    let scheduled = if exact >= backoff.max as f64 { backoff.max } else { exact as Nanos };
    // Within what `powi` may be off by.
    let (low, high) = (scheduled - scheduled / 1_000_000_000, scheduled.saturating_add(scheduled / 1_000_000_000));
    match backoff.jitter {
        Jitter::Full => (0, high.min(backoff.max)),
        Jitter::Equal => (low / 2, high.min(backoff.max)),
        Jitter::None => (low, high.min(backoff.max)),
        Jitter::Decorrelated => {
            let previous = if previous == 0 { backoff.base } else { previous };
            (backoff.base.min(backoff.max), previous.saturating_mul(3).max(backoff.base).min(backoff.max))
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_a_host_tells_a_call_the_rules_hold(
        max_retries in 1..12u32,
        timeout in bounds(),
        deadline in bounds(),
        backoff in backoffs(),
        seed: u64,
        script in prop::collection::vec(steps(), 12),
    ) {
        let proxy = builder().max_retries(max_retries).timeout(timeout).deadline(deadline).backoff(backoff.clone()).build().unwrap();
        proxy.seed_jitter(seed);
        let timeout = timeout.map(|t| t.as_nanos() as Nanos);
        let over = deadline.map_or(NEVER, |d| T0 + d.as_nanos() as Nanos);
        let mut call = begin(&proxy, T0);
        let (mut now, mut ran, mut previous, mut late) = (T0, 0, 0, 0);
        let mut ended = None;
        for step in &script {
            ran += 1;
            // C1; the bound is T1's; and no attempt starts at or after the deadline.
            prop_assert!(ran <= max_retries && call.attempt() == ran);
            prop_assert!(now < over && call.started() == now);
            prop_assert_eq!(call.bound(), timeout.map_or(NEVER, |t| now + t).min(over));
            let bound = call.bound();
            now += step.takes;
            // T1: a host's timer never fires early.
            let outcome = match step.outcome {
                Outcome::Timeout | Outcome::Overdue if now < bound => Outcome::Retry,
                outcome => outcome,
            };
            if step.cancels {
                proxy.cancel(&mut call, now);
                ended = Some((Outcome::Cancelled, None));
                break;
            }
            let is_late = now > bound && matches!(outcome, Outcome::Ok | Outcome::Retry | Outcome::Fail | Outcome::Deferred);
            late += u64::from(is_late);
            let outcome = if is_late { Outcome::Timeout } else { outcome };
            let decision = proxy.settle(&mut call, now, step.outcome_told(outcome, is_late), step.hint);
            // P2: a timeout as any other, but for what follows.
            let may_follow = outcome != Outcome::Overdue;
            let outcome = if may_follow { outcome } else { Outcome::Timeout };
            prop_assert_eq!(call.last(), outcome);
            prop_assert!(may_follow || matches!(decision, Decision::Finish(..)), "{decision:?}");
            let until = match decision {
                Decision::WaitUntil(until) => until,
                Decision::Finish(give, stop) => {
                    ended = Some((outcome, Some((give, stop))));
                    break;
                }
                Decision::Run | Decision::Await => { prop_assert!(false, "no attempt follows without a word about its wait"); unreachable!() }
            };
            prop_assert!(matches!(outcome, Outcome::Retry | Outcome::Deferred | Outcome::Timeout));
            // T3: what a late result asks for is dropped with it.
            let (wait, hint) = (until - now, step.hint.filter(|_| !is_late).unwrap_or(0));
            let (low, high) = allowed(&backoff, ran, previous);
            prop_assert!(wait >= low.max(hint) && wait <= high.max(hint), "{wait} not in {low}..={high}, hint {hint}");
            prop_assert!(hint <= backoff.hint_max && until < over);
            // What R2 calls the previous wait is jitter's own, unknown here when a hint was longer.
            previous = if wait > hint { wait } else { backoff.max };
            // R3: never early.
            if step.early > 0 && step.early <= wait {
                prop_assert_eq!(proxy.resume(&mut call, until - step.early), Decision::WaitUntil(until));
            }
            now = until + step.late;
            match proxy.resume(&mut call, now) {
                Decision::Run => prop_assert!(now < over),
                Decision::Finish(give, stop) => {
                    prop_assert!(now >= over && stop == Stop::Deadline);
                    ended = Some((outcome, Some((give, stop))));
                    break;
                }
                Decision::WaitUntil(_) | Decision::Await => prop_assert!(false, "the wait was over"),
            }
        }
        let (last, how) = ended.expect("a script is as long as a call can be");
        if let Some((give, stop)) = how {
            match stop {
                Stop::Ok => prop_assert!(last == Outcome::Ok && give == Give::Value),
                Stop::NotRetryable => prop_assert!(
                    last == Outcome::Fail && give == Give::LastError
                        || last == Outcome::Timeout && give == Give::Error(Code::Timeout) && now < over
                ),
                Stop::Cancelled => prop_assert!(last == Outcome::Cancelled && give == Give::LastError),
                Stop::Exhausted => prop_assert!(ran == max_retries && now < over),
                Stop::HintTooLong | Stop::Deadline => {}
                _ => prop_assert!(false, "{stop:?}"),
            }
            if last == Outcome::Timeout {
                prop_assert!(matches!(give, Give::Error(Code::Timeout | Code::Deadline)));
                prop_assert!(give == Give::Error(Code::Timeout) || stop == Stop::Deadline && now >= over);
            }
        }
        // Every attempt and the call were counted, once each.
        prop_assert_eq!(attempts(&proxy).iter().sum::<u64>(), u64::from(ran));
        prop_assert_eq!(number(&proxy, "retries"), u64::from(ran) - 1);
        prop_assert_eq!(number(&proxy, "late_results"), late);
        prop_assert_eq!(ends(&proxy).iter().sum::<u64>(), 1);
        let end = match last {
            Outcome::Ok => 0,
            Outcome::Retry | Outcome::Fail | Outcome::Deferred => 1,
            Outcome::Timeout | Outcome::Overdue => 2,
            Outcome::Cancelled => 4,
        };
        prop_assert_eq!((ends(&proxy)[end], number(&proxy, "in_flight")), (1, 0));
    }
}

impl Step {
    /// What the host says of the attempt: of a late result it does not know better.
    fn outcome_told(&self, outcome: Outcome, is_late: bool) -> Outcome {
        if is_late { self.outcome } else { outcome }
    }
}
