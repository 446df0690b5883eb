//! What a proxy stands for: the parsed [`Target`], and the [`State`] that every proxy for it in this process shares (C4):
//! counters, the cells of the breaker, the budget and the limits, and the endpoints, with the settings that they obey. State is
//! plain atomics; no lock is taken on the way of a call that succeeds at once.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst},
};
use std::sync::{Arc, OnceLock, Weak};

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use once_cell::sync::Lazy;
use tracing::Level;

use crate::balance::{Changed, Endpoints, mix};
use crate::call::Outcome;
use crate::clock::{self, Nanos};
use crate::event::{Event, Listeners};
use crate::policy::breaker::{self, Change};
use crate::policy::hedge::{self, After};
use crate::policy::{Policy, Shared, budget, bulkhead, latency, rate_limit, told};
use crate::proxy::{AmbassadorProxy, WeakProxy};
use crate::stripes::Striped;
use crate::telemetry::ledger;
use crate::telemetry::lengths::Timings;

/// A host, with a port if there is one, or the URL of one: `payment-api.example.com`, `10.0.0.7:8443`, `[::1]:80`,
/// `https://payment-api.example.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target(Arc<str>);

/// What a target may be, for the message to the one who gave something else.
pub(crate) const ALLOWED: &str = "a host such as payment-api.example.com, with a port if needed, or an http:// or https:// URL of one, without spaces or credentials";

impl Target {
    /// Reads a target; `None` when it is none (C2).
    ///
    /// ```
    /// use ambassador_core::target::Target;
    /// assert!(Target::parse("payment-api.example.com:8443").is_some());
    /// assert!(Target::parse("two words").is_none());
    /// ```
    pub fn parse(text: &str) -> Option<Target> {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let (is_url, rest) = (rest.is_some(), rest.unwrap_or(text));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        // Only a URL may have a path. Credentials and queries would end up in logs (S3).
        if !(is_url || path.is_empty()) || text.contains(['@', '?', '#']) || authority.len() > 300 {
            return None;
        }
        if !path.is_empty() {
            path.parse::<http::uri::PathAndQuery>().ok()?;
        }
        let parsed = authority.parse::<http::uri::Authority>().ok()?;
        let port = authority.strip_prefix(parsed.host())?;
        let port_fits = port.is_empty() || parsed.port_u16().is_some_and(|p| p > 0);
        (port_fits && is_host(parsed.host())).then(|| Target(text.into()))
    }

    /// A text that is no target, as it may be shown: credentials and queries are hidden (S3).
    pub(crate) fn shown(text: &str) -> String {
        let (scheme, rest) = match text.find("://") {
            Some(at) => text.split_at(at + 3),
            None => ("", text),
        };
        let query = rest.find(['?', '#']);
        match (rest.rfind('@'), query) {
            (Some(at), None) => format!("{scheme}***{}", &rest[at..]),
            // Which is which depends on the reader: a password may hold a `?`, a query an `@`.
            (Some(_), Some(_)) => format!("{scheme}***"),
            (None, Some(at)) => format!("{scheme}{}***", &rest[..=at]),
            (None, None) => text.into(),
        }
    }

    /// The target as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it says that TLS is spoken, or that it is not; `None` when it says neither.
    pub fn is_tls(&self) -> Option<bool> {
        if self.0.starts_with("https://") { Some(true) } else { self.0.starts_with("http://").then_some(false) }
    }

    /// The host and the port, if one was given: `payment-api.example.com:8443`, `[::1]`.
    pub fn authority(&self) -> &str {
        let rest = self.0.split_once("://").map_or(&*self.0, |(_, rest)| rest);
        &rest[..rest.find('/').unwrap_or(rest.len())]
    }

    /// The host: a name, or an address without brackets.
    pub fn host(&self) -> &str {
        let authority = self.authority();
        match authority.strip_prefix('[') {
            Some(inner) => inner.split_once(']').map_or(inner, |(host, _)| host),
            None => authority.split_once(':').map_or(authority, |(host, _)| host),
        }
    }

    /// The port, if one was given.
    pub fn port(&self) -> Option<u16> {
        let authority = self.authority();
        let after_host = authority.rfind(']').map_or(authority, |at| &authority[at..]);
        after_host.split_once(':')?.1.parse().ok()
    }

    /// What comes before the path of every request, without a slash at its end: empty, or `/v1/pay`.
    pub fn base_path(&self) -> &str {
        let rest = self.0.split_once("://").map_or(&*self.0, |(_, rest)| rest);
        rest.find('/').map_or("", |at| rest[at..].trim_end_matches('/'))
    }
}

fn is_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[') {
        return inner.strip_suffix(']').is_some_and(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok());
    }
    !host.is_empty()
        && host.len() <= 253
        && host.strip_suffix('.').unwrap_or(host).split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
}

/// How many of something ended each way.
#[derive(Debug, Default)]
struct ByOutcome {
    ok: AtomicU64,
    failure: AtomicU64,
    timeout: AtomicU64,
    cancelled: AtomicU64,
}

impl ByOutcome {
    #[inline]
    fn of(&self, outcome: Outcome) -> &AtomicU64 {
        match outcome {
            Outcome::Ok => &self.ok,
            Outcome::Retry | Outcome::Fail | Outcome::Deferred => &self.failure,
            Outcome::Timeout | Outcome::Overdue => &self.timeout,
            Outcome::Cancelled => &self.cancelled,
        }
    }

    fn counts(&self) -> [u64; 4] {
        [&self.ok, &self.failure, &self.timeout, &self.cancelled].map(|cell| cell.load(Acquire))
    }
}

/// What every call counts, whatever its policies.
#[derive(Debug, Default)]
struct Counts {
    begun: AtomicU64,
    calls: ByOutcome,
    /// Those that ended otherwise than `ok`: one that does ends its call so, and is counted with it.
    attempts: ByOutcome,
}

/// Why a call was refused, or an attempt.
#[derive(Debug, Default)]
pub(crate) struct Rejections {
    pub shutdown: AtomicU64,
    pub rate_limited: AtomicU64,
    pub bulkhead_full: AtomicU64,
    pub circuit_open: AtomicU64,
    pub no_endpoint: AtomicU64,
}

/// Attempts that followed another, by how that one ended.
#[derive(Debug, Default)]
pub(crate) struct Retries {
    pub after_failure: AtomicU64,
    pub after_timeout: AtomicU64,
}

/// Settings of a state, and their number: each that comes into force has the next one.
#[derive(Debug)]
pub(crate) struct Numbered {
    number: u64,
    shared: Shared,
}

/// The settings that hold for a state.
pub(crate) enum InForce<'a> {
    /// They are those of the proxy that asked, as a rule.
    Own(&'a Shared),
    /// Those of another proxy, or whose they are was not asked.
    Newest(Guard<Arc<Numbered>>),
}

impl Deref for InForce<'_> {
    type Target = Shared;

    #[inline]
    fn deref(&self) -> &Shared {
        match self {
            InForce::Own(shared) => shared,
            InForce::Newest(numbered) => &numbered.shared,
        }
    }
}

/// What all proxies of one name share: counters, the cells of their policies, and the source of jitter.
#[derive(Debug)]
pub struct State {
    name: Box<str>,
    /// What the first of its proxies is for.
    target: OnceLock<Target>,
    /// One that tells of its settings; whoever comes when it is gone takes its place.
    proxy: ArcSwapOption<WeakProxy>,
    jitter: AtomicU64,
    counts: Striped<Counts>,
    settings: ArcSwap<Numbered>,
    /// The number of the settings, for who has them already.
    newest: AtomicU64,
    pub(crate) breaker: breaker::Cells,
    pub(crate) budget: budget::Cells,
    pub(crate) bulkhead: bulkhead::Cells,
    pub(crate) rate_limit: rate_limit::Cells,
    pub(crate) races: hedge::Cells,
    pub(crate) endpoints: Endpoints,
    /// How long calls took, of all that were not refused, and attempts (S2).
    pub(crate) timings: Timings,
    /// The same, of attempts that tell how long a hedge should wait; counted from when a proxy first asks for a quantile of it.
    latency: OnceLock<latency::Cells>,
    pub(crate) rejected: AtomicU64,
    pub(crate) fallback: AtomicU64,
    pub(crate) rejections: Rejections,
    pub(crate) retries: Retries,
    pub(crate) hedges: AtomicU64,
    pub(crate) late: AtomicU64,
    pub(crate) internal_errors: AtomicU64,
    pub(crate) listeners: Listeners,
    /// Its requests' connections.
    #[cfg(feature = "http")]
    pub(crate) engine: crate::http::Slot,
}

// Copied and swapped rather than locked: a lock held by another thread at a fork would stay held in the child.
static STATES: Lazy<ArcSwap<HashMap<Box<str>, Weak<State>>>> = Lazy::new(ArcSwap::default);

impl State {
    /// The state of that name: the one in use, which obeys these settings from now on, or a new one.
    pub(crate) fn shared(name: &str, settings: &Shared) -> Arc<State> {
        loop {
            let present = STATES.load();
            if let Some(state) = present.get(name).and_then(Weak::upgrade) {
                state.obey(settings);
                return state;
            }
            let state = Arc::new(State::new(name, settings));
            let mut states: HashMap<Box<str>, Weak<State>> =
                present.iter().filter(|(_, s)| s.strong_count() > 0).map(|(n, s)| (n.clone(), s.clone())).collect();
            states.insert(name.into(), Arc::downgrade(&state));
            let before = STATES.compare_and_swap(&present, Arc::new(states));
            if Arc::ptr_eq(&before, &present) {
                ledger::enter(&state);
                return state;
            }
        }
    }

    /// The state of that name, while it is in use.
    #[cfg(feature = "http")]
    pub(crate) fn named(name: &str) -> Option<Arc<State>> {
        STATES.load().get(name).and_then(Weak::upgrade)
    }

    /// Every state in use, for draining.
    pub(crate) fn all() -> Vec<Arc<State>> {
        STATES.load().values().filter_map(Weak::upgrade).collect()
    }

    pub(crate) fn new(name: &str, settings: &Shared) -> State {
        State {
            name: name.into(),
            target: OnceLock::new(),
            proxy: ArcSwapOption::empty(),
            jitter: AtomicU64::new(random_seed()),
            counts: Striped::default(),
            settings: ArcSwap::from_pointee(Numbered { number: 0, shared: settings.clone() }),
            newest: AtomicU64::new(0),
            breaker: breaker::Cells::default(),
            budget: budget::Cells::default(),
            bulkhead: bulkhead::Cells::default(),
            rate_limit: rate_limit::Cells::default(),
            races: hedge::Cells::default(),
            endpoints: Endpoints::new(settings),
            timings: Timings::default(),
            latency: OnceLock::new(),
            rejected: AtomicU64::new(0),
            fallback: AtomicU64::new(0),
            rejections: Rejections::default(),
            retries: Retries::default(),
            hedges: AtomicU64::new(0),
            late: AtomicU64::new(0),
            internal_errors: AtomicU64::new(0),
            listeners: Listeners::default(),
            #[cfg(feature = "http")]
            engine: crate::http::Slot::default(),
        }
    }

    /// The settings that hold for this state.
    pub(crate) fn settings(&self) -> InForce<'_> {
        InForce::Newest(self.settings.load())
    }

    /// The same, for a proxy that has settings of that [number](State::number_of).
    #[inline]
    pub(crate) fn settings_or<'a>(&'a self, number: u64, own: &'a Shared) -> InForce<'a> {
        if self.newest.load(Acquire) == number { InForce::Own(own) } else { self.settings() }
    }

    /// The number of the settings in force, if they are these; else one that none will have.
    pub(crate) fn number_of(&self, settings: &Shared) -> u64 {
        let present = self.settings.load();
        if present.shared == *settings { present.number } else { u64::MAX }
    }

    /// C4: the newest settings hold, and who is surprised by that is told.
    pub(crate) fn obey(&self, settings: &Shared) {
        if self.settings.load().shared == *settings {
            return;
        }
        let before = self.settings.rcu(|present| Numbered { number: present.number + 1, shared: settings.clone() });
        self.newest.fetch_max(before.number + 1, AcqRel);
        let before = &before.shared;
        let windows = |settings: &Shared| {
            (
                settings.breaker.as_ref().map(|breaker| breaker.window),
                settings.budget.as_ref().map(|budget| budget.window),
            )
        };
        let ((breaker, budget), (other_breaker, other_budget)) = (windows(before), windows(settings));
        if breaker != other_breaker {
            self.breaker.forget_counts();
        }
        if budget != other_budget {
            self.budget.forget_counts();
        }
        if before != settings {
            self.tell(Level::WARN, || {
                let (before, now) = told::differences(before, settings);
                Event::Settings { before, now }
            });
        }
        let changed = self.endpoints.obey(before, settings);
        if changed != Changed::default() {
            self.tell_of_endpoints(changed, None);
        }
    }

    /// Counts from now on how long attempts take, where a policy asks for a quantile of that.
    pub(crate) fn measure_for(&self, policy: &Policy) {
        if policy.hedge.is_some_and(|hedge| matches!(hedge.after, After::Quantile(_))) {
            self.latency.get_or_init(latency::Cells::default);
        }
    }

    /// An attempt took so long, or at least so long.
    pub(crate) fn took(&self, took: Nanos, now: Nanos) {
        if let Some(latency) = self.latency.get() {
            latency.count(took, now);
        }
    }

    /// What that many hundredths of the attempts took at most; `None` while too few are known.
    pub(crate) fn quantile(&self, hundredths: u8, now: Nanos) -> Option<Nanos> {
        self.latency.get()?.quantile(hundredths, now)
    }

    /// Tells an event to whoever listens.
    #[inline]
    pub(crate) fn tell(&self, level: Level, event: impl FnOnce() -> Event) {
        if self.listeners.is_heard(level) {
            self.listeners.tell(&self.name, event());
        }
    }

    /// Tells that the breaker changed its state, if it did.
    #[inline]
    pub(crate) fn changed(&self, change: Option<Change>, now: Nanos) {
        if let Some(change) = change {
            self.tell(Level::ERROR, || Event::Circuit {
                from: change.from.as_str(),
                to: change.to.as_str(),
                open_for: self.breaker.open_for(now),
            });
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A proxy for that target has this state.
    pub(crate) fn stands_for(&self, target: &Target) {
        self.target.get_or_init(|| target.clone());
    }

    /// What the first of its proxies is for.
    pub(crate) fn its_target(&self) -> Option<&Target> {
        self.target.get()
    }

    /// The same, as it was given.
    pub(crate) fn target(&self) -> &str {
        self.its_target().map_or(&self.name, Target::as_str)
    }

    /// Another proxy has this state.
    pub(crate) fn has_proxy(&self, proxy: WeakProxy) {
        if self.proxy().is_none() {
            self.proxy.store(Some(Arc::new(proxy)));
        }
    }

    /// One of its proxies.
    pub(crate) fn proxy(&self) -> Option<AmbassadorProxy> {
        self.proxy.load().as_ref()?.upgrade()
    }

    /// Opens the circuit by hand (B1).
    pub(crate) fn isolate(&self) {
        let at = clock::now();
        self.changed(self.breaker.isolate(at), at);
        self.listeners.hear(&self.name);
    }

    /// Closes the circuit by hand, with an empty window.
    pub(crate) fn reset(&self) {
        let at = clock::now();
        self.changed(self.breaker.reset(at), at);
        self.listeners.hear(&self.name);
    }

    /// Another attempt follows one that ended so.
    pub(crate) fn retry(&self, last: Outcome) {
        let cell = match last {
            Outcome::Timeout | Outcome::Overdue => &self.retries.after_timeout,
            _ => &self.retries.after_failure,
        };
        cell.fetch_add(1, Release);
    }

    /// A call came, whatever becomes of it.
    #[inline]
    pub(crate) fn begin(&self) {
        self.counts.mine().begun.fetch_add(1, SeqCst);
    }

    /// It ended so; or it was [refused](State::reject), or [answered](State::fell_back).
    #[inline]
    pub(crate) fn count_call(&self, outcome: Outcome) {
        self.counts.mine().raise(|counts| counts.calls.of(outcome), 1);
    }

    /// An attempt ended so; one that ended `ok` is counted with its call.
    #[inline]
    pub(crate) fn count_attempt(&self, outcome: Outcome) {
        if outcome != Outcome::Ok {
            self.counts.mine().raise(|counts| counts.attempts.of(outcome), 1);
        }
    }

    /// How many calls ended `ok`, as `failure`, by `timeout`, `cancelled`.
    pub(crate) fn calls(&self) -> [u64; 4] {
        self.by_outcome(|counts| &counts.calls)
    }

    /// How many attempts did.
    pub(crate) fn attempts(&self) -> [u64; 4] {
        let [_, failure, timeout, cancelled] = self.by_outcome(|counts| &counts.attempts);
        let [ok, ..] = self.calls();
        [ok, failure, timeout, cancelled]
    }

    fn by_outcome(&self, of: fn(&Counts) -> &ByOutcome) -> [u64; 4] {
        self.counts.all().fold([0; 4], |sum, counts| {
            let more = of(counts).counts();
            std::array::from_fn(|at| sum[at] + more[at])
        })
    }

    /// It was refused.
    pub(crate) fn reject(&self) {
        self.rejected.fetch_add(1, Release);
    }

    /// Something of the host's answered in place of its error.
    pub(crate) fn fell_back(&self) {
        self.fallback.fetch_add(1, Release);
    }

    /// Calls that have begun and not ended.
    pub(crate) fn in_flight(&self) -> u64 {
        // Ended first: read the other way around, a call that ends between the two reads could make the difference negative. Those
        // that begin and end between the two would make it too large: looked at again, as long as somebody is so quick.
        let mut ended = self.ended();
        for _ in 0..100 {
            let begun = self.begun();
            let ended_since = self.ended();
            if ended_since == ended {
                return begun.saturating_sub(ended);
            }
            ended = ended_since;
        }
        self.begun().saturating_sub(ended)
    }

    fn begun(&self) -> u64 {
        self.counts.sum(|counts| counts.begun.load(SeqCst))
    }

    fn ended(&self) -> u64 {
        self.calls().iter().sum::<u64>() + self.rejected.load(Acquire) + self.fallback.load(Acquire)
    }

    /// F3: in a forked child, the calls in flight are the parent's; and children of one parent must not wait in step (R2).
    pub(crate) fn begin_anew(&self) {
        let ended = self.ended();
        self.counts.all().for_each(|counts| counts.begun.store(0, SeqCst));
        self.counts.mine().begun.store(ended, SeqCst);
        self.bulkhead.begin_anew();
        self.races.begin_anew();
        self.endpoints.begin_anew();
        self.listeners.begin_anew();
        self.jitter.store(random_seed(), Relaxed);
    }

    /// The next number of this target's jitter.
    pub(crate) fn random(&self) -> u64 {
        next_random(&self.jitter)
    }

    pub(crate) fn seed(&self, seed: u64) {
        self.jitter.store(seed, Relaxed);
    }
}

/// What it counted is still told.
impl Drop for State {
    fn drop(&mut self) {
        ledger::leave(self);
    }
}

/// The next random number: SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014), whose state is
/// one counter, so that any thread may draw.
pub(crate) fn next_random(counter: &AtomicU64) -> u64 {
    const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;
    mix(counter.fetch_add(GAMMA, Relaxed).wrapping_add(GAMMA))
}

/// A different start in every process, or clients that start together would retry together.
pub(crate) fn random_seed() -> u64 {
    getrandom::u64().unwrap_or_else(|_| {
        use std::hash::{BuildHasher, RandomState};
        RandomState::new().hash_one(std::process::id())
    })
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn hosts_ports_addresses_and_urls_are_targets() {
        for text in [
            "payment-api.example.com",
            "payment-api.example.com.",
            "payment_api",
            "localhost:8080",
            "10.0.0.7:8443",
            "[::1]",
            "[::1]:80",
            "https://payment-api.example.com",
            "http://127.0.0.1:9000/v1/pay",
        ] {
            assert_eq!(Target::parse(text).as_ref().map(Target::as_str), Some(text));
        }
    }

    #[test]
    fn a_target_tells_its_parts() {
        for (text, tls, authority, host, port, path) in [
            ("payment-api.example.com", None, "payment-api.example.com", "payment-api.example.com", None, ""),
            ("localhost:8080", None, "localhost:8080", "localhost", Some(8080), ""),
            ("[::1]:80", None, "[::1]:80", "::1", Some(80), ""),
            ("[::1]", None, "[::1]", "::1", None, ""),
            ("http://127.0.0.1:9000/v1/pay/", Some(false), "127.0.0.1:9000", "127.0.0.1", Some(9000), "/v1/pay"),
            ("https://[fe80::1]/", Some(true), "[fe80::1]", "fe80::1", None, ""),
        ] {
            let target = Target::parse(text).unwrap();
            assert_eq!(
                (target.is_tls(), target.authority(), target.host(), target.port(), target.base_path()),
                (tls, authority, host, port, path),
                "{text}"
            );
        }
    }

    #[test]
    fn anything_else_is_none() {
        let long = format!("{}.com", "a".repeat(64));
        for text in [
            "",
            " ",
            "two words",
            "host ",
            "host\n",
            "host/path",
            "user:secret@host",
            "https://user@host",
            "host:0",
            "host:65536",
            "host:port",
            "host:",
            "ftp://host",
            "https://",
            "a..b",
            ".a",
            "[::1",
            "[zz]",
            "host#x",
            "höst",
            &long,
        ] {
            assert_eq!(Target::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_target_is_shown_without_its_secrets() {
        for (text, shown) in [
            ("two words", "two words"),
            ("user:secret@host", "***@host"),
            ("https://user:secret@host:8443/pay", "https://***@host:8443/pay"),
            ("https://user:sec@ret@host", "https://***@host"),
            ("https://host/pay?key=secret", "https://host/pay?***"),
            ("https://host/#secret", "https://host/#***"),
            ("https://user:se?cret@host", "https://***"),
            ("https://host/?mail=a@b&key=secret", "https://***"),
        ] {
            assert_eq!(Target::parse(text), None);
            assert_eq!(Target::shown(text), shown);
        }
    }

    fn shared(name: &str) -> Arc<State> {
        State::shared(name, &Shared::default())
    }

    #[test]
    fn state_is_shared_by_name_and_forgotten_with_its_last_user() {
        let one = shared("state-of-one");
        assert!(Arc::ptr_eq(&one, &shared("state-of-one")));
        assert!(!Arc::ptr_eq(&one, &shared("state-of-another")));
        one.retry(Outcome::Retry);
        drop(one);
        assert_eq!(shared("state-of-one").retries.after_failure.load(Relaxed), 0);
    }

    #[test]
    fn a_proxys_own_settings_are_asked_for_no_longer_than_they_hold() {
        let (mine, other) = (Shared::default(), Shared { budget: None, ..Shared::default() });
        let state = State::new("any", &mine);
        let number = state.number_of(&mine);
        let is_own = |number, own| matches!(state.settings_or(number, own), InForce::Own(_));
        assert!(is_own(number, &mine) && !is_own(state.number_of(&other), &other));
        state.obey(&other);
        assert!(!is_own(number, &mine) && *state.settings_or(number, &mine) == other);
        assert!(is_own(state.number_of(&other), &other));
    }

    #[test]
    fn a_forked_child_draws_jitter_of_its_own() {
        let state = State::new("any", &Shared::default());
        let waits = [1, 2].map(|_| {
            state.seed(7);
            state.begin_anew();
            state.random()
        });
        assert_ne!(waits[0], waits[1]);
    }

    #[test]
    fn splitmix64_gives_its_published_numbers() {
        // Reference values of the algorithm for seed 1234567, as other implementations test against.
        let state = State::new("any", &Shared::default());
        state.seed(1_234_567);
        assert_eq!(
            [state.random(), state.random(), state.random()],
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }
}
