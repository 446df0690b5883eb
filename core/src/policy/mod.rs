//! Policy: what is wanted of calls to a target. Immutable data, checked when it was made, so that the way of a call needs
//! no checks. A file for each concern; what changes while calls run is the target's [`State`](crate::target::State).

pub mod adaptive;
pub mod auth;
pub mod backoff;
pub mod breaker;
pub mod budget;
pub mod bulkhead;
pub mod hedge;
pub mod http;
pub(crate) mod latency;
pub mod rate_limit;
pub mod tls;
pub(crate) mod told;
pub(crate) mod window;

use self::http::{Http, IdempotencyKey};
use crate::balance::{Balance, HashOn, HealthCheck, Outlier};
use crate::clock::{Nanos, SECOND};
use crate::discovery::Discovery;
use crate::endpoint::Endpoint;
use auth::{Auth, Secret};
use backoff::Backoff;
use breaker::Breaker;
use budget::Budget;
use bulkhead::Bulkhead;
use hedge::Hedge;
use rate_limit::RateLimit;
use tls::Tls;

/// How a target's calls are made. Build one through [`AmbassadorProxy::builder`](crate::AmbassadorProxy::builder).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Policy {
    /// Attempts in all, the first one included (C1). 1 to 100; default 3.
    pub max_retries: u32,
    /// The bound of each attempt (T1); default 2 s, `None` is unbounded.
    pub timeout: Option<Nanos>,
    /// The bound of the whole call, waits included; default none.
    pub deadline: Option<Nanos>,
    /// The waits between attempts (R1, R2).
    pub backoff: Backoff,
    /// Where the user's function runs, in the languages that offer the choice; `None` leaves it to the language.
    pub run_in: Option<RunIn>,
    /// Whether something of the host's answers in place of the final error (H2).
    pub fallback: bool,
    /// Whether another attempt may begin beside one that runs (H1); off by default.
    pub hedge: Option<Hedge>,
    /// Whether a call may safely be made twice.
    pub idempotent: bool,
    /// Headers that every request has, unless it brings its own.
    pub headers: Vec<(String, Secret)>,
    /// Whether requests get an `Idempotency-Key` (P2); off by default.
    pub idempotency_key: IdempotencyKey,
    /// How requests say who sends them; default not at all.
    pub auth: Option<Auth>,
    /// What concerns the target's state, which all its proxies share (C4).
    pub shared: Shared,
}

/// The settings of a target's state. `None` switches one off.
#[derive(Clone, Debug, PartialEq)]
pub struct Shared {
    /// The circuit breaker (B1–B5); on by default.
    pub breaker: Option<Breaker>,
    /// The retry budget (R5); on by default.
    pub budget: Option<Budget>,
    /// How many calls run at once (L1); off by default.
    pub bulkhead: Option<Bulkhead>,
    /// How many calls there may be in a time (L2); off by default.
    pub rate_limit: Option<RateLimit>,
    /// The endpoints that are written down; when there are none, and nothing discovers any, the target itself is the one.
    pub endpoints: Vec<Endpoint>,
    /// Where endpoints are looked for; off by default.
    pub discovery: Option<Discovery>,
    /// How an endpoint is chosen (E1).
    pub balance: Balance,
    /// What of a request is the key of `ring_hash` and `maglev`.
    pub hash_on: Option<HashOn>,
    /// The zone that this process stands in, whose endpoints are preferred (E1); default none.
    pub zone: Option<String>,
    /// How long an endpoint that is new, or back, gets less than its share (E1); default not at all.
    pub slow_start: Option<Nanos>,
    /// When an endpoint is left out because attempts at it fail (E3); on by default.
    pub outlier: Option<Outlier>,
    /// How endpoints are asked whether they are well; off by default.
    pub health_check: Option<HealthCheck>,
    /// TLS to the target.
    pub tls: Tls,
    /// How requests are made.
    pub http: Http,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            max_retries: 3,
            timeout: Some(2 * SECOND),
            deadline: None,
            backoff: Backoff::default(),
            run_in: None,
            fallback: false,
            hedge: None,
            idempotent: false,
            headers: Vec::new(),
            idempotency_key: IdempotencyKey::Off,
            auth: None,
            shared: Shared::default(),
        }
    }
}

impl Default for Shared {
    fn default() -> Shared {
        Shared {
            breaker: Some(Breaker::default()),
            budget: Some(Budget::default()),
            bulkhead: None,
            rate_limit: None,
            endpoints: Vec::new(),
            discovery: None,
            balance: Balance::P2c,
            hash_on: None,
            zone: None,
            slow_start: None,
            outlier: Some(Outlier::default()),
            health_check: None,
            tls: Tls::default(),
            http: Http::default(),
        }
    }
}

/// Where a binding runs the user's function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunIn {
    /// On a thread of the ambassador's, so that the caller always gets control back at the bound.
    Worker,
    /// On the caller's own thread.
    Caller,
}
