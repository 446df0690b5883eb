//! Metrics as somebody who scrapes them has them: samples by their names and labels.

use std::collections::BTreeMap;

use ambassador_core::telemetry::{Format, metrics};

/// Every sample: `ambassador_calls_total{target="x",outcome="ok"}` and its value.
pub struct Parsed(pub BTreeMap<String, f64>);

impl Parsed {
    pub fn now() -> Parsed {
        Parsed::of(&metrics(Format::Prometheus))
    }

    pub fn of(text: &str) -> Parsed {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let samples: BTreeMap<String, f64> = lines
            .map(|line| {
                let (name, value) = line.rsplit_once(' ').expect("a sample has a value");
                (name.to_owned(), value.parse().unwrap_or_else(|_| panic!("{line}")))
            })
            .collect();
        assert_eq!(
            samples.len(),
            text.lines().filter(|line| !line.starts_with('#')).count(),
            "a sample is there twice"
        );
        Parsed(samples)
    }

    /// The value of the sample with that name, and these labels among its own; all of them together where there are several.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        let is_wanted = |sample: &str| {
            let (named, rest) = sample.split_once('{').unwrap_or((sample, ""));
            named == name && labels.iter().all(|label| rest.contains(label.as_str()))
        };
        self.0.iter().filter(|(sample, _)| is_wanted(sample)).map(|(_, value)| *value as u64).sum()
    }

    /// Those that only grow, by what their names end in.
    pub fn counters(&self) -> impl Iterator<Item = (&String, f64)> {
        let is_counter = |sample: &str| {
            let name = sample.split('{').next().unwrap_or(sample);
            ["_total", "_bucket", "_count", "_sum"].iter().any(|end| name.ends_with(end))
        };
        self.0.iter().filter(move |(sample, _)| is_counter(sample)).map(|(sample, value)| (sample, *value))
    }
}
