//! The table at the end of a demo, and its verdict. What was charged comes from the ledger; what a client says of itself is
//! only compared with it.

use std::fmt::{self, Write};

use super::clients::Run;
use super::ledger::{Count, Ledger};

/// What became of all clients.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    run: Run,
    count: Count,
}

const HEAD: [&str; 9] =
    ["language", "calls", "attempts", "retries", "timeouts", "charged", "charged twice", "failed", "time"];

impl Table {
    /// The runs, beside what the ledger knows of them.
    pub fn new(runs: Vec<Run>, ledger: &Ledger) -> Table {
        let rows = runs.into_iter().map(|run| Row { count: ledger.count(&run.client.prefix()), run }).collect();
        Table { rows }
    }

    /// What is wrong, a paragraph each; nothing when every client ended well, agrees with the ledger, and charged nobody twice.
    pub fn faults(&self) -> Vec<String> {
        self.rows.iter().flat_map(Row::faults).collect()
    }

    /// What is worth knowing and no fault.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for row in &self.rows {
            if let Ok(report) = &row.run.ended
                && row.count.charged > report.charged
                && row.is_true(report.charged, report.failed)
            {
                let lost = row.count.charged - report.charged;
                notes.push(format!(
                    "{}: {lost} of its failed calls had been charged all the same: every answer to them was lost.",
                    row.run.client.language
                ));
            }
        }
        notes
    }

    /// A retry line of each client that had one, as its log has it.
    pub fn retry_lines(&self) -> Vec<(&str, String)> {
        self.rows.iter().filter_map(|row| Some((row.run.client.language.as_str(), row.run.first_retry()?))).collect()
    }
}

impl Row {
    /// A call that failed may have charged, if its answer was lost; a call that charged must be in the ledger.
    fn is_true(&self, charged: u32, failed: u32) -> bool {
        (charged..=charged.saturating_add(failed)).contains(&self.count.charged)
    }

    fn faults(&self) -> Vec<String> {
        let Row { run, count } = self;
        let language = &run.client.language;
        let mut faults = Vec::new();
        if !count.charged_twice.is_empty() {
            faults.push(format!("{language} charged twice: {}.", count.charged_twice.join(", ")));
        }
        match &run.ended {
            Err(why) => {
                let mut fault = format!("{language} failed: {why}.");
                let last_words = run.last_words();
                let _ = match last_words.is_empty() {
                    true => write!(fault, " It said nothing on stderr."),
                    false => write!(fault, " The end of {}:\n    {}", run.log.display(), last_words.join("\n    ")),
                };
                faults.push(fault);
            }
            Ok(report) => {
                if !self.is_true(report.charged, report.failed) {
                    faults.push(format!(
                        "{language} says that it charged {} orders; the ledger says {}.",
                        report.charged, count.charged
                    ));
                }
                if u64::from(report.charged) + u64::from(report.failed) != u64::from(report.calls) {
                    faults.push(format!(
                        "{language} says that of {} calls {} charged and {} failed, which does not add up.",
                        report.calls, report.charged, report.failed
                    ));
                }
            }
        }
        faults
    }

    fn cells(&self) -> [String; 9] {
        let Row { run, count } = self;
        let own = |number: fn(&super::clients::Report) -> u32| match &run.ended {
            Ok(report) => number(report).to_string(),
            Err(_) => "-".into(),
        };
        [
            run.client.language.clone(),
            own(|report| report.calls),
            own(|report| report.attempts),
            own(|report| report.retries),
            own(|report| report.timeouts),
            count.charged.to_string(),
            count.charged_twice.len().to_string(),
            own(|report| report.failed),
            run.ended.as_ref().map_or("-".into(), |report| format!("{:.1} s", report.seconds)),
        ]
    }
}

impl Table {
    fn totals(&self) -> [String; 9] {
        let reports = || self.rows.iter().filter_map(|row| row.run.ended.as_ref().ok());
        let sum =
            |number: fn(&super::clients::Report) -> u32| reports().map(number).map(u64::from).sum::<u64>().to_string();
        let ledger =
            |number: fn(&Count) -> usize| self.rows.iter().map(|row| number(&row.count)).sum::<usize>().to_string();
        // They ran at the same time: the longest is how long it took.
        let longest = reports().map(|report| report.seconds).fold(0.0, f64::max);
        [
            "all".into(),
            sum(|report| report.calls),
            sum(|report| report.attempts),
            sum(|report| report.retries),
            sum(|report| report.timeouts),
            ledger(|count| count.charged as usize),
            ledger(|count| count.charged_twice.len()),
            sum(|report| report.failed),
            format!("{longest:.1} s"),
        ]
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = HEAD.map(String::from);
        let rows: Vec<_> = self.rows.iter().map(Row::cells).collect();
        let totals = self.totals();
        let mut widths = [0; 9];
        for line in rows.iter().chain([&head, &totals]) {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let rule = "-".repeat(widths.iter().sum::<usize>() + 2 * (widths.len() - 1));
        let line = |f: &mut fmt::Formatter<'_>, cells: &[String; 9]| {
            for (at, (cell, width)) in cells.iter().zip(widths).enumerate() {
                match at {
                    0 => write!(f, "{cell:width$}")?,
                    _ => write!(f, "  {cell:>width$}")?,
                }
            }
            writeln!(f)
        };
        line(f, &head)?;
        writeln!(f, "{rule}")?;
        for row in &rows {
            line(f, row)?;
        }
        writeln!(f, "{rule}")?;
        line(f, &totals)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::clients::Report;
    use super::*;

    fn client(language: &str, ended: Result<(u32, u32), &str>) -> Run {
        let text = format!("language = '{language}'\ncommand = ['x']");
        let ended = ended.map_err(String::from).map(|(charged, failed)| Report {
            calls: charged + failed,
            attempts: 10,
            retries: 4,
            timeouts: 2,
            charged,
            failed,
            seconds: 1.25,
        });
        Run { client: toml::from_str(&text).unwrap(), ended, log: PathBuf::from("no-such-log") }
    }

    fn ledger(charges: &[(&str, &str)]) -> Ledger {
        let ledger = Ledger::default();
        for (key, order) in charges {
            ledger.ask(key, order, 1.0).unwrap();
            ledger.charge(key).unwrap();
        }
        ledger
    }

    #[test]
    fn the_totals_are_the_sums_and_the_longest_time() {
        let ledger = ledger(&[("1", "c-1"), ("2", "c-2"), ("3", "rust-1"), ("4", "rust-1")]);
        let mut rust = client("Rust", Ok((1, 1)));
        rust.ended.as_mut().unwrap().seconds = 2.5;
        let table = Table::new(vec![client("C", Ok((2, 0))), rust], &ledger);
        assert_eq!(table.totals(), ["all", "4", "20", "8", "4", "3", "1", "1", "2.5 s"]);
        let text = table.to_string();
        let words = |at: usize| text.lines().nth(at).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words(2), "C 2 10 4 2 2 0 0 1.2 s");
        assert_eq!(words(3), "Rust 2 10 4 2 1 1 1 2.5 s");
        assert_eq!(words(5), "all 4 20 8 4 3 1 1 2.5 s");
    }

    #[test]
    fn clients_that_agree_with_the_ledger_have_no_fault() {
        let ledger = ledger(&[("1", "c-1")]);
        assert_eq!(Table::new(vec![client("C", Ok((1, 0)))], &ledger).faults(), Vec::<String>::new());
    }

    #[test]
    fn a_failed_call_that_was_charged_is_a_note_and_no_fault() {
        let table = Table::new(vec![client("C", Ok((0, 1)))], &ledger(&[("1", "c-1")]));
        assert_eq!(table.faults(), Vec::<String>::new());
        assert_eq!(table.notes().len(), 1);
        assert!(table.notes()[0].contains("1 of its failed calls had been charged"));
    }

    #[test]
    fn an_order_charged_twice_is_a_fault_that_names_it() {
        let table = Table::new(vec![client("C", Ok((1, 0)))], &ledger(&[("1", "c-1"), ("2", "c-1")]));
        assert_eq!(table.faults(), ["C charged twice: c-1."]);
    }

    #[test]
    fn a_client_that_counts_otherwise_than_the_ledger_is_a_fault() {
        let table = Table::new(vec![client("C", Ok((3, 0)))], &ledger(&[("1", "c-1")]));
        assert_eq!(table.faults(), ["C says that it charged 3 orders; the ledger says 1."]);
        let table = Table::new(vec![client("C", Ok((0, 0)))], &ledger(&[("1", "c-1")]));
        assert_eq!(table.faults(), ["C says that it charged 0 orders; the ledger says 1."]);
    }

    #[test]
    fn a_client_that_died_is_a_fault_and_its_charges_still_count() {
        let table = Table::new(vec![client("C", Err("it ended with exit status: 3"))], &ledger(&[("1", "c-1")]));
        assert_eq!(table.faults(), ["C failed: it ended with exit status: 3. It said nothing on stderr."]);
        assert_eq!(table.totals()[5], "1");
    }
}
