//! Settings of networking: a right value for each field, groups of which one kind has to be chosen, and that secrets are never
//! shown.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use ambassador_core::balance::{Balance, HashOn, HealthCheck, Outlier, Probe};
use ambassador_core::discovery::{Discovery, Source};
use ambassador_core::policy::auth::{Auth, ClientCredentials, Secret, Token};
use ambassador_core::policy::http::{Http, IdempotencyKey};
use ambassador_core::policy::tls::{Tls, TlsVersion};
use ambassador_core::settings::{Settings, Spelling, Value};
use ambassador_core::{AmbassadorProxy, Endpoint, Policy};

use crate::{policy, refused, set, settings, text};

const PIN: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

fn list<const N: usize>(values: [Value; N]) -> Value {
    Value::List(values.into())
}

fn map<const N: usize>(pairs: [(&str, Value); N]) -> Value {
    Value::Map(pairs.map(|(name, value)| (name.to_owned(), value)).into())
}

/// A value other than the default for a field of networking, in the core's spelling, and what it needs beside it.
pub fn example(name: &str) -> Option<(Vec<(&'static str, Value)>, Value)> {
    let alone = |value| Some((vec![], value));
    match name {
        "endpoints" => {
            alone(list([text("10.0.0.7:8080"), map([("url", text("http://10.0.0.8")), ("weight", Value::Int(3))])]))
        }
        "discovery.dns" => alone(text("payment-api.internal:8080")),
        "discovery.srv" => alone(text("_http._tcp.payment-api.internal")),
        "discovery.file" => alone(text("endpoints.yaml")),
        "discovery.servers" => Some((vec![("discovery.dns", text("a"))], list([text("127.0.0.1:5353"), text("::1")]))),
        "discovery.refresh" => Some((vec![("discovery.dns", text("a"))], Value::Float(7.5))),
        "hash_on" => Some((vec![("balance", text("ring_hash"))], text("header:X-User"))),
        "balance" => Some((vec![("hash_on", text("path"))], text("maglev"))),
        "zone" => alone(text("eu-west-1a")),
        "health_check.path" => alone(text("/healthz")),
        "health_check.tcp" => alone(Value::Bool(true)),
        name if name.starts_with("health_check.") => {
            let value = if name.ends_with("healthy") { Value::Int(7) } else { Value::Float(7.5) };
            Some((vec![("health_check.path", text("/"))], value))
        }
        "tls.cert" => Some((vec![("tls.key", text(&pem("key.pem")))], text(&pem("cert.pem")))),
        "tls.key" => Some((vec![("tls.cert", text(&pem("cert.pem")))], text(&pem("key.pem")))),
        "tls.ca" => alone(text(&pem("cert.pem"))),
        "tls.server_name" => alone(text("payment-api.internal")),
        "tls.pins" => alone(list([text(PIN)])),
        "auth.password" => Some((vec![("auth.username", text("Aladdin"))], text("open sesame"))),
        "auth.username" => Some((vec![("auth.password", text("open sesame"))], text("Aladdin"))),
        "auth.api_key_header" => Some((vec![("auth.api_key", text("k"))], text("X-Key"))),
        "auth.token_url" => Some((
            vec![("auth.client_id", text("c")), ("auth.client_secret", text("s"))],
            text("https://id.example.com/token"),
        )),
        "auth.client_id" | "auth.client_secret" | "auth.scope" => Some((
            vec![
                ("auth.token_url", text("https://id.example.com/token")),
                ("auth.client_id", text("c")),
                ("auth.client_secret", text("s")),
            ],
            text("another"),
        )),
        name if name.starts_with("auth.") => alone(text("token")),
        "headers" => alone(map([("X-Team", text("payments"))])),
        "http.max_header_bytes" => alone(Value::Int(9000)),
        "http.decompress" => alone(Value::Bool(false)),
        _ => None,
    }
}

/// The path of a certificate, or of its key: files of TLS are read when a proxy is made.
fn pem(name: &str) -> String {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let made = rcgen::generate_simple_self_signed(["payment-api.internal".into()]).unwrap();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("settings");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        folder
    });
    FOLDER.join(name).display().to_string()
}

fn of(fields: &[(&str, Value)]) -> Policy {
    set(Spelling::Python, fields)
}

/// The message about settings that are right one by one.
fn refused_together(fields: &[(&str, Value)]) -> String {
    let mut draft = settings(Spelling::Python);
    for (field, value) in fields {
        draft.set(field, value.clone()).unwrap();
    }
    AmbassadorProxy::from_settings(draft).unwrap_err().to_string()
}

#[test]
fn endpoints_are_hosts_urls_or_groups() {
    let metadata = map([("rack", text("7"))]);
    let full = map([
        ("url", text("https://10.0.0.8:8443")),
        ("weight", Value::Int(3)),
        ("zone", text("b")),
        ("metadata", metadata),
    ]);
    let policy = of(&[("endpoints", list([text("10.0.0.7"), full]))]);
    let rack = [("rack".to_owned(), "7".to_owned())].into();
    assert_eq!(
        policy.shared.endpoints,
        [
            Endpoint::new("10.0.0.7").unwrap(),
            Endpoint::new("https://10.0.0.8:8443").unwrap().weight(3).zone("b").metadata(rack),
        ]
    );
}

#[test]
fn what_is_no_endpoint_is_refused_as_it_was_written() {
    let allowed = "a list of hosts or http:// or https:// URLs without a path, or of groups of url, weight (1 to 1000), zone and metadata, or None";
    for (value, shown) in [
        (text("10.0.0.7"), r#""10.0.0.7""#),
        (list([text("two words")]), r#"["two words"]"#),
        (list([text("http://10.0.0.7/path")]), r#"["http://10.0.0.7/path"]"#),
        (list([map([("weight", Value::Int(1))])]), r#"[{"weight": 1}]"#),
        (list([map([("url", text("a")), ("weight", Value::Int(0))])]), r#"[{"url": "a", "weight": 0}]"#),
        (list([map([("url", text("a")), ("wieght", Value::Int(1))])]), r#"[{"url": "a", "wieght": 1}]"#),
    ] {
        let message = refused(Spelling::Python, "endpoints", value);
        assert_eq!(message, format!("endpoints: {shown} is not allowed; expected {allowed}"));
    }
}

#[test]
fn one_kind_of_a_group_is_chosen() {
    for (fields, message) in [
        (
            vec![("discovery.refresh", Value::Int(5))],
            "discovery: None is not allowed; expected one of discovery.dns, discovery.srv, discovery.file",
        ),
        (
            vec![("discovery.dns", text("a")), ("discovery.file", text("b"))],
            "discovery: discovery.dns and discovery.file is not allowed; expected one of discovery.dns, discovery.srv, discovery.file",
        ),
        (
            vec![("discovery.dns", text("a")), ("endpoints", list([text("b")]))],
            "endpoints: a list of 1 is not allowed; expected no endpoints beside discovery, which finds them",
        ),
        (
            vec![("health_check.interval", Value::Int(5))],
            "health_check: None is not allowed; expected one of health_check.path, health_check.tcp",
        ),
        (
            vec![("auth.bearer", text("t0ken")), ("auth.api_key", text("k3y"))],
            "auth: auth.bearer and auth.api_key is not allowed; expected one of auth.bearer, auth.bearer_env, auth.bearer_file, \
             auth.username, auth.api_key, auth.token_url",
        ),
        (
            vec![("auth.username", text("Aladdin"))],
            "auth.password: None is not allowed; expected text of one line, or None",
        ),
        (vec![("tls.cert", text("cert.pem"))], "tls.key: None is not allowed; expected the path of a file, or None"),
        (
            vec![("balance", text("maglev"))],
            "hash_on: None is not allowed; expected path, or header: and its name, beside ring_hash or maglev, or None",
        ),
        (
            vec![("hash_on", text("path"))],
            "hash_on: \"path\" is not allowed; expected a key beside ring_hash or maglev alone",
        ),
    ] {
        assert_eq!(refused_together(&fields), message);
    }
}

#[test]
fn secrets_are_never_shown() {
    let secret = "s3cret\n";
    let mut shown = Vec::new();
    for field in ["auth.bearer", "auth.api_key", "auth.password", "auth.client_secret"] {
        shown.push(refused(Spelling::Node, &camel(field), text(secret)));
        shown.push(refused(Spelling::Node, &camel(field), Value::Other("s3cret".into())));
    }
    shown.push(refused(Spelling::Node, "headers", map([("x-key", text(secret))])));
    shown.push(refused(Spelling::Node, "headers", text(secret)));
    // Where nobody should have put one.
    for (field, value) in [
        ("auth", text("s3cret")),
        ("auth", map([("bearer", text("s3cret"))])),
        ("auth.username", text("shop:s3cret")),
        ("auth.tokenUrl", text("https://shop:s3cret@id.example.com")),
        ("headers", list([text("x-key: s3cret")])),
        ("endpoints", list([text("http://shop:s3cret@10.0.0.7")])),
        ("endpoints", list([map([("url", text("http://shop:s3cret@10.0.0.7"))])])),
        ("discovery.dns", text("shop:s3cret@payment-api")),
    ] {
        shown.push(refused(Spelling::Node, field, value));
    }
    for slip in ["auth.bearr", "auth_bearer", "Auth.token", "header"] {
        let error = settings(Spelling::Node).set(slip, text("s3cret")).unwrap_err();
        shown.push(error.to_string());
    }
    let mut draft = settings(Spelling::Node);
    draft.set("auth.bearer", text("s3cret")).unwrap();
    draft.set("headers", map([("x-key", text("s3cret"))])).unwrap();
    shown.push(format!("{draft:?} {:?}", policy(&draft)));
    for shown in shown {
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}

fn camel(field: &str) -> String {
    let plain = |name: &str| name.replace('_', "").to_lowercase();
    let names = Settings::fields(Spelling::Node).into_iter().map(|field| field.name);
    names.into_iter().find(|name| plain(name) == plain(field)).unwrap()
}

#[test]
fn auth_is_one_of_six() {
    let secret = Secret::new;
    for (fields, auth) in [
        (vec![("auth.bearer", text("t"))], Auth::Bearer(Token::Value(secret("t")))),
        (vec![("auth.bearer_env", text("TOKEN"))], Auth::Bearer(Token::Env("TOKEN".into()))),
        (vec![("auth.bearer_file", text("token"))], Auth::Bearer(Token::File("token".into()))),
        (
            vec![("auth.username", text("u")), ("auth.password", text("p"))],
            Auth::Basic { username: "u".into(), password: secret("p") },
        ),
        (vec![("auth.api_key", text("k"))], Auth::ApiKey { header: "x-api-key".into(), key: secret("k") }),
        (
            vec![
                ("auth.token_url", text("https://id.example.com/token")),
                ("auth.client_id", text("c")),
                ("auth.client_secret", text("s")),
                ("auth.scope", text("pay")),
            ],
            Auth::OAuth2(ClientCredentials {
                token_url: "https://id.example.com/token".into(),
                client_id: "c".into(),
                client_secret: secret("s"),
                scope: Some("pay".into()),
            }),
        ),
    ] {
        assert_eq!(of(&fields).auth, Some(auth));
    }
}

#[test]
fn the_builder_sets_what_it_says() {
    let (host, auth) = ("https://payment-api.example.com", Auth::Bearer(Token::Value(Secret::new("t"))));
    let tls =
        Tls { server_name: Some("b".into()), min_version: TlsVersion::V1_3, pins: vec![PIN.into()], ..Tls::default() };
    let http = Http { max_connections: 7, decompress: false, ..Http::default() };
    let endpoints = [Endpoint::new("10.0.0.7").unwrap().weight(2).zone("a"), Endpoint::new("10.0.0.8").unwrap()];
    let check = HealthCheck { healthy: 9, ..HealthCheck::new(Probe::Http("/up".into())) };
    let outlier = Outlier { consecutive_failures: 2, panic: 0.25, ..Outlier::default() };
    let built = AmbassadorProxy::builder(host)
        .name("the builder sets what it says")
        .endpoints(endpoints.clone())
        .balance(Balance::RingHash)
        .hash_on(HashOn::Header("x-user".into()))
        .zone("a")
        .outlier(outlier)
        .health_check(check.clone())
        .tls(tls.clone())
        .http(http.clone())
        .auth(auth.clone())
        .headers([("x-team", "payments")])
        .idempotency_key(IdempotencyKey::Auto)
        .build()
        .unwrap();
    let Policy { shared, auth: is, headers, idempotency_key, .. } = built.policy().clone();
    assert_eq!((shared.endpoints.as_slice(), shared.balance), (&endpoints[..], Balance::RingHash));
    assert_eq!((shared.hash_on, shared.zone.as_deref()), (Some(HashOn::Header("x-user".into())), Some("a")));
    assert_eq!((shared.outlier, shared.health_check, shared.tls, shared.http), (Some(outlier), Some(check), tls, http));
    assert_eq!((is, headers), (Some(auth), vec![("x-team".into(), Secret::new("payments"))]));
    assert_eq!(idempotency_key, IdempotencyKey::Auto);
    let discovery =
        Discovery { servers: vec!["127.0.0.1:53".parse().unwrap()], ..Discovery::new(Source::Dns("a:80".into())) };
    let found =
        AmbassadorProxy::builder(host).name("another").discovery(discovery.clone()).outlier(None).build().unwrap();
    assert_eq!((found.policy().shared.discovery.clone(), found.policy().shared.outlier), (Some(discovery), None));
}
