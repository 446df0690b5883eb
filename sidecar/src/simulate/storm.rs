//! A retry storm: steady calls below the server's capacity, an outage, then a server that is well again. What the clients do about
//! failures decides whether the service comes back: retries that outnumber what the server can do keep its queue full of requests
//! whose clients have given up, for ever ("Metastable Failures in Distributed Systems", Bronson et al., HotOS 2021).

use std::sync::{Arc, Mutex, PoisonError};
use std::task::Wake;

use ambassador_core::call::{Call, Decision, Give, Outcome};
use ambassador_core::clock::{NEVER, Nanos, SECOND};
use ambassador_core::proxy::Begin;
use ambassador_core::{AmbassadorProxy, Circuit};
use serde::Serialize;

use super::policy::Named;
use super::server::{Arrival, Make, Server};
use super::timers::Timers;
use super::{BEGINNING, circuits, seconds, side_by_side};
use crate::dice::Dice;

/// The service has come back when so many of the calls are answered.
pub const BACK: f64 = 0.95;

/// When clients call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Arrivals {
    /// At random, each whenever it likes.
    Poisson,
    /// One after the other, in even steps.
    Even,
}

/// What is simulated.
#[derive(Clone, Debug)]
pub struct Storm {
    /// How many clients there are, each a process of its own.
    pub clients: u32,
    /// Calls a second of each.
    pub rate: f64,
    /// How they are spread.
    pub arrivals: Arrivals,
    /// Whom they call.
    pub server: Make,
    /// For how long.
    pub duration: Nanos,
    /// The same seed gives the same run.
    pub seed: u64,
}

/// How it went with one policy.
#[derive(Clone, Debug, Serialize)]
pub struct Course {
    /// The policy's name.
    pub policy: String,
    /// Its settings as they were written.
    pub settings: String,
    /// What happened, slice by slice.
    pub slices: Vec<Slice>,
}

/// What happened in a slice of time.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Slice {
    /// Calls that clients began.
    pub calls: u64,
    /// Of these calls, those that were answered in the end.
    pub calls_answered: u64,
    /// Attempts that reached out to the server.
    pub attempts: u64,
    /// Calls that got their answer.
    pub answered: u64,
    /// Calls that ended with an error, after an attempt at least.
    pub failed: u64,
    /// Calls that were refused by the client's own ambassador.
    pub refused: u64,
    /// Requests that the server served.
    pub served: u64,
    /// Of these, those whose client had given up before.
    pub wasted: u64,
    /// Requests in the server's queue at the end of the slice.
    pub queued: u64,
    /// Breakers open at the end of the slice.
    pub open: u32,
    /// Breakers half-open at the end of the slice.
    pub half_open: u32,
}

impl Storm {
    /// Every policy, side by side.
    pub fn run(&self, policies: &[Named]) -> Vec<Course> {
        let defaults = Named::built_in("defaults:");
        side_by_side(policies, |policy| {
            let slices = circuits::counted(self.clients, || Run::new(self, &policy.proxy(&defaults)).run());
            Course { policy: policy.name.clone(), settings: policy.written.clone(), slices }
        })
    }

    /// Calls a second of all clients.
    pub fn calls_a_second(&self) -> f64 {
        f64::from(self.clients) * self.rate
    }

    /// The length of a slice: some hundred of them, and a round number of seconds.
    pub fn slice(&self) -> Nanos {
        let decades = (0..).map(|power| SECOND / 10 * 10_u64.saturating_pow(power));
        let mut round = decades.flat_map(|decade| [1, 2, 5].map(|times| decade.saturating_mul(times)));
        round.find(|length| length.saturating_mul(150) >= self.duration).unwrap_or(SECOND)
    }

    /// When the last outage has ended, counted from the beginning.
    pub fn end_of_outages(&self) -> Option<Nanos> {
        self.server.outages.iter().map(|outage| outage.to).max()
    }

    /// How long after the last outage the service was back, for good: from then on, in each slice, 95 % of the calls were answered.
    pub fn back_after(&self, course: &Course) -> Option<Nanos> {
        let outage = self.end_of_outages()?;
        let slice = self.slice();
        let first = outage.div_ceil(slice) as usize;
        let after = course.slices.get(first..)?;
        let is_back = |slice: &Slice| slice.calls_answered as f64 >= BACK * slice.calls as f64;
        let back = after.iter().rposition(|slice| !is_back(slice)).map_or(0, |at| at + 1);
        (back < after.len()).then(|| (first + back) as u64 * slice - outage)
    }
}

impl Course {
    fn sum(&self, of: impl Fn(&Slice) -> u64) -> u64 {
        self.slices.iter().map(of).sum()
    }

    /// Calls begun.
    pub fn calls(&self) -> u64 {
        self.sum(|slice| slice.calls)
    }

    /// The share of calls that were answered.
    pub fn answered(&self) -> f64 {
        share(self.sum(|slice| slice.calls_answered), self.calls())
    }

    /// The same, of the calls of the last quarter.
    pub fn answered_at_the_end(&self) -> f64 {
        let last = &self.slices[self.slices.len() * 3 / 4..];
        share(last.iter().map(|slice| slice.calls_answered).sum(), last.iter().map(|slice| slice.calls).sum())
    }

    /// Attempts for each call.
    pub fn amplification(&self) -> f64 {
        share(self.sum(|slice| slice.attempts), self.calls())
    }

    /// The same, in the last quarter.
    pub fn amplification_at_the_end(&self) -> f64 {
        let last = &self.slices[self.slices.len() * 3 / 4..];
        share(last.iter().map(|slice| slice.attempts).sum(), last.iter().map(|slice| slice.calls).sum())
    }

    /// The share of the server's work that was for nobody.
    pub fn wasted(&self) -> f64 {
        share(self.sum(|slice| slice.wasted), self.sum(|slice| slice.served))
    }
}

impl Slice {
    /// Attempts for each call that began in this slice.
    pub fn amplification(&self) -> f64 {
        share(self.attempts, self.calls)
    }
}

fn share(part: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { part as f64 / of as f64 }
}

/// Where a call stands. A ticket whose serial is not its slot's is of something that is over: an attempt that was given up, a
/// timer that nobody needs any more.
#[derive(Clone, Copy, Debug)]
struct Ticket {
    slot: u32,
    serial: u32,
}

#[derive(Debug)]
struct Slot {
    call: Call,
    client: u32,
    /// The slice it began in.
    slice: u32,
    is_waiting: bool,
}

struct Run<'a> {
    storm: &'a Storm,
    clients: Vec<AmbassadorProxy>,
    server: Server<'a, Ticket>,
    timers: Timers<Ticket>,
    slots: Vec<Slot>,
    /// A number for each slot, apart from it: most timers are void when they come due, and need nothing else of it.
    serials: Vec<u32>,
    free: Vec<u32>,
    /// Calls of the time that counts, still under way.
    under_way: u64,
    slices: Vec<Slice>,
    /// What comes after the time that counts.
    rest: Slice,
    slice: usize,
    /// Calls to whom a place in their client's bulkhead came free.
    called_in: Arc<Mutex<Vec<Ticket>>>,
    has_bulkhead: bool,
    callers: Dice,
    service: Dice,
}

impl<'a> Run<'a> {
    fn new(storm: &'a Storm, proxy: &AmbassadorProxy) -> Run<'a> {
        // Each kind of chance has its own dice, so that all policies meet the same calls.
        let mut seeds = Dice::of(storm.seed, 3);
        let clients = (0..storm.clients)
            .map(|_| {
                let client = proxy.alone();
                client.seed_jitter(seeds.bits());
                client
            })
            .collect();
        Run {
            storm,
            clients,
            server: Server::new(&storm.server),
            timers: Timers::default(),
            slots: Vec::new(),
            serials: Vec::new(),
            free: Vec::new(),
            under_way: 0,
            slices: vec![Slice::default(); storm.duration.div_ceil(storm.slice()) as usize],
            rest: Slice::default(),
            slice: 0,
            called_in: Arc::default(),
            has_bulkhead: proxy.policy().shared.bulkhead.is_some(),
            callers: Dice::of(storm.seed, 1),
            service: Dice::of(storm.seed, 2),
        }
    }

    fn run(mut self) -> Vec<Slice> {
        let end = BEGINNING + self.storm.duration;
        let mut now = BEGINNING;
        self.server.turn(now);
        let (mut arrival, mut callers) = (self.next_arrival(now), 0);
        // Goes on, with calls that do not count, until the last that does has ended; one without a bound may never.
        while now < end || (self.under_way > 0 && now < end + self.storm.duration) {
            let (turn, served, timer) = (self.server.next_turn(now), self.server.next(), self.timers.next());
            now = turn.min(served).min(arrival).min(timer);
            self.note_slices(now);
            // What ends exactly at its bound is in time: the server goes before the timers.
            if turn == now {
                self.server.turn(now);
            } else if served == now {
                self.served(now);
            } else if arrival == now {
                let client = match self.storm.arrivals {
                    Arrivals::Poisson => self.callers.below(self.storm.clients.into()) as u32,
                    Arrivals::Even => (callers % u64::from(self.storm.clients)) as u32,
                };
                callers += 1;
                self.begin(client, now);
                arrival = self.next_arrival(now);
            } else if let Some(ticket) = self.timers.take() {
                self.due(ticket, now);
            }
            if self.has_bulkhead {
                self.call_in(now);
            }
        }
        self.note_slices(NEVER);
        self.slices
    }

    /// Many clients that each call at random are together one stream that is random.
    fn next_arrival(&mut self, now: Nanos) -> Nanos {
        let mean = SECOND as f64 / self.storm.calls_a_second();
        now + match self.storm.arrivals {
            Arrivals::Poisson => self.callers.exponential(mean),
            Arrivals::Even => mean.round() as Nanos,
        }
        .max(1)
    }

    fn slice_of(&self, now: Nanos) -> usize {
        ((now - BEGINNING) / self.storm.slice()) as usize
    }

    fn at(&mut self, now: Nanos) -> &mut Slice {
        let slice = self.slice_of(now);
        self.slices.get_mut(slice).unwrap_or(&mut self.rest)
    }

    /// Notes how things stand at the end of each slice that is over.
    fn note_slices(&mut self, now: Nanos) {
        let over = self.slice_of(now).min(self.slices.len());
        for slice in &mut self.slices[self.slice.min(over)..over] {
            slice.queued = self.server.queued() as u64;
            slice.open = circuits::count(Circuit::Open);
            slice.half_open = circuits::count(Circuit::HalfOpen);
        }
        self.slice = over;
    }

    fn begin(&mut self, client: u32, now: Nanos) {
        let slice = self.slice_of(now) as u32;
        self.at(now).calls += 1;
        let (call, wait) = match self.clients[client as usize].begin(now) {
            Begin::Run(call) => (call, None),
            Begin::Wait(call, until) => (call, Some(until)),
            Begin::Refuse(..) => {
                self.at(now).refused += 1;
                return;
            }
            Begin::Direct => panic!("the core failed; its message is above"),
        };
        if (slice as usize) < self.slices.len() {
            self.under_way += 1;
        }
        let kept = Slot { call, client, slice, is_waiting: false };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = kept;
                slot
            }
            None => {
                self.slots.push(kept);
                self.serials.push(0);
                (self.slots.len() - 1) as u32
            }
        };
        match wait {
            None => self.attempt(slot, now),
            Some(until) => self.wait(slot, until),
        }
    }

    /// The ticket for what the call does from now on; all earlier ones are void.
    fn next_ticket(&mut self, slot: u32) -> Ticket {
        let serial = &mut self.serials[slot as usize];
        *serial = serial.wrapping_add(1);
        Ticket { slot, serial: *serial }
    }

    fn is_void(&self, ticket: Ticket) -> bool {
        self.serials[ticket.slot as usize] != ticket.serial
    }

    fn attempt(&mut self, slot: u32, now: Nanos) {
        let ticket = self.next_ticket(slot);
        self.slots[slot as usize].is_waiting = false;
        let bound = self.slots[slot as usize].call.bound();
        if bound != NEVER {
            self.timers.set_in_order(bound, ticket);
        }
        self.at(now).attempts += 1;
        match self.server.arrive(ticket, now, &mut self.service) {
            Arrival::Taken | Arrival::Lost => {}
            Arrival::Refused => self.settle(slot, Outcome::Retry, now),
        }
    }

    fn wait(&mut self, slot: u32, until: Nanos) {
        let ticket = self.next_ticket(slot);
        let kept = &mut self.slots[slot as usize];
        kept.is_waiting = true;
        if until != NEVER {
            self.timers.set(until, ticket);
        }
        let client = &self.clients[kept.client as usize];
        if client.is_queued(&kept.call) {
            let place = Place { ticket, called_in: Arc::clone(&self.called_in) };
            client.wake_at_turn(&kept.call, Arc::new(place).into());
        }
    }

    fn served(&mut self, now: Nanos) {
        let Some(ticket) = self.server.done(now, &mut self.service) else { return };
        self.at(now).served += 1;
        if self.is_void(ticket) {
            self.at(now).wasted += 1;
        } else {
            self.settle(ticket.slot, Outcome::Ok, now);
        }
    }

    /// A wait is over, or an attempt has not ended at its bound.
    fn due(&mut self, ticket: Ticket, now: Nanos) {
        if self.is_void(ticket) {
            return;
        }
        match self.slots[ticket.slot as usize].is_waiting {
            true => self.resume(ticket.slot, now),
            false => self.settle(ticket.slot, Outcome::Timeout, now),
        }
    }

    fn settle(&mut self, slot: u32, outcome: Outcome, now: Nanos) {
        let kept = &mut self.slots[slot as usize];
        let decision = self.clients[kept.client as usize].settle(&mut kept.call, now, outcome, None);
        self.follow(slot, decision, now);
    }

    fn resume(&mut self, slot: u32, now: Nanos) {
        let kept = &mut self.slots[slot as usize];
        let decision = self.clients[kept.client as usize].resume(&mut kept.call, now);
        self.follow(slot, decision, now);
    }

    fn follow(&mut self, slot: u32, decision: Decision, now: Nanos) {
        match decision {
            Decision::Run => self.attempt(slot, now),
            Decision::WaitUntil(until) => self.wait(slot, until),
            Decision::Await => unreachable!("no call is hedged here"),
            Decision::Finish(give, _) => self.end(slot, give, now),
        }
    }

    fn end(&mut self, slot: u32, give: Give, now: Nanos) {
        self.next_ticket(slot);
        self.free.push(slot);
        let Slot { call, slice, .. } = &self.slots[slot as usize];
        let (had_attempt, begun) = (call.attempt() > 0, *slice as usize);
        let ended = self.at(now);
        match give {
            Give::Value => ended.answered += 1,
            _ if had_attempt => ended.failed += 1,
            _ => ended.refused += 1,
        }
        if let Some(begun) = self.slices.get_mut(begun) {
            begun.calls_answered += u64::from(give == Give::Value);
            self.under_way -= 1;
        }
    }

    fn call_in(&mut self, now: Nanos) {
        loop {
            let Some(ticket) = self.called_in.lock().unwrap_or_else(PoisonError::into_inner).pop() else { return };
            if !self.is_void(ticket) {
                self.resume(ticket.slot, now);
            }
        }
    }
}

/// What a client's bulkhead wakes when a place comes free.
struct Place {
    ticket: Ticket,
    called_in: Arc<Mutex<Vec<Ticket>>>,
}

impl Wake for Place {
    fn wake(self: Arc<Self>) {
        self.called_in.lock().unwrap_or_else(PoisonError::into_inner).push(self.ticket);
    }
}

/// What is written above the table and the figure.
impl std::fmt::Display for Storm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Storm { clients, server, .. } = self;
        let load = 100.0 * self.calls_a_second() / server.capacity();
        write!(
            f,
            "{clients} clients make {} calls/s in all, {load:.0} % of what the server can serve. ",
            super::report::number(self.calls_a_second())
        )?;
        match &*server.outages {
            [] => write!(f, "It has no outage."),
            outages => {
                let outages: Vec<String> = outages.iter().map(ToString::to_string).collect();
                write!(f, "It is {}, of {} s.", outages.join(", "), seconds(self.duration))
            }
        }
    }
}
