//! Many clients contend for one record, each to change it once: it reads the record, then writes it, and the write succeeds if
//! nobody wrote in between; else it waits and begins again. What the kinds of jitter cost is the comparison of Marc Brooker,
//! "Exponential Backoff And Jitter", AWS Architecture Blog, 2015, whose model this is, driven by the core's own waits.

use ambassador_core::AmbassadorProxy;
use ambassador_core::call::{Call, Decision, Outcome};
use ambassador_core::clock::{MILLISECOND, NEVER, Nanos};
use ambassador_core::proxy::Begin;
use serde::Serialize;

use super::policy::Named;
use super::timers::Timers;
use super::{BEGINNING, seconds, side_by_side};
use crate::dice::Dice;

/// A message takes 10 ms on average, as in the article, with a standard deviation of 2 ms.
const DELAY: f64 = 10.0 * MILLISECOND as f64;
const DEVIATION: f64 = 2.0 * MILLISECOND as f64;

/// Each point of a line is the mean of so many runs.
pub const RUNS: u32 = 30;

/// The most clients. Each write that succeeds fails at most one attempt of each other client, so that no client of a hundred needs
/// more than the hundred attempts that a policy may have at most.
pub const MOST_CLIENTS: u32 = 100;

/// What is simulated.
#[derive(Clone, Debug)]
pub struct Contention {
    /// The most clients that contend.
    pub clients: u32,
    /// The same seed gives the same run.
    pub seed: u64,
}

/// What one policy costs.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// The policy's name.
    pub policy: String,
    /// Its settings as they were written.
    pub settings: String,
    /// For each number of clients.
    pub points: Vec<Point>,
}

/// What it costs with so many clients: means of [`RUNS`] runs.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Point {
    /// How many clients contended.
    pub clients: u32,
    /// Calls to the server: attempts to write.
    pub calls: f64,
    /// Seconds until the last client was done.
    pub seconds: f64,
    /// Clients that gave up.
    pub gave_up: f64,
}

/// What every policy starts from: the article's waits, and nothing that would end a call.
pub fn base() -> Named {
    Named::built_in(
        "the article's: max_retries=100,timeout=none,budget=none,breaker=none,backoff.base=5ms,backoff.max=2s",
    )
}

impl Contention {
    /// Every policy, side by side.
    pub fn run(&self, policies: &[Named]) -> Vec<Line> {
        let base = base();
        side_by_side(policies, |policy| {
            let proxy = policy.proxy(&base);
            let points = self.steps().map(|clients| self.point(&proxy, clients)).collect();
            Line { policy: policy.name.clone(), settings: policy.written.clone(), points }
        })
    }

    /// How many clients contend at each point: 1, and twenty steps from there.
    fn steps(&self) -> impl Iterator<Item = u32> {
        let (clients, steps) = (self.clients, self.clients.min(20));
        std::iter::once(1).chain((1..=steps).map(move |step| step * clients / steps)).filter({
            let mut last = 0;
            move |&clients| std::mem::replace(&mut last, clients) != clients
        })
    }

    fn point(&self, proxy: &AmbassadorProxy, clients: u32) -> Point {
        let mut mean = Point { clients, ..Point::default() };
        for run in 0..RUNS {
            let ran = Run::new(proxy, clients, Dice::of(self.seed, u64::from(clients) << 32 | u64::from(run))).run();
            mean.calls += ran.calls;
            mean.seconds += ran.seconds;
            mean.gave_up += ran.gave_up;
        }
        // Divided once, so that whole numbers stay whole.
        let runs = f64::from(RUNS);
        Point { clients, calls: mean.calls / runs, seconds: mean.seconds / runs, gave_up: mean.gave_up / runs }
    }
}

/// What happens to a client's attempt next.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Its read reaches the server.
    Read,
    /// Its write does, with the version that it read.
    Write(u32),
    /// It hears whether its write succeeded.
    Answer(bool),
    /// Its attempt's bound, or the end of its wait.
    Due,
}

struct Client {
    proxy: AmbassadorProxy,
    /// `None` when it is done.
    call: Option<Call>,
    is_waiting: bool,
    /// Of what it does now; what carries another is of an attempt that was given up.
    serial: u32,
}

struct Run {
    clients: Vec<Client>,
    version: u32,
    to_come: Timers<(u32, u32, Step)>,
    dice: Dice,
    /// Clients that are not done.
    under_way: u32,
    ran: Point,
}

impl Run {
    fn new(proxy: &AmbassadorProxy, clients: u32, mut dice: Dice) -> Run {
        let clients = (0..clients)
            .map(|_| {
                let proxy = proxy.alone();
                proxy.seed_jitter(dice.bits());
                Client { proxy, call: None, is_waiting: false, serial: 0 }
            })
            .collect();
        Run { clients, under_way: 0, version: 0, to_come: Timers::default(), dice, ran: Point::default() }
    }

    fn run(mut self) -> Point {
        for number in 0..self.clients.len() as u32 {
            match self.clients[number as usize].proxy.begin(BEGINNING) {
                Begin::Run(call) => {
                    self.keep(number, call);
                    self.attempt(number, BEGINNING);
                }
                Begin::Wait(call, until) => {
                    self.keep(number, call);
                    self.wait(number, until);
                }
                Begin::Refuse(..) => self.ran.gave_up += 1.0,
                Begin::Direct => panic!("the core failed; its message is above"),
            }
        }
        let mut now = BEGINNING;
        while self.under_way > 0 {
            now = self.to_come.next();
            let Some((number, serial, step)) = self.to_come.take() else { break };
            let is_void = self.clients[number as usize].serial != serial;
            match step {
                Step::Read => {
                    // The answer's way back and the write's way there: in between the client does nothing.
                    let at = now + self.delay() + self.delay();
                    self.to_come.set(at, (number, serial, Step::Write(self.version)));
                }
                Step::Write(_) | Step::Answer(_) | Step::Due if is_void => {}
                Step::Write(version) => {
                    self.ran.calls += 1.0;
                    let succeeds = version == self.version;
                    self.version += u32::from(succeeds);
                    let at = now + self.delay();
                    self.to_come.set(at, (number, serial, Step::Answer(succeeds)));
                }
                Step::Answer(true) => self.settle(number, Outcome::Ok, now),
                Step::Answer(false) => self.settle(number, Outcome::Retry, now),
                Step::Due if self.clients[number as usize].is_waiting => self.resume(number, now),
                Step::Due => self.settle(number, Outcome::Timeout, now),
            }
        }
        self.ran.seconds = seconds(now - BEGINNING);
        self.ran
    }

    fn keep(&mut self, number: u32, call: Call) {
        self.clients[number as usize].call = Some(call);
        self.under_way += 1;
    }

    fn delay(&mut self) -> Nanos {
        self.dice.normal(DELAY, DEVIATION)
    }

    fn settle(&mut self, number: u32, outcome: Outcome, now: Nanos) {
        let Client { proxy, call: Some(call), .. } = &mut self.clients[number as usize] else { return };
        let decision = proxy.settle(call, now, outcome, None);
        self.follow(number, decision, now);
    }

    fn resume(&mut self, number: u32, now: Nanos) {
        let Client { proxy, call: Some(call), .. } = &mut self.clients[number as usize] else { return };
        let decision = proxy.resume(call, now);
        self.follow(number, decision, now);
    }

    fn follow(&mut self, number: u32, decision: Decision, now: Nanos) {
        match decision {
            Decision::Run => self.attempt(number, now),
            Decision::WaitUntil(until) => self.wait(number, until),
            Decision::Await => unreachable!("no call is hedged here"),
            Decision::Finish(..) => {
                let client = &mut self.clients[number as usize];
                let ended = client.call.take();
                client.serial += 1;
                self.under_way -= 1;
                if ended.is_some_and(|call| call.last() != Outcome::Ok) {
                    self.ran.gave_up += 1.0;
                }
            }
        }
    }

    fn attempt(&mut self, number: u32, now: Nanos) {
        let at = now + self.delay();
        let client = &mut self.clients[number as usize];
        client.serial += 1;
        client.is_waiting = false;
        let bound = client.call.map_or(NEVER, |call| call.bound());
        let serial = client.serial;
        self.to_come.set(at, (number, serial, Step::Read));
        if bound != NEVER {
            self.to_come.set(bound, (number, serial, Step::Due));
        }
    }

    fn wait(&mut self, number: u32, until: Nanos) {
        let client = &mut self.clients[number as usize];
        client.serial += 1;
        client.is_waiting = true;
        self.to_come.set(until, (number, client.serial, Step::Due));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_is_alone_needs_one_call_and_four_messages() {
        let line = &Contention { clients: 1, seed: 1 }.run(&[Named::built_in("full:")])[0];
        let [point] = line.points[..] else { panic!("{line:?}") };
        assert_eq!((point.clients, point.calls, point.gave_up), (1, 1.0, 0.0));
        assert!((0.035..0.045).contains(&point.seconds), "{}", point.seconds);
    }

    #[test]
    fn whatever_the_policy_a_hundred_attempts_are_enough() {
        let policies = ["at once: backoff=none", "in step: backoff.jitter=none"].map(Named::built_in);
        for line in (Contention { clients: 100, seed: 3 }).run(&policies) {
            assert!(line.points.iter().all(|point| point.gave_up == 0.0), "{line:?}");
        }
    }
}
