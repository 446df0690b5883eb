//! What is sent, and when: spans wait in a queue, and one task of the runtime's sends them on, batch by batch; another one sends the
//! metrics, time and again. Neither waits for the other.

use std::collections::VecDeque;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use once_cell::sync::Lazy;
use tokio::sync::Notify;

use super::environment::{Plan, Road};
use super::sender::Sender;
use super::{COUNTS, encode, points};
use crate::runtime;
use crate::telemetry::spans::Finished;

/// The tasks of this process, and what they have to send.
struct Exporter {
    process: u32,
    plan: Arc<Plan>,
    waiting: Mutex<VecDeque<Finished>>,
    spans: Turns,
    metrics: Turns,
}

/// When a task has its next turn.
#[derive(Default)]
struct Turns {
    wake: Notify,
    /// How often somebody has asked for a flush …
    asked: AtomicU64,
    /// … and how many of these are over.
    flushed: Mutex<u64>,
    over: Condvar,
}

// Swapped without a lock, and never shared with a forked child.
static EXPORTER: Lazy<ArcSwapOption<Exporter>> = Lazy::new(ArcSwapOption::empty);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn present() -> Option<Arc<Exporter>> {
    EXPORTER.load_full().filter(|exporter| exporter.process == std::process::id())
}

pub(super) fn start(plan: &Arc<Plan>) {
    if runtime::is_shut_down() || present().is_some() {
        return;
    }
    let exporter = Arc::new(Exporter {
        process: std::process::id(),
        plan: Arc::clone(plan),
        waiting: Mutex::default(),
        spans: Turns::default(),
        metrics: Turns::default(),
    });
    EXPORTER.store(Some(Arc::clone(&exporter)));
    if let Some(road) = &plan.traces {
        runtime::handle().spawn(Arc::clone(&exporter).export_spans(road.clone()));
    }
    if let Some(road) = &plan.metrics {
        runtime::handle().spawn(exporter.export_metrics(road.clone()));
    }
}

pub(super) fn forget() {
    // Leaked rather than dropped: its locks may be held by threads that are not here.
    if let Some(Some(inherited)) = Lazy::get(&EXPORTER).map(|exporter| exporter.swap(None)) {
        std::mem::forget(inherited);
    }
}

/// Whether there was room.
pub(super) fn queue(finished: Finished) -> bool {
    let Some(exporter) = present() else { return false };
    let batches = exporter.plan.batches;
    let mut waiting = lock(&exporter.waiting);
    if waiting.len() >= batches.queue {
        return false;
    }
    waiting.push_back(finished);
    if waiting.len() % batches.most == 0 {
        exporter.spans.wake.notify_one();
    }
    true
}

pub(super) fn flush(most: Duration) {
    let Some(exporter) = present() else { return };
    let until = Instant::now().checked_add(most);
    let asked = [
        exporter.plan.traces.is_some().then(|| (&exporter.spans, exporter.spans.ask())),
        exporter.plan.metrics.is_some().then(|| (&exporter.metrics, exporter.metrics.ask())),
    ];
    asked.into_iter().flatten().for_each(|(turns, wanted)| turns.wait(wanted, until));
}

impl Turns {
    /// Somebody wants a flush: the number of it.
    fn ask(&self) -> u64 {
        let wanted = self.asked.fetch_add(1, SeqCst) + 1;
        self.wake.notify_one();
        wanted
    }

    fn wait(&self, wanted: u64, until: Option<Instant>) {
        let mut flushed = lock(&self.flushed);
        while *flushed < wanted {
            let left = until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return;
            }
            flushed = self.over.wait_timeout(flushed, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The flushes up to that one are over.
    fn done(&self, asked: u64) {
        let mut flushed = lock(&self.flushed);
        *flushed = (*flushed).max(asked);
        self.over.notify_all();
    }

    /// The next turn, in so long at the latest.
    async fn next(&self, every: Duration) {
        let _ = tokio::time::timeout(every, self.wake.notified()).await;
    }
}

impl Exporter {
    async fn export_spans(self: Arc<Exporter>, road: Road) {
        let resource = encode::resource(&self.plan.resource).into_bytes();
        let mut sender = Sender::new("traces", &road);
        loop {
            let asked = self.spans.asked.load(SeqCst);
            if let Some(sender) = &mut sender {
                self.send_spans(sender, &resource).await;
            }
            self.spans.done(asked);
            self.spans.next(self.plan.batches.every).await;
        }
    }

    async fn send_spans(&self, traces: &mut Sender, resource: &[u8]) {
        loop {
            let batch: Vec<Finished> = {
                let mut waiting = lock(&self.waiting);
                let length = waiting.len().min(self.plan.batches.most);
                waiting.drain(..length).collect()
            };
            if batch.is_empty() {
                return;
            }
            let count = batch.len() as u64;
            if let Some(refused) = traces.send(encode::traces(resource, &batch)).await {
                let refused = refused.min(count);
                COUNTS.exported.fetch_add(count - refused, Relaxed);
                COUNTS.dropped.fetch_add(refused, Relaxed);
                continue;
            }
            COUNTS.dropped.fetch_add(count, Relaxed);
            if runtime::is_shut_down() {
                // Nobody waits for the next one to fail as well.
                let rest = std::mem::take(&mut *lock(&self.waiting)).len();
                COUNTS.dropped.fetch_add(rest as u64, Relaxed);
            }
        }
    }

    async fn export_metrics(self: Arc<Exporter>, road: Road) {
        let resource = encode::resource(&self.plan.resource).into_bytes();
        let mut sender = Sender::new("metrics", &road);
        loop {
            self.metrics.next(self.plan.metrics_every).await;
            let asked = self.metrics.asked.load(SeqCst);
            if let Some(sender) = &mut sender
                && sender.send(points::metrics(&resource)).await.is_some()
            {
                COUNTS.metrics.fetch_add(1, Relaxed);
            }
            self.metrics.done(asked);
        }
    }
}
