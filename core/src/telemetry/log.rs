//! Which events go to the host's own logging, and how they get there. One level holds for the process; an event up to it waits with
//! its state until the host fetches it, right after the decision that it came of, or is told by whom a [`wake`](on_background)
//! reaches. A host without logging of its own, such as a C program, has a [`Sink`] instead. A call that succeeds at once pays for
//! none of this, unless the level is [`Debug`](Level::Debug).
//!
//! Rust's own logging is `tracing`, which is told where an event happens (`event.rs`) and obeys its subscriber alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use arc_swap::ArcSwapOption;
use once_cell::sync::Lazy;

use crate::event::{Event, shielded};

/// The variable of the environment by which an operator says what is logged, whatever the language: `off`, `error`, `warn`, `info` or
/// `debug`.
pub const VARIABLE: &str = "AMBASSADOR_LOG";

/// How much is logged: what matters that much, or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Nothing.
    Off,
    /// A circuit is open; the ambassador itself has failed.
    Error,
    /// An attempt is tried again, an endpoint left out, and whatever else surprises.
    Warn,
    /// What is well again.
    Info,
    /// Each attempt and each call.
    Debug,
}

impl Level {
    /// All, from the quietest.
    pub const ALL: [Level; 5] = [Level::Off, Level::Error, Level::Warn, Level::Info, Level::Debug];

    /// `off`, `error`, `warn`, `info`, `debug`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Level::Off => "off",
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
        }
    }

    /// The level of that name, in letters of any case; `warning` is one too.
    pub fn parse(name: &str) -> Option<Level> {
        let name = name.trim().to_ascii_lowercase();
        let name = if name == "warning" { "warn" } else { &*name };
        Level::ALL.into_iter().find(|level| level.as_str() == name)
    }

    /// The level of that number, `0` for `off`.
    pub fn from_number(number: u8) -> Option<Level> {
        Level::ALL.get(usize::from(number)).copied()
    }
}

impl From<tracing::Level> for Level {
    fn from(level: tracing::Level) -> Level {
        match level {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warn,
            tracing::Level::INFO => Level::Info,
            _ => Level::Debug,
        }
    }
}

/// What is logged, as a number; nothing until a host asks for it.
static LEVEL: AtomicU8 = AtomicU8::new(Level::Off as u8);
static OPERATORS: Lazy<Option<Level>> = Lazy::new(|| std::env::var(VARIABLE).ok().and_then(|name| Level::parse(&name)));

/// What the operator asks for by the [variable](VARIABLE), or, where it is not set or names no level, by `telemetry.log` of the configuration in
/// force; `None` where neither says anything.
pub fn operators() -> Option<Level> {
    OPERATORS.or_else(|| Level::from_number(CONFIGURED.load(Relaxed)))
}

/// What the configuration in force asks for: the number of a level, or none.
static CONFIGURED: AtomicU8 = AtomicU8::new(u8::MAX);

/// The configuration in force asks for so much.
#[cfg(feature = "http")]
pub(super) fn configured(level: Level) {
    CONFIGURED.store(level as u8, Relaxed);
    if OPERATORS.is_none() {
        LEVEL.store(level as u8, Relaxed);
    }
}

/// A host begins to log: at the operator's level, or at this one where the operator has none.
pub fn begin(default: Level) {
    LEVEL.store(operators().unwrap_or(default) as u8, Relaxed);
}

/// From now on so much is logged; never more than the operator asks for.
pub fn set_level(level: Level) {
    LEVEL.store(operators().map_or(level, |most| level.min(most)) as u8, Relaxed);
}

/// How much is logged.
pub fn level() -> Level {
    Level::from_number(LEVEL.load(Relaxed)).unwrap_or(Level::Off)
}

/// Whether something of that level is logged.
#[inline]
pub fn is_on(level: Level) -> bool {
    LEVEL.load(Relaxed) >= level as u8
}

/// Something that is logged.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    /// How much it matters.
    pub level: Level,
    /// One line: `[Ambassador] payment-api.example.com: the circuit is open for 5s; it was closed`.
    pub line: String,
    /// The name of the state that it belongs to.
    pub name: &'a str,
    /// What happened.
    pub event: &'a Event,
}

/// What is to be logged of an event; `None` where its level is off. A retry is none: its line is said where the error's text is
/// known (R7).
pub fn record<'a>(name: &'a str, event: &'a Event) -> Option<Record<'a>> {
    admits(event).then(|| Record {
        level: event.level().into(),
        line: format!("[Ambassador] {}", event.message(name)),
        name,
        event,
    })
}

/// The same for hosts to which only numbers go: the level's number and the line, or 0 and no line.
pub fn numbered(name: &str, event: &Event) -> (u8, String) {
    record(name, event).map_or((0, String::new()), |said| (said.level as u8, said.line))
}

pub(crate) fn admits(event: &Event) -> bool {
    is_on(event.level().into()) && !matches!(event, Event::Retry { .. })
}

/// Receives what is logged. Called on any thread, also by two at once, with nothing locked; what it panics with ends there (F5).
pub type Sink = Arc<dyn Fn(&Record<'_>) + Send + Sync>;

static SINK: Lazy<ArcSwapOption<Sink>> = Lazy::new(ArcSwapOption::empty);

/// Gives whatever is logged to this sink from now on, on the thread that caused it, a runtime's perhaps; or to none. For a host that
/// fetches no events.
pub fn set_sink(sink: Option<Sink>) {
    SINK.store(sink.map(Arc::new));
}

pub(crate) fn sink() -> Option<Sink> {
    SINK.load().as_deref().cloned()
}

/// R7: the line of a retry.
pub(crate) fn retry(name: &str, event: &Event, line: &str) {
    if !is_on(Level::Warn) {
        return;
    }
    if let Some(sink) = sink() {
        let record = Record { level: Level::Warn, line: line.into(), name, event };
        shielded(|| sink(&record));
    }
}

type Wake = Box<dyn Fn() + Send + Sync>;

static WAKE: Lazy<ArcSwapOption<Wake>> = Lazy::new(ArcSwapOption::empty);

/// Calls `wake` when something has happened on a thread of the runtime, where no decision of the host's is followed by a look at what
/// has: by then [`pending`](crate::event::pending) has it. It is called in the midst of things, and shall do no more than to wake.
pub fn on_background(wake: impl Fn() + Send + Sync + 'static) {
    WAKE.store(Some(Arc::new(Box::new(wake))));
}

#[cold]
pub(crate) fn wake() {
    if let Some(wake) = &*WAKE.load() {
        shielded(|| wake());
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn levels_have_names_and_numbers() {
        for level in Level::ALL {
            assert_eq!((Level::parse(level.as_str()), Level::from_number(level as u8)), (Some(level), Some(level)));
        }
        assert_eq!(Level::parse(" WARNING "), Some(Level::Warn));
        assert_eq!((Level::parse("loud"), Level::from_number(5)), (None, None));
        assert!(Level::Off < Level::Error && Level::Error < Level::Debug);
    }
}
