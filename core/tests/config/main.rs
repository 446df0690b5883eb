//! Configuration files: those under `conformance/config/broken` are refused with exactly the faults that stand beside them, those under
//! `valid` come to the policies that do. `AMBASSADOR_GENERATE=1` writes what is found; look at the difference before it is kept.

use std::fs;
use std::path::{Path, PathBuf};

use ambassador_core::config::{Config, STARTING_FILE, explain, json_schema};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance/config").join(name)
}

/// What a fixed environment has, so that files mean the same everywhere.
fn environment(name: &str) -> Option<String> {
    match name {
        "PAYMENTS_TOKEN" => Some("s3cret".into()),
        "RETRIES" => Some("7".into()),
        "BAD_TIMEOUT" => Some("s3cret".into()),
        _ => None,
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|kind| kind == "yaml" || kind == "json"));
    files.retain(|path| !path.to_string_lossy().ends_with(".expected.json"));
    files.sort();
    files
}

fn compare(path: &Path, found: &str) {
    if std::env::var_os("AMBASSADOR_GENERATE").is_some() {
        fs::write(path, found).unwrap();
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    assert_eq!(found, expected, "{}", path.display());
}

#[test]
fn a_broken_file_is_refused_with_exactly_its_faults() {
    let broken = files(&folder("broken"));
    assert!(broken.len() >= 60, "{} files", broken.len());
    for path in broken {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let faults = Config::read_with(&fs::read_to_string(&path).unwrap(), &name, environment).unwrap_err();
        assert!(!faults.report().contains("s3cret"), "{name}: {}", faults.report());
        assert!(!faults.to_json().contains("s3cret"), "{name}");
        compare(&path.with_extension("expected"), &faults.report());
    }
}

#[test]
fn a_valid_file_comes_to_exactly_its_policies() {
    for path in files(&folder("valid")) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let config = Config::read_with(&fs::read_to_string(&path).unwrap(), &name, environment)
            .unwrap_or_else(|faults| panic!("{faults}"));
        let told = ["payment-api.example.com", "https://deep.internal.example.com:8443", "elsewhere.example.org"]
            .map(|target| explain(&config, target).unwrap());
        let text: String = told.iter().map(|told| format!("{told}{}\n\n", told.policy_json)).collect();
        assert!(!text.contains("s3cret"), "{name}");
        compare(&path.with_extension("expected"), &text);
    }
}

#[test]
fn the_starting_file_is_right() {
    assert!(Config::read(STARTING_FILE, "ambassador.yaml").is_ok());
}

#[test]
fn the_json_schema_is_as_the_tables_say() {
    compare(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/ambassador.schema.json"), &json_schema());
}
