//! The fields of a configuration: each value as settings have it, through the table that all languages share, and what is told of one
//! that is not allowed (S3: of a secret, nothing).

use super::load::{Loading, joined, shown};
use super::sections;
use super::tree::{Key, Node, Tree};
use crate::settings::layer::{Said, is_the_apps, row, rows};
use crate::settings::table::{Kind, Spec};
use crate::settings::{Settings, Spelling, Value};

impl Loading<'_> {
    /// What is said of a target, or of all: each field through the table.
    pub(super) fn entry(&mut self, node: &Node, path: &str) -> Vec<Said> {
        let mut all = Vec::new();
        let Some(pairs) = self.group(node, path) else { return all };
        let mut draft = Settings::of_a_file();
        for (key, node) in pairs {
            let path = joined(path, &key.name);
            match row(&key.name) {
                Some(Spec { kind: Kind::Group, .. }) if matches!(node.tree, Tree::Map(_)) => {
                    for (inner, node) in self.group(node, &path).into_iter().flatten() {
                        let field = format!("{}.{}", key.name, inner.name);
                        let path = joined(&path, &inner.name);
                        match row(&field) {
                            Some(spec) => self.field(&mut draft, spec, node, &path, &mut all),
                            None => self.no_field(&mut draft, &field, inner, &path),
                        }
                    }
                }
                Some(spec) => self.field(&mut draft, spec, node, &path, &mut all),
                None => self.no_field(&mut draft, &key.name, key, &path),
            }
        }
        all
    }

    fn no_field(&mut self, draft: &mut Settings, field: &str, key: &Key, path: &str) {
        if is_the_apps(field) {
            self.complain(key.at, path, shown(&key.name), "nothing of it in a file: only the app can set it");
            return;
        }
        if let Err(error) = draft.set(field, Value::Null) {
            // Beside a group's fields, the group is said already.
            let group = field.split_once('.').map_or(String::new(), |(group, _)| format!("{group}."));
            let known: Vec<&str> =
                rows().filter_map(|spec| spec.name.strip_prefix(&group)).filter(|name| !name.contains('.')).collect();
            match known.is_empty() {
                true => self.complain(key.at, path, shown(&key.name), error.allowed),
                false => self.unknown(key, path, known.into_iter()),
            }
        }
    }

    fn field(&mut self, draft: &mut Settings, spec: &'static Spec, node: &Node, path: &str, all: &mut Vec<Said>) {
        self.hide_secrets(spec, node);
        let Some((value, is_expanded)) = self.value(spec.kind, node, path) else { return };
        match draft.set(spec.name, value.clone()) {
            Ok(()) => all.push(Said { field: spec.name, value, place: self.place(node.at) }),
            Err(error) => {
                // Of a list or a map, only what is wrong.
                let wrong =
                    parts(&node.tree, &value).filter(|(_, _, part)| draft.set(spec.name, part.clone()).is_err());
                let wrong: Vec<_> = wrong.collect();
                if wrong.is_empty() || parts(&node.tree, &value).count() < 2 {
                    let found = if is_expanded { as_written(spec.kind, node, error.value) } else { error.value };
                    self.complain(node.at, path, found, error.allowed.clone());
                }
                for (step, inner, part) in wrong.into_iter().filter(|_| parts(&node.tree, &value).count() > 1) {
                    let found = match draft.set(spec.name, part) {
                        Err(error) => without_brackets(error.value),
                        Ok(()) => continue,
                    };
                    let found = if is_expanded { as_written(spec.kind, inner, found) } else { found };
                    self.complain(inner.at, &format!("{path}{step}"), found, error.allowed.clone());
                }
            }
        }
    }

    /// S3: lines with secrets are not shown, whatever else may be wrong with them.
    fn hide_secrets(&mut self, spec: &Spec, node: &Node) {
        let is_secret = matches!(spec.kind, Kind::Secret(_) | Kind::Pairs(_)) || spec.name.starts_with("auth");
        // A URL may hold credentials where they are not allowed.
        let is_url = matches!(spec.kind, Kind::Endpoints) || spec.name.starts_with("discovery");
        if is_secret || is_url {
            let mut lines = Vec::new();
            lines_of(node, &mut lines);
            lines.into_iter().for_each(|line| self.hide(line));
        }
    }

    /// The value as settings have it, and whether anything was put into it.
    pub(super) fn value(&mut self, kind: Kind, node: &Node, path: &str) -> Option<(Value, bool)> {
        Some(match &node.tree {
            Tree::Null => (Value::Null, false),
            Tree::Bool(truth) => (Value::Bool(*truth), false),
            // `version: 2` is a choice all the same.
            Tree::Int(number) if matches!(kind, Kind::Choice(_)) => (Value::Text(number.to_string()), false),
            Tree::Float(number) if matches!(kind, Kind::Choice(_)) => (Value::Text(number.to_string()), false),
            Tree::Int(number) => (Value::Int(*number), false),
            Tree::Float(number) => (Value::Float(*number), false),
            Tree::Text(text) => match self.expanded(text) {
                Ok(None) => (Value::Text(text.clone()), false),
                Ok(Some(text)) => (plain(kind, text), true),
                Err((found, allowed)) => {
                    self.complain(node.at, path, found, allowed);
                    return None;
                }
            },
            Tree::List(nodes) => {
                let (mut values, mut is_expanded) = (Vec::with_capacity(nodes.len()), false);
                for (at, node) in nodes.iter().enumerate() {
                    let (value, was) = self.value(kind, node, &format!("{path}[{at}]"))?;
                    values.push(value);
                    is_expanded |= was;
                }
                (Value::List(values), is_expanded)
            }
            Tree::Map(_) => {
                let (mut values, mut is_expanded) = (Vec::new(), false);
                for (key, node) in self.group(node, path)? {
                    let (value, was) = self.value(kind, node, &joined(path, &key.name))?;
                    values.push((key.name.clone(), value));
                    is_expanded |= was;
                }
                (Value::Map(values), is_expanded)
            }
        })
    }

    /// A section of fields of its own.
    pub(super) fn section(&mut self, node: &Node, path: &str, fields: &'static [Spec]) -> Vec<Said> {
        let mut all = Vec::new();
        for (key, node) in self.group(node, path).into_iter().flatten() {
            let path = joined(path, &key.name);
            let Some(spec) = fields.iter().find(|spec| spec.name == key.name) else {
                let mut names: Vec<&str> = fields.iter().map(|spec| spec.name).collect();
                if path.starts_with("tenants.") {
                    names.push("known");
                }
                self.unknown(key, &path, names.into_iter());
                continue;
            };
            self.hide_secrets(spec, node);
            let Some((value, is_expanded)) = self.value(spec.kind, node, &path) else { continue };
            if sections::is_allowed(spec, &value) {
                all.push(Said { field: spec.name, value, place: self.place(node.at) });
            } else {
                let is_hidden = matches!(spec.kind, Kind::Secret(_)) && value != Value::Null;
                let found = if is_hidden { "***".into() } else { Spelling::File.show(&value) };
                let found = if is_expanded { as_written(spec.kind, node, found) } else { found };
                self.complain(node.at, &path, found, Spelling::File.allowed(spec));
            }
        }
        all
    }
}

/// What was written in place of what it stands for, which may be a secret.
fn as_written(kind: Kind, node: &Node, found: String) -> String {
    match (&node.tree, kind) {
        (_, Kind::Secret(_) | Kind::Pairs(_)) => found,
        (Tree::Text(text), _) => shown(text),
        _ => "***".into(),
    }
}

/// What was put in is a text; where a number or a truth value is asked for, it is read as one.
fn plain(kind: Kind, text: String) -> Value {
    let read = match kind {
        Kind::Count { .. } | Kind::CountOr { .. } => text.parse().ok().map(Value::Int),
        Kind::Number { .. } => text.parse().ok().map(Value::Float),
        Kind::Truth => text.parse().ok().map(Value::Bool),
        _ => None,
    };
    read.unwrap_or(Value::Text(text))
}

/// The parts of a list or a map, each as a list or a map of its own: where it stands in the path, its node, and its value.
fn parts<'n>(tree: &'n Tree, value: &'n Value) -> impl Iterator<Item = (String, &'n Node, Value)> {
    let (listed, named) = match (tree, value) {
        (Tree::List(nodes), Value::List(values)) => (Some(nodes.iter().zip(values)), None),
        (Tree::Map(nodes), Value::Map(values)) => (None, Some(nodes.iter().zip(values))),
        _ => (None, None),
    };
    let listed = listed.into_iter().flatten().enumerate();
    let listed = listed.map(|(at, (node, value))| (format!("[{at}]"), node, Value::List(vec![value.clone()])));
    let named = named.into_iter().flatten();
    let named = named.map(|((key, node), pair)| (format!(".{}", key.name), node, Value::Map(vec![pair.clone()])));
    listed.chain(named)
}

/// What is told of a list of one is told of that one.
fn without_brackets(found: String) -> String {
    match found.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner.to_owned(),
        None => found,
    }
}

fn lines_of(node: &Node, lines: &mut Vec<u32>) {
    lines.push(node.at.line);
    match &node.tree {
        Tree::List(nodes) => nodes.iter().for_each(|node| lines_of(node, lines)),
        Tree::Map(pairs) => {
            for (key, node) in pairs {
                lines.push(key.at.line);
                lines_of(node, lines);
            }
        }
        Tree::Text(text) => lines.extend((node.at.line..).take(text.lines().count() + 1)),
        _ => {}
    }
}
