//! What the environment says of the export: whether there is any, where it goes, and how. The names are OpenTelemetry's own, beside
//! the one switch `AMBASSADOR_OTLP`. What cannot be obeyed is told once, in words.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::policy::auth::Secret;
use crate::target::Target;
use crate::telemetry::spans::Sampler;

/// What is exported, and how.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    pub traces: Option<Road>,
    pub metrics: Option<Road>,
    pub sampler: Sampler,
    pub batches: Batches,
    pub metrics_every: Duration,
    /// Who exports: attributes.
    pub resource: BTreeMap<String, String>,
}

/// Where it goes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Road {
    /// `http://localhost:4318`
    pub origin: String,
    /// `/v1/traces`
    pub path: String,
    pub headers: Vec<(String, Secret)>,
    pub timeout: Duration,
    pub gzip: bool,
    pub ca: Option<PathBuf>,
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

/// How spans are put together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Batches {
    pub every: Duration,
    pub most: usize,
    /// How many spans wait at most.
    pub queue: usize,
}

/// The switch.
const SWITCH: &str = "AMBASSADOR_OTLP";

/// Reads it all. What cannot be obeyed goes to `wrong`, a sentence each.
pub(super) fn plan(variable: &dyn Fn(&str) -> Option<String>, wrong: &mut Vec<String>) -> Option<Plan> {
    let mut reader = Reader { variable, wrong };
    if reader.text("OTEL_SDK_DISABLED").is_some_and(|said| said.eq_ignore_ascii_case("true")) {
        return None;
    }
    let switch = reader.text(SWITCH);
    let (mut traces, mut metrics) = (false, false);
    let mut is_off = false;
    match switch.as_deref().map(str::to_ascii_lowercase).as_deref() {
        None => {
            // Said in so many words, it is for us as well.
            traces = reader.text("OTEL_TRACES_EXPORTER").is_some_and(|said| names(&said).any(|name| name == "otlp"));
            metrics = reader.text("OTEL_METRICS_EXPORTER").is_some_and(|said| names(&said).any(|name| name == "otlp"));
        }
        Some("0" | "false" | "off" | "no" | "none") => is_off = true,
        Some("1" | "true" | "on" | "yes") => (traces, metrics) = (true, true),
        Some(list) => {
            for name in names(list) {
                match name {
                    "traces" => traces = true,
                    "metrics" => metrics = true,
                    _ => reader.refuse(SWITCH, list, "1, 0, traces, metrics, or both of these with a comma"),
                }
            }
        }
    }
    if is_off || !(traces || metrics) {
        return None;
    }
    traces = traces && reader.is_wanted("OTEL_TRACES_EXPORTER");
    metrics = metrics && reader.is_wanted("OTEL_METRICS_EXPORTER");
    let traces = if traces { reader.road("TRACES", "/v1/traces") } else { None };
    let metrics = if metrics { reader.road("METRICS", "/v1/metrics") } else { None };
    if traces.is_none() && metrics.is_none() {
        return None;
    }
    let queue = reader.number("OTEL_BSP_MAX_QUEUE_SIZE", 2048).clamp(1, 1 << 20) as usize;
    Some(Plan {
        traces,
        metrics,
        sampler: reader.sampler(),
        batches: Batches {
            every: reader.milliseconds("OTEL_BSP_SCHEDULE_DELAY", 5000),
            most: (reader.number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512).max(1) as usize).min(queue),
            queue,
        },
        metrics_every: reader.milliseconds("OTEL_METRIC_EXPORT_INTERVAL", 60_000),
        resource: reader.resource(),
    })
}

fn names(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty())
}

struct Reader<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    wrong: &'a mut Vec<String>,
}

impl Reader<'_> {
    /// Empty is not set.
    fn text(&self, name: &str) -> Option<String> {
        (self.variable)(name).map(|said| said.trim().to_owned()).filter(|said| !said.is_empty())
    }

    fn refuse(&mut self, name: &str, said: &str, allowed: &str) {
        self.wrong.push(format!("{name} is {said:?}, which is not supported; expected {allowed}"));
    }

    /// An exporter of another name than ours is somebody else's.
    fn is_wanted(&mut self, name: &str) -> bool {
        let Some(said) = self.text(name) else { return true };
        if names(&said).any(|name| name == "otlp") {
            return true;
        }
        if said != "none" {
            self.refuse(name, &said, "otlp or none");
        }
        false
    }

    fn number(&mut self, name: &str, default: u64) -> u64 {
        let Some(said) = self.text(name) else { return default };
        said.parse().unwrap_or_else(|_| {
            self.refuse(name, &said, "a whole number");
            default
        })
    }

    fn milliseconds(&mut self, name: &str, default: u64) -> Duration {
        Duration::from_millis(self.number(name, default).max(1))
    }

    /// Of a setting that may be for one kind alone, its name and what it says.
    fn of(&self, kind: &str, what: &str) -> Option<(String, String)> {
        [format!("OTEL_EXPORTER_OTLP_{kind}_{what}"), format!("OTEL_EXPORTER_OTLP_{what}")]
            .into_iter()
            .find_map(|name| self.text(&name).map(|said| (name, said)))
    }

    fn road(&mut self, kind: &str, path: &str) -> Option<Road> {
        if let Some((name, said)) = self.of(kind, "PROTOCOL") {
            match said.as_str() {
                "http/protobuf" => {}
                "http/json" => self.refuse(&name, &said, "http/protobuf, which is spoken"),
                _ => {
                    self.refuse(&name, &said, "http/protobuf; nothing is exported there");
                    return None;
                }
            }
        }
        let own = format!("OTEL_EXPORTER_OTLP_{kind}_ENDPOINT");
        let (name, url) = match self.text(&own) {
            // It is the whole URL.
            Some(url) => (own, url),
            None => {
                let name = "OTEL_EXPORTER_OTLP_ENDPOINT";
                let base = self.text(name).unwrap_or_else(|| "http://localhost:4318".into());
                (name.into(), format!("{}{path}", base.trim_end_matches('/')))
            }
        };
        let Some(target) = Target::parse(&url).filter(|target| target.is_tls().is_some()) else {
            self.refuse(&name, &Target::shown(&url), "an http:// or https:// URL; nothing is exported there");
            return None;
        };
        let scheme = if target.is_tls() == Some(true) { "https" } else { "http" };
        let gzip = match self.of(kind, "COMPRESSION") {
            None => false,
            Some((_, said)) if said == "gzip" || said == "none" => said == "gzip",
            Some((name, said)) => {
                self.refuse(&name, &said, "gzip or none");
                false
            }
        };
        let timeout = match self.of(kind, "TIMEOUT") {
            Some((name, _)) => self.milliseconds(&name, 10_000),
            None => Duration::from_secs(10),
        };
        let file = |what| self.of(kind, what).map(|(_, said)| PathBuf::from(said));
        let (ca, cert, key) = (file("CERTIFICATE"), file("CLIENT_CERTIFICATE"), file("CLIENT_KEY"));
        let headers = match self.of(kind, "HEADERS") {
            // S3: what they say is not shown, right or wrong.
            Some((name, said)) => match pairs(&said) {
                Some(pairs) => pairs.into_iter().map(|(name, value)| (name, Secret::new(&value))).collect(),
                None => {
                    self.refuse(&name, "***", "name=value pairs with commas in between");
                    Vec::new()
                }
            },
            None => Vec::new(),
        };
        let path = if target.base_path().is_empty() { "/" } else { target.base_path() };
        Some(Road {
            origin: format!("{scheme}://{}", target.authority()),
            path: path.into(),
            headers,
            timeout,
            gzip,
            ca,
            cert,
            key,
        })
    }

    fn sampler(&mut self) -> Sampler {
        const NAME: &str = "OTEL_TRACES_SAMPLER";
        let said = self.text(NAME).unwrap_or_else(|| "parentbased_always_on".into());
        let (by_parent, kind) = match said.strip_prefix("parentbased_") {
            Some(kind) => (true, kind),
            None => (false, said.as_str()),
        };
        let ratio = match kind {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => self.ratio(),
            _ => {
                let allowed = "always_on, always_off, traceidratio, or one of these with parentbased_ in front";
                self.refuse(NAME, &said, allowed);
                return Sampler::ALL;
            }
        };
        Sampler { by_parent, ratio }
    }

    fn ratio(&mut self) -> f64 {
        const NAME: &str = "OTEL_TRACES_SAMPLER_ARG";
        let Some(said) = self.text(NAME) else { return 1.0 };
        match said.parse::<f64>() {
            Ok(ratio) if (0.0..=1.0).contains(&ratio) => ratio,
            _ => {
                self.refuse(NAME, &said, "a number from 0 to 1");
                1.0
            }
        }
    }

    fn resource(&mut self) -> BTreeMap<String, String> {
        const NAME: &str = "OTEL_RESOURCE_ATTRIBUTES";
        let mut resource = BTreeMap::new();
        if let Some(said) = self.text(NAME) {
            match pairs(&said) {
                Some(pairs) => resource.extend(pairs),
                None => self.refuse(NAME, &said, "key=value pairs with commas in between"),
            }
        }
        if let Some(name) = self.text("OTEL_SERVICE_NAME") {
            resource.insert("service.name".into(), name);
        }
        resource
    }
}

/// `key1=value1,key2=value2`, with what else there is in percent encoding.
fn pairs(list: &str) -> Option<Vec<(String, String)>> {
    names(list)
        .map(|pair| {
            let (key, value) = pair.split_once('=')?;
            let (key, value) = (decoded(key.trim())?, decoded(value.trim())?);
            (!key.is_empty()).then_some((key, value))
        })
        .collect()
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first != b'%' {
            bytes.push(first);
            rest = after;
            continue;
        }
        let digits = std::str::from_utf8(after.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &after[2..];
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> (Option<Plan>, Vec<String>) {
        let mut wrong = Vec::new();
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, said)| (*said).to_owned());
        (plan(&variable, &mut wrong), wrong)
    }

    fn planned(variables: &[(&str, &str)]) -> Plan {
        let (plan, wrong) = read(variables);
        assert_eq!(wrong, Vec::<String>::new());
        plan.expect("something is exported")
    }

    #[test]
    fn nothing_is_exported_unless_somebody_asks() {
        for variables in [
            &[][..],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"), ("OTEL_SERVICE_NAME", "shop")],
            &[("OTEL_TRACES_EXPORTER", "none")],
            &[("AMBASSADOR_OTLP", "")],
            &[("AMBASSADOR_OTLP", "0"), ("OTEL_TRACES_EXPORTER", "otlp")],
            &[("AMBASSADOR_OTLP", "1"), ("OTEL_SDK_DISABLED", "true")],
            &[("AMBASSADOR_OTLP", "1"), ("OTEL_TRACES_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", "none")],
        ] {
            assert_eq!(read(variables), (None, Vec::new()), "{variables:?}");
        }
    }

    #[test]
    fn what_is_exported_is_said_by_the_switch_or_by_the_standard_variables() {
        for (variables, kinds) in [
            (&[("AMBASSADOR_OTLP", "1")][..], (true, true)),
            (&[("AMBASSADOR_OTLP", "traces")], (true, false)),
            (&[("AMBASSADOR_OTLP", "metrics")], (false, true)),
            (&[("AMBASSADOR_OTLP", "true"), ("OTEL_METRICS_EXPORTER", "none")], (true, false)),
            (&[("OTEL_TRACES_EXPORTER", "otlp")], (true, false)),
            (&[("OTEL_METRICS_EXPORTER", "prometheus, otlp")], (false, true)),
        ] {
            let plan = planned(variables);
            assert_eq!((plan.traces.is_some(), plan.metrics.is_some()), kinds, "{variables:?}");
        }
    }

    #[test]
    fn an_endpoint_for_all_is_followed_by_the_kinds_path_and_one_for_a_kind_is_whole() {
        let at = |variables: &[(&str, &str)]| {
            let plan = planned(&[&[("AMBASSADOR_OTLP", "1")], variables].concat());
            [plan.traces, plan.metrics].map(|road| road.map(|road| road.origin + &road.path).unwrap())
        };
        assert_eq!(at(&[]), ["http://localhost:4318/v1/traces", "http://localhost:4318/v1/metrics"]);
        assert_eq!(
            at(&[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.example.com/otel/"),
                ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://10.0.0.7:9000"),
            ]),
            ["https://collector.example.com/otel/v1/traces", "http://10.0.0.7:9000/"]
        );
    }

    #[test]
    fn what_is_said_for_one_kind_holds_there() {
        let plan = planned(&[
            ("AMBASSADOR_OTLP", "1"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=s%20ecret,x-tenant=acme"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "api-key=other"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "250"),
            ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/etc/ca.pem"),
        ]);
        let (traces, metrics) = (plan.traces.unwrap(), plan.metrics.unwrap());
        let said = |road: &Road| -> Vec<String> {
            road.headers.iter().map(|(name, value)| format!("{name}: {}", value.reveal())).collect()
        };
        assert_eq!(said(&traces), ["api-key: other"]);
        assert_eq!(said(&metrics), ["api-key: s ecret", "x-tenant: acme"]);
        assert_eq!((traces.gzip, metrics.gzip), (false, true));
        assert_eq!((traces.timeout, traces.ca), (Duration::from_millis(250), Some("/etc/ca.pem".into())));
    }

    #[test]
    fn who_exports_is_said_by_attributes_and_a_name() {
        let plan = planned(&[
            ("AMBASSADOR_OTLP", "1"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=other, deployment.environment.name=te%2Cst"),
            ("OTEL_SERVICE_NAME", "shop"),
        ]);
        let expected = [("deployment.environment.name", "te,st"), ("service.name", "shop")];
        assert_eq!(plan.resource, expected.into_iter().map(|(key, value)| (key.into(), value.into())).collect());
    }

    #[test]
    fn samplers_have_the_standard_names() {
        let sampler = |said: &str, share: &str| {
            let said = [("AMBASSADOR_OTLP", "1"), ("OTEL_TRACES_SAMPLER", said), ("OTEL_TRACES_SAMPLER_ARG", share)];
            let Sampler { by_parent, ratio } = planned(&said).sampler;
            (by_parent, ratio)
        };
        assert_eq!(sampler("", ""), (true, 1.0));
        assert_eq!(sampler("always_off", ""), (false, 0.0));
        assert_eq!(sampler("traceidratio", "0.25"), (false, 0.25));
        assert_eq!(sampler("parentbased_traceidratio", "0.5"), (true, 0.5));
    }

    #[test]
    fn what_cannot_be_obeyed_is_told_once_and_the_rest_holds() {
        let (plan, wrong) = read(&[
            ("AMBASSADOR_OTLP", "1"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://user:secret@collector"),
            ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "snappy"),
        ]);
        assert_eq!(plan, None);
        assert_eq!(
            wrong,
            [
                r#"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL is "grpc", which is not supported; expected http/protobuf; nothing is exported there"#,
                r#"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT is "http://***@collector", which is not supported; expected an http:// or https:// URL; nothing is exported there"#,
            ]
        );
        let (plan, wrong) = read(&[
            ("AMBASSADOR_OTLP", "traces"),
            ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
            ("OTEL_BSP_SCHEDULE_DELAY", "soon"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a secret"),
        ]);
        let plan = plan.unwrap();
        assert_eq!((plan.sampler, plan.batches.every), (Sampler::ALL, Duration::from_secs(5)));
        assert_eq!(wrong.len(), 3, "{wrong:?}");
        assert!(!wrong.concat().contains("secret"), "{wrong:?}");
    }
}
