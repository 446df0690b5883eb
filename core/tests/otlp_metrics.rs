//! Metrics as a collector gets them, read by the types of OpenTelemetry's own `opentelemetry-proto`. What is exported is said by the
//! environment of the whole process, so each test has one to itself.
#![cfg(feature = "otlp")]

mod common;
mod kit;

use std::collections::BTreeMap;
use std::time::Duration;

use ambassador_core::telemetry::otlp::exported;
use ambassador_core::telemetry::{Format, METRICS, metrics};
use ambassador_core::{AmbassadorProxy, runtime};
use common::{PATIENCE, alone, briefly, builder};
use kit::misbehaving::Server;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint};
use prost::Message;

/// Runs the body in a process of its own, whose metrics go to that collector.
fn exporting(name: &str, environment: &[(&str, &str)], collector: impl FnOnce() -> Server, body: impl FnOnce(&Server)) {
    alone(name, || {
        let collector = collector();
        let own = [("AMBASSADOR_OTLP", "metrics"), ("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector.url())];
        for (name, said) in own.iter().chain(environment) {
            // SAFETY: the process is this test's alone, and no other thread of it looks at the environment yet.
            unsafe { std::env::set_var(name, said) };
        }
        body(&collector);
    });
}

fn answering() -> Server {
    Server::answering("")
}

/// What the collector got, request by request.
fn requests(collector: &Server) -> Vec<ExportMetricsServiceRequest> {
    let seen = collector.seen();
    seen.iter()
        .map(|seen| {
            assert_eq!((&*seen.method, &*seen.path), ("POST", "/v1/metrics"));
            ExportMetricsServiceRequest::decode(&*seen.body).unwrap()
        })
        .collect()
}

fn by_name(request: ExportMetricsServiceRequest) -> BTreeMap<String, Metric> {
    let scopes = request.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
    scopes.flat_map(|scope| scope.metrics).map(|metric| (metric.name.clone(), metric)).collect()
}

fn label<'a>(attributes: &'a [KeyValue], name: &str) -> &'a str {
    let pair = attributes.iter().find(|pair| pair.key == name).unwrap();
    match pair.value.as_ref().unwrap().value.as_ref().unwrap() {
        Value::StringValue(text) => text,
        other => panic!("{other:?}"),
    }
}

/// Whether it is of the target that is called, and not of the way to the collector, which is one as well.
fn is_its(attributes: &[KeyValue]) -> bool {
    label(attributes, "target") == "payments"
}

/// The points of a sum or a gauge that are of the target that is called.
fn its_points(points: &[NumberDataPoint]) -> Vec<&NumberDataPoint> {
    points.iter().filter(|point| is_its(&point.attributes)).collect()
}

fn number(point: &NumberDataPoint) -> f64 {
    match point.value.unwrap() {
        Number::AsInt(number) => number as f64,
        Number::AsDouble(number) => number,
    }
}

/// What is counted at present is so while the proxy is there.
fn call(times: usize) -> AmbassadorProxy {
    let proxy = builder().name("payments").max_retries(2).backoff(briefly()).build().unwrap();
    for at in 0..times {
        let mut attempts = 0;
        let _ = proxy.call_blocking(|| {
            attempts += 1;
            let fails = at == 0 && attempts == 1;
            async move { if fails { Err("unreachable") } else { Ok(()) } }
        });
    }
    proxy
}

#[test]
fn what_is_counted_is_sent_when_the_ambassador_ends_as_sums_gauges_and_histograms() {
    let name = "what_is_counted_is_sent_when_the_ambassador_ends_as_sums_gauges_and_histograms";
    exporting(name, &[("OTEL_SERVICE_NAME", "shop")], answering, |collector| {
        let _proxy = call(3);
        assert!(runtime::shutdown(PATIENCE));
        let request = requests(collector).pop().unwrap();
        let resource = request.resource_metrics[0].resource.as_ref().unwrap();
        assert_eq!(label(&resource.attributes, "service.name"), "shop");
        let metrics = by_name(request);

        let Some(Data::Sum(calls)) = &metrics["ambassador.calls"].data else { panic!("{metrics:?}") };
        assert!(calls.is_monotonic && calls.aggregation_temporality == 2);
        let calls = its_points(&calls.data_points);
        let ok = calls.into_iter().find(|point| label(&point.attributes, "outcome") == "ok").unwrap();
        assert_eq!(number(ok), 3.0);
        assert!(ok.start_time_unix_nano > 1_700_000_000_000_000_000);
        assert!(ok.time_unix_nano >= ok.start_time_unix_nano);
        let Some(Data::Sum(retries)) = &metrics["ambassador.retries"].data else { panic!("{metrics:?}") };
        assert_eq!(its_points(&retries.data_points).into_iter().map(number).sum::<f64>(), 1.0);

        let Some(Data::Gauge(in_flight)) = &metrics["ambassador.inflight_calls"].data else { panic!("{metrics:?}") };
        assert_eq!(its_points(&in_flight.data_points).into_iter().map(number).collect::<Vec<_>>(), [0.0]);

        let durations = &metrics["ambassador.attempt_duration"];
        assert_eq!(durations.unit, "s");
        let Some(Data::Histogram(histogram)) = &durations.data else { panic!("{durations:?}") };
        assert_eq!(histogram.aggregation_temporality, 2);
        let point = histogram.data_points.iter().find(|point| is_its(&point.attributes)).unwrap();
        assert_eq!((point.count, point.bucket_counts.iter().sum::<u64>()), (4, 4));
        assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
        assert_eq!((point.explicit_bounds[0], point.explicit_bounds[17]), (0.0001, 60.0));
        assert!(point.sum.unwrap() > 0.0);
    });
}

#[test]
fn every_metric_that_prometheus_gets_has_the_name_that_its_own_translation_makes_of_it() {
    let name = "every_metric_that_prometheus_gets_has_the_name_that_its_own_translation_makes_of_it";
    exporting(name, &[], answering, |collector| {
        let _proxy = call(1);
        let page = metrics(Format::Prometheus);
        assert!(runtime::shutdown(PATIENCE));
        let sent = by_name(requests(collector).pop().unwrap());
        // https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
        let translated = |metric: &Metric| {
            let unit = [("s", "_seconds"), ("By", "_bytes")].into_iter().find(|(unit, _)| *unit == metric.unit);
            let total = if matches!(metric.data, Some(Data::Sum(_))) { "_total" } else { "" };
            format!("{}{}{total}", metric.name.replace('.', "_"), unit.map_or("", |(_, name)| name))
        };
        let mut names: Vec<String> = sent.values().map(translated).collect();
        let has_samples = |name: &String| {
            let rest = |line: &str| line.strip_prefix(&**name).map(str::to_owned);
            page.lines().filter_map(rest).any(|rest| rest.starts_with(['{', ' ']) || rest.starts_with("_bucket"))
        };
        let mut expected: Vec<String> = METRICS.iter().map(|metric| metric.full_name()).filter(has_samples).collect();
        names.sort();
        expected.sort();
        assert_eq!(names, expected);
    });
}

#[test]
fn metrics_are_sent_time_and_again_and_only_grow() {
    let name = "metrics_are_sent_time_and_again_and_only_grow";
    exporting(name, &[("OTEL_METRIC_EXPORT_INTERVAL", "20")], answering, |collector| {
        let _proxy = call(2);
        collector.wait_for(2);
        let _proxy = call(3);
        assert!(runtime::shutdown(PATIENCE));
        let counts: Vec<f64> = requests(collector)
            .into_iter()
            .map(|request| match &by_name(request)["ambassador.calls"].data {
                Some(Data::Sum(calls)) => its_points(&calls.data_points).into_iter().map(number).sum(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(counts.len() >= 3 && counts.is_sorted(), "{counts:?}");
        assert_eq!(counts.last(), Some(&5.0));
        assert_eq!(exported().map(|exported| exported.metrics), Some(counts.len() as u64));
    });
}

#[test]
fn a_collector_that_refuses_some_has_taken_the_rest() {
    let refusing = || {
        let partial = ExportMetricsPartialSuccess { rejected_data_points: 2, error_message: "too many".into() };
        let answer = ExportMetricsServiceResponse { partial_success: Some(partial) }.encode_to_vec();
        Server::scripted(move |peer| {
            while peer.request().is_some() {
                peer.answer(200, &[], &answer);
            }
        })
    };
    exporting("a_collector_that_refuses_some_has_taken_the_rest", &[], refusing, |_| {
        let _proxy = call(1);
        assert!(runtime::shutdown(PATIENCE));
        let exported = exported().unwrap();
        assert_eq!((exported.metrics, exported.failed), (1, 0));
    });
}

#[test]
fn a_collector_of_metrics_that_is_stuck_holds_up_no_shutdown() {
    let stuck = || {
        Server::scripted(|peer| {
            peer.request();
            peer.wait_for_end();
        })
    };
    exporting("a_collector_of_metrics_that_is_stuck_holds_up_no_shutdown", &[], stuck, |_| {
        let _proxy = call(1);
        assert!(runtime::shutdown(Duration::from_millis(20)));
        assert_eq!(exported().map(|exported| exported.metrics), Some(0));
    });
}
