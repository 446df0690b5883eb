//! The ambassador around `tower` services: each request is a call, each attempt a clone of the service that is ready.
#![cfg(feature = "tower")]

mod common;

use std::future::{Future, Pending, Ready, pending, poll_fn, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::time::Duration;

use ambassador_core::tower::{Ambassador, AmbassadorLayer};
use ambassador_core::{AmbassadorProxy, CallError, Code, runtime};
use common::*;
use tower_layer::Layer;
use tower_service::Service;

/// Fails as often as told, then says how long the request was. A clone has to be asked whether it is ready first.
struct Flaky {
    fails: u32,
    asked: Arc<AtomicU32>,
    is_ready: bool,
}

impl Clone for Flaky {
    fn clone(&self) -> Flaky {
        Flaky { fails: self.fails, asked: Arc::clone(&self.asked), is_ready: false }
    }
}

impl Service<String> for Flaky {
    type Response = usize;
    type Error = String;
    type Future = Ready<Result<usize, String>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), String>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: String) -> Self::Future {
        assert!(self.is_ready, "called before it was ready");
        let asked = self.asked.fetch_add(1, SeqCst) + 1;
        ready(if asked > self.fails { Ok(request.len()) } else { Err(format!("failure {asked}")) })
    }
}

fn proxy() -> AmbassadorProxy {
    builder().backoff(briefly()).build().unwrap()
}

fn around<S>(proxy: &AmbassadorProxy, service: S) -> Ambassador<S> {
    AmbassadorLayer::new(proxy.clone()).layer(service)
}

fn flaky(fails: u32) -> (Arc<AtomicU32>, Flaky) {
    let asked = Arc::new(AtomicU32::new(0));
    (Arc::clone(&asked), Flaky { fails, asked, is_ready: false })
}

fn send<S: Service<String>>(service: &mut S, request: &str) -> Result<S::Response, S::Error> {
    runtime::block_on(async {
        poll_fn(|cx| service.poll_ready(cx)).await?;
        service.call(request.into()).await
    })
}

#[test]
fn a_request_is_sent_again_until_it_succeeds() {
    let (asked, service) = flaky(2);
    let proxy = proxy();
    let mut service = around(&proxy, service);
    assert_eq!(send(&mut service, "pay"), Ok(3));
    assert_eq!(send(&mut service, "again"), Ok(5));
    assert_eq!((asked.load(SeqCst), ends(&proxy), attempts(&proxy)), (4, [2, 0, 0, 0, 0], [2, 2, 0, 0]));
}

#[test]
fn the_services_own_last_error_comes_back() {
    let (_, service) = flaky(9);
    assert_eq!(send(&mut around(&proxy(), service), "pay"), Err(CallError::Failed("failure 3".into())));
}

#[derive(Clone)]
struct Hangs;

impl Service<String> for Hangs {
    type Response = ();
    type Error = String;
    type Future = Pending<Result<(), String>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), String>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: String) -> Self::Future {
        pending()
    }
}

#[derive(Clone)]
struct NeverReady;

impl Service<String> for NeverReady {
    type Response = ();
    type Error = String;
    type Future = Ready<Result<(), String>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), String>> {
        Poll::Pending
    }

    fn call(&mut self, _: String) -> Self::Future {
        unreachable!("it was never ready")
    }
}

#[derive(Clone)]
struct Broken;

impl Service<String> for Broken {
    type Response = ();
    type Error = String;
    type Future = Ready<Result<(), String>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), String>> {
        Poll::Ready(Err("broken".into()))
    }

    fn call(&mut self, _: String) -> Self::Future {
        unreachable!("it was never ready")
    }
}

#[test]
fn a_service_that_hangs_or_is_never_ready_is_bounded() {
    let proxy = builder().timeout(Duration::from_millis(10)).max_retries(2).backoff(briefly()).build().unwrap();
    assert_eq!(send(&mut around(&proxy, Hangs), "pay").unwrap_err().code(), Some(Code::Timeout));
    assert_eq!(send(&mut around(&proxy, NeverReady), "pay").unwrap_err().code(), Some(Code::Timeout));
    assert_eq!((ends(&proxy), attempts(&proxy)), ([0, 0, 2, 0, 0], [0, 0, 4, 0]));
}

#[test]
fn a_service_that_is_broken_is_tried_again_like_any_other_failure() {
    let proxy = proxy();
    assert_eq!(send(&mut around(&proxy, Broken), "pay"), Err(CallError::Failed("broken".into())));
    assert_eq!(attempts(&proxy), [0, 3, 0, 0]);
}

#[test]
fn a_request_may_move_to_another_thread_and_outlive_its_service() {
    let (_, service) = flaky(1);
    let sent: std::pin::Pin<Box<dyn Future<Output = _> + Send>> = around(&proxy(), service).call("pay".into());
    assert_eq!(std::thread::spawn(|| runtime::block_on(sent)).join().unwrap(), Ok(3));
}

/// A proxy as a service of its own requests.
#[cfg(feature = "http")]
#[test]
fn a_proxy_is_a_service_of_http_requests() {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut asked, mut part) = (Vec::new(), [0; 512]);
        while !asked.ends_with(b"42 EUR") {
            let read = stream.read(&mut part).unwrap();
            asked.extend_from_slice(&part[..read]);
        }
        stream.write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 7\r\n\r\ncharged").unwrap();
        String::from_utf8(asked).unwrap()
    });
    let mut proxy = AmbassadorProxy::builder(&url).name("a service").build().unwrap();
    let response = runtime::block_on(async {
        poll_fn(|cx| Service::<http::Request<&'static str>>::poll_ready(&mut proxy, cx)).await?;
        Service::call(&mut proxy, http::Request::post("/charges").body("42 EUR").unwrap()).await
    });
    let response = response.unwrap();
    assert_eq!(response.status(), 201);
    assert_eq!(runtime::block_on(response.into_body().bytes()).unwrap(), "charged");
    assert!(asked.join().unwrap().starts_with("POST /charges HTTP/1.1\r\n"));
}
