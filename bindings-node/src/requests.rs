//! Requests from JavaScript to the core: many at a time, as texts and numbers. What becomes of them comes by the [`Inbox`].

use std::fmt::Write;
use std::rc::Rc;
use std::sync::Arc;

use ambassador_core::http::{Answering, Body, Failed, Mode, Options, Retry, Served, Told};
use ambassador_core::settings::{Spelling, Value};
use ambassador_core::telemetry::trace::Context;
use ambassador_core::{AmbassadorProxy, Code, Error, runtime};
use bytes::Bytes;
use http::response::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri};
use napi::bindgen_prelude::{External, Int32ArraySlice, Uint8Array, Uint8ArraySlice};
use napi_derive::napi;

use crate::bodies::{self, Upload, Uploading};
use crate::inbox::{Entry, Inbox, Kind};
use crate::instance::Instance;
use crate::settings::milliseconds;

// Flags of a request; `lib/wire.js` has the same.
const STREAM: i32 = 1;
const IDEMPOTENT: i32 = 2;
const NOT_IDEMPOTENT: i32 = 4;
const UPLOAD: i32 = 8;
const TIMEOUT: i32 = 16;
const DEADLINE: i32 = 32;
const PARENT: i32 = 64;

/// A request that is to be sent.
struct Draft {
    id: u32,
    proxy: AmbassadorProxy,
    request: Request<Body>,
    options: Options,
}

/// Sends requests. Each has five numbers: id, proxy, flags, how many lines of the text are its own, and which of the bodies, or -1. Its lines:
/// method, path, the bounds of its own and the two of its parent that flags tell of, and by turns the name of a header and what it says.
#[napi(catch_unwind)]
pub fn send(
    instance: &External<Rc<Instance>>,
    text: String,
    numbers: Int32ArraySlice<'_>,
    count: u32,
    bodies: Vec<Uint8Array>,
) {
    let mut lines = text.split('\n');
    let mut drafts = Vec::with_capacity(count as usize);
    let mut bodies: Vec<Option<Uint8Array>> = bodies.into_iter().map(Some).collect();
    for numbers in numbers.chunks_exact(5).take(count as usize) {
        let [id, proxy, flags, own, body] = [numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]];
        let id = id as u32;
        let own: Vec<&str> = lines.by_ref().take(own as usize).collect();
        let Some(proxy) = instance.proxies.borrow_mut().get_mut(proxy as usize).map(|proxy| proxy.core.clone()) else {
            continue;
        };
        let mut inside = instance.inbox.lock();
        inside.entries.insert(id, Entry::Begun);
        let body = if flags & UPLOAD != 0 {
            let upload = Arc::new(Upload::default());
            inside.uploads.insert(id, Arc::clone(&upload));
            drop(inside);
            Body::stream(Uploading { inbox: Arc::clone(&instance.inbox), id, upload })
        } else {
            drop(inside);
            let body = usize::try_from(body).ok().and_then(|at| bodies.get_mut(at)?.take());
            body.map_or_else(Body::empty, |bytes| Body::from(Bytes::copy_from_slice(&bytes)))
        };
        match read(&own, flags, body) {
            Ok((request, options)) => drafts.push(Draft { id, proxy, request, options }),
            Err(why) => {
                let mut inside = instance.inbox.lock();
                inside.entries.remove(&id);
                inside.tell(id, Kind::Invalid, [0; 2], why.as_bytes(), Bytes::new());
            }
        }
    }
    let inbox = Arc::clone(&instance.inbox);
    if drafts.len() == 1 {
        drafts.into_iter().for_each(|draft| begin(&inbox, draft));
    } else if !drafts.is_empty() {
        // From there, many are spawned as cheaply as one is from here.
        drop(runtime::handle().spawn(async move { drafts.into_iter().for_each(|draft| begin(&inbox, draft)) }));
    }
}

fn read(lines: &[&str], flags: i32, body: Body) -> Result<(Request<Body>, Options), String> {
    let [method, path, rest @ ..] = lines else { return Err("a request has a method and a path".into()) };
    let (mut rest, mut options) = (rest, Options::default());
    options.mode = if flags & STREAM == 0 { Mode::Whole } else { Mode::Stream };
    options.idempotent = match flags {
        flags if flags & IDEMPOTENT != 0 => Some(true),
        flags if flags & NOT_IDEMPOTENT != 0 => Some(false),
        _ => None,
    };
    for (flag, field) in [(TIMEOUT, "timeoutMs"), (DEADLINE, "deadlineMs")] {
        if flags & flag != 0
            && let Some((bound, others)) = rest.split_first()
        {
            let bound = bound.parse().map_or(Value::Null, Value::Float);
            options.set(Spelling::Node, field, &bound).map_err(|wrong| wrong.to_string())?;
            rest = others;
        }
    }
    if flags & PARENT != 0
        && let [parent, state, others @ ..] = rest
    {
        options.parent = Context::parse(parent, Some(state));
        rest = others;
    }
    Ok((request(method, path, rest, body)?, options))
}

fn request(method: &str, path: &str, headers: &[&str], body: Body) -> Result<Request<Body>, String> {
    let mut request = Request::new(body);
    *request.method_mut() = Method::from_bytes(method.as_bytes()).map_err(|_| format!("{method:?} is no method"))?;
    *request.uri_mut() = Uri::try_from(path).map_err(|_| "the path is none".to_owned())?;
    for pair in headers.chunks(2) {
        let [name, value] = pair else { return Err("a header has a line break in it".into()) };
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("{name:?} is no name of a header"))?;
        let value = header_value(value).ok_or_else(|| format!("the header {name} has a value that is none"))?;
        request.headers_mut().append(name, value);
    }
    Ok(request)
}

/// What a header says: each character is a byte, as in `fetch`.
fn header_value(text: &str) -> Option<HeaderValue> {
    if text.is_ascii() {
        return HeaderValue::from_str(text).ok();
    }
    let bytes: Option<Vec<u8>> = text.chars().map(|letter| u8::try_from(u32::from(letter)).ok()).collect();
    HeaderValue::from_bytes(&bytes?).ok()
}

fn begin(inbox: &Arc<Inbox>, draft: Draft) {
    let Draft { id, proxy, request, options } = draft;
    if !inbox.lock().entries.contains_key(&id) {
        return;
    }
    let is_stream = options.mode == Mode::Stream;
    let sending = proxy.spawn_send(request, options, Caller { inbox: Arc::clone(inbox), id, is_stream });
    let mut inside = inbox.lock();
    match inside.entries.get_mut(&id) {
        Some(entry @ Entry::Begun) => *entry = Entry::Sent(sending),
        // It is over; or nobody waits for it any more, and then it ends here.
        _ => {
            drop(inside);
            sending.cancel();
        }
    }
}

/// Who is told of a request: JavaScript.
struct Caller {
    inbox: Arc<Inbox>,
    id: u32,
    is_stream: bool,
}

impl Told for Caller {
    fn retry(&mut self, retry: Retry) {
        let told = retry_of(&retry);
        // The cause is the line's end, and what comes before it is ASCII.
        let cause = retry.line.len() - retry.cause.len();
        self.inbox.tell(self.id, Kind::Retry, [retry.attempt as i32, cause as i32], told.as_bytes(), Bytes::new());
    }

    fn ended(self, ended: Result<Response<Body>, Failed>) {
        let Caller { inbox, id, is_stream } = self;
        match ended {
            Ok(response) if is_stream && response.body().as_bytes().is_none() => bodies::read(&inbox, id, response),
            Ok(response) => {
                let (parts, body) = response.into_parts();
                let (head, attempts) = (head_of(&parts), attempts_of(&parts));
                let whole = body.into_bytes().unwrap_or_default();
                let mut inside = inbox.lock();
                if inside.entries.remove(&id).is_some() {
                    inside.tell(id, Kind::Whole, [parts.status.as_u16().into(), attempts], &head, whole);
                }
            }
            Err(Failed { error, answering }) => {
                let is_answering = answering.is_some();
                let mut inside = inbox.lock();
                let ended = match answering {
                    Some(answering) if inside.entries.contains_key(&id) => {
                        inside.entries.insert(id, Entry::Answering(answering))
                    }
                    // Dropped after the lock: what answers tells the core of it.
                    answering => {
                        let ended = inside.entries.remove(&id);
                        if ended.is_none() {
                            drop(inside);
                            return drop(answering);
                        }
                        ended
                    }
                };
                inside.tell(id, Kind::Failed, [is_answering.into(), 0], error_of(&error).as_bytes(), Bytes::new());
                drop(inside);
                drop(ended);
            }
        }
    }
}

/// Which endpoint it came from; then names and values by turns, a line each.
pub fn head_of(parts: &Parts) -> Vec<u8> {
    let endpoint = parts.extensions.get::<Served>().map_or("", |served| served.endpoint.as_str());
    let mut head = Vec::with_capacity(endpoint.len() + 32 * parts.headers.len());
    head.extend_from_slice(endpoint.as_bytes());
    for (name, value) in &parts.headers {
        head.push(b'\n');
        head.extend_from_slice(name.as_str().as_bytes());
        head.push(b'\n');
        head.extend_from_slice(value.as_bytes());
    }
    head
}

/// How many attempts it took.
pub fn attempts_of(parts: &Parts) -> i32 {
    parts.extensions.get::<Served>().map_or(0, |served| served.attempts as i32)
}

/// The wait, the endpoint, the code or nothing, the status or nothing, a line each; and what is logged.
fn retry_of(retry: &Retry) -> String {
    let Retry { endpoint, wait, line, .. } = retry;
    let code = retry.code.map_or("", Code::as_str);
    let status = retry.status.map_or(String::new(), |status| status.as_u16().to_string());
    format!("{}\n{}\n{code}\n{status}\n{line}", milliseconds(wait.as_nanos() as u64), endpoint.as_str())
}

/// Code, attempts, how long it took, when to come again, a line each; and what it says.
pub fn error_of(error: &Error) -> String {
    let length = |length: std::time::Duration| milliseconds(length.as_nanos() as u64);
    let mut told = format!("{}\n{}\n{}\n", error.code().as_str(), error.attempts(), length(error.elapsed()));
    if let Some(wait) = error.retry_after() {
        let _ = write!(told, "{}", length(wait));
    }
    let _ = write!(told, "\n{error}");
    told
}

/// Nobody waits for that request any more, nor for the rest of its response.
#[napi(catch_unwind)]
pub fn give_up(instance: &External<Rc<Instance>>, id: u32) {
    let ended = instance.inbox.lock().entries.remove(&id);
    if let Some(entry) = ended {
        entry.end();
    }
}

/// The next piece of that response's body is wanted.
#[napi(catch_unwind)]
pub fn pull(instance: &External<Rc<Instance>>, id: u32) {
    if let Some(Entry::Reading(reading)) = instance.inbox.lock().entries.get(&id) {
        reading.pull();
    }
}

/// A piece of that request's body, which was wanted.
#[napi(catch_unwind)]
pub fn push(instance: &External<Rc<Instance>>, id: u32, piece: Uint8ArraySlice<'_>) {
    let upload = instance.inbox.lock().uploads.get(&id).cloned();
    if let Some(upload) = upload {
        upload.push(Bytes::copy_from_slice(&piece));
    }
}

/// That request's body is over; or has failed.
#[napi(catch_unwind)]
pub fn finish(instance: &External<Rc<Instance>>, id: u32, why: Option<String>) {
    let upload = instance.inbox.lock().uploads.remove(&id);
    if let Some(upload) = upload {
        match why {
            None => upload.end(),
            Some(why) => upload.fail(why),
        }
    }
}

/// H2: JavaScript's fallback has answered that request, or has failed too.
#[napi(catch_unwind)]
pub fn answer(instance: &External<Rc<Instance>>, id: u32, well: bool) {
    let ended = instance.inbox.lock().entries.remove(&id);
    if let Some(Entry::Answering(answering)) = ended {
        Answering::answered(answering, well);
    }
}
