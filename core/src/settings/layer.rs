//! Settings that a configuration file gives: read value by value through the same table and the same checks as everybody else's,
//! kept with their places, and laid over what an app has set (C3).

use super::effective::{Place, Places};
use super::spelling::{is_text, number};
use super::table::{Id, Kind, SPECS, Spec};
use super::{Settings, Spelling, Value, network};
use crate::balance::Balance;

/// A setting that a file gives.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Said {
    /// The field, as the table names it.
    pub field: &'static str,
    pub value: Value,
    pub place: Place,
}

/// The row of that name, of those that a file may set; `name` is the app's.
pub(crate) fn row(name: &str) -> Option<&'static Spec> {
    SPECS.iter().find(|spec| spec.name == name && Spelling::File.offers(spec) && spec.id != Id::Name)
}

/// Every row that a file may set.
pub(crate) fn rows() -> impl Iterator<Item = &'static Spec> {
    SPECS.iter().filter(|spec| Spelling::File.offers(spec) && spec.id != Id::Name)
}

/// Whether only an app can set it: because only its language can hold it, or because it says which state is meant.
pub(crate) fn is_the_apps(name: &str) -> bool {
    SPECS.iter().any(|spec| spec.name == name && (matches!(spec.kind, Kind::Host(_)) || spec.id == Id::Name))
}

/// Whether the value is one of that kind, as a file spells it; for what is beside the table.
pub(crate) fn is_of(kind: Kind, value: &Value) -> bool {
    match kind {
        Kind::Count { .. } => Spelling::File.count(value, kind).is_some(),
        Kind::Duration { .. } => Spelling::File.length(value, kind).is_some(),
        Kind::Number { .. } => number(value, kind).is_some(),
        Kind::Choice(choices) => choices().iter().any(|choice| is_text(value, choice)),
        Kind::Truth => matches!(value, Value::Bool(_)),
        Kind::Text(_) | Kind::Secret(_) => matches!(value, Value::Null) || network::text(value).is_some(),
        Kind::Texts(_) => network::texts(value).is_some(),
        _ => false,
    }
}

impl Settings {
    /// A draft that holds a file's settings while they are checked.
    pub(crate) fn of_a_file() -> Settings {
        Settings::new("configuration.invalid", Spelling::File).expect("a host")
    }

    /// Lays these over what has been set; `places` tells of what is said by a file. They were checked one by one, so they hold.
    pub(crate) fn overlay(&mut self, layer: &[Said], places: &mut Places) {
        let own = std::mem::replace(&mut self.spelling, Spelling::File);
        self.make_room(layer, places);
        for Said { field, value, place } in layer {
            if self.set(field, value.clone()).is_ok() {
                places.push((field, place.clone()));
            }
        }
        self.spelling = own;
    }

    /// Who says a group of one kind replaces that of another kind: a file's password is not to be refused because the app has given a
    /// token. The rest of such a group, and all other groups, are laid over field by field.
    fn make_room(&mut self, layer: &[Said], places: &mut Places) {
        let says = |names: &[&str]| layer.iter().any(|said| names.contains(&said.field) && said.value != Value::Null);
        let mut forget = |names: &[&str]| places.retain(|(field, _)| !names.contains(field));
        const SOURCES: [&str; 3] = ["discovery.dns", "discovery.srv", "discovery.file"];
        if says(&SOURCES) {
            self.drafts.forget_source();
            forget(&SOURCES);
            if !says(&["endpoints"]) {
                self.policy.shared.endpoints.clear();
                forget(&["endpoints"]);
            }
        } else if says(&["endpoints"]) {
            self.drafts.forget_discovery();
            forget(&[&["discovery", "discovery.servers", "discovery.refresh"], &SOURCES[..]].concat());
        }
        if says(&["health_check.path", "health_check.tcp"]) {
            self.drafts.forget_probe();
            forget(&["health_check.path", "health_check.tcp"]);
        }
        if layer.iter().any(|said| said.field.starts_with("auth.") && said.value != Value::Null) {
            self.drafts.forget_auth();
            places.retain(|(field, _)| !field.starts_with("auth"));
        }
        let balance = layer.iter().find(|said| said.field == "balance");
        let is_by_key = |said: &Said| {
            is_text(&said.value, Balance::RingHash.as_str()) || is_text(&said.value, Balance::Maglev.as_str())
        };
        if balance.is_some_and(|said| !is_by_key(said)) {
            self.policy.shared.hash_on = None;
            places.retain(|(field, _)| *field != "hash_on");
        }
    }
}
