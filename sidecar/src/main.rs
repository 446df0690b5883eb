//! The `ambassador` program: its command line. What the commands do is in the library beside it.

use std::future::Future;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use ambassador_sidecar::configuration::{Check, Explain, Init, Said};
use ambassador_sidecar::demo::clients::Clients;
use ambassador_sidecar::demo::plan::{Mix, Plan};
use ambassador_sidecar::demo::server::{Endpoint, Server};
use ambassador_sidecar::demo::table::Table;
use ambassador_sidecar::simulate::args::Simulate;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

/// The ambassador: outbound networking, decided the same for every app.
#[derive(Parser)]
// The program is named after what it is, not after its crate.
#[command(name = "ambassador", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(Demo),
    Simulate(Box<Simulate>),
    Check(Check),
    Explain(Explain),
    Init(Init),
}

/// A payment API on 127.0.0.1 that misbehaves on purpose, to charge through an ambassador.
///
/// `POST /charges` with JSON {"order", "amount"} and an Idempotency-Key charges once for each key. `GET /ledger` tells every
/// charge and how often it was asked for. The first line on stdout is the URL, or several. Ctrl-C ends it.
#[derive(Args)]
struct Demo {
    /// The port; 0 for any that is free.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The same seed gives the same misbehaviour to the same request, counted from the start.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Percent of requests that meet each misbehaviour; kinds not named are off.
    #[arg(long, default_value_t, value_name = "KIND=PERCENT,…", conflicts_with = "calm")]
    misbehave: Mix,
    /// Do not misbehave at all.
    #[arg(long)]
    calm: bool,
    /// At how many ports the API answers, of one ledger; the first line on stdout has their URLs.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=16))]
    endpoints: u8,
    /// Kill the last endpoint after that many requests: its connections are reset, and its port refuses new ones.
    #[arg(long, value_name = "REQUESTS")]
    kill_after: Option<u64>,
    /// Run the clients of this TOML file against the API, print what came of it, and end: with 1 if an order was charged
    /// twice, a client failed, or a client and the ledger disagree.
    #[arg(long, value_name = "FILE")]
    clients: Option<PathBuf>,
    /// Where the clients' stderr goes, a file each.
    #[arg(long, value_name = "FOLDER", default_value = "build/demo")]
    logs: PathBuf,
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Demo(demo) => run_demo(demo),
        Command::Simulate(simulate) => run_simulation(&simulate),
        Command::Check(check) => tell(&check.run()),
        Command::Explain(explain) => tell(&explain.run()),
        Command::Init(init) => tell(&init.run()),
    }
}

fn tell(said: &Said) -> ExitCode {
    say(&said.out);
    let _ = io::stderr().write_all(said.err.as_bytes());
    ExitCode::from(said.status)
}

fn run_simulation(simulate: &Simulate) -> ExitCode {
    let plan = match simulate.plan() {
        Ok(plan) => plan,
        Err(wrong) => Cli::command().error(ErrorKind::ValueValidation, wrong).exit(),
    };
    match simulate.run(&plan) {
        Ok(told) => {
            say(&told);
            ExitCode::SUCCESS
        }
        Err(why) => complain("simulate", &why),
    }
}

fn run_demo(demo: Demo) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain("demo", &format!("cannot start: {error}")),
    };
    let ended = runtime.block_on(demo.run());
    // Drops what is under way, hung requests and clients alike; a client that is dropped is killed.
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

impl Demo {
    async fn run(self) -> ExitCode {
        // Before anybody can know of the process by its URL, and so send it a signal.
        let interrupted = match interruption() {
            Ok(interrupted) => interrupted,
            Err(error) => return complain("demo", &format!("cannot listen for signals: {error}")),
        };
        let mix = if self.calm { Mix::CALM } else { self.misbehave };
        let server = match Server::start(self.port, self.endpoints.into(), Plan::new(self.seed, mix)) {
            Ok(server) => server,
            Err(error) => {
                return complain(
                    "demo",
                    &format!("cannot listen on 127.0.0.1:{}: {error}; --port 0 takes any port that is free", self.port),
                );
            }
        };
        say(&format!(
            "{}\nA payment API that misbehaves on purpose: seed {}, {mix} percent.\n",
            server.endpoints().iter().map(Endpoint::url).collect::<Vec<_>>().join(" "),
            self.seed
        ));
        let killing = async {
            if let (Some(requests), [.., last]) = (self.kill_after, server.endpoints()) {
                server.payments().after(requests).await;
                last.kill();
                say(&format!("{} is killed, after {requests} requests.\n", last.url()));
            }
            std::future::pending().await
        };
        match &self.clients {
            Some(clients) => tokio::select! {
                // 128 + SIGINT, as shells have it: a demo cut short has shown nothing.
                () = interrupted => ExitCode::from(130),
                ended = charge(clients, &self.logs, &server) => ended,
                never = killing => never,
            },
            None => {
                say("POST /charges, GET /ledger, GET /healthz. Ctrl-C ends it.\n");
                tokio::select! {
                    () = interrupted => ExitCode::SUCCESS,
                    never = killing => never,
                }
            }
        }
    }
}

/// Ends at the first SIGINT or SIGTERM from now on.
fn interruption() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

async fn charge(file: &Path, logs: &Path, server: &Server) -> ExitCode {
    let clients = match Clients::read(file) {
        Ok(clients) => clients,
        Err(error) => return complain("demo", &error),
    };
    let runs = match clients.run(server, logs).await {
        Ok(runs) => runs,
        Err(error) => {
            return complain("demo", &format!("cannot run the clients: {error}; their logs go to {}", logs.display()));
        }
    };
    let table = Table::new(runs, server.payments().ledger());
    let retries = table.retry_lines();
    if !retries.is_empty() {
        say("\nThe first retry of each, in its own log:\n");
        let width = retries.iter().map(|(language, _)| language.chars().count()).max().unwrap_or(0);
        for (language, line) in &retries {
            say(&format!("  {language:width$}  {line}\n"));
        }
    }
    say(&format!("\n{table}\n"));
    for note in table.notes() {
        say(&format!("{note}\n"));
    }
    for endpoint in server.endpoints() {
        let ended = if endpoint.is_killed() { ", until it was killed" } else { "" };
        say(&format!("{}: {} requests{ended}.\n", endpoint.url(), endpoint.requests()));
    }
    let faults = table.faults();
    if !faults.is_empty() {
        for fault in &faults {
            say(&format!("{fault}\n"));
        }
        return ExitCode::FAILURE;
    }
    say(&format!(
        "No order was charged twice, though answers were lost on the way.\n\n\
         What to look at next:\n  \
         examples/     the programs that just ran, and the same retry in five lines, for each language\n  \
         {:12}  what each of them had to retry, line by line\n  \
         docs/         the guide, and what every setting means\n  \
         make test     everything that is promised, checked\n",
        format!("{}/", logs.display()),
    ));
    ExitCode::SUCCESS
}

/// A reader who went away is no reason to stop.
fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn complain(command: &str, why: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "ambassador {command}: {why}");
    ExitCode::FAILURE
}
