//! What is to come, in its order; at the same instant, in the order in which it was set. Most timers are the bounds of attempts,
//! and those mostly come in order already: they need but a queue. The rest is kept by epochs of some milliseconds, and only the present
//! epoch in a heap, so that a heap stays small however much is to come.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use ambassador_core::clock::{NEVER, Nanos};

/// Things that come due.
#[derive(Debug)]
pub struct Timers<T> {
    in_order: VecDeque<Entry<T>>,
    /// What is due by the end of the epoch. Empty only when there is nothing beyond, either.
    heap: BinaryHeap<Reverse<Entry<T>>>,
    epoch: u64,
    beyond: BTreeMap<u64, Vec<Reverse<Entry<T>>>>,
    set: u64,
}

/// 2^24 ns: 17 ms.
const EPOCH_BITS: u32 = 24;

#[derive(Clone, Copy, Debug)]
struct Entry<T> {
    at: Nanos,
    number: u64,
    what: T,
}

impl<T> Default for Timers<T> {
    fn default() -> Timers<T> {
        Timers { in_order: VecDeque::new(), heap: BinaryHeap::new(), epoch: 0, beyond: BTreeMap::new(), set: 0 }
    }
}

impl<T> Timers<T> {
    /// Comes due at that instant.
    pub fn set(&mut self, at: Nanos, what: T) {
        self.set += 1;
        let entry = Reverse(Entry { at, number: self.set, what });
        let epoch = at >> EPOCH_BITS;
        if self.heap.is_empty() {
            self.epoch = epoch;
        }
        match epoch <= self.epoch {
            true => self.heap.push(entry),
            false => self.beyond.entry(epoch).or_default().push(entry),
        }
    }

    /// [`set`](Timers::set), for what is mostly set in the order of its instants.
    pub fn set_in_order(&mut self, at: Nanos, what: T) {
        if self.in_order.back().is_some_and(|last| last.at > at) {
            return self.set(at, what);
        }
        self.set += 1;
        self.in_order.push_back(Entry { at, number: self.set, what });
    }

    /// When the next is due, [`NEVER`] when there is none.
    pub fn next(&self) -> Nanos {
        let of_queue = self.in_order.front().map_or(NEVER, |entry| entry.at);
        self.heap.peek().map_or(of_queue, |Reverse(entry)| entry.at.min(of_queue))
    }

    /// Takes the next.
    pub fn take(&mut self) -> Option<T> {
        let is_in_heap = match (self.in_order.front(), self.heap.peek()) {
            (Some(queued), Some(Reverse(heaped))) => heaped < queued,
            (None, heaped) => heaped.is_some(),
            (Some(_), None) => false,
        };
        if !is_in_heap {
            return self.in_order.pop_front().map(|entry| entry.what);
        }
        let taken = self.heap.pop();
        if self.heap.is_empty()
            && let Some((epoch, entries)) = self.beyond.pop_first()
        {
            self.epoch = epoch;
            self.heap = entries.into();
        }
        taken.map(|Reverse(entry)| entry.what)
    }

    /// Forgets them all.
    pub fn clear(&mut self) {
        self.in_order.clear();
        self.heap.clear();
        self.beyond.clear();
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Entry<T>) -> bool {
        self.number == other.number
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Entry<T>) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Entry<T>) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_come_due_in_order_however_they_were_set() {
        let mut timers = Timers::default();
        for (at, in_order) in [(5, true), (3, true), (4, false), (7, true), (5, false), (6, true), (3, false)] {
            let set = timers.set + 1;
            if in_order { timers.set_in_order(at, (at, set)) } else { timers.set(at, (at, set)) }
        }
        let mut came = Vec::new();
        while timers.next() != NEVER {
            came.push(timers.take().unwrap());
        }
        assert_eq!(came, [(3, 2), (3, 7), (4, 3), (5, 1), (5, 5), (6, 6), (7, 4)]);
        assert_eq!(timers.take(), None);
    }

    #[test]
    fn epochs_make_no_difference() {
        let (mut timers, mut expected) = (Timers::default(), Vec::new());
        for number in 0..1000_u64 {
            let at = (number * 7919 % 1000) << (EPOCH_BITS - 3);
            timers.set(at, (at, number));
            expected.push((at, number));
            // What is set while others come due.
            if number % 3 == 0 {
                let first = *expected.iter().min().unwrap();
                assert_eq!(timers.next(), first.0);
                assert_eq!(timers.take(), Some(first));
                expected.retain(|entry| *entry != first);
            }
        }
        expected.sort();
        assert_eq!(std::iter::from_fn(|| timers.take()).collect::<Vec<_>>(), expected);
    }
}
