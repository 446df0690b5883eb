//! The conformance vectors (`conformance/README.md`), run by the core through its front door for Rust, in virtual time. Also
//! makes `conformance/vectors.json` of them, which the other languages' runners read: `make generate` writes it, and this test
//! fails when it has drifted.

mod named;
mod runner;
mod schema;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use schema::Vector;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance")
}

fn vectors() -> Vec<Vector> {
    let mut files: Vec<_> =
        fs::read_dir(folder().join("vectors")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().flat_map(|file| schema::read(file)).collect()
}

/// One process, one clock: all vectors one after the other.
#[test]
fn every_vector_holds() {
    let vectors = vectors();
    let mut faults = Vec::new();
    for vector in &vectors {
        if let Err(fault) = runner::run(vector) {
            faults.push(format!("{} ({}): {fault}", vector.id, vector.rules.join(", ")));
        }
    }
    assert!(faults.is_empty(), "{} of {} vectors do not hold:\n{}", faults.len(), vectors.len(), faults.join("\n"));
    // Not by `println!`, which a test keeps to itself when it passes.
    writeln!(std::io::stdout(), "conformance: Rust ran {} vectors, skipped 0", vectors.len()).unwrap();
}

#[test]
fn ids_are_used_once_and_every_rule_is_named() {
    let vectors = vectors();
    let mut ids = BTreeSet::new();
    for vector in &vectors {
        assert!(ids.insert(&vector.id), "{}: used twice", vector.id);
        assert!(!vector.rules.is_empty(), "{}: names no rule", vector.id);
    }
    let named: BTreeSet<&str> = vectors.iter().flat_map(|vector| vector.rules.iter().map(String::as_str)).collect();
    let (rules, elsewhere) = (named::rules(), named::tests());
    let is_elsewhere = |rule: &str| elsewhere.iter().any(|test| test.rule == rule);
    let missing: Vec<_> = rules.iter().filter(|rule| !named.contains(rule.as_str()) && !is_elsewhere(rule)).collect();
    assert!(missing.is_empty(), "no vector names {missing:?}, nor does the table of conformance/README.md");
    let unknown: Vec<_> = named.iter().filter(|&&rule| !rules.contains(rule)).collect();
    assert!(unknown.is_empty(), "no such rules: {unknown:?}");
    let twice: Vec<_> = named.iter().filter(|&&rule| is_elsewhere(rule)).collect();
    assert!(twice.is_empty(), "a vector names {twice:?}: not for the table of conformance/README.md");
}

#[test]
fn tests_that_stand_in_for_vectors_are_where_the_table_says() {
    let gone: Vec<_> = named::tests().into_iter().filter(|test| !test.exists()).collect();
    assert!(gone.is_empty(), "no such tests: {gone:#?}");
}

#[test]
fn vectors_json_is_what_the_vectors_say() {
    let all = serde_json::to_string_pretty(&vectors()).unwrap() + "\n";
    let file = folder().join("vectors.json");
    if fs::read_to_string(&file).is_ok_and(|present| present == all) {
        return;
    }
    assert!(
        std::env::var_os("AMBASSADOR_GENERATE").is_some(),
        "conformance/vectors.json is not what the vectors say; run `make generate` and commit"
    );
    fs::write(file, all).unwrap();
}
