//! Running the clients of a file against the payment API, all at the same time. Each is a program that gets the URLs of the
//! API's endpoints as arguments, charges orders, and says by its last line on stdout how it went. What is made of that is in `table.rs`.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::server::{Endpoint, Server};

/// A client that has not ended by then is ended, and counts as failed.
const PATIENCE: Duration = Duration::from_secs(120);
/// How many lines of a failed client's log are shown.
const LOG_LINES: usize = 20;

/// The clients of a file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clients {
    client: Vec<Client>,
}

/// One client.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// What the table calls it.
    pub language: String,
    /// The program and its arguments; the URLs of the API's endpoints are appended.
    pub command: Vec<String>,
    /// What its orders' names begin with, before a dash; the language in lower case unless given.
    prefix: Option<String>,
}

impl Client {
    /// What its orders' names begin with, before a dash.
    pub fn prefix(&self) -> String {
        self.prefix.clone().unwrap_or_else(|| self.language.to_lowercase())
    }
}

/// What a client says of itself, by its last line on stdout.
#[derive(Clone, Debug, Deserialize)]
pub struct Report {
    /// Calls through the ambassador.
    pub calls: u32,
    /// Attempts that these calls took.
    pub attempts: u32,
    /// Attempts that were not a call's first.
    pub retries: u32,
    /// Attempts that outran their bound.
    pub timeouts: u32,
    /// Calls that ended with a charge.
    pub charged: u32,
    /// Calls that ended with an error.
    pub failed: u32,
    /// How long all of it took.
    pub seconds: f64,
}

/// One client's run.
#[derive(Debug)]
pub struct Run {
    /// The client.
    pub client: Client,
    /// Its report, or why there is none.
    pub ended: Result<Report, String>,
    /// What it said on stderr.
    pub log: PathBuf,
}

impl Clients {
    /// Reads a file of clients.
    ///
    /// # Errors
    /// When it cannot be read, is no such file, or names no client.
    pub fn read(path: &Path) -> Result<Clients, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Clients::parse(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn parse(text: &str) -> Result<Clients, String> {
        let clients: Clients = toml::from_str(text).map_err(|error| error.to_string())?;
        if clients.client.is_empty() {
            return Err("client: expected at least one [[client]]".into());
        }
        for (at, client) in clients.client.iter().enumerate() {
            if client.command.is_empty() {
                return Err(format!("{}: command: expected a program, and its arguments", client.language));
            }
            // Orders of one prefix belong to one client, or the ledger could not tell whose they are.
            if clients.client[..at].iter().any(|other| other.prefix() == client.prefix()) {
                return Err(format!(
                    "{}: prefix: {:?} belongs to another client already",
                    client.language,
                    client.prefix()
                ));
            }
        }
        Ok(clients)
    }

    /// Runs them all against the API, shows how they get on, and gives their runs in the file's order. What each says on
    /// stderr goes to a file of its own under `logs`.
    ///
    /// # Errors
    /// When no log can be written there.
    pub async fn run(&self, server: &Server, logs: &Path) -> io::Result<Vec<Run>> {
        std::fs::create_dir_all(logs)?;
        let mut running = JoinSet::new();
        for (at, client) in self.client.iter().cloned().enumerate() {
            let log = logs.join(format!("{}.log", client.prefix()));
            let stderr = File::create(&log)?;
            let urls: Vec<String> = server.endpoints().iter().map(Endpoint::url).collect();
            running.spawn(async move {
                let ended = client.run(&urls, stderr).await;
                (at, Run { client, ended, log })
            });
        }
        let mut runs: Vec<Option<Run>> = self.client.iter().map(|_| None).collect();
        let mut progress = Progress::new(self, server);
        loop {
            tokio::select! {
                ended = running.join_next() => match ended {
                    Some(Ok((at, run))) => {
                        progress.ended(at, &run);
                        runs[at] = Some(run);
                    }
                    Some(Err(panic)) => return Err(io::Error::other(panic)),
                    None => break,
                },
                () = progress.due() => progress.show(),
            }
        }
        progress.finish();
        Ok(runs.into_iter().flatten().collect())
    }
}

impl Client {
    async fn run(&self, urls: &[String], stderr: File) -> Result<Report, String> {
        let (program, arguments) = self.command.split_first().ok_or("it has no command")?;
        let mut child = Command::new(program)
            .args(arguments)
            .args(urls)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("cannot start {program}: {error}"))?;
        let stdout = child.stdout.take().ok_or("it has no stdout")?;
        let to_the_end = async {
            let mut last = None;
            // To its very end, text or not: a client whose stdout nobody reads would hang.
            let mut lines = BufReader::new(stdout).split(b'\n');
            while let Ok(Some(line)) = lines.next_segment().await {
                if !line.trim_ascii().is_empty() {
                    last = Some(line);
                }
            }
            (last, child.wait().await)
        };
        let (last, status) = timeout(PATIENCE, to_the_end)
            .await
            .map_err(|_| format!("it did not end within {} seconds", PATIENCE.as_secs()))?;
        let status = status.map_err(|error| format!("cannot wait for it: {error}"))?;
        if !status.success() {
            return Err(format!("it ended with {status}"));
        }
        let last = last.ok_or("it said nothing on stdout")?;
        let last = String::from_utf8_lossy(&last);
        serde_json::from_str(&last).map_err(|error| format!("its last line on stdout is no report ({error}): {last}"))
    }
}

impl Run {
    /// The last lines of what it said on stderr.
    pub fn last_words(&self) -> Vec<String> {
        let mut last = VecDeque::new();
        for line in self.log_lines() {
            if last.len() == LOG_LINES {
                last.pop_front();
            }
            last.push_back(line);
        }
        last.into()
    }

    /// The first retry line (R7) in its log.
    pub fn first_retry(&self) -> Option<String> {
        const MARK: &str = "[Ambassador] Retry";
        self.log_lines().find_map(|line| line.find(MARK).map(|at| line[at..].to_owned()))
    }

    fn log_lines(&self) -> impl Iterator<Item = String> + use<> {
        let log = File::open(&self.log).ok();
        // What is no UTF-8 is shown as far as it is.
        log.into_iter().flat_map(|log| {
            io::BufReader::new(log)
                .split(b'\n')
                .map_while(Result::ok)
                .map(|line| String::from_utf8_lossy(&line).into_owned())
        })
    }
}

/// How the clients get on: redrawn in place on a terminal, a line now and then otherwise.
struct Progress<'a> {
    server: &'a Server,
    names: Vec<(String, String)>,
    notes: Vec<Option<String>>,
    width: usize,
    begun: Instant,
    ticks: tokio::time::Interval,
    live: bool,
    drawn: bool,
}

impl<'a> Progress<'a> {
    fn new(clients: &Clients, server: &'a Server) -> Progress<'a> {
        let names: Vec<_> = clients.client.iter().map(|client| (client.language.clone(), client.prefix())).collect();
        let live = io::stdout().is_terminal();
        let mut ticks = interval(Duration::from_millis(if live { 100 } else { 2000 }));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let width = names.iter().map(|(language, _)| language.chars().count()).max().unwrap_or(0);
        Progress {
            server,
            notes: names.iter().map(|_| None).collect(),
            names,
            width,
            begun: Instant::now(),
            ticks,
            live,
            drawn: false,
        }
    }

    async fn due(&mut self) {
        self.ticks.tick().await;
    }

    fn ended(&mut self, at: usize, run: &Run) {
        let seconds = self.begun.elapsed().as_secs_f64();
        let note = match &run.ended {
            Ok(_) => format!("done after {seconds:.1} s"),
            Err(why) => format!("failed after {seconds:.1} s: {why}"),
        };
        if self.live {
            self.notes[at] = Some(note);
            self.show();
        } else {
            self.say(&format!("{}: {note}\n", run.client.language));
        }
    }

    fn show(&mut self) {
        let ledger = self.server.payments().ledger();
        let seconds = self.begun.elapsed().as_secs_f64();
        let counts: Vec<_> = self.names.iter().map(|(_, prefix)| ledger.count(prefix)).collect();
        if !self.live {
            // The first tick comes at once, with nothing to tell.
            if counts.iter().any(|count| count.asked > 0) {
                let charged: Vec<_> = self
                    .names
                    .iter()
                    .zip(&counts)
                    .map(|((language, _), count)| format!("{language} {}", count.charged))
                    .collect();
                self.say(&format!("{seconds:4.1} s, charged so far: {}\n", charged.join(", ")));
            }
            return;
        }
        let mut picture = String::new();
        if self.drawn {
            picture += &format!("\x1b[{}A", self.names.len());
        }
        for (((language, _), count), note) in self.names.iter().zip(&counts).zip(&self.notes) {
            let note = note.as_deref().unwrap_or(if count.asked == 0 { "starting" } else { "charging" });
            let bar = "#".repeat((count.charged as usize).min(40));
            picture += &format!(
                "\r\x1b[2K  {language:width$}  {bar:40}  {:4} charged of {:4} requests  {note}\n",
                count.charged,
                count.asked,
                width = self.width
            );
        }
        self.drawn = true;
        self.say(&picture);
    }

    fn finish(&mut self) {
        if self.live {
            self.show();
        }
    }

    /// A reader who went away is no reason to stop.
    fn say(&self, text: &str) {
        let mut out = io::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_prefix_is_its_language_unless_it_says_otherwise() {
        let clients = Clients::parse(
            r#"
            [[client]]
            language = "Python"
            command = ["python", "payments.py"]
            [[client]]
            language = "C++"
            prefix = "cpp"
            command = ["payments-cpp"]
            "#,
        )
        .unwrap();
        let prefixes: Vec<_> = clients.client.iter().map(Client::prefix).collect();
        assert_eq!(prefixes, ["python", "cpp"]);
    }

    #[test]
    fn a_wrong_file_says_what_is_wrong() {
        for (text, message) in [
            ("client = []", "at least one [[client]]"),
            ("[[client]]\nlanguage = 'C'\ncommand = []", "C: command: expected a program"),
            ("[[client]]\nlanguage = 'C'\ncommand = ['c']\ncolour = 1", "unknown field `colour`"),
            (
                "[[client]]\nlanguage = 'C'\ncommand = ['c']\n[[client]]\nlanguage = 'c'\ncommand = ['c']",
                "c: prefix: \"c\" belongs to another client",
            ),
        ] {
            let error = Clients::parse(text).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
