//! The addresses of a name as endpoints: changes followed, failures survived (E4).

use std::time::{Duration, Instant};

use ambassador_core::clock::{Nanos, SECOND};
use ambassador_core::discovery::{Discovery, Source};
use hickory_server::proto::rr::RecordType::{A, AAAA};

use crate::kit::dns::Dns;
use crate::watching::Watching;

/// So long that nothing is looked for again because of it.
const SELDOM: Nanos = 3600 * SECOND;

fn discovery(dns: &Dns, name: &str, refresh: Nanos) -> Discovery {
    Discovery { servers: vec![dns.address()], refresh, ..Discovery::new(Source::Dns(name.to_owned())) }
}

fn watching(dns: &Dns, name: &str) -> Watching {
    Watching::begin(discovery(dns, name, SELDOM), "http://payment-api.test:8080")
}

#[test]
fn a_change_is_followed_when_the_answer_expires() {
    let dns = Dns::start();
    dns.addresses("moves.test", 1, &["127.0.0.1"]);
    let watching = watching(&dns, "moves.test");
    assert_eq!(watching.found(), ["127.0.0.1:8080"]);
    dns.addresses("moves.test", 1, &["127.0.0.2", "127.0.0.3"]);
    watching.turns(&["127.0.0.1:8080"], &["127.0.0.2:8080", "127.0.0.3:8080"]);
}

#[test]
fn a_change_is_followed_after_refresh_however_long_the_answer_holds() {
    let dns = Dns::start();
    dns.addresses("slowly.test", 86400, &["127.0.0.1"]);
    let watching = Watching::begin(discovery(&dns, "slowly.test", SECOND), "payment-api.test:8080");
    assert_eq!(watching.found(), ["127.0.0.1:8080"]);
    dns.addresses("slowly.test", 86400, &["127.0.0.2"]);
    watching.turns(&["127.0.0.1:8080"], &["127.0.0.2:8080"]);
}

#[test]
fn an_answer_that_holds_no_time_is_looked_for_again_after_a_second() {
    let dns = Dns::start();
    dns.addresses("fleeting.test", 0, &["127.0.0.1"]);
    let begun = Instant::now();
    let watching = watching(&dns, "fleeting.test");
    watching.found();
    watching.found();
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[test]
fn both_families_are_endpoints_in_an_order_that_the_server_does_not_change() {
    let dns = Dns::start();
    dns.addresses("both.test", 1, &["127.0.0.2", "::1", "127.0.0.1"]);
    let watching = watching(&dns, "both.test");
    let both = ["127.0.0.1:8080", "127.0.0.2:8080", "[::1]:8080"];
    assert_eq!(watching.found(), both);
    dns.addresses("both.test", 1, &["127.0.0.1", "127.0.0.2", "::1"]);
    assert_eq!(watching.found(), both);
}

#[test]
fn the_port_is_the_names_or_the_targets_or_that_of_its_scheme() {
    let dns = Dns::start();
    dns.addresses("port.test", 60, &["127.0.0.1"]);
    for (name, target, endpoint) in [
        ("port.test:81", "http://payment-api.test:8080", "127.0.0.1:81"),
        ("port.test", "http://payment-api.test:8080", "127.0.0.1:8080"),
        ("port.test", "http://payment-api.test", "127.0.0.1:80"),
        ("port.test", "https://payment-api.test", "127.0.0.1:443"),
        ("port.test", "payment-api.test", "127.0.0.1:443"),
        ("127.0.0.7:81", "payment-api.test", "127.0.0.7:81"),
        ("localhost:82", "payment-api.test", "127.0.0.1:82"),
    ] {
        let found = Watching::begin(discovery(&dns, name, SELDOM), target).found();
        assert!(found.contains(&endpoint.to_owned()), "{name} of {target}: {found:?}");
    }
}

#[test]
fn two_hundred_addresses_are_as_many_endpoints() {
    let dns = Dns::start();
    let ips: Vec<String> = (1..=200).map(|n| format!("127.0.1.{n}")).collect();
    dns.addresses("many.test", 60, &ips.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(watching(&dns, "many.test").found().len(), 200);
    assert!(dns.asked_over_tcp() > 0);
}

#[test]
fn answers_too_long_for_udp_come_again_from_a_server_that_was_down() {
    let mut dns = Dns::start();
    let ips: Vec<String> = (1..=200).map(|n| format!("127.0.1.{n}")).collect();
    let ips: Vec<&str> = ips.iter().map(String::as_str).collect();
    dns.addresses("many.test", 1, &ips);
    let watching = watching(&dns, "many.test");
    let before = watching.found();
    // The connection over which they came is gone with it.
    dns.goes_down();
    dns.addresses("many.test", 1, &ips[1..]);
    dns.comes_back();
    let before: Vec<&str> = before.iter().map(String::as_str).collect();
    let after: Vec<&str> = before.iter().copied().filter(|endpoint| *endpoint != "127.0.1.1:8080").collect();
    watching.turns(&before, &after);
}

#[test]
fn a_server_that_is_down_leaves_the_set_as_it_was_and_is_asked_again() {
    let mut dns = Dns::start();
    dns.addresses("stays.test", 1, &["127.0.0.1"]);
    let watching = watching(&dns, "stays.test");
    assert_eq!(watching.found(), ["127.0.0.1:8080"]);
    dns.goes_down();
    let why = watching.failed();
    assert!(why.starts_with("stays.test: no DNS server"), "{why}");
    dns.addresses("stays.test", 1, &["127.0.0.2"]);
    dns.comes_back();
    watching.turns(&["127.0.0.1:8080"], &["127.0.0.2:8080"]);
}

#[test]
fn a_failing_server_and_a_name_that_is_gone_leave_the_set_as_it_was() {
    let dns = Dns::start();
    dns.addresses("wavers.test", 1, &["127.0.0.1"]);
    let watching = watching(&dns, "wavers.test");
    assert_eq!(watching.found(), ["127.0.0.1:8080"]);
    dns.fails("wavers.test");
    assert_eq!(watching.failed(), "wavers.test: the DNS server answered SERVFAIL");
    dns.forgets("wavers.test");
    while watching.failed() != "wavers.test: no such name (NXDOMAIN)" {}
    dns.addresses("wavers.test", 1, &[]);
    while !watching.failed().starts_with("wavers.test: it has no ") {}
    dns.addresses("wavers.test", 1, &["127.0.0.1", "127.0.0.2"]);
    watching.turns(&["127.0.0.1:8080"], &["127.0.0.1:8080", "127.0.0.2:8080"]);
}

#[test]
fn a_family_for_which_the_server_fails_stays_as_it_was() {
    let dns = Dns::start();
    dns.addresses("half.test", 1, &["127.0.0.1", "::1"]);
    let watching = watching(&dns, "half.test");
    assert_eq!(watching.found(), ["127.0.0.1:8080", "[::1]:8080"]);
    dns.fails_for("half.test", AAAA);
    dns.addresses("half.test", 1, &["127.0.0.2", "::1"]);
    watching.turns(&["127.0.0.1:8080", "[::1]:8080"], &["127.0.0.2:8080", "[::1]:8080"]);
}

#[test]
fn a_family_that_a_name_has_no_more_goes() {
    let dns = Dns::start();
    dns.addresses("leaves.test", 1, &["127.0.0.1", "::1"]);
    let watching = watching(&dns, "leaves.test");
    assert_eq!(watching.found(), ["127.0.0.1:8080", "[::1]:8080"]);
    dns.addresses("leaves.test", 1, &["::1"]);
    watching.turns(&["127.0.0.1:8080", "[::1]:8080"], &["[::1]:8080"]);
}

#[test]
fn a_name_that_does_not_exist_yet_is_found_when_it_does() {
    let dns = Dns::start();
    let watching = watching(&dns, "late.test");
    assert_eq!(watching.next().unwrap_err(), "late.test: no such name (NXDOMAIN)");
    dns.addresses("late.test", 60, &["127.0.0.1"]);
    watching.turns(&[], &["127.0.0.1:8080"]);
}

#[test]
fn a_slow_server_is_waited_for() {
    let dns = Dns::start();
    dns.addresses("slow.test", 60, &["127.0.0.1", "::1"]);
    dns.takes(Duration::from_millis(1500));
    assert_eq!(watching(&dns, "slow.test").found(), ["127.0.0.1:8080", "[::1]:8080"]);
}

#[test]
fn a_watch_that_is_dropped_asks_no_more() {
    let dns = Dns::start();
    dns.addresses("dropped.test", 0, &["127.0.0.1"]);
    let dropped = watching(&dns, "dropped.test");
    dropped.found();
    drop(dropped);
    let asked = dns.asked("dropped.test", A);
    // Another watch is told twice, a second apart at least: the one that was dropped would have asked in between.
    dns.addresses("other.test", 0, &["127.0.0.1"]);
    let other = watching(&dns, "other.test");
    other.found();
    other.found();
    other.found();
    assert_eq!(dns.asked("dropped.test", A), asked);
}
