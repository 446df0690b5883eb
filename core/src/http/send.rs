//! The way of a request: a call as any other, whose function is one exchange with an endpoint. What comes of an exchange is told to
//! the core by its class (P1–P3); the core alone decides what follows.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, Version};
use http_body_util::BodyExt;

use super::auth::{Origin, Sent};
use super::body::Body;
use super::engine::Engine;
use super::exchange::{Arriving, exchange};
use super::fault::Fault;
use super::redirect;
use super::replay::Replay;
use super::request::{Asked, Draft, IDEMPOTENCY_KEY, Site, without_credentials};
use super::rules::{self, Repeat};
use super::{Answering, Failed, Mode, Options, Retry, Served};
use crate::balance::HashOn;
use crate::call::{Call, Outcome};
use crate::clock::{self, Nanos};
use crate::endpoint::Endpoint;
use crate::error::{Code, Error};
use crate::front::{Answer, CallError, Reads, Retried, Terms};
use crate::proxy::AmbassadorProxy;
use crate::telemetry::spans::{self, Brought, Requested, Span};
use crate::telemetry::trace::Context;

/// A request on its way, whatever attempt it is at.
struct Errand<'a, L> {
    proxy: &'a AmbassadorProxy,
    engine: Arc<Engine>,
    draft: Draft,
    body: Outgoing,
    mode: Mode,
    is_idempotent: bool,
    /// P1: whether an attempt may have been acted on. Reset when it turned out that it was not.
    is_sent: AtomicBool,
    /// Whether a server has refused who sends it, and was told otherwise.
    has_asked_again: AtomicBool,
    /// The attempts that wait for credentials, by their numbers modulo 64.
    unauthorized: AtomicU64,
    /// Where the attempt went that brought nothing last.
    failed_at: Mutex<Option<Endpoint>>,
    on_retry: L,
    /// P6: what it comes from.
    parent: Option<Context>,
    span: OnceLock<Span>,
}

/// An attempt at an endpoint. Dropped, it has brought nothing.
struct Visit<'a> {
    endpoint: Option<Endpoint>,
    failed_at: &'a Mutex<Option<Endpoint>>,
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        if let Some(endpoint) = self.endpoint.take() {
            *lock(self.failed_at) = Some(endpoint);
        }
    }
}

/// What an attempt's body is made from (P4).
enum Outgoing {
    Whole(Bytes),
    Stream(Replay),
}

impl Outgoing {
    fn is_there(&self) -> bool {
        match self {
            Outgoing::Whole(_) => true,
            Outgoing::Stream(replay) => replay.is_whole(),
        }
    }

    fn for_attempt(&self) -> Body {
        match self {
            Outgoing::Whole(bytes) => Body::from(bytes.clone()),
            Outgoing::Stream(replay) => replay.rewound(),
        }
    }
}

impl<'a, L> Errand<'a, L> {
    fn new(
        proxy: &'a AmbassadorProxy,
        request: Request<Body>,
        options: Options,
        on_retry: L,
    ) -> Result<Errand<'a, L>, String> {
        let engine = proxy.engine();
        let policy = proxy.policy();
        let (parts, body) = request.into_parts();
        let is_stream = body.as_bytes().is_none();
        let body = match body.into_bytes() {
            Ok(bytes) => Outgoing::Whole(bytes),
            Err(stream) => Outgoing::Stream(Replay::new(stream, engine.http().replay_bytes as usize)),
        };
        let mut draft = Draft::new(&proxy.common(), &policy, parts, engine.http().decompress, is_stream)?;
        let parent =
            if proxy.is_exporter() { None } else { draft.trace_on(|| options.parent_now(), || proxy.random_trace()) };
        let is_idempotent = options.idempotent.unwrap_or_else(|| {
            policy.idempotent || rules::is_idempotent(&draft.method) || draft.headers.contains_key(IDEMPOTENCY_KEY)
        });
        Ok(Errand {
            proxy,
            engine,
            draft,
            body,
            mode: options.mode,
            is_idempotent,
            is_sent: AtomicBool::new(false),
            has_asked_again: AtomicBool::new(false),
            unauthorized: AtomicU64::new(0),
            failed_at: Mutex::default(),
            on_retry,
            parent,
            span: OnceLock::new(),
        })
    }

    /// S3: what its span says of it.
    fn requested(&self) -> Requested {
        let site = &self.proxy.common().site;
        let (host, port, is_tls) = site.parts();
        Requested {
            method: self.draft.method.clone(),
            scheme: if is_tls { "https" } else { "http" },
            host: host.into(),
            port,
            path: self.draft.path.path().into(),
        }
    }

    fn attempt(&self, call: &Call) -> impl Future<Output = Result<Response<Body>, Fault>> + Send + use<'_, 'a, L>
    where
        L: Sync,
    {
        let call = *call;
        async move {
            self.is_sent.store(false, Relaxed);
            let endpoint = self.proxy.endpoint_of(&call);
            let pool = self.engine.pool(&endpoint, self.proxy.parsed_target());
            let mut visit = Visit { endpoint: Some(endpoint), failed_at: &self.failed_at };
            let http = self.engine.http();
            let common = self.proxy.common();
            let (site, draft) = (&common.site, &self.draft);
            let mut arriving = loop {
                let authorized = self.authorized(&call).await?;
                let arriving = exchange(Arc::clone(&pool), &self.is_sent, http.max_header_bytes, |place, is_two| {
                    let mut headers = draft.for_attempt(&call, http.attempt_headers, clock::now());
                    if let Some((who, _)) = &authorized {
                        headers.extend(who.clone());
                    }
                    let (method, path, body) = (draft.method.clone(), draft.path.clone(), self.body.for_attempt());
                    let asked = Asked { method, path, headers, body };
                    if is_two { site.by_two(asked) } else { site.by_one(asked, place.asked_proxy()) }
                })
                .await?;
                if arriving.head.status != StatusCode::UNAUTHORIZED || !self.asks_again(authorized) {
                    break arriving;
                }
                // Whoever refuses to listen has done nothing.
                self.is_sent.store(false, Relaxed);
            };
            if http.follow_redirects > 0 && arriving.head.status.is_redirection() {
                arriving = Box::pin(self.follow(&call, arriving)).await?;
            }
            let place = Arc::clone(&arriving.link.pool.place.name);
            let (head, body) = arriving.parts(draft.unpacks).await;
            let body = match self.mode {
                Mode::Whole => Body::from(body.whole(http.max_body_bytes, &place).await?),
                Mode::Stream => {
                    let proxy = self.proxy.clone();
                    Body::stream(body.map_err(move |fault| error_of(&proxy, &fault, &call)))
                }
            };
            let mut response = Response::from_parts(head, body);
            if let Some(endpoint) = visit.endpoint.take() {
                let attempt = call.attempt();
                response.extensions_mut().insert(Served { endpoint, attempt, attempts: attempt });
            }
            Ok(response)
        }
    }

    /// Who sends it, as a header says it, unless the request's own does.
    async fn authorized(&self, call: &Call) -> Result<Option<(HeaderMap, Sent)>, Fault> {
        let Some(authorizer) = self.proxy.authorizer().filter(|by| !self.draft.headers.contains_key(by.header()))
        else {
            return Ok(None);
        };
        let mut headers = HeaderMap::new();
        // P5: it is for the target, whatever endpoint it goes to.
        let origin = Origin::of_target(self.proxy.parsed_target());
        let this = bit(call.attempt());
        self.unauthorized.fetch_or(this, Relaxed);
        let sent = authorizer.authorize(&origin, &mut headers).await;
        let sent = sent.map_err(|fault| Fault::auth(&fault))?;
        self.unauthorized.fetch_and(!this, Relaxed);
        Ok(Some((headers, sent)))
    }

    /// After a 401: whether the request is sent once more, with other credentials. Once in a call.
    fn asks_again(&self, authorized: Option<(HeaderMap, Sent)>) -> bool {
        let (Some((_, sent)), Some(authorizer)) = (authorized, self.proxy.authorizer()) else { return false };
        self.body.is_there() && !self.has_asked_again.swap(true, Relaxed) && authorizer.refused(&sent)
    }

    /// P5: follows redirects, as many as are asked for; the response that is none, or leads nowhere.
    async fn follow(&self, call: &Call, first: Arriving) -> Result<Arriving, Fault> {
        let (common, http) = (self.proxy.common(), self.engine.http());
        let home = Arc::clone(&first.link.pool);
        let (mut site, mut method, mut path) =
            (common.site.clone(), self.draft.method.clone(), self.draft.path.clone());
        let mut headers = self.draft.for_attempt(call, http.attempt_headers, clock::now());
        let (mut arriving, mut has_body, mut has_left) = (first, true, false);
        for _ in 0..http.follow_redirects {
            let head = &arriving.head;
            let onward = redirect::onward(head.status, &head.headers, &method, &site.scheme, &site.authority, &path);
            // P4
            let Some(onward) = onward.filter(|onward| !(onward.has_body && has_body) || self.body.is_there()) else {
                break;
            };
            arriving.leave().await;
            site = Site::new(onward.scheme, onward.authority.as_str());
            (method, path) = (onward.method, onward.path);
            if !onward.has_body {
                has_body = false;
                redirect::without_body(&mut headers);
            }
            let pool = if site.is(&common.site) {
                Arc::clone(&home)
            } else {
                // And they do not come back.
                has_left = true;
                without_credentials(&mut headers, &common);
                self.engine.elsewhere(&site)
            };
            let mut headers = headers.clone();
            if !has_left && let Some((who, _)) = self.authorized(call).await? {
                headers.extend(who);
            }
            arriving = exchange(pool, &self.is_sent, http.max_header_bytes, |place, is_two| {
                let body = if has_body { self.body.for_attempt() } else { Body::empty() };
                let asked = Asked { method: method.clone(), path: path.clone(), headers: headers.clone(), body };
                if is_two { site.by_two(asked) } else { site.by_one(asked, place.asked_proxy()) }
            })
            .await?;
        }
        Ok(arriving)
    }

    fn class(&self, brought: &Result<Response<Body>, Fault>) -> Outcome {
        let repeat = Repeat {
            is_idempotent: self.is_idempotent,
            has_body: self.body.is_there(),
            has_elsewhere: brought.is_err() && self.proxy.endpoint_count() > 1,
        };
        rules::class(brought, repeat)
    }
}

impl<L: Fn(Retry)> Reads<Response<Body>, Fault> for Errand<'_, L> {
    fn hint(&self, attempt: u32, brought: Option<&Result<Response<Body>, Fault>>) -> Option<Nanos> {
        let brought = brought?;
        // P6: its span is told of it by the way.
        if let Some(span) = self.span.get() {
            span.brought(attempt, told_of(brought));
        }
        brought.as_ref().ok().and_then(rules::hint)
    }

    fn prepared(&self, call: Call) -> Call {
        // E1
        let mut call = match &self.proxy.policy().shared.hash_on {
            None => call,
            Some(HashOn::Path) => call.keyed(self.draft.path.as_str().as_bytes()),
            Some(HashOn::Header(name)) => match self.draft.headers.get(name) {
                Some(value) => call.keyed(value.as_bytes()),
                None => call,
            },
        };
        // P6
        if self.proxy.has_spans() {
            call.set_span(spans::begin(call.entered(), self.parent.clone(), Some(self.requested())));
            let _ = self.span.set(call.span());
        }
        call
    }

    fn text(&self, response: &Response<Body>) -> String {
        let status = response.status();
        match status.canonical_reason() {
            Some(reason) => format!("HTTP {} {reason}", status.as_u16()),
            None => format!("HTTP {}", status.as_u16()),
        }
    }

    fn retried(&self, retried: Retried<'_, Response<Body>, Fault>) {
        let Retried { attempt, wait, brought, cause, line } = retried;
        let response = brought.and_then(Result::ok);
        let served = response.and_then(|response| response.extensions().get::<Served>());
        let endpoint = match served {
            Some(served) => Some(served.endpoint.clone()),
            None if self.went_nowhere(attempt) => None,
            None => lock(&self.failed_at).clone(),
        };
        (self.on_retry)(Retry {
            attempt,
            endpoint: endpoint.unwrap_or_else(|| self.proxy.itself()),
            code: match brought {
                None => Some(Code::Timeout),
                Some(brought) => brought.err().map(|fault| fault.code),
            },
            status: response.map(Response::status),
            cause,
            wait: Duration::from_nanos(wait),
            line,
        });
    }

    fn went_nowhere(&self, attempt: u32) -> bool {
        self.unauthorized.load(Relaxed) & bit(attempt) != 0
    }

    fn may_follow(&self) -> bool {
        self.body.is_there() && (self.is_idempotent || !self.is_sent.load(Relaxed))
    }

    fn may_hedge(&self) -> bool {
        self.is_idempotent
    }
}

/// Of the few attempts that run at once, one has it.
const fn bit(attempt: u32) -> u64 {
    1 << (attempt % u64::BITS)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a span tells of what an attempt brought.
fn told_of(brought: &Result<Response<Body>, Fault>) -> Brought {
    match brought {
        Ok(response) => Brought::Response {
            status: response.status().as_u16(),
            version: match response.version() {
                Version::HTTP_2 => "2",
                Version::HTTP_10 => "1.0",
                _ => "1.1",
            },
        },
        Err(fault) => Brought::Fault(fault.code),
    }
}

/// The error of a call whose last attempt failed so.
fn error_of(proxy: &AmbassadorProxy, fault: &Fault, call: &Call) -> Error {
    proxy.error_saying(fault.code, &fault.to_string(), Some(call), clock::now())
}

/// Keeps the call, as it ends, for whom it may concern; and for a host that answers its error.
struct Keeper<'a>(&'a Mutex<Option<Call>>);

impl Answer<Response<Body>, Fault> for Keeper<'_> {
    fn answer(&self, _: &CallError<Fault>) -> Option<Result<Response<Body>, CallError<Fault>>> {
        None
    }

    fn keep(&self, call: &Call) -> bool {
        *lock(self.0) = Some(*call);
        true
    }

    fn gave(&self, response: &mut Response<Body>, call: &Call) {
        if let Some(served) = response.extensions_mut().get_mut::<Served>() {
            served.attempts = call.attempt();
        }
    }
}

impl AmbassadorProxy {
    /// Sends it, and tells of retries.
    pub(super) async fn send_telling(
        &self,
        request: Request<Body>,
        options: Options,
        on_retry: impl Fn(Retry) + Sync,
    ) -> Result<Response<Body>, Failed> {
        let bounded = options.bounds().map(|bounds| self.within(bounds));
        let proxy = bounded.as_deref().unwrap_or(self);
        let errand = match Errand::new(proxy, request, options, on_retry) {
            Ok(errand) => errand,
            Err(why) => {
                let error = proxy.error_saying(Code::Protocol, &why, None, clock::now());
                return Err(Failed { error, answering: None });
            }
        };
        let kept = Mutex::new(None);
        let terms = Terms {
            proxy,
            classifier: |brought: &_| errand.class(brought),
            on_retry: |_: &str| (),
            fallback: Keeper(&kept),
        };
        let ended = terms.run(|call| errand.attempt(call), &errand).await;
        let error = match ended {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        let call = kept.into_inner().unwrap_or_else(PoisonError::into_inner);
        let error = match error {
            CallError::Ambassador(error, _) => error,
            CallError::Failed(fault) => proxy.error_saying(fault.code, &fault.to_string(), call.as_ref(), clock::now()),
        };
        let answering = call.filter(Call::is_answering).map(|call| Answering::new(proxy.clone(), call));
        Err(Failed { error, answering })
    }
}
