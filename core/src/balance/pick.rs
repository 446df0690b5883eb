//! Which endpoint an attempt goes to (E1, E2). First, among whom it is chosen: of those that are well, the ones that this call has
//! not tried, and of these the ones of the own zone, for as long as there are any; then the balancer chooses.
//!
//! Nothing here allocates or takes a lock. Random numbers are the state's, so the same seed makes the same choices everywhere.

use std::sync::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Acquire},
};

use super::Balance;
use super::member::{Member, STRIDE, UNIT};
use super::set::{Set, Table};
use crate::clock::Nanos;

/// What a choice depends on besides the endpoints.
pub(crate) struct Wish {
    pub balance: Balance,
    pub slow_start: Option<Nanos>,
    /// The share of those that are well below which that is ignored.
    pub panic: f64,
    /// Whether all are known to be well.
    pub is_calm: bool,
    /// E2: by slot modulo 64, which this call has tried.
    pub tried: u64,
    /// What `ring_hash` and `maglev` go by; 0 when the call has no key.
    pub key: u64,
    pub now: Nanos,
}

/// How many times a choice by turns is tried again because others chose at the same time.
const TURNS: usize = 32;

/// Among whom is chosen: those whose weight is not 0.
struct Candidates<'a> {
    set: &'a Set,
    wish: &'a Wish,
    /// Whether who is not well is chosen all the same.
    ignores_health: bool,
    /// The rank that they have; `None` when all are candidates.
    rank: Option<u8>,
}

/// The place of the endpoint to go to; `None` when there is none.
pub(crate) fn pick(set: &Set, wish: &Wish, turn: &AtomicU64, random: impl Fn() -> u64) -> Option<usize> {
    let candidates = Candidates::of(set, wish)?;
    match (wish.balance, &set.table) {
        (Balance::P2c, _) => candidates.less_costly_of_two(random),
        (Balance::RoundRobin, _) => candidates.whose_turn_it_is(turn),
        (Balance::LeastRequest, _) => candidates.least_busy(random),
        (Balance::RingHash, Table::Ring(ring)) if wish.key != 0 => candidates.first_of(ring.from(wish.key)),
        (Balance::Maglev, Table::Maglev(table)) if wish.key != 0 => candidates.first_of(table.from(wish.key)),
        _ => candidates.any(random),
    }
}

/// Below the range of `total`, evenly.
fn below(total: u64, random: u64) -> u64 {
    ((u128::from(random) * u128::from(total)) >> 64) as u64
}

impl<'a> Candidates<'a> {
    fn of(set: &'a Set, wish: &'a Wish) -> Option<Candidates<'a>> {
        let everybody = Candidates { set, wish, ignores_health: true, rank: None };
        if set.members.is_empty() {
            return None;
        }
        if wish.is_calm && wish.tried == 0 && !set.has_near {
            return Some(everybody);
        }
        let well = set.members.iter().filter(|member| member.block.is_well()).count();
        let ignores_health = (well as f64) < set.members.len() as f64 * wish.panic;
        let fits = |member: &&Member| ignores_health || member.block.is_well();
        let rank = set.members.iter().filter(fits).map(|member| everybody.rank_of(member)).min()?;
        Some(Candidates { ignores_health, rank: Some(rank), ..everybody })
    }

    /// The lower the sooner: not tried goes before near.
    fn rank_of(&self, member: &Member) -> u8 {
        let is_tried = self.wish.tried & member.place.bit() != 0;
        u8::from(is_tried) << 1 | u8::from(!member.is_near)
    }

    /// In 1024ths of a unit; 0 when it is no candidate.
    fn weight(&self, at: usize) -> u64 {
        let member = &self.set.members[at];
        let Wish { slow_start, now, .. } = *self.wish;
        match self.rank {
            None => member.weight(slow_start, now),
            Some(rank) if rank == self.rank_of(member) && (self.ignores_health || member.block.is_well()) => {
                member.weight(slow_start, now)
            }
            Some(_) => 0,
        }
    }

    /// Whether every weight is as the set has it.
    fn is_plain(&self) -> bool {
        self.rank.is_none() && self.wish.slow_start.is_none()
    }

    fn len(&self) -> usize {
        self.set.members.len()
    }

    fn total(&self) -> u64 {
        if self.is_plain() {
            return self.set.sums.last().copied().unwrap_or(0);
        }
        (0..self.len()).map(|at| self.weight(at)).sum()
    }

    /// Whose weight that one lies in, of all weights one after the other; and where that begins.
    fn at(&self, point: u64) -> Option<(usize, u64)> {
        if self.is_plain() {
            let at = self.set.sums.partition_point(|sum| *sum <= point);
            return (at < self.len()).then(|| (at, self.set.sums[at] - self.set.members[at].units * UNIT));
        }
        let mut start = 0;
        for at in 0..self.len() {
            let weight = self.weight(at);
            if point < start + weight {
                return Some((at, start));
            }
            start += weight;
        }
        // Somebody fell ill since the weights were added up.
        self.first_of(0..self.len()).map(|at| (at, 0))
    }

    /// By weight.
    fn any(&self, random: impl Fn() -> u64) -> Option<usize> {
        Some(self.at(below(self.total(), random()))?.0)
    }

    /// Of two units of weight at random, whose endpoint costs less: the average of what its attempts take, as often as it has
    /// attempts in flight for each unit, and this one. Where all weights are the same, these are two endpoints; as long as all are equally quick,
    /// each gets its share by weight. (Mitzenmacher, "The power of two choices in randomized load balancing", 2001.)
    fn less_costly_of_two(&self, random: impl Fn() -> u64) -> Option<usize> {
        let total = self.total();
        let (one, start) = self.at(below(total, random()))?;
        // Not the same unit again.
        let unit = self.weight(one).min(UNIT);
        if total <= unit {
            return Some(one);
        }
        let point = below(total - unit, random());
        let (other, _) = self.at(if point < start { point } else { point + unit })?;
        if one == other {
            return Some(one);
        }
        let cost = |at: usize| {
            let Member { block, units, .. } = &self.set.members[at];
            block.hot.ewma.cost(block.in_flight(), *units, self.wish.now)
        };
        Some(if cost(other) < cost(one) { other } else { one })
    }

    /// Of all, the one with the fewest attempts in flight by weight, this one included; of several, one at random.
    fn least_busy(&self, random: impl Fn() -> u64) -> Option<usize> {
        let start = below(self.len() as u64, random()) as usize;
        let mut best: Option<(usize, u64, u64)> = None;
        for at in (start..self.len()).chain(0..start) {
            let weight = self.weight(at);
            let busy = u64::from(self.set.members[at].block.in_flight()) + 1;
            let is_better = |(_, least, its_weight): (usize, u64, u64)| {
                u128::from(busy) * u128::from(its_weight) < u128::from(least) * u128::from(weight)
            };
            if weight > 0 && best.is_none_or(is_better) {
                best = Some((at, busy, weight));
            }
        }
        best.map(|(at, ..)| at)
    }

    /// One after the other by weight, which is stride scheduling (Waldspurger and Weihl, 1995): everybody has a pass, the lowest
    /// one goes, and is raised by a stride that is the shorter the greater the weight is. Who was away does not catch up.
    fn whose_turn_it_is(&self, turn: &AtomicU64) -> Option<usize> {
        for _ in 0..TURNS {
            let now = turn.load(Acquire);
            let mut best: Option<(usize, u64, u64, u64)> = None;
            for at in 0..self.len() {
                let weight = self.weight(at);
                if weight == 0 {
                    continue;
                }
                let pass = self.set.members[at].block.hot.pass.load(Acquire);
                // How far ahead of the present one, whatever the words have come round to.
                let ahead = pass.wrapping_sub(now).cast_signed().max(0).cast_unsigned();
                if best.is_none_or(|(_, _, least, _)| ahead < least) {
                    best = Some((at, pass, ahead, weight));
                }
            }
            let (at, pass, ahead, weight) = best?;
            let mine = now.wrapping_add(ahead);
            let next = mine.wrapping_add(STRIDE / weight);
            if self.set.members[at].block.hot.pass.compare_exchange(pass, next, AcqRel, Acquire).is_ok() {
                let _ = turn
                    .fetch_update(AcqRel, Acquire, |turn| (mine.wrapping_sub(turn).cast_signed() > 0).then_some(mine));
                return Some(at);
            }
        }
        self.first_of(0..self.len())
    }

    fn first_of(&self, mut order: impl Iterator<Item = usize>) -> Option<usize> {
        order.find(|at| self.weight(*at) > 0)
    }
}
