//! The addresses of a host, as whoever connects asks for them.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use ambassador_core::discovery::addresses;
use ambassador_core::runtime::block_on;
use hickory_server::proto::rr::RecordType::{A, AAAA};

use crate::kit::dns::Dns;

fn ask(dns: &Dns, host: &str) -> Result<Vec<String>, String> {
    let found = block_on(addresses(host, 8080, &[dns.address()]))?;
    Ok(found.iter().map(SocketAddr::to_string).collect())
}

/// Asks until the answer is that one.
fn ask_until(dns: &Dns, host: &str, answer: impl Fn(&Result<Vec<String>, String>) -> bool) {
    let until = Instant::now() + crate::common::PATIENCE;
    loop {
        let said = ask(dns, host);
        if answer(&said) {
            return;
        }
        assert!(Instant::now() < until, "{said:?}");
        thread::park_timeout(Duration::from_millis(5));
    }
}

#[test]
fn an_address_is_its_own_and_nobody_is_asked() {
    let dns = Dns::start();
    assert_eq!(ask(&dns, "10.1.2.3").unwrap(), ["10.1.2.3:8080"]);
    assert_eq!(ask(&dns, "::1").unwrap(), ["[::1]:8080"]);
    assert_eq!(ask(&dns, "[::1]").unwrap(), ["[::1]:8080"]);
}

#[test]
fn localhost_is_this_machine_whatever_the_servers_say() {
    let dns = Dns::start();
    dns.addresses("localhost", 60, &["10.0.0.1"]);
    let found = block_on(addresses("localhost", 80, &[dns.address()])).unwrap();
    assert!(!found.is_empty() && found.iter().all(|address| address.ip().is_loopback()), "{found:?}");
    assert_eq!(dns.asked("localhost", A) + dns.asked("localhost", AAAA), 0);
}

#[test]
fn both_families_come_by_turns() {
    let dns = Dns::start();
    dns.addresses("both.test", 60, &["127.0.0.1", "127.0.0.2", "::1"]);
    assert_eq!(ask(&dns, "both.test").unwrap(), ["[::1]:8080", "127.0.0.1:8080", "127.0.0.2:8080"]);
}

#[test]
fn a_name_of_one_family_has_that_one() {
    let dns = Dns::start();
    dns.addresses("four.test", 60, &["127.0.0.1"]);
    dns.addresses("six.test", 60, &["::1"]);
    assert_eq!(ask(&dns, "four.test").unwrap(), ["127.0.0.1:8080"]);
    assert_eq!(ask(&dns, "six.test").unwrap(), ["[::1]:8080"]);
}

#[test]
fn an_alias_is_followed() {
    let dns = Dns::start();
    dns.alias("alias.test", 60, "real.test");
    dns.addresses("real.test", 60, &["127.0.0.9"]);
    assert_eq!(ask(&dns, "alias.test").unwrap(), ["127.0.0.9:8080"]);
}

#[test]
fn an_answer_is_remembered_while_it_holds_and_asked_for_again_after() {
    let dns = Dns::start();
    dns.addresses("kept.test", 600, &["127.0.0.1"]);
    for _ in 0..100 {
        assert_eq!(ask(&dns, "kept.test").unwrap(), ["127.0.0.1:8080"]);
    }
    assert_eq!((dns.asked("kept.test", A), dns.asked("kept.test", AAAA)), (1, 1));

    dns.addresses("moves.test", 1, &["127.0.0.1"]);
    assert_eq!(ask(&dns, "moves.test").unwrap(), ["127.0.0.1:8080"]);
    dns.addresses("moves.test", 1, &["127.0.0.2"]);
    ask_until(&dns, "moves.test", |said| said.as_deref() == Ok(&["127.0.0.2:8080".to_owned()]));
}

#[test]
fn of_many_who_ask_at_once_one_asks_the_server() {
    let dns = Dns::start();
    dns.addresses("busy.test", 600, &["127.0.0.1", "::1"]);
    dns.takes(Duration::from_millis(100));
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| assert_eq!(ask(&dns, "busy.test").unwrap().len(), 2));
        }
    });
    assert_eq!((dns.asked("busy.test", A), dns.asked("busy.test", AAAA)), (1, 1));
}

#[test]
fn what_the_servers_say_is_wrong_is_said_with_the_name() {
    let dns = Dns::start();
    assert_eq!(ask(&dns, "none.test").unwrap_err(), "none.test: no such name (NXDOMAIN)");
    dns.services("service.test", 60, &[(1, 1, 80, "none.test")]);
    assert!(ask(&dns, "service.test").unwrap_err().starts_with("service.test: it has no "));
    dns.fails("fails.test");
    assert_eq!(ask(&dns, "fails.test").unwrap_err(), "fails.test: the DNS server answered SERVFAIL");
}

#[test]
fn a_name_that_did_not_exist_is_found_when_it_does() {
    let dns = Dns::start();
    ask(&dns, "late.test").unwrap_err();
    dns.addresses("late.test", 60, &["127.0.0.1"]);
    ask_until(&dns, "late.test", Result::is_ok);
}

#[test]
fn a_family_that_answers_late_is_not_waited_for() {
    let dns = Dns::start();
    dns.addresses("lopsided.test", 60, &["127.0.0.1", "::1"]);
    dns.takes_for(AAAA, Duration::from_secs(3600));
    assert_eq!(ask(&dns, "lopsided.test").unwrap(), ["127.0.0.1:8080"]);
}

#[test]
fn a_server_that_is_slow_is_waited_for() {
    let dns = Dns::start();
    dns.addresses("slow.test", 60, &["127.0.0.1"]);
    dns.takes(Duration::from_millis(1500));
    assert_eq!(ask(&dns, "slow.test").unwrap(), ["127.0.0.1:8080"]);
}

#[test]
fn two_hundred_addresses_come_over_tcp() {
    let dns = Dns::start();
    let ips: Vec<String> = (1..=200).map(|n| format!("127.0.1.{n}")).collect();
    dns.addresses("many.test", 60, &ips.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(ask(&dns, "many.test").unwrap().len(), 200);
    assert!(dns.asked_over_tcp() > 0);
}

#[test]
fn addresses_known_before_serve_while_the_server_is_down_and_new_ones_when_it_is_back() {
    let mut dns = Dns::start();
    dns.addresses("stays.test", 1, &["127.0.0.1"]);
    assert_eq!(ask(&dns, "stays.test").unwrap(), ["127.0.0.1:8080"]);
    dns.goes_down();
    // Asked for again, in vain, when they have expired.
    let down = Instant::now();
    while down.elapsed() < Duration::from_millis(1500) {
        assert_eq!(ask(&dns, "stays.test").unwrap(), ["127.0.0.1:8080"]);
        thread::park_timeout(Duration::from_millis(5));
    }
    dns.addresses("stays.test", 1, &["127.0.0.2"]);
    dns.comes_back();
    ask_until(&dns, "stays.test", |said| said.as_deref() == Ok(&["127.0.0.2:8080".to_owned()]));
}

#[test]
fn addresses_known_before_do_not_serve_once_the_name_is_gone() {
    let dns = Dns::start();
    dns.addresses("gone.test", 1, &["127.0.0.1"]);
    ask(&dns, "gone.test").unwrap();
    dns.forgets("gone.test");
    ask_until(&dns, "gone.test", Result::is_err);
}
