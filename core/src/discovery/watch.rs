//! Looking again and again for a target's endpoints, wherever they are, and telling of them (E4).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::dns::Dns;
use super::file::Listed;
use super::srv::Srv;
use super::{Discovery, SHORTEST, Sink, Source};
use crate::clock::{self, Nanos, SECOND};
use crate::endpoint::Endpoint;
use crate::policy::backoff::{Backoff, Jitter};
use crate::target::Target;

/// The wait after the first look in a row that went wrong; each further one doubles it, up to `refresh` or [`LONGEST`].
const FIRST: Duration = Duration::from_secs(1);

/// The longest wait after a look that went wrong.
const LONGEST: Nanos = 30 * SECOND;

/// What a look found, and how long that holds.
pub(super) struct Found {
    pub endpoints: Vec<Endpoint>,
    pub holds: Duration,
}

/// Looks for the endpoints of `target` until it is dropped, and tells `sink` after every look. Runs within the shared
/// [`runtime`](crate::runtime); a child after a fork has to begin its own.
pub async fn watch(discovery: Discovery, target: Target, sink: Arc<dyn Sink>) {
    let refresh = Duration::from_nanos(discovery.refresh);
    match &discovery.source {
        Source::Dns(name) => {
            let mut dns = Dns::new(name, &target, &discovery.servers);
            looking(refresh, &*sink, &mut dns).await
        }
        Source::Srv(name) => {
            let mut srv = Srv::new(name, &discovery.servers);
            looking(refresh, &*sink, &mut srv).await
        }
        Source::File(path) => {
            let mut listed = Listed::new(path);
            looking(refresh, &*sink, &mut listed).await
        }
    }
}

/// Something in which endpoints are looked for.
pub(super) trait Look: Send {
    /// The endpoints as they are now, at least one; or why they are not known, in which case what this source knew stays known.
    fn look(&mut self) -> impl Future<Output = Result<Found, String>> + Send;

    /// Waits until there may be something new, at most so long.
    fn changed(&mut self, most: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(most)
    }
}

async fn looking(refresh: Duration, sink: &dyn Sink, source: &mut impl Look) {
    let backoff = Backoff::exponential(FIRST).max(refresh.min(Duration::from_nanos(LONGEST))).jitter(Jitter::Equal);
    let (mut failures, mut waited) = (0u32, 0);
    loop {
        let wait = match source.look().await {
            Ok(found) => {
                failures = 0;
                sink.found(in_order(found.endpoints));
                found.holds.max(SHORTEST).min(refresh)
            }
            // E4: what was found before stays.
            Err(why) => {
                failures = failures.saturating_add(1);
                sink.failed(why);
                waited = backoff.wait(failures, waited, || getrandom::u64().unwrap_or_else(|_| clock::now()));
                Duration::from_nanos(waited)
            }
        };
        source.changed(wait).await;
    }
}

/// Servers turn their answers round: the same endpoints come in the same order, each once, and of two that differ the later one.
fn in_order(mut endpoints: Vec<Endpoint>) -> Vec<Endpoint> {
    endpoints.reverse();
    endpoints.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    endpoints.dedup_by(|one, other| one.as_str() == other.as_str());
    endpoints
}

/// The endpoint at that address and port.
pub(super) fn endpoint(ip: IpAddr, port: u16) -> Endpoint {
    let address = std::net::SocketAddr::new(ip, port).to_string();
    Endpoint::new(&address).expect("an address and a port are a target")
}
