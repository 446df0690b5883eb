//! Bodies: packed, too large, sent again.

use super::*;
use ambassador_core::Code;
use ambassador_core::policy::http::Http;
use async_compression::tokio::write::{BrotliEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
use tokio::io::AsyncWriteExt;

macro_rules! packed {
    ($encoder:ident, $bytes:expr) => {
        block_on(async {
            let mut encoder = $encoder::new(Vec::new());
            encoder.write_all($bytes).await.unwrap();
            encoder.shutdown().await.unwrap();
            encoder.into_inner()
        })
    };
}

/// A server that answers so, packed by that coding.
fn packing(coding: &'static str, body: Vec<u8>) -> Server {
    Server::scripted(move |peer| {
        while peer.request().is_some() {
            peer.answer(200, &[("content-encoding", coding)], &body);
        }
    })
}

#[test]
fn packed_bodies_are_asked_for_and_unpacked() {
    let plain = "charged ".repeat(10_000);
    for (coding, body) in [
        ("gzip", packed!(GzipEncoder, plain.as_bytes())),
        ("deflate", packed!(ZlibEncoder, plain.as_bytes())),
        ("br", packed!(BrotliEncoder, plain.as_bytes())),
        ("zstd", packed!(ZstdEncoder, plain.as_bytes())),
        ("br, gzip", packed!(GzipEncoder, &packed!(BrotliEncoder, plain.as_bytes()))),
    ] {
        let server = packing(coding, body);
        let proxy = proxy(&server);
        for response in [block_on(proxy.send(get("/"))).unwrap(), block_on(proxy.stream(get("/"))).unwrap()] {
            assert!(!response.headers().contains_key("content-encoding"), "{coding}");
            assert!(!response.headers().contains_key("content-length"), "{coding}");
            assert_eq!(text(response), plain, "{coding}");
        }
        assert_eq!(server.seen()[0].header("accept-encoding"), Some("gzip, deflate, br, zstd"));
        assert_eq!(server.connections(), 1, "{coding}");
    }
}

#[test]
fn who_asks_for_a_coding_himself_gets_it_as_it_came() {
    let body = packed!(GzipEncoder, b"charged");
    let server = packing("gzip", body.clone());
    let request = Request::get("/").header("accept-encoding", "gzip").body(Body::empty()).unwrap();
    let response = block_on(proxy(&server).send(request)).unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert_eq!(response.body().as_bytes(), Some(&body[..]));
}

#[test]
fn what_unpacks_to_more_than_is_allowed_is_an_error() {
    let bomb = packed!(GzipEncoder, &vec![0; 64 << 20]);
    assert!(bomb.len() < 1 << 20);
    let server = packing("gzip", bomb);
    let http = Http { max_body_bytes: 1 << 20, ..Http::default() };
    let proxy = builder(&server.url()).http(http).build().unwrap();
    let error = block_on(proxy.send(get("/"))).unwrap_err();
    assert_eq!((error.code(), error.attempts()), (Code::Body, 1), "{error}");
    assert!(error.to_string().contains("http.max_body_bytes"), "{error}");
}

#[test]
fn a_body_that_cannot_be_unpacked_is_an_error_that_says_so() {
    let server = packing("gzip", b"this is not gzip".to_vec());
    let error = block_on(proxy(&server).send(get("/"))).unwrap_err();
    assert_eq!(error.code(), Code::Body, "{error}");
    assert!(error.to_string().contains("cannot be unpacked"), "{error}");
}

/// A stream of so many pieces of so many bytes.
pub struct Pieces {
    pub left: usize,
    pub piece: bytes::Bytes,
}

impl http_body::Body for Pieces {
    type Data = bytes::Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, std::io::Error>>> {
        if self.left == 0 {
            return std::task::Poll::Ready(None);
        }
        self.left -= 1;
        std::task::Poll::Ready(Some(Ok(http_body::Frame::data(self.piece.clone()))))
    }
}

fn put(pieces: usize) -> Request<Body> {
    let piece = bytes::Bytes::from(vec![b'x'; 1024]);
    Request::put("/").body(Body::stream(Pieces { left: pieces, piece })).unwrap()
}

#[test]
fn a_stream_is_sent_again_as_far_as_it_was_kept() {
    let server = Server::scripted(|peer| {
        if peer.request().is_some() {
            let status = if peer.number == 0 { 503 } else { 200 };
            peer.answer(status, &[("connection", "close")], b"");
        }
    });
    assert_eq!(block_on(proxy(&server).send(put(100))).unwrap().status(), 200);
    let lengths: Vec<usize> = server.seen().iter().map(|seen| seen.body.len()).collect();
    assert_eq!(lengths, [100 << 10, 100 << 10]);
}

#[test]
fn a_stream_of_which_more_was_read_than_is_kept_is_sent_once() {
    let server = Server::scripted(|peer| {
        while peer.request().is_some() {
            peer.answer(503, &[], b"");
        }
    });
    let http = Http { replay_bytes: 10 << 10, ..Http::default() };
    let proxy = builder(&server.url()).http(http).build().unwrap();
    assert_eq!(block_on(proxy.send(put(100))).unwrap().status(), 503);
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn a_hundred_megabytes_go_both_ways_in_little_memory() {
    const PIECES: usize = 1600;
    common::alone("bodies::a_hundred_megabytes_go_both_ways_in_little_memory", || {
        // An echo that keeps nothing either.
        let server = Server::scripted(|peer| {
            peer.head();
            peer.write(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", PIECES << 16));
            let (mut left, mut piece) = (PIECES << 16, vec![0; 1 << 16]);
            while left > 0 {
                let length = peer.read(&mut piece);
                assert!(length > 0);
                peer.write(&piece[..length]);
                left -= length;
            }
        });
        let piece = bytes::Bytes::from(vec![b'x'; 1 << 16]);
        let request = Request::put("/")
            .header("content-length", PIECES << 16)
            .body(Body::stream(Pieces { left: PIECES, piece }))
            .unwrap();
        let mut body = block_on(proxy(&server).stream(request)).unwrap().into_body();
        let mut length = 0;
        while let Some(piece) = block_on(body.chunk()) {
            length += piece.unwrap().len();
        }
        assert_eq!(length, PIECES << 16);
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let peak: usize = peak.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(peak < 50 << 10, "{peak} kB");
    });
}
