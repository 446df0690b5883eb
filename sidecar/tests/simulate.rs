//! `ambassador simulate` as a user runs it: what its scenarios show, that it can be repeated, what it says to wrong arguments, and
//! that its figures are XML. The rules of the policies themselves are tested in the core.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn simulate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ambassador")).arg("simulate").args(arguments).output().unwrap()
}

fn stdout(arguments: &[&str]) -> String {
    let output = simulate(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&stdout(&[&["--json"], arguments].concat())).unwrap()
}

fn policy<'a>(results: &'a Value, name: &str) -> &'a Value {
    let policies = results["policies"].as_array().unwrap();
    policies.iter().find(|policy| policy["policy"] == name).unwrap_or_else(|| panic!("no policy {name}"))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// A sum over the slices of time of a policy.
fn sum(policy: &Value, of: &str) -> f64 {
    policy["slices"].as_array().unwrap().iter().map(|slice| number(&slice[of])).sum()
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

// ---------------------------------------------------------------- the same again

#[test]
fn the_same_seed_gives_the_same_output_and_another_seed_another() {
    for scenario in [&["--scenario", "storm", "--duration", "50s"][..], &["--scenario", "jitter", "--clients", "20"]] {
        let run = |seed: &str, name: &str| {
            let [svg, csv] = ["svg", "csv"].map(|kind| file(&format!("{name}.{kind}")));
            let files = ["--seed", seed, "--svg", svg.to_str().unwrap(), "--csv", csv.to_str().unwrap()];
            let text = stdout(&[scenario, &files].concat());
            (text, std::fs::read_to_string(svg).unwrap(), std::fs::read_to_string(csv).unwrap())
        };
        let first = run("7", "first");
        assert_eq!(first, run("7", "again"));
        assert_ne!(first.2, run("8", "other").2);
    }
}

// ---------------------------------------------------------------- jitter

#[test]
fn full_and_decorrelated_jitter_need_far_fewer_calls_than_none() {
    let results = json(&["--scenario", "jitter"]);
    let last = |name: &str| policy(&results, name)["points"].as_array().unwrap().last().unwrap().clone();
    let none = last("none");
    assert_eq!(none["clients"], 100);
    for jitter in ["full", "decorrelated", "equal"] {
        let point = last(jitter);
        assert!(number(&point["calls"]) < 0.6 * number(&none["calls"]), "{jitter}: {point}, none: {none}");
        assert!(number(&point["seconds"]) < 0.2 * number(&none["seconds"]), "{jitter}: {point}, none: {none}");
        assert_eq!(number(&point["gave_up"]), 0.0);
    }
}

#[test]
fn without_any_wait_the_calls_grow_with_the_square_of_the_clients() {
    let results = json(&["--scenario", "jitter", "--policy", "at once: backoff=none"]);
    let points = policy(&results, "at once")["points"].as_array().unwrap();
    let calls = |clients: u32| number(&points.iter().find(|point| point["clients"] == clients).unwrap()["calls"]);
    let growth = calls(100) / calls(50);
    assert!((3.0..5.0).contains(&growth), "{growth}");
}

#[test]
fn a_client_gives_up_when_its_policy_says_so() {
    let results = json(&["--scenario", "jitter", "--policy", "once: max_retries=1", "--clients", "50"]);
    let last = policy(&results, "once")["points"].as_array().unwrap().last().unwrap();
    assert_eq!(number(&last["calls"]), 50.0);
    assert!(number(&last["gave_up"]) > 40.0, "{last}");
}

// ---------------------------------------------------------------- storm

#[test]
fn without_budget_and_breaker_the_service_stays_down_and_with_them_it_comes_back() {
    let results = json(&[]);
    let naive = policy(&results, "naive");
    assert_eq!(naive["back_after_s"], Value::Null);
    assert!(number(&naive["answered_at_the_end"]) < 0.05, "{naive}");
    assert!(number(&naive["attempts_per_call_at_the_end"]) > 2.5, "{naive}");
    for name in ["budget", "breaker", "both"] {
        let policy = policy(&results, name);
        assert!(number(&policy["back_after_s"]) <= 10.0, "{name}: {}", policy["back_after_s"]);
        assert!(number(&policy["answered_at_the_end"]) > 0.99, "{name}");
    }
}

#[test]
fn breakers_open_in_the_outage_and_close_after_it() {
    let results = json(&["--policy", "breaker: budget=none"]);
    let slices = policy(&results, "breaker")["slices"].as_array().unwrap();
    let open: Vec<f64> = slices.iter().map(|slice| number(&slice["open"])).collect();
    assert_eq!(open[..30].iter().sum::<f64>(), 0.0);
    assert_eq!(open.iter().copied().fold(0.0, f64::max), 20.0);
    assert_eq!(open[60..].iter().sum::<f64>(), 0.0);
}

#[test]
fn without_an_outage_nobody_notices_the_policies() {
    let results = json(&["--duration", "20s", "--outage", "slow=1@5s-10s"]);
    for name in ["naive", "both"] {
        let policy = policy(&results, name);
        assert_eq!((number(&policy["answered"]), number(&policy["attempts_per_call"])), (1.0, 1.0), "{name}");
    }
}

#[test]
fn all_policies_meet_the_same_calls() {
    let results = json(&["--duration", "50s"]);
    let calls = |name: &str| {
        let slices = policy(&results, name)["slices"].as_array().unwrap().iter();
        slices.map(|slice| number(&slice["calls"])).collect::<Vec<_>>()
    };
    assert_eq!(calls("naive"), calls("both"));
}

#[test]
fn the_server_serves_no_more_than_it_can() {
    let results = json(&["--policy", "naive: budget=none,breaker=none"]);
    let capacity = number(&results["capacity_per_s"]);
    let slices = policy(&results, "naive")["slices"].as_array().unwrap();
    let late: f64 = slices[60..].iter().map(|slice| number(&slice["served"])).sum::<f64>() / slices[60..].len() as f64;
    assert!((late / capacity - 1.0).abs() < 0.02, "{late} of {capacity}");
}

#[test]
fn every_call_ends_once_whatever_the_policy() {
    let policies = [
        "bulkhead: bulkhead.max_concurrent=4,bulkhead.max_queue=8",
        "adaptive: bulkhead.max_concurrent=adaptive,bulkhead.max_queue=50",
        "rate: rate_limit.rate=90,rate_limit.max_wait=200ms",
        "deadline: deadline=3s,backoff.base=50ms,max_retries=10",
        "unbounded: timeout=none",
        "at once: backoff=none,max_retries=100",
    ];
    let mut arguments = vec!["--duration", "60s", "--outage", "down@20s-25s", "--outage", "reject@30s-35s"];
    arguments.extend(policies.iter().flat_map(|policy| ["--policy", policy]));
    let results = json(&arguments);
    for text in policies {
        let name = text.split_once(':').unwrap().0;
        let policy = policy(&results, name);
        let ended = sum(policy, "answered") + sum(policy, "failed") + sum(policy, "refused");
        let under_way = sum(policy, "calls") - ended;
        // What runs at the end; and, without a bound, what an outage has swallowed.
        let most = if name == "unbounded" { 11_000.0 } else { 1000.0 };
        assert!((0.0..most).contains(&under_way), "{name}: {under_way} calls never ended");
        assert!(sum(policy, "answered") > 0.5 * sum(policy, "calls"), "{name}");
    }
    assert!(sum(policy(&results, "bulkhead"), "refused") > 0.0);
    assert!(sum(policy(&results, "rate"), "refused") > 0.0);
}

#[test]
fn calls_in_even_steps_are_even() {
    let results = json(&["--arrivals", "even", "--duration", "50s", "--policy", "both:"]);
    let slices = policy(&results, "both")["slices"].as_array().unwrap().clone();
    let (first, slice) = (number(&slices[1]["calls"]), number(&results["slice_s"]));
    assert_eq!(first, 2000.0 * slice);
    assert!(slices[1..].iter().all(|slice| (number(&slice["calls"]) - first).abs() <= 1.0));
}

// ---------------------------------------------------------------- files

/// What a figure must be for any reader of XML: one root, tags that match, quoted attributes, and nothing unescaped.
fn assert_well_formed(xml: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut roots = 0;
    for part in xml.split('<').skip(1) {
        let (tag, text) = part.split_once('>').expect("a tag ends");
        assert!(!text.contains('>'), "unescaped: {text}");
        for entity in text.split('&').skip(1).chain(tag.split('&').skip(1)) {
            assert!(
                ["lt;", "gt;", "amp;", "quot;"].iter().any(|known| entity.starts_with(known)),
                "unescaped: {entity}"
            );
        }
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
            continue;
        }
        let name = tag.split([' ', '/']).next().unwrap();
        roots += usize::from(open.is_empty());
        // Outside of quotes nothing is left but names and equal signs.
        let attributes = tag[name.len()..].trim_end_matches('/');
        let outside: String = attributes.split('"').step_by(2).collect();
        assert_eq!(attributes.matches('"').count() % 2, 0, "{tag}");
        for attribute in outside.split_whitespace() {
            assert!(attribute.ends_with('=') && attribute.len() > 1, "{tag}");
        }
        if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert_eq!((open, roots), (Vec::new(), 1));
}

#[test]
fn figures_are_well_formed_and_have_no_number_that_is_none() {
    for arguments in [
        &["--duration", "50s", "--policy", "a < b & \"c\": timeout=1s", "--policy", "both:"][..],
        &["--clients", "1", "--rate", "0.01", "--duration", "45s"],
        &["--scenario", "jitter", "--clients", "10"],
        &["--scenario", "jitter", "--clients", "1", "--policy", "a:", "--policy", "b:", "--policy", "c:"],
    ] {
        let figure = file("figure.svg");
        stdout(&[arguments, &["--svg", figure.to_str().unwrap()]].concat());
        let svg = std::fs::read_to_string(figure).unwrap();
        assert_well_formed(&svg);
        assert!(svg.contains("prefers-color-scheme:dark") && svg.contains("<title>"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}

#[test]
fn a_csv_has_a_row_for_each_policy_and_slice() {
    let rows = file("rows.csv");
    stdout(&["--duration", "50s", "--csv", rows.to_str().unwrap()]);
    let csv = std::fs::read_to_string(rows).unwrap();
    let fields = |line: &str| line.split(',').count();
    assert_eq!(csv.lines().count(), 1 + 4 * 100);
    assert!(csv.lines().all(|line| fields(line) == fields(csv.lines().next().unwrap())));
}

// ---------------------------------------------------------------- wrong arguments

#[test]
fn a_wrong_argument_is_answered_by_name_with_its_value_and_what_is_allowed() {
    for (arguments, said) in [
        (&["--policy", "a: max_retries=0"][..], "max_retries: 0 is not allowed; expected a whole number from 1 to 100"),
        (&["--policy", "a: max_retrys=5"], "did you mean max_retries?"),
        (&["--policy", "a: breaker.open_for=never"], "breaker.open_for: \"never\" is not allowed; expected a duration"),
        (&["--policy", "budget=none"], "expected NAME: SETTING=VALUE"),
        (&["--policy", "a:", "--policy", "a: budget=none"], "--policy: \"a\" is not allowed twice"),
        (&["--scenario", "rain"], "possible values: storm, jitter"),
        (&["--clients", "0"], "0 is not in 1..=100000"),
        (&["--rate", "fast"], "expected a number from 0.001 to 10000"),
        (&["--duration", "60"], "expected a length of time with its unit from 1s to 86400s"),
        (
            &["--duration", "35s"],
            "--outage: down from 30 s to 40 s is not allowed; expected an end before --duration, 35 s",
        ),
        (&["--outage", "rude@1s-2s"], "expected down@FROM-TO, slow=TIMES@FROM-TO or reject@FROM-TO"),
        (&["--clients", "100000", "--rate", "10000"], "calls are not allowed; expected at most 1,000,000,000"),
        (&["--scenario", "jitter", "--clients", "101"], "--clients: 101 is not allowed with --scenario jitter"),
        (&["--scenario", "jitter", "--rate", "5"], "--rate is not allowed with --scenario jitter"),
    ] {
        let output = simulate(arguments);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        assert!(told.contains(said), "{arguments:?}: {told}");
    }
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let output = simulate(&["--duration", "45s", "--clients", "1", "--svg", "no-such-folder/figure.svg"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("cannot write no-such-folder/figure.svg"));
}
