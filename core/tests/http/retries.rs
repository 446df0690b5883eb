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
