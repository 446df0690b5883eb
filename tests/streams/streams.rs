//! Plays a script with the crate, in virtual time, and prints what happens, a line of JSON each: `streams SCRIPT`.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, pending};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ambassador_core::call::Outcome;
use ambassador_core::settings::{Settings, Spelling, Value};
use ambassador_core::testing::VirtualTime;
use ambassador_core::{AmbassadorProxy, Attempt, CallError, runtime};

/// What the functions of a script fail with.
#[derive(Debug, PartialEq)]
enum Failure {
    Error,
    /// It may not be tried again.
    Final,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

struct Player {
    time: VirtualTime,
    steps: RefCell<VecDeque<Vec<String>>>,
    settings: RefCell<Vec<(String, Value)>>,
    proxies: RefCell<Vec<AmbassadorProxy>>,
    calls: Cell<u32>,
    waits: Cell<usize>,
}

fn main() {
    let path = std::env::args().nth(1).expect("usage: streams SCRIPT");
    let script = std::fs::read_to_string(path).expect("the script");
    let words = |line: &str| -> Vec<String> {
        let step = line.split('#').next().unwrap_or_default();
        step.split_whitespace().map(Into::into).collect()
    };
    let player = Player {
        time: VirtualTime::start(),
        steps: RefCell::new(script.lines().map(words).filter(|step| !step.is_empty()).collect()),
        settings: RefCell::default(),
        proxies: RefCell::default(),
        calls: Cell::new(0),
        waits: Cell::new(0),
    };
    while player.step() {}
}

impl Player {
    /// Takes the next step, if there is one.
    fn step(&self) -> bool {
        let Some(step) = self.steps.borrow_mut().pop_front() else { return false };
        let words: Vec<&str> = step.iter().map(String::as_str).collect();
        match words[..] {
            ["set", name, text] => self.settings.borrow_mut().push(setting(name, text)),
            ["proxy"] => self.make_proxy(),
            ["seed", number] => self.proxy().seed_jitter(number.parse().unwrap()),
            ["advance", length] => self.time.advance(milliseconds(length)),
            ["isolate"] => self.proxy().isolate(),
            ["reset"] => self.proxy().reset(),
            ["shutdown"] => assert!(runtime::shutdown(Duration::from_secs(30))),
            ["call", ref attempts @ ..] => self.call(attempts),
            _ => panic!("there is no step {words:?}"),
        }
        true
    }

    fn proxy(&self) -> AmbassadorProxy {
        self.proxies.borrow().last().expect("a proxy").clone()
    }

    fn make_proxy(&self) {
        let mut settings = Settings::new("payment-api.example.com", Spelling::Rust).unwrap();
        for (name, value) in &*self.settings.borrow() {
            settings.set(name, value.clone()).unwrap();
        }
        let proxy = AmbassadorProxy::from_settings(settings).unwrap();
        if self.proxies.borrow().is_empty() {
            proxy.on_event(|name, event| println!("{}", event.to_json(name)));
        }
        self.proxies.borrow_mut().push(proxy);
    }

    fn call(&self, attempts: &[&str]) {
        let number = self.calls.get() + 1;
        self.calls.set(number);
        let begun = self.time.elapsed();
        let ran = Cell::new(0);
        let function = |ctx: Attempt| {
            self.tell_waits();
            let end = self.attempt(attempts.get(ran.get()).unwrap_or(&"error"), &ctx);
            ran.set(ran.get() + 1);
            async move {
                match end {
                    "ok" => Ok(()),
                    "error" => Err(Failure::Error),
                    "final" => Err(Failure::Final),
                    // Whoever wants no more of a call drops it.
                    "cancel" => pending().await,
                    _ => panic!("no attempt ends in {end}"),
                }
            }
        };
        let proxy = self.proxy();
        let classified = proxy.classify(|result: &Result<(), Failure>| match result {
            Ok(()) => Outcome::Ok,
            Err(Failure::Error) => Outcome::Retry,
            Err(Failure::Final) => Outcome::Fail,
        });
        let (gives, after) = match polled(classified.execute(function)) {
            Poll::Pending => ("cancelled", None),
            Poll::Ready(Ok(())) => ("value", None),
            Poll::Ready(Err(CallError::Failed(_))) => ("error", None),
            Poll::Ready(Err(CallError::Ambassador(error, _))) => (error.code().as_str(), error.retry_after()),
        };
        self.tell_waits();
        let again = after.map(|after| format!(r#","retry_after_ns":{}"#, after.as_nanos())).unwrap_or_default();
        let (attempts, elapsed) = (ran.get(), (self.time.elapsed() - begun).as_nanos());
        println!(r#"{{"call":{number},"gives":"{gives}","attempts":{attempts},"elapsed_ns":{elapsed}{again}}}"#);
    }

    /// Does what comes before the end, and gives the end.
    fn attempt<'a>(&self, script: &'a str, ctx: &Attempt) -> &'a str {
        let mut parts = script.split(':');
        let end = parts.next().unwrap_or_default();
        for part in parts {
            match part.split_once('=') {
                None if part == "within" => assert!(self.step()),
                Some(("takes", length)) => self.time.advance(milliseconds(length)),
                Some(("hint", length)) => ctx.set_retry_after(milliseconds(length)),
                _ => panic!("there is no {part} of an attempt"),
            }
        }
        end
    }

    fn tell_waits(&self) {
        let waits = self.time.waits();
        for wait in &waits[self.waits.get()..] {
            println!(r#"{{"wait_ns":{}}}"#, wait.as_nanos());
        }
        self.waits.set(waits.len());
    }
}

/// In virtual time a call waits for nothing but a function that never ends; then it is dropped.
fn polled<F: Future>(call: F) -> Poll<F::Output> {
    pin!(call).poll(&mut Context::from_waker(Waker::noop()))
}

/// `backoff.base_ms` is `backoff.base` here, and a length of time.
fn setting(name: &str, text: &str) -> (String, Value) {
    if let Some(name) = name.strip_suffix("_ms") {
        return (name.into(), Value::Length(milliseconds(text).as_nanos() as u64));
    }
    let value = text.parse().map(Value::Int).or_else(|_| text.parse().map(Value::Float));
    (name.into(), value.unwrap_or_else(|_| Value::Text(text.into())))
}

fn milliseconds(text: &str) -> Duration {
    Duration::from_millis(text.parse().expect("milliseconds"))
}
