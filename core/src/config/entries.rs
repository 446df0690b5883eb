//! Which entry of a configuration a proxy obeys: an exact one before a wildcard, of wildcards the longest.

use super::tree::At;
use crate::settings::Place;
use crate::settings::layer::Said;
use crate::target::Target;

/// What is said of targets of a pattern.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub pattern: Pattern,
    pub said: Vec<Said>,
    pub place: Place,
    pub at: At,
    pub path: String,
    /// Whether nothing of it was wrong by itself.
    pub is_sound: bool,
}

/// Of which targets an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    /// Of this name, target or host; letters small where it is a host.
    Exact(String),
    /// Of hosts below this one: `.example.com`.
    Below(String),
    /// Of all.
    Any,
}

impl Pattern {
    pub fn parse(text: &str) -> Option<Pattern> {
        if text == "*" {
            return Some(Pattern::Any);
        }
        if let Some(host) = text.strip_prefix("*.") {
            let is_host =
                Target::parse(host).is_some_and(|target| target.is_tls().is_none() && target.port().is_none());
            return is_host.then(|| Pattern::Below(format!(".{}", host.to_ascii_lowercase())));
        }
        let is_name = (1..=200).contains(&text.chars().count())
            && !text.chars().any(char::is_control)
            && text.trim() == text
            && !text.contains(['*', '@', '?', '#'])
            && !text.contains("://");
        match Target::parse(text) {
            Some(_) => Some(Pattern::Exact(text.to_ascii_lowercase())),
            None => is_name.then(|| Pattern::Exact(text.to_ascii_lowercase())),
        }
    }

    /// How closely it is about that proxy; `None` when it is about others.
    pub fn fits(&self, name: &str, target: &Target) -> Option<usize> {
        const LONGEST: usize = 1 << 16;
        match self {
            Pattern::Any => Some(0),
            Pattern::Below(suffix) => {
                let host = target.host().to_ascii_lowercase();
                (host.len() > suffix.len() && host.ends_with(suffix)).then_some(suffix.len())
            }
            Pattern::Exact(text) => {
                let forms = [target.host(), target.authority(), target.as_str(), name];
                let closest = forms.iter().rposition(|form| form.eq_ignore_ascii_case(text))?;
                Some(LONGEST + closest)
            }
        }
    }
}

/// The entry that a proxy obeys.
pub(super) fn closest<'e>(entries: &'e [Entry], name: &str, target: &Target) -> Option<&'e Entry> {
    entries
        .iter()
        .filter_map(|entry| Some((entry.pattern.fits(name, target)?, entry)))
        .max_by_key(|(rank, _)| *rank)
        .map(|(_, entry)| entry)
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn the_closest_entry_holds() {
        let texts = [
            "*",
            "*.com",
            "*.example.com",
            "pay.example.com",
            "pay.example.com:8443",
            "https://pay.example.com:8443",
            "payments",
        ];
        let fits = |at: usize, name: &str, target: &str| {
            Pattern::parse(texts[at]).unwrap().fits(name, &Target::parse(target).unwrap())
        };
        let ranks: Vec<_> = (0..texts.len()).map(|at| fits(at, "payments", "https://pay.example.com:8443")).collect();
        assert!(ranks.iter().all(Option::is_some) && ranks.is_sorted(), "{ranks:?}");
        assert_eq!(fits(2, "x", "example.com"), None, "below, not the host itself");
        assert_eq!(fits(2, "x", "badexample.com"), None);
        assert_eq!(fits(4, "x", "pay.example.com"), None, "another port");
        assert!(fits(3, "x", "http://PAY.example.com").is_some());
    }

    #[test]
    fn what_is_no_pattern_is_none() {
        for text in ["", "*x", "a.*.com", "*.", "*.a:80", "https://u:p@a.com", "https://two words", " a", "a?b"] {
            assert_eq!(Pattern::parse(text), None, "{text:?}");
        }
        assert!(Pattern::parse("payments, the new ones").is_some());
    }
}
