//! Bounds of one request, in place of its proxy's.

use super::*;
use ambassador_core::Code;
use ambassador_core::http::Options;
use ambassador_core::settings::{Spelling, Value};

/// A server that takes requests, and answers none.
fn silent() -> Server {
    Server::scripted(|peer| {
        peer.request();
        peer.wait_for_end();
    })
}

fn within(timeout: Option<Duration>, deadline: Option<Duration>) -> Options {
    let mut options = Options::default();
    (options.timeout, options.deadline) = (timeout, deadline);
    options
}

#[test]
fn a_requests_own_timeout_bounds_each_of_its_attempts() {
    let server = silent();
    let proxy = proxy(&server);
    let options = within(Some(Duration::from_millis(30)), None);
    let error = block_on(proxy.send_with(get("/"), options)).unwrap_err();
    assert_eq!((error.code(), error.attempts(), server.seen().len()), (Code::Timeout, 4, 4));
    assert!(error.to_string().contains("attempt 4 of 4 did not end within 30ms"), "{error}");
    assert_eq!(common::attempts(&proxy), [0, 0, 4, 0], "counted with the others of the target");
}

#[test]
fn a_requests_own_deadline_bounds_it_whole() {
    let server = silent();
    let proxy = proxy(&server);
    let options = within(None, Some(Duration::from_millis(30)));
    let error = block_on(proxy.send_with(get("/"), options)).unwrap_err();
    assert_eq!((error.code(), error.attempts()), (Code::Deadline, 1));
    assert!(error.to_string().contains("deadline of 30ms"), "{error}");
}

#[test]
fn a_request_may_have_no_bound_where_its_proxy_has_one() {
    let (bounded, free) = std::sync::mpsc::channel();
    let free = std::sync::Mutex::new(free);
    let server = Server::scripted(move |peer| {
        while let Some(seen) = peer.request() {
            if seen.path == "/free" {
                // Until another one has outrun the proxy's bound.
                let _: () = free.lock().unwrap().recv().unwrap();
                peer.answer(200, &[], b"");
            } else {
                peer.wait_for_end();
            }
        }
    });
    let proxy = builder(&server.url()).timeout(Duration::from_millis(30)).max_retries(1).build().unwrap();
    let (told, answered) = std::sync::mpsc::channel();
    let waiting = proxy.clone();
    std::thread::spawn(move || {
        let options = within(Some(Duration::MAX), Some(Duration::MAX));
        told.send(block_on(waiting.send_with(get("/free"), options)).map(|response| response.status())).unwrap();
    });
    server.wait_for(1);
    let error = block_on(proxy.send(get("/"))).unwrap_err();
    assert_eq!(error.code(), Code::Timeout);
    bounded.send(()).unwrap();
    assert_eq!(answered.recv().unwrap().unwrap(), 200);
}

#[test]
fn a_bound_is_read_as_the_setting_of_that_name_is() {
    let mut options = Options::default();
    options.set(Spelling::Python, "timeout", &Value::Float(0.25)).unwrap();
    options.set(Spelling::C, "deadline_ms", &Value::Null).unwrap();
    assert_eq!((options.timeout, options.deadline), (Some(Duration::from_millis(250)), Some(Duration::MAX)));
    for wrong in [Value::Int(0), Value::Int(-1), Value::Float(f64::NAN), Value::Text("2s".into())] {
        let error = options.set(Spelling::Node, "timeoutMs", &wrong).unwrap_err();
        assert_eq!(error.field, "timeoutMs");
        assert!(error.allowed.starts_with("a number of milliseconds above 0"), "{error}");
    }
    assert!(options.set(Spelling::Node, "timeout", &Value::Int(1)).is_err(), "it is spelled otherwise there");
}
