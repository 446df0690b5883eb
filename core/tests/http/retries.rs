//! What is tried again, and what is not (P1–P4).

use super::*;
use ambassador_core::Code;

#[test]
fn a_503_is_tried_again_and_the_last_response_is_handed_back() {
    let server = Server::scripted(|peer| {
        while peer.request().is_some() {
            peer.answer(503, &[], b"busy");
        }
    });
    let response = block_on(proxy(&server).send(get("/"))).unwrap();
    assert_eq!((response.status().as_u16(), server.seen().len()), (503, 4));
    assert_eq!(text(response), "busy");
}

#[test]
fn a_post_is_not_made_twice() {
    let server = Server::scripted(|peer| {
        while peer.request().is_some() {
            peer.answer(503, &[], b"");
        }
    });
    assert_eq!(block_on(proxy(&server).send(post("/", "x"))).unwrap().status(), 503);
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn a_post_whose_connection_is_lost_after_it_was_sent_arrives_exactly_once() {
    let server = Server::scripted(|peer| {
        peer.request();
        peer.reset();
    });
    let error = block_on(proxy(&server).send(post("/", "x"))).unwrap_err();
    assert_eq!((error.code(), error.attempts(), server.seen().len()), (Code::Transport, 1, 1));
    assert!(error.to_string().contains(&server.url()), "{error}");
}

#[test]
fn a_get_whose_connection_is_lost_is_tried_again() {
    let server = Server::scripted(|peer| {
        peer.request();
        match peer.number {
            0 => peer.reset(),
            _ => peer.answer(200, &[], b"there"),
        }
    });
    assert_eq!(text(block_on(proxy(&server).send(get("/"))).unwrap()), "there");
}

#[test]
fn a_post_that_was_never_sent_is_tried_again() {
    let proxy = builder(&format!("http://{}", nobody())).build().unwrap();
    let error = block_on(proxy.send(post("/?key=hidden", "x"))).unwrap_err();
    assert_eq!((error.code(), error.attempts()), (Code::Connect, 4));
    assert!(error.to_string().contains("connection refused") && !error.to_string().contains("hidden"), "{error}");
}

#[test]
fn a_post_with_a_key_is_tried_again_with_the_same_key() {
    let server = Server::scripted(|peer| {
        while peer.request().is_some() {
            match peer.number {
                0 => return peer.reset(),
                _ => peer.answer(200, &[], b"charged"),
            }
        }
    });
    let proxy =
        builder(&server.url()).idempotency_key(ambassador_core::policy::http::IdempotencyKey::Auto).build().unwrap();
    assert_eq!(text(block_on(proxy.send(post("/", "x"))).unwrap()), "charged");
    let keys: Vec<_> = server.seen().iter().map(|seen| seen.header("idempotency-key").unwrap().to_string()).collect();
    assert!(keys.len() == 2 && keys[0] == keys[1], "{keys:?}");
    assert_eq!(keys[0].len(), 36);
}

#[test]
fn retry_after_is_obeyed_and_one_that_is_too_long_ends_the_call() {
    let server = Server::scripted(|peer| {
        while peer.request().is_some() {
            peer.answer(429, &[("retry-after", "3600")], b"");
        }
    });
    assert_eq!(block_on(proxy(&server).send(get("/"))).unwrap().status(), 429);
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn a_429_is_no_failure_to_the_breaker_and_a_500_is() {
    let server = Server::scripted(|peer| {
        while let Some(seen) = peer.request() {
            peer.answer(seen.path[1..].parse().unwrap(), &[], b"");
        }
    });
    let breaker = ambassador_core::Breaker::default().consecutive_failures(2);
    let proxy = builder(&server.url()).breaker(breaker).max_retries(4).build().unwrap();
    assert_eq!(block_on(proxy.send(get("/429"))).unwrap().status(), 429);
    assert!(proxy.health().contains(r#""circuit":{"state":"closed""#));
    for _ in 0..2 {
        assert_eq!(block_on(proxy.send(get("/500"))).unwrap().status(), 500);
    }
    assert!(proxy.health().contains(r#""circuit":{"state":"open""#));
}

#[test]
fn a_retry_goes_to_another_endpoint() {
    let (dead, well) = (nobody(), Server::answering("well"));
    let endpoints = [format!("http://{dead}"), well.url()].map(|url| ambassador_core::Endpoint::new(&url).unwrap());
    let proxy = builder("http://payment-api.example.com").endpoints(endpoints).build().unwrap();
    for _ in 0..20 {
        assert_eq!(text(block_on(proxy.send(post("/", "x"))).unwrap()), "well");
    }
    assert!(well.seen().iter().all(|seen| seen.header("host") == Some("payment-api.example.com")));
}
