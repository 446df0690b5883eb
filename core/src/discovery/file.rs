//! A file of endpoints in JSON or YAML: what may stand in it, and where it is wrong when something else does.
//!
//! ```yaml
//! - http://10.0.0.7:8080
//! - url: http://10.0.0.8:8080
//!   weight: 3
//!   zone: eu-west-1a
//!   metadata: {rack: "12"}
//! ```
//!
//! The same list may stand under `endpoints:`.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use super::watch::{Found, Look};
use crate::config::said;
use crate::endpoint::Endpoint;
use crate::folders::Folders;
use crate::target::{self, Target};

/// The largest file that is read.
const MOST_BYTES: u64 = 16 << 20;

/// A file whose entries are endpoints.
pub(super) struct Listed {
    path: PathBuf,
    folders: Folders,
}

impl Listed {
    /// The file there, or that will be.
    pub fn new(path: &Path) -> Listed {
        Listed { path: path.to_owned(), folders: Folders::default() }
    }
}

impl Look for Listed {
    async fn look(&mut self) -> Result<Found, String> {
        // Before it is read: a change in between is seen.
        self.folders.of(&[&self.path]);
        let path = Arc::<Path>::from(self.path.as_path());
        let read = tokio::task::spawn_blocking(move || endpoints_of(&path)).await;
        let endpoints = read.map_err(|_| "the ambassador's runtime has ended".to_owned())??;
        Ok(Found { endpoints, holds: Duration::MAX })
    }

    async fn changed(&mut self, most: Duration) {
        self.folders.changed(most).await;
    }
}

fn endpoints_of(path: &Path) -> Result<Vec<Endpoint>, String> {
    let shown = path.display();
    let unread = |e: std::io::Error| format!("{shown}: {e}");
    let mut text = String::new();
    File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_string(&mut text)).map_err(unread)?;
    if text.len() as u64 > MOST_BYTES {
        return Err(format!("{shown}: it is larger than {} MiB", MOST_BYTES >> 20));
    }
    parse(&text).map_err(|wrong| match wrong.at {
        Some((line, column)) => format!("{shown}:{line}:{column}: {}", wrong.what),
        None => format!("{shown}: {}", wrong.what),
    })
}

/// What is wrong with a file, and where: line and column, from 1.
#[derive(Debug, PartialEq)]
struct Wrong {
    at: Option<(u64, u64)>,
    what: String,
}

impl Wrong {
    fn at(place: Location, what: String) -> Wrong {
        let is_known = place != Location::UNKNOWN;
        Wrong { at: is_known.then(|| (place.line(), place.column())), what }
    }
}

fn parse(text: &str) -> Result<Vec<Endpoint>, Wrong> {
    if text.trim().is_empty() {
        return Err(Wrong { at: None, what: "it is empty".into() });
    }
    let list: List = serde_saphyr::from_str(text).map_err(|error| {
        let (at, what) = said(&error);
        Wrong { at: at.map(|at| (at.line.into(), at.column.into())), what }
    })?;
    // E4: whatever writes the file fails more often than a target has no endpoint left.
    if list.0.is_empty() {
        return Err(Wrong { at: None, what: "it lists no endpoint".into() });
    }
    list.0.into_iter().map(endpoint).collect()
}

/// A list of entries, bare or under `endpoints`.
struct List(Vec<Spanned<Entry>>);

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<List, D::Error> {
        struct Reading;
        impl<'de> Visitor<'de> for Reading {
            type Value = List;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of endpoints, or `endpoints:` with one")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = seq.next_element()? {
                    entries.push(entry);
                }
                Ok(List(entries))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<List, A::Error> {
                #[derive(Deserialize)]
                #[serde(deny_unknown_fields)]
                struct Under {
                    endpoints: Vec<Spanned<Entry>>,
                }
                Under::deserialize(MapAccessDeserializer::new(map)).map(|under| List(under.endpoints))
            }
        }
        deserializer.deserialize_any(Reading)
    }
}

/// A URL, or a map with one.
enum Entry {
    Bare(String),
    Map(Fields),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    url: Spanned<String>,
    weight: Option<Spanned<u64>>,
    zone: Option<String>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Entry, D::Error> {
        struct Reading;
        impl<'de> Visitor<'de> for Reading {
            type Value = Entry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a URL, host:port, or a map with `url`")
            }

            fn visit_str<E: Error>(self, url: &str) -> Result<Entry, E> {
                Ok(Entry::Bare(url.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entry, A::Error> {
                Fields::deserialize(MapAccessDeserializer::new(map)).map(Entry::Map)
            }
        }
        deserializer.deserialize_any(Reading)
    }
}

fn endpoint(entry: Spanned<Entry>) -> Result<Endpoint, Wrong> {
    let fields = match entry.value {
        Entry::Bare(url) => return at(&url, entry.referenced),
        Entry::Map(fields) => fields,
    };
    let mut endpoint = at(&fields.url.value, fields.url.referenced)?.metadata(fields.metadata);
    if let Some(weight) = fields.weight {
        let in_bounds = u32::try_from(weight.value).ok().filter(|weight| (1..=Endpoint::MOST_WEIGHT).contains(weight));
        let Some(in_bounds) = in_bounds else {
            let what = format!("weight is {}, not a whole number from 1 to {}", weight.value, Endpoint::MOST_WEIGHT);
            return Err(Wrong::at(weight.referenced, what));
        };
        endpoint = endpoint.weight(in_bounds);
    }
    Ok(match fields.zone {
        Some(zone) => endpoint.zone(&zone),
        None => endpoint,
    })
}

fn at(url: &str, place: Location) -> Result<Endpoint, Wrong> {
    let what = || format!("'{}' is not {}", Target::shown(url), target::ALLOWED);
    Endpoint::new(url).ok_or_else(|| Wrong::at(place, what()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        parse(text).unwrap().iter().map(|endpoint| endpoint.as_str().to_owned()).collect()
    }

    fn wrong(text: &str) -> (Option<(u64, u64)>, String) {
        let wrong = parse(text).expect_err(text);
        (wrong.at, wrong.what)
    }

    #[test]
    fn a_list_is_read_from_json_and_yaml_bare_and_under_its_name() {
        let both = ["http://10.0.0.7:8080", "10.0.0.8:80"];
        assert_eq!(found(r#"["http://10.0.0.7:8080", "10.0.0.8:80"]"#), both);
        assert_eq!(
            found("{\n\t\"endpoints\": [\n\t\t\"http://10.0.0.7:8080\",\n\t\t{\"url\": \"10.0.0.8:80\"}\n\t]\n}\n"),
            both
        );
        assert_eq!(found("# those of today\n- http://10.0.0.7:8080\n- url: 10.0.0.8:80\n"), both);
        assert_eq!(found("endpoints:\n- http://10.0.0.7:8080\n- {url: '10.0.0.8:80', weight: 3}\n"), both);
    }

    #[test]
    fn an_entry_may_say_all_that_an_endpoint_has() {
        let text = "- {url: 'http://[::1]:80', weight: 7, zone: eu-west-1a, metadata: {rack: '12'}}";
        let rack = BTreeMap::from([("rack".to_owned(), "12".to_owned())]);
        let expected = Endpoint::new("http://[::1]:80").unwrap().weight(7).zone("eu-west-1a").metadata(rack);
        assert_eq!(parse(text).unwrap(), [expected]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, at, what) in [
            ("", None, "it is empty"),
            ("[]", None, "it lists no endpoint"),
            ("endpoints: []", None, "it lists no endpoint"),
            ("- 10.0.0.7:80\n- two words\n", Some((2, 3)), "'two words' is not a host such as"),
            ("- url: http://user:secret@10.0.0.7\n", Some((1, 8)), "'http://***@10.0.0.7' is not"),
            (
                "- url: 10.0.0.7:80\n  weight: 1001\n",
                Some((2, 11)),
                "weight is 1001, not a whole number from 1 to 1000",
            ),
            ("- url: 10.0.0.7:80\n  weight: 0\n", Some((2, 11)), "weight is 0"),
            ("- url: 10.0.0.7:80\n  wieght: 2\n", Some((2, 3)), "wieght"),
            ("- weight: 2\n", Some((1, 3)), "url"),
            ("- [10.0.0.7]\n", Some((1, 3)), "a URL, host:port, or a map with `url`"),
            ("endpoint:\n- 10.0.0.7\n", Some((1, 1)), "endpoint"),
            ("{\"endpoints\": [\n  \"10.0.0.7:80\",\n", Some((1, 15)), "unclosed bracket '['"),
            ("12", None, "a list of endpoints"),
            ("http://user:secret@10.0.0.7", None, "a list of endpoints"),
            ("- http://user:secret@10.0.0.7:\n", Some((1, 3)), "unknown field"),
        ] {
            let (place, said) = wrong(text);
            assert!(said.contains(what) && !said.contains("secret") && !said.contains(" line "), "{text:?}: {said}");
            assert_eq!(place, at, "{text:?}: {said}");
        }
    }
}
