//! Active checks: each endpoint is asked at intervals whether it is well, beside the calls that it gets. One that fails some checks
//! in a row is left out, and back after some that succeed.

use std::sync::Weak;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::member::Member;
use super::{HealthCheck, Probe};
use crate::clock::{self, Nanos};
use crate::endpoint::Endpoint;
use crate::target::{State, Target};

/// Checks the endpoints of a state until nobody uses it.
pub(super) async fn run(settings: HealthCheck, target: Target, state: Weak<State>) {
    loop {
        let Some(members) = state.upgrade().map(|state| state.endpoints.set().members.clone()) else { return };
        let mut round = JoinSet::new();
        for member in members {
            let (settings, target) = (settings.clone(), target.clone());
            round.spawn(async move {
                let length = Duration::from_nanos(settings.timeout);
                let is_well = timeout(length, ask(&settings.probe, &member.endpoint, &target)).await == Ok(true);
                (member, is_well)
            });
        }
        while let Some(asked) = round.join_next().await {
            let (Ok((member, is_well)), Some(state)) = (asked, state.upgrade()) else { continue };
            state.checked(&settings, &member, is_well, clock::now());
        }
        sleep(until_the_next(settings.interval, getrandom::u64().unwrap_or(u64::MAX / 2))).await;
    }
}

/// An interval, a tenth of it more or less, so that clients do not check in step.
fn until_the_next(interval: Nanos, random: u64) -> Duration {
    let tenth = interval / 10;
    let jitter = (u128::from(random) * u128::from(2 * tenth) >> 64) as Nanos;
    Duration::from_nanos(interval - tenth + jitter)
}

impl State {
    /// A check of the endpoint went so.
    pub(super) fn checked(&self, settings: &HealthCheck, member: &Member, is_well: bool, now: Nanos) {
        let health = &member.block.health;
        let is_unhealthy = health.is_unhealthy.load(Relaxed);
        if is_well != is_unhealthy {
            health.checks_in_a_row.store(0, Relaxed);
            return;
        }
        let needed = if is_unhealthy { settings.healthy } else { settings.unhealthy };
        if health.checks_in_a_row.fetch_add(1, Relaxed) + 1 >= needed {
            health.checks_in_a_row.store(0, Relaxed);
            self.judge(member, is_well, now);
            self.listeners.hear(self.name());
        }
    }
}

/// The port that an endpoint is asked at.
fn port_of(endpoint: &Endpoint, is_tls: bool) -> u16 {
    endpoint.port().unwrap_or(if is_tls { 443 } else { 80 })
}

fn is_tls(endpoint: &Endpoint, target: &Target) -> bool {
    endpoint.address().is_tls().or(target.is_tls()).unwrap_or(true)
}

async fn ask(probe: &Probe, endpoint: &Endpoint, target: &Target) -> bool {
    let is_tls = is_tls(endpoint, target);
    let Ok(stream) = TcpStream::connect((endpoint.host(), port_of(endpoint, is_tls))).await else { return false };
    match probe {
        Probe::Tcp => true,
        // What it would say through TLS is not asked; that it takes connections has to do.
        Probe::Http(_) if is_tls => true,
        #[cfg(feature = "http")]
        Probe::Http(path) => over_http(stream, path, target).await.unwrap_or(false),
        #[cfg(not(feature = "http"))]
        Probe::Http(_) => {
            let _ = (stream, target);
            true
        }
    }
}

/// Whether that path is answered by a status of 200 to 299.
#[cfg(feature = "http")]
async fn over_http(stream: TcpStream, path: &str, target: &Target) -> Option<bool> {
    use hyper::client::conn::http1;
    use hyper_util::rt::TokioIo;

    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    let request = http::Request::get(path)
        .header(http::header::HOST, target.authority())
        .header(http::header::USER_AGENT, concat!("ambassador/", env!("CARGO_PKG_VERSION")))
        .body(http_body_util::Empty::<bytes::Bytes>::new())
        .ok()?;
    let ask = async { Some(sender.send_request(request).await.ok()?.status().is_success()) };
    tokio::pin!(connection, ask);
    // The connection is driven for as long as the answer takes, and closed then.
    tokio::select! {
        answer = &mut ask => answer,
        _ = &mut connection => ask.await,
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;
    use crate::clock::SECOND;

    #[test]
    fn checks_are_a_tenth_of_the_interval_apart_from_being_in_step() {
        let lengths = [0, u64::MAX / 2, u64::MAX].map(|random| until_the_next(10 * SECOND, random).as_millis());
        assert_eq!(lengths, [9000, 9999, 10_999]);
    }
}
