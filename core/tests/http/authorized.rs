//! Requests that have no credentials to go with: they go nowhere, and nobody who was not asked is blamed for that.

use super::*;
use crate::kit::tls::Folder;
use ambassador_core::balance::Outlier;
use ambassador_core::policy::auth::{Auth, ClientCredentials, Secret, Token};
use ambassador_core::policy::breaker::Breaker;
use ambassador_core::{Code, Endpoint};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

/// Two endpoints of an API to which requests go with a token of that server. One failure opens the circuit, and one ejects an endpoint.
fn asking(tokens: &Server, apis: &[Server; 2]) -> Builder {
    let client = ClientCredentials {
        token_url: tokens.url(),
        client_id: "client".into(),
        client_secret: Secret::new("s3cret"),
        scope: None,
    };
    builder("http://payment-api.example.com")
        .endpoints(apis.each_ref().map(|api| Endpoint::new(&api.url()).unwrap()))
        .auth(Auth::OAuth2(client))
        .breaker(Breaker::default().consecutive_failures(1))
        .outlier(Outlier { consecutive_failures: 1, ..Outlier::default() })
}

/// What was told of the proxy since the last time.
fn told(proxy: &AmbassadorProxy) -> Vec<Value> {
    proxy.fetch_events().iter().map(|event| serde_json::from_str(&event.to_json("")).unwrap()).collect()
}

/// Nobody is blamed by what was told: so many attempts failed so, and nowhere.
fn blames_nobody(told: &[Value], attempts: usize, outcome: &str) {
    let ended: Vec<_> = told.iter().filter(|event| event["type"] == "attempt").collect();
    assert_eq!(ended.len(), attempts, "{told:?}");
    for attempt in ended {
        assert_eq!((attempt["outcome"].as_str(), attempt.get("endpoint")), (Some(outcome), None));
    }
    assert!(told.iter().all(|event| event["type"] != "circuit" && event["type"] != "endpoint"), "{told:?}");
}

#[test]
fn an_attempt_without_a_token_blames_no_endpoint_and_not_the_target() {
    let tokens = Server::scripted(|peer| {
        while peer.request().is_some() {
            peer.answer(500, &[], b"");
        }
    });
    let apis = [Server::answering("well"), Server::answering("well")];
    let proxy = asking(&tokens, &apis).build().unwrap();
    proxy.keep_events();
    let error = block_on(proxy.send(get("/"))).unwrap_err();
    assert_eq!((error.code(), error.attempts()), (Code::Auth, 4));
    let message = error.to_string();
    assert!(message.contains(&format!("no token: {}/ answers 500", tokens.url())), "{message}");
    assert!(apis.iter().all(|api| !message.contains(&api.authority()) && api.connections() == 0), "{message}");
    blames_nobody(&told(&proxy), 4, "failure");
    let health: Value = serde_json::from_str(&proxy.health()).unwrap();
    assert_eq!(health["in_flight"], 0);
    assert!(health["endpoints"].as_array().unwrap().iter().all(|endpoint| endpoint["in_flight"] == 0), "{health}");
}

#[test]
fn an_attempt_that_waits_for_a_token_beyond_its_bound_blames_nobody_either() {
    let tokens = Server::scripted(|peer| {
        peer.request();
        peer.wait_for_end();
    });
    let apis = [Server::answering("well"), Server::answering("well")];
    let proxy = asking(&tokens, &apis).max_retries(2).timeout(Duration::from_millis(50)).build().unwrap();
    proxy.keep_events();
    let error = block_on(proxy.send(get("/"))).unwrap_err();
    assert_eq!((error.code(), error.attempts()), (Code::Timeout, 2));
    assert!(apis.iter().all(|api| api.connections() == 0));
    blames_nobody(&told(&proxy), 2, "timeout");
}

#[test]
fn with_a_token_a_failure_is_the_endpoints_as_ever() {
    let tokens = Server::answering(r#"{"access_token":"t"}"#);
    let apis = [Server::scripted(|peer| peer.reset()), Server::scripted(|peer| peer.reset())];
    let proxy = asking(&tokens, &apis).build().unwrap();
    proxy.keep_events();
    block_on(proxy.send(get("/"))).unwrap_err();
    let told = told(&proxy);
    assert!(told.iter().any(|event| event["type"] == "circuit" && event["to"] == "open"), "{told:?}");
    assert!(told.iter().any(|event| event["type"] == "endpoint" && event["to"] == "ejected"), "{told:?}");
    assert!(told.iter().any(|event| event["type"] == "attempt" && event["endpoint"].is_string()), "{told:?}");
}

/// How long the circuit stays open.
const BRIEFLY: Duration = Duration::from_millis(1);

#[test]
fn a_probe_that_has_no_token_gives_its_place_back() {
    let is_in_trouble = Arc::new(AtomicBool::new(false));
    let without_tokens = Arc::clone(&is_in_trouble);
    let tokens = Server::scripted(move |peer| {
        while peer.request().is_some() {
            // It is over when it comes: each attempt asks for one.
            let token: &[u8] = br#"{"access_token":"t","expires_in":0}"#;
            if without_tokens.load(SeqCst) { peer.answer(400, &[], b"") } else { peer.answer(200, &[], token) }
        }
    });
    let has_failed = Arc::new(AtomicBool::new(false));
    let apis = [(); 2].map(|()| {
        let has_failed = Arc::clone(&has_failed);
        Server::scripted(move |peer| {
            while peer.request().is_some() {
                if !has_failed.swap(true, SeqCst) {
                    return peer.reset();
                }
                peer.answer(200, &[], b"well");
            }
        })
    });
    let breaker = Breaker::default().consecutive_failures(1).probes(1).open_for(BRIEFLY).open_max(BRIEFLY);
    let proxy = asking(&tokens, &apis).breaker(breaker).max_retries(1).build().unwrap();
    let circuit = || serde_json::from_str::<Value>(&proxy.health()).unwrap()["circuit"]["state"].clone();
    block_on(proxy.send(get("/"))).unwrap_err();
    is_in_trouble.store(true, SeqCst);
    let mut refused = std::iter::repeat_with(|| block_on(proxy.send(get("/"))).unwrap_err().code());
    assert_eq!(refused.find(|code| *code != Code::CircuitOpen), Some(Code::Auth));
    assert_eq!(circuit(), "half_open");
    is_in_trouble.store(false, SeqCst);
    assert_eq!(text(block_on(proxy.send(get("/"))).unwrap()), "well");
    assert_eq!(circuit(), "closed");
}

/// What was told of credentials since the last time: of which setting, and why they cannot be used.
fn of_credentials(proxy: &AmbassadorProxy) -> Vec<(String, Option<String>)> {
    let told = told(proxy).into_iter().filter(|event| event["type"] == "credentials");
    told.map(|event| (event["field"].as_str().unwrap().into(), event["why"].as_str().map(str::to_owned))).collect()
}

#[test]
fn a_file_that_cannot_be_used_is_told_of_once_and_its_last_token_stays() {
    let (api, folder) = (Server::answering("well"), Folder::new());
    let file = Auth::Bearer(Token::File(folder.file("token", "f1rst")));
    let proxy = builder(&api.url()).auth(file).build().unwrap();
    proxy.keep_events();
    let sends = |token: &str| {
        block_on(proxy.send(get("/"))).unwrap();
        let seen = api.seen();
        assert_eq!(seen.last().unwrap().header("authorization"), Some(&*format!("Bearer {token}")));
        of_credentials(&proxy)
    };
    assert_eq!(sends("f1rst"), []);
    folder.swap("token", "");
    assert_eq!(sends("f1rst"), [("auth.bearer_file".into(), Some("it is empty".into()))]);
    assert_eq!(sends("f1rst"), []);
    folder.swap("token", "s3cond");
    assert_eq!(sends("s3cond"), [("auth.bearer_file".into(), None)]);
}

#[test]
fn a_token_that_cannot_be_fetched_ahead_of_its_end_is_told_of() {
    let has_given = AtomicBool::new(false);
    let tokens = Server::scripted(move |peer| {
        while peer.request().is_some() {
            // A fifth of its time is left at once.
            let token: &[u8] = br#"{"access_token":"t","expires_in":3600}"#;
            if has_given.swap(true, SeqCst) { peer.answer(400, &[], b"") } else { peer.answer(200, &[], token) }
        }
    });
    common::alone("authorized::a_token_that_cannot_be_fetched_ahead_of_its_end_is_told_of", || {
        let apis = [Server::answering("well"), Server::answering("well")];
        let proxy = asking(&tokens, &apis).build().unwrap();
        let (told, heard) = std::sync::mpsc::channel();
        proxy.on_event(move |_, event| drop(told.send(event.to_json(""))));
        let time = ambassador_core::testing::VirtualTime::start();
        block_on(proxy.send(get("/"))).unwrap();
        time.advance(Duration::from_secs(3590));
        block_on(proxy.send(get("/"))).unwrap();
        let told = heard.iter().find(|event| event.contains("credentials")).unwrap();
        assert!(told.contains("auth.token_url") && told.contains("answers 400"), "{told}");
    });
}
