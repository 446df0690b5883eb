//! What servers and the way to them do wrong, and what a request makes of it.

use super::*;
use ambassador_core::Code;
use ambassador_core::policy::http::Http;

/// Once, by whatever it ends.
fn once(server: &Server) -> AmbassadorProxy {
    builder(&server.url()).max_retries(1).build().unwrap()
}

/// A server whose first connection goes so, and whose others answer.
fn first_then_well(first: impl Fn(&mut kit::misbehaving::Peer) + Send + Sync + 'static) -> Server {
    Server::scripted(move |peer| {
        if peer.number == 0 {
            peer.request();
            return first(peer);
        }
        while peer.request().is_some() {
            peer.answer(200, &[], b"well");
        }
    })
}

#[test]
fn a_reset_inside_the_headers_is_tried_again() {
    let server = first_then_well(|peer| {
        peer.write("HTTP/1.1 200 OK\r\ncontent-le");
        peer.reset();
    });
    assert_eq!(text(block_on(proxy(&server).send(get("/"))).unwrap()), "well");
}

#[test]
fn a_reset_inside_the_body_is_tried_again() {
    let server = first_then_well(|peer| {
        peer.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf");
        peer.reset();
    });
    assert_eq!(text(block_on(proxy(&server).send(get("/"))).unwrap()), "well");
}

#[test]
fn a_body_that_ends_early_is_an_error_that_says_so() {
    for (begun, what) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", "content-length too long"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n", "chunked without an end"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhalf", "a chunk without an end"),
    ] {
        let server = Server::scripted(move |peer| {
            peer.request();
            peer.write(begun);
        });
        let error = block_on(once(&server).send(get("/"))).unwrap_err();
        assert_eq!(error.code(), Code::Transport, "{what}: {error}");
        assert!(error.to_string().contains("inside the response's body"), "{what}: {error}");
        // As a stream, it is the body's reader who is told.
        let response = block_on(once(&server).stream(get("/"))).unwrap();
        let error = block_on(response.into_body().bytes()).unwrap_err();
        let error = error.downcast_ref::<ambassador_core::Error>().expect("it is an error of the ambassador's");
        assert_eq!(error.code(), Code::Transport, "{what}: {error}");
    }
}

#[test]
fn what_follows_a_body_is_no_response_to_the_next_request() {
    let server = Server::scripted(|peer| {
        peer.request();
        peer.write("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngoodHTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad");
        peer.wait_for_end();
    });
    let proxy = once(&server);
    for _ in 0..3 {
        assert_eq!(text(block_on(proxy.send(get("/"))).unwrap()), "good");
    }
    assert_eq!(server.connections(), 3);
}

#[test]
fn what_is_not_http_is_said_to_be_none() {
    for garbage in ["SSH-2.0-OpenSSH_9.6\r\n", "HTTP/1.1 abc\r\n\r\n", "\0\0\0\0\0\0\0\0"] {
        let server = Server::scripted(move |peer| {
            peer.request();
            peer.write(garbage);
        });
        let error = block_on(once(&server).send(get("/"))).unwrap_err();
        assert_eq!(error.code(), Code::Protocol, "{garbage}: {error}");
    }
    let server = Server::scripted(|peer| {
        peer.request();
        peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n");
    });
    let error = block_on(once(&server).send(get("/"))).unwrap_err();
    assert_eq!(error.code(), Code::Protocol, "{error}");
}

#[test]
fn a_head_of_8_kb_is_read_and_one_of_1_mb_is_an_error_that_names_the_setting() {
    let server = Server::scripted(|peer| {
        while let Some(seen) = peer.request() {
            let length = seen.path[1..].parse().unwrap();
            peer.answer(200, &[("x-long", &"x".repeat(length))], b"");
        }
    });
    let proxy = proxy(&server);
    let response = block_on(proxy.send(get("/8192"))).unwrap();
    assert_eq!(response.headers()["x-long"].len(), 8192);
    let error = block_on(proxy.send(get("/1048576"))).unwrap_err();
    assert_eq!((error.code(), error.attempts()), (Code::Protocol, 1), "{error}");
    assert!(error.to_string().contains("http.max_header_bytes"), "{error}");
}

#[test]
fn the_bound_of_an_attempt_is_its_bodys_too_unless_that_is_a_stream() {
    let (more, come) = std::sync::mpsc::channel::<()>();
    let come = std::sync::Mutex::new(come);
    let server = Server::scripted(move |peer| {
        peer.request();
        peer.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\na");
        if peer.number == 1 {
            let _ = come.lock().unwrap().recv();
            peer.write("b");
        }
        peer.wait_for_end();
    });
    let bound = Duration::from_millis(100);
    let proxy = builder(&server.url()).max_retries(1).timeout(bound).build().unwrap();
    assert_eq!(block_on(proxy.send(get("/"))).unwrap_err().code(), Code::Timeout);
    let began = std::time::Instant::now();
    let response = block_on(proxy.stream(get("/"))).unwrap();
    while began.elapsed() <= bound {
        std::thread::yield_now();
    }
    more.send(()).unwrap();
    assert_eq!(text(response), "ab");
}

#[test]
fn a_post_that_outran_its_bound_after_it_was_sent_is_not_made_again() {
    let server = Server::scripted(|peer| {
        peer.request();
        peer.wait_for_end();
    });
    let proxy = builder(&server.url()).timeout(Duration::from_millis(100)).build().unwrap();
    let error = block_on(proxy.send(post("/", "x"))).unwrap_err();
    assert_eq!((error.code(), error.attempts()), (Code::Timeout, 1));
    let error = block_on(proxy.send(get("/"))).unwrap_err();
    assert_eq!((error.code(), error.attempts()), (Code::Timeout, 4));
    assert_eq!(server.seen().iter().filter(|seen| seen.method == "POST").count(), 1);
}

#[test]
fn a_post_on_a_connection_that_was_closed_meanwhile_arrives_once_at_most() {
    let server = Server::scripted(|peer| {
        peer.request();
        peer.answer(200, &[], b"");
        // And is closed, of which the other side learns in its own time.
    });
    let proxy = proxy(&server);
    for number in 0..200 {
        let path = format!("/{number}");
        let ended = block_on(proxy.send(post(&path, "x")));
        let arrived = server.seen().iter().filter(|seen| seen.path == path).count();
        match ended {
            Ok(_) => assert_eq!(arrived, 1),
            Err(error) => assert!(error.code() == Code::Transport && arrived == 0, "{error}"),
        }
    }
}

#[test]
fn a_get_on_a_connection_that_was_closed_meanwhile_succeeds() {
    let server = Server::scripted(|peer| {
        peer.request();
        peer.answer(200, &[], b"");
    });
    let proxy = proxy(&server);
    for _ in 0..200 {
        block_on(proxy.send(get("/"))).unwrap();
    }
}

#[test]
fn a_response_may_come_before_the_requests_body_has_gone() {
    let server = Server::scripted(|peer| {
        peer.head();
        peer.answer(413, &[], b"too much");
        peer.wait_for_end();
    });
    struct Endless;
    impl http_body::Body for Endless {
        type Data = bytes::Bytes;
        type Error = std::io::Error;

        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, std::io::Error>>> {
            std::task::Poll::Pending
        }
    }
    let request = Request::post("/").body(Body::stream(Endless)).unwrap();
    let response = block_on(proxy(&server).send(request)).unwrap();
    assert_eq!((response.status().as_u16(), text(response)), (413, "too much".into()));
}

#[test]
fn interim_responses_are_passed_over() {
    let server = Server::scripted(|peer| {
        while peer.request().is_some() {
            peer.write("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n");
            peer.answer(200, &[], b"last");
        }
    });
    assert_eq!(text(block_on(proxy(&server).send(get("/"))).unwrap()), "last");
}

#[test]
fn responses_without_a_body_have_none_whatever_their_length_says() {
    let server = Server::scripted(|peer| {
        while let Some(seen) = peer.request() {
            match &*seen.path {
                "/204" => peer.write("HTTP/1.1 204 No Content\r\n\r\n"),
                "/304" => peer.write("HTTP/1.1 304 Not Modified\r\ncontent-length: 100\r\n\r\n"),
                _ => peer.write("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 100\r\n\r\n"),
            }
        }
    });
    let proxy = proxy(&server);
    for request in [get("/204"), get("/304"), Request::head("/").body(Body::empty()).unwrap()] {
        let response = block_on(proxy.send(request)).unwrap();
        assert_eq!(text(response), "");
    }
    let response = block_on(proxy.stream(Request::head("/").body(Body::empty()).unwrap())).unwrap();
    assert_eq!(response.headers()["content-length"], "100");
    drop(response);
    block_on(proxy.send(get("/204"))).unwrap();
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_connection_is_waited_for_when_there_are_as_many_as_allowed() {
    let server = Server::answering("x");
    let http = Http { max_connections: 1, ..Http::default() };
    let proxy = builder(&server.url()).http(http).build().unwrap();
    let (sender, ended) = std::sync::mpsc::channel();
    for _ in 0..50 {
        let (proxy, sender) = (proxy.clone(), sender.clone());
        runtime::handle().spawn(async move { sender.send(proxy.send(get("/")).await.unwrap().status()).unwrap() });
    }
    drop(sender);
    assert_eq!(ended.iter().count(), 50);
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_request_that_is_given_up_leaves_its_place_to_the_next() {
    let server = Server::scripted(|peer| {
        peer.request();
        if peer.number == 0 {
            peer.wait_for_end();
        } else {
            peer.answer(200, &[], b"next");
        }
    });
    let http = Http { max_connections: 1, ..Http::default() };
    let proxy = builder(&server.url()).http(http).build().unwrap();
    let first = runtime::handle().spawn({
        let proxy = proxy.clone();
        async move { proxy.send(get("/")).await.map(drop) }
    });
    server.wait_for(1);
    first.abort();
    assert_eq!(text(block_on(proxy.send(get("/"))).unwrap()), "next");
}
