//! Who was charged, and how often it was asked for. Kept by idempotency key: the first time charges, every later one
//! gives the same charge again. A new key for the same order is a second charge: the mistake that the demo looks for.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

/// All charges since the start. Shared by every connection.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    in_order: Vec<Entry>,
    by_key: HashMap<String, usize>,
    charges: u32,
}

/// What the ledger knows of one idempotency key.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// The idempotency key.
    pub key: String,
    /// The order to be paid.
    pub order: String,
    /// The amount, in the currency's main unit.
    pub amount: f64,
    /// How often a charge was asked for under this key.
    pub asked: u32,
    /// Which of those times charged; none if none did.
    pub charged_at: Option<u32>,
    /// The charge, if there is one.
    pub charge: Option<String>,
}

/// The charge that a request gets, now made or given again.
#[derive(Clone, Debug, PartialEq)]
pub struct Charged {
    /// Its entry.
    pub entry: Entry,
    /// Whether an earlier request had made it.
    pub again: bool,
}

/// The key was used before, for another order or amount.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyTaken {
    /// The order it was used for.
    pub order: String,
    /// The amount it was used for.
    pub amount: f64,
}

/// What became of the orders of one client.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Count {
    /// Distinct orders charged.
    pub charged: u32,
    /// Orders with more than one charge.
    pub charged_twice: Vec<String>,
    /// Requests in all.
    pub asked: u32,
}

impl Ledger {
    /// Notes that a charge was asked for, whatever becomes of it.
    ///
    /// # Errors
    /// [`KeyTaken`] when the key stands for another order or amount.
    pub fn ask(&self, key: &str, order: &str, amount: f64) -> Result<(), KeyTaken> {
        let mut entries = self.entries();
        if let Some(&at) = entries.by_key.get(key) {
            let entry = &mut entries.in_order[at];
            if entry.order != order || entry.amount != amount {
                return Err(KeyTaken { order: entry.order.clone(), amount: entry.amount });
            }
            entry.asked += 1;
            return Ok(());
        }
        let at = entries.in_order.len();
        entries.by_key.insert(key.into(), at);
        entries.in_order.push(Entry {
            key: key.into(),
            order: order.into(),
            amount,
            asked: 1,
            charged_at: None,
            charge: None,
        });
        Ok(())
    }

    /// Charges under a key that was asked for, or gives the charge that was made under it. `None` for a key never asked for.
    pub fn charge(&self, key: &str) -> Option<Charged> {
        let mut entries = self.entries();
        let at = *entries.by_key.get(key)?;
        let again = entries.in_order[at].charge.is_some();
        if !again {
            entries.charges += 1;
            let charge = format!("ch_{:06}", entries.charges);
            let entry = &mut entries.in_order[at];
            entry.charged_at = Some(entry.asked);
            entry.charge = Some(charge);
        }
        Some(Charged { entry: entries.in_order[at].clone(), again })
    }

    /// Every key that was charged, in the order in which they were first asked for.
    pub fn charges(&self) -> Vec<Entry> {
        self.entries().in_order.iter().filter(|entry| entry.charge.is_some()).cloned().collect()
    }

    /// Every key that was asked for and not charged.
    pub fn not_charged(&self) -> Vec<Entry> {
        self.entries().in_order.iter().filter(|entry| entry.charge.is_none()).cloned().collect()
    }

    /// What became of the orders whose names begin with `prefix` and a dash.
    pub fn count(&self, prefix: &str) -> Count {
        let mut count = Count::default();
        let mut charges_of: HashMap<String, u32> = HashMap::new();
        for entry in &self.entries().in_order {
            if entry.order.strip_prefix(prefix).is_none_or(|rest| !rest.starts_with('-')) {
                continue;
            }
            count.asked += entry.asked;
            if entry.charge.is_some() {
                *charges_of.entry(entry.order.clone()).or_default() += 1;
            }
        }
        count.charged = charges_of.len() as u32;
        count.charged_twice =
            charges_of.into_iter().filter(|(_, charges)| *charges > 1).map(|(order, _)| order).collect();
        count.charged_twice.sort();
        count
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_key_is_charged_once_however_often_it_is_asked_for() {
        let ledger = Ledger::default();
        ledger.ask("k", "c-1", 9.99).unwrap();
        assert_eq!(ledger.not_charged().len(), 1, "asked for, and not charged yet");
        ledger.ask("k", "c-1", 9.99).unwrap();
        let first = ledger.charge("k").unwrap();
        ledger.ask("k", "c-1", 9.99).unwrap();
        let second = ledger.charge("k").unwrap();

        assert!(!first.again && second.again);
        assert_eq!(first.entry.charge, second.entry.charge);
        assert_eq!((second.entry.asked, second.entry.charged_at), (3, Some(2)));
        assert_eq!(ledger.charges().len(), 1);
        assert_eq!(ledger.not_charged(), []);
    }

    #[test]
    fn a_key_stands_for_one_order_and_amount() {
        let ledger = Ledger::default();
        ledger.ask("k", "c-1", 9.99).unwrap();
        let taken = KeyTaken { order: "c-1".into(), amount: 9.99 };
        assert_eq!(ledger.ask("k", "c-2", 9.99), Err(taken.clone()));
        assert_eq!(ledger.ask("k", "c-1", 10.0), Err(taken));
        assert_eq!(ledger.not_charged()[0].asked, 1, "a refused request does not count");
    }

    #[test]
    fn a_key_never_asked_for_cannot_be_charged() {
        assert_eq!(Ledger::default().charge("k"), None);
    }

    #[test]
    fn an_order_under_two_keys_is_charged_twice_and_counted_so() {
        let ledger = Ledger::default();
        for (key, order) in [("1", "c-1"), ("2", "c-1"), ("3", "c-2"), ("4", "cpp-1"), ("5", "cat")] {
            ledger.ask(key, order, 1.0).unwrap();
            ledger.charge(key).unwrap();
        }
        ledger.ask("6", "c-3", 1.0).unwrap();
        assert_eq!(ledger.count("c"), Count { charged: 2, charged_twice: vec!["c-1".into()], asked: 4 });
        assert_eq!(ledger.count("cpp"), Count { charged: 1, charged_twice: vec![], asked: 1 });
    }
}
