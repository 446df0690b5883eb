//! How many of a simulation's breakers are in which state. Heard through `tracing`, as any app hears it: to ask each of ten
//! thousand clients for its health every second would take longer than the simulation.

use std::cell::Cell;
use std::fmt::Debug;

use ambassador_core::Circuit;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

thread_local! {
    /// By the position of [`Circuit::ALL`].
    static COUNTS: Cell<[u32; 4]> = const { Cell::new([0; 4]) };
}

/// Runs a simulation of that many clients, whose breakers are closed at first.
pub fn counted<T>(clients: u32, run: impl FnOnce() -> T) -> T {
    COUNTS.set([clients, 0, 0, 0]);
    tracing::subscriber::with_default(Listener, run)
}

/// How many are in that state now.
pub fn count(circuit: Circuit) -> u32 {
    COUNTS.get()[circuit as usize]
}

struct Listener;

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "ambassador" && *metadata.level() <= LevelFilter::INFO
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::INFO)
    }

    fn event(&self, event: &Event<'_>) {
        let mut change = Change::default();
        event.record(&mut change);
        if let (Some(from), Some(to)) = (change.from, change.to) {
            let mut counts = COUNTS.get();
            counts[from as usize] -= 1;
            counts[to as usize] += 1;
            COUNTS.set(counts);
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Change {
    from: Option<Circuit>,
    to: Option<Circuit>,
}

impl Visit for Change {
    fn record_str(&mut self, field: &Field, value: &str) {
        let circuit = Circuit::ALL.into_iter().find(|circuit| circuit.as_str() == value);
        match field.name() {
            "from" => self.from = circuit,
            "to" => self.to = circuit,
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}
