//! The vectors as they are written (YAML, for people) and as they are run (plain numbers, for every language's runner).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

// ---------------------------------------------------------------- as they are run

/// One vector. Lengths of time are nanoseconds.
#[derive(Debug, Serialize)]
pub struct Vector {
    pub id: String,
    pub rules: Vec<String>,
    /// Jitter's seed.
    pub seed: Option<u64>,
    /// Proxies that share one state; the first one calls unless a step says otherwise.
    pub proxies: Vec<Proxy>,
    pub steps: Vec<Step>,
    /// What `health` says at the end, by dotted path.
    pub health: BTreeMap<String, Value>,
    /// All events, each as the fields that must be in it.
    pub events: Option<Vec<BTreeMap<String, Value>>>,
    /// The setting for which no proxy is made.
    pub refuses: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct Proxy {
    /// Setting by setting, in the core's spelling; a length of time is `{"ns": 5}`.
    pub settings: Vec<(String, Value)>,
    /// `answers` or `throws`.
    pub fallback: Option<String>,
    /// `values_retry`: a value is to be tried again. `throws`.
    pub classify: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Step {
    Call {
        by: usize,
        attempts: Vec<Attempt>,
        gives: String,
        waits: Option<Vec<u64>>,
        waits_within: Option<Vec<[u64; 2]>>,
        elapsed: Option<u64>,
        retry_after: Option<u64>,
    },
    Advance {
        ns: u64,
    },
    Isolate,
    Reset,
    /// F1: from now on the core fails at `begin`, `settle` or `resume`; "" is nowhere.
    Fault {
        at: String,
    },
    Health {
        is: BTreeMap<String, Value>,
    },
}

#[derive(Debug, Serialize)]
pub struct Attempt {
    /// What happens while the function runs, before it takes its time.
    #[serde(rename = "do")]
    pub during: Vec<Step>,
    pub takes: u64,
    pub hint: Option<u64>,
    /// `ok`, `error`, `final` (an error that may not be tried again), `cancel` (control flow).
    pub end: String,
}

// ---------------------------------------------------------------- as they are written

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    id: String,
    rules: Vec<String>,
    seed: Option<u64>,
    #[serde(default)]
    policy: BTreeMap<String, Value>,
    also: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    steps: Vec<Value>,
    refuses: Option<String>,
    #[serde(default)]
    health: BTreeMap<String, Value>,
    events: Option<Vec<BTreeMap<String, Value>>>,
}

/// The vectors of a file.
pub fn read(file: &Path) -> Vec<Vector> {
    let text = fs::read_to_string(file).unwrap();
    let written: Vec<Written> =
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    written.into_iter().map(|vector| vector.into_vector()).collect()
}

impl Written {
    fn into_vector(self) -> Vector {
        let id = &self.id;
        let proxies = [Some(self.policy), self.also].into_iter().flatten().map(|policy| proxy(id, policy)).collect();
        Vector {
            rules: self.rules,
            seed: self.seed,
            proxies,
            steps: steps(id, &self.steps),
            health: self.health.into_iter().map(|(path, value)| (path, plain(&value))).collect(),
            events: self
                .events
                .map(|all| all.into_iter().map(|one| one.into_iter().map(|(k, v)| (k, plain(&v))).collect()).collect()),
            refuses: self.refuses,
            id: self.id,
        }
    }
}

fn proxy(id: &str, policy: BTreeMap<String, Value>) -> Proxy {
    let mut proxy = Proxy { settings: Vec::new(), fallback: None, classify: None };
    for (name, value) in policy {
        match (name.as_str(), value) {
            ("fallback", value) => proxy.fallback = value.as_str().map(Into::into),
            ("classify", value) => proxy.classify = value.as_str().map(Into::into),
            (group, Value::Object(fields)) => {
                for (field, value) in fields {
                    proxy.settings.push((format!("{group}.{field}"), setting(&value)));
                }
            }
            (name, value) => proxy.settings.push((name.into(), setting(&value))),
        }
    }
    assert!(proxy.fallback.as_deref().is_none_or(|how| ["answers", "throws"].contains(&how)), "{id}: fallback");
    assert!(proxy.classify.as_deref().is_none_or(|how| ["values_retry", "throws"].contains(&how)), "{id}: classify");
    proxy
}

fn setting(value: &Value) -> Value {
    match value.as_str().and_then(length) {
        Some(ns) => json!({ "ns": ns }),
        None => value.clone(),
    }
}

/// A length of time becomes its nanoseconds; anything else is as it is.
fn plain(value: &Value) -> Value {
    value.as_str().and_then(length).map_or_else(|| value.clone(), |ns| json!(ns))
}

/// `5s`, `250ms`, `3us`, `7ns`, and sums: `2s+1ns`, `2s-1ns`.
fn length(text: &str) -> Option<u64> {
    if let Some((some, more)) = text.split_once('+') {
        return Some(length(some)? + length(more)?);
    }
    if let Some((some, less)) = text.split_once('-').filter(|(some, _)| !some.is_empty()) {
        return Some(length(some)? - length(less)?);
    }
    let at = text.find(|letter: char| letter.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(at);
    let unit = match unit {
        "ns" => 1.0,
        "us" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" => 60e9,
        "h" => 3600e9,
        _ => return None,
    };
    Some((number.parse::<f64>().ok()? * unit).round() as u64)
}

fn nanoseconds(id: &str, value: &Value) -> u64 {
    value.as_str().and_then(length).unwrap_or_else(|| panic!("{id}: {value} is no length of time"))
}

fn steps(id: &str, written: &[Value]) -> Vec<Step> {
    written.iter().flat_map(|step| self::step(id, step)).collect()
}

fn step(id: &str, written: &Value) -> Vec<Step> {
    if let Some(word) = written.as_str() {
        return vec![match word {
            "isolate" => Step::Isolate,
            "reset" => Step::Reset,
            other => panic!("{id}: {other} is no step"),
        }];
    }
    let fields = written.as_object().unwrap_or_else(|| panic!("{id}: {written} is no step"));
    let known = [
        "call",
        "by",
        "gives",
        "waits",
        "waits_within",
        "elapsed",
        "retry_after",
        "advance",
        "health",
        "fault",
        "repeat",
        "steps",
    ];
    for name in fields.keys() {
        assert!(known.contains(&name.as_str()), "{id}: {name} is nothing of a step's");
    }
    if let Some(times) = fields.get("repeat") {
        let inner = fields["steps"].as_array().unwrap_or_else(|| panic!("{id}: repeat without steps"));
        return (0..times.as_u64().unwrap()).flat_map(|_| steps(id, inner)).collect();
    }
    if let Some(length) = fields.get("advance") {
        return vec![Step::Advance { ns: nanoseconds(id, length) }];
    }
    if let Some(at) = fields.get("fault") {
        return vec![Step::Fault { at: at.as_str().unwrap().into() }];
    }
    if let Some(is) = fields.get("health") {
        let is = is.as_object().unwrap().iter().map(|(path, value)| (path.clone(), plain(value))).collect();
        return vec![Step::Health { is }];
    }
    let attempts = fields.get("call").and_then(Value::as_array).unwrap_or_else(|| panic!("{id}: {written} is no step"));
    let lengths = |name: &str| -> Option<Vec<u64>> {
        Some(fields.get(name)?.as_array()?.iter().map(|length| nanoseconds(id, length)).collect())
    };
    let gives =
        fields.get("gives").and_then(Value::as_str).unwrap_or_else(|| panic!("{id}: what does {written} give?"));
    vec![Step::Call {
        by: fields.get("by").and_then(Value::as_u64).unwrap_or(0) as usize,
        attempts: attempts.iter().map(|written| attempt(id, written)).collect(),
        gives: gives.into(),
        waits: lengths("waits"),
        waits_within: fields
            .get("waits_within")
            .and_then(Value::as_array)
            .map(|all| all.iter().map(|ends| [0, 1].map(|at| nanoseconds(id, &ends[at]))).collect()),
        elapsed: fields.get("elapsed").map(|length| nanoseconds(id, length)),
        retry_after: fields.get("retry_after").map(|length| nanoseconds(id, length)),
    }]
}

fn attempt(id: &str, written: &Value) -> Attempt {
    let ends = ["ok", "error", "final", "cancel"];
    let fields = match written {
        Value::String(end) => serde_json::Map::from_iter([("end".into(), json!(end))]),
        Value::Object(fields) => fields.clone(),
        other => panic!("{id}: {other} is no attempt"),
    };
    for name in fields.keys() {
        assert!(["do", "takes", "hint", "end"].contains(&name.as_str()), "{id}: {name} is nothing of an attempt's");
    }
    let end = fields.get("end").and_then(Value::as_str).unwrap_or_else(|| panic!("{id}: how does {written} end?"));
    assert!(ends.contains(&end), "{id}: {end} is no end of an attempt");
    Attempt {
        during: fields.get("do").and_then(Value::as_array).map_or_else(Vec::new, |inner| steps(id, inner)),
        takes: fields.get("takes").map_or(0, |length| nanoseconds(id, length)),
        hint: fields.get("hint").map(|length| nanoseconds(id, length)),
        end: end.into(),
    }
}
