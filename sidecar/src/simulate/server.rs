//! The modelled server: some workers, each busy with one request at a time; a queue with a limit, first come first served; and
//! outages. It does not know who still waits: a request whose client has given up is served like any other, and that work is
//! wasted, which is what keeps an overloaded service down.

use std::collections::VecDeque;
use std::str::FromStr;

use ambassador_core::clock::{NEVER, Nanos};

use super::policy::length;
use super::timers::Timers;
use super::{BEGINNING, seconds};
use crate::dice::Dice;

/// Something is wrong with the server for a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outage {
    /// What.
    pub fault: Fault,
    /// From then on, counted from the beginning …
    pub from: Nanos,
    /// … to then.
    pub to: Nanos,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// What is there is lost, and what comes vanishes: nobody gets an answer.
    Down,
    /// Every request that begins takes so many times as long.
    Slow(f64),
    /// Every request is refused at once.
    Reject,
}

impl FromStr for Outage {
    type Err = String;

    fn from_str(text: &str) -> Result<Outage, String> {
        let allowed = || {
            format!(
                "{text:?} is not allowed; expected down@FROM-TO, slow=TIMES@FROM-TO or reject@FROM-TO such as slow=10@30s-40s"
            )
        };
        let (fault, when) = text.split_once('@').ok_or_else(allowed)?;
        let (from, to) = when.split_once('-').ok_or_else(allowed)?;
        let fault = match fault.split_once('=') {
            None if fault == "down" => Fault::Down,
            None if fault == "reject" => Fault::Reject,
            Some(("slow", times)) => match times.parse::<f64>() {
                Ok(times) if (1.0..=1000.0).contains(&times) => Fault::Slow(times),
                _ => return Err(format!("slow: {times:?} is not allowed; expected a number from 1 to 1000")),
            },
            _ => return Err(allowed()),
        };
        let (from, to) = (length(from).ok_or_else(allowed)?, length(to).ok_or_else(allowed)?);
        if from >= to {
            return Err(format!("{text:?} is not allowed; expected an outage that ends after it began"));
        }
        Ok(Outage { fault, from, to })
    }
}

impl std::fmt::Display for Outage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.fault {
            Fault::Down => write!(f, "down")?,
            Fault::Slow(times) => write!(f, "{times} times as slow")?,
            Fault::Reject => write!(f, "refusing everything")?,
        }
        write!(f, " from {} s to {} s", seconds(self.from), seconds(self.to))
    }
}

/// What the server is like.
#[derive(Clone, Debug)]
pub struct Make {
    /// How many requests it serves at once.
    pub workers: usize,
    /// How long one takes, on average.
    pub service: Nanos,
    /// How many may queue.
    pub queue: usize,
    /// What goes wrong, and when.
    pub outages: Vec<Outage>,
}

impl Make {
    /// Requests that it serves in a second, when nothing is wrong.
    pub fn capacity(&self) -> f64 {
        self.workers as f64 / seconds(self.service)
    }
}

/// What becomes of a request that arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It is served, or will be.
    Taken,
    /// It is refused at once.
    Refused,
    /// No answer will ever come.
    Lost,
}

/// The server at work.
#[derive(Debug)]
pub struct Server<'a, R> {
    make: &'a Make,
    serving: Timers<R>,
    busy: usize,
    queue: VecDeque<R>,
    fault: Option<Fault>,
}

impl<'a, R> Server<'a, R> {
    /// One that has nothing to do yet.
    pub fn new(make: &'a Make) -> Server<'a, R> {
        Server { make, serving: Timers::default(), busy: 0, queue: VecDeque::new(), fault: None }
    }

    /// A request arrives.
    pub fn arrive(&mut self, request: R, now: Nanos, dice: &mut Dice) -> Arrival {
        match self.fault {
            Some(Fault::Down) => Arrival::Lost,
            Some(Fault::Reject) => Arrival::Refused,
            _ if self.busy < self.make.workers => {
                self.busy += 1;
                self.serve(request, now, dice);
                Arrival::Taken
            }
            _ if self.queue.len() < self.make.queue => {
                self.queue.push_back(request);
                Arrival::Taken
            }
            _ => Arrival::Refused,
        }
    }

    fn serve(&mut self, request: R, now: Nanos, dice: &mut Dice) {
        let mean = match self.fault {
            Some(Fault::Slow(times)) => self.make.service as f64 * times,
            _ => self.make.service as f64,
        };
        self.serving.set(now + dice.exponential(mean), request);
    }

    /// When the next request is done, [`NEVER`] when none is served.
    pub fn next(&self) -> Nanos {
        self.serving.next()
    }

    /// Takes the request that is done, and goes on with the queue.
    pub fn done(&mut self, now: Nanos, dice: &mut Dice) -> Option<R> {
        let done = self.serving.take()?;
        match self.queue.pop_front() {
            Some(request) => self.serve(request, now, dice),
            None => self.busy -= 1,
        }
        Some(done)
    }

    /// How many wait.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// When something next goes wrong or right after that instant.
    pub fn next_turn(&self, now: Nanos) -> Nanos {
        let turns = self.make.outages.iter().flat_map(|outage| [outage.from + BEGINNING, outage.to + BEGINNING]);
        turns.filter(|&turn| turn > now).min().unwrap_or(NEVER)
    }

    /// Something goes wrong now, or right. Where two outages overlap, the later named holds.
    pub fn turn(&mut self, now: Nanos) {
        let is_on = |outage: &&Outage| (outage.from + BEGINNING..outage.to + BEGINNING).contains(&now);
        self.fault = self.make.outages.iter().rev().find(is_on).map(|outage| outage.fault);
        if self.fault == Some(Fault::Down) {
            self.serving.clear();
            self.queue.clear();
            self.busy = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use ambassador_core::clock::SECOND;

    use super::*;

    fn make(outages: &[&str]) -> Make {
        let outages = outages.iter().map(|outage| outage.parse().unwrap()).collect();
        Make { workers: 1, service: SECOND, queue: 1, outages }
    }

    #[test]
    fn a_request_is_served_or_queues_or_is_refused() {
        let (make, mut dice) = (make(&[]), Dice::of(1, 1));
        let mut server = Server::new(&make);
        let arrivals = ['a', 'b', 'c'].map(|request| server.arrive(request, BEGINNING, &mut dice));
        assert_eq!(arrivals, [Arrival::Taken, Arrival::Taken, Arrival::Refused]);
        for request in ['a', 'b'] {
            let now = server.next();
            assert_eq!(server.done(now, &mut dice), Some(request));
        }
        assert_eq!((server.next(), server.busy), (NEVER, 0));
    }

    #[test]
    fn an_outage_takes_what_is_there_and_what_comes_and_ends() {
        let (make, mut dice) = (make(&["down@1s-2s", "reject@3s-4s"]), Dice::of(1, 1));
        let mut server = Server::new(&make);
        let mut arrivals = vec![server.arrive('a', BEGINNING, &mut dice)];
        let mut now = BEGINNING;
        while server.next_turn(now) != NEVER {
            now = server.next_turn(now);
            server.turn(now);
            arrivals.push(server.arrive('b', now, &mut dice));
            server.serving.clear();
            server.busy = 0;
        }
        use Arrival::*;
        assert_eq!(arrivals, [Taken, Lost, Taken, Refused, Taken]);
        assert_eq!(now, BEGINNING + 4 * SECOND);
    }

    #[test]
    fn a_wrong_outage_says_what_is_allowed() {
        for (text, message) in [
            ("down", "expected down@FROM-TO"),
            ("rude@1s-2s", "expected down@FROM-TO"),
            ("slow=0@1s-2s", "slow: \"0\" is not allowed; expected a number from 1 to 1000"),
            ("down@2s-1s", "ends after it began"),
            ("down@1-2", "such as slow=10@30s-40s"),
        ] {
            let wrong = text.parse::<Outage>().unwrap_err();
            assert!(wrong.contains(message), "{text}: {wrong}");
        }
    }
}
