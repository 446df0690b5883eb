//! Everything that is generated from `core/errors.toml`: the core's codes, the exception classes of each language, the status
//! codes of C, and `docs/errors.md`. The files are checked in where users read them. This test fails when one of them
//! drifted; `make generate` writes them anew (`AMBASSADOR_GENERATE=1`).

mod c;
mod cpp;
mod docs;
mod java;
mod node;
mod python;
mod rust;

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

#[derive(Deserialize)]
struct Table {
    error: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    code: String,
    number: u16,
    class: String,
    parent: Option<String>,
    #[serde(default)]
    python_bases: Vec<String>,
    #[serde(default)]
    fields: Vec<String>,
    summary: String,
    advice: String,
}

impl Entry {
    /// `CIRCUIT_OPEN` → `CircuitOpen`.
    fn variant(&self) -> String {
        self.code.split('_').map(|word| word[..1].to_owned() + &word[1..].to_lowercase()).collect()
    }

    fn parent(&self) -> &str {
        self.parent.as_deref().unwrap_or("AmbassadorError")
    }
}

const NOTICE: &str = "Generated from core/errors.toml by `make generate`. Do not edit.";

/// A file, from the root of the repository, and what it shall hold.
type Generated = (String, String);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn table() -> Vec<Entry> {
    let text = fs::read_to_string(root().join("core/errors.toml")).expect("core/errors.toml is there");
    let mut entries = toml::from_str::<Table>(&text).expect("core/errors.toml is a table of errors").error;
    entries.sort_by_key(|entry| entry.number);
    entries
}

#[test]
fn codes_and_numbers_are_used_once() {
    let entries = table();
    for (at, entry) in entries.iter().enumerate() {
        let twin = entries[at + 1..]
            .iter()
            .find(|e| e.code == entry.code || e.number == entry.number || e.class == entry.class);
        assert!(twin.is_none(), "{} shares its code, number or class with another error", entry.code);
        assert!(entry.class.ends_with("Error"), "{}: a class is named …Error", entry.class);
    }
}

#[test]
fn every_generated_file_is_as_errors_toml_says() {
    let entries = table();
    let mut files = vec![rust::codes(&entries), python::errors(&entries), docs::page(&entries)];
    files.extend([c::status(&entries), cpp::errors(&entries)]);
    files.extend(node::errors(&entries));
    files.extend(java::classes(&entries));
    let write = std::env::var_os("AMBASSADOR_GENERATE").is_some();
    let mut drifted = Vec::new();
    for (path, expected) in files {
        let file = root().join(&path);
        if fs::read_to_string(&file).is_ok_and(|present| present == expected) {
            continue;
        }
        if write {
            fs::create_dir_all(file.parent().expect("a file has a folder")).expect("its folder can be made");
            fs::write(&file, expected).expect("it can be written");
        } else {
            drifted.push(path);
        }
    }
    assert!(drifted.is_empty(), "not as core/errors.toml says: {drifted:?}; run `make generate` and commit");
}
