//! How long the shared runtime lets a task wait until it runs: measured from the admin server's thread, which does not depend on it.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::{interval, sleep};

use crate::clock;
use crate::runtime;
use crate::telemetry::process::note_lag;

/// How often it is measured.
const EVERY: Duration = Duration::from_millis(500);
/// While a task waits, how often it is told how long it has.
const MEANWHILE: Duration = Duration::from_millis(50);

/// Nobody measures any more.
struct Measured;

impl Drop for Measured {
    fn drop(&mut self) {
        note_lag(None);
    }
}

pub(super) async fn measure() {
    let _measured = Measured;
    loop {
        // Not started for this.
        if let Some(runtime) = runtime::present() {
            let (ran, mut has_run) = oneshot::channel();
            let asked = Instant::now();
            runtime.spawn(async move {
                let _ = ran.send(asked.elapsed());
            });
            let mut meanwhile = interval(MEANWHILE);
            let lag = poll_fn(|cx| {
                if let Poll::Ready(lag) = pin!(&mut has_run).poll(cx) {
                    return Poll::Ready(lag.ok());
                }
                while meanwhile.poll_tick(cx).is_ready() {
                    note_longer(asked.elapsed());
                }
                Poll::Pending
            });
            note_lag(lag.await.map(clock::nanos));
        }
        sleep(EVERY).await;
    }
}

/// A task that has not run yet says nothing until it waits for longer than the last one.
fn note_longer(waits: Duration) {
    if waits > MEANWHILE {
        note_lag(Some(clock::nanos(waits)));
    }
}
