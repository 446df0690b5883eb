//! The spans of calls that are under way, while spans are exported: what a call is in its trace, and what its attempts brought.
//! A [`Call`](crate::call::Call) has the number of its span; what is kept of it stands here, until the call has ended.
//!
//! Nothing of this is on the way of a call while nothing is exported, but one load.
#![cfg_attr(not(feature = "otlp"), allow(dead_code))]

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use once_cell::sync::Lazy;

use super::trace::Context;
use crate::call::{Outcome, Stop};
use crate::clock::{self, Nanos};
use crate::error::Code;
use crate::target::{Target, next_random, random_seed};

/// What is to be done for calls, beyond calls.
static DUTIES: AtomicU8 = AtomicU8::new(0);

/// Calls have spans.
pub(crate) const SPANS: u8 = 1;
/// The next call starts the exporter of this process.
pub(crate) const START: u8 = 2;
/// The next call watches the configuration of this process.
pub(crate) const WATCH: u8 = 4;

/// Whether there is anything to be done.
#[inline]
pub(crate) fn duties() -> u8 {
    if cfg!(feature = "http") { DUTIES.load(Relaxed) } else { 0 }
}

/// From now on these are to be done.
pub(crate) fn add_duties(duties: u8) {
    DUTIES.fetch_or(duties, Relaxed);
}

/// These are done; whether they were to be.
pub(crate) fn done(duties: u8) -> bool {
    DUTIES.fetch_and(!duties, Relaxed) & duties != 0
}

/// The span of a call: where it is kept, and when the call entered, for a place serves one call after another. None is 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub number: u32,
    pub entered: Nanos,
}

/// The request that a call is, as its span tells it (S3: no query, no credentials, no header).
#[derive(Clone, Debug)]
pub(crate) struct Requested {
    pub method: http::Method,
    pub scheme: &'static str,
    pub host: Box<str>,
    pub port: u16,
    pub path: Box<str>,
}

/// What an attempt at a request brought.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Brought {
    Response { status: u16, version: &'static str },
    Fault(Code),
}

/// An attempt that has ended.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub number: u32,
    pub outcome: Outcome,
    pub took: Nanos,
    /// When it ended, in nanoseconds since 1970.
    pub at: u64,
    pub endpoint: Option<Target>,
    pub brought: Option<Brought>,
}

/// A span that has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    /// The name of the target's state.
    pub name: Box<str>,
    pub context: Context,
    /// The span above it; 0 for none.
    pub parent: u64,
    /// In nanoseconds since 1970.
    pub start: u64,
    pub end: u64,
    pub requested: Option<Requested>,
    pub attempts: Vec<Attempt>,
    pub outcome: &'static str,
    pub stop: Stop,
}

/// What is kept of a call.
#[derive(Debug)]
struct Live {
    entered: Nanos,
    context: Context,
    parent: u64,
    requested: Option<Requested>,
    attempts: Vec<Attempt>,
    /// Of attempts that have not been recorded yet.
    brought: Vec<(u32, Brought)>,
}

const SHARDS: u64 = 16;
/// A call has 24 bits for its span's number, of which none is 0.
pub(crate) const NUMBER_BITS: u32 = 24;
const MOST_PER_SHARD: usize = (1 << NUMBER_BITS) / SHARDS as usize - 1;

#[derive(Debug, Default)]
struct Shard {
    places: Vec<Option<Box<Live>>>,
    free: Vec<u32>,
}

// Swapped whole in a forked child: a lock that another thread holds at a fork stays held there.
static LIVE: Lazy<[ArcSwap<Mutex<Shard>>; SHARDS as usize]> = Lazy::new(Default::default);

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// F3: those of the parent's calls are the parent's.
pub(crate) fn begin_anew() {
    if Lazy::get(&LIVE).is_some() {
        LIVE.iter().for_each(|shard| shard.store(Arc::default()));
    }
    IDS.store(random_seed(), Relaxed);
}

static IDS: Lazy<AtomicU64> = Lazy::new(|| AtomicU64::new(random_seed()));

/// The next id, which is not of the jitter's numbers: those are the same whether anybody traces.
pub(crate) fn next_id() -> u64 {
    next_random(&IDS).max(1)
}

/// Which traces are recorded that begin here, and which spans of others' traces.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sampler {
    /// Whether it is for who is above to say, where anybody is.
    pub by_parent: bool,
    /// The share of the others.
    pub ratio: f64,
}

impl Sampler {
    pub const ALL: Sampler = Sampler { by_parent: true, ratio: 1.0 };

    fn takes(self, parent: Option<&Context>, trace_id: u128) -> bool {
        match parent {
            Some(parent) if self.by_parent => parent.is_sampled(),
            // As other implementations decide it, so that all keep the same traces.
            _ => (trace_id as u64) >> 1 < (self.ratio * (1_u64 << 63) as f64) as u64,
        }
    }
}

static SAMPLER: Lazy<ArcSwap<Sampler>> = Lazy::new(|| ArcSwap::from_pointee(Sampler::ALL));

/// From now on this is asked.
pub(crate) fn set_sampler(sampler: Sampler) {
    SAMPLER.store(Arc::new(sampler));
}

/// A call's span begins, below that one; its number, or 0 when there are more than can be kept.
pub(crate) fn begin(entered: Nanos, parent: Option<Context>, requested: Option<Requested>) -> u32 {
    begin_sampled(**SAMPLER.load(), entered, parent, requested)
}

fn begin_sampled(sampler: Sampler, entered: Nanos, parent: Option<Context>, requested: Option<Requested>) -> u32 {
    let span_id = next_id();
    let trace_id =
        parent.as_ref().map_or_else(|| u128::from(next_id()) << 64 | u128::from(next_id()), Context::trace_id);
    let is_sampled = sampler.takes(parent.as_ref(), trace_id);
    let (context, parent) = match parent {
        Some(parent) => (parent.child(span_id, is_sampled), parent.span_id()),
        None => (Context::first(trace_id, span_id, is_sampled), 0),
    };
    let live = Box::new(Live { entered, context, parent, requested, attempts: Vec::new(), brought: Vec::new() });
    let at = span_id % SHARDS;
    let shard = LIVE[at as usize].load();
    let mut shard = lock(&shard);
    let place = match shard.free.pop() {
        Some(place) => {
            shard.places[place as usize] = Some(live);
            place
        }
        None if shard.places.len() == MOST_PER_SHARD => return 0,
        None => {
            shard.places.push(Some(live));
            shard.places.len() as u32 - 1
        }
    };
    ((place + 1) << SHARDS.trailing_zeros()) | at as u32
}

impl Span {
    pub fn is_none(self) -> bool {
        self.number == 0
    }

    fn place(self) -> (usize, usize) {
        let number = self.number as usize;
        (number % SHARDS as usize, (number / SHARDS as usize).wrapping_sub(1))
    }

    fn with<T>(self, look: impl FnOnce(&mut Live) -> T) -> Option<T> {
        if self.is_none() {
            return None;
        }
        let (shard, place) = self.place();
        let shard = LIVE[shard].load();
        let mut shard = lock(&shard);
        let live = shard.places.get_mut(place)?.as_mut()?;
        (live.entered == self.entered).then(|| look(live))
    }

    /// What a request of the call says of its trace; `None` once the call has ended.
    pub fn context(self) -> Option<Context> {
        self.with(|live| live.context.clone())
    }

    /// That attempt brought this; it is not recorded yet.
    pub fn brought(self, attempt: u32, brought: Brought) {
        self.with(|live| {
            live.brought.retain(|(number, _)| *number != attempt);
            live.brought.push((attempt, brought));
        });
    }

    /// An attempt is recorded.
    pub fn attempt_ended(self, number: u32, outcome: Outcome, took: Nanos, now: Nanos, endpoint: Option<Target>) {
        self.with(|live| {
            if !live.context.is_sampled() {
                return;
            }
            let brought = live.brought.iter().position(|(of, _)| *of == number);
            let brought = brought.map(|at| live.brought.swap_remove(at).1);
            // T3: what came too late is dropped.
            let brought = brought.filter(|_| !matches!(outcome, Outcome::Timeout | Outcome::Cancelled));
            live.attempts.push(Attempt { number, outcome, took, at: unix(now), endpoint, brought });
        });
    }

    /// The call has ended.
    #[cold]
    pub fn ended(self, name: &str, outcome: &'static str, stop: Stop, now: Nanos) {
        let (shard, place) = self.place();
        let live = {
            let shard = LIVE[shard].load();
            let mut shard = lock(&shard);
            let is_its = matches!(shard.places.get(place), Some(Some(live)) if live.entered == self.entered);
            if !is_its {
                return;
            }
            shard.free.push(place as u32);
            shard.places[place].take()
        };
        let Some(live) = live.filter(|live| live.context.is_sampled()) else { return };
        let Live { entered, context, parent, requested, attempts, .. } = *live;
        let end = unix(now);
        let start = end.saturating_sub(now.saturating_sub(entered));
        deliver(Finished { name: name.into(), context, parent, start, end, requested, attempts, outcome, stop });
    }
}

/// That instant, in nanoseconds since 1970.
fn unix(at: Nanos) -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_nanos() as u64).saturating_sub(clock::now().saturating_sub(at))
}

#[cfg(feature = "otlp")]
fn deliver(finished: Finished) {
    super::otlp::deliver(finished);
}

#[cfg(not(feature = "otlp"))]
fn deliver(_: Finished) {}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTERED: Nanos = 7;

    fn parent(flags: u8) -> Option<Context> {
        Context::new(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c, 0xb7ad, flags, Some("a=1"))
    }

    fn begun(sampler: Sampler, parent: Option<Context>) -> Span {
        Span { number: begin_sampled(sampler, ENTERED, parent, None), entered: ENTERED }
    }

    #[test]
    fn a_span_is_of_its_parents_trace_until_it_has_ended() {
        let span = begun(Sampler::ALL, parent(1));
        let context = span.context().unwrap();
        assert_eq!((context.trace_id(), context.tracestate()), (parent(1).unwrap().trace_id(), Some("a=1")));
        assert_ne!(context.span_id(), 0xb7ad);
        span.ended("any", "ok", Stop::Ok, 9);
        assert_eq!(span.context(), None);
    }

    #[test]
    fn a_copy_of_an_ended_call_knows_nothing_of_who_has_its_place() {
        let spans: Vec<Span> = (0..SHARDS).map(|_| begun(Sampler::ALL, None)).collect();
        for span in &spans {
            span.ended("any", "ok", Stop::Ok, 9);
        }
        for _ in 0..64 {
            begin_sampled(Sampler::ALL, ENTERED + 1, None, None);
        }
        assert!(spans.iter().all(|span| span.context().is_none()));
    }

    #[test]
    fn who_is_above_says_whether_it_is_sampled_unless_the_sampler_does() {
        let by_parent = |flags, ratio| {
            let span = begun(Sampler { by_parent: true, ratio }, parent(flags));
            span.context().unwrap().is_sampled()
        };
        assert!(by_parent(1, 0.0) && !by_parent(0, 1.0));
        let alone = |ratio| {
            let span = begun(Sampler { by_parent: false, ratio }, parent(0));
            span.context().unwrap().is_sampled()
        };
        assert!(alone(1.0) && !alone(0.0));
    }

    #[test]
    fn a_share_of_traces_is_decided_by_their_ids() {
        let sampler = Sampler { by_parent: true, ratio: 0.25 };
        let taken = (0..4000).filter(|_| sampler.takes(None, u128::from(next_id()))).count();
        assert!((800..1200).contains(&taken), "{taken}");
        // As OpenTelemetry's own: the low 63 bits of the id but one, as a share of all.
        assert!(sampler.takes(None, 0x3fff_ffff_ffff_ffff) && !sampler.takes(None, 0x4000_0000_0000_0000));
    }
}
