//! Requests and checks over TLS, as the engine makes them: which HTTP is agreed on, and whom a check believes.

use super::*;
use crate::kit::tls::{self, Authority, Folder};
use ambassador_core::Endpoint;
use ambassador_core::balance::{HealthCheck, Probe};
use ambassador_core::clock::MILLISECOND;
use ambassador_core::policy::http::{Http, Version};
use ambassador_core::policy::tls::Tls;
use std::sync::mpsc::channel;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A server that shows a certificate for `localhost`, and speaks what the client wants; what speaks for it, and where its root lies.
fn start() -> (tls::Server, Folder, Tls) {
    let (root, folder) = (Authority::new("Root"), Folder::new());
    let config = tls::showing(&root.issue(&["localhost"]));
    let starting = runtime::handle().spawn(tls::Server::start(config, |mut stream| async move {
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                let said = format!("{:?} by 2", request.uri().path());
                let mut body = respond.send_response(Response::new(()), false).unwrap();
                body.send_data(bytes::Bytes::from(said), true).unwrap();
            }
        } else {
            let mut asked = Vec::new();
            while let Ok(byte) = stream.read_u8().await {
                asked.push(byte);
                if asked.ends_with(b"\r\n\r\n") {
                    asked.clear();
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nby 1").await.unwrap();
                }
            }
        }
    }));
    let server = block_on(starting).unwrap();
    let ca = Tls { ca: Some(folder.file("ca.pem", root.pem())), ..Tls::default() };
    (server, folder, ca)
}

fn url(server: &tls::Server) -> String {
    format!("https://localhost:{}", server.address.port())
}

#[test]
fn both_sides_agree_on_http_2_unless_one_wants_another() {
    let (server, _folder, tls) = start();
    for (version, says) in
        [(Version::Auto, "\"/charges\" by 2"), (Version::Http2, "\"/charges\" by 2"), (Version::Http1, "by 1")]
    {
        let http = Http { version, ..Http::default() };
        let proxy = builder(&url(&server)).http(http).tls(tls.clone()).build().unwrap();
        let before = server.seen.handshakes.load(std::sync::atomic::Ordering::SeqCst);
        for _ in 0..3 {
            assert_eq!(text(block_on(proxy.send(get("/charges"))).unwrap()), says, "{version:?}");
        }
        assert_eq!(server.seen.handshakes.load(std::sync::atomic::Ordering::SeqCst) - before, 1, "{version:?}");
    }
    assert_eq!(server.seen.server_name.lock().unwrap().as_deref(), Some("localhost"));
}

#[test]
fn a_check_over_tls_believes_whom_requests_believe() {
    let (server, folder, trusting) = start();
    let stranger = Tls { ca: Some(folder.file("other.pem", Authority::new("Other").pem())), ..Tls::default() };
    for (tls, is_well) in [(trusting, true), (stranger, false)] {
        let check = HealthCheck {
            interval: 5 * MILLISECOND,
            unhealthy: 1,
            healthy: 1,
            ..HealthCheck::new(Probe::Http("/healthz".into()))
        };
        let down = nobody();
        let endpoints = [url(&server), format!("https://{down}")].map(|url| Endpoint::new(&url).unwrap());
        let proxy = builder(&url(&server)).endpoints(endpoints).health_check(check).tls(tls).build().unwrap();
        let (tell, told) = channel();
        proxy.on_event(move |_, event| drop(tell.send(event.to_json(""))));
        // Checks begin with the first request.
        let _ = block_on(proxy.send(get("/")));
        let is_of = |event: &String, of: &str| event.contains(r#""type":"endpoint""#) && event.contains(of);
        let judged: Vec<String> =
            told.iter().filter(|event| is_of(event, "unhealthy")).take(if is_well { 1 } else { 2 }).collect();
        // The other one is down in both.
        assert!(judged.iter().any(|event| is_of(event, &down)), "{judged:?}");
        assert_eq!(judged.iter().any(|event| is_of(event, &url(&server))), !is_well, "{judged:?}");
        let health: serde_json::Value = serde_json::from_str(&proxy.health()).unwrap();
        assert_eq!(health["endpoints"][0]["state"] == "healthy", is_well, "{health}");
    }
}
