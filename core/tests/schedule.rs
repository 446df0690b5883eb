//! The waits that a seed gives, to the nanosecond (R1, R2). These numbers are the contract between the languages: every
//! binding that seeds its jitter so waits so. They come from SplitMix64 and the formulas of `docs/semantics.md`, not from
//! this crate.

mod common;

use std::time::Duration;

use ambassador_core::call::Decision;
use ambassador_core::clock::{Nanos, SECOND};
use ambassador_core::{Backoff, Jitter};
use common::*;

/// The waits after the first attempts of one call.
fn waits<const N: usize>(backoff: Backoff, seed: u64) -> [Nanos; N] {
    let proxy = builder().max_retries(100).backoff(backoff).build().unwrap();
    proxy.seed_jitter(seed);
    let mut call = begin(&proxy, T0);
    std::array::from_fn(|_| {
        let Decision::WaitUntil(until) = fail(&proxy, &mut call, 0) else { panic!("an attempt is left") };
        let wait = until - call.started();
        assert_eq!(proxy.resume(&mut call, until), Decision::Run);
        wait
    })
}

#[test]
fn the_seeds_schedule_to_the_nanosecond() {
    let full = |seed| waits(Backoff::default(), seed);
    assert_eq!(full(0), [1_766_621_617, 1_726_111_988, 211_470_172, 15_534_111_651, 3_190_400_747, 9_819_772_926]);
    assert_eq!(full(42), [1_483_129_758, 639_641_571, 2_228_809_042, 5_507_051_464, 1_140_905_056, 26_046_842_297]);
    assert_eq!(
        full(u64::MAX),
        [1_787_885_841, 3_650_388_815, 1_755_855_703, 6_819_751_191, 21_167_119_469, 24_740_148_320]
    );
}

#[test]
fn equal_jitter_to_the_nanosecond() {
    let equal = |seed| waits(Backoff::default().jitter(Jitter::Equal), seed);
    assert_eq!(equal(0), [1_883_310_809, 2_863_055_994, 4_105_735_086, 15_767_055_826, 16_595_200_373, 19_909_886_463]);
    assert_eq!(
        equal(42),
        [1_741_564_879, 2_319_820_785, 5_114_404_521, 10_753_525_732, 15_570_452_528, 28_023_421_149]
    );
}

#[test]
fn decorrelated_jitter_to_the_nanosecond() {
    let decorrelated = |seed| waits(Backoff::default().jitter(Jitter::Decorrelated), seed);
    assert_eq!(
        decorrelated(0),
        [5_533_243_233, 8_300_192_114, 2_605_348_604, 7_646_694_063, 4_226_908_462, 5_496_076_599]
    );
    assert_eq!(
        decorrelated(u64::MAX),
        [5_575_771_682, 15_440_106_528, 11_727_510_738, 16_143_538_349, 30_000_000_000, 30_000_000_000]
    );
}

#[test]
fn the_waits_of_a_few_nanoseconds_are_exact_too() {
    let tiny = Backoff::exponential(Duration::from_nanos(1)).factor(1.5).max(Duration::from_millis(1));
    assert_eq!(waits(tiny, 7), [0, 0, 2, 2]);
}

#[test]
fn without_jitter_no_number_is_drawn() {
    let two = SECOND * 2;
    assert_eq!(waits(exactly(), 0), [two, two * 2, two * 4, two * 8, 15 * two, 15 * two]);
}

#[test]
fn the_hundredth_wait_still_spreads_at_the_cap() {
    let proxy = builder().max_retries(100).timeout(None).build().unwrap();
    let mut last = std::collections::HashSet::new();
    for seed in 0..50 {
        proxy.seed_jitter(seed);
        let mut call = begin(&proxy, T0);
        for _ in 1..99 {
            fail_and_wait(&proxy, &mut call);
        }
        let Decision::WaitUntil(until) = fail(&proxy, &mut call, 0) else { panic!("an attempt is left") };
        assert!(until - call.started() <= 30 * SECOND);
        last.insert(until - call.started());
    }
    assert_eq!(last.len(), 50, "no two seeds return at the same time");
}

#[test]
fn the_wait_that_a_hint_raised_does_not_feed_the_next_one() {
    let backoff = Backoff::default().jitter(Jitter::Decorrelated).hint_max(Duration::from_secs(3600));
    let [_, unraised] = waits::<2>(backoff.clone(), 42);
    let proxy = builder().backoff(backoff).build().unwrap();
    proxy.seed_jitter(42);
    let mut call = begin(&proxy, T0);
    let hour = 3600 * SECOND;
    let raised = proxy.settle(&mut call, T0, ambassador_core::call::Outcome::Retry, Some(hour));
    assert_eq!(raised, Decision::WaitUntil(T0 + hour));
    assert_eq!(proxy.resume(&mut call, T0 + hour), Decision::Run);
    assert_eq!(fail(&proxy, &mut call, 0), Decision::WaitUntil(T0 + hour + unraised));
}

#[test]
fn proxies_of_one_name_draw_from_one_source() {
    let name = "a source of jitter in common";
    let one = builder().name(name).build().unwrap();
    let other = builder().name(name).build().unwrap();
    one.seed_jitter(0);
    let first = |proxy| {
        let mut call = begin(proxy, T0);
        let Decision::WaitUntil(until) = fail(proxy, &mut call, 0) else { panic!("an attempt is left") };
        until - T0
    };
    assert_eq!(first(&one), 1_766_621_617);
    // The second number of the seed, here for a first wait: 1 726 111 988 of 4 s.
    assert_eq!(first(&other), 863_055_994);
}
