//! The HTTP side of the payment API: routes, the checks of a request, and the plan carried out. What it cannot do to a
//! request by answering (reset it, refuse new connections) it asks of `server.rs` by an [`Ending`].

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::ledger::{Charged, Ledger};
use super::plan::{Act, Plan};

/// The largest body of a request, in bytes.
pub const MAX_BODY: usize = 16 * 1024;
const MAX_NAME: usize = 200;
const BODY_PATIENCE: Duration = Duration::from_secs(5);
/// After that even a hung request ends, so that a client without a timeout does not hold its connection for ever.
const HANG: Duration = Duration::from_secs(60);

/// The payment API: what all its connections share.
#[derive(Debug)]
pub struct Payments {
    ledger: Ledger,
    plan: Plan,
    /// How many requests could be charged, so far.
    requests: watch::Sender<u64>,
}

/// An end of a connection that is no answer.
#[derive(Debug)]
pub enum Ending {
    /// These bytes of a response, then a reset.
    Reset(Vec<u8>),
    /// A reset, and new connections are refused for that time.
    Refuse(Duration),
}

#[derive(Deserialize)]
struct Order {
    order: String,
    amount: f64,
}

type Answer = Response<Full<Bytes>>;

/// What is wrong with a request, and the status that says so.
struct Fault(StatusCode, String);

impl Payments {
    /// An API with an empty ledger that misbehaves by that plan.
    pub fn new(plan: Plan) -> Payments {
        Payments { ledger: Ledger::default(), plan, requests: watch::Sender::new(0) }
    }

    /// Who was charged.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Ends when that many requests have come that could be charged.
    pub async fn after(&self, requests: u64) {
        // Its sender is this very state's: it cannot be closed while that is looked at.
        let _ = self.requests.subscribe().wait_for(|count| *count >= requests).await;
    }

    /// Answers a request, or ends its connection through `ending`.
    ///
    /// # Errors
    /// None: every fault of a request is an answer.
    pub async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        ending: UnboundedSender<Ending>,
    ) -> Result<Answer, Infallible> {
        let (get, post) = (request.method() == Method::GET, request.method() == Method::POST);
        Ok(match request.uri().path() {
            "/charges" if post => self.charge(request, ending).await,
            "/charges" => not_allowed("POST"),
            "/ledger" if get => self.tell(),
            "/healthz" if get => answer(StatusCode::OK, &json!({ "status": "ok" })),
            "/ledger" | "/healthz" => not_allowed("GET"),
            path => refused(
                StatusCode::NOT_FOUND,
                &format!("there is no {path}; there are POST /charges, GET /ledger and GET /healthz"),
            ),
        })
    }

    fn tell(&self) -> Answer {
        let body = json!({ "charges": self.ledger.charges(), "not_charged": self.ledger.not_charged() });
        answer(StatusCode::OK, &body)
    }

    async fn charge(&self, request: Request<Incoming>, ending: UnboundedSender<Ending>) -> Answer {
        let key = match key_of(request.headers()) {
            Ok(key) => key,
            Err(Fault(status, why)) => return refused(status, &why),
        };
        let order = match order_of(request.into_body()).await {
            Ok(order) => order,
            Err(Fault(status, why)) => return refused(status, &why),
        };
        if let Err(taken) = self.ledger.ask(&key, &order.order, order.amount) {
            let why =
                format!("this Idempotency-Key stands for order {} of {}; send another key", taken.order, taken.amount);
            return refused(StatusCode::UNPROCESSABLE_ENTITY, &why);
        }
        // Only requests that could be charged are numbered: a client's own mistakes do not shift the plan.
        let mut number = 0;
        self.requests.send_modify(|requests| {
            *requests += 1;
            number = *requests;
        });
        let charge = || charged(self.ledger.charge(&key));
        match self.plan.act(number) {
            Act::Answer => charge(),
            Act::Slow(time) => {
                let answer = charge();
                sleep(time).await;
                answer
            }
            Act::Unavailable(retry_after) => {
                let mut answer = refused(StatusCode::SERVICE_UNAVAILABLE, "the payment API is busy; try again");
                if let Some(seconds) = retry_after {
                    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
                }
                answer
            }
            Act::Reset { charged } => {
                let answer =
                    if charged { charge() } else { refused(StatusCode::INTERNAL_SERVER_ERROR, "out of order") };
                end(ending, Ending::Reset(half_of(answer).await)).await
            }
            Act::Hang { charged } => {
                if charged {
                    let _ = charge();
                }
                sleep(HANG).await;
                end(ending, Ending::Reset(Vec::new())).await
            }
            Act::Refuse(time) => end(ending, Ending::Refuse(time)).await,
        }
    }
}

/// The connection's task ends it; no answer is ever given here.
async fn end(endings: UnboundedSender<Ending>, ending: Ending) -> Answer {
    let _ = endings.send(ending);
    std::future::pending().await
}

/// The first half of a response, as it stands on the wire.
async fn half_of(answer: Answer) -> Vec<u8> {
    let (head, body) = answer.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let mut wire =
        format!("HTTP/1.1 {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", head.status, body.len())
            .into_bytes();
    wire.extend_from_slice(&body[..body.len() / 2]);
    wire
}

fn key_of(headers: &HeaderMap) -> Result<String, Fault> {
    let Some(key) = headers.get("idempotency-key") else {
        let why = "send an Idempotency-Key header, the same for every attempt of a charge: without it a retry would charge twice";
        return Err(Fault(StatusCode::BAD_REQUEST, why.into()));
    };
    match key.to_str() {
        Ok(key) if !key.is_empty() && key.len() <= MAX_NAME => Ok(key.into()),
        _ => Err(Fault(StatusCode::BAD_REQUEST, "Idempotency-Key: expected 1 to 200 visible ASCII characters".into())),
    }
}

async fn order_of<B>(body: B) -> Result<Order, Fault>
where
    B: Body,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let body = match timeout(BODY_PATIENCE, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            return Err(Fault(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {MAX_BODY} bytes")));
        }
        Ok(Err(error)) => {
            return Err(Fault(StatusCode::BAD_REQUEST, format!("the body broke off: {error}")));
        }
        Err(_) => {
            return Err(Fault(StatusCode::REQUEST_TIMEOUT, "the body did not come within 5 seconds".into()));
        }
    };
    let order: Order = serde_json::from_slice(&body).map_err(|error| {
        let why = format!(r#"expected JSON like {{"order": "python-1", "amount": 9.99}}: {error}"#);
        Fault(StatusCode::BAD_REQUEST, why)
    })?;
    if order.order.is_empty() || order.order.len() > MAX_NAME {
        return Err(Fault(StatusCode::BAD_REQUEST, "order: expected 1 to 200 bytes".into()));
    }
    // JSON knows no NaN and serde_json refuses what overflows, so this is all that is left to check.
    if order.amount <= 0.0 {
        return Err(Fault(
            StatusCode::BAD_REQUEST,
            format!("amount: {} is not allowed; expected more than 0", order.amount),
        ));
    }
    Ok(order)
}

fn charged(charged: Option<Charged>) -> Answer {
    let Some(Charged { entry, again }) = charged else {
        return refused(StatusCode::INTERNAL_SERVER_ERROR, "this key was never asked for");
    };
    let body = json!({ "status": "charged", "charge": entry.charge, "order": entry.order, "amount": entry.amount });
    answer(if again { StatusCode::OK } else { StatusCode::CREATED }, &body)
}

fn not_allowed(allowed: &'static str) -> Answer {
    let mut answer = refused(StatusCode::METHOD_NOT_ALLOWED, &format!("only {allowed} is allowed here"));
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

fn refused(status: StatusCode, why: &str) -> Answer {
    answer(status, &json!({ "error": why }))
}

fn answer(status: StatusCode, body: &Value) -> Answer {
    let mut answer = Response::new(Full::from(format!("{body}\n")));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}
