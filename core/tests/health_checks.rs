//! Active checks of endpoints, against real sockets (E3): who fails them is left out, who is well again is back.
#![cfg(feature = "http")]

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use ambassador_core::balance::{Balance, HealthCheck, Probe};
use ambassador_core::call::Outcome;
use ambassador_core::clock::{MILLISECOND, SECOND, now};
use ambassador_core::event::Event;
use ambassador_core::{AmbassadorProxy, Endpoint};
use common::*;

/// A server that answers each connection's first request: 200 while it is well, else 503; and the first request it got.
struct Server {
    address: SocketAddr,
    is_well: Arc<AtomicBool>,
    requests: Receiver<String>,
}

impl Server {
    fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, is_well) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(true)));
        let (tell, requests) = channel();
        let well = Arc::clone(&is_well);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let request = answer(stream.unwrap(), well.load(SeqCst));
                if tell.send(request).is_err() {
                    return;
                }
            }
        });
        Server { address, is_well, requests }
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::new(&format!("http://{}", self.address)).unwrap()
    }
}

fn answer(mut stream: TcpStream, is_well: bool) -> String {
    let mut request = Vec::new();
    let mut part = [0; 1024];
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read(&mut part) {
            Ok(length) if length > 0 => request.extend(&part[..length]),
            // It only connected.
            _ => break,
        }
    }
    let status = if is_well { "200 OK" } else { "503 Service Unavailable" };
    let _ = write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
    String::from_utf8_lossy(&request).into_owned()
}

/// Every few milliseconds; twice wrong is unhealthy, once right is healthy.
fn quick(probe: Probe) -> HealthCheck {
    HealthCheck { interval: 5 * MILLISECOND, timeout: SECOND, unhealthy: 2, healthy: 1, ..HealthCheck::new(probe) }
}

fn checked(probe: Probe, endpoints: Vec<Endpoint>) -> (AmbassadorProxy, Receiver<(String, &'static str)>) {
    let proxy = builder().balance(Balance::RoundRobin).endpoints(endpoints).health_check(quick(probe)).build().unwrap();
    let (tell, told) = channel();
    proxy.on_event(move |_, event| {
        if let Event::Endpoint { address, to, .. } = event {
            let _ = tell.send((address.to_string(), *to));
        }
    });
    // Checks begin with the first call.
    call(&proxy);
    (proxy, told)
}

/// Where a call goes.
fn call(proxy: &AmbassadorProxy) -> String {
    let mut call = begin(proxy, now());
    let endpoint = proxy.endpoint_of(&call).as_str().to_owned();
    let _ = proxy.settle(&mut call, now(), Outcome::Ok, None);
    endpoint
}

fn next(told: &Receiver<(String, &'static str)>) -> (String, &'static str) {
    told.recv_timeout(PATIENCE).expect("something is told")
}

#[test]
fn who_answers_503_to_its_checks_gets_no_calls_until_it_answers_200_again() {
    let (one, other) = (Server::start(), Server::start());
    let (proxy, told) = checked(Probe::Http("/healthz".into()), vec![one.endpoint(), other.endpoint()]);
    one.is_well.store(false, SeqCst);
    let address = one.endpoint().as_str().to_owned();
    assert_eq!(next(&told), (address.clone(), "unhealthy"));
    assert!((0..10).all(|_| call(&proxy) == other.endpoint().as_str()));
    one.is_well.store(true, SeqCst);
    assert_eq!(next(&told), (address.clone(), "healthy"));
    assert!((0..2).any(|_| call(&proxy) == address));
    let request = one.requests.recv_timeout(PATIENCE).unwrap();
    assert!(request.starts_with("GET /healthz HTTP/1.1\r\nhost: payment-api.example.com\r\n"), "{request}");
}

#[test]
fn who_takes_no_connections_is_unhealthy() {
    let server = Server::start();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gone = Endpoint::new(&format!("http://{gone}")).unwrap();
    let (proxy, told) = checked(Probe::Tcp, vec![gone.clone(), server.endpoint()]);
    assert_eq!(next(&told), (gone.as_str().to_owned(), "unhealthy"));
    assert!((0..10).all(|_| call(&proxy) == server.endpoint().as_str()));
    let health: serde_json::Value = serde_json::from_str(&proxy.health()).unwrap();
    assert_eq!(
        (&health["endpoints"][0]["state"], &health["endpoints"][1]["state"]),
        (&"unhealthy".into(), &"healthy".into())
    );
}

#[test]
fn who_does_not_answer_in_time_is_unhealthy() {
    // It takes connections, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Server::start();
    let address = Endpoint::new(&format!("http://{}", silent.local_addr().unwrap())).unwrap();
    let probe = Probe::Http("/".into());
    let check = HealthCheck { timeout: 20 * MILLISECOND, ..quick(probe) };
    let endpoints = [address.clone(), server.endpoint()];
    let proxy = builder().endpoints(endpoints).health_check(check).build().unwrap();
    let (tell, told) = channel();
    proxy.on_event(move |_, event| {
        if let Event::Endpoint { address, to: to @ "unhealthy", .. } = event {
            let _ = tell.send((address.to_string(), *to));
        }
    });
    call(&proxy);
    let told = std::iter::from_fn(|| told.recv_timeout(PATIENCE).ok()).find(|(told, _)| told == address.as_str());
    assert!(told.is_some());
}
