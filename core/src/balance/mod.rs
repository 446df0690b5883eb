//! Which endpoint an attempt goes to (E1, E2), and which are left out for a while because attempts at them, or checks of them,
//! fail (E3).
//!
//! Here is what is wanted, as data; beside it, a file each: a target's endpoints while calls run ([`live`]), as an immutable
//! [`set`] of [`member`]s; how one of them is chosen ([`pick`], with [`ring`] and [`maglev`] for keys); when one is left out
//! ([`outlier`]); and what asks endpoints and those who know of them ([`tasks`], [`check`]).

mod check;
mod ewma;
mod hash;
mod live;
mod maglev;
mod member;
mod outlier;
mod pick;
mod ring;
mod set;
mod tasks;
#[cfg(all(test, not(feature = "loom")))]
mod tests;

pub(crate) use hash::{hash, mix};
pub(crate) use live::{Choice, Endpoints};
pub(crate) use member::{Condition, Place};
pub(crate) use set::Changed;

use crate::clock::{Nanos, SECOND};

/// How an endpoint is chosen (E1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// Two at random, of which the one with the lower peak-EWMA latency times attempts in flight.
    #[default]
    P2c,
    /// One after the other, by weight.
    RoundRobin,
    /// Of all, the one with the fewest attempts in flight by weight.
    LeastRequest,
    /// At random, by weight.
    Random,
    /// By the key that `hash_on` names, on a ring of hashes: few keys move when endpoints come and go.
    RingHash,
    /// By the same, from a table that is quicker to look in and moves a few more keys.
    Maglev,
}

impl Balance {
    /// Every balancer.
    pub const ALL: [Balance; 6] =
        [Balance::P2c, Balance::RoundRobin, Balance::LeastRequest, Balance::Random, Balance::RingHash, Balance::Maglev];

    /// Its name in settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Balance::P2c => "p2c",
            Balance::RoundRobin => "round_robin",
            Balance::LeastRequest => "least_request",
            Balance::Random => "random",
            Balance::RingHash => "ring_hash",
            Balance::Maglev => "maglev",
        }
    }
}

/// What of a request is the key of `ring_hash` and `maglev`. A call without one goes to an endpoint at random.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashOn {
    /// The path and query of the request.
    Path,
    /// The value of that header, in lower case.
    Header(String),
}

impl HashOn {
    /// `path`, or `header:x-user`; `None` when it is neither.
    pub fn parse(text: &str) -> Option<HashOn> {
        if text == "path" {
            return Some(HashOn::Path);
        }
        let name = text.strip_prefix("header:")?.parse::<http::HeaderName>().ok()?;
        Some(HashOn::Header(name.as_str().into()))
    }
}

impl std::fmt::Display for HashOn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            HashOn::Path => f.write_str("path"),
            HashOn::Header(name) => write!(f, "header:{name}"),
        }
    }
}

/// When an endpoint is left out because attempts at it fail (E3).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlier {
    /// After so many failures one after the other; default 5.
    pub consecutive_failures: u32,
    /// How long, times how often it was left out before; default 30 s.
    pub base: Nanos,
    /// The longest that an endpoint is left out; default 300 s.
    pub max: Nanos,
    /// The share of the endpoints that may be left out at once, though always one where there are two or more; default 0.1.
    pub max_ejected: f64,
    /// Below this share of healthy endpoints, health is ignored; default 0.5.
    pub panic: f64,
}

impl Default for Outlier {
    fn default() -> Outlier {
        Outlier { consecutive_failures: 5, base: 30 * SECOND, max: 300 * SECOND, max_ejected: 0.1, panic: 0.5 }
    }
}

/// How endpoints are asked whether they are well, beside the calls that they get.
#[derive(Clone, Debug, PartialEq)]
pub struct HealthCheck {
    /// How one is asked.
    pub probe: Probe,
    /// How long between two checks of an endpoint; default 10 s.
    pub interval: Nanos,
    /// How long an answer may take; default 1 s.
    pub timeout: Nanos,
    /// After so many failed checks one after the other an endpoint is left out; default 3.
    pub unhealthy: u32,
    /// After so many that succeed it is back; default 2.
    pub healthy: u32,
}

/// How an endpoint is asked whether it is well.
#[derive(Clone, Debug, PartialEq)]
pub enum Probe {
    /// GET of that path, to be answered by a status of 200 to 299.
    Http(String),
    /// By a connection.
    Tcp,
}

impl HealthCheck {
    /// Checks with the default times.
    pub fn new(probe: Probe) -> HealthCheck {
        HealthCheck { probe, interval: 10 * SECOND, timeout: SECOND, unhealthy: 3, healthy: 2 }
    }
}
