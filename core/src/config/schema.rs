//! The JSON Schema of configuration files, made of the same tables that they are checked by: for editors that complete and mark as
//! people type. What only the loader can see (environment, includes, what goes together) it leaves to that.

use serde_json::{Map, Value as Json, json};

use super::sections::{ADMIN, TELEMETRY, TENANTS};
use crate::settings::Spelling;
use crate::settings::layer::rows;
use crate::settings::table::{Kind, Spec};

const DURATION: &str = r"^([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h|d))+$";
/// A text something of which comes from elsewhere.
const EXPANDED: &str = r"\$\{";

/// The schema, as JSON with a line break at its end.
pub fn json_schema() -> String {
    let mut policy = Map::new();
    let mut groups: Map<String, Json> = Map::new();
    for spec in rows() {
        match spec.name.split_once('.') {
            Some((group, field)) => {
                let fields = groups.entry(group).or_insert_with(|| json!({}));
                if let Some(fields) = fields.as_object_mut() {
                    fields.insert(field.into(), described(spec));
                }
            }
            None if matches!(spec.kind, Kind::Group) => {}
            None => _ = policy.insert(spec.name.into(), described(spec)),
        }
    }
    for (group, fields) in groups {
        let description = rows().find(|spec| spec.name == group).map(|spec| Spelling::File.allowed(spec));
        policy.insert(
            group,
            json!({
                "description": description,
                "anyOf": [{"type": ["boolean", "null"]}, {"type": "object", "additionalProperties": false, "properties": fields}],
            }),
        );
    }
    let section = |fields: &[Spec]| -> Map<String, Json> {
        fields.iter().map(|spec| (spec.name.to_owned(), described(spec))).collect()
    };
    let one_of_all = json!({"anyOf": [{"$ref": "#/$defs/policy"}, {"type": "null"}]});
    let targets = json!({"type": ["object", "null"], "additionalProperties": one_of_all});
    let mut tenants = section(&TENANTS);
    let tenant = json!({
        "type": ["object", "null"], "additionalProperties": false,
        "properties": {"defaults": one_of_all, "targets": targets},
    });
    tenants.insert("known".into(), json!({"type": ["object", "null"], "additionalProperties": tenant}));
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ambassador.yaml",
        "description": "The configuration of the ambassador, the same for every language",
        "type": "object",
        "additionalProperties": false,
        "required": ["version"],
        "properties": {
            "version": {"const": 1},
            "include": {
                "description": "a file or a folder, or a list of them, relative to this file",
                "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
            },
            "defaults": {"description": "for every target", "anyOf": one_of_all["anyOf"]},
            "targets": targets,
            "tenants": {"type": ["object", "null"], "additionalProperties": false, "properties": tenants},
            "admin": {"type": ["object", "null"], "additionalProperties": false, "properties": section(&ADMIN)},
            "telemetry": {"type": ["object", "null"], "additionalProperties": false, "properties": section(&TELEMETRY)},
            "listeners": {"type": ["array", "null"], "maxItems": 0},
        },
        "$defs": {"policy": {"type": "object", "additionalProperties": false, "properties": policy}},
    });
    let pretty = serde_json::to_string_pretty(&schema).unwrap_or_default();
    pretty + "\n"
}

fn described(spec: &Spec) -> Json {
    let mut schema = shape(spec);
    if let Some(fields) = schema.as_object_mut() {
        fields
            .insert("description".into(), format!("{}; default {}", Spelling::File.allowed(spec), spec.default).into());
    }
    schema
}

fn shape(spec: &Spec) -> Json {
    let text = json!({"type": "string", "pattern": EXPANDED});
    let nothing = json!({"type": "null"});
    match spec.kind {
        Kind::Count { least, most, none } => {
            let count = json!({"type": "integer", "minimum": least, "maximum": most});
            if none { json!({"anyOf": [count, text, nothing]}) } else { json!({"anyOf": [count, text]}) }
        }
        Kind::CountOr { least, most, word } => {
            let count = json!({"type": "integer", "minimum": least, "maximum": most});
            json!({"anyOf": [count, {"const": word}, text, nothing]})
        }
        Kind::Duration { none, .. } => {
            let length = json!({"type": "string", "pattern": DURATION});
            if none { json!({"anyOf": [length, text, nothing]}) } else { json!({"anyOf": [length, text]}) }
        }
        Kind::DurationOr { words, .. } => {
            json!({"anyOf": [{"type": "string", "pattern": DURATION}, {"enum": words()}, text]})
        }
        Kind::Number { least, most } => json!({"anyOf": [{"type": "number", "minimum": least, "maximum": most}, text]}),
        // `version: 2` is one as well.
        Kind::Choice(choices) => {
            let mut all: Vec<Json> = choices().into_iter().map(Json::from).collect();
            all.extend(choices().iter().filter_map(|choice| choice.parse::<f64>().ok()).map(Json::from));
            json!({"anyOf": [{"enum": all}, text]})
        }
        Kind::Truth => json!({"anyOf": [{"type": "boolean"}, text]}),
        Kind::Name | Kind::Text(_) | Kind::Secret(_) => json!({"type": ["string", "null"]}),
        Kind::Texts(_) => json!({"type": ["array", "null"], "items": {"type": "string"}}),
        Kind::Pairs(_) => json!({"type": ["object", "null"], "additionalProperties": {"type": "string"}}),
        Kind::Endpoints => {
            let endpoint = json!({
                "type": "object", "additionalProperties": false, "required": ["url"],
                "properties": {
                    "url": {"type": "string"},
                    "weight": {"type": ["integer", "null"], "minimum": 1, "maximum": 1000},
                    "zone": {"type": ["string", "null"]},
                    "metadata": {"type": ["object", "null"], "additionalProperties": {"type": "string"}},
                },
            });
            json!({"type": ["array", "null"], "items": {"anyOf": [{"type": "string"}, endpoint]}})
        }
        Kind::Group | Kind::Host(_) => json!({}),
    }
}
