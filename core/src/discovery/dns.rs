//! The addresses of a name, each an endpoint.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::addresses::{reachable, resolver};
use super::literal;
use super::resolve::{Fault, Records, Resolver};
use super::watch::{Found, Look, endpoint};
use crate::target::Target;

/// A name whose addresses are endpoints.
pub(super) struct Dns {
    name: String,
    port: u16,
    servers: Vec<SocketAddr>,
    known: Addresses,
}

impl Dns {
    /// `name` may carry a port; else it is the target's, else that of its scheme.
    pub fn new(name: &str, target: &Target, servers: &[SocketAddr]) -> Dns {
        let given = Target::parse(name);
        let by_scheme = if target.is_tls() == Some(false) { 80 } else { 443 };
        let port = given.as_ref().and_then(Target::port).or_else(|| target.port()).unwrap_or(by_scheme);
        let name = given.as_ref().map_or(name, Target::host).to_owned();
        Dns { name, port, servers: servers.to_vec(), known: Addresses::default() }
    }
}

impl Look for Dns {
    async fn look(&mut self) -> Result<Found, String> {
        let resolver = resolver(&self.servers)?;
        let ips = self.known.look(&resolver, &self.name).await?;
        let endpoints = reachable(ips.found).into_iter().map(|ip| endpoint(ip, self.port)).collect();
        Ok(Found { endpoints, holds: ips.ttl })
    }
}

/// The addresses of a name as they were last known, by family.
#[derive(Default)]
pub(super) struct Addresses {
    v6: Vec<IpAddr>,
    v4: Vec<IpAddr>,
}

impl Addresses {
    /// The addresses now. A family for which the servers do not answer, while they do for the other, stays as it was (E4).
    pub async fn look(&mut self, resolver: &Arc<Resolver>, name: &str) -> Result<Records<IpAddr>, String> {
        if let Some(ip) = literal(name) {
            return Ok(Records { found: vec![ip], ttl: Duration::MAX });
        }
        let families = resolver.families(name).await;
        if families.v6.is_err() && families.v4.is_err() {
            return families.together().map_err(Fault::why);
        }
        let mut ttl = Duration::MAX;
        for (answer, known) in [(families.v6, &mut self.v6), (families.v4, &mut self.v4)] {
            match answer {
                Ok(records) => {
                    *known = records.found;
                    ttl = ttl.min(records.ttl);
                }
                Err(Fault::None(_)) => known.clear(),
                Err(Fault::Failed(_)) => {}
            }
        }
        Ok(Records { found: self.last(), ttl })
    }

    /// The addresses as they were last known; none if they never were.
    pub fn last(&self) -> Vec<IpAddr> {
        self.v6.iter().chain(&self.v4).copied().collect()
    }
}
