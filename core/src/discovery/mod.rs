//! Where a target's endpoints come from, when they are not written down in its settings: DNS, a file, or the user's own code
//! (E4).

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::clock::{Nanos, SECOND};

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
