//! The formats of metrics, and the page of the documentation that lists them.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use ambassador_core::Endpoint;
use ambassador_core::call::Outcome;
use ambassador_core::telemetry::{Format, Kind, METRICS, metrics};

use crate::common::*;

/// Metrics of a process in which there is something of everything.
fn some(format: Format) -> String {
    let endpoints = ["10.0.0.1:80", "10.0.0.2:80"].map(|address| Endpoint::new(address).unwrap());
    let proxy = with_defaults().bulkhead(ambassador_core::Bulkhead::new(4)).endpoints(endpoints).build().unwrap();
    let mut call = begin(&proxy, T0);
    fail_and_wait(&proxy, &mut call);
    let _ = proxy.settle(&mut call, T0 + 3_000_000_000, Outcome::Ok, None);
    metrics(format)
}

#[test]
fn promtool_finds_nothing_to_say_of_them() {
    let mut promtool = match Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
    {
        Ok(promtool) => promtool,
        // Debian's package `prometheus`, which `make test-rust` asks for where it may.
        Err(missing) => return eprintln!("not checked: promtool: {missing}"),
    };
    promtool.stdin.take().unwrap().write_all(some(Format::Prometheus).as_bytes()).unwrap();
    let ended = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout) + String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success() && said.trim().is_empty(), "{said}");
}

#[test]
fn openmetrics_has_families_without_their_samples_endings_units_and_an_end() {
    let text = some(Format::OpenMetrics);
    assert!(text.ends_with("# EOF\n") && text.matches("# EOF").count() == 1);
    for line in [
        "# TYPE ambassador_calls counter",
        "# TYPE ambassador_build info",
        "# TYPE ambassador_call_duration_seconds histogram",
        "# UNIT ambassador_call_duration_seconds seconds",
        "# UNIT ambassador_memory_bytes bytes",
    ] {
        assert!(text.lines().any(|told| told == line), "{line}");
    }
    // A unit is what the family's name ends in, and each family's lines stand together.
    let mut families = BTreeSet::new();
    for line in text.lines().filter(|line| line.starts_with("# TYPE ")) {
        assert!(families.insert(line.split(' ').nth(2).unwrap().to_owned()), "{line} is there twice");
    }
    for line in text.lines().filter(|line| line.starts_with("# UNIT ")) {
        let words: Vec<&str> = line.split(' ').collect();
        assert!(words[2].ends_with(&format!("_{}", words[3])), "{line}");
    }
}

#[test]
fn a_format_is_found_by_its_name_and_by_what_a_client_accepts() {
    assert_eq!(Format::named("openmetrics"), Ok(Format::OpenMetrics));
    assert_eq!(Format::named("prometheus"), Ok(Format::Prometheus));
    let wrong = Format::named("x").unwrap_err();
    assert_eq!(wrong.to_string(), r#"format: "x" is not allowed; expected prometheus or openmetrics"#);
    let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
    assert_eq!(Format::accepted(prometheus), Format::OpenMetrics);
    assert_eq!((Format::accepted(""), Format::accepted("text/html,*/*")), (Format::Prometheus, Format::Prometheus));
}

/// A row of the page: the name, the type, the labels.
fn rows_of_the_page() -> BTreeSet<(String, String, String)> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `ambassador_"));
    let rows = rows.map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        (cells[1].replace('`', ""), cells[2].into(), cells[3].replace('`', ""))
    });
    rows.collect()
}

#[test]
fn the_page_of_metrics_names_them_all_with_their_types_and_labels_and_no_others() {
    let rows: BTreeSet<_> = METRICS
        .iter()
        .map(|metric| {
            let kind = match metric.kind {
                Kind::Info => "info",
                kind => kind.as_str(Format::Prometheus),
            };
            (metric.full_name(), kind.to_owned(), metric.labels.join(", "))
        })
        .collect();
    assert_eq!(rows_of_the_page(), rows);
}
