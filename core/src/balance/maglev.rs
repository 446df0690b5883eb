//! The table of Maglev (Eisenbud et al., "Maglev: A fast and reliable software network load balancer", NSDI 2016): each endpoint
//! takes, in turn, the next free place of its own permutation, until all are taken. A key is looked up by one step; when an
//! endpoint goes, a few more keys move than on a ring.

use super::hash::{hash, mix};

/// How many places it has: a prime, the same whatever the number of endpoints, or all keys would move with that.
const PLACES: usize = 65_537;

const FREE: u32 = u32::MAX;

/// For each place, the place of its endpoint among the members.
#[derive(Debug, Default)]
pub(crate) struct Maglev(Box<[u32]>);

impl Maglev {
    /// The table of those addresses and weights.
    pub fn new<'a>(members: impl Iterator<Item = (&'a str, u64)>) -> Maglev {
        struct Turn {
            next: usize,
            skip: usize,
            weight: u64,
            saved: u64,
        }
        let mut turns: Vec<Turn> = members
            .map(|(address, weight)| {
                let hash = hash(address.as_bytes());
                let next = (hash % PLACES as u64) as usize;
                let skip = (mix(hash) % (PLACES as u64 - 1)) as usize + 1;
                Turn { next, skip, weight, saved: 0 }
            })
            .collect();
        let Some(heaviest) = turns.iter().map(|turn| turn.weight).max() else { return Maglev::default() };
        let mut table = vec![FREE; PLACES];
        let mut left = PLACES;
        while left > 0 {
            for (at, turn) in turns.iter_mut().enumerate() {
                // By weight: the heaviest takes a place in each round, one of half its weight in each other.
                turn.saved += turn.weight;
                if turn.saved < heaviest || left == 0 {
                    continue;
                }
                turn.saved -= heaviest;
                while table[turn.next] != FREE {
                    turn.next = (turn.next + turn.skip) % PLACES;
                }
                table[turn.next] = at as u32;
                left -= 1;
            }
        }
        Maglev(table.into())
    }

    /// The places of the endpoints that a key comes by, from its own on.
    pub fn from(&self, key: u64) -> impl Iterator<Item = usize> {
        let start = if self.0.is_empty() { 0 } else { (key % self.0.len() as u64) as usize };
        self.0[start..].iter().chain(&self.0[..start]).map(|at| *at as usize)
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    fn table(names: &[(&'static str, u64)]) -> Vec<&'static str> {
        Maglev::new(names.iter().copied()).0.iter().map(|at| names[*at as usize].0).collect()
    }

    #[test]
    fn places_are_shared_out_exactly_by_weight() {
        let table = table(&[("a:1", 1), ("b:1", 1), ("c:1", 2)]);
        let share = |name| table.iter().filter(|owner| **owner == name).count();
        assert!(share("c:1").abs_diff(PLACES / 2) <= 2 && share("a:1").abs_diff(PLACES / 4) <= 2);
    }

    #[test]
    fn when_an_endpoint_goes_few_other_keys_move() {
        let (before, after) =
            (table(&[("a:1", 1), ("b:1", 1), ("c:1", 1), ("d:1", 1)]), table(&[("a:1", 1), ("c:1", 1), ("d:1", 1)]));
        let moved = before.iter().zip(&after).filter(|(before, after)| **before != "b:1" && before != after).count();
        assert!(moved < PLACES / 20, "{moved}");
    }

    #[test]
    fn a_table_of_nobody_has_no_places() {
        assert_eq!(Maglev::new(std::iter::empty()).from(7).next(), None);
    }
}
