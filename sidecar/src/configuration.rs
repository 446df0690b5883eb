//! `ambassador check`, `explain` and `init`: what a configuration file says, before anything runs by it. What is right and what it
//! comes to is the core's to say.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use ambassador_core::config::{Config, STARTING_FILE, explain};
use clap::{Args, ValueEnum};

/// How results are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// What is said on stdout and on stderr, and with which status the program ends.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// On stdout.
    pub out: String,
    /// On stderr.
    pub err: String,
    /// With which status.
    pub status: u8,
}

/// Tells everything that is wrong with a configuration file.
///
/// Ends with 0 when nothing is, with 1 when something is, and with 2 when it was asked wrongly.
///
///   ambassador check ambassador.yaml
///   ambassador check ambassador.yaml --format json
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Check {
    /// The file; what it includes is read too.
    file: PathBuf,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Check {
    /// Does it.
    pub fn run(&self) -> Said {
        match (Config::load(&self.file), self.format) {
            (Ok(_), Format::Json) => Said { out: "[]\n".into(), ..Said::default() },
            (Ok(_), Format::Text) => Said { out: format!("{} is right\n", self.file.display()), ..Said::default() },
            (Err(faults), Format::Json) => Said { out: faults.to_json() + "\n", status: 1, ..Said::default() },
            (Err(faults), Format::Text) => Said { err: faults.report(), status: 1, ..Said::default() },
        }
    }
}

/// Tells in words what a configuration file comes to for one target, with warnings.
///
/// With --format json every setting with its value and its origin, the same as policy_json of a proxy.
///
///   ambassador explain ambassador.yaml payment-api.example.com
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Explain {
    /// The file; what it includes is read too.
    file: PathBuf,
    /// The target, as the app gives it.
    target: String,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Explain {
    /// Does it.
    pub fn run(&self) -> Said {
        let config = match Config::load(&self.file) {
            Ok(config) => config,
            Err(faults) => return Said { err: faults.report(), status: 1, ..Said::default() },
        };
        match (explain(&config, &self.target), self.format) {
            (Ok(told), Format::Text) => Said { out: told.to_string(), ..Said::default() },
            (Ok(told), Format::Json) => Said { out: told.policy_json + "\n", ..Said::default() },
            (Err(wrong), _) => Said { err: format!("ambassador explain: {wrong}\n"), status: 1, ..Said::default() },
        }
    }
}

/// Writes a commented configuration file to begin with.
///
///   ambassador init
///   ambassador init conf/ambassador.yaml
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Init {
    /// Where; a file that exists is left alone.
    #[arg(default_value = "ambassador.yaml")]
    file: PathBuf,
}

impl Init {
    /// Does it.
    pub fn run(&self) -> Said {
        match write(&self.file) {
            Ok(()) => {
                let file = self.file.display();
                Said { out: format!("{file} is written; `ambassador check {file}` checks it\n"), ..Said::default() }
            }
            Err(error) => {
                let err = format!("ambassador init: cannot write {}: {error}\n", self.file.display());
                Said { err, status: 1, ..Said::default() }
            }
        }
    }
}

fn write(path: &Path) -> std::io::Result<()> {
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(STARTING_FILE.as_bytes())
}
