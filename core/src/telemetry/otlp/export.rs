//! The way to the collector: spans wait in a queue, and one task of the runtime's sends them on, batch by batch.

use std::collections::VecDeque;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use once_cell::sync::Lazy;
use tokio::io::AsyncReadExt;
use tokio::sync::Notify;

use super::environment::{Plan, Road};
use super::{COUNTS, encode, warn};
use crate::http::{Body, Options};
use crate::policy::backoff::Backoff;
use crate::policy::tls::Tls;
use crate::proxy::AmbassadorProxy;
use crate::runtime;
use crate::telemetry::spans::Finished;

/// The task of this process, and what it has to send.
struct Exporter {
    process: u32,
    plan: Arc<Plan>,
    waiting: Mutex<VecDeque<Finished>>,
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
        wake: Notify::new(),
        asked: AtomicU64::new(0),
        flushed: Mutex::new(0),
        over: Condvar::new(),
    });
    EXPORTER.store(Some(Arc::clone(&exporter)));
    runtime::handle().spawn(exporter.run());
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
        exporter.wake.notify_one();
    }
    true
}

pub(super) fn flush(most: Duration) {
    let Some(exporter) = present() else { return };
    let until = Instant::now().checked_add(most);
    let wanted = exporter.asked.fetch_add(1, SeqCst) + 1;
    exporter.wake.notify_one();
    let mut flushed = lock(&exporter.flushed);
    while *flushed < wanted {
        let left = until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            return;
        }
        flushed = exporter.over.wait_timeout(flushed, left).unwrap_or_else(PoisonError::into_inner).0;
    }
}

impl Exporter {
    async fn run(self: Arc<Exporter>) {
        let resource = encode::resource(&self.plan.resource).into_bytes();
        let mut traces = self.plan.traces.as_ref().and_then(|road| Sender::new("traces", road));
        loop {
            let asked = self.asked.load(SeqCst);
            if let Some(traces) = &mut traces {
                self.send_spans(traces, &resource).await;
            }
            {
                let mut flushed = lock(&self.flushed);
                *flushed = (*flushed).max(asked);
                self.over.notify_all();
            }
            let _ = tokio::time::timeout(self.plan.batches.every, self.wake.notified()).await;
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
            if traces.send(encode::traces(resource, &batch)).await {
                COUNTS.exported.fetch_add(count, Relaxed);
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
}

/// The way to the collector, for one kind of what is sent.
struct Sender {
    kind: &'static str,
    proxy: AmbassadorProxy,
    road: Road,
    is_failing: bool,
}

impl Sender {
    fn new(kind: &'static str, road: &Road) -> Option<Sender> {
        let tls = Tls { ca: road.ca.clone(), cert: road.cert.clone(), key: road.key.clone(), ..Tls::default() };
        let proxy = AmbassadorProxy::builder(&road.origin)
            .name(&format!("ambassador's {kind}"))
            .timeout(road.timeout)
            .deadline(road.timeout)
            .max_retries(5)
            .backoff(Backoff::exponential(Duration::from_secs(1)))
            .breaker(None)
            .budget(None)
            .tls(tls)
            .build();
        match proxy {
            Ok(proxy) => Some(Sender { kind, proxy: proxy.for_exports(), road: road.clone(), is_failing: false }),
            Err(error) => {
                warn(&format!("no {kind} are exported: {error}"));
                None
            }
        }
    }

    /// Whether the collector has taken it.
    async fn send(&mut self, message: Vec<u8>) -> bool {
        let failed = match self.request(message).await {
            Err(why) => Some(why),
            Ok(request) => {
                let mut options = Options::default();
                // It may get it twice, as OTLP allows.
                options.idempotent = Some(true);
                match self.proxy.send_with(request, options).await {
                    Ok(response) if response.status().is_success() => None,
                    Ok(response) => Some(format!("it answers {}", response.status())),
                    Err(error) => Some(error.to_string()),
                }
            }
        };
        let has_failed = failed.is_some();
        match failed {
            Some(why) => {
                COUNTS.failed.fetch_add(1, Relaxed);
                // Told once, until it goes well again.
                if !std::mem::replace(&mut self.is_failing, true) {
                    let Sender { kind, road, .. } = self;
                    warn(&format!(
                        "{kind} cannot be sent to {}{}, and are dropped until they can: {why}",
                        road.origin, road.path
                    ));
                }
            }
            None => self.is_failing = false,
        }
        !has_failed
    }

    async fn request(&self, message: Vec<u8>) -> Result<http::Request<Body>, String> {
        let mut request = http::Request::post(&self.road.path);
        let body = if self.road.gzip {
            request = request.header(CONTENT_ENCODING, "gzip");
            let mut packed = Vec::new();
            let mut encoder = async_compression::tokio::bufread::GzipEncoder::new(&message[..]);
            encoder.read_to_end(&mut packed).await.map_err(|error| error.to_string())?;
            packed
        } else {
            message
        };
        request = request.header(CONTENT_TYPE, "application/x-protobuf");
        request = request.header(USER_AGENT, concat!("OTel-OTLP-Exporter-Ambassador/", env!("CARGO_PKG_VERSION")));
        for (name, value) in &self.road.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("{name:?} is no header's name"))?;
            let mut value =
                HeaderValue::from_str(value.reveal()).map_err(|_| format!("{name} is no header's value"))?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        request.body(Body::from(body)).map_err(|error| error.to_string())
    }
}
