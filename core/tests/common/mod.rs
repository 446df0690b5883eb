//! What the core's tests share: proxies of their own state, calls driven in virtual time, health as numbers, and tests that
//! need a process to themselves.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use ambassador_core::balance::{Balance, HashOn};
use ambassador_core::call::{Call, Decision, Give, Outcome, Stop};
use ambassador_core::clock::{Nanos, SECOND};
use ambassador_core::proxy::{Begin, Builder};
use ambassador_core::{AmbassadorProxy, Backoff, Jitter};

/// Some instant; tests count from it.
pub const T0: Nanos = 1000 * SECOND;

/// Longer than any test takes, on any machine; nothing waits for it unless the test fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A builder whose state no other test shares, with the default policies.
pub fn with_defaults() -> Builder {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    AmbassadorProxy::builder("payment-api.example.com").name(&format!("test {}", NEXT.fetch_add(1, Relaxed)))
}

/// A builder whose state no other test shares, of retries and bounds alone: without breaker and budget, lest they end what a
/// test repeats.
pub fn builder() -> Builder {
    with_defaults().breaker(None).budget(None)
}

/// The seed's schedule without jitter: 2 s, 4 s, 8 s.
pub fn exactly() -> Backoff {
    Backoff::default().jitter(Jitter::None)
}

/// A backoff too short to notice.
pub fn briefly() -> Backoff {
    Backoff::constant(Duration::from_millis(1))
}

pub fn begin(proxy: &AmbassadorProxy, now: Nanos) -> Call {
    match proxy.begin(now) {
        Begin::Run(call) => call,
        other => panic!("the call did not begin: {other:?}"),
    }
}

pub fn finish(give: Give, stop: Stop) -> Decision {
    Decision::Finish(give, stop)
}

/// The attempt fails `after` its start.
pub fn fail(proxy: &AmbassadorProxy, call: &mut Call, after: Nanos) -> Decision {
    let at = call.started() + after;
    proxy.settle(call, at, Outcome::Retry, None)
}

/// The attempt hangs up to its bound.
pub fn time_out(proxy: &AmbassadorProxy, call: &mut Call) -> Decision {
    let bound = call.bound();
    proxy.settle(call, bound, Outcome::Timeout, None)
}

/// The attempt fails at once, and the next one starts when the wait is over.
pub fn fail_and_wait(proxy: &AmbassadorProxy, call: &mut Call) {
    let Decision::WaitUntil(at) = fail(proxy, call, 0) else { panic!("no attempt is left") };
    assert_eq!(proxy.resume(call, at), Decision::Run);
}

/// A number of the target's health: `calls.ok`.
pub fn number(proxy: &AmbassadorProxy, path: &str) -> u64 {
    let health: serde_json::Value = serde_json::from_str(&proxy.health()).expect("health is JSON");
    let found = path.split('.').fold(&health, |value, name| &value[name]);
    found.as_u64().unwrap_or_else(|| panic!("{path} is no number of {health}"))
}

/// How the target's calls ended: ok, failure, timeout, rejected, cancelled.
pub fn ends(proxy: &AmbassadorProxy) -> [u64; 5] {
    ["ok", "failure", "timeout", "rejected", "cancelled"].map(|end| number(proxy, &format!("calls.{end}")))
}

/// How its attempts ended: ok, failure, timeout, cancelled.
pub fn attempts(proxy: &AmbassadorProxy) -> [u64; 4] {
    ["ok", "failure", "timeout", "cancelled"].map(|end| number(proxy, &format!("attempts.{end}")))
}

/// Runs the body in a process that runs nothing else: what it does to the whole process touches no other test. `name` is
/// that of the test.
pub fn alone(name: &str, body: impl FnOnce()) {
    alone_with(name, &[], body);
}

/// The same, with that much of its environment set, or left out.
pub fn alone_with(name: &str, environment: &[(&str, Option<&Path>)], body: impl FnOnce()) {
    const ALONE: &str = "AMBASSADOR_TEST_ALONE";
    if std::env::var_os(ALONE).is_some_and(|alone| alone == name) {
        return body();
    }
    let this = std::env::current_exe().expect("a test knows its program");
    let mut command = Command::new(this);
    command.args([name, "--exact", "--nocapture"]).env(ALONE, name);
    for (variable, value) in environment {
        match value {
            Some(value) => command.env(variable, value),
            None => command.env_remove(variable),
        };
    }
    let ended = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success() && out.contains("1 passed"), "{name} ended with {}:\n{out}{err}", ended.status);
}

/// Endpoints chosen so, by the path where it is by a key.
pub fn by(builder: Builder, balance: Balance) -> Builder {
    match balance {
        Balance::RingHash | Balance::Maglev => builder.balance(balance).hash_on(HashOn::Path),
        _ => builder.balance(balance),
    }
}
