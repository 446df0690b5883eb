//! Requests that are sent for hosts which wait in ways of their own.

use super::*;
use ambassador_core::Code;
use ambassador_core::http::{Failed, Options, Retry, Served, Told};
use ambassador_core::policy::hedge::{After, Hedge};
use std::sync::mpsc::{Receiver, Sender, channel};

#[derive(Debug)]
enum Heard {
    Retry(Retry),
    Ended(Result<Response<Body>, Failed>),
}

struct Listener(Sender<Heard>);

impl Told for Listener {
    fn retry(&mut self, retry: Retry) {
        let _ = self.0.send(Heard::Retry(retry));
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
    let [Heard::Retry(first), Heard::Retry(_), Heard::Retry(third), Heard::Ended(Ok(response))] = &heard[..] else {
        panic!("{heard:?}")
    };
    assert!(first.line.starts_with("[Ambassador] Retry 1 after "), "{first:?}");
    assert!(first.line.ends_with(": HTTP 503 Service Unavailable"), "{first:?}");
    assert_eq!((first.attempt, third.attempt), (1, 3));
    assert_eq!((first.code, first.status.unwrap().as_u16()), (None, 503));
    assert_eq!((first.endpoint.as_str(), &*first.cause), (&*server.url(), "HTTP 503 Service Unavailable"));
    assert_eq!(response.status(), 503);
}

#[test]
fn a_retry_says_which_endpoint_failed_and_by_what() {
    let (refusing, slow, well) = (
        nobody(),
        Server::scripted(|peer| {
            peer.request();
            peer.wait_for_end();
        }),
        Server::answering("well"),
    );
    let endpoints = [format!("http://{refusing}"), slow.url(), well.url()];
    let endpoints = endpoints.map(|url| ambassador_core::Endpoint::new(&url).unwrap());
    let proxy = builder("http://payment-api.example.com")
        .endpoints(endpoints)
        .balance(ambassador_core::balance::Balance::RoundRobin)
        .timeout(Duration::from_millis(100))
        .build()
        .unwrap();
    let mut codes = std::collections::HashMap::new();
    for _ in 0..3 {
        let (told, heard) = listener();
        let _sending = proxy.spawn_send(get("/"), Options::default(), told);
        for told in heard {
            match told {
                Heard::Retry(Retry { endpoint, code, status: None, cause, line, .. }) => {
                    assert!(line.ends_with(&cause), "{line}");
                    codes.insert(endpoint.as_str().to_string(), code);
                }
                Heard::Ended(Ok(response)) => assert_eq!(text(response), "well"),
                other => panic!("{other:?}"),
            }
        }
    }
    let expected = [(format!("http://{refusing}"), Some(Code::Connect)), (slow.url(), Some(Code::Timeout))];
    assert_eq!(codes, expected.into());
}

#[test]
fn a_hedged_call_tells_how_many_attempts_it_made_whichever_of_them_brings_the_response() {
    let (release, released) = channel();
    let (released, release) = (std::sync::Mutex::new(released), std::sync::Mutex::new(release));
    let server = Server::scripted(move |peer| {
        while let Some(seen) = peer.request() {
            match seen.header("x-ambassador-attempt") {
                // It answers when the other has come.
                Some("1") => {
                    let _: () = released.lock().unwrap().recv().unwrap();
                    peer.answer(200, &[], b"first");
                }
                _ => {
                    release.lock().unwrap().send(()).unwrap();
                    peer.wait_for_end();
                }
            }
        }
    });
    let http = ambassador_core::policy::http::Http { attempt_headers: true, ..Default::default() };
    let hedge = Hedge { after: After::Fixed(1_000_000), max: 1 };
    let proxy = builder(&server.url()).http(http).idempotent(true).hedge(hedge).build().unwrap();
    let (told, heard) = listener();
    let _sending = proxy.spawn_send(get("/"), Options::default(), told);
    let heard: Vec<Heard> = heard.iter().collect();
    let [Heard::Ended(Ok(response))] = &heard[..] else { panic!("{heard:?}") };
    let served: &Served = response.extensions().get().unwrap();
    assert_eq!((served.attempt, served.attempts), (1, 2));
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
