//! The ambassador for one target: its policy, the state it shares with every proxy of the same name (C4), and the protocol
//! by which any host drives a call: [`begin`](AmbassadorProxy::begin), [`settle`](AmbassadorProxy::settle),
//! [`resume`](AmbassadorProxy::resume). Each is guarded, so a fault of the core never costs a call (F1).
//!
//! ```
//! use ambassador_core::{AmbassadorProxy, Code, clock};
//! use ambassador_core::call::{Decision, Give, Outcome, Stop};
//! use ambassador_core::proxy::Begin;
//!
//! let proxy = AmbassadorProxy::new("payment-api.example.com")?;
//! let Begin::Run(mut call) = proxy.begin(clock::now()) else { unreachable!() };
//! // … the host runs the user's function …
//! let decision = proxy.settle(&mut call, clock::now(), Outcome::Ok, None);
//! assert_eq!(decision, Decision::Finish(Give::Value, Stop::Ok));
//! # Ok::<_, ambassador_core::ConfigError>(())
//! ```

mod builder;
mod settled;

use std::fmt::Write;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::Duration;

use tracing::Level;

use crate::call::{self, Call, Decision, Flat, Give, Outcome, Rules, Stop};
use crate::clock::{self, NEVER, Nanos, push_spelled, spell};
use crate::endpoint::Endpoint;
use crate::error::{Code, ConfigError, Error};
use crate::event::{self, Event};
use crate::fault::{self, Point};
use crate::policy::bulkhead::Limit;
use crate::policy::{Policy, Shared};
use crate::runtime;
use crate::settings::{self, Effective, Places, Settings, Spelling};
use crate::target::{InForce, State, Target};
use crate::telemetry::trace::{self, Context};
use crate::telemetry::{Totals, health, spans};
use crate::testing;

pub use builder::Builder;
pub use settled::PolicyInUse;
use settled::{Cell, Drawn, InUse, Settled};

/// The ambassador for one target. Cheap to clone; clones and other proxies of the same name share their state.
#[derive(Clone, Debug)]
pub struct AmbassadorProxy(Arc<Inner>);

/// A proxy, as long as somebody has it.
#[derive(Clone, Debug)]
pub(crate) struct WeakProxy(Weak<Inner>);

impl WeakProxy {
    pub fn upgrade(&self) -> Option<AmbassadorProxy> {
        self.0.upgrade().map(AmbassadorProxy)
    }
}

#[derive(Debug)]
struct Inner {
    target: Target,
    /// The settings that the app made it of.
    draft: Settings,
    /// What they came to.
    settled: Cell,
    state: Arc<State>,
    /// The target as an endpoint.
    itself: Endpoint,
    /// Its requests are the ambassador's own: they have no spans, and a shutdown lets them through.
    is_exporter: bool,
}

/// What says of its requests who sends them; clones share it, and the tokens that it has.
#[cfg(feature = "http")]
type Authorization = Option<Arc<crate::http::auth::Authorizer>>;
#[cfg(not(feature = "http"))]
type Authorization = Option<std::convert::Infallible>;

/// How a call begins.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub enum Begin {
    /// Run the first attempt.
    Run(Call),
    /// Wait until that instant, never less, then [`resume`](AmbassadorProxy::resume): for a turn (L2), a place (L1) or the first
    /// endpoints (E4). The latter two may come earlier; [`wake_at_turn`](AmbassadorProxy::wake_at_turn) tells.
    Wait(Call, Nanos),
    /// Run nothing; the caller gets this error. The call has ended, unless something else may answer (H2).
    Refuse(Call, Code),
    /// The core failed (F1): run the function once, hand back whatever comes, and settle nothing.
    Direct,
}

impl AmbassadorProxy {
    /// A proxy with every setting at its default: 3 attempts of at most 2 s, exponential backoff from 2 s with full jitter.
    ///
    /// # Errors
    /// [`ConfigError`] when the target is no host.
    pub fn new(target: &str) -> Result<AmbassadorProxy, ConfigError> {
        AmbassadorProxy::builder(target).build()
    }

    /// A proxy with settings of your own.
    ///
    /// ```
    /// use std::time::Duration;
    /// use ambassador_core::{AmbassadorProxy, Backoff};
    ///
    /// let proxy = AmbassadorProxy::builder("payment-api.example.com")
    ///     .max_retries(5)
    ///     .timeout(Duration::from_millis(500))
    ///     .backoff(Backoff::exponential(Duration::from_millis(50)))
    ///     .build()?;
    /// # Ok::<_, ambassador_core::ConfigError>(())
    /// ```
    pub fn builder(target: &str) -> Builder {
        Builder { target: target.into(), edits: Vec::new() }
    }

    /// A proxy of settings that were checked one by one.
    ///
    /// # Errors
    /// [`ConfigError`] when a group was begun and the setting is missing that it cannot do without.
    pub fn from_settings(settings: Settings) -> Result<AmbassadorProxy, ConfigError> {
        let Drawn { settings: drawn, places, authorization } = Drawn::of(&settings)?;
        crate::telemetry::begin();
        let state = State::shared(settings.state_name(), &drawn.policy.shared);
        let proxy = AmbassadorProxy::of(settings, drawn.policy, places, state, authorization);
        proxy.state().has_proxy(WeakProxy(Arc::downgrade(&proxy.0)));
        // C4: that other settings hold from now on is told at once.
        proxy.hear();
        Ok(proxy)
    }

    fn of(
        draft: Settings,
        policy: Policy,
        places: Places,
        state: Arc<State>,
        authorization: Authorization,
    ) -> AmbassadorProxy {
        state.stands_for(&draft.target);
        let settled = Cell::new(Settled::new(policy, places, &state, authorization));
        let itself = Endpoint::at(draft.target.clone());
        AmbassadorProxy(Arc::new(Inner {
            target: draft.target.clone(),
            draft,
            settled,
            state,
            itself,
            is_exporter: false,
        }))
    }

    /// A proxy as that configuration makes it of settings, whatever is in force, with a state of its own.
    #[cfg(feature = "http")]
    pub(crate) fn configured(draft: Settings, config: &crate::config::Config) -> Result<AmbassadorProxy, ConfigError> {
        let mut settings = draft.clone();
        let places = settings.obey(config);
        // What it would be made of is not read: certificates lie where the app runs.
        let policy = settings.finish()?.policy;
        let state = Arc::new(State::new(draft.state_name(), &policy.shared));
        Ok(AmbassadorProxy::of(draft, policy, places, state, None))
    }

    /// The configuration has changed: from now on this proxy obeys it as it is, over what the app made it of (C3).
    ///
    /// # Errors
    /// [`ConfigError`] when the two do not go together; everything then stays as it was (F2).
    pub fn renew(&self) -> Result<(), ConfigError> {
        let Drawn { settings, places, authorization } = Drawn::of(&self.0.draft)?;
        let policy = Policy { fallback: self.policy().fallback, ..settings.policy };
        self.state().obey(&policy.shared);
        self.0.settled.put(Settled::new(policy, places, self.state(), authorization));
        self.hear();
        Ok(())
    }

    /// The same proxy, whose errors something of the host's answers (H2).
    pub(crate) fn with_fallback(&self) -> AmbassadorProxy {
        let (Inner { draft, state, .. }, settled) = (&*self.0, self.settled());
        let Settled { policy, places, authorization, .. } = &*settled;
        let policy = Policy { fallback: true, ..policy.clone() };
        AmbassadorProxy::of(draft.clone(), policy, places.clone(), Arc::clone(state), authorization.clone())
    }

    /// The same proxy with other bounds, for one request.
    #[cfg(feature = "http")]
    pub(crate) fn within(&self, bounds: crate::http::Bounds) -> Arc<AmbassadorProxy> {
        let (Inner { draft, state, .. }, settled) = (&*self.0, self.settled());
        let Settled { policy, places, authorization, bounded, .. } = &*settled;
        let timeout = bounds.timeout.unwrap_or(policy.timeout);
        let deadline = bounds.deadline.unwrap_or(policy.deadline);
        let is_it = |last: &Arc<AmbassadorProxy>| {
            let policy = last.policy();
            (policy.timeout, policy.deadline) == (timeout, deadline)
        };
        if let Some(last) = bounded.load_full().filter(is_it) {
            return last;
        }
        let policy = Policy { timeout, deadline, ..policy.clone() };
        let (draft, places, state) = (draft.clone(), places.clone(), Arc::clone(state));
        let same = Arc::new(AmbassadorProxy::of(draft, policy, places, state, authorization.clone()));
        bounded.store(Some(Arc::clone(&same)));
        same
    }

    /// The same proxy with a state of its own, that nobody shares whatever the names: for simulations, in which one process
    /// stands for many.
    pub fn alone(&self) -> AmbassadorProxy {
        let settled = self.settled();
        let Settled { policy, places, authorization, .. } = &*settled;
        let state = Arc::new(State::new(self.name(), &policy.shared));
        AmbassadorProxy::of(self.0.draft.clone(), policy.clone(), places.clone(), state, authorization.clone())
    }

    /// The target, as it was given.
    pub fn target(&self) -> &str {
        self.0.target.as_str()
    }

    /// Where the present attempt of the call goes, of several the newest: without endpoints, to the target itself.
    pub fn endpoint_of(&self, call: &Call) -> Endpoint {
        self.chosen_endpoint(call).unwrap_or_else(|| self.0.itself.clone())
    }

    /// The target, where it is an endpoint itself.
    #[cfg(feature = "http")]
    pub(crate) fn itself(&self) -> Endpoint {
        self.0.itself.clone()
    }

    /// The endpoint that was chosen for the present attempt of the call, of several the newest; `None` where the target itself is
    /// the one endpoint.
    pub fn chosen_endpoint(&self, call: &Call) -> Option<Endpoint> {
        self.state().endpoints.at(call.place())
    }

    /// The same, of the attempt of that number, while it runs.
    pub fn chosen_endpoint_of(&self, call: &Call, number: u32) -> Option<Endpoint> {
        self.state().endpoints.at(call.place_of(self.state(), number))
    }

    /// Whether attempts go to endpoints that are chosen, and not all to the target itself.
    pub fn has_endpoints(&self) -> bool {
        self.state().endpoints.is_on()
    }

    /// How many endpoints there are now; one where the target itself is that.
    pub fn endpoint_count(&self) -> usize {
        if self.has_endpoints() { self.state().endpoints.set().members.len() } else { 1 }
    }

    /// These are the endpoints of the target from now on, for all its proxies: for code that finds them in ways of its own. None
    /// is obeyed as well: calls are refused then, until there are others.
    ///
    /// ```
    /// use ambassador_core::{AmbassadorProxy, Endpoint};
    ///
    /// let proxy = AmbassadorProxy::builder("payment-api.example.com").name("fed by hand").build()?;
    /// proxy.set_endpoints(["10.0.0.7:8443", "10.0.0.8:8443"].iter().filter_map(|address| Endpoint::new(address)).collect());
    /// # Ok::<_, ambassador_core::ConfigError>(())
    /// ```
    pub fn set_endpoints(&self, endpoints: Vec<Endpoint>) {
        self.state().set_endpoints(&self.settings(&self.settled()), endpoints);
    }

    /// The name that state is shared by: the target, unless one was set.
    pub fn name(&self) -> &str {
        self.0.state.name()
    }

    /// This proxy's own settings: what it was made with, and what a configuration file says over that.
    pub fn policy(&self) -> PolicyInUse<'_> {
        PolicyInUse(self.settled())
    }

    /// The settings in force: this proxy's own, and of what it shares with others of its name, those of the newest (C4).
    pub fn policy_in_force(&self) -> Policy {
        Policy { shared: Shared::clone(&self.state().settings()), ..self.policy().clone() }
    }

    /// Every setting in force (C3) in the order of the table, spelled as that language does, with where its value comes from. What
    /// only a host can hold is not among them; what is secret is `***` (S3).
    ///
    /// ```
    /// use ambassador_core::AmbassadorProxy;
    /// use ambassador_core::settings::{Origin, Spelling, Value};
    ///
    /// let proxy = AmbassadorProxy::builder("payment-api.example.com").max_retries(5).build()?;
    /// let settings = proxy.effective_policy(Spelling::File);
    /// assert_eq!((settings[0].field.as_str(), &settings[0].value), ("max_retries", &Value::Int(5)));
    /// assert_eq!((&settings[0].origin, &settings[2].origin), (&Origin::Constructor, &Origin::Default));
    /// # Ok::<_, ambassador_core::ConfigError>(())
    /// ```
    pub fn effective_policy(&self, spelling: Spelling) -> Vec<Effective> {
        let names = (self.name(), self.target());
        let settled = self.settled();
        settings::effective(spelling, names, &settled.policy, &self.policy_in_force(), &settled.places)
    }

    /// [`effective_policy`](AmbassadorProxy::effective_policy) as a JSON array of objects of `field`, `value` and `origin`, spelled
    /// as that language does; durations are numbers of its unit.
    pub fn effective_policy_json(&self, spelling: Spelling) -> String {
        settings::to_json(&self.effective_policy(spelling))
    }

    /// The same as the configuration file spells it, and so byte for byte the same in all languages: durations are texts such as
    /// `2s`.
    ///
    /// ```
    /// use ambassador_core::AmbassadorProxy;
    ///
    /// let json = AmbassadorProxy::new("payment-api.example.com")?.policy_json();
    /// assert!(json.contains(r#"{"field":"timeout","value":"2s","origin":"default"}"#));
    /// # Ok::<_, ambassador_core::ConfigError>(())
    /// ```
    pub fn policy_json(&self) -> String {
        self.effective_policy_json(Spelling::File)
    }

    /// A call begins (O1), and with it its deadline's clock.
    #[inline]
    pub fn begin(&self, now: Nanos) -> Begin {
        self.begin_call(Call::coming(now), now)
    }

    /// [`begin`](AmbassadorProxy::begin), with a key: where endpoints are chosen by one, that of the same key is chosen again (E1).
    pub fn begin_keyed(&self, now: Nanos, key: &[u8]) -> Begin {
        self.begin_call(Call::coming(now).keyed(key), now)
    }

    #[inline]
    fn begin_call(&self, mut call: Call, now: Nanos) -> Begin {
        match self.enter(&mut call, now) {
            Some(Decision::Run | Decision::Await) => Begin::Run(call),
            Some(Decision::WaitUntil(at)) => Begin::Wait(call, at),
            Some(Decision::Finish(Give::Error(code), _)) => Begin::Refuse(call, code),
            Some(Decision::Finish(..)) => Begin::Refuse(call, Code::Internal),
            None => Begin::Direct,
        }
    }

    /// [`begin`](AmbassadorProxy::begin) for a call that lies where it will stay, as it [comes](Call::coming): to move it costs as
    /// much as two of its decisions. `None` is [`Begin::Direct`]; a refusal is a `Finish`.
    ///
    /// ```
    /// use ambassador_core::{AmbassadorProxy, clock};
    /// use ambassador_core::call::{Call, Decision, Outcome};
    ///
    /// let proxy = AmbassadorProxy::new("payment-api.example.com")?;
    /// let now = clock::now();
    /// let mut call = Call::coming(now);
    /// assert_eq!(proxy.enter(&mut call, now), Some(Decision::Run));
    /// // … the host runs the user's function …
    /// let _ = proxy.settle(&mut call, clock::now(), Outcome::Ok, None);
    /// # Ok::<_, ambassador_core::ConfigError>(())
    /// ```
    #[inline]
    pub fn enter(&self, call: &mut Call, now: Nanos) -> Option<Decision> {
        let decision = fault::guard(Point::Begin, || {
            // Counted first, then looked; a drain shuts the door first, then counts. One of the two sees the other.
            self.state().begin();
            let settled = self.settled();
            let shared = self.settings(&settled);
            let rules = self.rules(&settled, &shared);
            self.0.state.look_after_endpoints(&self.0.target);
            if spans::duties() != 0 {
                self.begin_span(call);
            }
            let is_late = runtime::is_shut_down() && !self.0.is_exporter;
            Flat::of(if is_late { call.turn_away(rules, now) } else { call.enter(rules, now) })
        });
        let decision = decision.map(Flat::decision);
        match decision {
            Some(Decision::Finish(..)) => self.call_ended(),
            Some(_) => {}
            None => {
                self.fault("begin");
                self.hear();
            }
        }
        decision
    }

    /// P6: the call has a span, below the host's present one; unless it has one already.
    #[cold]
    fn begin_span(&self, call: &mut Call) {
        if self.0.is_exporter {
            return;
        }
        #[cfg(feature = "otlp")]
        crate::telemetry::otlp::start();
        if call.span().is_none() && spans::duties() & spans::SPANS != 0 {
            call.set_span(spans::begin(call.entered(), trace::current(), None));
        }
    }

    /// The running attempt ended. `hint` is the wait that the server or the function asked for (R3). Said when no attempt
    /// runs, it changes nothing of a call that has ended, and ends one that waits, cancelled.
    #[inline]
    pub fn settle(&self, call: &mut Call, now: Nanos, outcome: Outcome, hint: Option<Nanos>) -> Decision {
        if !call.is_running() {
            return self.out_of_turn(call, now);
        }
        self.settle_running(call, call.attempt(), now, outcome, |call, rules| match rules.policy.hedge {
            None => call.settle(rules, now, outcome, hint),
            Some(_) => call.settle_hedged(rules, call.attempt(), now, outcome, hint),
        })
    }

    /// [`settle`](AmbassadorProxy::settle), for a call of which several attempts may run at once (H1): the one of that number
    /// ended. [`Decision::Await`]: the call goes on, for others of its attempts still run. Said of an attempt that was recorded
    /// before, it changes nothing.
    pub fn settle_attempt(
        &self,
        call: &mut Call,
        number: u32,
        now: Nanos,
        outcome: Outcome,
        hint: Option<Nanos>,
    ) -> Decision {
        if !call.is_running() {
            return if call.has_ended() { Call::OVER } else { Decision::Await };
        }
        self.settle_running(call, number, now, outcome, |call, rules| {
            call.settle_hedged(rules, number, now, outcome, hint)
        })
    }

    /// The attempt of that number, which has ended, never went anywhere: how it ended moves neither the breaker nor an endpoint. To be
    /// said before it is settled.
    pub(crate) fn acquit(&self, call: &mut Call, number: u32) {
        if fault::guard(Point::Settle, || call.acquit(self.state(), number)).is_none() {
            self.fault("settle");
        }
    }

    #[inline]
    fn settle_running(
        &self,
        call: &mut Call,
        number: u32,
        now: Nanos,
        outcome: Outcome,
        settle: impl FnOnce(&mut Call, Rules<'_>) -> Decision,
    ) -> Decision {
        let settled = self.settled();
        let shared = self.settings(&settled);
        let rules = self.rules(&settled, &shared);
        let decided = fault::guard(Point::Settle, || Flat::of(settle(call, rules)));
        let decision = match decided {
            Some(flat) => flat.decision(),
            None => {
                self.fault("settle");
                call.give_up(rules, now, number, outcome)
            }
        };
        self.decided(decision);
        decision
    }

    /// H1: whether another attempt begins now, beside the one that runs. To be asked when an attempt begins, and again when the
    /// answer says so, for as long as attempts run. In virtual time, the end of the attempt tells.
    pub fn hedge(&self, call: &mut Call, now: Nanos) -> call::Hedge {
        let settled = self.settled();
        if settled.policy.hedge.is_none() || !call.is_running() || testing::instant().is_some() {
            return call::Hedge::Never;
        }
        let shared = self.settings(&settled);
        let rules = self.rules(&settled, &shared);
        let decided = fault::guard(Point::Hedge, || call.hedge(rules, now));
        if decided.is_none() {
            self.fault("hedge");
        }
        self.hear();
        decided.unwrap_or(call::Hedge::Never)
    }

    /// The wait is over, or the host woke early and is told to go on waiting. Said when the call does not wait, it changes
    /// nothing of one that has ended, and ends one that runs, cancelled.
    pub fn resume(&self, call: &mut Call, now: Nanos) -> Decision {
        if !call.is_waiting() {
            return self.out_of_turn(call, now);
        }
        let settled = self.settled();
        let shared = self.settings(&settled);
        let rules = self.rules(&settled, &shared);
        let decided = fault::guard(Point::Resume, || call.resume(rules, now));
        let decision = match decided {
            Some(decision) => decision,
            None => {
                self.fault("resume");
                call.give_up(rules, now, call.ended(), call.last())
            }
        };
        self.decided(decision);
        decision
    }

    /// Wakes `waker` when the call, which waits for a place in the bulkhead or for the first endpoints, may be
    /// [resumed](AmbassadorProxy::resume); at once when it may already, or when it waits for neither. The end of its wait is the
    /// host's to watch.
    pub fn wake_at_turn(&self, call: &Call, waker: Waker) {
        match (call.queue_number(), call.seeking_number()) {
            (Some(number), _) => self.state().bulkhead.wake_at_turn(number, waker),
            (_, Some(number)) => self.state().endpoints.wake_when_known(number, waker),
            _ => waker.wake(),
        }
    }

    /// Whether the call waits for a place in the bulkhead (L1), or for the first endpoints (E4): for what may come before its wait
    /// is over.
    pub fn is_queued(&self, call: &Call) -> bool {
        call.queue_number().or(call.seeking_number()).is_some()
    }

    /// H2: after a decision that left the call [answering](Call::is_answering), what was to answer in place of its error has done
    /// so, or has failed too. Does nothing to any other call.
    pub fn answered(&self, call: &mut Call, now: Nanos, well: bool) {
        let settled = self.settled();
        let shared = self.settings(&settled);
        call.answered(self.rules(&settled, &shared), now, well);
        self.call_ended();
    }

    /// A host lost count of its call: better ended than in flight for ever.
    #[cold]
    fn out_of_turn(&self, call: &mut Call, now: Nanos) -> Decision {
        self.cancel(call, now);
        Call::OVER
    }

    /// The caller went away: the call ends cancelled, wherever it stands (O3). Does nothing to a call that has ended.
    pub fn cancel(&self, call: &mut Call, now: Nanos) {
        self.cut_short(call, now, Stop::Cancelled);
    }

    /// [`cancel`](AmbassadorProxy::cancel), for that reason.
    pub(crate) fn cut_short(&self, call: &mut Call, now: Nanos, stop: Stop) {
        if call.has_ended() {
            return;
        }
        let settled = self.settled();
        let shared = self.settings(&settled);
        call.cancel(self.rules(&settled, &shared), now, stop);
        self.call_ended();
    }

    /// Opens the circuit by hand: every attempt is refused until [`reset`](AmbassadorProxy::reset) (B1).
    pub fn isolate(&self) {
        self.state().isolate();
    }

    /// Closes the circuit by hand, with an empty window.
    pub fn reset(&self) {
        self.state().reset();
    }

    /// Tells `listener` of every event of this target from now on: after a decision, on the thread that made it as a rule, with
    /// nothing locked. One that panics changes nothing (F5). Listeners stay for as long as the target's state.
    ///
    /// ```
    /// use std::sync::{Arc, Mutex};
    /// use ambassador_core::{AmbassadorProxy, event::Event};
    ///
    /// let proxy = AmbassadorProxy::builder("payment-api.example.com").name("isolated by hand").build()?;
    /// let changes = Arc::new(Mutex::new(Vec::new()));
    /// let kept = Arc::clone(&changes);
    /// proxy.on_event(move |_, event| {
    ///     if let Event::Circuit { to, .. } = event {
    ///         kept.lock().unwrap().push(*to);
    ///     }
    /// });
    /// proxy.isolate();
    /// assert_eq!(*changes.lock().unwrap(), ["isolated"]);
    /// # Ok::<_, ambassador_core::ConfigError>(())
    /// ```
    pub fn on_event(&self, listener: impl Fn(&str, &Event) + Send + Sync + 'static) {
        self.state().listeners.add(Arc::new(listener));
    }

    /// For a host whose listeners are its own language's: from now on events are kept until
    /// [`fetch_events`](AmbassadorProxy::fetch_events).
    pub fn keep_events(&self) {
        self.state().listeners.keep();
    }

    /// Whether anybody keeps or hears this target's events, through whatever proxy: whether there is anything to fetch.
    #[inline]
    pub fn keeps_events(&self) -> bool {
        self.state().listeners.keeps()
    }

    /// What has happened to this target and was told to nobody yet, in its order.
    pub fn fetch_events(&self) -> Vec<Event> {
        self.state().listeners.fetch()
    }

    #[inline]
    fn hear(&self) {
        self.state().listeners.hear(self.name());
    }

    #[inline]
    fn decided(&self, decision: Decision) {
        self.hear();
        if matches!(decision, Decision::Finish(..)) {
            runtime::call_ended();
        }
    }

    #[inline]
    fn call_ended(&self) {
        self.hear();
        runtime::call_ended();
    }

    /// This proxy's own settings, and what follows from them.
    #[inline]
    fn settled(&self) -> InUse<'_> {
        self.0.settled.get()
    }

    /// The settings that hold for the state: as a rule this proxy's own.
    #[inline]
    fn settings<'a>(&'a self, settled: &'a Settled) -> InForce<'a> {
        self.state().settings_or(settled.number, &settled.policy.shared)
    }

    #[inline]
    fn rules<'a>(&'a self, settled: &'a Settled, shared: &'a Shared) -> Rules<'a> {
        Rules { policy: &settled.policy, shared, state: &self.0.state }
    }

    /// T3: a result came after its attempt had been given up, and was dropped.
    pub fn note_late(&self) {
        self.state().late.fetch_add(1, Relaxed);
    }

    /// O3: work outlives its bound from now on …
    pub fn note_abandoned(&self) {
        self.state().bulkhead.abandon();
    }

    /// … and has ended.
    pub fn note_abandoned_ended(&self) {
        let limit = Limit::of(self.settings(&self.settled()).bulkhead.as_ref());
        self.state().bulkhead.abandoned_ended(limit);
    }

    /// R7: the line that tells of a retry, for the host's own logging; also an event through `tracing`. `wait` is what is left
    /// until the instant of [`Decision::WaitUntil`].
    pub fn retry_line(&self, call: &Call, wait: Nanos, error: &str) -> String {
        event::retry(self.state(), call, wait, error)
    }

    /// What an error of that code says: what happened, to which target, and what to do.
    pub fn error_message(&self, code: Code, call: Option<&Call>, now: Nanos) -> String {
        // Made where a call is refused, which has to be quick: one text, and little that is formatted.
        let mut text = self.message_begun();
        let policy = self.policy();
        match (code, call, policy.timeout, policy.deadline) {
            (Code::Timeout, Some(call), Some(timeout), _) => {
                let _ = write!(text, "attempt {} of {} did not end within ", call.ended(), policy.max_retries);
                push_spelled(&mut text, timeout);
            }
            (Code::Deadline, Some(_), _, Some(deadline)) => {
                text.push_str("the call did not end within its deadline of ");
                push_spelled(&mut text, deadline);
            }
            (Code::Shutdown, Some(call), ..) if call.attempt() > 0 => {
                text.push_str("the ambassador was shut down before the call ended");
            }
            _ => text.push_str(code.summary()),
        }
        end_message(&mut text, code, call, now);
        text
    }

    /// What the [message](AmbassadorProxy::error_message) of a call that was refused before its first attempt says besides its code:
    /// two of which this is the same have the same text, and a host that has it need not make it again. `None` for other calls, of
    /// which there is more to say.
    pub fn refusal_text(&self, call: &Call) -> Option<(u64, &'static str)> {
        let is_refused = call.is_rejected() && call.attempt() == 0;
        is_refused.then(|| call.retry_after().map_or((0, ""), clock::hundredths))
    }

    fn message_begun(&self) -> String {
        let mut text = String::with_capacity(192);
        text.push_str(self.target());
        text.push_str(": ");
        text
    }

    /// The error of that code, which says more of what happened than the code does.
    #[cfg(feature = "http")]
    pub(crate) fn error_saying(&self, code: Code, what: &str, call: Option<&Call>, now: Nanos) -> Error {
        let mut message = self.message_begun();
        message.push_str(what);
        end_message(&mut message, code, call, now);
        Error { message, ..self.error(code, call, now) }
    }

    /// Its requests' connections.
    #[cfg(feature = "http")]
    pub(crate) fn engine(&self) -> Arc<crate::http::Engine> {
        self.state().engine.engine(&self.settings(&self.settled()), self.name())
    }

    /// What says of its requests who sends them.
    #[cfg(feature = "http")]
    pub(crate) fn authorizer(&self) -> Authorization {
        self.settled().authorization.clone()
    }

    #[cfg(feature = "http")]
    pub(crate) fn common(&self) -> Arc<crate::http::Common> {
        let settled = self.settled();
        let new = || Arc::new(crate::http::Common::new(&self.0.target, &settled.policy));
        Arc::clone(settled.common.get_or_init(new))
    }

    #[cfg(feature = "http")]
    pub(crate) fn parsed_target(&self) -> &Target {
        &self.0.target
    }

    /// What a trace is known by that begins here (P6).
    #[cfg(feature = "http")]
    pub(crate) fn random_trace(&self) -> u128 {
        u128::from(self.state().random()) << 64 | u128::from(self.state().random())
    }

    /// Whether its requests are the ambassador's own.
    #[cfg(feature = "http")]
    pub(crate) fn is_exporter(&self) -> bool {
        self.0.is_exporter
    }

    /// Whether its calls have spans.
    #[cfg(feature = "http")]
    pub(crate) fn has_spans(&self) -> bool {
        !self.0.is_exporter && spans::duties() & spans::SPANS != 0
    }

    /// The same proxy, for the ambassador's own requests: nobody sees them, and a shutdown lets them through.
    #[cfg(feature = "otlp")]
    pub(crate) fn for_exports(&self) -> AmbassadorProxy {
        let mut proxy = self.alone();
        if let Some(inner) = Arc::get_mut(&mut proxy.0) {
            inner.is_exporter = true;
        }
        proxy
    }

    /// The error of that code, for Rust callers.
    pub(crate) fn error(&self, code: Code, call: Option<&Call>, now: Nanos) -> Error {
        Error {
            code,
            target: self.target().into(),
            attempts: call.map_or(0, Call::attempt),
            attempt: call.map_or(0, Call::ended),
            elapsed: Duration::from_nanos(call.map_or(0, |call| call.elapsed(now))),
            retry_after: call.and_then(Call::retry_after).map(Duration::from_nanos),
            message: self.error_message(code, call, now),
        }
    }

    /// A4: what is noted on the app's own error: `[Ambassador] payment-api.example.com: 3 attempts in 6.01s, retries exhausted`.
    pub fn end_note(&self, call: &Call, now: Nanos, stop: Stop) -> String {
        format!("[Ambassador] {}: {}, {}", self.target(), taken(call, now), stop.as_str())
    }

    /// What an attempt may send along: `idempotency-key`, the same for all attempts of a call; `traceparent` (P6) of the call's span
    /// while spans are exported, else of the host's present one, else of a trace that begins here; `tracestate`, where that has one; `x-ambassador-attempt`; and, when bounded, `x-ambassador-remaining-ms`.
    pub fn headers(&self, call: &Call, id: CallId, now: Nanos) -> Vec<(&'static str, String)> {
        let context = call.span().context().or_else(trace::current);
        let context = context.unwrap_or_else(|| Context::begun(id.0, call.attempt()));
        let mut headers = vec![
            ("idempotency-key", id.to_string()),
            (trace::TRACEPARENT, context.traceparent()),
            ("x-ambassador-attempt", call.attempt().to_string()),
        ];
        if let Some(state) = context.tracestate() {
            headers.push((trace::TRACESTATE, state.into()));
        }
        if call.bound() != NEVER {
            headers.push(("x-ambassador-remaining-ms", (call.bound().saturating_sub(now) / 1_000_000).to_string()));
        }
        headers
    }

    /// The health of this target, as JSON; the same in all languages.
    pub fn health(&self) -> String {
        self.health_at(clock::now())
    }

    /// [`health`](AmbassadorProxy::health), at that instant of the clock that calls are driven by.
    pub fn health_at(&self, now: Nanos) -> String {
        health(self.state(), self.target(), &Totals::of(self.state()), now)
    }

    /// For tests: from now on this target's jitter is that of the seed. The same seed gives the same waits in every language.
    pub fn seed_jitter(&self, seed: u64) {
        self.state().seed(seed);
    }

    #[cfg(all(test, not(feature = "loom")))]
    pub(crate) fn endpoints(&self) -> &crate::balance::Endpoints {
        &self.state().endpoints
    }

    #[inline]
    fn state(&self) -> &State {
        &self.0.state
    }

    #[cold]
    fn fault(&self, at: &'static str) {
        self.state().internal_errors.fetch_add(1, Relaxed);
        self.state().tell(Level::ERROR, || Event::Internal { at });
    }
}

/// What ends every message: how long the call took, when it may come again, what to do.
fn end_message(text: &mut String, code: Code, call: Option<&Call>, now: Nanos) {
    if let Some(call) = call.filter(|call| call.attempt() > 0) {
        let _ = write!(text, " ({})", taken(call, now));
    }
    if let Some(after) = call.and_then(Call::retry_after) {
        text.push_str(" (again in ");
        push_spelled(text, after);
        text.push(')');
    }
    text.push_str("; ");
    text.push_str(code.advice());
}

/// `3 attempts in 6.01s`.
fn taken(call: &Call, now: Nanos) -> String {
    let plural = if call.attempt() == 1 { "" } else { "s" };
    format!("{} attempt{plural} in {}", call.attempt(), spell(call.elapsed(now)))
}

/// What marks all attempts of one call as the same call: 128 random bits, spelled as a version 4 UUID (RFC 9562).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallId(u128);

impl CallId {
    /// A new one.
    pub fn random() -> CallId {
        let mut bytes = [0; 16];
        if getrandom::fill(&mut bytes).is_err() {
            // No entropy is no reason to lose the call: the clock and the process tell calls apart almost as well.
            let seed = (crate::clock::now() as u128) << 64 | (std::process::id() as u128);
            bytes = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835).to_be_bytes();
        }
        CallId::from_bits(u128::from_be_bytes(bytes))
    }

    /// The id of these bits; version and variant are set as RFC 9562 asks.
    pub const fn from_bits(bits: u128) -> CallId {
        let version = 0xF << 76;
        let variant = 0x3 << 62;
        CallId(bits & !version & !variant | 0x4 << 76 | 0x2 << 62)
    }

    /// Its bits, for a host that keeps them.
    pub const fn to_bits(self) -> u128 {
        self.0
    }
}

impl std::fmt::Display for CallId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hex = format!("{:032x}", self.0);
        write!(f, "{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}
