//! Requests that are sent for hosts which wait in ways of their own.

use super::*;
use ambassador_core::Code;
use ambassador_core::http::{Failed, Options, Told};
use std::sync::mpsc::{Receiver, Sender, channel};

#[derive(Debug)]
enum Heard {
    Retry(String),
    Ended(Result<Response<Body>, Failed>),
}

struct Listener(Sender<Heard>);

impl Told for Listener {
    fn retry(&mut self, line: String) {
        let _ = self.0.send(Heard::Retry(line));
    }

    fn ended(self, ended: Result<Response<Body>, Failed>) {
        let _ = self.0.send(Heard::Ended(ended));
    }
}

fn listener() -> (Listener, Receiver<Heard>) {
    let (sender, heard) = channel();
    (Listener(sender), heard)
}

#[test]
fn each_retry_is_told_and_then_the_end() {
    let server = Server::scripted(|peer| {
        while peer.request().is_some() {
            peer.answer(503, &[], b"");
        }
    });
    let (told, heard) = listener();
    let _sending = proxy(&server).spawn_send(get("/"), Options::default(), told);
    let heard: Vec<Heard> = heard.iter().collect();
    let [Heard::Retry(first), Heard::Retry(_), Heard::Retry(_), Heard::Ended(Ok(response))] = &heard[..] else {
        panic!("{heard:?}")
    };
    assert!(first.starts_with("[Ambassador] Retry 1 after "), "{first}");
    assert!(first.ends_with(": HTTP 503 Service Unavailable"), "{first}");
    assert_eq!(response.status(), 503);
}

#[test]
fn a_request_that_is_cancelled_ends_so_and_nobody_is_told() {
    let server = Server::scripted(|peer| {
        peer.request();
        peer.wait_for_end();
    });
    let proxy = proxy(&server);
    let (told, heard) = listener();
    let sending = proxy.spawn_send(get("/"), Options::default(), told);
    server.wait_for(1);
    sending.cancel();
    assert!(heard.iter().next().is_none());
    assert!(
        proxy.health().contains(r#""in_flight":0,"calls":{"ok":0,"failure":0,"timeout":0,"rejected":0,"cancelled":1"#)
    );
}

#[test]
fn an_error_that_names_its_endpoint_is_told_last() {
    let (told, heard) = listener();
    let endpoint = nobody();
    let proxy = builder(&format!("http://{endpoint}")).max_retries(1).build().unwrap();
    let _sending = proxy.spawn_send(get("/"), Options::default(), told);
    let Heard::Ended(Err(Failed { error, answering: None })) = heard.recv().unwrap() else { panic!() };
    assert_eq!(error.code(), Code::Connect);
    assert!(error.to_string().contains(&endpoint), "{error}");
}
