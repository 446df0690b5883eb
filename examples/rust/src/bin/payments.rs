//! A payment service: the service posts its orders, and the ambassador does the networking. It chooses one of the API's endpoints,
//! sends one idempotency key with all attempts of a call, so that an answer lost on the way never charges twice, and decides
//! whether, when and where to try again.
//!
//! `payments [--calls N] URL…`, where the URLs are the endpoints of a payment API as `ambassador demo` starts one. Retry lines go
//! to stderr; the last line on stdout is a report in JSON.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use ambassador_core::http::Body;
use ambassador_core::policy::http::IdempotencyKey;
use ambassador_core::{AmbassadorProxy, Backoff, Breaker, Endpoint};
use http::Request;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const USAGE: &str = "usage: payments [--calls N] URL...";
/// Calls in flight at once.
const AT_ONCE: u32 = 4;

#[derive(Serialize)]
struct Order {
    order: String,
    amount: f64,
}

#[derive(Deserialize)]
struct Receipt {
    order: String,
}

/// Charges orders. It knows the API, not how to reach it.
struct PaymentService {
    ambassador: AmbassadorProxy,
}

impl PaymentService {
    fn new(urls: &[String]) -> Result<PaymentService, Box<dyn Error>> {
        let endpoints = urls.iter().map(|url| Endpoint::new(url).ok_or_else(|| format!("{url} is no endpoint")));
        let ambassador = AmbassadorProxy::builder("http://payment-api.example.com")
            .endpoints(endpoints.collect::<Result<Vec<_>, _>>()?)
            .idempotency_key(IdempotencyKey::Auto)
            .max_retries(6)
            .timeout(Duration::from_millis(400))
            .backoff(Backoff::exponential(Duration::from_millis(50)).max(Duration::from_millis(500)))
            // This API fails often, and is not down for that: only when nearly all fails.
            .breaker(Breaker::default().failure_rate(0.9))
            .build()?;
        Ok(PaymentService { ambassador })
    }

    async fn charge(&self, order: &Order) -> Result<Receipt, Box<dyn Error + Send + Sync>> {
        let request = Request::post("/charges")
            .header("content-type", "application/json")
            .body(Body::from(serde_json::to_vec(order)?))?;
        let response = self.ambassador.send(request).await?;
        let status = response.status();
        if !status.is_success() {
            return Err(format!("the payment API answered {status}").into());
        }
        Ok(serde_json::from_slice(&response.into_body().bytes().await?)?)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let Some((urls, calls)) = arguments(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match charge_all(&urls, calls).await {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("payments: {error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments(mut arguments: impl Iterator<Item = String>) -> Option<(Vec<String>, u32)> {
    let (mut urls, mut calls) = (Vec::new(), 40);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--calls" => calls = arguments.next()?.parse().ok()?,
            _ if !argument.starts_with('-') => urls.push(argument),
            _ => return None,
        }
    }
    (!urls.is_empty()).then_some((urls, calls))
}

async fn charge_all(urls: &[String], calls: u32) -> Result<Value, Box<dyn Error>> {
    let service = Arc::new(PaymentService::new(urls)?);
    let (next, charged) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let run = fastrand::u32(..);
    let begun = Instant::now();
    let tills: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (service, next, charged) = (Arc::clone(&service), Arc::clone(&next), Arc::clone(&charged));
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Relaxed) + 1;
                    if number > calls {
                        return;
                    }
                    let order = Order { order: format!("rust-{number}-{run:08x}"), amount: 99.99 };
                    match service.charge(&order).await {
                        Ok(receipt) if receipt.order == order.order => _ = charged.fetch_add(1, Relaxed),
                        Ok(receipt) => eprintln!("{}: the receipt is for {}", order.order, receipt.order),
                        Err(error) => eprintln!("{}: {error}", order.order),
                    }
                }
            })
        })
        .collect();
    for till in tills {
        till.await?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let health: Value = serde_json::from_str(&service.ambassador.health())?;
    let count = |at: &str| health.pointer(at).and_then(Value::as_u64).unwrap_or(0);
    let attempts: u64 =
        ["ok", "failure", "timeout", "cancelled"].iter().map(|end| count(&format!("/attempts/{end}"))).sum();
    let charged = charged.load(Relaxed);
    Ok(json!({
        "language": "Rust",
        "calls": calls,
        "attempts": attempts,
        "retries": count("/retries"),
        "timeouts": count("/attempts/timeout"),
        "charged": charged,
        "failed": calls - charged,
        "seconds": (seconds * 1000.0).round() / 1000.0,
    }))
}
