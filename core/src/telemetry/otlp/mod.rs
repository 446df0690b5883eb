//! Spans and metrics, to an OpenTelemetry collector: OTLP by HTTP, as Protocol Buffers. Off unless the environment asks for it:
//! `AMBASSADOR_OTLP=1`, or `OTEL_TRACES_EXPORTER=otlp` and `OTEL_METRICS_EXPORTER=otlp`.
//!
//! Two tasks of the shared runtime send what is due; they begin with the first call. A collector that does not answer costs spans,
//! which are counted, and no call anything. The requests go by the ambassador's own way, retries and all.
//!
//! | file | holds |
//! | --- | --- |
//! | `environment.rs` | what the variables say |
//! | `export.rs` | the queue, the tasks |
//! | `sender.rs` | the way to the collector |
//! | `encode.rs`, `points.rs`, `wire.rs` | spans and metrics as requests carry them; Protocol Buffers |
//!
//! The requests are written by hand, for OpenTelemetry's own crates would add some twenty to every build. Tests read them by the
//! types of `opentelemetry-proto`.

mod encode;
mod environment;
mod export;
mod points;
mod sender;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use once_cell::sync::OnceCell;

use self::environment::Plan;
use super::spans::{self, Finished};
use super::{language, log};
use crate::runtime;

static PLAN: OnceCell<Option<Arc<Plan>>> = OnceCell::new();

/// What became of spans, and of requests to the collector.
#[derive(Debug, Default)]
struct Counts {
    exported: AtomicU64,
    dropped: AtomicU64,
    metrics: AtomicU64,
    failed: AtomicU64,
}

static COUNTS: Counts = Counts {
    exported: AtomicU64::new(0),
    dropped: AtomicU64::new(0),
    metrics: AtomicU64::new(0),
    failed: AtomicU64::new(0),
};

/// How the export fares, since this process began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exported {
    /// Spans that the collector has taken.
    pub spans: u64,
    /// Spans that were dropped: there were too many, or the collector would not take them.
    pub dropped: u64,
    /// How often it has taken all metrics.
    pub metrics: u64,
    /// Requests to the collector that failed, whatever they carried.
    pub failed: u64,
}

/// How the export fares; `None` when nothing is exported.
pub fn exported() -> Option<Exported> {
    PLAN.get()?.as_ref()?;
    let count = |cell: &AtomicU64| cell.load(Relaxed);
    let Counts { exported, dropped, metrics, failed } = &COUNTS;
    Some(Exported { spans: count(exported), dropped: count(dropped), metrics: count(metrics), failed: count(failed) })
}

/// The first proxy of this process is made, or another: the environment is read once.
pub(crate) fn begin() {
    PLAN.get_or_init(|| {
        let mut wrong = Vec::new();
        let plan = environment::plan(&|name| std::env::var(name).ok(), &mut wrong);
        if !wrong.is_empty() {
            warn(&wrong.join("; "));
        }
        let plan = Arc::new(plan?);
        spans::set_sampler(plan.sampler);
        let has_spans = if plan.traces.is_some() { spans::SPANS } else { 0 };
        spans::add_duties(spans::START | has_spans);
        Some(plan)
    });
}

/// A call begins: the task starts, unless it has.
pub(crate) fn start() {
    if spans::done(spans::START)
        && let Some(Some(plan)) = PLAN.get()
    {
        export::start(plan);
    }
}

/// F3: nothing of the parent's is sent from here, and the next call starts the task anew.
pub(crate) fn begin_anew() {
    export::forget();
    if let Some(Some(_)) = PLAN.get() {
        spans::add_duties(spans::START);
    }
}

/// A span has ended.
pub(crate) fn deliver(finished: Finished) {
    if runtime::has_ended() || !export::queue(finished) {
        COUNTS.dropped.fetch_add(1, Relaxed);
    }
}

/// Waits until what has been counted by now is with the collector, or cannot be; at most for so long.
pub(crate) fn flush(most: Duration) {
    export::flush(most);
}

/// Something is wrong that an operator should know. Told once, and not of any target's.
fn warn(text: &str) {
    tracing::warn!(target: "ambassador", "OTLP: {text}");
    if language() != "rust" && log::is_on(log::Level::Warn) {
        eprintln!("[Ambassador] OTLP: {text}");
    }
}
