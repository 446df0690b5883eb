//! Calls of a target whose endpoints are found: where they go while what is known of them changes (E4).

use std::convert::Infallible;
use std::thread;
use std::time::{Duration, Instant};

use ambassador_core::AmbassadorProxy;
use ambassador_core::clock::SECOND;
use ambassador_core::discovery::{Discovery, Source};
use ambassador_core::runtime::block_on;

use crate::common::{PATIENCE, builder};
use crate::kit::dns::Dns;

/// Where a call goes.
fn goes_to(proxy: &AmbassadorProxy) -> String {
    block_on(proxy.execute(|ctx| {
        let endpoint = ctx.endpoint().to_owned();
        async move { Ok::<_, Infallible>(endpoint) }
    }))
    .expect("no call is lost")
}

fn is_stale(proxy: &AmbassadorProxy) -> bool {
    let health: serde_json::Value = serde_json::from_str(&proxy.health()).unwrap();
    health["endpoints"][0]["stale"].as_bool().expect("an endpoint is stale or not")
}

#[test]
fn calls_go_on_while_the_server_fails_and_elsewhere_when_it_says_so() {
    let dns = Dns::start();
    dns.addresses("calls.test", 1, &["127.0.0.1"]);
    let found = Discovery::new(Source::Dns("calls.test:81".to_owned()));
    let found = Discovery { servers: vec![dns.address()], refresh: 3600 * SECOND, ..found };
    let proxy = builder().discovery(found).build().unwrap();

    let until = Instant::now() + PATIENCE;
    let calls_until = |is_so: &dyn Fn(&str) -> bool, before: &str| {
        loop {
            let endpoint = goes_to(&proxy);
            if is_so(&endpoint) {
                return;
            }
            assert_eq!(endpoint, before);
            assert!(Instant::now() < until, "it does not change");
            thread::park_timeout(Duration::from_millis(5));
        }
    };
    // The first call waits for what is found.
    assert_eq!(goes_to(&proxy), "127.0.0.1:81");
    dns.fails("calls.test");
    calls_until(&|_| is_stale(&proxy), "127.0.0.1:81");
    dns.forgets("calls.test");
    assert_eq!(goes_to(&proxy), "127.0.0.1:81");
    dns.addresses("calls.test", 1, &["127.0.0.2"]);
    calls_until(&|endpoint| endpoint == "127.0.0.2:81", "127.0.0.1:81");
    assert!(!is_stale(&proxy));
}
