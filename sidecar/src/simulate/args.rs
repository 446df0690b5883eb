//! The options of `ambassador simulate`, and the plan that they make: what is simulated, with which policies.

use std::path::{Path, PathBuf};

use ambassador_core::clock::{MILLISECOND, Nanos, SECOND};
use clap::Args;

use super::jitter::{Contention, MOST_CLIENTS};
use super::policy::{self, Named};
use super::server::{Make, Outage};
use super::storm::{Arrivals, Storm};
use super::{chart, report};

/// The most calls of a simulation: some minutes of work.
const MOST_CALLS: f64 = 1e9;

/// The most policies that a figure has place for.
const MOST_POLICIES: usize = 8;

/// What would your retries do to a server that fails? Runs real policies for many clients, in virtual time.
///
/// The policies are the ambassador's own code; clients, server and time are a model. Two scenarios: in
/// storm, what clients do about an outage overloads the server, and some policies never let it come
/// back; in jitter, many clients contend for one record, and pay for waiting in step.
///
/// The same seed gives the same result.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  The four policies that the scenario brings along, and a figure of them:
    ambassador simulate --svg storm.svg

  Your policy beside the defaults, against a server that is ten times as slow for a minute:
    ambassador simulate --outage slow=10@30s-90s --duration 4m --policy 'defaults:' \\
      --policy 'mine: max_retries=5,timeout=500ms,backoff.base=100ms,budget.ratio=0.1'

  Ten thousand clients that call once a second:
    ambassador simulate --clients 10000 --rate 1 --duration 10m --policy 'defaults:'

  What jitter is for:
    ambassador simulate --scenario jitter --svg jitter.svg

A policy is NAME: SETTING=VALUE,… with the settings of docs/semantics.md. Lengths of time have a
unit (250ms, 5s, 2m); none switches off (budget=none). What is not named is the ambassador's default;
in the jitter scenario it is max_retries=100, timeout=none, budget=none, breaker=none,
backoff.base=5ms, backoff.max=2s.")]
pub struct Simulate {
    /// What is simulated.
    #[arg(long, value_enum, default_value_t = Scenario::Storm)]
    scenario: Scenario,
    /// A policy to compare, as often as you like up to 8; without any, those of the scenario.
    #[arg(long = "policy", value_name = "NAME: SETTING=VALUE,…")]
    policies: Vec<Named>,
    /// How many clients, each a process of its own [default: 20; in jitter 100, which is the most]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    clients: Option<u32>,
    /// The same seed gives the same result.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// storm: how long the simulated time is [default: 2m]
    #[arg(long, value_parser = duration)]
    duration: Option<Nanos>,
    /// storm: calls a second of each client [default: 100]
    #[arg(long, value_parser = rate)]
    rate: Option<f64>,
    /// storm: whether calls come at random or in even steps [default: poisson]
    #[arg(long, value_enum)]
    arrivals: Option<Arrivals>,
    /// storm: the calls as a share of what the server can serve [default: 0.7]
    #[arg(long, value_parser = load)]
    load: Option<f64>,
    /// storm: how long the server works on a request, on average [default: 50ms]
    #[arg(long, value_parser = service_time)]
    service_time: Option<Nanos>,
    /// storm: how much work the server lets queue, as a length of time [default: 3s]
    #[arg(long, value_parser = queue)]
    queue: Option<Nanos>,
    /// storm: when the server is down, slow or refuses everything; as often as you like [default: down@30s-40s]
    #[arg(long = "outage", value_name = "down|slow=TIMES|reject@FROM-TO")]
    outages: Vec<Outage>,
    /// Draws the figure into this file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Writes the numbers behind the figure into this file.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Prints JSON instead of the table.
    #[arg(long)]
    json: bool,
}

/// A scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Scenario {
    /// A retry storm around an outage.
    Storm,
    /// Many clients contend for one record.
    Jitter,
}

/// What is to be simulated.
#[derive(Clone, Debug)]
pub enum Plan {
    /// A retry storm.
    Storm(Storm, Vec<Named>),
    /// A contention.
    Jitter(Contention, Vec<Named>),
}

impl Simulate {
    /// The plan that the options make.
    ///
    /// # Errors
    /// What is wrong with the options as a whole: which, and what is allowed.
    pub fn plan(&self) -> Result<Plan, String> {
        if self.policies.len() > MOST_POLICIES {
            return Err(format!(
                "--policy: {} of them are not allowed; expected at most {MOST_POLICIES}",
                self.policies.len()
            ));
        }
        for (at, policy) in self.policies.iter().enumerate() {
            if self.policies[..at].iter().any(|other| other.name == policy.name) {
                return Err(format!("--policy: {:?} is not allowed twice; expected a name for each", policy.name));
            }
        }
        match self.scenario {
            Scenario::Storm => self.storm(),
            Scenario::Jitter => self.jitter(),
        }
    }

    fn policies(&self, built_in: &[&str]) -> Vec<Named> {
        match &*self.policies {
            [] => built_in.iter().map(|text| Named::built_in(text)).collect(),
            policies => policies.to_vec(),
        }
    }

    fn storm(&self) -> Result<Plan, String> {
        let (clients, rate) = (self.clients.unwrap_or(20), self.rate.unwrap_or(100.0));
        let duration = self.duration.unwrap_or(120 * SECOND);
        let service = self.service_time.unwrap_or(50 * MILLISECOND);
        let queue = self.queue.unwrap_or(3 * SECOND);
        let calls = f64::from(clients) * rate;
        if calls * super::seconds(duration) > MOST_CALLS {
            return Err(format!(
                "--clients × --rate × --duration: {} calls are not allowed; expected at most {}",
                report::number(calls * super::seconds(duration)),
                report::number(MOST_CALLS)
            ));
        }
        let outages = match &*self.outages {
            [] => vec![Outage { fault: super::server::Fault::Down, from: 30 * SECOND, to: 40 * SECOND }],
            outages => outages.to_vec(),
        };
        if let Some(outage) = outages.iter().find(|outage| outage.to >= duration) {
            return Err(format!(
                "--outage: {outage} is not allowed; expected an end before --duration, {} s",
                super::seconds(duration)
            ));
        }
        let workers = (calls / self.load.unwrap_or(0.7) * super::seconds(service)).round().max(1.0);
        let queue = (workers / super::seconds(service) * super::seconds(queue)).round();
        let server = Make { workers: workers as usize, service, queue: queue as usize, outages };
        let arrivals = self.arrivals.unwrap_or(Arrivals::Poisson);
        let storm = Storm { clients, rate, arrivals, server, duration, seed: self.seed };
        let policies = self.policies(&[
            "naive: budget=none,breaker=none",
            "budget: breaker=none",
            "breaker: budget=none",
            "both:",
        ]);
        Ok(Plan::Storm(storm, policies))
    }

    fn jitter(&self) -> Result<Plan, String> {
        let of_storm = [
            ("--duration", self.duration.is_some()),
            ("--rate", self.rate.is_some()),
            ("--arrivals", self.arrivals.is_some()),
            ("--load", self.load.is_some()),
            ("--service-time", self.service_time.is_some()),
            ("--queue", self.queue.is_some()),
            ("--outage", !self.outages.is_empty()),
        ];
        if let Some((option, _)) = of_storm.iter().find(|(_, is_given)| *is_given) {
            return Err(format!(
                "{option} is not allowed with --scenario jitter; expected --clients, --seed and --policy"
            ));
        }
        let clients = self.clients.unwrap_or(MOST_CLIENTS);
        if clients > MOST_CLIENTS {
            return Err(format!(
                "--clients: {clients} is not allowed with --scenario jitter; expected a whole number from 1 to {MOST_CLIENTS}: \
                 each may need as many attempts as there are clients, and max_retries ends at 100"
            ));
        }
        let policies = self.policies(&[
            "none: backoff.jitter=none",
            "equal: backoff.jitter=equal",
            "full: backoff.jitter=full",
            "decorrelated: backoff.jitter=decorrelated",
        ]);
        Ok(Plan::Jitter(Contention { clients, seed: self.seed }, policies))
    }

    /// Carries out the plan and writes the files; hands back what is to be printed.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn run(&self, plan: &Plan) -> Result<String, String> {
        match plan {
            Plan::Storm(storm, policies) => {
                let courses = &storm.run(policies);
                self.tell(Texts {
                    svg: &|| chart::storm(storm, courses),
                    csv: &|| report::storm_csv(storm, courses),
                    json: &|| report::storm_json(storm, courses),
                    table: &|| report::storm_table(storm, courses),
                })
            }
            Plan::Jitter(contention, policies) => {
                let lines = &contention.run(policies);
                self.tell(Texts {
                    svg: &|| chart::jitter(lines),
                    csv: &|| report::jitter_csv(lines),
                    json: &|| report::jitter_json(contention, lines),
                    table: &|| report::jitter_table(contention, lines),
                })
            }
        }
    }

    fn tell(&self, texts: Texts<'_>) -> Result<String, String> {
        for (file, text) in [(&self.svg, texts.svg), (&self.csv, texts.csv)] {
            if let Some(file) = file {
                write(file, &text())?;
            }
        }
        Ok(if self.json { (texts.json)() } else { (texts.table)() })
    }
}

/// What can be told of results; made when it is asked for.
struct Texts<'a> {
    svg: &'a dyn Fn() -> String,
    csv: &'a dyn Fn() -> String,
    json: &'a dyn Fn() -> String,
    table: &'a dyn Fn() -> String,
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    std::fs::write(file, text).map_err(|error| format!("cannot write {}: {error}", file.display()))
}

fn length(text: &str, least: Nanos, most: Nanos) -> Result<Nanos, String> {
    policy::length(text).filter(|length| (least..=most).contains(length)).ok_or_else(|| {
        let spell = ambassador_core::clock::spell;
        format!("expected a length of time with its unit from {} to {}", spell(least), spell(most))
    })
}

fn duration(text: &str) -> Result<Nanos, String> {
    length(text, SECOND, 24 * 3600 * SECOND)
}

fn service_time(text: &str) -> Result<Nanos, String> {
    length(text, MILLISECOND, 60 * SECOND)
}

fn queue(text: &str) -> Result<Nanos, String> {
    length(text, 0, 3600 * SECOND)
}

fn between(text: &str, least: f64, most: f64) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("expected a number from {least} to {most}"))
}

fn rate(text: &str) -> Result<f64, String> {
    between(text, 0.001, 10_000.0)
}

fn load(text: &str) -> Result<f64, String> {
    between(text, 0.01, 10.0)
}
