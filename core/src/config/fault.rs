//! What is wrong with a configuration: each fault with its file, line, column and path, what was found and what is allowed. All of
//! them at once. Nothing in them is a secret (S3): not what was found, and not the line that is shown with it.

use std::fmt::{self, Write};
use std::sync::Arc;

use super::tree::At;
use crate::error::ConfigError;
use crate::event::quoted;

/// How many are kept; who sees a hundred sees enough.
const MOST: usize = 100;

/// A fault of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file, as it was named.
    pub file: Arc<str>,
    /// The line, from 1; 0 when the file as a whole is meant.
    pub line: u32,
    /// The column, in characters, from 1.
    pub column: u32,
    /// Where in the tree: `targets.payment-api.example.com.breaker.window`; empty for the file as a whole.
    pub path: String,
    /// What was found.
    pub found: String,
    /// What is allowed instead.
    pub allowed: String,
    /// How many characters of the line are meant.
    length: u32,
    /// The line, where it can be shown.
    excerpt: Option<String>,
}

impl Fault {
    pub(super) fn new(file: &Arc<str>, at: At, path: String, found: String, allowed: impl Into<String>) -> Fault {
        let (file, allowed) = (Arc::clone(file), allowed.into());
        Fault { file, line: at.line, column: at.column, path, found, allowed, length: at.length, excerpt: None }
    }

    /// `payments.yaml:3:5`, or the file alone.
    pub fn place(&self) -> String {
        match self.line {
            0 => self.file.to_string(),
            line => format!("{}:{line}:{}", self.file, self.column),
        }
    }

    pub(super) fn line(&self) -> u32 {
        self.line
    }

    pub(super) fn show(&mut self, line: &str) {
        self.excerpt = Some(line.to_owned());
    }

    /// The line of the file, and under it a mark at what is meant; empty where it cannot be shown.
    fn marked(&self) -> String {
        let Some(line) = &self.excerpt else { return String::new() };
        let (column, line) = (self.column.max(1) as usize - 1, line.trim_end());
        // Of a long line, what is around the place.
        let from = if column > 100 { column - 60 } else { 0 };
        let shown: String = line.chars().skip(from).take(160).map(|l| if l.is_control() { ' ' } else { l }).collect();
        let most = shown.chars().count().saturating_sub(column - from).max(1);
        let marks = "^".repeat((self.length as usize).clamp(1, most));
        let margin = " ".repeat(self.line.to_string().len());
        format!("{} | {shown}\n{margin} | {}{marks}\n", self.line, " ".repeat(column - from))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place())?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{} is not allowed; expected {}", self.found, self.allowed)
    }
}

/// All that is wrong with a configuration, in the order of its files and lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    all: Vec<Fault>,
    /// How many more there are.
    more: usize,
}

impl Faults {
    pub(super) fn push(&mut self, fault: Fault) {
        if self.all.len() < MOST {
            self.all.push(fault);
        } else {
            self.more += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn sort(&mut self) {
        // Stable: files stay in the order in which they were read.
        let mut files: Vec<Arc<str>> = Vec::new();
        for fault in &self.all {
            if !files.contains(&fault.file) {
                files.push(Arc::clone(&fault.file));
            }
        }
        let place = |fault: &Fault| files.iter().position(|file| *file == fault.file);
        self.all.sort_by_key(|fault| (place(fault), fault.line, fault.column));
        self.all.dedup();
    }

    pub(super) fn all_mut(&mut self) -> &mut [Fault] {
        &mut self.all
    }

    /// Each of them, a hundred at most.
    pub fn all(&self) -> &[Fault] {
        &self.all
    }

    /// The first of them, and how many more there are.
    pub fn in_short(&self) -> String {
        let Some(first) = self.all.first() else { return String::new() };
        match self.all.len() + self.more - 1 {
            0 => first.to_string(),
            others => format!("{first} (and {others} more)"),
        }
    }

    /// For people at a terminal: each with its line, and a mark under what is meant.
    pub fn report(&self) -> String {
        let mut text = String::new();
        for fault in &self.all {
            let _ = writeln!(text, "{fault}");
            text.push_str(&fault.marked());
        }
        if self.more > 0 {
            let _ = writeln!(text, "and {} more", self.more);
        }
        text
    }

    /// For programs: a JSON array of objects of `file`, `line`, `column`, `path`, `found` and `allowed`.
    pub fn to_json(&self) -> String {
        let mut json = String::from("[");
        for (at, fault) in self.all.iter().enumerate() {
            let Fault { file, line, column, path, found, allowed, .. } = fault;
            let _ = write!(
                json,
                r#"{}{{"file":{},"line":{line},"column":{column},"path":{},"found":{},"allowed":{}}}"#,
                if at > 0 { "," } else { "" },
                quoted(file),
                quoted(path),
                quoted(found),
                quoted(allowed)
            );
        }
        json + "]"
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.all.iter().enumerate() {
            write!(f, "{}{fault}", if at > 0 { "\n" } else { "" })?;
        }
        if self.more > 0 {
            write!(f, "\nand {} more", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// For hosts, whose error of a wrong setting names one: the first, and how many more there are.
impl From<Faults> for ConfigError {
    fn from(faults: Faults) -> ConfigError {
        let others = (faults.all.len() + faults.more).saturating_sub(1);
        let Some(first) = faults.all.into_iter().next() else {
            return ConfigError::new("configuration", "nothing", "a configuration");
        };
        let place = first.place();
        let field = if first.path.is_empty() { place } else { format!("{place}: {}", first.path) };
        let allowed = match others {
            0 => first.allowed,
            1 => format!("{} (and one more fault; `ambassador check` tells all)", first.allowed),
            _ => format!("{} (and {others} more faults; `ambassador check` tells all)", first.allowed),
        };
        ConfigError::new(field, first.found, allowed)
    }
}
