//! How metrics are written down: in Prometheus' text format 0.0.4, and in OpenMetrics 1.0.

use std::fmt::{Display, Write};

use super::lengths::{BOUNDS, Buckets};
use super::metrics::{Metric, seconds};
use crate::error::ConfigError;

/// A format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format, version 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The format of that name.
    ///
    /// ```
    /// use ambassador_core::telemetry::Format;
    ///
    /// assert_eq!(Format::named("openmetrics")?, Format::OpenMetrics);
    /// assert!(Format::named("json").is_err());
    /// # Ok::<_, ambassador_core::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// [`ConfigError`] when it is neither `prometheus` nor `openmetrics`.
    pub fn named(name: &str) -> Result<Format, ConfigError> {
        match name {
            "prometheus" => Ok(Format::Prometheus),
            "openmetrics" => Ok(Format::OpenMetrics),
            _ => Err(ConfigError::new("format", format!("{name:?}"), "prometheus or openmetrics")),
        }
    }

    /// What a client of HTTP that accepts these gets.
    pub fn accepted(accept: &str) -> Format {
        // Whoever names it wants it: Prometheus names the other one as well, with less weight.
        if accept.contains("application/openmetrics-text") { Format::OpenMetrics } else { Format::Prometheus }
    }

    /// Its `content-type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// A kind of metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, for as long as the process lives.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Lengths of time, counted by how long they are.
    Histogram,
    /// It says something by its labels, and is always 1.
    Info,
}

impl Kind {
    /// Its name in that format.
    pub const fn as_str(self, format: Format) -> &'static str {
        match (self, format) {
            (Kind::Counter, _) => "counter",
            (Kind::Gauge, _) | (Kind::Info, Format::Prometheus) => "gauge",
            (Kind::Histogram, _) => "histogram",
            (Kind::Info, Format::OpenMetrics) => "info",
        }
    }

    /// What its samples' names end in.
    const fn suffix(self) -> &'static str {
        match self {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram => "",
        }
    }
}

impl Metric {
    /// The name of its samples: `ambassador_calls_total`.
    pub fn full_name(&self) -> String {
        format!("ambassador_{}{}", self.name, self.kind.suffix())
    }
}

/// What a sample says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    Whole(u64),
    Real(f64),
}

impl From<u64> for Value {
    fn from(number: u64) -> Value {
        Value::Whole(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Value {
        Value::Whole(number.into())
    }
}

impl From<u8> for Value {
    fn from(number: u8) -> Value {
        Value::Whole(number.into())
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Value {
        Value::Whole(number as u64)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Value {
        Value::Real(number)
    }
}

impl Display for Value {
    fn fmt(&self, into: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Whole(number) => number.fmt(into),
            Value::Real(number) => number.fmt(into),
        }
    }
}

/// Who writes metrics down.
pub(crate) trait Writer {
    /// What comes from here on is of that metric.
    fn begin(&mut self, metric: &'static Metric);

    /// A sample, with these values of the metric's labels.
    fn sample(&mut self, metric: &'static Metric, labels: &[&str], value: Value);

    /// Lengths of time, with these.
    fn lengths(&mut self, metric: &'static Metric, labels: &[&str], lengths: &Buckets);
}

/// Metrics, as far as they are written down.
pub(crate) struct Page {
    format: Format,
    text: String,
}

impl Page {
    pub fn new(format: Format) -> Page {
        Page { format, text: String::with_capacity(16 * 1024) }
    }

    /// All of it.
    pub fn end(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    fn line(&mut self, metric: &Metric, suffix: &str, labels: &[&str], bound: Option<&str>, value: impl Display) {
        let text = &mut self.text;
        text.push_str("ambassador_");
        text.push_str(metric.name);
        text.push_str(suffix);
        let labels = metric.labels.iter().copied().zip(labels.iter().copied()).chain(bound.map(|bound| ("le", bound)));
        for (at, (name, value)) in labels.enumerate() {
            text.push(if at == 0 { '{' } else { ',' });
            text.push_str(name);
            text.push_str("=\"");
            push_escaped(text, value);
            text.push('"');
        }
        if text.ends_with('"') {
            text.push('}');
        }
        let _ = writeln!(text, " {value}");
    }
}

impl Writer for Page {
    fn begin(&mut self, metric: &'static Metric) {
        // A family has its samples' name in the one format, and none of their endings in the other.
        let name = match self.format {
            Format::Prometheus => metric.full_name(),
            Format::OpenMetrics => format!("ambassador_{}", metric.name),
        };
        let kind = metric.kind.as_str(self.format);
        let _ = writeln!(self.text, "# HELP {name} {}\n# TYPE {name} {kind}", metric.help);
        if let (Some(unit), Format::OpenMetrics) = (metric.unit, self.format) {
            let _ = writeln!(self.text, "# UNIT {name} {unit}");
        }
    }

    fn sample(&mut self, metric: &'static Metric, labels: &[&str], value: Value) {
        self.line(metric, metric.kind.suffix(), labels, None, value);
    }

    fn lengths(&mut self, metric: &'static Metric, labels: &[&str], lengths: &Buckets) {
        for ((_, bound), count) in BOUNDS.iter().zip(lengths.at_most) {
            self.line(metric, "_bucket", labels, Some(bound), count);
        }
        self.line(metric, "_bucket", labels, Some("+Inf"), lengths.count);
        self.line(metric, "_sum", labels, None, seconds(lengths.sum_ns));
        self.line(metric, "_count", labels, None, lengths.count);
    }
}

fn push_escaped(text: &mut String, value: &str) {
    for letter in value.chars() {
        match letter {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}
