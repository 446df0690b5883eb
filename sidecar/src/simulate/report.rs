//! What came of a simulation, in figures: a table for people, CSV for spreadsheets, JSON for programs.

use std::fmt::Write;

use ambassador_core::clock::spell;
use serde_json::json;

use super::jitter::{Contention, Line, RUNS};
use super::seconds;
use super::storm::{BACK, Course, Storm};

/// A number as people read it: `2,857`, `0.5`.
pub fn number(number: f64) -> String {
    if number.fract().abs() > 1e-6 && number.abs() < 1000.0 {
        let text = format!("{number:.2}");
        return text.trim_end_matches('0').trim_end_matches('.').into();
    }
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// Rows below a head; the first column is text, the others are numbers.
fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        for (at, cell) in cells.enumerate() {
            let width = widths[at];
            let _ = if at == 0 { write!(text, "{cell:width$}") } else { write!(text, "  {cell:>width$}") };
        }
        text.push('\n');
    };
    line(&mut head.iter().copied());
    let rule = "-".repeat(widths.iter().sum::<usize>() + 2 * (widths.len() - 1));
    line(&mut [rule.as_str()].into_iter());
    for row in rows {
        line(&mut row.iter().map(String::as_str));
    }
    text
}

/// The table of a storm.
pub fn storm_table(storm: &Storm, courses: &[Course]) -> String {
    let head =
        ["policy", "calls", "answered", "attempts/call", "wasted work", "back after", "then answered", "attempts/call"];
    let rows: Vec<Vec<String>> = courses
        .iter()
        .map(|course| {
            let back = match (storm.end_of_outages(), storm.back_after(course)) {
                (None, _) => "-".into(),
                (_, None) => "never".into(),
                (_, Some(0)) => "at once".into(),
                (_, Some(after)) => spell(after),
            };
            vec![
                course.policy.clone(),
                number(course.calls() as f64),
                percent(course.answered()),
                format!("{:.2}", course.amplification()),
                percent(course.wasted()),
                back,
                percent(course.answered_at_the_end()),
                format!("{:.2}", course.amplification_at_the_end()),
            ]
        })
        .collect();
    let server = &storm.server;
    format!(
        "{storm}\nThe server: {} workers at {} a request, {} requests/s, a queue of {}. Seed {}.\n\n{}\n\
         back after: from the end of the outage until at least {:.0} % of the calls were answered, for good.\n\
         The last two columns are of the last quarter of the time.\n",
        number(server.workers as f64),
        spell(server.service),
        number(server.capacity()),
        number(server.queue as f64),
        storm.seed,
        table(&head, &rows),
        100.0 * BACK,
    )
}

/// A row for each policy and slice of time; rates are per second.
pub fn storm_csv(storm: &Storm, courses: &[Course]) -> String {
    let mut csv = String::from(
        "policy,seconds,calls_per_s,attempts_per_s,answered_per_s,failed_per_s,refused_per_s,wasted_per_s,\
         attempts_per_call,queued,breakers_open,breakers_half_open\n",
    );
    let length = seconds(storm.slice());
    for course in courses {
        for (at, slice) in course.slices.iter().enumerate() {
            let a_second = |count: u64| count as f64 / length;
            let _ = writeln!(
                csv,
                "{},{:.1},{:.1},{:.1},{:.1},{:.1},{:.1},{:.1},{:.3},{},{},{}",
                quoted(&course.policy),
                at as f64 * length,
                a_second(slice.calls),
                a_second(slice.attempts),
                a_second(slice.answered),
                a_second(slice.failed),
                a_second(slice.refused),
                a_second(slice.wasted),
                slice.amplification(),
                slice.queued,
                slice.open,
                slice.half_open,
            );
        }
    }
    csv
}

/// All of it, for programs.
pub fn storm_json(storm: &Storm, courses: &[Course]) -> String {
    let of = |course: &Course| {
        json!({
            "policy": course.policy,
            "settings": course.settings,
            "calls": course.calls(),
            "answered": course.answered(),
            "attempts_per_call": course.amplification(),
            "wasted": course.wasted(),
            "back_after_s": storm.back_after(course).map(seconds),
            "answered_at_the_end": course.answered_at_the_end(),
            "attempts_per_call_at_the_end": course.amplification_at_the_end(),
            "slices": course.slices,
        })
    };
    pretty(&json!({
        "scenario": "storm",
        "seed": storm.seed,
        "clients": storm.clients,
        "calls_per_s": storm.calls_a_second(),
        "capacity_per_s": storm.server.capacity(),
        "duration_s": seconds(storm.duration),
        "slice_s": seconds(storm.slice()),
        "outages": storm.server.outages.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "policies": courses.iter().map(of).collect::<Vec<_>>(),
    }))
}

/// The table of a contention: a few of its points.
pub fn jitter_table(contention: &Contention, lines: &[Line]) -> String {
    let Some(first) = lines.first() else { return String::new() };
    let last = first.points.len() - 1;
    let mut shown = vec![last / 10, last / 2, last];
    shown.dedup();
    let mut head = vec!["policy".to_owned()];
    for &at in &shown {
        let clients = first.points[at].clients;
        let plural = if clients == 1 { "" } else { "s" };
        head.extend([format!("{clients} client{plural}: calls"), "time".to_owned()]);
    }
    head.push("gave up".to_owned());
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let rows: Vec<Vec<String>> = lines
        .iter()
        .map(|line| {
            let points = shown.iter().flat_map(|&at| {
                let point = line.points[at];
                [number(point.calls.round()), format!("{:.2} s", point.seconds)]
            });
            let gave_up = [number(line.points[last].gave_up)];
            std::iter::once(line.policy.clone()).chain(points).chain(gave_up).collect()
        })
        .collect();
    format!(
        "Up to {} clients contend for one record; each reads it, and writes it if nobody wrote in between. Means of {RUNS} runs, \
         seed {}.\n\n{}",
        contention.clients,
        contention.seed,
        table(&head, &rows)
    )
}

/// A row for each policy and number of clients.
pub fn jitter_csv(lines: &[Line]) -> String {
    let mut csv = String::from("policy,clients,calls,seconds,gave_up\n");
    for line in lines {
        for point in &line.points {
            let _ = writeln!(
                csv,
                "{},{},{:.1},{:.4},{:.2}",
                quoted(&line.policy),
                point.clients,
                point.calls,
                point.seconds,
                point.gave_up
            );
        }
    }
    csv
}

/// All of it, for programs.
pub fn jitter_json(contention: &Contention, lines: &[Line]) -> String {
    pretty(&json!({ "scenario": "jitter", "seed": contention.seed, "runs": RUNS, "policies": lines }))
}

fn pretty(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}

/// RFC 4180.
fn quoted(text: &str) -> String {
    match text.contains(['"', ',']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_read_them() {
        for (is, written) in
            [(0.0, "0"), (2.5, "2.5"), (0.25, "0.25"), (999.0, "999"), (2857.142, "2,857"), (1_234_567.0, "1,234,567")]
        {
            assert_eq!(number(is), written);
        }
    }

    #[test]
    fn a_name_with_a_comma_is_one_field() {
        assert_eq!(quoted("a, \"b\""), "\"a, \"\"b\"\"\"");
    }
}
