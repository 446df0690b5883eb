//! How each language spells settings and values: names, units, "nothing", what is allowed, and what was given instead.

use crate::clock::{MILLISECOND, Nanos, SECOND, spell};
use crate::endpoint::Endpoint;
use crate::settings::Value;
use crate::settings::table::{Id, Kind, SPECS, Spec};

const DAY: Nanos = 24 * 3600 * SECOND;

/// The longest duration that can be set: a year.
const LONGEST: Nanos = 365 * DAY;

/// How a language spells names, units and "nothing".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// `backoff.hint_max`, seconds, `None`.
    Python,
    /// `backoff.hintMaxMs`, milliseconds, `null`.
    Node,
    /// `backoff.hintMaxMs`, milliseconds, `null`.
    Java,
    /// `backoff.hint_max_ms`, milliseconds, `AMB_NONE`.
    C,
    /// `backoff.hint_max`, `Duration`, `None`.
    Rust,
    /// The configuration file's: `backoff.hint_max`, `2s`, `null`. What is told the same in all languages is spelled so.
    File,
}

impl Spelling {
    pub(super) fn camel(self) -> bool {
        matches!(self, Spelling::Node | Spelling::Java)
    }

    /// Where Python and Java choose between the caller's thread and one of the ambassador's, Node has one thread, C two
    /// functions, and Rust a task. C and Rust have no classes of exceptions; there `classify` tells failures apart. In a file there
    /// is nothing that only a host can hold.
    pub(crate) fn offers(self, spec: &Spec) -> bool {
        match spec.name {
            _ if self == Spelling::File => !matches!(spec.kind, Kind::Host(_)),
            "run_in" => matches!(self, Spelling::Python | Spelling::Java),
            "fallback" => self != Spelling::Rust,
            "retry_on" | "not_on" => !matches!(self, Spelling::C | Spelling::Rust),
            _ => true,
        }
    }

    pub(crate) fn name(self, spec: &Spec) -> String {
        let mut name = String::with_capacity(spec.name.len() + 3);
        for letter in spec.name.chars() {
            match letter {
                '_' if self.camel() => name.push('_'),
                l if name.ends_with('_') && self.camel() => {
                    name.pop();
                    name.push(l.to_ascii_uppercase());
                }
                l => name.push(l),
            }
        }
        if matches!(spec.kind, Kind::Duration { .. } | Kind::DurationOr { .. }) {
            match self {
                Spelling::Node | Spelling::Java => name.push_str("Ms"),
                Spelling::C => name.push_str("_ms"),
                Spelling::Python | Spelling::Rust | Spelling::File => {}
            }
        }
        name
    }

    pub(super) fn target_name(self) -> &'static str {
        match self {
            Spelling::Python => "target_host",
            Spelling::Node => "targetHost",
            Spelling::Java | Spelling::C | Spelling::Rust | Spelling::File => "target",
        }
    }

    pub(crate) const fn nothing(self) -> &'static str {
        match self {
            Spelling::Python | Spelling::Rust => "None",
            Spelling::Node | Spelling::Java | Spelling::File => "null",
            Spelling::C => "AMB_NONE",
        }
    }

    pub(super) const fn unit(self) -> (Nanos, &'static str) {
        match self {
            Spelling::Python => (SECOND, "seconds"),
            Spelling::Node | Spelling::Java | Spelling::C => (MILLISECOND, "milliseconds"),
            Spelling::Rust | Spelling::File => (SECOND, "seconds"),
        }
    }

    pub(crate) fn allowed(self, spec: &Spec) -> String {
        match spec.kind {
            Kind::Count { least, most, none } => {
                let or = if none { format!(", or {}", self.nothing()) } else { String::new() };
                format!("a whole number from {least} to {most}{or}")
            }
            Kind::CountOr { least, most, word } => {
                format!("a whole number from {least} to {most}, {word}, or {}", self.nothing())
            }
            Kind::DurationOr { least, words } => {
                let length = self.length_allowed(least);
                format!("{length}, or one of {}", words().join(", "))
            }
            Kind::Truth => ["true", "false"].map(|truth| self.show(&Value::Bool(truth == "true"))).join(" or "),
            Kind::Duration { least, none } => {
                let or = if none { format!(", or {}", self.nothing()) } else { String::new() };
                self.length_allowed(least) + &or
            }
            Kind::Number { least, most } => format!("a number from {least} to {most}"),
            Kind::Choice(choices) => format!("one of {}", choices().join(", ")),
            Kind::Name => "1 to 200 printable characters".into(),
            Kind::Text(allowed) | Kind::Secret(allowed) | Kind::Texts(allowed) | Kind::Pairs(allowed) => {
                format!("{allowed}, or {}", self.nothing())
            }
            Kind::Endpoints => format!(
                "a list of hosts or http:// or https:// URLs without a path, or of groups of url, weight (1 to {}), zone and metadata, or {}",
                Endpoint::MOST_WEIGHT,
                self.nothing()
            ),
            Kind::Group => {
                let prefix = format!("{}.", spec.name);
                let fields: Vec<String> = SPECS
                    .iter()
                    .filter(|s| s.name.starts_with(&prefix))
                    .map(|s| self.name(s)[prefix.len()..].to_owned())
                    .collect();
                let off = match spec.id {
                    Id::Backoff => "none",
                    Id::Tls | Id::Http => "the defaults",
                    _ => "off",
                };
                format!("{} for {off}, or a group of {}", self.nothing(), fields.join(", "))
            }
            Kind::Host(allowed) => allowed.into(),
        }
    }

    fn length_allowed(self, least: Nanos) -> String {
        let (unit, name) = self.unit();
        let from = match least {
            0 => "from 0 to".into(),
            1 => "above 0 and at most".into(),
            least if matches!(self, Spelling::Rust | Spelling::File) => format!("from {} to", spell(least)),
            least => format!("from {} to", least as f64 / unit as f64),
        };
        match self {
            Spelling::Rust => format!("a duration {from} {}", spell(LONGEST)),
            Spelling::File => format!("a duration such as 250ms, 2s or 1m30s {from} {}d", LONGEST / DAY),
            _ => format!("a number of {name} {from} {}", LONGEST / unit),
        }
    }

    pub(crate) fn show(self, value: &Value) -> String {
        match value {
            Value::Null => self.nothing().into(),
            Value::Bool(truth) if self == Spelling::Python => if *truth { "True" } else { "False" }.into(),
            Value::Bool(truth) => truth.to_string(),
            Value::Int(number) => number.to_string(),
            Value::Float(number) if number.is_nan() => if self == Spelling::Python { "nan" } else { "NaN" }.into(),
            Value::Float(number) if number.is_infinite() => {
                let sign = if *number < 0.0 { "-" } else { "" };
                format!("{sign}{}", if self.camel() { "Infinity" } else { "inf" })
            }
            // There a number is a number, whole or not; elsewhere 3.0 is no 3, which is what the message may be about.
            Value::Float(number) if matches!(self, Spelling::Node | Spelling::C) && number.abs() < 1e15 => {
                number.to_string()
            }
            Value::Float(number) => format!("{number:?}"),
            Value::Length(length) => spell(*length),
            // Escaped as every language here would; a long one is cut, for it goes into a message.
            Value::Text(text) => match text.char_indices().nth(200) {
                Some((at, _)) => format!("{:?}…", &text[..at]),
                None => format!("{text:?}"),
            },
            Value::List(values) => {
                let values: Vec<String> = values.iter().map(|value| self.show(value)).collect();
                cut(format!("[{}]", values.join(", ")))
            }
            Value::Map(pairs) => {
                let pairs: Vec<String> =
                    pairs.iter().map(|(name, value)| format!("{name:?}: {}", self.show(value))).collect();
                cut(format!("{{{}}}", pairs.join(", ")))
            }
            Value::Other(shown) => cut(shown.clone()),
        }
    }

    pub(super) fn whole(self, value: &Value, least: i64, most: i64) -> Option<i64> {
        let whole = match *value {
            Value::Int(whole) => whole,
            // JavaScript has one kind of number.
            Value::Float(number) if self == Spelling::Node && number.fract() == 0.0 => number as i64,
            _ => return None,
        };
        (least..=most).contains(&whole).then_some(whole)
    }

    pub(super) fn count(self, value: &Value, kind: Kind) -> Option<Option<u32>> {
        match (kind, value) {
            (Kind::Count { none: true, .. }, Value::Null) => Some(None),
            (Kind::Count { least, most, .. }, value) => Some(Some(self.whole(value, least, most)? as u32)),
            _ => None,
        }
    }

    pub(super) fn length(self, value: &Value, kind: Kind) -> Option<Option<Nanos>> {
        let Kind::Duration { least, none } = kind else {
            return None;
        };
        let unit = self.unit().0 as f64;
        let length = match *value {
            Value::Null if none => return Some(None),
            Value::Length(length) => length,
            Value::Text(ref text) if self == Spelling::File => read_length(text)?,
            // Of a number alone nobody knows the unit.
            Value::Int(_) | Value::Float(_) if self == Spelling::File => return None,
            Value::Int(number) => scaled(number as f64, unit)?,
            Value::Float(number) => scaled(number, unit)?,
            _ => return None,
        };
        (least..=LONGEST).contains(&length).then_some(Some(length))
    }
}

/// A name without what slips of the pen have in common.
pub(super) fn plain(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "")
}

/// Of these names the one that was probably meant.
pub(crate) fn nearest<'a>(asked: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let plainly = plain(asked);
    names
        .map(|name| (strsim::damerau_levenshtein(&plain(name), &plainly), name))
        .min_by_key(|(distance, _)| *distance)
        // A third of the letters wrong is a slip of the pen; more is another word.
        .filter(|(distance, name)| distance * 3 <= name.len().max(asked.len()))
        .map(|(_, name)| name)
}

/// A duration as the configuration file spells it: `250ms`, `1.5s`, `1m30s`, `0s`.
pub(super) fn read_length(text: &str) -> Option<Nanos> {
    let mut rest = text;
    let mut sum: Nanos = 0;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|letter: char| letter != '.' && !letter.is_ascii_digit())?);
        let (unit, after) = after.split_at(after.find(|l: char| !l.is_ascii_alphabetic()).unwrap_or(after.len()));
        let unit = match unit {
            "ns" => 1,
            "us" => 1_000,
            "ms" => MILLISECOND,
            "s" => SECOND,
            "m" => 60 * SECOND,
            "h" => 3600 * SECOND,
            "d" => DAY,
            _ => return None,
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
        // What lies beyond a nanosecond's digits is nothing; neither is a number of more digits than any year has.
        if whole.is_empty() || part.is_empty() || part.len() > 9 || part.contains('.') {
            return None;
        }
        let scale = 10_u64.pow(part.len() as u32);
        let part = (u128::from(part.parse::<u64>().ok()?) * u128::from(unit) / u128::from(scale)) as Nanos;
        sum = sum.checked_add(whole.parse::<u64>().ok()?.checked_mul(unit)?)?.checked_add(part)?;
        rest = after;
    }
    (!text.is_empty()).then_some(sum)
}

/// As much of it as goes into a message.
fn cut(mut shown: String) -> String {
    if let Some((at, _)) = shown.char_indices().nth(200) {
        shown.truncate(at);
    }
    shown
}

/// A number of units in nanoseconds. What is above zero never becomes zero.
fn scaled(number: f64, unit: f64) -> Option<Nanos> {
    let length = number * unit;
    // Not `number < 0.0`, which NaN would pass.
    if !(number >= 0.0 && length <= LONGEST as f64) {
        return None;
    }
    Some(if number > 0.0 { (length.round() as Nanos).max(1) } else { 0 })
}

pub(super) fn number(value: &Value, kind: Kind) -> Option<f64> {
    let Kind::Number { least, most } = kind else { return None };
    let number = match *value {
        Value::Int(number) => number as f64,
        Value::Float(number) => number,
        _ => return None,
    };
    (number >= least && number <= most).then_some(number)
}

pub(super) fn is_text(value: &Value, expected: &str) -> bool {
    matches!(value, Value::Text(text) if text == expected)
}

pub(super) fn is_name(name: &str) -> bool {
    (1..=200).contains(&name.chars().count()) && !name.chars().any(char::is_control) && name.trim() == name
}
