//! What a proxy's own settings came to, and the cell that they lie in.
//!
//! A proxy keeps the draft that the app made it of ([`Drawn::of`] lays the configuration in force over a copy of it), so what it came to
//! can be made anew at any time, and is put into the [`Cell`] whole. A call has the number of the edition that it began with, and is
//! judged by that one at each of its steps; the cell has the last [`MOST_EDITIONS`] for those that are in flight.
//!
//! The first one lies in the proxy itself. Until another comes, which it never does in most processes, a step reads one flag that
//! nobody writes; from then on it borrows from an [`ArcSwapOption`].

use std::ops::Deref;
use std::sync::Arc;
#[cfg(feature = "http")]
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Release};

use arc_swap::{ArcSwap, ArcSwapOption, Guard};

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
    pub places: ArcSwap<Places>,
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
pub(crate) struct Drawn {
    pub(super) settings: Settings,
    pub(super) places: Places,
    pub(super) authorization: Authorization,
}

impl Drawn {
    pub fn of(draft: &Settings) -> Result<Drawn, ConfigError> {
        let mut settings = draft.clone();
        let places = settings.obey_configuration()?;
        Drawn::checked(settings, places)
    }

    /// The draft with that configuration over it.
    #[cfg(feature = "http")]
    pub fn by(draft: &Settings, config: &crate::config::Config) -> Result<Drawn, ConfigError> {
        let mut settings = draft.clone();
        let places = settings.obey(config);
        Drawn::checked(settings, places)
    }

    fn checked(settings: Settings, places: Places) -> Result<Drawn, ConfigError> {
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
            places: ArcSwap::from_pointee(places),
            #[cfg(feature = "http")]
            common: OnceLock::new(),
            authorization,
            #[cfg(feature = "http")]
            bounded: ArcSwapOption::empty(),
        }
    }
}

/// How many of them are kept for calls in flight; one that is older is judged by the newest.
const MOST_EDITIONS: usize = 32;

/// Those that came after the first, with their numbers, the newest in front.
type Editions = Vec<(u8, Arc<Settled>)>;

/// Where what is in use lies.
#[derive(Debug)]
pub(super) struct Cell {
    first: Settled,
    later: ArcSwapOption<Editions>,
    is_renewed: AtomicBool,
}

impl Cell {
    pub fn new(first: Settled) -> Cell {
        Cell { first, later: ArcSwapOption::empty(), is_renewed: AtomicBool::new(false) }
    }

    /// What a call that begins now is judged by.
    #[inline]
    pub fn get(&self) -> InUse<'_> {
        if !self.is_renewed.load(Acquire) {
            return InUse::First(&self.first);
        }
        self.newest()
    }

    /// What a call is judged by that began with that edition.
    #[inline]
    pub fn edition(&self, number: u8) -> InUse<'_> {
        if number == 0 {
            return InUse::First(&self.first);
        }
        self.later(number)
    }

    #[cold]
    fn newest(&self) -> InUse<'_> {
        let later = self.later.load();
        if later.is_some() { InUse::Later(later, 0) } else { InUse::First(&self.first) }
    }

    #[cold]
    fn later(&self, number: u8) -> InUse<'_> {
        let later = self.later.load();
        match later.as_ref() {
            None => InUse::First(&self.first),
            Some(editions) => {
                let at = editions.iter().position(|(its, _)| *its == number).unwrap_or(0);
                InUse::Later(later, at)
            }
        }
    }

    /// This is in use from now on.
    pub fn put(&self, settled: Settled) {
        let settled = Arc::new(settled);
        self.later.rcu(|present| {
            let before = present.iter().flat_map(|editions| editions.iter());
            // 0 is the first one's.
            let number = before.clone().next().map_or(1, |(last, _)| last.checked_add(1).unwrap_or(1));
            let kept = before.take(MOST_EDITIONS - 1).cloned();
            Some(Arc::new([(number, Arc::clone(&settled))].into_iter().chain(kept).collect::<Editions>()))
        });
        self.is_renewed.store(true, Release);
    }
}

/// What is in use, for as long as this is held.
pub(super) enum InUse<'a> {
    First(&'a Settled),
    Later(Guard<Option<Arc<Editions>>>, usize),
}

impl InUse<'_> {
    /// The number by which a call finds it again.
    #[inline]
    pub fn number(&self) -> u8 {
        match self {
            InUse::First(_) => 0,
            InUse::Later(editions, at) => editions.as_ref().map_or(0, |editions| editions[*at].0),
        }
    }
}

impl Deref for InUse<'_> {
    type Target = Settled;

    #[inline]
    fn deref(&self) -> &Settled {
        match self {
            InUse::First(settled) => settled,
            InUse::Later(editions, at) => &editions.as_ref().expect("only what there is was taken")[*at].1,
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
