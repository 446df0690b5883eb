//! What balancers are worth: many calls to endpoints of which one is slow, simulated in virtual time (E1).

mod common;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use ambassador_core::Endpoint;
use ambassador_core::balance::Balance;
use ambassador_core::call::{Call, Outcome};
use ambassador_core::clock::{MILLISECOND, Nanos};
use common::*;

/// SplitMix64, for the servers' own luck.
struct Luck(u64);

impl Luck {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % most
    }
}

const CALLS: usize = 20_000;

/// How long 99 of 100 calls take at most: 1000 a second of them, to ten endpoints that take 5 to 15 ms, but for one that takes
/// twenty times as long.
fn p99(balance: Balance) -> Nanos {
    let address = |n| format!("10.0.0.{n}:80");
    let endpoints = (0..10).map(|n| Endpoint::new(&address(n)).unwrap());
    let proxy = by(builder(), balance).endpoints(endpoints).build().unwrap();
    proxy.seed_jitter(7);
    let mut luck = Luck(11);
    let mut latencies: Vec<Nanos> = Vec::new();
    // By when they end; calls are plain numbers.
    let mut running: BinaryHeap<Reverse<(Nanos, [u64; Call::WORDS])>> = BinaryHeap::new();
    let mut at = T0;
    for _ in 0..CALLS {
        at += luck.below(2 * MILLISECOND);
        while running.peek().is_some_and(|Reverse((end, _))| *end <= at) {
            let Some(Reverse((end, words))) = running.pop() else { break };
            let _ = proxy.settle(&mut Call::from_words(words), end, Outcome::Ok, None);
        }
        let call = begin(&proxy, at);
        let is_slow = proxy.endpoint_of(&call).as_str() == address(3);
        let took = (5 * MILLISECOND + luck.below(10 * MILLISECOND)) * if is_slow { 20 } else { 1 };
        latencies.push(took);
        running.push(Reverse((at + took, call.to_words())));
    }
    for Reverse((end, words)) in running {
        let _ = proxy.settle(&mut Call::from_words(words), end, Outcome::Ok, None);
    }
    assert_eq!(ends(&proxy), [CALLS as u64, 0, 0, 0, 0]);
    latencies.sort_unstable();
    latencies[CALLS * 99 / 100]
}

#[test]
fn two_choices_by_latency_keep_the_slow_tenth_out_of_the_99th_percentile() {
    let (by_turns, by_latency) = (p99(Balance::RoundRobin), p99(Balance::P2c));
    println!("p99: round_robin {} ms, p2c {} ms", by_turns / MILLISECOND, by_latency / MILLISECOND);
    assert!(by_turns >= 5 * by_latency, "{by_turns}, {by_latency}");
}

#[test]
fn the_same_seed_makes_the_same_choices() {
    for balance in Balance::ALL {
        let chosen = || {
            let endpoints = (0..5).map(|n| Endpoint::new(&format!("10.0.0.{n}:80")).unwrap().weight(n + 1));
            let proxy = by(builder(), balance).endpoints(endpoints).build().unwrap();
            proxy.seed_jitter(42);
            let mut luck = Luck(3);
            let calls = (0..200).map(|n| {
                let mut call = begin(&proxy, T0 + n * MILLISECOND);
                let endpoint = proxy.endpoint_of(&call).as_str().to_owned();
                let _ = proxy.settle(&mut call, T0 + n * MILLISECOND + luck.below(MILLISECOND), Outcome::Ok, None);
                endpoint
            });
            calls.collect::<Vec<_>>()
        };
        assert_eq!(chosen(), chosen(), "{balance:?}");
    }
}
