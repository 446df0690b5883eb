//! Policy: what is wanted of calls to a target. Immutable data, checked when it was made, so that the way of a call needs
//! no checks. A file for each concern; what changes while calls run is the target's [`State`](crate::target::State).

pub mod backoff;

use crate::clock::{Nanos, SECOND};
use backoff::Backoff;

/// How a target's calls are made. Build one through [`AmbassadorProxy::builder`](crate::AmbassadorProxy::builder).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Policy {
    /// Attempts in all, the first one included (C1). 1 to 100; default 3.
    pub max_retries: u32,
    /// The bound of each attempt (T1); default 2 s, `None` is unbounded.
    pub timeout: Option<Nanos>,
    /// The bound of the whole call, waits included; default none.
    pub deadline: Option<Nanos>,
    /// The waits between attempts (R1, R2).
    pub backoff: Backoff,
    /// Where the user's function runs, in the languages that offer the choice; `None` leaves it to the language.
    pub run_in: Option<RunIn>,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy { max_retries: 3, timeout: Some(2 * SECOND), deadline: None, backoff: Backoff::default(), run_in: None }
    }
}

/// Where a binding runs the user's function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunIn {
    /// On a thread of the ambassador's, so that the caller always gets control back at the bound.
    Worker,
    /// On the caller's own thread.
    Caller,
}
