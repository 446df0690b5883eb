//! Metrics as OTLP's requests carry them: the table of `/metrics`, as cumulative sums, gauges, and histograms of fixed bounds.
//! Their names are those of OpenTelemetry's convention, of which its own translation makes the ones of `/metrics` again:
//! `ambassador.call_duration`, in `s`, is `ambassador_call_duration_seconds`.

use super::encode::{Attributes, request};
use super::wire::Message;
use crate::clock::SECOND;
use crate::telemetry::exposition::{Kind, Value, Writer};
use crate::telemetry::lengths::{BOUNDS, Buckets};
use crate::telemetry::metrics::{self, Metric, seconds};
use crate::telemetry::process;

const CUMULATIVE: u64 = 2;

/// An `ExportMetricsServiceRequest` of everything that is counted.
pub(super) fn metrics(resource: &[u8]) -> Vec<u8> {
    let mut points = Points {
        began: process::started_ms() * 1_000_000,
        now: process::unix_ms() * 1_000_000,
        written: Vec::new(),
        present: None,
    };
    metrics::write(&mut points);
    points.finish();
    request(resource, |scope| points.written.iter().for_each(|metric| scope.bytes(2, metric)))
}

/// Metrics, as far as they are written down.
struct Points {
    /// In nanoseconds since 1970.
    began: u64,
    now: u64,
    written: Vec<Vec<u8>>,
    /// The one that is being written, with what it has of points.
    present: Option<(&'static Metric, Message)>,
}

impl Points {
    /// One without points is left out.
    fn finish(&mut self) {
        let Some((metric, points)) = self.present.take() else { return };
        let points = points.into_bytes();
        if points.is_empty() {
            return;
        }
        let mut message = Message::default();
        message.text(1, &name(metric));
        message.text(2, metric.help);
        message.text(3, unit(metric));
        match metric.kind {
            Kind::Gauge | Kind::Info => message.message(5, |gauge| gauge.raw(&points)),
            Kind::Counter => message.message(7, |sum| {
                sum.raw(&points);
                sum.varint(2, CUMULATIVE);
                sum.varint(3, 1);
            }),
            Kind::Histogram => message.message(9, |histogram| {
                histogram.raw(&points);
                histogram.varint(2, CUMULATIVE);
            }),
        }
        self.written.push(message.into_bytes());
    }

    fn point(&mut self, attributes: u32, labels: &[&str], write: impl FnOnce(&mut Message)) {
        let (began, now) = (self.began, self.now);
        let Some((metric, points)) = &mut self.present else { return };
        points.message(1, |point| {
            if metric.kind != Kind::Gauge && metric.kind != Kind::Info {
                point.fixed64(2, began);
            }
            point.fixed64(3, now);
            write(point);
            let mut attributes = Attributes { of: point, field: attributes };
            metric.labels.iter().zip(labels).for_each(|(name, value)| attributes.text(name, value));
        });
    }
}

fn name(metric: &Metric) -> String {
    let unit = metric.unit.map_or(String::new(), |unit| format!("_{unit}"));
    let plain = metric.name.strip_suffix(&*unit).unwrap_or(metric.name);
    format!("ambassador.{plain}{}", if metric.kind == Kind::Info { "_info" } else { "" })
}

/// As UCUM has it.
fn unit(metric: &Metric) -> &'static str {
    match metric.unit {
        Some("seconds") => "s",
        Some("bytes") => "By",
        _ => "",
    }
}

impl Writer for Points {
    fn begin(&mut self, metric: &'static Metric) {
        self.finish();
        self.present = Some((metric, Message::default()));
    }

    fn sample(&mut self, _: &'static Metric, labels: &[&str], value: Value) {
        self.point(7, labels, |point| match value {
            Value::Whole(number) => point.present64(6, number),
            Value::Real(number) => point.double(4, number),
        });
    }

    fn lengths(&mut self, _: &'static Metric, labels: &[&str], lengths: &Buckets) {
        let Buckets { at_most, count, sum_ns } = lengths;
        // Between the bounds, of which the last one has no end.
        let mut below = 0;
        let between = at_most
            .iter()
            .chain([count])
            .map(|&at_most| at_most.saturating_sub(std::mem::replace(&mut below, at_most)));
        self.point(9, labels, |point| {
            point.present64(4, *count);
            point.double(5, seconds(*sum_ns));
            point.bytes(6, &between.flat_map(u64::to_le_bytes).collect::<Vec<u8>>());
            let bounds = BOUNDS.iter().map(|(bound, _)| *bound as f64 / SECOND as f64);
            point.bytes(7, &bounds.flat_map(f64::to_le_bytes).collect::<Vec<u8>>());
        });
    }
}
