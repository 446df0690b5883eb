//! The rules, as `docs/semantics.md` has them; and the tests that stand in for vectors, as the table of `conformance/README.md` names
//! them: for what no story in virtual time can show.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn page(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The ids of all rules: `**R4.**` begins one.
pub fn rules() -> BTreeSet<String> {
    let page = page("docs/semantics.md");
    let rules: BTreeSet<_> =
        page.split("**").filter_map(|part| part.strip_suffix('.')).filter(|id| is_id(id)).map(Into::into).collect();
    assert!(rules.len() > 40, "only {rules:?}");
    rules
}

fn is_id(text: &str) -> bool {
    matches!(text.as_bytes(), [b'A'..=b'Z', b'0'..=b'9'])
}

/// A test that shows what a rule says.
#[derive(Debug)]
pub struct Test {
    pub rule: String,
    file: String,
    name: String,
}

impl Test {
    /// Whether its file begins a test of that name, in whatever language.
    pub fn exists(&self) -> bool {
        let Test { file, name, .. } = self;
        let Ok(text) = fs::read_to_string(repository().join(file)) else { return false };
        let beginnings = [
            format!("fn {name}("),
            format!("def {name}("),
            format!("void {name}("),
            format!("TEST({name})"),
            format!("test(\"{name}\""),
        ];
        beginnings.iter().any(|beginning| text.contains(beginning))
    }
}

/// The table's rows: a rule, then a file and a test in it, both between backticks, as often as need be.
pub fn tests() -> Vec<Test> {
    let page = page("conformance/README.md");
    let mut tests = Vec::new();
    for row in page.lines() {
        let Some((rule, named)) = row.strip_prefix("| ").and_then(|row| row.split_once(" | ")) else { continue };
        if !is_id(rule) {
            continue;
        }
        let quoted: Vec<&str> = named.split('`').skip(1).step_by(2).collect();
        assert!(!quoted.is_empty() && quoted.len().is_multiple_of(2), "{rule}: a file and a test each, not {quoted:?}");
        tests.extend(quoted.chunks(2).map(|pair| Test {
            rule: rule.into(),
            file: pair[0].into(),
            name: pair[1].into(),
        }));
    }
    assert!(!tests.is_empty(), "the table is not there");
    tests
}
