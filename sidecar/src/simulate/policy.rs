//! Policies as they are written on the command line: `name: max_retries=5,budget=none,breaker.open_for=5s`. Which settings there
//! are, and what is allowed, is the core's own affair; here is only how their values are spelled.

use std::str::FromStr;

use ambassador_core::clock::{MILLISECOND, Nanos, SECOND};
use ambassador_core::settings::{Field, Settings, Spelling, Value};
use ambassador_core::{AmbassadorProxy, ConfigError};

/// What the clients call.
const TARGET: &str = "api.example.com";

/// A policy to compare with others.
#[derive(Clone, Debug)]
pub struct Named {
    /// What the tables and figures call it.
    pub name: String,
    /// Its settings, as they were written.
    pub written: String,
    settings: Vec<(String, Value)>,
}

impl Named {
    /// A policy of the scenario's own.
    pub(super) fn built_in(text: &str) -> Named {
        text.parse().expect("the policies of the built-in scenarios are right")
    }

    /// A proxy of it, which starts from the settings of `base` rather than from the ambassador's defaults.
    pub fn proxy(&self, base: &Named) -> AmbassadorProxy {
        self.build(&base.settings).expect("was checked when it was read")
    }

    fn build(&self, base: &[(String, Value)]) -> Result<AmbassadorProxy, ConfigError> {
        let mut settings = Settings::new(TARGET, Spelling::Rust)?;
        settings.set("name", Value::Text(self.name.clone()))?;
        for (field, value) in base.iter().chain(&self.settings) {
            settings.set(field, value.clone())?;
        }
        AmbassadorProxy::from_settings(settings)
    }
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Named, String> {
        let (name, written) = text.split_once(':').ok_or_else(|| {
            format!("{text:?} is not allowed; expected NAME: SETTING=VALUE,… such as \"no budget: max_retries=5,budget=none\"")
        })?;
        let (name, written) = (name.trim(), written.trim());
        if !(1..=24).contains(&name.chars().count()) || name.chars().any(char::is_control) {
            return Err(format!("name: {name:?} is not allowed; expected 1 to 24 printable characters"));
        }
        let mut settings = Vec::new();
        for setting in written.split(',').map(str::trim).filter(|setting| !setting.is_empty()) {
            let (field, value) = setting
                .split_once('=')
                .ok_or_else(|| format!("{setting:?} is not allowed; expected SETTING=VALUE such as max_retries=5"))?;
            let field = field.trim();
            settings.push((field.to_owned(), value_of(field, value.trim())));
        }
        let named = Named { name: name.into(), written: written.into(), settings };
        named.build(&[]).map_err(|wrong| wrong.to_string())?;
        Ok(named)
    }
}

fn value_of(field: &str, text: &str) -> Value {
    // There `none` is a word like any other.
    let is_text = |known: &Field| known.name == field && matches!(known.kind, "choice" | "text");
    if Settings::fields(Spelling::Rust).iter().any(is_text) {
        return Value::Text(text.into());
    }
    match text.to_ascii_lowercase().as_str() {
        "none" | "off" => return Value::Null,
        "on" | "true" => return Value::Bool(true),
        "false" => return Value::Bool(false),
        _ => {}
    }
    if let Ok(whole) = text.parse() {
        return Value::Int(whole);
    }
    if let Some(length) = length(text) {
        return Value::Length(length);
    }
    // Not everything that Rust reads as a number is one to people: `nan`, `infinity`.
    match text.parse() {
        Ok(number) if text.ends_with(|last: char| last.is_ascii_digit()) => Value::Float(number),
        _ => Value::Text(text.into()),
    }
}

/// A length of time with its unit: `250ms`, `1.5s`, `10m`.
pub(super) fn length(text: &str) -> Option<Nanos> {
    let unit_at = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
    let (number, unit) = text.split_at(unit_at);
    let unit = match unit {
        "us" => MILLISECOND / 1000,
        "ms" => MILLISECOND,
        "s" => SECOND,
        "m" => 60 * SECOND,
        "h" => 3600 * SECOND,
        _ => return None,
    };
    let length = number.parse::<f64>().ok()? * unit as f64;
    (length < 1e18).then_some(length.round() as Nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_spelled_as_people_write_them() {
        for (text, value) in [
            ("none", Value::Null),
            ("off", Value::Null),
            ("on", Value::Bool(true)),
            ("3", Value::Int(3)),
            ("0.25", Value::Float(0.25)),
            ("5s", Value::Length(5 * SECOND)),
            ("1.5ms", Value::Length(1_500_000)),
            ("2m", Value::Length(120 * SECOND)),
            ("nan", Value::Text("nan".into())),
            ("5 parsecs", Value::Text("5 parsecs".into())),
        ] {
            assert_eq!(value_of("timeout", text), value, "{text}");
        }
        for text in ["full", "none"] {
            assert_eq!(value_of("backoff.jitter", text), Value::Text(text.into()));
        }
    }

    #[test]
    fn settings_that_are_not_named_are_those_of_the_base() {
        let base = Named::built_in("base: max_retries=100,timeout=none,budget=none");
        let policy = Named::built_in("mine: timeout=250ms, breaker.open_for=1s").proxy(&base).policy().clone();
        assert_eq!((policy.max_retries, policy.timeout), (100, Some(250 * MILLISECOND)));
        assert_eq!(policy.shared.breaker.map(|breaker| breaker.open_for), Some(SECOND));
        assert_eq!(policy.shared.budget, None);
    }

    #[test]
    fn a_wrong_policy_says_what_is_wrong() {
        for (text, message) in [
            ("max_retries=3", "expected NAME: SETTING=VALUE"),
            (": max_retries=3", "name: \"\" is not allowed"),
            ("a: max_retries", "\"max_retries\" is not allowed; expected SETTING=VALUE"),
            ("a: max_retries=0", "max_retries: 0 is not allowed; expected a whole number from 1 to 100"),
            ("a: max_retrys=1", "did you mean max_retries?"),
            ("a: breaker.open_for=soon", "breaker.open_for: \"soon\" is not allowed; expected a duration"),
            ("a: bulkhead.max_queue=1", "bulkhead.max_concurrent: None is not allowed"),
        ] {
            let wrong = text.parse::<Named>().unwrap_err();
            assert!(wrong.contains(message), "{text}: {wrong}");
        }
    }
}
