//! A target's endpoints in bad times, for real: payment APIs as processes of their own, killed, stopped, slowed, busy, added and
//! drained while calls are made, each with a key of its own. What is counted before, during and after is printed; what is promised
//! is checked: that calls succeed, and who gets them.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ambassador_core::balance::{Balance, Outlier};
use ambassador_core::event::Event;
use ambassador_core::http::Body;
use ambassador_core::policy::http::IdempotencyKey;
use ambassador_core::proxy::Builder;
use ambassador_core::{AmbassadorProxy, Backoff, Endpoint, runtime};
use http::Request;

/// Calls in flight at once.
const AT_ONCE: usize = 16;

/// A payment API that is a process, until it is dropped.
struct Api {
    process: Child,
    url: String,
}

impl Api {
    fn start(arguments: &[&str]) -> Api {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ambassador"));
        command.arg("demo").args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let mut url = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
        Api { process, url: url.trim().into() }
    }

    fn well() -> Api {
        Api::start(&["--calm"])
    }

    /// By the shell's own `kill`.
    fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.process.id())]).status().unwrap();
        assert!(sent.success());
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::new(&self.url).unwrap()
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A proxy over these endpoints; an ejection is short, so that its end is seen.
fn proxy(name: &str, apis: &[Api]) -> Builder {
    AmbassadorProxy::builder("http://payment-api.example.com")
        .name(name)
        .endpoints(apis.iter().map(Api::endpoint))
        .idempotency_key(IdempotencyKey::Auto)
        .timeout(Duration::from_millis(250))
        .backoff(Backoff::exponential(Duration::from_millis(5)).max(Duration::from_millis(50)))
        // One third of all attempts may fail before the first ejection, and more with a slow machine: none of that is a reason to
        // stop calls, which succeed elsewhere.
        .breaker(None)
        .budget(None)
}

/// What became of some calls.
struct Told {
    calls: usize,
    ok: usize,
    /// By endpoint.
    attempts: Vec<usize>,
    /// How long each call took, the quickest first.
    took: Vec<Duration>,
}

impl Told {
    /// What 99 of 100 calls took at most.
    fn p99(&self) -> Duration {
        self.took[self.took.len() * 99 / 100]
    }

    fn share(&self) -> f64 {
        self.ok as f64 / self.calls as f64
    }
}

/// Who calls, and where the attempts go.
struct Till {
    proxy: AmbassadorProxy,
    attempts: Arc<Vec<AtomicUsize>>,
}

impl Till {
    fn new(builder: Builder, apis: &[Api]) -> Till {
        let proxy = builder.build().unwrap();
        let attempts = Arc::new(apis.iter().map(|_| AtomicUsize::new(0)).collect::<Vec<_>>());
        let urls: Vec<String> = apis.iter().map(|api| api.url.clone()).collect();
        let counted = Arc::clone(&attempts);
        proxy.on_event(move |_, event| {
            if let Event::Attempt { endpoint: Some(endpoint), .. } = event
                && let Some(at) = urls.iter().position(|url| url == endpoint.as_str())
            {
                counted[at].fetch_add(1, SeqCst);
            }
        });
        Till { proxy, attempts }
    }

    /// Makes that many calls, and prints what became of them.
    fn charge(&self, what: &str, calls: usize) -> Told {
        let begun = Instant::now();
        let told = self.charge_quietly(what, calls);
        println!(
            "{what:24} {calls:6} calls, {:6.0}/s, {:8.4} % succeeded, p99 {:?}, attempts by endpoint {:?}",
            calls as f64 / begun.elapsed().as_secs_f64(),
            told.share() * 100.0,
            told.p99(),
            told.attempts,
        );
        told
    }

    fn charge_quietly(&self, what: &str, calls: usize) -> Told {
        let (next, ok) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let before: Vec<usize> = self.attempts.iter().map(|count| count.load(SeqCst)).collect();
        let tills: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                let (proxy, next, ok) = (self.proxy.clone(), Arc::clone(&next), Arc::clone(&ok));
                let what = what.to_owned();
                runtime::handle().spawn(async move {
                    let mut took = Vec::new();
                    loop {
                        let number = next.fetch_add(1, SeqCst);
                        if number >= calls {
                            return took;
                        }
                        let begun = Instant::now();
                        let order = format!(r#"{{"order":"{what}-{number}","amount":9.99}}"#);
                        let sent = proxy.send(Request::post("/charges").body(Body::from(order)).unwrap()).await;
                        match sent {
                            Ok(response) if response.status().is_success() => _ = ok.fetch_add(1, SeqCst),
                            Ok(response) => eprintln!("{what} {number}: {}", response.status()),
                            Err(error) => eprintln!("{what} {number}: {error}"),
                        }
                        took.push(begun.elapsed());
                    }
                })
            })
            .collect();
        let mut took: Vec<Duration> = tills.into_iter().flat_map(|till| runtime::block_on(till).unwrap()).collect();
        took.sort();
        let attempts = self.attempts.iter().zip(before).map(|(count, before)| count.load(SeqCst) - before).collect();
        Told { calls, ok: ok.load(SeqCst), attempts, took }
    }
}

/// What is told of one endpoint from now on: how its attempts ended, and what became of it.
fn watch(proxy: &AmbassadorProxy, api: &Api) -> Arc<Mutex<Vec<&'static str>>> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let (kept, url) = (Arc::clone(&told), api.url.clone());
    proxy.on_event(move |_, event| match event {
        Event::Attempt { endpoint: Some(endpoint), outcome, .. } if endpoint.as_str() == url => {
            kept.lock().unwrap().push(*outcome);
        }
        Event::Endpoint { address, to, .. } if **address == *url => kept.lock().unwrap().push(*to),
        _ => {}
    });
    told
}

/// How many failures one after the other came before the first ejection.
fn failures_before_ejection(told: &[&str]) -> Option<usize> {
    let ejected = told.iter().position(|event| *event == "ejected")?;
    let since = told[..ejected].iter().rposition(|event| *event == "ok").map_or(0, |at| at + 1);
    Some(told[since..ejected].iter().filter(|event| ["failure", "timeout"].contains(*event)).count())
}

#[test]
fn one_of_three_endpoints_is_killed() {
    let apis = [Api::well(), Api::well(), Api::well()];
    let till = Till::new(proxy("one of three is killed", &apis), &apis);
    let told = watch(&till.proxy, &apis[2]);
    let before = till.charge("before it is killed", 5_000);
    // In the middle of the calls, not between two.
    let killing = std::thread::spawn({
        let id = apis[2].process.id();
        move || Command::new("sh").args(["-c", &format!("kill -KILL {id}")]).status().unwrap()
    });
    let during = till.charge("while it is killed", 10_000);
    assert!(killing.join().unwrap().success());
    let after = till.charge("after it was killed", 5_000);
    let (calls, ok) =
        [&before, &during, &after].iter().fold((0, 0), |(calls, ok), told| (calls + told.calls, ok + told.ok));
    assert!(ok * 10_000 >= calls * 9_999, "{ok} of {calls}");
    let failures = failures_before_ejection(&told.lock().unwrap()).expect("it is ejected");
    println!("ejected after {failures} failures");
    assert!(failures <= 5);
    assert!(after.attempts[2] <= 10, "nobody goes there but to look whether it is back: {:?}", after.attempts);
}

#[test]
fn one_of_three_endpoints_is_stopped_and_goes_on() {
    let apis = [Api::well(), Api::well(), Api::well()];
    let outlier = Outlier { base: 300_000_000, max: 300_000_000, ..Outlier::default() };
    let till = Till::new(proxy("one of three is stopped", &apis).outlier(outlier), &apis);
    let told = watch(&till.proxy, &apis[2]);
    till.charge("before it is stopped", 2_000);
    apis[2].signal("STOP");
    let during = till.charge("while it is stopped", 4_000);
    assert!(told.lock().unwrap().contains(&"ejected"), "what outruns its bound counts");
    apis[2].signal("CONT");
    // Its share is back when the ejection is over; how long that takes is not ours to say.
    while till.charge_quietly("until it is back", 1_000).attempts[2] < 100 {}
    let after = till.charge("after it goes on", 2_000);
    assert!(during.share() >= 0.9999 && after.share() >= 0.9999);
}

#[test]
fn an_endpoint_is_added_and_one_is_drained() {
    let apis = [Api::well(), Api::well(), Api::well()];
    let till = Till::new(proxy("one is added, one is drained", &apis[..2]), &apis);
    let before = till.charge("two of three", 2_000);
    assert_eq!(before.attempts[2], 0);
    till.proxy.set_endpoints(apis.iter().map(Api::endpoint).collect());
    let added = till.charge("one is added", 3_000);
    assert!(added.attempts.iter().all(|attempts| *attempts > 300), "{:?}", added.attempts);
    till.proxy.set_endpoints(apis[1..].iter().map(Api::endpoint).collect());
    let drained = till.charge("one is drained", 3_000);
    assert_eq!(drained.attempts[0], 0, "calls that began after it");
    assert_eq!([before, added, drained].map(|told| told.ok), [2_000, 3_000, 3_000]);
}

#[test]
fn one_of_three_endpoints_is_slow() {
    let apis = [Api::well(), Api::well(), Api::start(&["--misbehave", "slow=100"])];
    // Longer than the slow one takes: nothing fails.
    let till = Till::new(proxy("one of three is slow", &apis).timeout(Duration::from_secs(5)), &apis);
    let told = till.charge("one is slow", 3_000);
    assert_eq!(told.ok, 3_000);
    assert!(told.attempts[2] * 20 < 3_000, "it gets far less than its share: {:?}", told.attempts);
}

#[test]
fn one_of_three_endpoints_answers_503_half_of_the_time() {
    let apis = [Api::well(), Api::well(), Api::start(&["--misbehave", "unavailable=50"])];
    let till = Till::new(proxy("one of three answers 503", &apis), &apis);
    let told = till.charge("one answers 503", 2_000);
    assert!(told.share() >= 0.9999, "{} of {}", told.ok, told.calls);
}

#[test]
fn a_slow_one_of_ten_endpoints_is_left_to_few_by_p2c_and_to_a_tenth_by_round_robin() {
    let slow = || Api::start(&["--misbehave", "slow=100"]);
    let apis: Vec<Api> = (0..10).map(|at| if at == 9 { slow() } else { Api::well() }).collect();
    let [p2c, round_robin] = [Balance::P2c, Balance::RoundRobin].map(|balance| {
        let proxy = proxy(balance.as_str(), &apis).balance(balance).timeout(Duration::from_secs(5));
        Till::new(proxy, &apis).charge(balance.as_str(), 3_000)
    });
    assert_eq!((p2c.ok, round_robin.ok), (3_000, 3_000));
    assert!(p2c.p99() * 5 <= round_robin.p99(), "{:?} and {:?}", p2c.p99(), round_robin.p99());
}
