//! Active checks: each endpoint is asked at intervals whether it is well, beside the calls that it gets. One that fails some checks
//! in a row is left out, and back after some that succeed.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::time::Duration;

#[cfg(feature = "http")]
use hyper::client::conn::http1;
#[cfg(feature = "http")]
use hyper_util::rt::TokioIo;
#[cfg(feature = "http")]
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::member::Member;
use super::{HealthCheck, Probe};
use crate::clock::{self, Nanos};
use crate::endpoint::Endpoint;
#[cfg(feature = "http")]
use crate::http::tls::Connector;
#[cfg(feature = "http")]
use crate::policy::http::Version;
use crate::target::{State, Target};

/// Checks the endpoints of a state until nobody uses it.
pub(super) async fn run(settings: HealthCheck, target: Target, state: Weak<State>) {
    let Some(asks) = state.upgrade().map(|state| Arc::new(Asks::new(settings.probe.clone(), target, &state))) else {
        return;
    };
    let length = Duration::from_nanos(settings.timeout);
    loop {
        let Some(members) = state.upgrade().map(|state| state.endpoints.set().members.clone()) else { return };
        let mut round = JoinSet::new();
        for member in members {
            let asks = Arc::clone(&asks);
            round.spawn(async move {
                let is_well = timeout(length, asks.is_well(&member.endpoint)).await == Ok(true);
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
    let jitter = ((u128::from(random) * u128::from(2 * tenth)) >> 64) as Nanos;
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

/// How endpoints are asked.
struct Asks {
    probe: Probe,
    target: Target,
    #[cfg(feature = "http")]
    connector: Option<Connector>,
}

impl Asks {
    fn new(probe: Probe, target: Target, state: &State) -> Asks {
        #[cfg(feature = "http")]
        let connector = Connector::new(&state.settings().tls, state.name()).ok();
        let _ = state;
        Asks {
            probe,
            target,
            #[cfg(feature = "http")]
            connector,
        }
    }

    async fn is_well(&self, endpoint: &Endpoint) -> bool {
        let is_tls = endpoint.address().is_tls().or(self.target.is_tls()).unwrap_or(true);
        let port = endpoint.port().unwrap_or(if is_tls { 443 } else { 80 });
        let Ok(stream) = TcpStream::connect((endpoint.host(), port)).await else { return false };
        match &self.probe {
            #[cfg(feature = "http")]
            Probe::Http(path) => self.answers(stream, is_tls, path).await.unwrap_or(false),
            // Without HTTP in the build, that it takes connections has to do.
            _ => {
                drop(stream);
                true
            }
        }
    }

    #[cfg(feature = "http")]
    async fn answers(&self, stream: TcpStream, is_tls: bool, path: &str) -> Option<bool> {
        if !is_tls {
            return over_http(stream, path, &self.target).await;
        }
        // As requests do: the certificate has to be the target's, whatever the endpoint is.
        let connecting = self.connector.as_ref()?.connect(stream, self.target.host(), Version::Http1);
        over_http(connecting.await.ok()?, path, &self.target).await
    }
}

/// Whether that path is answered by a status of 200 to 299.
#[cfg(feature = "http")]
async fn over_http<S>(stream: S, path: &str, target: &Target) -> Option<bool>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
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
