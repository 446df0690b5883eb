//! SRV records as endpoints: priorities, weights, and targets that come and go.

use ambassador_core::clock::SECOND;
use ambassador_core::discovery::{Discovery, Source};

use crate::kit::dns::Dns;
use crate::watching::{Watching, shown};

const NAME: &str = "_http._tcp.payment-api.test";

fn watching(dns: &Dns) -> Watching {
    let discovery = Discovery::new(Source::Srv(NAME.to_owned()));
    let discovery = Discovery { servers: vec![dns.address()], refresh: 3600 * SECOND, ..discovery };
    Watching::begin(discovery, "http://payment-api.test")
}

#[test]
fn each_target_is_an_endpoint_at_its_port_with_its_weight() {
    let dns = Dns::start();
    dns.services(NAME, 60, &[(1, 30, 81, "one.test"), (1, 0, 82, "two.test"), (2, 9, 83, "standby.test")]);
    dns.addresses("one.test", 60, &["127.0.0.1"]);
    dns.addresses("two.test", 60, &["127.0.0.2"]);
    dns.addresses("standby.test", 60, &["127.0.0.3"]);
    let found = watching(&dns).next().unwrap();
    assert_eq!(shown(&found), ["127.0.0.1:81", "127.0.0.2:82"]);
    assert_eq!([found[0].its_weight(), found[1].its_weight()], [30, 1]);
}

#[test]
fn the_addresses_of_a_target_share_its_weight() {
    let dns = Dns::start();
    dns.services(NAME, 60, &[(1, 10, 81, "one.test"), (1, 10, 82, "two.test")]);
    dns.addresses("one.test", 60, &["127.0.0.1", "::1"]);
    dns.addresses("two.test", 60, &["127.0.0.2"]);
    let found = watching(&dns).next().unwrap();
    assert_eq!(shown(&found), ["127.0.0.1:81", "127.0.0.2:82", "[::1]:81"]);
    assert_eq!([found[0].its_weight(), found[1].its_weight(), found[2].its_weight()], [5, 10, 5]);
}

#[test]
fn targets_of_the_next_priority_stand_in_when_the_first_has_no_address() {
    let dns = Dns::start();
    dns.services(NAME, 1, &[(1, 1, 81, "first.test"), (2, 1, 82, "standby.test")]);
    dns.addresses("standby.test", 60, &["127.0.0.2"]);
    let watching = watching(&dns);
    assert_eq!(watching.found(), ["127.0.0.2:82"]);
    dns.addresses("first.test", 60, &["127.0.0.1"]);
    watching.turns(&["127.0.0.2:82"], &["127.0.0.1:81"]);
}

#[test]
fn a_target_for_which_the_server_fails_stays_as_it_was() {
    let dns = Dns::start();
    dns.services(NAME, 1, &[(1, 1, 81, "one.test"), (1, 1, 82, "two.test")]);
    dns.addresses("one.test", 1, &["127.0.0.1"]);
    dns.addresses("two.test", 1, &["127.0.0.2"]);
    let watching = watching(&dns);
    assert_eq!(watching.found(), ["127.0.0.1:81", "127.0.0.2:82"]);
    dns.fails("one.test");
    dns.addresses("two.test", 1, &["127.0.0.3"]);
    watching.turns(&["127.0.0.1:81", "127.0.0.2:82"], &["127.0.0.1:81", "127.0.0.3:82"]);
    // What the service does not name any more is gone.
    dns.services(NAME, 1, &[(1, 1, 82, "two.test")]);
    watching.turns(&["127.0.0.1:81", "127.0.0.3:82"], &["127.0.0.3:82"]);
}

#[test]
fn what_is_wrong_is_said() {
    let dns = Dns::start();
    let watching = watching(&dns);
    assert_eq!(watching.next().unwrap_err(), format!("{NAME}: no such name (NXDOMAIN)"));
    dns.services(NAME, 1, &[(0, 0, 0, ".")]);
    while watching.failed() != format!("{NAME}: it says that there is no such service") {}
    dns.services(NAME, 1, &[(1, 1, 81, "none.test")]);
    let none = format!("{NAME}: none of its targets has an address: none.test: no such name (NXDOMAIN)");
    while watching.failed() != none {}
    dns.addresses("none.test", 60, &["127.0.0.1"]);
    watching.turns(&[], &["127.0.0.1:81"]);
}
