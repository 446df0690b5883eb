//! The connections of one target's state: a pool for each place that its requests go to. A forked child begins without any, and
//! never touches its parent's (F3).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};

use super::connect::{Place, Secure};
use super::pool::Pool;
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
        let connector = Connector::new(&shared.tls, name)
            .map_err(|wrong| format!("{} is {}; expected {}", wrong.field, wrong.value, wrong.allowed).into());
        Engine {
            process,
            http: Arc::new(shared.http.clone()),
            connector,
            tls: shared.tls.clone(),
            pools: ArcSwap::default(),
        }
    }

    fn obeys(&self, shared: &Shared) -> bool {
        *self.http == shared.http && self.tls == shared.tls
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
        let is_it = |pool: &&Arc<Pool>| pool.place.port == port && pool.place.server_name.as_deref() == server_name;
        let present = self.pools.load();
        if let Some(pool) = present.get(address.as_str()).and_then(|pools| pools.iter().find(is_it)) {
            return Arc::clone(pool);
        }
        drop(present);
        let host = address.host();
        let shown = if host.contains(':') { format!("[{host}]") } else { host.into() };
        let place = Place {
            name: format!("{}://{shown}:{port}", if is_tls { "https" } else { "http" }).into(),
            host: host.into(),
            port,
            server_name: server_name.map(Into::into),
        };
        self.begin(address.as_str(), place)
    }

    /// The pool of that place; of two that ask at once, both get the same.
    fn begin(&self, address: &str, place: Place) -> Arc<Pool> {
        let fresh = Arc::new(Pool::new(place, Arc::clone(&self.http), self.connector.clone()));
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

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slot")
    }
}
