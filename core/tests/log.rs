//! What goes to a host's own logging: as much as it asks for, once, from whatever thread; and that a log that panics changes nothing
//! (F5). The level is the process's, so each test has one to itself.

mod common;

use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

use ambassador_core::call::Outcome;
use ambassador_core::clock::SECOND;
use ambassador_core::event::{self, Event};
use ambassador_core::policy::breaker::Breaker;
use ambassador_core::telemetry::log::{self, Level};
use ambassador_core::{AmbassadorProxy, Endpoint, runtime};
use common::*;

/// What a sink gets: level and line.
fn sink() -> Receiver<(Level, String)> {
    let (said, lines) = channel();
    let said = Mutex::new(said);
    log::set_sink(Some(Arc::new(move |record| {
        said.lock().unwrap().send((record.level, record.line.clone())).unwrap();
    })));
    lines
}

/// One that a failure opens.
fn fragile(name: &str) -> AmbassadorProxy {
    let builder = AmbassadorProxy::builder("payments").name(name).backoff(exactly());
    builder.breaker(Breaker::default().min_calls(1)).build().unwrap()
}

fn succeed(proxy: &AmbassadorProxy) {
    let mut call = begin(proxy, T0);
    let _ = proxy.settle(&mut call, T0 + 5, Outcome::Ok, None);
}

fn fail_once(proxy: &AmbassadorProxy) {
    let mut call = begin(proxy, T0);
    let _ = proxy.settle(&mut call, T0, Outcome::Fail, None);
}

#[test]
fn a_sink_gets_what_matters_so_much_and_a_retry_once() {
    alone("a_sink_gets_what_matters_so_much_and_a_retry_once", || {
        let lines = sink();
        log::begin(Level::Warn);
        let proxy = fragile("api");
        // A listener makes no line of its own.
        proxy.on_event(|_, _| ());
        succeed(&proxy);
        let mut call = begin(&proxy, T0);
        let _ = proxy.settle(&mut call, T0, Outcome::Retry, None);
        proxy.retry_line(&call, 2 * SECOND, "no answer");
        proxy.cancel(&mut call, T0);
        proxy.reset();
        assert_eq!(
            lines.try_iter().collect::<Vec<_>>(),
            [
                (Level::Error, "[Ambassador] api: the circuit is open for 5s; it was closed".to_owned()),
                (Level::Warn, "[Ambassador] Retry 1 after 2s: no answer".to_owned()),
            ]
        );
    });
}

#[test]
fn at_debug_each_attempt_and_each_call_is_logged() {
    alone("at_debug_each_attempt_and_each_call_is_logged", || {
        let lines = sink();
        log::begin(Level::Warn);
        log::set_level(Level::Debug);
        succeed(&fragile("api"));
        let lines: Vec<_> = lines.try_iter().collect();
        assert_eq!(
            lines,
            [
                (Level::Debug, "[Ambassador] api: attempt 1 ended as ok after 0ms".to_owned()),
                (Level::Debug, "[Ambassador] api: a call ended as ok after 1 attempt in 0ms: succeeded".to_owned()),
            ]
        );
    });
}

#[test]
fn nothing_is_logged_when_it_is_off() {
    alone("nothing_is_logged_when_it_is_off", || {
        let lines = sink();
        log::begin(Level::Warn);
        log::set_level(Level::Off);
        let proxy = fragile("api");
        fail_once(&proxy);
        let mut call = begin(&fragile("another"), T0);
        let _ = proxy.settle(&mut call, T0, Outcome::Retry, None);
        proxy.retry_line(&call, SECOND, "x");
        assert_eq!(lines.try_iter().count(), 0);
        assert!(!proxy.keeps_events());
    });
}

#[test]
fn the_operators_level_holds_whatever_the_program_says() {
    let environment: &[(&str, Option<&Path>)] = &[(log::VARIABLE, Some(Path::new("Error")))];
    alone_with("the_operators_level_holds_whatever_the_program_says", environment, || {
        log::begin(Level::Debug);
        assert_eq!(log::level(), Level::Error);
        log::set_level(Level::Info);
        assert_eq!(log::level(), Level::Error);
        log::set_level(Level::Off);
        assert_eq!(log::level(), Level::Off);
    });
}

#[test]
fn what_names_no_level_is_as_if_it_were_not_there() {
    let environment: &[(&str, Option<&Path>)] = &[(log::VARIABLE, Some(Path::new("loud")))];
    alone_with("what_names_no_level_is_as_if_it_were_not_there", environment, || {
        assert_eq!(log::level(), Level::Off, "until a host begins");
        log::begin(Level::Warn);
        assert_eq!(log::level(), Level::Warn);
    });
}

#[test]
fn a_sink_that_panics_changes_nothing() {
    alone("a_sink_that_panics_changes_nothing", || {
        log::set_sink(Some(Arc::new(|_| panic!("a log that panics"))));
        log::begin(Level::Debug);
        let proxy = fragile("api");
        succeed(&proxy);
        let mut call = begin(&proxy, T0);
        let _ = proxy.settle(&mut call, T0, Outcome::Retry, None);
        assert_eq!(proxy.retry_line(&call, SECOND, "x"), "[Ambassador] Retry 1 after 1s: x");
        proxy.cancel(&mut call, T0);
        assert_eq!(number(&proxy, "in_flight"), 0);
    });
}

#[test]
fn a_host_that_fetches_has_nothing_to_look_at_until_something_is_to_be_logged() {
    alone("a_host_that_fetches_has_nothing_to_look_at_until_something_is_to_be_logged", || {
        log::begin(Level::Info);
        let proxy = fragile("api");
        succeed(&proxy);
        assert!(!proxy.keeps_events());
        fail_once(&proxy);
        assert!(proxy.keeps_events());
        let events = proxy.fetch_events();
        let lines: Vec<_> = events.iter().filter_map(|event| log::record("api", event)).map(|said| said.line).collect();
        assert_eq!(lines, ["[Ambassador] api: the circuit is open for 5s; it was closed"]);
        assert!(!proxy.keeps_events() && event::pending().is_empty());
    });
}

#[test]
fn what_happens_on_a_thread_of_the_runtimes_wakes_the_host() {
    alone("what_happens_on_a_thread_of_the_runtimes_wakes_the_host", || {
        let (wake, woken) = channel();
        let wake = Mutex::new(wake);
        log::on_background(move || wake.lock().unwrap().send(()).unwrap());
        log::begin(Level::Info);
        let proxy = fragile("api");
        let endpoints = || vec![Endpoint::new("10.0.0.1").unwrap()];
        // On this thread nobody needs to be woken: a look follows.
        proxy.set_endpoints(endpoints());
        assert_eq!(proxy.fetch_events().len(), 1);
        assert!(woken.try_recv().is_err());
        let there = proxy.clone();
        runtime::handle().spawn(async move { there.set_endpoints(vec![]) });
        woken.recv().unwrap();
        let pending = event::pending();
        let [(name, events)] = &pending[..] else { panic!("{pending:?}") };
        assert!(matches!(&events[..], [Event::Endpoints { added, .. }] if added.is_empty()), "{events:?}");
        assert_eq!(name, "api");
        assert!(event::pending().is_empty());
    });
}
