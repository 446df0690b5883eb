//! How requests are made: what concerns connections, bodies and redirects. The engine is [`http`](crate::http).

use crate::clock::{Nanos, SECOND};

/// How requests to a target are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// Which version of HTTP is spoken; default `auto`.
    pub version: Version,
    /// How large the head of a response may be, in bytes; default 64 KiB.
    pub max_header_bytes: u32,
    /// How large a body may be that is read whole, in bytes, after decompression; default 64 MiB.
    pub max_body_bytes: u32,
    /// How much of a body that is a stream is kept for another attempt (P4), in bytes; default 1 MiB.
    pub replay_bytes: u32,
    /// How many redirects are followed (P5); default 0.
    pub follow_redirects: u32,
    /// Whether compressed bodies are asked for and unpacked; default yes.
    pub decompress: bool,
    /// Whether `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` are obeyed; default no.
    pub proxy_from_environment: bool,
    /// Whether `x-ambassador-attempt` and `x-ambassador-remaining-ms` are sent (P6); default no.
    pub attempt_headers: bool,
    /// How many connections may be open to an endpoint by HTTP/1; default 100.
    pub max_connections: u32,
    /// How long a connection is kept that nothing uses; default 60 s.
    pub idle_timeout: Nanos,
}

impl Default for Http {
    fn default() -> Http {
        Http {
            version: Version::Auto,
            max_header_bytes: 64 << 10,
            max_body_bytes: 64 << 20,
            replay_bytes: 1 << 20,
            follow_redirects: 0,
            decompress: true,
            proxy_from_environment: false,
            attempt_headers: false,
            max_connections: 100,
            idle_timeout: 60 * SECOND,
        }
    }
}

/// Which version of HTTP is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// HTTP/2 where TLS agrees on it (ALPN), else HTTP/1.1.
    #[default]
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, without TLS by prior knowledge.
    Http2,
}

impl Version {
    /// Every choice.
    pub const ALL: [Version; 3] = [Version::Auto, Version::Http1, Version::Http2];

    /// Its name in settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Version::Auto => "auto",
            Version::Http1 => "1",
            Version::Http2 => "2",
        }
    }
}

/// Whether the core adds an `Idempotency-Key` to requests that have none, and so may repeat any of them (P2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdempotencyKey {
    /// It adds none.
    #[default]
    Off,
    /// One for each call, the same for all its attempts.
    Auto,
}

impl IdempotencyKey {
    /// Every choice.
    pub const ALL: [IdempotencyKey; 2] = [IdempotencyKey::Off, IdempotencyKey::Auto];

    /// Its name in settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            IdempotencyKey::Off => "off",
            IdempotencyKey::Auto => "auto",
        }
    }
}
