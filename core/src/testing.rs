//! Virtual time, for tests of whatever uses the ambassador: waits between attempts pass at once, and the clock moves only when
//! a test moves it, or a wait does. For the whole process: tests that use it do not run beside others.
//!
//! Bounds hold in virtual time too: a function that moves the clock beyond its bound has timed out. A function that really
//! hangs is not interrupted.
//!
//! ```standalone_crate
//! use std::time::Duration;
//! use ambassador_core::{AmbassadorProxy, Backoff, Jitter, testing::VirtualTime};
//!
//! let time = VirtualTime::start();
//! let backoff = Backoff::default().jitter(Jitter::None);
//! let payments = AmbassadorProxy::builder("payment-api.example.com").name("in virtual time").backoff(backoff).build()?;
//! let mut attempts = 0;
//! let receipt = payments.call_blocking(|| {
//!     attempts += 1;
//!     std::future::ready(if attempts < 3 { Err("Payment API unreachable") } else { Ok("charged") })
//! });
//! assert_eq!(receipt, Ok("charged"));
//! assert_eq!(time.waits(), [Duration::from_secs(2), Duration::from_secs(4)]);
//! # Ok::<_, ambassador_core::ConfigError>(())
//! ```

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{Nanos, SECOND, nanos};

/// The present instant of virtual time; 0 while time is real.
static INSTANT: AtomicU64 = AtomicU64::new(0);
static WAITS: Mutex<Vec<Nanos>> = Mutex::new(Vec::new());

/// Where virtual time starts: far from 0, and at a round number.
pub const START: Nanos = 1_000_000 * SECOND;

fn kept() -> MutexGuard<'static, Vec<Nanos>> {
    WAITS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on time is virtual, and stands at [`START`]; no wait has been waited.
pub fn start() {
    kept().clear();
    INSTANT.store(START, SeqCst);
}

/// From now on time is real again. Does nothing when it is.
pub fn stop() {
    INSTANT.store(0, SeqCst);
}

/// The present instant of virtual time, if time is virtual.
#[inline]
pub fn instant() -> Option<Nanos> {
    match INSTANT.load(SeqCst) {
        0 => None,
        instant => Some(instant),
    }
}

/// Moves virtual time on. Does nothing while time is real.
pub fn advance(length: Nanos) {
    let _ = INSTANT.fetch_update(SeqCst, SeqCst, |instant| (instant != 0).then(|| instant.saturating_add(length)));
}

/// Moves virtual time to that instant, which may lie behind it: where the next of several attempts begins that run at once (H1).
pub(crate) fn go_back(to: Nanos) {
    let _ = INSTANT.fetch_update(SeqCst, SeqCst, |instant| (instant != 0).then_some(to));
}

/// A host is about to wait until that instant. `true` when time is virtual: the wait is over then, and was noted.
pub fn pass(until: Nanos) -> bool {
    let Some(now) = instant() else { return false };
    // No wait is none.
    if until > now {
        kept().push(until - now);
        INSTANT.fetch_max(until, SeqCst);
    }
    true
}

/// The waits that were passed since time became virtual, in their order.
pub fn waits() -> Vec<Nanos> {
    kept().clone()
}

/// Virtual time for as long as this lives; time is real again when it is dropped, also by a panic.
#[derive(Debug)]
pub struct VirtualTime(());

impl VirtualTime {
    /// From now on time is virtual.
    ///
    /// # Panics
    /// When it is already: a test that shares the process with another would see its time.
    pub fn start() -> VirtualTime {
        assert!(instant().is_none(), "time is virtual already: tests in virtual time run one at a time");
        start();
        VirtualTime(())
    }

    /// Moves time on.
    pub fn advance(&self, length: Duration) {
        advance(nanos(length));
    }

    /// How long it has been virtual, in virtual time.
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(instant().map_or(0, |instant| instant - START))
    }

    /// The waits so far: between attempts, for a turn, in the queue.
    pub fn waits(&self) -> Vec<Duration> {
        waits().into_iter().map(Duration::from_nanos).collect()
    }
}

impl Drop for VirtualTime {
    fn drop(&mut self) {
        stop();
    }
}
