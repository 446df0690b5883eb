//! Where a target's endpoints come from, when they are not written down in its settings: DNS, a file, or the user's own code
//! (E4). Whoever keeps them is a [`Sink`]; [`watch`](fn@watch) looks, and tells it.

#[cfg(feature = "http")]
mod addresses;
#[cfg(feature = "http")]
mod dns;
#[cfg(feature = "http")]
mod file;
#[cfg(feature = "http")]
mod resolve;
#[cfg(feature = "http")]
mod srv;
#[cfg(feature = "http")]
mod watch;

#[cfg(feature = "http")]
pub use addresses::addresses;
#[cfg(feature = "http")]
pub use watch::watch;

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::clock::{Nanos, SECOND};
use crate::endpoint::Endpoint;

/// Where endpoints are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// In what.
    pub source: Source,
    /// The DNS servers to ask; those of the system when there are none.
    pub servers: Vec<SocketAddr>,
    /// The longest time between two looks, whatever the answer's time to live; default 30 s.
    pub refresh: Nanos,
}

/// In what endpoints are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Every A and AAAA record of that name is an endpoint, with the port given, else the target's.
    Dns(String),
    /// Every SRV record of that name, by its priority and weight.
    Srv(String),
    /// A JSON or YAML file of endpoints, watched.
    File(PathBuf),
}

impl Discovery {
    /// That source, with the default times.
    pub fn new(source: Source) -> Discovery {
        Discovery { source, servers: Vec::new(), refresh: 30 * SECOND }
    }
}

/// Who keeps a target's endpoints, and is told of them. Called on a thread of the runtime: keep it short.
pub trait Sink: Send + Sync {
    /// These are the endpoints now: never none, none twice, and always in the same order. Told after every look that went well,
    /// also when nothing has changed: what was stale is not any more.
    fn found(&self, endpoints: Vec<Endpoint>);

    /// A look went wrong. The last endpoints found stay, and are stale (E4); another look follows.
    fn failed(&self, why: String);
}

/// However short an answer is said to hold, it is looked for again no sooner.
#[cfg(feature = "http")]
const SHORTEST: std::time::Duration = std::time::Duration::from_secs(1);

/// The address that a host is, when it is one and not a name.
#[cfg(feature = "http")]
fn literal(host: &str) -> Option<std::net::IpAddr> {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).parse().ok()
}
