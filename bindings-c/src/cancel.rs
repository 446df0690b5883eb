//! Stopping a call from outside (O3): a flag, a wake-up, and a handle that is there while the call runs.

use std::future::poll_fn;
use std::pin::pin;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::task::Poll;

use ambassador_core::call::Outcome;
use once_cell::sync::Lazy;
use sharded_slab::Slab;
use tokio::sync::Notify;

use crate::raise;
use crate::status::amb_status;

/// A call in flight. A handle that ends by itself with the call; there is nothing to free.
pub struct amb_call {
    _opaque: [u8; 0],
}

/// What one call is stopped by.
#[derive(Default)]
pub(crate) struct Cancel {
    cancelled: AtomicBool,
    wake: Notify,
    /// Set when a failure was not tried again for it.
    heeded: AtomicBool,
    key: OnceLock<Option<usize>>,
}

struct Flight {
    pid: u32,
    cancel: Arc<Cancel>,
}

static CALLS: Lazy<Slab<Flight>> = Lazy::new(Slab::new);

impl Cancel {
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(SeqCst)
    }

    /// The call's handle; null when there is no room for one.
    pub fn handle(self: &Arc<Cancel>) -> *mut amb_call {
        let key = self.key.get_or_init(|| CALLS.insert(Flight { pid: process::id(), cancel: Arc::clone(self) }));
        key.map_or(0, |key| key + 1) as *mut amb_call
    }

    /// The call has ended; its handle is none any more.
    pub fn retire(&self) {
        if let Some(Some(key)) = self.key.get() {
            CALLS.remove(*key);
        }
    }

    /// What an attempt's outcome is for this call: a failure ends a cancelled one, also where no wait would follow that
    /// [`or`](Cancel::or) could cut short.
    pub fn heed(&self, outcome: Outcome) -> Outcome {
        if !matches!(outcome, Outcome::Retry | Outcome::Fail) || !self.is_cancelled() {
            return outcome;
        }
        self.heeded.store(true, SeqCst);
        Outcome::Cancelled
    }

    /// The future's output, or `None` once the call is cancelled: the future is dropped then, and the core counts it.
    pub async fn or<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut stopped = pin!(self.wake.notified());
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready((!self.heeded.load(SeqCst)).then_some(output));
            }
            stopped.as_mut().poll(cx).map(|()| None)
        })
        .await
    }
}

/// Stops a call: a wait between attempts ends now, a spawned function is abandoned, and amb_attempt_cancelled() turns true
/// for one that runs on its caller's thread. Unless the function still succeeds, the call ends with #AMB_CANCELLED.
///
/// #AMB_ERR_ARGUMENT when the call has ended; #AMB_ERR_FORKED in a child of the process that began it.
#[unsafe(no_mangle)]
pub extern "C" fn amb_call_cancel(call: *const amb_call) -> amb_status {
    raise::guard(|| {
        let flight = (call as usize).checked_sub(1).and_then(|key| CALLS.get(key));
        let Some(flight) = flight else {
            return Err(raise::argument("amb_call_cancel: the call has ended, or is no call"));
        };
        if flight.pid != process::id() {
            let message = "amb_call_cancel: the call belongs to the parent of this process";
            return Err(raise::other(amb_status::AMB_ERR_FORKED, message));
        }
        flight.cancel.cancelled.store(true, SeqCst);
        flight.cancel.wake.notify_one();
        Ok(())
    })
}
