//! SRV records (RFC 2782): where each target of a service is, and how much of the calls it takes. Of several priorities the lowest
//! number alone counts that has an address; targets of the others stand by, and are found when it has none any more.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::proto::rr::rdata::SRV;

use super::addresses::{reachable, resolver};
use super::dns::Addresses;
use super::resolve::{Fault, Resolver};
use super::watch::{Found, Look, endpoint};
use crate::endpoint::Endpoint;

/// A name whose SRV records are endpoints.
pub(super) struct Srv {
    name: String,
    servers: Vec<SocketAddr>,
    /// What is known of each of its targets.
    targets: HashMap<String, Addresses>,
}

impl Srv {
    /// The services of that name: `_https._tcp.payment-api.example.com`.
    pub fn new(name: &str, servers: &[SocketAddr]) -> Srv {
        Srv { name: name.to_owned(), servers: servers.to_vec(), targets: HashMap::new() }
    }
}

impl Look for Srv {
    async fn look(&mut self) -> Result<Found, String> {
        let resolver = resolver(&self.servers)?;
        let services = resolver.services(&self.name).await.map_err(Fault::why)?;
        let mut by_priority: BTreeMap<u16, Vec<SRV>> = BTreeMap::new();
        for srv in services.found {
            by_priority.entry(srv.priority).or_default().push(srv);
        }
        self.targets.retain(|name, _| by_priority.values().flatten().any(|srv| srv.target.to_ascii() == *name));
        let mut wrong = format!("{}: it says that there is no such service", self.name);
        for group in by_priority.values() {
            match self.group(&resolver, group).await {
                Ok((endpoints, ttl)) => return Ok(Found { endpoints, holds: services.ttl.min(ttl) }),
                Err(Some(why)) => wrong = format!("{}: none of its targets has an address: {why}", self.name),
                Err(None) => {}
            }
        }
        Err(wrong)
    }
}

impl Srv {
    /// The endpoints of one priority; else why there are none, if it names any target.
    async fn group(
        &mut self,
        resolver: &Arc<Resolver>,
        group: &[SRV],
    ) -> Result<(Vec<Endpoint>, Duration), Option<String>> {
        let (mut shares, mut ttl, mut wrong) = (Vec::new(), Duration::MAX, None);
        for srv in group {
            // The root says that the service is not there, on purpose.
            if srv.target.is_root() {
                continue;
            }
            let known = self.targets.entry(srv.target.to_ascii()).or_default();
            let ips = match known.look(resolver, &srv.target.to_ascii()).await {
                Ok(ips) => {
                    ttl = ttl.min(ips.ttl);
                    ips.found
                }
                // E4: what was known of this target stays, as long as the service names it.
                Err(why) => {
                    wrong = Some(why);
                    known.last()
                }
            };
            let ips = reachable(ips);
            let share = f64::from(srv.weight.max(1)) / ips.len() as f64;
            shares.extend(ips.into_iter().map(|ip| (endpoint(ip, srv.port), share)));
        }
        if shares.is_empty() { Err(wrong) } else { Ok((weighed(shares), ttl)) }
    }
}

/// The endpoints with weights in the same proportion as their shares. A weight of 0 to 65535 stands for a target, which may have
/// several addresses; an endpoint's is a whole number from 1 to [`Endpoint::MOST_WEIGHT`].
fn weighed(shares: Vec<(Endpoint, f64)>) -> Vec<Endpoint> {
    let most = shares.iter().fold(0.0, |most: f64, (_, share)| most.max(*share));
    let are_weights = most <= f64::from(Endpoint::MOST_WEIGHT) && shares.iter().all(|(_, share)| share.fract() == 0.0);
    let equal = shares.iter().all(|(_, share)| *share == most);
    let factor = match (are_weights, equal) {
        (true, _) => 1.0,
        (false, true) => 1.0 / most,
        (false, false) => f64::from(Endpoint::MOST_WEIGHT) / most,
    };
    let weight = |share: f64| (share * factor).round() as u32;
    shares.into_iter().map(|(endpoint, share)| endpoint.weight(weight(share))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(shares: &[f64]) -> Vec<u32> {
        let at = |n: usize| Endpoint::new(&format!("10.0.0.{n}:80")).unwrap();
        let shares = shares.iter().enumerate().map(|(n, share)| (at(n), *share)).collect();
        weighed(shares).iter().map(Endpoint::its_weight).collect()
    }

    #[test]
    fn weights_that_an_endpoint_can_have_stay_as_they_are() {
        assert_eq!(weights(&[1.0, 20.0, 1000.0]), [1, 20, 1000]);
    }

    #[test]
    fn weights_above_the_most_keep_their_proportion() {
        assert_eq!(weights(&[65535.0, 32768.0, 1.0]), [1000, 500, 1]);
    }

    #[test]
    fn addresses_of_one_target_share_its_weight() {
        assert_eq!(weights(&[0.5, 0.5, 1.0]), [500, 500, 1000]);
        assert_eq!(weights(&[0.5, 0.5]), [1, 1]);
    }
}
