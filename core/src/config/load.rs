//! Reading a configuration: files and what they include, each value through the table of settings, every fault with its place. Nothing
//! is kept of a configuration that has any.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::entries::{Entry, Pattern};
use super::expand::{Environment, Expanded, expand};
use super::fault::{Fault, Faults};
use super::files::{files_in, text_of};
use super::sections::{self, ADMIN, LISTENERS, TELEMETRY, TENANTS};
use super::tree::{self, At, Key, Node, Tree};
use super::{Config, Tenant};
use crate::settings::layer::Said;
use crate::settings::{Place, Settings, Spelling, Value, nearest};
use crate::target::Target;

/// The largest file that is read, and the most of all of them together.
const MOST_BYTES: u64 = 4 << 20;
const MOST_BYTES_IN_ALL: u64 = 32 << 20;
/// How many files a configuration may have, and how deep they may include each other.
const MOST_FILES: usize = 1000;
const MOST_DEPTH: usize = 8;

const TOP: [&str; 8] = ["version", "include", "defaults", "targets", "tenants", "admin", "telemetry", "listeners"];

/// A configuration that is being read.
pub(super) struct Loading<'a> {
    environment: &'a Environment<'a>,
    config: Config,
    faults: Faults,
    files: Vec<Source>,
    bytes: u64,
    /// The file at hand, and those that include it.
    within: Vec<usize>,
}

/// A file that was read.
struct Source {
    name: Arc<str>,
    folder: PathBuf,
    canonical: Option<PathBuf>,
    text: String,
    /// Lines with something that is not to be shown.
    hidden: Vec<u32>,
}

impl<'a> Loading<'a> {
    pub fn new(environment: &'a Environment<'a>) -> Loading<'a> {
        let config = Config::default();
        Loading { environment, config, faults: Faults::default(), files: Vec::new(), bytes: 0, within: Vec::new() }
    }

    /// Reads the file there; `shown` is how it is named.
    pub fn file(&mut self, path: &Path, shown: &str) {
        match self.text_of(path) {
            Ok(text) => self.text(text, shown, path),
            Err(why) => self.complain_of_file(shown, why),
        }
    }

    /// What was looked at so far.
    pub fn files(&self) -> Vec<PathBuf> {
        self.config.files.clone()
    }

    fn text_of(&mut self, path: &Path) -> Result<String, String> {
        let text = text_of(path, MOST_BYTES)?;
        self.bytes += text.as_ref().map_or(MOST_BYTES + 1, |text| text.len() as u64);
        let text = text.ok_or_else(|| format!("it is larger than {} MiB", MOST_BYTES >> 20))?;
        if self.bytes > MOST_BYTES_IN_ALL {
            return Err(format!("all files together are larger than {} MiB", MOST_BYTES_IN_ALL >> 20));
        }
        Ok(text)
    }

    fn complain_of_file(&mut self, shown: &str, why: String) {
        let fault =
            Fault::new(&shown.into(), At::default(), String::new(), why, "a configuration file that can be read");
        self.faults.push(fault);
    }

    /// Reads that text, as a file of that name and path.
    pub fn text(&mut self, text: String, shown: &str, path: &Path) {
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        let canonical = fs::canonicalize(path).ok();
        self.config.files.push(path.to_owned());
        self.within.push(self.files.len());
        self.files.push(Source { name: shown.into(), folder, canonical, text, hidden: Vec::new() });
        match tree::read(&self.source().text) {
            Ok(node) => self.root(&node),
            Err((at, why)) => self.unreadable(at, why),
        }
        self.within.pop();
    }

    fn unreadable(&mut self, at: Option<At>, why: String) {
        // A reader that stumbles over a secret may repeat it.
        let line = at.and_then(|at| self.source().text.lines().nth((at.line as usize).saturating_sub(1)));
        let words = ["auth", "bearer", "password", "secret", "token", "key", "header", "@"];
        let is_open = line.is_some_and(|line| !words.iter().any(|word| line.to_ascii_lowercase().contains(word)));
        if let (Some(at), false) = (at, is_open) {
            self.hide(at.line);
        }
        let fault = Fault::new(&self.name(), at.unwrap_or_default(), String::new(), why, "YAML or JSON");
        self.faults.push(fault);
    }

    fn source(&self) -> &Source {
        &self.files[*self.within.last().expect("a file is at hand")]
    }

    /// What a text of the file at hand stands for.
    pub(super) fn expanded(&mut self, text: &str) -> Expanded {
        let at = *self.within.last().expect("a file is at hand");
        expand(text, self.environment, &self.files[at].folder, &mut self.config.files)
    }

    fn name(&self) -> Arc<str> {
        Arc::clone(&self.source().name)
    }

    pub(super) fn hide(&mut self, line: u32) {
        let at = *self.within.last().expect("a file is at hand");
        self.files[at].hidden.push(line);
    }

    pub(super) fn place(&self, at: At) -> Place {
        Place { file: self.name(), line: at.line }
    }

    pub(super) fn complain(&mut self, at: At, path: &str, found: impl Into<String>, allowed: impl Into<String>) {
        let fault = Fault::new(&self.name(), at, path.into(), found.into(), allowed);
        self.faults.push(fault);
    }

    /// That the value is of another kind.
    fn misplaced(&mut self, node: &Node, path: &str, allowed: &str) {
        self.complain(node.at, path, node.tree.kind(), allowed);
    }

    fn root(&mut self, node: &Node) {
        let Some(pairs) = self.group(node, "") else { return };
        let find = |name: &str| pairs.iter().find(|(key, _)| key.name == name).map(|(_, node)| node);
        match find("version").map(|node| (node, &node.tree)) {
            Some((_, Tree::Int(1))) => {}
            Some((node, Tree::Int(other))) => self.complain(node.at, "version", other.to_string(), "1"),
            Some((node, _)) => self.misplaced(node, "version", "1"),
            // Of a file that others include, the first one's holds.
            None if self.within.len() > 1 => {}
            None => self.complain(node.at, "version", "nothing", "version: 1"),
        }
        for (key, node) in pairs {
            match key.name.as_str() {
                "version" => {}
                "include" => self.include(node),
                "defaults" => {
                    let said = self.entry(node, "defaults");
                    self.add_section("defaults", said, |config| &mut config.defaults);
                }
                "targets" => {
                    let mut targets = std::mem::take(&mut self.config.targets);
                    self.targets(node, "targets", &mut targets);
                    self.config.targets = targets;
                }
                "tenants" => self.tenants(node),
                "admin" => {
                    let said = self.section(node, "admin", &ADMIN);
                    self.add_section("admin", said, |config| &mut config.admin);
                }
                "telemetry" => {
                    let said = self.section(node, "telemetry", &TELEMETRY);
                    self.add_section("telemetry", said, |config| &mut config.telemetry);
                }
                "listeners" => match &node.tree {
                    Tree::Null => {}
                    Tree::List(listed) if listed.is_empty() => {}
                    Tree::List(listed) => {
                        self.complain(node.at, "listeners", format!("a list of {}", listed.len()), LISTENERS)
                    }
                    _ => self.misplaced(node, "listeners", LISTENERS),
                },
                other => self.unknown(key, other, TOP.into_iter()),
            }
        }
    }

    /// A name that none of these is.
    pub(super) fn unknown<'n>(&mut self, key: &Key, path: &str, names: impl Iterator<Item = &'n str> + Clone) {
        // S3: what a slip of the pen was given may be a secret.
        self.hide(key.at.line);
        let mut allowed = format!("one of {}", names.clone().collect::<Vec<_>>().join(", "));
        if let Some(name) = nearest(&key.name, names) {
            allowed += &format!("; did you mean {name}?");
        }
        self.complain(key.at, path, shown(&key.name), allowed);
    }

    /// The names and values of a group, each name once; nothing at all is none.
    pub(super) fn group<'n>(&mut self, node: &'n Node, path: &str) -> Option<Vec<(&'n Key, &'n Node)>> {
        let pairs = match &node.tree {
            Tree::Map(pairs) => pairs,
            Tree::Null => return Some(Vec::new()),
            _ => {
                self.misplaced(node, path, "a group of names and values");
                return None;
            }
        };
        let mut once: Vec<(&Key, &Node)> = Vec::with_capacity(pairs.len());
        let mut lines = std::collections::HashMap::new();
        for (key, node) in pairs {
            match lines.insert(key.name.as_str(), key.at.line) {
                None => once.push((key, node)),
                Some(line) => {
                    let found = format!("a second {}, after that of line {line},", shown(&key.name));
                    self.complain(key.at, &joined(path, &key.name), found, "each name once");
                }
            }
        }
        Some(once)
    }

    fn include(&mut self, node: &Node) {
        let listed = match &node.tree {
            Tree::List(listed) => listed.iter().collect(),
            _ => vec![node],
        };
        for node in listed {
            let Tree::Text(given) = &node.tree else {
                self.misplaced(node, "include", "a file or a folder, or a list of them");
                continue;
            };
            let folder = self.source().folder.clone();
            let given = match self.expanded(given) {
                Ok(expanded) => expanded.unwrap_or_else(|| given.clone()),
                Err((found, allowed)) => {
                    self.complain(node.at, "include", found, allowed);
                    continue;
                }
            };
            let path = folder.join(&given);
            if !path.is_dir() {
                self.include_one(node.at, &path);
                continue;
            }
            self.config.files.push(path.clone());
            match files_in(&path) {
                Ok(files) => files.iter().for_each(|file| self.include_one(node.at, file)),
                Err(why) => {
                    self.complain(node.at, "include", shown(&given), format!("a folder that can be read: {why}"))
                }
            }
        }
    }

    fn include_one(&mut self, at: At, path: &Path) {
        let file = path.display().to_string();
        let canonical = fs::canonicalize(path).ok();
        let before = self.files.iter().position(|source| canonical.is_some() && source.canonical == canonical);
        match before {
            Some(before) if self.within.contains(&before) => {
                self.complain(at, "include", shown(&file), "a file that does not include this one");
            }
            Some(_) => self.complain(at, "include", format!("{}, included before,", shown(&file)), "each file once"),
            None if self.files.len() >= MOST_FILES => {
                self.complain(at, "include", shown(&file), format!("at most {MOST_FILES} files"));
            }
            None if self.within.len() >= MOST_DEPTH => {
                self.complain(
                    at,
                    "include",
                    shown(&file),
                    format!("files that include each other at most {MOST_DEPTH} deep"),
                );
            }
            None => match self.text_of(path) {
                Ok(text) => self.text(text, &file, path),
                Err(why) => {
                    // It may come, or be mended.
                    self.config.files.push(path.to_owned());
                    self.complain(at, "include", shown(&file), format!("a file that can be read: {why}"));
                }
            },
        }
    }

    /// Targets and what is said of them.
    fn targets(&mut self, node: &Node, path: &str, targets: &mut Vec<Entry>) {
        let Some(pairs) = self.group(node, path) else { return };
        for (key, node) in pairs {
            // S3: a URL may hold credentials where they are not allowed.
            let path = joined(path, &Target::shown(&key.name));
            let Some(pattern) = Pattern::parse(&key.name) else {
                if key.name.contains(['@', '?', '#']) {
                    self.hide(key.at.line);
                }
                let allowed = "a target as the app gives it or its host, a proxy's name, *.example.com, or *";
                self.complain(key.at, &path, format!("{:?}", Target::shown(&key.name)), allowed);
                continue;
            };
            let place = self.place(key.at);
            if let Some(before) = targets.iter().find(|entry| entry.pattern == pattern) {
                let found = format!("a second entry, after that of {},", before.place);
                self.complain(key.at, &path, found, "one entry for each target");
            }
            let faults = self.faults.all().len();
            let said = self.entry(node, &path);
            let is_sound = self.faults.all().len() == faults;
            targets.push(Entry { pattern, said, place, at: key.at, path, is_sound });
        }
    }

    fn tenants(&mut self, node: &Node) {
        let Some(pairs) = self.group(node, "tenants") else { return };
        let rest: Vec<(Key, Node)> = pairs
            .iter()
            .filter(|(key, _)| key.name != "known")
            .map(|(key, node)| ((*key).clone(), (*node).clone()))
            .collect();
        let said = self.section(&Node { at: node.at, tree: Tree::Map(rest) }, "tenants", &TENANTS);
        self.add_section("tenants", said, |config| &mut config.tenants.said);
        let known = pairs.iter().find(|(key, _)| key.name == "known").map(|(_, node)| *node);
        let Some(known) = known.and_then(|node| self.group(node, "tenants.known")) else { return };
        for (key, node) in known {
            let path = joined("tenants.known", &key.name);
            if !sections::is_tenant(&key.name) {
                self.complain(key.at, &path, shown(&key.name), sections::TENANT_ID);
                continue;
            }
            if let Some(before) = self.config.tenants.known.iter().find(|tenant| tenant.id == key.name) {
                let found = format!("a second entry, after that of {},", before.place);
                self.complain(key.at, &path, found, "one entry for each tenant");
            }
            let mut tenant =
                Tenant { id: key.name.clone(), place: self.place(key.at), defaults: Vec::new(), targets: Vec::new() };
            for (inner, node) in self.group(node, &path).into_iter().flatten() {
                let path = joined(&path, &inner.name);
                match inner.name.as_str() {
                    "defaults" => tenant.defaults = self.entry(node, &path),
                    "targets" => self.targets(node, &path, &mut tenant.targets),
                    _ => self.unknown(inner, &path, ["defaults", "targets"].into_iter()),
                }
            }
            self.config.tenants.known.push(tenant);
        }
    }

    fn add_section(&mut self, name: &str, said: Vec<Said>, section: fn(&mut Config) -> &mut Vec<Said>) {
        for said in said {
            match section(&mut self.config).iter().find(|before| before.field == said.field) {
                None => section(&mut self.config).push(said),
                Some(before) => {
                    let found = format!("a second value, after that of {},", before.place);
                    let at = At::line(said.place.line);
                    self.complain(at, &format!("{name}.{}", said.field), found, "one value for each field");
                }
            }
        }
    }

    /// The configuration, if nothing is wrong with it: also with what no single value could tell.
    pub fn finish(mut self) -> Result<Config, Faults> {
        self.check_together();
        if self.faults.is_empty() {
            return Ok(self.config);
        }
        self.faults.sort();
        for fault in self.faults.all_mut() {
            let source = self.files.iter().find(|source| source.name == fault.file);
            let line = fault.line();
            let shown = source.filter(|source| !source.hidden.contains(&line) && line > 0);
            if let Some(text) = shown.and_then(|source| source.text.lines().nth(line as usize - 1)) {
                fault.show(text);
            }
        }
        Err(self.faults)
    }

    /// Whether what is said of a target goes together, over what is said of all.
    fn check_together(&mut self) {
        let defaults = std::mem::take(&mut self.config.defaults);
        let whole = |layers: &[&[Said]]| {
            let mut draft = Settings::of_a_file();
            layers.iter().for_each(|layer| draft.overlay(layer, &mut Vec::new()));
            draft.finish().map(|_| ())
        };
        let is_sound = match whole(&[&defaults]) {
            Ok(()) => true,
            Err(error) => {
                let said = defaults.iter().find(|said| belongs(said.field, &error.field)).or(defaults.first());
                if let Some(said) = said {
                    let at = At::line(said.place.line);
                    let (file, path) = (Arc::clone(&said.place.file), format!("defaults.{}", error.field));
                    self.faults.push(Fault::new(&file, at, path, error.value, error.allowed));
                }
                false
            }
        };
        let tenants = std::mem::take(&mut self.config.tenants.known);
        let mut layered: Vec<(&Entry, &[Said])> = self.config.targets.iter().map(|entry| (entry, &[][..])).collect();
        for tenant in &tenants {
            layered.extend(tenant.targets.iter().map(|entry| (entry, &tenant.defaults[..])));
        }
        for (entry, beneath) in layered.into_iter().filter(|(entry, _)| entry.is_sound && is_sound) {
            let Err(error) = whole(&[&defaults, beneath, &entry.said]) else { continue };
            let said = entry.said.iter().find(|said| belongs(said.field, &error.field));
            let at = said.map_or(entry.at, |said| At::line(said.place.line));
            let (file, path) = (Arc::clone(&entry.place.file), joined(&entry.path, &error.field));
            self.faults.push(Fault::new(&file, at, path, error.value, error.allowed));
        }
        self.config.tenants.known = tenants;
        self.config.defaults = defaults;
    }
}

/// Whether what is said is the field at fault, or in its group.
fn belongs(said: &str, fault: &str) -> bool {
    said == fault || said.split('.').next() == fault.split('.').next()
}

pub(super) fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.into() } else { format!("{path}.{name}") }
}

/// A text as it may be shown: escaped, not too long, and without credentials.
pub(super) fn shown(text: &str) -> String {
    Spelling::File.show(&Value::Text(Target::shown(text)))
}
