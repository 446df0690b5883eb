//! Requests through the core, against real sockets: what is sent, what comes back, what is tried again (P1–P6).

#[path = "../common/mod.rs"]
mod common;
#[path = "../kit/mod.rs"]
mod kit;

mod authorized;
mod bodies;
mod bounds;
mod broken;
mod connections;
mod hedged;
mod redirects;
mod requests;
mod retries;
mod secure;
mod spawned;
mod two;

use std::time::Duration;

use ambassador_core::http::Body;
use ambassador_core::proxy::Builder;
use ambassador_core::{AmbassadorProxy, runtime};
use http::{Request, Response};
use kit::misbehaving::Server;

/// Drives a future on this thread; its I/O is the shared runtime's.
fn block_on<F: Future>(future: F) -> F::Output {
    runtime::block_on(future)
}

/// A builder for that target, whose state no other test shares; four attempts, waits too short to notice, and an hour for each: what
/// hangs, hangs.
fn builder(target: &str) -> Builder {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    AmbassadorProxy::builder(target)
        .name(&format!("http test {number}"))
        .max_retries(4)
        .backoff(common::briefly())
        .timeout(Duration::from_secs(3600))
        .breaker(None)
        .budget(None)
}

fn proxy(server: &Server) -> AmbassadorProxy {
    builder(&server.url()).build().unwrap()
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

fn post(path: &str, body: &str) -> Request<Body> {
    Request::post(path).body(Body::from(body.to_string())).unwrap()
}

/// A body's text.
fn text(response: Response<Body>) -> String {
    let bytes = block_on(response.into_body().bytes()).unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// An address where nobody listens.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}
