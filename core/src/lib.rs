//! The one brain of Ambassador.
//!
//! An application calls; the ambassador decides: whether, how long, again or not. This crate holds every such decision,
//! and the front door for Rust. The bindings for C, Python, Node and Java drive the same decisions from their own threads
//! and event loops.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use ambassador_core::AmbassadorProxy;
//!
//! let payments = AmbassadorProxy::new("payment-api.example.com")?;
//! let receipt = payments.call(|| async { Ok::<_, std::io::Error>("charged") }).await?;
//! assert_eq!(receipt, "charged");
//! # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
//! ```
//!
//! # The map
//!
//! | module | holds |
//! | --- | --- |
//! | [`proxy`] | [`AmbassadorProxy`]: a target with its policy; the protocol `begin`, `settle`, `resume` that every language drives |
//! | [`front`] | `call`, `execute`, `call_blocking` for Rust, and [`CallError`] |
//! | [`call`] | [`Call`](call::Call): one call as a state machine without I/O or a clock |
//! | [`policy`] | [`Policy`]: immutable settings, a file for each concern |
//! | [`settings`] | settings as they come from any language, checked |
//! | [`target`] | [`Target`](target::Target), and the state that all proxies for one target share |
//! | [`error`] | the codes of `errors.toml`, [`Error`], [`ConfigError`] |
//! | [`board`] | bounds for functions that run on a caller's own thread |
//! | [`runtime`] | the one shared Tokio runtime: lazy, fork-aware, drained |
//! | [`event`] | what is told: the retry line, events through `tracing` |
//! | [`telemetry`] | all targets of this process, seen from outside, and what goes to a host's own logging |
//! | [`clock`] | time as plain numbers |
//! | [`testing`] | virtual time for tests |
//! | [`fault`] | what happens when the core itself fails |
//!
//! The rules (`R1`, `T2`, …) that comments cite are those of the semantics page in `docs/semantics.md`.
#![forbid(unsafe_code)]

pub mod balance;
pub mod board;
pub mod call;
pub mod clock;
#[cfg(feature = "http")]
pub mod config;
pub mod discovery;
pub mod endpoint;
pub mod error;
pub mod event;
pub mod fault;
#[cfg(feature = "http")]
mod folders;
pub mod front;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "loom")]
#[doc(hidden)]
pub mod models;
pub mod policy;
pub mod proxy;
pub mod runtime;
pub mod settings;
mod stripes;
mod sync;
pub mod target;
pub mod telemetry;
pub mod testing;
#[cfg(feature = "tower")]
pub mod tower;

pub use endpoint::Endpoint;
pub use error::{Code, ConfigError, Error};
pub use front::{Attempt, CallError};
pub use policy::Policy;
pub use policy::backoff::{Backoff, Jitter};
pub use policy::breaker::{Breaker, Circuit};
pub use policy::budget::Budget;
pub use policy::bulkhead::{Bulkhead, Limit};
pub use policy::hedge::{After, Hedge};
pub use policy::rate_limit::RateLimit;
pub use proxy::{AmbassadorProxy, Builder};

/// The version that all packages of this release share.
pub const fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
