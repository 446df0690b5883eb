//! Spans as a collector gets them, read by the types of OpenTelemetry's own `opentelemetry-proto`. What is exported is said by the
//! environment of the whole process, so each test has one to itself.
#![cfg(feature = "otlp")]

mod common;
mod kit;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use ambassador_core::call::Outcome;
use ambassador_core::http::Body;
use ambassador_core::telemetry::otlp::exported;
use ambassador_core::telemetry::trace::{self, Context};
use ambassador_core::{AmbassadorProxy, Breaker, Hedge, runtime};
use async_compression::tokio::bufread::GzipDecoder;
use common::{PATIENCE, alone, briefly, builder};
use http::Request;
use kit::misbehaving::Server;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode};
use prost::Message;
use tokio::io::AsyncReadExt;

const HOSTS: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// Runs the body in a process of its own, whose spans go to the collector that it is given.
fn exporting(name: &str, environment: &[(&str, &str)], body: impl FnOnce(&Collector)) {
    alone(name, || {
        let collector = Collector(Server::answering(""));
        set("AMBASSADOR_OTLP", "traces");
        set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.0.url());
        environment.iter().for_each(|(name, said)| set(name, said));
        body(&collector);
    });
}

fn set(name: &str, said: &str) {
    // SAFETY: the process is this test's alone, and no other thread of it looks at the environment yet.
    unsafe { std::env::set_var(name, said) };
}

/// An OpenTelemetry collector.
struct Collector(Server);

impl Collector {
    /// All spans, once the ambassador has ended.
    fn spans(&self) -> Vec<Span> {
        assert!(runtime::shutdown(PATIENCE));
        self.requests().into_iter().flat_map(spans_of).collect()
    }

    fn span(&self) -> Span {
        let mut spans = self.spans();
        assert_eq!(spans.len(), 1, "{spans:?}");
        spans.remove(0)
    }

    fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        let seen = self.0.seen();
        seen.iter()
            .map(|seen| {
                assert_eq!((&*seen.method, &*seen.path), ("POST", "/v1/traces"));
                assert_eq!(seen.header("content-type"), Some("application/x-protobuf"));
                assert_eq!(seen.header("traceparent"), None, "what exports spans has none");
                ExportTraceServiceRequest::decode(&*unpacked(seen.header("content-encoding"), &seen.body)).unwrap()
            })
            .collect()
    }
}

fn unpacked(coding: Option<&str>, body: &[u8]) -> Vec<u8> {
    let mut unpacked = Vec::new();
    match coding {
        None => unpacked.extend_from_slice(body),
        Some(coding) => {
            assert_eq!(coding, "gzip");
            runtime::block_on(GzipDecoder::new(body).read_to_end(&mut unpacked)).unwrap();
        }
    }
    unpacked
}

fn spans_of(request: ExportTraceServiceRequest) -> Vec<Span> {
    request
        .resource_spans
        .into_iter()
        .flat_map(|resource| resource.scope_spans)
        .flat_map(|scope| {
            assert_eq!(scope.scope.unwrap().name, "ambassador");
            scope.spans
        })
        .collect()
}

/// Attributes as text.
fn said(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::DoubleValue(number) => number.to_string(),
        other => panic!("{other:?}"),
    };
    attributes
        .iter()
        .map(|pair| (pair.key.clone(), text(pair.value.as_ref().unwrap().value.as_ref().unwrap())))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn host_has(traceparent: &'static str, tracestate: Option<&'static str>) {
    trace::set_source(move || Context::parse(traceparent, tracestate));
}

fn header<'a>(headers: &'a [(&'static str, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(present, _)| *present == name).map(|(_, value)| &**value)
}

#[test]
fn a_call_is_a_span_below_the_hosts_with_an_event_for_each_attempt() {
    exporting("a_call_is_a_span_below_the_hosts_with_an_event_for_each_attempt", &[], |collector| {
        host_has(HOSTS, Some("congo=t61rcWkgMzE"));
        let proxy = builder().name("payments").max_retries(3).backoff(briefly()).build().unwrap();
        let heads = std::sync::Mutex::new(Vec::new());
        let ended = runtime::block_on(proxy.execute(|ctx| {
            heads.lock().unwrap().push(ctx.headers());
            async move { if ctx.attempt() < 3 { Err("unreachable") } else { Ok("charged") } }
        }));
        assert_eq!(ended, Ok("charged"));

        let span = collector.span();
        assert_eq!((&*span.name, span.kind()), ("call payments", SpanKind::Internal));
        assert_eq!((hex(&span.trace_id), hex(&span.parent_span_id)), (TRACE.into(), "b7ad6b7169203331".into()));
        assert_eq!((&*span.trace_state, span.flags), ("congo=t61rcWkgMzE", 1));
        assert!(span.start_time_unix_nano > 1_700_000_000_000_000_000);
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
        let attributes = said(&span.attributes);
        assert_eq!(attributes["ambassador.target"], "payments");
        assert_eq!(attributes["ambassador.outcome"], "ok");
        assert_eq!(attributes["ambassador.attempts"], "3");
        assert_eq!(attributes.get("error.type"), None);
        assert_eq!(span.status, None);
        let events: Vec<_> = span.events.iter().map(|event| (&*event.name, said(&event.attributes))).collect();
        let outcomes: Vec<_> = events
            .iter()
            .map(|(name, said)| (*name, &*said["ambassador.attempt.number"], &*said["ambassador.attempt.outcome"]))
            .collect();
        assert_eq!(outcomes, [("attempt", "1", "failure"), ("attempt", "2", "failure"), ("attempt", "3", "ok")]);
        assert!(
            span.events
                .iter()
                .all(|event| { (span.start_time_unix_nano..=span.end_time_unix_nano).contains(&event.time_unix_nano) })
        );

        // What the function sends on is below the call's span, whichever attempt it is.
        let onward = format!("00-{TRACE}-{}-01", hex(&span.span_id));
        for headers in heads.into_inner().unwrap() {
            assert_eq!(header(&headers, "traceparent"), Some(&*onward));
            assert_eq!(header(&headers, "tracestate"), Some("congo=t61rcWkgMzE"));
        }
        assert_eq!(exported().map(|exported| (exported.spans, exported.dropped)), Some((1, 0)));
    });
}

#[test]
fn a_request_is_a_clients_span_and_the_servers_nests_below_it() {
    exporting("a_request_is_a_clients_span_and_the_servers_nests_below_it", &[], |collector| {
        host_has(HOSTS, None);
        let asked = AtomicU32::new(0);
        let server = Server::scripted(move |peer| {
            while peer.request().is_some() {
                let status = if asked.fetch_add(1, SeqCst) == 0 { 503 } else { 201 };
                peer.answer(status, &[], b"{}");
            }
        });
        let proxy = AmbassadorProxy::builder(&format!("{}/v1", server.url()))
            .name("payments")
            .backoff(briefly())
            .headers([("authorization", "Bearer secret"), ("cookie", "secret")])
            .build()
            .unwrap();
        let request = Request::put("/charges/42?key=secret").body(Body::from("secret".to_string())).unwrap();
        assert_eq!(runtime::block_on(proxy.send(request)).unwrap().status(), 201);

        let span = collector.span();
        assert_eq!((&*span.name, span.kind()), ("PUT", SpanKind::Client));
        assert_eq!(hex(&span.parent_span_id), "b7ad6b7169203331");
        let attributes = said(&span.attributes);
        for (name, value) in [
            ("http.request.method", "PUT"),
            ("url.scheme", "http"),
            ("server.address", "127.0.0.1"),
            ("server.port", &server.port().to_string()),
            ("url.full", &format!("{}/v1/charges/42", server.url())),
            ("http.request.resend_count", "1"),
            ("http.response.status_code", "201"),
            ("network.protocol.version", "1.1"),
        ] {
            assert_eq!(attributes.get(name).map(String::as_str), Some(value), "{name}");
        }
        assert_eq!(attributes.get("error.type"), None);
        let events: Vec<_> = span.events.iter().map(|event| said(&event.attributes)).collect();
        let statuses: Vec<_> = events.iter().map(|said| &*said["http.response.status_code"]).collect();
        assert_eq!(statuses, ["503", "201"]);
        assert_eq!(events[0]["error.type"], "503");

        let onward = format!("00-{TRACE}-{}-01", hex(&span.span_id));
        for seen in server.seen() {
            assert_eq!(seen.header("traceparent"), Some(&*onward));
        }
        // S3
        let sent = collector.0.seen().iter().flat_map(|seen| seen.body.clone()).collect::<Vec<u8>>();
        assert!(!String::from_utf8_lossy(&sent).contains("secret"));
    });
}

#[test]
fn a_requests_own_parent_comes_before_the_hosts_and_nonsense_begins_anew() {
    exporting("a_requests_own_parent_comes_before_the_hosts_and_nonsense_begins_anew", &[], |collector| {
        let server = Server::answering("");
        let proxy = builder_for(&server);
        let send = |parents: &[&str]| {
            let mut request = Request::get("/").header("tracestate", "a=1").header("tracestate", "b=2");
            for parent in parents {
                request = request.header("traceparent", *parent);
            }
            runtime::block_on(proxy.send(request.body(Body::empty()).unwrap())).unwrap();
        };
        send(&[HOSTS]);
        send(&["00-nonsense"]);
        send(&[HOSTS, HOSTS]);

        let spans = collector.spans();
        assert_eq!((hex(&spans[0].trace_id), hex(&spans[0].parent_span_id)), (TRACE.into(), "b7ad6b7169203331".into()));
        assert_eq!(spans[0].trace_state, "a=1,b=2");
        for (span, seen) in spans.iter().zip(server.seen()) {
            let onward = format!("00-{}-{}-01", hex(&span.trace_id), hex(&span.span_id));
            assert_eq!(seen.header("traceparent"), Some(&*onward));
            let parents = seen.headers.iter().filter(|(name, _)| name == "traceparent").count();
            assert_eq!(parents, 1);
        }
        for begun in &spans[1..] {
            assert_ne!(hex(&begun.trace_id), TRACE);
            assert!(begun.parent_span_id.is_empty() && begun.trace_state.is_empty(), "{begun:?}");
        }
        assert_eq!(server.seen()[1].header("tracestate"), None);
    });
}

fn builder_for(server: &Server) -> AmbassadorProxy {
    AmbassadorProxy::builder(&server.url()).backoff(briefly()).build().unwrap()
}

#[test]
fn what_the_host_does_not_sample_is_not_exported_and_says_so_onward() {
    exporting("what_the_host_does_not_sample_is_not_exported_and_says_so_onward", &[], |collector| {
        host_has("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", None);
        let server = Server::answering("");
        runtime::block_on(builder_for(&server).send(Request::get("/").body(Body::empty()).unwrap())).unwrap();
        let seen = server.seen();
        let onward = seen[0].header("traceparent").unwrap();
        assert!(onward.starts_with(&format!("00-{TRACE}-")) && onward.ends_with("-00"), "{onward}");
        assert_eq!(collector.spans(), []);
    });
}

#[test]
fn a_failure_says_what_it_was_and_a_refusal_why() {
    exporting("a_failure_says_what_it_was_and_a_refusal_why", &[], |collector| {
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let proxy = AmbassadorProxy::builder(&format!("http://{gone}"))
            .max_retries(2)
            .backoff(briefly())
            .breaker(Breaker::default().min_calls(2))
            .build()
            .unwrap();
        for _ in 0..2 {
            runtime::block_on(proxy.send(Request::get("/").body(Body::empty()).unwrap())).unwrap_err();
        }
        let spans = collector.spans();
        let told: Vec<_> = spans
            .iter()
            .map(|span| {
                let attributes = said(&span.attributes);
                let status = span.status.as_ref().unwrap();
                assert_eq!(status.code(), StatusCode::Error);
                (attributes["ambassador.outcome"].clone(), attributes["error.type"].clone(), status.message.clone())
            })
            .collect();
        let expected =
            [("failure", "CONNECT", "retries exhausted"), ("rejected", "CIRCUIT_OPEN", "the circuit is open")];
        assert_eq!(told, expected.map(|(outcome, error, why)| (outcome.into(), error.into(), why.into())));
        assert_eq!(spans.iter().map(|span| span.events.len()).collect::<Vec<_>>(), [2, 0]);
    });
}

#[test]
fn a_response_that_is_an_error_marks_the_span() {
    exporting("a_response_that_is_an_error_marks_the_span", &[], |collector| {
        let server = Server::scripted(|peer| {
            while peer.request().is_some() {
                peer.answer(404, &[], b"");
            }
        });
        runtime::block_on(builder_for(&server).send(Request::get("/").body(Body::empty()).unwrap())).unwrap();
        let span = collector.span();
        let attributes = said(&span.attributes);
        assert_eq!((&*attributes["ambassador.outcome"], &*attributes["error.type"]), ("ok", "404"));
        assert_eq!(span.status.map(|status| status.code()), Some(StatusCode::Error));
    });
}

#[test]
fn every_attempt_of_a_hedged_call_is_an_event_also_the_one_that_lost() {
    exporting("every_attempt_of_a_hedged_call_is_an_event_also_the_one_that_lost", &[], |collector| {
        let proxy =
            builder().hedge(Hedge::after(Duration::from_millis(1))).idempotent(true).timeout(None).build().unwrap();
        let ended: Result<&str, _> = runtime::block_on(proxy.execute(|ctx| async move {
            if ctx.attempt() == 1 {
                std::future::pending::<()>().await;
            }
            Ok::<_, &str>("charged")
        }));
        assert_eq!(ended, Ok("charged"));
        let span = collector.span();
        let mut outcomes: Vec<_> = span
            .events
            .iter()
            .map(|event| said(&event.attributes))
            .map(|said| (said["ambassador.attempt.number"].clone(), said["ambassador.attempt.outcome"].clone()))
            .collect();
        outcomes.sort();
        assert_eq!(outcomes, [("1".into(), "cancelled".into()), ("2".into(), "ok".into())]);
    });
}

#[test]
fn a_call_that_is_dropped_or_answered_has_ended_all_the_same() {
    exporting("a_call_that_is_dropped_or_answered_has_ended_all_the_same", &[], |collector| {
        let proxy = builder().max_retries(1).build().unwrap();
        {
            let mut pending = Box::pin(proxy.call(std::future::pending::<Result<(), &str>>));
            let waker = std::task::Waker::noop();
            assert!(pending.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
        }
        let careful = proxy.fallback(|_| Ok("later"));
        assert_eq!(runtime::block_on(careful.call(|| async { Err("unreachable") })), Ok("later"));
        let strict = proxy.classify(|_: &Result<(), &str>| Outcome::Fail);
        let _ = runtime::block_on(strict.call(|| async { Err("refused") }));
        let told: Vec<_> = collector.spans().iter().map(|span| said(&span.attributes)).collect();
        let outcomes: Vec<_> = told.iter().map(|said| &*said["ambassador.outcome"]).collect();
        assert_eq!(outcomes, ["cancelled", "fallback", "failure"]);
    });
}

#[test]
fn the_environment_says_who_exports_how_much_and_how() {
    let environment = [
        ("OTEL_SERVICE_NAME", "shop"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20key"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2"),
        ("OTEL_BSP_SCHEDULE_DELAY", "3600000"),
    ];
    exporting("the_environment_says_who_exports_how_much_and_how", &environment, |collector| {
        let proxy = builder().build().unwrap();
        for _ in 0..5 {
            proxy.call_blocking(|| async { Ok::<_, &str>(()) }).unwrap();
        }
        // A batch that is full does not wait for its hour.
        assert_eq!(collector.0.wait_for(2)[0].header("api-key"), Some("a key"));
        assert_eq!(collector.spans().len(), 5);
        let requests = collector.requests();
        let sizes: Vec<_> = requests.iter().map(|request| spans_of(request.clone()).len()).collect();
        assert!(sizes.len() >= 3 && sizes.iter().all(|&size| size <= 2), "{sizes:?}");
        let resource = requests[0].resource_spans[0].resource.as_ref().unwrap();
        let attributes = said(&resource.attributes);
        for (name, value) in [
            ("service.name", "shop"),
            ("deployment.environment.name", "test"),
            ("telemetry.sdk.name", "ambassador"),
            ("telemetry.sdk.language", "rust"),
        ] {
            assert_eq!(attributes[name], value);
        }
    });
}

#[test]
fn a_collector_that_is_not_there_costs_spans_and_no_call_anything() {
    let environment = [("OTEL_EXPORTER_OTLP_TIMEOUT", "50"), ("OTEL_BSP_MAX_QUEUE_SIZE", "8")];
    exporting("a_collector_that_is_not_there_costs_spans_and_no_call_anything", &environment, |_| {
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        set("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{gone}"));
        let proxy = builder().build().unwrap();
        for _ in 0..100 {
            proxy.call_blocking(|| async { Ok::<_, &str>(()) }).unwrap();
        }
        assert!(runtime::shutdown(PATIENCE));
        let exported = exported().unwrap();
        assert_eq!((exported.spans, exported.dropped), (0, 100), "{exported:?}");
        assert!(exported.failed > 0);
        assert!(proxy.health().contains(r#""calls":{"ok":100,"#), "{}", proxy.health());
    });
}

#[test]
fn a_collector_that_takes_its_time_holds_up_no_shutdown() {
    exporting("a_collector_that_takes_its_time_holds_up_no_shutdown", &[], |_| {
        let stuck = Server::scripted(|peer| {
            peer.request();
            peer.wait_for_end();
        });
        set("OTEL_EXPORTER_OTLP_ENDPOINT", &stuck.url());
        let proxy = builder().build().unwrap();
        proxy.call_blocking(|| async { Ok::<_, &str>(()) }).unwrap();
        // It ends at all: the export itself has ten seconds, and an hour of patience would not be enough for a test.
        assert!(runtime::shutdown(Duration::from_millis(20)));
        assert_eq!(exported().map(|exported| exported.spans), Some(0));
    });
}

#[test]
fn without_the_switch_nothing_is_exported_and_the_hosts_span_goes_onward_as_it_is() {
    alone("without_the_switch_nothing_is_exported_and_the_hosts_span_goes_onward_as_it_is", || {
        host_has(HOSTS, Some("a=1"));
        let server = Server::answering("");
        let proxy = builder_for(&server);
        runtime::block_on(proxy.send(Request::get("/").body(Body::empty()).unwrap())).unwrap();
        let seen = server.seen();
        assert_eq!((seen[0].header("traceparent"), seen[0].header("tracestate")), (Some(HOSTS), Some("a=1")));
        let headers = runtime::block_on(proxy.execute(|ctx| async move { Ok::<_, &str>(ctx.headers()) })).unwrap();
        assert_eq!((header(&headers, "traceparent"), header(&headers, "tracestate")), (Some(HOSTS), Some("a=1")));
        assert_eq!(exported(), None);
    });
}
