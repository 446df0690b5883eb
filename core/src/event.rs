//! What is told of calls: [`Event`]s, to listeners and through `tracing` (target `ambassador`), and the retry line that every
//! language says through its own logging (R7).
//!
//! An event is put into a queue when it happens, and told by the host when no decision is under way and nothing is locked, on
//! the thread that caused it as a rule. A listener that panics changes nothing for the call (F5).

use std::collections::VecDeque;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tracing::Level;

use crate::balance::Place;
use crate::call::{Call, Stop};
use crate::clock::{Nanos, spell};
use crate::runtime;
use crate::target::{State, Target};
use crate::telemetry::{bus, log};

/// How many events wait at most to be told; what comes beyond is dropped, and counted.
const MOST: usize = 10_000;

/// Something that happened to a target.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// S1: an attempt ended.
    Attempt {
        /// Its number.
        attempt: u32,
        /// `ok`, `failure`, `timeout`, `cancelled`.
        outcome: &'static str,
        /// How long it took.
        elapsed: Nanos,
        /// Where it went; `None` where the target itself is the one endpoint, or it had no credentials to go anywhere with.
        endpoint: Option<Target>,
    },
    /// R7: an attempt failed, and another follows after a wait.
    Retry {
        /// The number of the attempt that failed.
        attempt: u32,
        /// The wait.
        wait: Nanos,
    },
    /// H1: another attempt began beside those that run.
    Hedge {
        /// Its number.
        attempt: u32,
        /// How long the one before it had run.
        after: Nanos,
    },
    /// S1: a call ended.
    Call {
        /// How many attempts it made.
        attempts: u32,
        /// `ok`, `failure`, `timeout`, `rejected`, `cancelled`, `fallback`.
        outcome: &'static str,
        /// Why it ended, in words.
        stop: &'static str,
        /// How long it took.
        elapsed: Nanos,
    },
    /// The breaker changed its state.
    Circuit {
        /// From this state …
        from: &'static str,
        /// … to this.
        to: &'static str,
        /// How long it stays open, when it opened.
        open_for: Option<Nanos>,
    },
    /// E3: an endpoint is left out, or back.
    Endpoint {
        /// Which one.
        address: Box<str>,
        /// `ejected` because attempts failed, and `back`; `unhealthy` by its checks, and `healthy`.
        to: &'static str,
        /// How long it is left out, when it is ejected.
        ejected_for: Option<Nanos>,
    },
    /// E4: other endpoints were found, or none could be looked for.
    Endpoints {
        /// Those that came.
        added: Vec<String>,
        /// Those that went.
        removed: Vec<String>,
        /// Why nobody knows whether they are still there; `None` when they are.
        stale: Option<String>,
    },
    /// C4: a proxy asked for other settings of the shared state than those that held; the newest hold.
    Settings {
        /// What held, of what is different now: `breaker.min_calls 100, breaker.window 30s`.
        before: String,
        /// What holds now, as well.
        now: String,
    },
    /// Certificates, keys or tokens that settings name were read or fetched again, or could not be.
    Credentials {
        /// The setting: `auth.bearer_file`, `auth.token_url`, `tls.ca`, `tls.cert`.
        field: &'static str,
        /// Why what it names now cannot be used, so that the last good one stays in use; `None` when what it names now holds.
        why: Option<String>,
    },
    /// F1: the core itself failed; the call went on without it.
    Internal {
        /// Where.
        at: &'static str,
    },
}

impl Event {
    /// The event as a JSON object: its `type`, the `name` of the state it belongs to, and its own fields, lengths of time in
    /// nanoseconds (`elapsed_ns`).
    pub fn to_json(&self, name: &str) -> String {
        let mut json = format!(r#"{{"type":"{}","name":{}"#, self.kind(), quoted(name));
        let _ = match self {
            Event::Attempt { attempt, outcome, elapsed, endpoint } => {
                let endpoint = endpoint.as_ref().map(|at| format!(r#","endpoint":{}"#, quoted(at.as_str())));
                let endpoint = endpoint.unwrap_or_default();
                write!(json, r#","attempt":{attempt},"outcome":"{outcome}","elapsed_ns":{elapsed}{endpoint}"#)
            }
            Event::Retry { attempt, wait } => write!(json, r#","attempt":{attempt},"wait_ns":{wait}"#),
            Event::Hedge { attempt, after } => write!(json, r#","attempt":{attempt},"after_ns":{after}"#),
            Event::Call { attempts, outcome, stop, elapsed } => {
                write!(json, r#","attempts":{attempts},"outcome":"{outcome}","stop":"{stop}","elapsed_ns":{elapsed}"#)
            }
            Event::Circuit { from, to, open_for } => {
                let open_for = open_for.map(|length| format!(r#","open_for_ns":{length}"#)).unwrap_or_default();
                write!(json, r#","from":"{from}","to":"{to}"{open_for}"#)
            }
            Event::Endpoint { address, to, ejected_for } => {
                let ejected_for =
                    ejected_for.map(|length| format!(r#","ejected_for_ns":{length}"#)).unwrap_or_default();
                write!(json, r#","address":{},"to":"{to}"{ejected_for}"#, quoted(address))
            }
            Event::Endpoints { added, removed, stale } => {
                let stale = stale.as_deref().map_or("null".into(), quoted);
                write!(json, r#","added":{},"removed":{},"stale":{stale}"#, list(added), list(removed))
            }
            Event::Settings { before, now } => {
                write!(json, r#","before":{},"now":{}"#, quoted(before), quoted(now))
            }
            Event::Credentials { field, why } => {
                write!(json, r#","field":"{field}","why":{}"#, why.as_deref().map_or("null".into(), quoted))
            }
            Event::Internal { at } => write!(json, r#","at":"{at}""#),
        };
        json + "}"
    }

    /// `attempt`, `retry`, `hedge`, `call`, `circuit`, `endpoint`, `endpoints`, `settings`, `internal`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Event::Attempt { .. } => "attempt",
            Event::Retry { .. } => "retry",
            Event::Hedge { .. } => "hedge",
            Event::Call { .. } => "call",
            Event::Circuit { .. } => "circuit",
            Event::Endpoint { .. } => "endpoint",
            Event::Endpoints { .. } => "endpoints",
            Event::Settings { .. } => "settings",
            Event::Credentials { .. } => "credentials",
            Event::Internal { .. } => "internal",
        }
    }

    /// How much it matters: what opens a circuit, and a fault of the core's own, are errors; what surprises is a warning; what is as
    /// usual is for debugging.
    pub fn level(&self) -> Level {
        match self {
            Event::Circuit { to: "open" | "isolated", .. } | Event::Internal { .. } => Level::ERROR,
            Event::Retry { .. }
            | Event::Endpoint { to: "ejected" | "unhealthy", .. }
            | Event::Endpoints { stale: Some(_), .. }
            | Event::Credentials { why: Some(_), .. }
            | Event::Settings { .. } => Level::WARN,
            Event::Circuit { .. } | Event::Endpoint { .. } | Event::Endpoints { .. } | Event::Credentials { .. } => {
                Level::INFO
            }
            Event::Attempt { .. } | Event::Hedge { .. } | Event::Call { .. } => Level::DEBUG,
        }
    }

    /// The event in one line of text, with the `name` of the state that it belongs to:
    /// `payment-api.example.com: the circuit is open for 5s; it was closed`.
    pub fn message(&self, name: &str) -> String {
        let text = match self {
            Event::Attempt { attempt, outcome, elapsed, endpoint } => {
                let at = endpoint.as_ref().map(|at| format!(" at {}", at.as_str())).unwrap_or_default();
                format!("attempt {attempt}{at} ended as {outcome} after {}", spell(*elapsed))
            }
            Event::Retry { attempt, wait } => {
                format!("attempt {attempt} failed; the next one follows after {}", spell(*wait))
            }
            Event::Hedge { attempt, after } => {
                format!("attempt {attempt} began beside the one before it, which has run for {}", spell(*after))
            }
            Event::Call { attempts, outcome, stop, elapsed } => {
                let plural = if *attempts == 1 { "" } else { "s" };
                format!("a call ended as {outcome} after {attempts} attempt{plural} in {}: {stop}", spell(*elapsed))
            }
            Event::Circuit { from, to, open_for } => {
                let length = open_for.map(|length| format!(" for {}", spell(length))).unwrap_or_default();
                format!("the circuit is {to}{length}; it was {from}")
            }
            Event::Endpoint { address, to: "ejected", ejected_for } => {
                let length = ejected_for.map(|length| format!(" for {}", spell(length))).unwrap_or_default();
                format!("the endpoint {address} is ejected{length}: its attempts fail")
            }
            Event::Endpoint { address, to: to @ "unhealthy", .. } => {
                format!("the endpoint {address} is {to}: its checks fail")
            }
            Event::Endpoint { address, to, .. } => format!("the endpoint {address} is {to}"),
            Event::Endpoints { stale: Some(why), .. } => {
                format!("endpoints cannot be looked for, and the last ones stay: {why}")
            }
            Event::Endpoints { added, removed, .. } => match (&added[..], &removed[..]) {
                ([], []) => "endpoints are found again".into(),
                (added, []) => format!("endpoints came: {}", added.join(", ")),
                ([], removed) => format!("endpoints went: {}", removed.join(", ")),
                (added, removed) => format!("endpoints came: {}; went: {}", added.join(", "), removed.join(", ")),
            },
            Event::Settings { before, now } => {
                format!(
                    "two proxies want different settings of what they share; the newest hold: {now}, where {before} held"
                )
            }
            Event::Credentials { field, why: Some(why) } => {
                format!("`{field}` has changed, and cannot be used; the last good one stays in use: {why}")
            }
            Event::Credentials { field, why: None } => format!("`{field}` was read again, and holds from now on"),
            Event::Internal { at } => format!("the ambassador itself failed at {at}; the call goes on without it"),
        };
        format!("{name}: {text}").replace(char::is_control, " ")
    }

    /// Through `tracing`: what opens a circuit is an error, what surprises is a warning, what is as usual is for debugging.
    fn trace(&self, name: &str) {
        match self {
            Event::Attempt { attempt, outcome, elapsed, endpoint } => {
                let endpoint = endpoint.as_ref().map(Target::as_str);
                tracing::debug!(target: "ambassador", name, attempt, outcome, elapsed_ns = elapsed, endpoint, "attempt ended");
            }
            // The line itself is told, at the level of a warning, where the error's text is known.
            Event::Retry { .. } => {}
            Event::Hedge { attempt, after } => {
                tracing::debug!(target: "ambassador", name, attempt, after_ns = after, "another attempt began beside those that run");
            }
            Event::Call { attempts, outcome, stop, elapsed } => {
                tracing::debug!(target: "ambassador", name, attempts, outcome, stop, elapsed_ns = elapsed, "call ended");
            }
            Event::Circuit { from, to: to @ ("open" | "isolated"), .. } => {
                tracing::error!(target: "ambassador", name, from, to, "the circuit is {to}");
            }
            Event::Circuit { from, to, .. } => {
                tracing::info!(target: "ambassador", name, from, to, "the circuit is {to}");
            }
            Event::Endpoint { address, to: to @ "ejected", ejected_for } => {
                tracing::warn!(target: "ambassador", name, endpoint = &**address, ejected_for_ns = ejected_for, "the endpoint is {to}");
            }
            Event::Endpoint { address, to: to @ "unhealthy", .. } => {
                tracing::warn!(target: "ambassador", name, endpoint = &**address, "the endpoint is {to}");
            }
            Event::Endpoint { address, to, .. } => {
                tracing::info!(target: "ambassador", name, endpoint = &**address, "the endpoint is {to}");
            }
            Event::Endpoints { stale: Some(why), .. } => {
                tracing::warn!(target: "ambassador", name, why, "endpoints cannot be looked for; the last ones stay");
            }
            Event::Endpoints { added, removed, .. } => {
                tracing::info!(target: "ambassador", name, added = list(added), removed = list(removed), "endpoints came or went");
            }
            Event::Settings { before, now } => {
                tracing::warn!(target: "ambassador", name, before, now, "two proxies want different settings of one target's state; the newest hold");
            }
            Event::Credentials { field, why: Some(why) } => {
                tracing::warn!(target: "ambassador", name, field, why, "`{field}` has changed, and cannot be used; the last good one stays in use");
            }
            Event::Credentials { field, why: None } => {
                tracing::info!(target: "ambassador", name, field, "`{field}` was read again, and holds from now on");
            }
            Event::Internal { at } => {
                tracing::error!(target: "ambassador", name, at, "internal fault; the call goes on without the ambassador");
            }
        }
    }
}

/// A JSON array of texts.
pub(crate) fn list(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", texts.join(","))
}

/// JSON text.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(letter);
            }
            control if control.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// Receives events. Called on any thread, also by two at once, with nothing locked.
pub type Listener = Arc<dyn Fn(&str, &Event) + Send + Sync>;

/// Somebody keeps events: a listener of Rust's, or a host that fetches them.
const KEEPS: u8 = 1;
/// Something waits that is not of every call: for the host's logging, or its listeners.
const PENDING: u8 = 2;

/// Who listens to a target's events, and what they have not heard yet.
#[derive(Default)]
pub(crate) struct Listeners {
    /// [`KEEPS`] and [`PENDING`]: one look for who has nothing to tell.
    flags: AtomicU8,
    listeners: ArcSwap<Vec<Listener>>,
    // Not on the way of a call to which nobody listens. Swapped whole in a forked child.
    queue: ArcSwap<Mutex<VecDeque<Event>>>,
    dropped: AtomicU64,
}

impl std::fmt::Debug for Listeners {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} listeners", self.listeners.load().len())
    }
}

impl Listeners {
    /// Whether events of that level are worth making.
    #[inline]
    pub fn is_heard(&self, level: Level) -> bool {
        self.has(KEEPS)
            || bus::is_heard()
            || log::is_on(level.into())
            || tracing::level_filters::LevelFilter::current() >= level
    }

    /// Whether there may be something to tell.
    #[inline]
    pub fn keeps(&self) -> bool {
        self.flags.load(Relaxed) != 0
    }

    #[inline]
    fn has(&self, flag: u8) -> bool {
        self.flags.load(Relaxed) & flag != 0
    }

    /// From now on events are kept until somebody fetches them.
    pub fn keep(&self) {
        self.flags.fetch_or(KEEPS, Relaxed);
    }

    pub fn add(&self, listener: Listener) {
        self.listeners.rcu(|present| present.iter().cloned().chain([Arc::clone(&listener)]).collect::<Vec<_>>());
        self.keep();
    }

    pub fn tell(&self, name: &str, event: Event) {
        shielded(|| event.trace(name));
        if bus::is_heard() {
            bus::tell(name, &event);
        }
        let is_logged = log::admits(&event);
        if !is_logged && !self.has(KEEPS) {
            return;
        }
        let is_pending = is_logged || (event.level() <= Level::INFO && !matches!(event, Event::Retry { .. }));
        {
            let shared = self.queue.load();
            let mut queue = lock(&shared);
            if queue.len() == MOST {
                self.dropped.fetch_add(1, Relaxed);
                return;
            }
            queue.push_back(event);
            if is_pending {
                self.flags.fetch_or(PENDING, Relaxed);
            }
        }
        if is_pending && runtime::is_own_thread() {
            log::wake();
        }
    }

    /// What has not been told, and is the caller's to tell.
    pub fn fetch(&self) -> Vec<Event> {
        if !self.keeps() {
            return Vec::new();
        }
        let shared = self.queue.load();
        let mut queue = lock(&shared);
        self.flags.fetch_and(!PENDING, Relaxed);
        queue.drain(..).collect()
    }

    /// Tells the listeners of Rust's, and whoever logs for a host without logging of its own.
    #[inline]
    pub fn hear(&self, name: &str) {
        if self.keeps() {
            self.hear_all(name);
        }
    }

    #[cold]
    fn hear_all(&self, name: &str) {
        let (listeners, sink) = (self.listeners.load_full(), log::sink());
        if listeners.is_empty() && sink.is_none() {
            return;
        }
        for event in self.fetch() {
            for listener in listeners.iter() {
                shielded(|| listener(name, &event));
            }
            if let (Some(sink), Some(record)) = (&sink, log::record(name, &event)) {
                shielded(|| sink(&record));
            }
        }
    }

    /// How many events were dropped because nobody fetched them.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// F3: what the parent has not told is the parent's.
    pub fn begin_anew(&self) {
        self.queue.store(Arc::default());
        self.flags.fetch_and(!PENDING, Relaxed);
    }
}

/// What has happened to any target, is not of every call, and was told to nobody yet: names, and what happened to each. For a host that
/// was [woken](log::on_background).
pub fn pending() -> Vec<(String, Vec<Event>)> {
    let states = State::all().into_iter().filter(|state| state.listeners.has(PENDING));
    states.map(|state| (state.name().to_owned(), state.listeners.fetch())).collect()
}

fn lock(queue: &Mutex<VecDeque<Event>>) -> MutexGuard<'_, VecDeque<Event>> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// R7: `[Ambassador] Retry 1 after 1.37s: Payment API unreachable`.
pub(crate) fn retry(state: &State, call: &Call, wait: Nanos, error: &str) -> String {
    let line = format!("[Ambassador] Retry {} after {}: {error}", call.ended(), spell(wait));
    shielded(|| {
        tracing::warn!(target: "ambassador", name = state.name(), attempt = call.ended(), wait_ns = wait, "{line}");
    });
    log::retry(state.name(), &Event::Retry { attempt: call.ended(), wait }, &line);
    line
}

/// What a setting of the proxies of that name names was read or fetched again, or could not be.
#[cfg(feature = "http")]
pub(crate) fn credentials(name: &str, field: &'static str, why: Option<String>) {
    let event = Event::Credentials { field, why };
    match State::named(name) {
        Some(state) => state.tell(event.level(), || event),
        // Of no proxy.
        None => event.trace(name),
    }
}

/// S1: an attempt ended.
#[inline]
pub(crate) fn attempt_ended(state: &State, attempt: u32, outcome: &'static str, elapsed: Nanos, place: Place) {
    state.tell(Level::DEBUG, || {
        let endpoint = state.endpoints.with(place, |member| member.endpoint.address().clone());
        Event::Attempt { attempt, outcome, elapsed, endpoint }
    });
}

/// S1: a call ended.
#[inline]
pub(crate) fn call_ended(state: &State, call: &Call, outcome: &'static str, stop: Stop, now: Nanos) {
    state.tell(Level::DEBUG, || Event::Call {
        attempts: call.attempt(),
        outcome,
        stop: stop.as_str(),
        elapsed: call.elapsed(now),
    });
}

/// F5: what a listener throws ends here.
pub(crate) fn shielded(tell: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(tell));
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_json_whatever_the_name_holds() {
        let event = Event::Circuit { from: "closed", to: "open", open_for: Some(5_000_000_000) };
        assert_eq!(
            event.to_json("a \"name\"\n"),
            r#"{"type":"circuit","name":"a \"name\"\u000a","from":"closed","to":"open","open_for_ns":5000000000}"#
        );
    }

    #[test]
    fn an_event_is_one_line_of_text_whatever_it_holds() {
        let event = Event::Endpoints { added: vec![], removed: vec![], stale: Some("no such\nfile".into()) };
        assert_eq!(
            event.message("a\rname"),
            "a name: endpoints cannot be looked for, and the last ones stay: no such file"
        );
        let event = Event::Circuit { from: "half_open", to: "open", open_for: Some(10_000_000_000) };
        assert_eq!(event.message("api"), "api: the circuit is open for 10s; it was half_open");
        let event = Event::Call { attempts: 1, outcome: "ok", stop: "succeeded", elapsed: 5_000_000 };
        assert_eq!(event.message("api"), "api: a call ended as ok after 1 attempt in 5ms: succeeded");
    }

    #[test]
    fn what_opens_a_circuit_is_an_error_and_what_closes_it_is_none() {
        let level = |to| Event::Circuit { from: "closed", to, open_for: None }.level();
        assert_eq!(
            ["open", "isolated", "half_open", "closed"].map(level),
            [Level::ERROR, Level::ERROR, Level::INFO, Level::INFO]
        );
        let level = |to| Event::Endpoint { address: "a".into(), to, ejected_for: None }.level();
        assert_eq!(
            ["ejected", "unhealthy", "back", "healthy"].map(level),
            [Level::WARN, Level::WARN, Level::INFO, Level::INFO]
        );
    }

    #[test]
    fn what_nobody_fetches_is_bounded() {
        let listeners = Listeners::default();
        listeners.keep();
        for _ in 0..MOST + 7 {
            listeners.tell("x", Event::Internal { at: "begin" });
        }
        assert_eq!((listeners.fetch().len(), listeners.dropped()), (MOST, 7));
        assert!(listeners.fetch().is_empty());
    }
}
