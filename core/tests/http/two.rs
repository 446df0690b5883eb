//! HTTP/2: one connection for all requests, and what it says of those that were not acted on (P1).

use super::*;
use ambassador_core::policy::http::{Http, Version};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// What a server does with each request, by its number: answers it, or tells that it will not.
#[derive(Clone, Copy)]
enum Does {
    Answer,
    Refuse,
}

struct Counts {
    connections: AtomicUsize,
    requests: AtomicUsize,
}

fn serve(most_at_once: u32, does: impl Fn(usize) -> Does + Send + Sync + 'static) -> (String, Arc<Counts>) {
    let counts = Arc::new(Counts { connections: AtomicUsize::new(0), requests: AtomicUsize::new(0) });
    let (listener, kept, does) = (
        block_on(async { tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap() }),
        Arc::clone(&counts),
        Arc::new(does),
    );
    let url = format!("http://{}", listener.local_addr().unwrap());
    runtime::handle().spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            kept.connections.fetch_add(1, SeqCst);
            let (counts, does) = (Arc::clone(&kept), Arc::clone(&does));
            tokio::spawn(async move {
                let mut builder = h2::server::Builder::new();
                let mut connection =
                    builder.max_concurrent_streams(most_at_once).handshake::<_, bytes::Bytes>(stream).await.unwrap();
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    match does(counts.requests.fetch_add(1, SeqCst)) {
                        Does::Answer => {
                            let answer =
                                Response::builder().header("x-host", request.uri().authority().unwrap().as_str());
                            let mut body = respond.send_response(answer.body(()).unwrap(), false).unwrap();
                            body.send_data("two".into(), true).unwrap();
                        }
                        Does::Refuse => respond.send_reset(h2::Reason::REFUSED_STREAM),
                    }
                }
            });
        }
    });
    (url, counts)
}

fn two(url: &str) -> AmbassadorProxy {
    builder(url).http(Http { version: Version::Http2, ..Http::default() }).build().unwrap()
}

#[test]
fn many_requests_share_one_connection_and_its_limit_of_streams() {
    let (url, counts) = serve(4, |_| Does::Answer);
    let proxy = two(&url);
    let (sender, ended) = std::sync::mpsc::channel();
    for _ in 0..100 {
        let (proxy, sender) = (proxy.clone(), sender.clone());
        runtime::handle().spawn(async move { sender.send(proxy.send(get("/")).await.unwrap()).unwrap() });
    }
    drop(sender);
    let responses: Vec<_> = ended.iter().collect();
    assert_eq!(responses.len(), 100);
    for response in responses {
        assert_eq!(response.headers()["x-host"], url["http://".len()..]);
        assert_eq!(text(response), "two");
    }
    assert_eq!(counts.connections.load(SeqCst), 1);
}

#[test]
fn a_post_whose_stream_was_refused_is_tried_again() {
    let (url, counts) = serve(100, |number| if number == 0 { Does::Refuse } else { Does::Answer });
    assert_eq!(text(block_on(two(&url).send(post("/", "x"))).unwrap()), "two");
    assert_eq!(counts.requests.load(SeqCst), 2);
}

/// What a server says by hand, a frame after the other (RFC 9113, section 4.1): its length, type, flags and stream; its payload.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

/// A server that takes a request, and then says by GOAWAY, without an error, that it acted on the streams up to that one; from the
/// second connection on it answers.
fn going_away(last: u32) -> Server {
    Server::scripted(move |peer| {
        let mut preface = [0; 24];
        fill(peer, &mut preface);
        peer.write(frame(SETTINGS, 0, 0, &[]));
        loop {
            let mut head = [0; 9];
            if !fill(peer, &mut head) {
                return;
            }
            let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
            fill(peer, &mut payload);
            if head[3] == HEADERS {
                break;
            }
        }
        peer.note(&Default::default());
        if peer.number == 0 {
            peer.write(frame(GOAWAY, 0, 0, &[last.to_be_bytes(), 0u32.to_be_bytes()].concat()));
        } else {
            // HPACK knows `:status: 200` by number; END_STREAM and END_HEADERS.
            peer.write(frame(HEADERS, 5, 1, &[0x88]));
            peer.wait_for_end();
        }
    })
}

/// Whether so many bytes came.
fn fill(peer: &mut crate::kit::misbehaving::Peer, into: &mut [u8]) -> bool {
    let mut filled = 0;
    while filled < into.len() {
        match peer.read(&mut into[filled..]) {
            0 => return false,
            read => filled += read,
        }
    }
    true
}

#[test]
fn a_post_above_the_last_stream_of_a_server_that_goes_away_is_made_by_another_connection() {
    let server = going_away(0);
    assert_eq!(block_on(two(&server.url()).send(post("/", "x"))).unwrap().status(), 200);
    assert_eq!(server.connections(), 2);
}

#[test]
fn a_post_up_to_the_last_stream_of_a_server_that_goes_away_is_not_made_again() {
    let server = going_away(1);
    let error = block_on(two(&server.url()).send(post("/", "x"))).unwrap_err();
    assert_eq!((error.code(), error.attempts()), (ambassador_core::Code::Transport, 1), "{error}");
    assert_eq!(server.connections(), 1);
    // It may have been acted on, and a GET may be made again.
    let server = going_away(1);
    assert_eq!(block_on(two(&server.url()).send(get("/"))).unwrap().status(), 200);
    assert_eq!(server.connections(), 2);
}

#[test]
fn a_head_that_is_larger_than_allowed_is_an_error_that_names_the_setting() {
    for size in [100_000, 1_000_000] {
        let (url, counts) = serve_heads("x".repeat(size));
        let error = block_on(two(&url).send(post("/", "x"))).unwrap_err();
        assert_eq!((error.code(), error.attempts()), (ambassador_core::Code::Protocol, 1), "{error}");
        assert!(error.to_string().contains("larger than http.max_header_bytes, 65536 bytes"), "{error}");
        assert_eq!(counts.load(SeqCst), 1);
    }
}

/// A server whose responses have that in their heads; how many requests it got.
fn serve_heads(large: String) -> (String, Arc<AtomicUsize>) {
    let requests = Arc::new(AtomicUsize::new(0));
    let listener = block_on(async { tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap() });
    let (url, counted) = (format!("http://{}", listener.local_addr().unwrap()), Arc::clone(&requests));
    runtime::handle().spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (large, counted) = (large.clone(), Arc::clone(&counted));
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    counted.fetch_add(1, SeqCst);
                    let response = Response::builder().header("x-large", &large).body(()).unwrap();
                    let _: Result<h2::SendStream<bytes::Bytes>, _> = respond.send_response(response, true);
                }
            });
        }
    });
    (url, requests)
}
