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
