//! What a proxy's own settings came to, and the cell that they lie in.
//!
//! The seam for a configuration that changes while the process runs: a proxy keeps the draft that the app made it of
//! ([`Settled::of`] lays the configuration in force over a copy of it), so what it came to can be made anew at any time, and is
//! put into the [`Cell`] whole. Whoever drives a call takes what is [in use](Cell::get) once for each step, and gives it back with
//! the step. A call in flight is plain numbers, kept by its host, and so is judged at each of its steps by what is in use then; to
//! have it keep the policy that it began with, it has to carry that one's number, and the cell the few that calls may still be of.
//!
//! The first one lies in the proxy itself. Until another comes, which it never does in most processes, a step reads one flag that
//! nobody writes; from then on it borrows from an [`ArcSwapOption`].

use std::ops::Deref;
use std::sync::Arc;
#[cfg(feature = "http")]
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Release};

use arc_swap::{ArcSwapOption, Guard};

#[cfg(feature = "http")]
use super::AmbassadorProxy;
use super::Authorization;
use crate::error::ConfigError;
use crate::policy::Policy;
use crate::settings::{Places, Settings};
use crate::target::State;

/// What settings came to: the policy, and what follows from it.
#[derive(Debug)]
pub(super) struct Settled {
    pub policy: Policy,
    /// What of the policy a configuration file said, and where.
    pub places: Places,
    /// The state's number of the policy's settings.
    pub number: u64,
    /// What all requests have in common, once there was one.
    #[cfg(feature = "http")]
    pub common: OnceLock<Arc<crate::http::Common>>,
    pub authorization: Authorization,
    /// The same proxy with the bounds that a request last had of its own: others will have the same ones.
    #[cfg(feature = "http")]
    pub bounded: ArcSwapOption<AmbassadorProxy>,
}

/// The draft with the configuration in force over it (C3), whole and checked.
pub(super) struct Drawn {
    pub settings: Settings,
    pub places: Places,
    pub authorization: Authorization,
}

impl Drawn {
    pub fn of(draft: &Settings) -> Result<Drawn, ConfigError> {
        let mut settings = draft.clone();
        let places = settings.obey_configuration()?;
        let settings = settings.finish()?;
        let authorization = settings.authorization()?;
        Ok(Drawn { settings, places, authorization })
    }
}

impl Settled {
    pub fn new(policy: Policy, places: Places, state: &State, authorization: Authorization) -> Settled {
        state.measure_for(&policy);
        Settled {
            number: state.number_of(&policy.shared),
            policy,
            places,
            #[cfg(feature = "http")]
            common: OnceLock::new(),
            authorization,
            #[cfg(feature = "http")]
            bounded: ArcSwapOption::empty(),
        }
    }
}

/// Where what is in use lies.
#[derive(Debug)]
pub(super) struct Cell {
    first: Settled,
    newest: ArcSwapOption<Settled>,
    is_renewed: AtomicBool,
}

impl Cell {
    pub fn new(first: Settled) -> Cell {
        Cell { first, newest: ArcSwapOption::empty(), is_renewed: AtomicBool::new(false) }
    }

    #[inline]
    pub fn get(&self) -> InUse<'_> {
        if !self.is_renewed.load(Acquire) {
            return InUse::First(&self.first);
        }
        self.newest()
    }

    #[cold]
    fn newest(&self) -> InUse<'_> {
        let newest = self.newest.load();
        if newest.is_some() { InUse::Newest(newest) } else { InUse::First(&self.first) }
    }

    /// This is in use from now on.
    pub fn put(&self, settled: Settled) {
        self.newest.store(Some(Arc::new(settled)));
        self.is_renewed.store(true, Release);
    }
}

/// What is in use, for as long as this is held.
pub(super) enum InUse<'a> {
    First(&'a Settled),
    Newest(Guard<Option<Arc<Settled>>>),
}

impl Deref for InUse<'_> {
    type Target = Settled;

    #[inline]
    fn deref(&self) -> &Settled {
        match self {
            InUse::First(settled) => settled,
            InUse::Newest(settled) => settled.as_ref().expect("only what there is was taken"),
        }
    }
}

/// A proxy's own policy, for as long as this is held: [`AmbassadorProxy::policy`](super::AmbassadorProxy::policy).
pub struct PolicyInUse<'a>(pub(super) InUse<'a>);

impl Deref for PolicyInUse<'_> {
    type Target = Policy;

    #[inline]
    fn deref(&self) -> &Policy {
        &self.0.policy
    }
}

impl std::fmt::Debug for PolicyInUse<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.policy.fmt(f)
    }
}
