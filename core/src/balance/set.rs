//! The endpoints of a target at one time: immutable, and swapped as a whole when others are found. What is known of each goes on
//! in its [block](super::member::Block).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::Balance;
use super::maglev::Maglev;
use super::member::{Block, Member, Place, STRIDE, UNIT};
use super::ring::Ring;
use crate::clock::Nanos;
use crate::endpoint::Endpoint;
use crate::policy::Shared;

/// Endpoints, and what balancers look up among them.
#[derive(Debug, Default)]
pub(crate) struct Set {
    /// The number of this set; the next one has the next.
    pub version: u64,
    pub members: Box<[Member]>,
    /// By slot: the members, and those that have left while attempts at them run.
    slots: Box<[Option<Member>]>,
    pub table: Table,
    /// All weights before each member and with it, in 1024ths of a unit.
    pub sums: Box<[u64]>,
    pub has_near: bool,
    /// E4: nobody knows whether they are still there.
    pub is_stale: AtomicBool,
}

/// What is looked up by a key.
#[derive(Debug, Default)]
pub(crate) enum Table {
    #[default]
    None,
    Ring(Ring),
    Maglev(Maglev),
}

/// Endpoints that came and went.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changed {
    pub added: Vec<String>,
    pub removed: Vec<String>,
}

fn gcd(one: u64, other: u64) -> u64 {
    if other == 0 { one } else { gcd(other, one % other) }
}

/// Each address once; the later one of two holds, where the first one stood.
fn once_each(endpoints: Vec<Endpoint>) -> Vec<Endpoint> {
    let mut places = HashMap::with_capacity(endpoints.len());
    let mut once: Vec<Endpoint> = Vec::with_capacity(endpoints.len());
    for endpoint in endpoints {
        match places.get(endpoint.as_str()) {
            Some(&at) => once[at] = endpoint,
            None => {
                places.insert(endpoint.as_str().to_owned(), once.len());
                once.push(endpoint);
            }
        }
    }
    once
}

impl Set {
    /// The set of those endpoints, that comes after `self`. `last_generation` is the last that was given; `turn` where those that
    /// come one after the other stand; `joined` since when they are there that were not.
    pub fn next(
        &self,
        endpoints: Vec<Endpoint>,
        shared: &Shared,
        last_generation: &mut u32,
        turn: u64,
        joined: Nanos,
    ) -> (Set, Changed) {
        let endpoints = once_each(endpoints);
        let unit = endpoints.iter().map(|endpoint| u64::from(endpoint.its_weight())).fold(0, gcd).max(1);
        let count = endpoints.len() as u64;
        let mut changed = Changed::default();
        let mut slots = self.slots_to_keep(&endpoints);
        let known: HashMap<String, (Place, Arc<Block>)> = slots
            .iter()
            .flatten()
            .map(|member| (member.endpoint.as_str().to_owned(), (member.place, Arc::clone(&member.block))))
            .collect();
        let mut members = Vec::with_capacity(endpoints.len());
        for (at, endpoint) in endpoints.into_iter().enumerate() {
            let units = u64::from(endpoint.its_weight()) / unit;
            let is_near = shared.zone.is_some() && endpoint.its_zone() == shared.zone.as_deref();
            let (place, block) = known.get(endpoint.as_str()).cloned().unwrap_or_else(|| {
                *last_generation = last_generation.wrapping_add(1).max(1);
                let slot = slots.iter().position(Option::is_none).unwrap_or(slots.len());
                let block = Block::default();
                block.health.since.store(joined, Relaxed);
                // Spread over the first round, or the heavy ones would come again and again before the light ones do.
                block.hot.pass.store(turn.wrapping_add(STRIDE / (units * UNIT) / count.max(1) * at as u64), Relaxed);
                (Place::new(slot as u32, *last_generation), Arc::new(block))
            });
            if !self.has(&endpoint) {
                changed.added.push(endpoint.as_str().into());
            }
            let member = Member { endpoint, place, units, is_near, block };
            if slots.len() <= place.slot() {
                slots.resize(place.slot() + 1, None);
            }
            slots[place.slot()] = Some(member.clone());
            members.push(member);
        }
        let is_member = |one: &Member| members.iter().any(|member| member.place == one.place);
        changed.removed =
            self.members.iter().filter(|one| !is_member(one)).map(|one| one.endpoint.as_str().into()).collect();
        let by_units = || members.iter().map(|member| (member.endpoint.as_str(), member.units));
        let table = match shared.balance {
            Balance::RingHash => Table::Ring(Ring::new(by_units())),
            Balance::Maglev => Table::Maglev(Maglev::new(by_units())),
            _ => Table::None,
        };
        let mut sum = 0;
        let sums = members.iter().map(|member| {
            sum += member.units * UNIT;
            sum
        });
        let set = Set {
            version: self.version + 1,
            sums: sums.collect(),
            has_near: members.iter().any(|member| member.is_near),
            members: members.into(),
            slots: slots.into(),
            table,
            is_stale: AtomicBool::new(false),
        };
        (set, changed)
    }

    /// Who keeps its slot: those that stay; those that were members up to now, for who chooses at this moment may choose one of
    /// them still; and of those that left before, whoever has attempts in flight.
    fn slots_to_keep(&self, endpoints: &[Endpoint]) -> Vec<Option<Member>> {
        let keeps = |one: &&Member| {
            self.members.iter().any(|member| member.place == one.place)
                || endpoints.iter().any(|endpoint| endpoint.as_str() == one.endpoint.as_str())
                || one.block.in_flight() > 0
        };
        self.slots.iter().map(|slot| slot.as_ref().filter(keeps).cloned()).collect()
    }

    fn has(&self, endpoint: &Endpoint) -> bool {
        self.members.iter().any(|member| member.endpoint.as_str() == endpoint.as_str())
    }

    /// Whoever has that place: a member, or one that has left while attempts at it run.
    #[inline]
    pub fn at(&self, place: Place) -> Option<&Member> {
        self.slots.get(place.slot())?.as_ref().filter(|member| member.place == place)
    }

    /// Whoever has a slot.
    pub fn all(&self) -> impl Iterator<Item = &Member> {
        self.slots.iter().flatten()
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    fn endpoints(names: &[&str]) -> Vec<Endpoint> {
        names.iter().map(|name| Endpoint::new(name).unwrap()).collect()
    }

    fn next(set: &Set, generation: &mut u32, names: &[&str]) -> (Set, Changed) {
        set.next(endpoints(names), &Shared::default(), generation, 0, 0)
    }

    #[test]
    fn who_stays_keeps_its_slot_and_its_block() {
        let mut generation = 0;
        let (one, _) = next(&Set::default(), &mut generation, &["a:1", "b:1"]);
        let (other, changed) = next(&one, &mut generation, &["c:1", "b:1"]);
        assert_eq!(changed, Changed { added: vec!["c:1".into()], removed: vec!["a:1".into()] });
        assert_eq!(one.members[1].place, other.members[1].place);
        assert!(Arc::ptr_eq(&one.members[1].block, &other.members[1].block));
    }

    #[test]
    fn who_leaves_is_found_until_its_last_attempt_has_ended_and_then_its_slot_is_anothers() {
        let mut generation = 0;
        let (set, _) = next(&Set::default(), &mut generation, &["a:1", "b:1"]);
        let gone = set.members[0].clone();
        gone.block.begin();
        let mut set = set;
        for _ in 0..3 {
            set = next(&set, &mut generation, &["b:1"]).0;
            assert_eq!(set.at(gone.place).unwrap().endpoint.as_str(), "a:1");
        }
        gone.block.end();
        let (set, _) = next(&set, &mut generation, &["b:1", "c:1"]);
        assert_eq!(set.members[1].place.slot(), gone.place.slot());
        assert!(set.at(gone.place).is_none(), "its generation is past");
    }

    #[test]
    fn of_two_of_one_address_the_later_holds() {
        let twice =
            vec![Endpoint::new("a:1").unwrap(), Endpoint::new("b:1").unwrap(), Endpoint::new("a:1").unwrap().weight(7)];
        let (set, _) = Set::default().next(twice, &Shared::default(), &mut 0, 0, 0);
        let weights: Vec<_> = set.members.iter().map(|m| (m.endpoint.as_str(), m.endpoint.its_weight())).collect();
        assert_eq!(weights, [("a:1", 7), ("b:1", 1)]);
    }

    #[test]
    fn weights_are_counted_in_the_units_that_they_share() {
        let weighted = |weights: [u32; 2]| {
            let both = vec![
                Endpoint::new("a:1").unwrap().weight(weights[0]),
                Endpoint::new("b:1").unwrap().weight(weights[1]),
            ];
            let (set, _) = Set::default().next(both, &Shared::default(), &mut 0, 0, 0);
            [set.members[0].units, set.members[1].units]
        };
        assert_eq!((weighted([100, 100]), weighted([10, 30])), ([1, 1], [1, 3]));
    }
}
