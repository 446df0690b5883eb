//! The figures of the two scenarios: what is drawn where. How it is drawn is in `svg.rs`.

use super::jitter::{Line, Point};
use super::seconds;
use super::storm::{Course, Slice, Storm};
use super::svg::{Anchor, Ink, Mark, Panel, Stroke, Svg, ticks};

const LEFT: f64 = 74.0;
const GAP: f64 = 22.0;

const CALLS: Ink = Ink(0);
const ATTEMPTS: Ink = Ink(1);
const ANSWERED: Ink = Ink(2);
const BREAKERS: Ink = Ink(3);
const HALF_OPEN: Ink = Ink(5);
const CAPACITY: Ink = Ink(6);

/// A row of the storm's figure: the same measure of each policy.
struct Row {
    title: &'static str,
    unit: &'static str,
    height: f64,
    /// The least that the axis shows.
    least: f64,
    measures: Vec<Measure>,
}

struct Measure {
    mark: Mark,
    of: Box<dyn Fn(&Slice) -> f64>,
}

fn measure(mark: Mark, of: impl Fn(&Slice) -> f64 + 'static) -> Measure {
    Measure { mark, of: Box::new(of) }
}

fn rows(storm: &Storm) -> Vec<Row> {
    let (slice, capacity, clients) = (seconds(storm.slice()), storm.server.capacity(), f64::from(storm.clients));
    vec![
        Row {
            title: "at the server",
            unit: "a second",
            height: 150.0,
            least: capacity,
            measures: vec![
                measure(Mark::Area(ANSWERED), move |at| at.answered as f64 / slice),
                measure(Mark::Line(CAPACITY, Stroke::Dashed), move |_| capacity),
                measure(Mark::Line(CALLS, Stroke::Solid), move |at| at.calls as f64 / slice),
                measure(Mark::Line(ATTEMPTS, Stroke::Solid), move |at| at.attempts as f64 / slice),
            ],
        },
        Row {
            title: "amplification",
            unit: "attempts a call",
            height: 84.0,
            least: 2.0,
            measures: vec![measure(Mark::Line(ATTEMPTS, Stroke::Solid), Slice::amplification)],
        },
        Row {
            title: "the queue",
            unit: "seconds of work",
            height: 84.0,
            least: 1.0,
            measures: vec![measure(Mark::Area(CAPACITY), move |at| at.queued as f64 / capacity)],
        },
        Row {
            title: "breakers",
            unit: "% of clients",
            height: 84.0,
            least: 100.0,
            measures: vec![
                measure(Mark::Area(BREAKERS), move |at| 100.0 * f64::from(at.open) / clients),
                measure(Mark::Line(HALF_OPEN, Stroke::Solid), move |at| 100.0 * f64::from(at.half_open) / clients),
            ],
        },
    ]
}

/// A column for each policy, a row for each measure, all over the same time.
pub fn storm(storm: &Storm, courses: &[Course]) -> String {
    const WIDTH: f64 = 206.0;
    const TOP: f64 = 136.0;
    const BETWEEN: f64 = 20.0;
    let rows = rows(storm);
    let width = (LEFT + courses.len() as f64 * (WIDTH + GAP)).max(900.0);
    let height = TOP + rows.iter().map(|row| row.height + BETWEEN).sum::<f64>() + 28.0;
    let mut svg = Svg::new(width, height, &format!("A retry storm. {storm}"));
    svg.text((16.0, 26.0), Anchor::Start, "bold", "A retry storm: who comes back after the outage?");
    svg.text((16.0, 46.0), Anchor::Start, "muted", &storm.to_string());
    svg.legend(
        (16.0, 74.0),
        &[
            (Mark::Line(CALLS, Stroke::Solid), "calls begun"),
            (Mark::Line(ATTEMPTS, Stroke::Solid), "attempts"),
            (Mark::Area(ANSWERED), "calls answered"),
            (Mark::Line(CAPACITY, Stroke::Dashed), "capacity"),
            (Mark::Area(BREAKERS), "open"),
            (Mark::Line(HALF_OPEN, Stroke::Solid), "half-open"),
            (Mark::Band, "outage"),
        ],
    );
    let slice = seconds(storm.slice());
    let times = ticks(seconds(storm.duration), 4);
    let right = seconds(storm.duration);
    let times: Vec<f64> = times.into_iter().filter(|&time| time <= right).collect();
    for (column, course) in courses.iter().enumerate() {
        let left = LEFT + column as f64 * (WIDTH + GAP);
        svg.text((left, TOP - 32.0), Anchor::Start, "bold", &course.policy);
        let settings = if course.settings.is_empty() { "the defaults" } else { &course.settings };
        for (line, text) in wrapped(settings, 36, 2).iter().enumerate() {
            svg.text((left, TOP - 18.0 + 12.0 * line as f64), Anchor::Start, "muted", text);
        }
    }
    let mut top = TOP;
    for (number, row) in rows.iter().enumerate() {
        let of_all = courses.iter().flat_map(|course| &course.slices);
        let most =
            of_all.flat_map(|at| row.measures.iter().map(move |measure| (measure.of)(at))).fold(row.least, f64::max);
        let heights = ticks(most, if row.height > 100.0 { 4 } else { 2 });
        svg.text_upwards((14.0, top + row.height / 2.0), row.title);
        svg.text_upwards((27.0, top + row.height / 2.0), row.unit);
        for (column, course) in courses.iter().enumerate() {
            let panel = Panel {
                at: (LEFT + column as f64 * (WIDTH + GAP), top),
                size: (WIDTH, row.height),
                most: (right, heights.last().copied().unwrap_or(most)),
            };
            for outage in &storm.server.outages {
                panel.band(&mut svg, seconds(outage.from), seconds(outage.to).min(right));
            }
            panel.heights(&mut svg, &heights, column == 0);
            for Measure { mark, of } in &row.measures {
                // A slice's number stands at its middle.
                let at = |index: usize| (index as f64 + 0.5) * slice;
                let points = course.slices.iter().enumerate().map(|(index, slice)| (at(index), of(slice)));
                let places = panel.places(points);
                match *mark {
                    Mark::Area(ink) => {
                        svg.area(ink, &places, panel.ground());
                        svg.line(ink, Stroke::Solid, &places);
                    }
                    Mark::Line(ink, stroke) => svg.line(ink, stroke, &places),
                    Mark::Band => {}
                }
            }
            if number + 1 == rows.len() {
                panel.widths(&mut svg, &times);
                let middle = panel.at.0 + WIDTH / 2.0;
                svg.text((middle, panel.ground() + 33.0), Anchor::Middle, "muted", "seconds");
            }
        }
        top += row.height + BETWEEN;
    }
    svg.finish()
}

type Cost = fn(&Point) -> f64;

/// Two panels: what it costs the server, and what it costs the clients.
pub fn jitter(lines: &[Line]) -> String {
    const WIDTH: f64 = 376.0;
    const HEIGHT: f64 = 260.0;
    let legend_rows = lines.len().div_ceil(4) as f64;
    let top = 82.0 + 18.0 * legend_rows;
    let mut svg = Svg::new(
        LEFT + 2.0 * WIDTH + 112.0,
        top + HEIGHT + 56.0,
        "What each kind of jitter costs when many clients contend for one record",
    );
    svg.text(
        (16.0, 26.0),
        Anchor::Start,
        "bold",
        "Many clients contend for one record: what does each kind of jitter cost?",
    );
    let legend: Vec<_> = lines
        .iter()
        .enumerate()
        .map(|(number, line)| (Mark::Line(Ink(number), stroke(number)), line.policy.as_str()))
        .collect();
    for (row, entries) in legend.chunks(4).enumerate() {
        svg.legend((16.0, 54.0 + 18.0 * row as f64), entries);
    }
    let clients = lines.iter().flat_map(|line| &line.points).map(|point| point.clients).max().unwrap_or(1);
    let panels: [(&str, Cost); 2] = [
        ("calls to the server until all are done", |point| point.calls),
        ("seconds until all are done", |point| point.seconds),
    ];
    for (column, (title, of)) in panels.into_iter().enumerate() {
        let most = lines.iter().flat_map(|line| &line.points).map(of).fold(0.0, f64::max);
        let heights = ticks(most, 5);
        let panel = Panel {
            at: (LEFT + column as f64 * (WIDTH + 80.0), top),
            size: (WIDTH, HEIGHT),
            most: (f64::from(clients), heights.last().copied().unwrap_or(1.0)),
        };
        svg.text((panel.at.0, top - 12.0), Anchor::Start, "", title);
        panel.heights(&mut svg, &heights, true);
        panel.widths(&mut svg, &ticks(f64::from(clients), 5));
        svg.text((panel.at.0 + WIDTH / 2.0, panel.ground() + 38.0), Anchor::Middle, "muted", "clients that contend");
        for (number, line) in lines.iter().enumerate() {
            let points = line.points.iter().map(|point| (f64::from(point.clients), of(point)));
            svg.line(Ink(number), stroke(number), &panel.places(points));
        }
    }
    svg.finish()
}

/// Neighbours differ also in kind, for who tells colours apart with difficulty.
fn stroke(number: usize) -> Stroke {
    if number.is_multiple_of(2) { Stroke::Solid } else { Stroke::Dashed }
}

/// Settings in lines of so many letters, cut at commas; what does not fit in so many lines is left out.
fn wrapped(settings: &str, letters: usize, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for setting in settings.split(',').map(str::trim) {
        let line = lines.last_mut().expect("there is one from the start");
        if line.is_empty() {
            *line = setting.into();
        } else if line.chars().count() + 2 + setting.chars().count() <= letters {
            line.push_str(", ");
            line.push_str(setting);
        } else {
            line.push(',');
            lines.push(setting.into());
        }
    }
    if lines.len() > most {
        lines.truncate(most);
        lines[most - 1].push_str(" …");
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_cut_at_commas() {
        assert_eq!(wrapped("a=1,b=2", 20, 2), ["a=1, b=2"]);
        assert_eq!(wrapped("a=1,b=2", 5, 2), ["a=1,", "b=2"]);
        assert_eq!(wrapped("a=1,b=2,c=3", 5, 2), ["a=1,", "b=2, …"]);
    }
}
