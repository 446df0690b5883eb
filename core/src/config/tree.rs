//! A YAML text as a tree of values that know where they stand. JSON is YAML. What an alias stands for, and what `<<` merges, is
//! where it is used; names that stand twice in a map are kept, for the checks to tell of. Time and memory are bounded, whatever the text.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use crate::target::Target;

/// How deep values may lie within each other.
const MOST_DEPTH: usize = 24;
/// How many values a file may have, those that aliases stand for included.
const MOST_VALUES: usize = 200_000;

/// A place in a text, from 1, and how many characters it takes there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct At {
    pub line: u32,
    pub column: u32,
    pub length: u32,
}

impl At {
    /// Somewhere in that line.
    pub const fn line(line: u32) -> At {
        At { line, column: 1, length: 1 }
    }
}

/// A value, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub at: At,
    pub tree: Tree,
}

#[derive(Clone, Debug)]
pub(super) enum Tree {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A name in a map, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub name: String,
    pub at: At,
}

impl Tree {
    /// What it is, for a message to who expected something else.
    pub fn kind(&self) -> &'static str {
        match self {
            Tree::Null => "nothing",
            Tree::Bool(_) => "a truth value",
            Tree::Int(_) | Tree::Float(_) => "a number",
            Tree::Text(_) => "a text",
            Tree::List(_) => "a list",
            Tree::Map(_) => "a group",
        }
    }
}

/// Reads a text; what is no YAML is told with its place, if that is known.
pub(super) fn read(text: &str) -> Result<Node, (Option<At>, String)> {
    if text.trim().is_empty() {
        return Ok(Node { at: At { line: 1, column: 1, length: 0 }, tree: Tree::Null });
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MOST_DEPTH,
            max_nodes: MOST_VALUES,
            max_documents: 1,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MOST_VALUES,
            max_replay_stack_depth: MOST_DEPTH,
        },
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        emit_comments: false,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| said(&error))
}

/// The reader's own message without credentials (S3) and without the place at its end, and that place.
pub(crate) fn said(error: &serde_saphyr::Error) -> (Option<At>, String) {
    let place = error.location().unwrap_or(Location::UNKNOWN);
    let text = error.without_snippet().to_string();
    let line = text.lines().next().unwrap_or_default();
    let line = line.strip_suffix(&format!(" at line {}, column {}", place.line(), place.column())).unwrap_or(line);
    let line = line.split(' ').map(Target::shown).collect::<Vec<_>>().join(" ");
    ((place != Location::UNKNOWN).then(|| at(place)), line)
}

fn at(place: Location) -> At {
    let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    At { line: number(place.line()), column: number(place.column()), length: number(place.span().len()) }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        let spanned = Spanned::<Tree>::deserialize(deserializer)?;
        Ok(Node { at: at(spanned.referenced), tree: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Tree, D::Error> {
        deserializer.deserialize_any(Reading)
    }
}

struct Reading;

impl<'de> Visitor<'de> for Reading {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        Tree::deserialize(deserializer)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Tree, E> {
        Ok(Tree::Int(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Tree, E> {
        Ok(i64::try_from(number).map_or(Tree::Float(number as f64), Tree::Int))
    }

    fn visit_i128<E>(self, number: i128) -> Result<Tree, E> {
        Ok(Tree::Float(number as f64))
    }

    fn visit_u128<E>(self, number: u128) -> Result<Tree, E> {
        Ok(Tree::Float(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Tree, E> {
        Ok(Tree::Float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.into()))
    }

    fn visit_string<E>(self, text: String) -> Result<Tree, E> {
        Ok(Tree::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element()? {
            values.push(value);
        }
        Ok(Tree::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut pairs = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            pairs.push((Key { name: key.value, at: at(key.referenced) }, map.next_value()?));
        }
        Ok(Tree::Map(pairs))
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn values_know_where_they_stand() {
        let node =
            read("targets:\n  \"pay\":\n    timeout: 250ms\n    retries: [1, 2.5, ~, yes, 'true', true]\n").unwrap();
        let Tree::Map(root) = node.tree else { panic!() };
        assert_eq!((root[0].0.name.as_str(), root[0].0.at.line, root[0].0.at.column), ("targets", 1, 1));
        let Tree::Map(targets) = &root[0].1.tree else { panic!() };
        let Tree::Map(fields) = &targets[0].1.tree else { panic!() };
        assert_eq!(fields[0].1.at, At { line: 3, column: 14, length: 5 });
        let Tree::List(values) = &fields[1].1.tree else { panic!() };
        let kinds: Vec<&str> = values.iter().map(|value| value.tree.kind()).collect();
        assert_eq!(kinds, ["a number", "a number", "nothing", "a text", "a text", "a truth value"]);
    }

    #[test]
    fn aliases_cannot_take_all_memory() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..10 {
            let before = format!("*a{}", level - 1);
            text += &format!("a{level}: &a{level} [{}]\n", vec![before; 10].join(", "));
        }
        assert!(read(&text).is_err());
        assert!(read(&("[".repeat(500) + &"]".repeat(500))).is_err());
    }
}
