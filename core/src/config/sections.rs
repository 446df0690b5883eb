//! What a configuration says beside the settings of targets: a table of fields for each section, of the same kinds as settings.

use crate::settings::Value;
use crate::settings::layer::is_of;
use crate::settings::table::{Id, Kind, Spec};

const fn field(name: &'static str, kind: Kind, default: &'static str) -> Spec {
    Spec { id: Id::Host, name, kind, default }
}

fn levels() -> Vec<&'static str> {
    vec!["off", "error", "warn", "info", "debug"]
}

fn unknown_tenants() -> Vec<&'static str> {
    vec!["default", "refuse"]
}

/// The page of the ambassador itself.
pub(super) static ADMIN: [Spec; 4] = [
    field("listen", Kind::Text("an address with a port, such as 127.0.0.1:9901"), "none"),
    field("token", Kind::Secret("text of one line"), "one is made"),
    field("hosts", Kind::Texts("a list of hosts"), "none"),
    field("remote", Kind::Truth, "false"),
];

/// What is told of calls.
pub(super) static TELEMETRY: [Spec; 1] = [field("log", Kind::Choice(levels), "warn")];

/// Tenants in general; those that are known have entries of their own.
pub(super) static TENANTS: [Spec; 3] = [
    field("unknown", Kind::Choice(unknown_tenants), "default"),
    field("max", Kind::Count { least: 1, most: 1_000_000, none: false }, "10000"),
    field("idle_timeout", Kind::Duration { least: 1_000_000, none: false }, "10m"),
];

/// What is allowed of a section that is reserved.
pub(super) const LISTENERS: &str = "no listeners: this version has none";

/// What a tenant's id may be.
pub(super) const TENANT_ID: &str = "1 to 64 letters, digits, and - _ . : between them";

pub(super) fn is_tenant(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
}

pub(super) fn is_allowed(spec: &Spec, value: &Value) -> bool {
    match (spec.name, value) {
        ("listen", Value::Text(text)) => is_address(text),
        _ => is_of(spec.kind, value),
    }
}

fn is_address(text: &str) -> bool {
    text.parse::<std::net::SocketAddr>().is_ok()
        || text.rsplit_once(':').is_some_and(|(host, port)| {
            port.parse::<u16>().is_ok()
                && crate::target::Target::parse(host).is_some_and(|target| target.is_tls().is_none())
        })
}
