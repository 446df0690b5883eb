//! The connections of one target's state: a pool for each place that its requests go to. A forked child begins without any, and
//! never touches its parent's (F3).

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};

use super::connect::{Place, Secure};
use super::environment::Environment;
use super::pool::Pool;
use super::request::Site;
use super::tls::Connector;
use crate::endpoint::Endpoint;
use crate::policy::Shared;
use crate::policy::http::Http;
use crate::policy::tls::Tls;
use crate::target::Target;

/// Where a state keeps its engine, once there is one.
#[derive(Default)]
pub(crate) struct Slot(ArcSwapOption<Engine>);

/// The connections of one state.
pub(crate) struct Engine {
    process: u32,
    http: Arc<Http>,
    tls: Tls,
    connector: Secure,
    /// For other origins, to which redirects may lead: without what is for the target alone (P5).
    elsewhere: Secure,
    environment: Option<Environment>,
    /// Of DNS.
    servers: Arc<[SocketAddr]>,
    /// By the endpoint's address as it was given; of those, by what that means to the target at hand.
    pools: ArcSwap<HashMap<Box<str>, Vec<Arc<Pool>>>>,
}

impl Slot {
    /// The engine of this process and these settings.
    pub(crate) fn engine(&self, shared: &Shared, name: &str) -> Arc<Engine> {
        let process = std::process::id();
        loop {
            let present = self.0.load_full();
            match &present {
                Some(engine) if engine.process == process && engine.obeys(shared) => return engine.clone(),
                _ => {}
            }
            let fresh = Arc::new(Engine::new(process, shared, name));
            let before = self.0.compare_and_swap(&present, Some(Arc::clone(&fresh)));
            if before.as_ref().map(Arc::as_ptr) != present.as_ref().map(Arc::as_ptr) {
                continue;
            }
            drop(before);
            if let Some(inherited) = present.filter(|engine| engine.process != process) {
                // Its connections are the parent's: to close them would be to speak on them, and perhaps to wait for locks that nobody
                // here holds.
                std::mem::forget(inherited);
            }
            return fresh;
        }
    }
}

impl Engine {
    fn new(process: u32, shared: &Shared, name: &str) -> Engine {
        let connector = |tls: &Tls| {
            Connector::new(tls, name)
                .map_err(|wrong| format!("{} is {}; expected {}", wrong.field, wrong.value, wrong.allowed).into())
        };
        let Tls { ca, min_version, .. } = shared.tls.clone();
        Engine {
            process,
            http: Arc::new(shared.http.clone()),
            connector: connector(&shared.tls),
            elsewhere: connector(&Tls { ca, min_version, ..Tls::default() }),
            environment: shared.http.proxy_from_environment.then(Environment::read),
            servers: servers(shared).into(),
            tls: shared.tls.clone(),
            pools: ArcSwap::default(),
        }
    }

    fn obeys(&self, shared: &Shared) -> bool {
        *self.http == shared.http && self.tls == shared.tls && *self.servers == *servers(shared)
    }

    pub fn http(&self) -> &Http {
        &self.http
    }

    /// The connections to that endpoint of the target.
    pub(super) fn pool(&self, endpoint: &Endpoint, target: &Target) -> Arc<Pool> {
        let address = endpoint.address();
        let is_tls = address.is_tls().or(target.is_tls()).unwrap_or(true);
        let port = address.port().or_else(|| target.port().filter(|_| address.host() == target.host()));
        let port = port.unwrap_or(if is_tls { 443 } else { 80 });
        let server_name = is_tls.then(|| self.tls.server_name.as_deref().unwrap_or(target.host()));
        let is_it =
            |place: &Place| !place.is_elsewhere && place.port == port && place.server_name.as_deref() == server_name;
        self.found(address.as_str(), is_it).unwrap_or_else(|| {
            let place = self.place(address.host(), port, server_name, false);
            self.begin(address.as_str(), place)
        })
    }

    /// The connections to another origin than the target's.
    pub(super) fn elsewhere(&self, site: &Site) -> Arc<Pool> {
        let (host, port, is_tls) = site.parts();
        let server_name = is_tls.then_some(host);
        let is_it =
            |place: &Place| place.is_elsewhere && place.port == port && place.server_name.as_deref() == server_name;
        self.found(host, is_it).unwrap_or_else(|| self.begin(host, self.place(host, port, server_name, true)))
    }

    fn found(&self, address: &str, is_it: impl Fn(&Place) -> bool) -> Option<Arc<Pool>> {
        let present = self.pools.load();
        present.get(address)?.iter().find(|pool| is_it(&pool.place)).cloned()
    }

    fn place(&self, host: &str, port: u16, server_name: Option<&str>, is_elsewhere: bool) -> Place {
        let shown = if host.contains(':') { format!("[{host}]") } else { host.into() };
        let name = format!("{}://{shown}:{port}", if server_name.is_some() { "https" } else { "http" });
        Place {
            via: self.environment.as_ref().and_then(|environment| environment.proxy_for(&name)),
            name: name.into(),
            host: host.into(),
            port,
            server_name: server_name.map(Into::into),
            is_elsewhere,
        }
    }

    /// The pool of that place; of two that ask at once, both get the same.
    fn begin(&self, address: &str, place: Place) -> Arc<Pool> {
        let tls = if place.is_elsewhere { &self.elsewhere } else { &self.connector };
        let fresh = Arc::new(Pool::new(place, Arc::clone(&self.http), tls.clone(), Arc::clone(&self.servers)));
        let mut pool = Arc::clone(&fresh);
        self.pools.rcu(|present| {
            pool = Arc::clone(&fresh);
            let mut pools = HashMap::clone(present);
            let here = pools.entry(address.into()).or_default();
            match here.iter().find(|present| present.place == fresh.place) {
                Some(present) => pool = Arc::clone(present),
                None => here.push(Arc::clone(&fresh)),
            }
            pools
        });
        pool
    }
}

fn servers(shared: &Shared) -> &[SocketAddr] {
    shared.discovery.as_ref().map_or(&[], |discovery| &discovery.servers)
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slot")
    }
}
