//! A payment service over real HTTP: reqwest inside `execute`. Each call sends one idempotency key with all its attempts, so
//! that an answer lost on the way never charges twice. The ambassador decides whether, when and how often to try again.
//!
//! `payments [--calls N] URL`, where URL is a payment API as `ambassador demo` starts one. Retry lines go to stderr; the last
//! line on stdout is a report in JSON.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use ambassador_core::call::Outcome;
use ambassador_core::front::Attempt;
use ambassador_core::{AmbassadorProxy, Backoff, Breaker, CallError, Jitter};
use reqwest::StatusCode;
use reqwest::header::RETRY_AFTER;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const USAGE: &str = "usage: payments [--calls N] URL";
/// Calls in flight at once.
const AT_ONCE: u32 = 4;

#[derive(Clone, Serialize)]
struct Order {
    order: String,
    amount: f64,
}

#[derive(Deserialize)]
struct Receipt {
    order: String,
}

/// Charges orders. It knows the API, not how to reach it in bad times.
struct PaymentService {
    ambassador: AmbassadorProxy,
    http: reqwest::Client,
    charges: String,
}

impl PaymentService {
    fn new(url: &str) -> Result<PaymentService, Box<dyn Error>> {
        let url = url.trim_end_matches('/');
        let host = url.split_once("://").map_or(url, |(_, host)| host);
        let ambassador = AmbassadorProxy::builder(host)
            .max_retries(6)
            .timeout(Duration::from_millis(400))
            .backoff(
                Backoff::exponential(Duration::from_millis(50)).max(Duration::from_millis(500)).jitter(Jitter::Full),
            )
            // This API fails often, and is not down for that: only when nearly all fails.
            .breaker(Breaker::default().failure_rate(0.9))
            .build()?;
        Ok(PaymentService { ambassador, http: reqwest::Client::new(), charges: format!("{url}/charges") })
    }

    async fn charge(&self, order: &Order) -> Result<Receipt, CallError<reqwest::Error>> {
        self.ambassador.classify(may_be_tried_again).execute(|attempt| self.do_charge(attempt, order)).await
    }

    async fn do_charge(&self, attempt: Attempt, order: &Order) -> Result<Receipt, reqwest::Error> {
        let mut request = self.http.post(&self.charges).json(order);
        for (name, value) in attempt.headers() {
            request = request.header(name, value);
        }
        let response = request.send().await?;
        if let Some(wait) = response.headers().get(RETRY_AFTER)
            && let Some(seconds) = wait.to_str().ok().and_then(|wait| wait.parse().ok())
        {
            attempt.set_retry_after(Duration::from_secs(seconds));
        }
        response.error_for_status()?.json().await
    }
}

/// An order that the API calls wrong stays wrong.
fn may_be_tried_again(result: &Result<Receipt, reqwest::Error>) -> Outcome {
    match result {
        Ok(_) => Outcome::Ok,
        Err(error) if error.status().is_some_and(|status| status.is_client_error() && !too_many(status)) => {
            Outcome::Fail
        }
        Err(_) => Outcome::Retry,
    }
}

fn too_many(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let Some((url, calls)) = arguments(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match charge_all(&url, calls).await {
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

fn arguments(mut arguments: impl Iterator<Item = String>) -> Option<(String, u32)> {
    let (mut url, mut calls) = (None, 40);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--calls" => calls = arguments.next()?.parse().ok()?,
            _ if url.is_none() && !argument.starts_with('-') => url = Some(argument),
            _ => return None,
        }
    }
    Some((url?, calls))
}

async fn charge_all(url: &str, calls: u32) -> Result<Value, Box<dyn Error>> {
    let service = Arc::new(PaymentService::new(url)?);
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
