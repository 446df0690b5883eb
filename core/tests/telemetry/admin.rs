//! The admin server: what it answers, whom it lets in, and that it answers whatever becomes of the rest of the process.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use ambassador_core::config;
use ambassador_core::discovery::{Discovery, Source};
use ambassador_core::telemetry::log::{self, Level};
use ambassador_core::telemetry::{AdminOptions, admins, serve_admin};
use ambassador_core::{AmbassadorProxy, runtime};

use crate::asked::*;
use crate::common::*;
use crate::parsed::Parsed;

#[test]
fn every_path_answers_and_none_may_be_taken_for_anything_else_by_a_browser() {
    let (admin, proxy) = (serving(), builder().build().unwrap());
    for (path, content_type, part) in [
        ("/", "text/html; charset=utf-8", "<!doctype html>"),
        ("/healthz", "text/plain; charset=utf-8", "alive"),
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8", "ambassador_build_info{"),
        ("/v1/snapshot", "application/json", proxy.name()),
        ("/v1/config", "application/json", "\"origin\":\"constructor\""),
    ] {
        let answer = get(admin.address(), path);
        assert_eq!((answer.status, &*answer.headers["content-type"]), (200, content_type), "{path}");
        assert!(answer.body.to_ascii_lowercase().contains(part), "{path}: {}", answer.body);
        assert_eq!(
            (&*answer.headers["x-content-type-options"], &*answer.headers["cache-control"]),
            ("nosniff", "no-store")
        );
        let policy = &answer.headers["content-security-policy"];
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    }
    assert_eq!(get(admin.address(), "/nothing").status, 404);
    assert_eq!(ask(admin.address(), "DELETE /metrics", &["host: localhost"]).headers["allow"], "GET, HEAD");
    let head = ask(admin.address(), "HEAD /metrics", &["host: localhost"]);
    assert_eq!((head.status, &*head.body), (200, ""));
    admin.stop();
}

#[test]
fn metrics_come_as_openmetrics_to_who_accepts_that() {
    let admin = serving();
    let answer = ask(
        admin.address(),
        "GET /metrics",
        &["host: localhost", "accept: application/openmetrics-text;version=1.0.0"],
    );
    assert!(answer.headers["content-type"].starts_with("application/openmetrics-text; version=1.0.0"));
    assert!(answer.body.ends_with("# EOF\n"));
    admin.stop();
}

#[test]
fn a_name_that_somebody_made_point_here_is_refused() {
    let admin = serving();
    for path in ["/", "/healthz", "/v1/snapshot"] {
        assert_eq!(ask(admin.address(), &format!("GET {path}"), &["host: evil.example"]).status, 403);
    }
    let known = AdminOptions { hosts: vec!["ops.example".into()], ..AdminOptions::default() };
    let known = serve_admin("127.0.0.1:0", known).unwrap();
    assert_eq!(ask(known.address(), "GET /healthz", &["host: ops.example"]).status, 200);
    [admin, known].iter().for_each(|admin| admin.stop());
}

#[test]
fn a_circuit_is_isolated_and_reset_by_who_shows_the_token() {
    let admin = serving();
    let proxy = AmbassadorProxy::builder("http://10.0.0.7:80/v1").name("an api/of mine").build().unwrap();
    let bearer = format!("authorization: Bearer {}", admin.token());
    let act = |action: &str, lines: &[&str]| {
        let lines: Vec<&str> = ["host: localhost"].iter().chain(lines).copied().collect();
        ask(admin.address(), &format!("POST /v1/targets/an%20api%2Fof%20mine/{action}"), &lines)
    };
    let circuit = || serde_json::from_str::<serde_json::Value>(&proxy.health()).unwrap()["circuit"]["state"].clone();

    assert_eq!(
        (act("isolate", &[]).status, act("isolate", &["authorization: Bearer guessed-by-somebody"]).status),
        (401, 401)
    );
    assert_eq!(act("isolate", &[&bearer, "origin: http://evil.example"]).status, 403);
    assert_eq!(act("isolate", &[&bearer, "sec-fetch-site: cross-site"]).status, 403);
    assert_eq!(circuit(), "closed");
    let done = act("isolate", &[&bearer, "origin: http://localhost"]);
    assert_eq!((done.status, &*done.body), (200, r#"{"name":"an api/of mine","circuit":"isolated"}"#));
    assert_eq!(circuit(), "isolated");
    assert_eq!(act("reset", &[&bearer]).status, 200);
    assert_eq!(circuit(), "closed");

    assert_eq!(ask(admin.address(), "GET /v1/targets/x/reset", &["host: localhost"]).headers["allow"], "POST");
    let unknown = ask(admin.address(), "POST /v1/targets/nobody/reset", &["host: localhost", &bearer]);
    assert_eq!(unknown.status, 404);
    let off = builder().build().unwrap();
    let path = format!("POST /v1/targets/{}/isolate", off.name().replace(' ', "%20"));
    assert_eq!(ask(admin.address(), &path, &["host: localhost", &bearer]).status, 409);
    admin.stop();
}

#[test]
fn who_is_served_beyond_this_machine_shows_the_token_for_all_that_tells_something() {
    let token = "a token of some length";
    let refused = |options| serve_admin("0.0.0.0:0", options).unwrap_err().to_string();
    assert!(refused(AdminOptions::default()).contains("has to be asked for, by remote"));
    let remote = AdminOptions { remote: true, ..AdminOptions::default() };
    assert!(refused(remote.clone()).contains("a token beside an address"));
    let spaced = refused(AdminOptions { token: Some(token.into()), ..remote.clone() });
    assert!(spaced.contains("at least 16 visible characters") && !spaced.contains(token), "{spaced}");

    let token = token.replace(' ', "-");
    let admin = serve_admin("0.0.0.0:0", AdminOptions { token: Some(token.clone()), ..remote }).unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], admin.address().port()));
    for path in ["/metrics", "/v1/snapshot", "/v1/events", "/v1/config"] {
        assert_eq!(get(address, path).status, 401, "{path}");
    }
    for path in ["/", "/healthz"] {
        assert_eq!(get(address, path).status, 200, "{path}");
    }
    let bearer = format!("authorization: Bearer {token}");
    assert_eq!(ask(address, "GET /v1/snapshot", &["host: 10.0.0.7:9901", &bearer]).status, 200);
    admin.stop();
}

#[test]
fn what_is_no_address_and_what_is_taken_is_said_at_once() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = serve_admin(&address, AdminOptions::default()).unwrap_err();
    assert_eq!((error.field.as_str(), error.value), ("admin", format!("{address:?}")));
    assert!(error.allowed.starts_with("an address that can be listened on: "), "{}", error.allowed);
    for wrong in ["", "9901", "localhost", "127.0.0.1:", "127.0.0.1:99999"] {
        let error = serve_admin(wrong, AdminOptions::default()).unwrap_err();
        assert!(error.allowed.starts_with("an address and a port"), "{wrong}: {error}");
    }
}

#[test]
fn when_it_was_stopped_its_address_is_free() {
    let admin = serving();
    let mut events = Events::open(admin.address(), "/v1/events");
    assert!(admin.is_serving());
    admin.stop();
    assert!(!admin.is_serving());
    admin.stop();
    // Who reads its events is hung up on.
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| events.next())).is_err());
    let again = serve_admin(&admin.address().to_string(), AdminOptions::default()).unwrap();
    assert_eq!(get(again.address(), "/healthz").status, 200);
    again.stop();
}

#[test]
fn it_is_ready_when_endpoints_that_have_to_be_found_are_and_alive_before() {
    alone("admin::it_is_ready_when_endpoints_that_have_to_be_found_are_and_alive_before", || {
        let file = std::env::temp_dir().join(format!("ambassador-endpoints-{}.json", std::process::id()));
        let admin = serving();
        assert_eq!(get(admin.address(), "/readyz").status, 200);
        let proxy = builder().discovery(Discovery::new(Source::File(file.clone()))).build().unwrap();
        let answer = get(admin.address(), "/readyz");
        assert_eq!(
            (answer.status, answer.body),
            (503, format!("{}: no endpoints have been found yet\n", proxy.name()))
        );
        assert_eq!(get(admin.address(), "/healthz").status, 200);
        std::fs::write(&file, r#"["10.0.0.7:80"]"#).unwrap();
        // No call is needed for it to look.
        while get(admin.address(), "/readyz").status != 200 {
            std::thread::yield_now();
        }
        assert_eq!(proxy.endpoint_count(), 1);
        std::fs::remove_file(&file).unwrap();
    });
}

#[test]
fn it_answers_while_all_workers_of_the_runtime_are_stuck_and_says_for_how_long() {
    alone("admin::it_answers_while_all_workers_of_the_runtime_are_stuck_and_says_for_how_long", || {
        let (admin, workers) = (serving(), runtime::handle().metrics().num_workers());
        let all_stuck = Arc::new(Barrier::new(workers + 1));
        let (let_go, held) = (Arc::new(Barrier::new(workers + 1)), Arc::new(Barrier::new(workers + 1)));
        for _ in 0..workers {
            let (all_stuck, held) = (Arc::clone(&all_stuck), Arc::clone(&let_go));
            runtime::handle().spawn(async move {
                all_stuck.wait();
                held.wait();
            });
        }
        drop(held);
        all_stuck.wait();
        assert_eq!(get(admin.address(), "/healthz").status, 200);
        for path in ["/", "/readyz", "/v1/snapshot", "/v1/config"] {
            assert_eq!(get(admin.address(), path).status, 200, "{path}");
        }
        // Longer and longer, for as long as it lasts: half a second, at some time.
        loop {
            let seen = Parsed::of(&get(admin.address(), "/metrics").body);
            if seen.0.get("ambassador_runtime_lag_seconds").is_some_and(|&lag| lag > 0.5) {
                assert_eq!(seen.0["ambassador_runtime_threads"], workers as f64);
                break;
            }
        }
        let_go.wait();
        loop {
            let told: serde_json::Value = serde_json::from_str(&get(admin.address(), "/v1/snapshot").body).unwrap();
            if told["process"]["runtime"]["lag_ns"].as_u64().is_some_and(|lag| lag < 500_000_000) {
                break;
            }
        }
    });
}

#[test]
fn the_environment_may_ask_for_it() {
    let environment = [("AMBASSADOR_ADMIN", Some(Path::new("127.0.0.1:0")))];
    alone_with("admin::the_environment_may_ask_for_it", &environment, || {
        assert!(admins().is_empty());
        let proxies = [builder().build().unwrap(), builder().build().unwrap()];
        let [admin] = &admins()[..] else { panic!("{:?}", admins()) };
        assert!(get(admin.address(), "/v1/snapshot").body.contains(proxies[1].name()));
        assert!(runtime::shutdown(Duration::from_secs(60)));
        assert!(!admin.is_serving() && admins().is_empty());
    });
}

const CONFIGURED: &str =
    "version: 1\nadmin: {listen: \"127.0.0.1:0\", token: a-token-of-enough-length}\ntelemetry: {log: error}\n";

#[test]
fn a_configuration_may_ask_for_it_and_for_less_to_be_logged() {
    alone_with("admin::a_configuration_may_ask_for_it_and_for_less_to_be_logged", &[], || {
        config::configure(CONFIGURED).unwrap();
        let [admin] = &admins()[..] else { panic!("{:?}", admins()) };
        assert_eq!((admin.token(), log::operators()), ("a-token-of-enough-length", Some(Level::Error)));
        log::set_level(Level::Debug);
        assert_eq!(log::level(), Level::Error);
        config::configure(CONFIGURED).unwrap();
        let _proxy = builder().build().unwrap();
        assert_eq!(admins().len(), 1);
    });
}

#[test]
fn the_environment_is_stronger_than_a_configuration() {
    let environment =
        [("AMBASSADOR_ADMIN", Some(Path::new("127.0.0.1:0"))), ("AMBASSADOR_LOG", Some(Path::new("info")))];
    alone_with("admin::the_environment_is_stronger_than_a_configuration", &environment, || {
        config::configure(CONFIGURED).unwrap();
        let _proxy = builder().build().unwrap();
        let [admin] = &admins()[..] else { panic!("{:?}", admins()) };
        assert_ne!(admin.token(), "a-token-of-enough-length");
        assert_eq!(log::operators(), Some(Level::Info));
    });
}

#[test]
fn a_program_whose_environment_asks_for_an_address_that_is_taken_goes_on_without() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let environment = [("AMBASSADOR_ADMIN", Some(Path::new(&address)))];
    alone_with(
        "admin::a_program_whose_environment_asks_for_an_address_that_is_taken_goes_on_without",
        &environment,
        || {
            let proxy = builder().build().unwrap();
            assert!(admins().is_empty());
            assert_eq!(proxy.call_blocking(|| async { Ok::<_, std::fmt::Error>(7) }).unwrap(), 7);
        },
    );
}
