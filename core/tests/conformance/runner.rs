//! Runs a vector through the front door: functions of futures that are ready, in virtual time.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ambassador_core::call::Outcome;
use ambassador_core::settings::{Settings, Spelling, Value};
use ambassador_core::testing::{self, VirtualTime};
use ambassador_core::{AmbassadorProxy, Attempt, CallError, ConfigError, fault};

use crate::schema::{self, Step, Vector};

/// What the functions of a vector fail with.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Failure {
    Error,
    Final,
    Answer,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

const THROWN: &str = "a classifier that throws";

struct Runner<'a> {
    vector: &'a Vector,
    proxies: Vec<AmbassadorProxy>,
    fault: RefCell<Option<String>>,
}

/// Whether the vector holds; what did not, if it does not.
pub fn run(vector: &Vector) -> Result<(), String> {
    let _time = VirtualTime::start();
    let made = proxies(vector);
    if let Some(refused) = &vector.refuses {
        let named = made.err().map(|error| error.field);
        return if named.as_ref() == Some(refused) { Ok(()) } else { Err(format!("refused {named:?}, not {refused}")) };
    }
    let proxies = made.map_err(|error| error.to_string())?;
    let events = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&events);
    proxies[0].on_event(move |name, event| kept.lock().unwrap().push(event.to_json(name)));
    if let Some(seed) = vector.seed {
        proxies[0].seed_jitter(seed);
    }
    let runner = Runner { vector, proxies, fault: RefCell::default() };
    runner.steps(&vector.steps);
    fault::inject_panic("");
    runner.health(&vector.health);
    if let Some(expected) = &vector.events {
        runner.events(expected, &events.lock().unwrap());
    }
    runner.fault.into_inner().map_or(Ok(()), Err)
}

fn proxies(vector: &Vector) -> Result<Vec<AmbassadorProxy>, ConfigError> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let name = format!("vector {}", NUMBER.fetch_add(1, Relaxed));
    vector
        .proxies
        .iter()
        .map(|proxy| {
            let mut settings = Settings::new("payment-api.example.com", Spelling::Rust)?;
            settings.set("name", Value::Text(name.clone()))?;
            for (field, value) in &proxy.settings {
                settings.set(field, setting(value))?;
            }
            AmbassadorProxy::from_settings(settings)
        })
        .collect()
}

fn setting(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(truth) => Value::Bool(*truth),
        serde_json::Value::String(text) => Value::Text(text.clone()),
        serde_json::Value::Array(all) => Value::List(all.iter().map(setting).collect()),
        serde_json::Value::Object(length) => Value::Length(length["ns"].as_u64().expect("a length of time")),
        number => number.as_i64().map_or_else(|| Value::Float(number.as_f64().expect("a number")), Value::Int),
    }
}

impl Runner<'_> {
    /// Notes the first thing that does not hold.
    fn check(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.fault.borrow_mut().get_or_insert_with(what);
        }
    }

    fn steps(&self, steps: &[Step]) {
        for step in steps {
            match step {
                Step::Advance { ns } => testing::advance(*ns),
                Step::Isolate => self.proxies[0].isolate(),
                Step::Reset => self.proxies[0].reset(),
                Step::Fault { at } => fault::inject_panic(at),
                Step::Health { is } => self.health(is),
                Step::Call { .. } => self.call(step),
            }
        }
    }

    fn call(&self, step: &Step) {
        let Step::Call { by, attempts, gives, waits, waits_within, elapsed, retry_after } = step else { return };
        let begun = testing::instant().unwrap();
        let ran = Cell::new(0);
        // What nested calls wait is theirs.
        let waited = RefCell::new(Vec::new());
        let mark = Cell::new(testing::waits().len());
        let note_waits = || {
            let all = testing::waits();
            waited.borrow_mut().extend_from_slice(&all[mark.get()..]);
            mark.set(all.len());
        };
        let function = |ctx: Attempt| {
            note_waits();
            let attempt = attempts.get(ran.get());
            ran.set(ran.get() + 1);
            let end = attempt.map(|attempt| self.attempt(attempt, &ctx));
            mark.set(testing::waits().len());
            async move {
                match end {
                    Some("ok") => Ok(()),
                    Some("error") | None => Err(Failure::Error),
                    Some("final") => Err(Failure::Final),
                    _ => pending().await,
                }
            }
        };
        let (got, after) = self.outcome(*by, function);
        note_waits();
        let at = format!("a call that gives {gives}");
        self.check(got == *gives, || format!("{at} gave {got}"));
        self.check(ran.get() == attempts.len(), || format!("{at}: {} attempts ran, not {}", ran.get(), attempts.len()));
        let waited = waited.into_inner();
        if let Some(waits) = waits {
            self.check(&waited == waits, || format!("{at} waited {waited:?}, not {waits:?}"));
        }
        if let Some(within) = waits_within {
            let fits = waited.len() == within.len()
                && waited.iter().zip(within).all(|(wait, [low, high])| (low..=high).contains(&wait));
            self.check(fits, || format!("{at} waited {waited:?}, not within {within:?}"));
        }
        let took = testing::instant().unwrap() - begun;
        self.check(elapsed.is_none_or(|elapsed| took == elapsed), || format!("{at} took {took}, not {elapsed:?}"));
        if retry_after.is_some() {
            self.check(after == *retry_after, || format!("{at}: again in {after:?}, not {retry_after:?}"));
        }
    }

    fn attempt<'b>(&self, attempt: &'b schema::Attempt, ctx: &Attempt) -> &'b str {
        self.steps(&attempt.during);
        testing::advance(attempt.takes);
        if let Some(hint) = attempt.hint {
            ctx.set_retry_after(Duration::from_nanos(hint));
        }
        &attempt.end
    }

    /// What the call gives, and when to come again.
    fn outcome<F, Fut>(&self, by: usize, function: F) -> (String, Option<u64>)
    where
        F: FnMut(Attempt) -> Fut,
        Fut: Future<Output = Result<(), Failure>>,
    {
        let (proxy, how) = (&self.proxies[by], &self.vector.proxies[by]);
        let throws = how.classify.as_deref() == Some("throws");
        let values = how.classify.is_some();
        let classifier = move |result: &Result<(), Failure>| match result {
            _ if throws => resume_unwind(Box::new(THROWN)),
            Ok(()) if values => Outcome::Retry,
            Ok(()) => Outcome::Ok,
            Err(Failure::Final) => Outcome::Fail,
            Err(_) => Outcome::Retry,
        };
        let answers = how.fallback.clone();
        let fell_back = Rc::new(Cell::new(false));
        let ended = catch_unwind(AssertUnwindSafe(|| {
            let classified = proxy.classify(classifier);
            match answers.as_deref() {
                None => polled(classified.execute(function)),
                Some(how) => {
                    let told = Rc::clone(&fell_back);
                    let answer = |error: &CallError<Failure>| {
                        let _ = error;
                        told.set(true);
                        if how == "answers" { Ok(()) } else { Err(CallError::Failed(Failure::Answer)) }
                    };
                    polled(classified.fallback(answer).execute(function))
                }
            }
        }));
        match ended {
            Err(_) => ("classifier".into(), None),
            Ok(Poll::Pending) => ("cancelled".into(), None),
            Ok(Poll::Ready(Ok(()))) if fell_back.get() => ("fallback".into(), None),
            Ok(Poll::Ready(Ok(()))) => ("value".into(), None),
            Ok(Poll::Ready(Err(CallError::Failed(Failure::Answer)))) => ("fallback_error".into(), None),
            Ok(Poll::Ready(Err(CallError::Failed(_)))) => ("error".into(), None),
            Ok(Poll::Ready(Err(CallError::Ambassador(error, _)))) => {
                (error.code().as_str().into(), error.retry_after().map(|after| after.as_nanos() as u64))
            }
        }
    }

    fn health(&self, expected: &std::collections::BTreeMap<String, serde_json::Value>) {
        let health: serde_json::Value = serde_json::from_str(&self.proxies[0].health()).unwrap();
        for (path, value) in expected {
            let found = path.split('.').fold(&health, |value, name| &value[name]);
            let same = found == value || found.as_f64().is_some() && found.as_f64() == value.as_f64();
            self.check(same, || format!("health: {path} is {found}, not {value}"));
        }
    }

    fn events(&self, expected: &[std::collections::BTreeMap<String, serde_json::Value>], told: &[String]) {
        let same = told.len() == expected.len()
            && told.iter().zip(expected).all(|(told, expected)| {
                let told: serde_json::Value = serde_json::from_str(told).unwrap();
                expected.iter().all(|(name, value)| told[name] == *value)
            });
        self.check(same, || format!("told {told:#?}, not {expected:#?}"));
    }
}

/// A call in virtual time never waits for anything but a function that is cancelled: then it is dropped.
fn polled<F: Future>(call: F) -> Poll<F::Output> {
    pin!(call).poll(&mut Context::from_waker(Waker::noop()))
}
