//! What is told through `tracing` during a test, by whatever part of the program.

use std::fmt;
use std::sync::{Mutex, Once};

/// What is told through `tracing` in which that name stands, as text.
pub struct Told {
    pub name: &'static str,
}

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

impl Told {
    pub fn of(name: &'static str) -> Told {
        // One for the whole process: those of threads see little of what other threads' have called for the first time.
        static LISTENING: Once = Once::new();
        LISTENING.call_once(|| tracing::subscriber::set_global_default(Lines).unwrap());
        Told { name }
    }

    pub fn take(&self) -> Vec<String> {
        LINES.lock().unwrap().extract_if(.., |line| line.contains(self.name)).collect()
    }
}

struct Lines;

impl tracing::Subscriber for Lines {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn event(&self, event: &tracing::Event<'_>) {
        struct Text(String);
        impl tracing::field::Visit for Text {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
                self.0 += &format!(" {field}={value:?}");
            }
        }
        let mut text = Text(format!("{} {}", event.metadata().level(), event.metadata().target()));
        event.record(&mut text);
        LINES.lock().unwrap().push(text.0);
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}
