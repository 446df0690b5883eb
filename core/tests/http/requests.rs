//! What is sent, and what comes back.

use super::*;
use ambassador_core::http::{Mode, Options};

#[test]
fn a_request_goes_to_the_target_and_its_response_comes_back() {
    let server = Server::answering("charged");
    let response = block_on(proxy(&server).send(get("/charges/42?by=id"))).unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(text(response), "charged");
    let [seen] = &server.seen()[..] else { panic!() };
    assert_eq!((&*seen.method, &*seen.path), ("GET", "/charges/42?by=id"));
    assert_eq!(seen.header("host"), Some(&*server.authority()));
    assert_eq!(seen.header("user-agent"), Some(concat!("ambassador/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(seen.header("traceparent").unwrap().len(), 55);
}

#[test]
fn a_body_in_memory_is_sent_with_its_length() {
    let server = Server::answering("");
    block_on(proxy(&server).send(post("/charges", "42 EUR"))).unwrap();
    let seen = &server.seen()[0];
    assert_eq!((&*seen.body, seen.header("content-length")), (&b"42 EUR"[..], Some("6")));
}

#[test]
fn the_targets_path_comes_before_the_requests() {
    let server = Server::answering("");
    let proxy = builder(&format!("{}/v1/pay/", server.url())).build().unwrap();
    block_on(proxy.send(get("/charges?x=1"))).unwrap();
    block_on(proxy.send(get(&format!("{}/v2", server.url())))).unwrap();
    let paths: Vec<String> = server.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths, ["/v1/pay/charges?x=1", "/v2"]);
}

#[test]
fn another_targets_url_is_not_sent() {
    let server = Server::answering("");
    let error = block_on(proxy(&server).send(get("http://example.com/secret?key=hidden"))).unwrap_err();
    assert_eq!(error.code(), ambassador_core::Code::Protocol);
    assert!(!error.to_string().contains("hidden"), "{error}");
    assert_eq!(server.connections(), 0);
}

#[test]
fn what_is_for_one_connection_stays_behind() {
    let server = Server::answering("");
    let request = Request::get("/")
        .header("connection", "close, x-mine")
        .header("x-mine", "1")
        .header("te", "gzip")
        .header("upgrade", "h2c")
        .header("expect", "100-continue")
        .header("host", "example.com")
        .header("x-yours", "2")
        .body(Body::empty())
        .unwrap();
    block_on(proxy(&server).send(request)).unwrap();
    let seen = &server.seen()[0];
    for name in ["connection", "x-mine", "te", "upgrade", "expect"] {
        assert_eq!(seen.header(name), None, "{name}");
    }
    assert_eq!((seen.header("x-yours"), seen.header("host")), (Some("2"), Some(&*server.authority())));
}

#[test]
fn requests_one_after_the_other_share_a_connection() {
    let server = Server::answering("x");
    let proxy = proxy(&server);
    for _ in 0..100 {
        block_on(proxy.send(get("/"))).unwrap();
    }
    assert_eq!((server.seen().len(), server.connections()), (100, 1));
}

#[test]
fn a_stream_that_is_read_to_its_end_gives_its_connection_back() {
    let server = Server::scripted(|peer| {
        while peer.request().is_some() {
            peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n");
        }
    });
    let proxy = proxy(&server);
    for _ in 0..3 {
        assert_eq!(text(block_on(proxy.stream(get("/"))).unwrap()), "abcdef");
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_stream_is_there_before_its_body_is() {
    let (first, second) = std::sync::mpsc::channel();
    let second = std::sync::Mutex::new(second);
    let server = Server::scripted(move |peer| {
        peer.request();
        peer.write("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabc");
        let _: () = second.lock().unwrap().recv().unwrap();
        peer.write("def");
    });
    let options = || {
        let mut options = Options::default();
        options.mode = Mode::Stream;
        options
    };
    let mut response = block_on(proxy(&server).send_with(get("/"), options())).unwrap();
    let body = response.body_mut();
    assert_eq!(&block_on(body.chunk()).unwrap().unwrap()[..], b"abc");
    first.send(()).unwrap();
    assert_eq!(&block_on(body.chunk()).unwrap().unwrap()[..], b"def");
    assert!(block_on(body.chunk()).is_none());
}
