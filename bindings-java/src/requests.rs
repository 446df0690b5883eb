//! Requests by the core: each is spawned on the shared runtime, and what comes of it is told by [`mail`](crate::mail), as one array of
//! bytes for each message.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ambassador_core::http::{Answering, Body, Failed, Mode, Options, Retry, Sending, Served, Told};
use ambassador_core::{Code, Error, runtime};
use bytes::Bytes;
use http::{Request, Response, Version};
use jni::errors::{Result, ThrowRuntimeExAndDefault};
use jni::objects::{JByteArray, JClass, JLongArray, JObjectArray, JString};
use jni::sys::{jboolean, jint, jlong};
use jni::{Env, EnvUnowned};
use tokio::task::AbortHandle;

use crate::feed::{Feed, Outgoing};
use crate::handle;
use crate::mail::{self, Mailbox, Message, Turn};
use crate::tracing;

/// A request on its way, as Java holds it.
struct Exchange {
    sending: Sending,
    /// Of who waits for it alone.
    mailbox: Option<Arc<Mailbox>>,
}

/// Who is told of it.
struct Teller {
    ticket: jlong,
    mailbox: Option<Arc<Mailbox>>,
}

impl Teller {
    fn tell(&self, message: Message) {
        match &self.mailbox {
            Some(mailbox) => mailbox.post(message),
            None => mail::post(self.ticket, message),
        }
    }
}

impl Told for Teller {
    fn retry(&mut self, retry: Retry) {
        self.tell(Message::Retry(retry.line));
    }

    fn ended(self, ended: std::result::Result<Response<Body>, Failed>) {
        self.tell(match ended {
            Ok(response) => Message::Response(Box::new(response)),
            Err(failed) => Message::Failed(Box::new(failed)),
        });
    }
}

/// A response's body that is a stream. Each piece is asked for.
struct Incoming {
    ticket: jlong,
    /// `None` while the next piece is read, and after the end.
    body: Arc<Mutex<Option<Body>>>,
    reading: Mutex<Option<AbortHandle>>,
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Some(reading) = self.reading.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            reading.abort();
        }
    }
}

/// How a request is sent, in `flags`.
const STREAM: jint = 1;
const BLOCKING: jint = 2;
const IDEMPOTENT: jint = 4;
const NOT_IDEMPOTENT: jint = 8;

/// Sends a request. `head` has a line each for its method, its path, and names and values of its headers; `body` is whole, or else
/// `feed` is a stream of `length` bytes, which is -1 when nobody knows. `timeout` and `deadline` are bounds of its own, in nanoseconds: 0 for
/// the proxy's, below it for none; `parent` is the host's present span. What comes of it is told to `ticket`; of who waits for it alone, only the bodies' pieces are.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)]
pub extern "system" fn Java_io_ambassador_Native_send<'local>(
    mut env: EnvUnowned<'local>,
    _: JClass<'local>,
    proxy: jlong,
    head: JByteArray<'local>,
    body: JByteArray<'local>,
    feed: jlong,
    length: jlong,
    flags: jint,
    timeout: jlong,
    deadline: jlong,
    ticket: jlong,
    parent: JString<'local>,
) -> jlong {
    env.with_env(|env| {
        // SAFETY: Java passes the handle of a proxy that it keeps alive until this returns.
        let Some(proxy) = (unsafe { handle::proxy(proxy) }) else {
            return Ok(0);
        };
        let head = env.convert_byte_array(&head)?;
        // SAFETY: Java passes the handle of a feed that it holds until this returns, or 0.
        let feed = unsafe { feed_of(feed) };
        let body = match feed {
            _ if !body.is_null() => Body::from(env.convert_byte_array(&body)?),
            Some(feed) => Body::stream(Outgoing::new(Arc::clone(feed), u64::try_from(length).ok())),
            None => Body::empty(),
        };
        let mailbox = (flags & BLOCKING != 0).then(Arc::<Mailbox>::default);
        let told = Teller { ticket, mailbox: mailbox.clone() };
        let mut options = Options::default();
        if flags & STREAM != 0 {
            options.mode = Mode::Stream;
        }
        options.idempotent = match flags {
            flags if flags & IDEMPOTENT != 0 => Some(true),
            flags if flags & NOT_IDEMPOTENT != 0 => Some(false),
            _ => None,
        };
        (options.timeout, options.deadline) = (bound(timeout), bound(deadline));
        options.parent = tracing::context(env, &parent)?;
        Ok::<_, jni::errors::Error>(match request(&head, body) {
            Ok(request) => handle::lend(Exchange { sending: proxy.spawn_send(request, options, told), mailbox }),
            Err(_) => 0,
        })
    })
    .resolve::<ThrowRuntimeExAndDefault>()
}

/// A bound as Java tells it.
fn bound(nanos: jlong) -> Option<Duration> {
    (nanos != 0).then(|| u64::try_from(nanos).map_or(Duration::MAX, Duration::from_nanos))
}

fn request(head: &[u8], body: Body) -> std::result::Result<Request<Body>, http::Error> {
    let mut lines = head.split(|byte| *byte == b'\n');
    let mut line = || lines.next();
    let mut request = Request::builder().method(line().unwrap_or_default()).uri(line().unwrap_or_default());
    while let (Some(name), Some(value)) = (line(), line()) {
        request = request.header(name, value);
    }
    request.body(body)
}

/// For the thread that waits for a request alone: the next message; null when it was woken.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_await<'local>(
    mut env: EnvUnowned<'local>,
    _: JClass<'local>,
    exchange: jlong,
    ticket: jlong,
) -> JByteArray<'local> {
    env.with_env(|env| {
        // SAFETY: Java passes the handle of an exchange that it holds until this returns.
        let mailbox = unsafe { (exchange as *const Exchange).as_ref() }.and_then(|exchange| exchange.mailbox.as_ref());
        match mailbox.and_then(|mailbox| mailbox.wait()) {
            Some(message) => pack(env, ticket, message),
            None => Ok(JByteArray::default()),
        }
    })
    .resolve::<ThrowRuntimeExAndDefault>()
}

/// Who waits for the request, now or next, is to wait no more.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_wake(_: EnvUnowned<'_>, _: JClass<'_>, exchange: jlong) {
    // SAFETY: Java passes the handle of an exchange that it holds until this returns.
    let exchange = unsafe { (exchange as *const Exchange).as_ref() };
    if let Some(mailbox) = exchange.and_then(|exchange| exchange.mailbox.as_ref()) {
        mailbox.wake();
    }
}

/// Nobody asks for the request any more; one that has not ended does so now, if it is to be cancelled.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_release(
    _: EnvUnowned<'_>,
    _: JClass<'_>,
    exchange: jlong,
    cancels: jboolean,
) {
    // SAFETY: Java passes the handle of an exchange that it holds, and forgets it here.
    if let Some(exchange) = unsafe { handle::take_back::<Exchange>(exchange) }
        && cancels
    {
        exchange.sending.cancel();
    }
}

/// For a thread that delivers messages, having led in that term or never (0): waits until there is something to do. Fills `messages`
/// and `tickets`, and tells how many; or tells 0, when it is to lead from now on: `tickets` then has the term and how many stand
/// by. -1: the thread is to end.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_mail<'local>(
    mut env: EnvUnowned<'local>,
    _: JClass<'local>,
    term: jlong,
    tickets: JLongArray<'local>,
    messages: JObjectArray<'local, JByteArray<'local>>,
) -> jint {
    env.with_env(|env| match mail::next(term) {
        Turn::End => Ok(-1),
        Turn::Lead { term, spares } => {
            tickets.set_region(env, 0, &[term, spares])?;
            Ok(0)
        }
        Turn::Deliver(batch) => {
            let count = batch.len();
            let mut numbers = [0; mail::BATCH];
            for (at, (ticket, message)) in batch.into_iter().enumerate() {
                numbers[at] = ticket;
                let packed = pack(env, ticket, message)?;
                messages.set_element(env, at, &packed)?;
                env.delete_local_ref(packed);
            }
            tickets.set_region(env, 0, &numbers[..count])?;
            Ok::<_, jni::errors::Error>(count as jint)
        }
    })
    .resolve::<ThrowRuntimeExAndDefault>()
}

/// The next piece of a response's body, of which there has to be none on its way, is told to its ticket.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_pull(_: EnvUnowned<'_>, _: JClass<'_>, incoming: jlong) {
    // SAFETY: Java passes the handle of a body that it holds until this returns.
    let Some(incoming) = (unsafe { (incoming as *const Incoming).as_ref() }) else {
        return;
    };
    let (body, ticket) = (Arc::clone(&incoming.body), incoming.ticket);
    let Some(mut stream) = body.lock().unwrap_or_else(PoisonError::into_inner).take() else {
        return;
    };
    let reading = runtime::handle().spawn(async move {
        let message = match stream.chunk().await {
            Some(Ok(piece)) => {
                *body.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream);
                Message::Piece(piece)
            }
            Some(Err(error)) => Message::Broken(error),
            None => Message::End,
        };
        mail::post(ticket, message);
    });
    *incoming.reading.lock().unwrap_or_else(PoisonError::into_inner) = Some(reading.abort_handle());
}

/// Nobody reads the body any further.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_leave(_: EnvUnowned<'_>, _: JClass<'_>, incoming: jlong) {
    // SAFETY: Java passes the handle of a body that it holds, and forgets it here.
    drop(unsafe { handle::take_back::<Incoming>(incoming) });
}

/// H2: the fallback has answered in place of a request's error, or nobody wants it to.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_answer(
    _: EnvUnowned<'_>,
    _: JClass<'_>,
    answering: jlong,
    well: jboolean,
) {
    // SAFETY: Java passes the handle that came with the request's error, and forgets it here.
    if let Some(answering) = unsafe { handle::take_back::<Answering>(answering) } {
        answering.answered(well);
    }
}

/// A request's body that is a stream, and of which its ticket is told what was taken.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_feed(_: EnvUnowned<'_>, _: JClass<'_>, ticket: jlong) -> jlong {
    handle::lend(Feed::new(ticket))
}

/// The next piece of it.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_feedPiece<'local>(
    mut env: EnvUnowned<'local>,
    _: JClass<'local>,
    feed: jlong,
    piece: JByteArray<'local>,
) {
    env.with_env(|env| {
        // SAFETY: Java passes the handle of a feed that it holds until this returns.
        if let Some(feed) = unsafe { feed_of(feed) } {
            feed.piece(Bytes::from(env.convert_byte_array(&piece)?));
        }
        Ok::<_, jni::errors::Error>(())
    })
    .resolve::<ThrowRuntimeExAndDefault>();
}

/// There is no more of it, because it is complete, or, where something is said, because it broke off. Java forgets it here.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_feedEnd<'local>(
    mut env: EnvUnowned<'local>,
    _: JClass<'local>,
    feed: jlong,
    why: JString<'local>,
) {
    env.with_env(|env| {
        let why = if why.is_null() { None } else { Some(why.try_to_string(env)?) };
        // SAFETY: Java passes the handle of a feed that it holds, and forgets it here.
        if let Some(feed) = unsafe { handle::take_back::<Arc<Feed>>(feed) } {
            feed.end(why);
        }
        Ok::<_, jni::errors::Error>(())
    })
    .resolve::<ThrowRuntimeExAndDefault>();
}

/// # Safety
/// `feed` is 0, or a feed's handle that is not taken back while the answer is used.
unsafe fn feed_of<'a>(feed: jlong) -> Option<&'a Arc<Feed>> {
    // SAFETY: as this function asks of its caller.
    unsafe { (feed as *const Arc<Feed>).as_ref() }
}

// The first byte of a message tells what it is.
const RESPONSE: u8 = 0;
const FAILED: u8 = 1;
const RETRY: u8 = 2;
const PIECE: u8 = 3;
const END: u8 = 4;
const BROKEN: u8 = 5;
const TAKEN: u8 = 6;
const UNWANTED: u8 = 7;

/// How long the numbers of a response are.
const RESPONSE_HEAD: usize = 20;

/// A message as Java reads it, numbers with their highest byte first.
///
/// A response: its version, its status (2), how long its head is (4), the handle of a body that is a stream (8), how many
/// attempts there were (4); its head, a line each for the endpoint and names and values of headers; its body.
/// A failure: the place of its code, two bytes, its attempts (4), the handle of what may answer it (8), how long it took (8), when
/// to come again (8), its message. Anything else: what there is to say.
fn pack<'local>(env: &mut Env<'local>, ticket: jlong, message: Message) -> Result<JByteArray<'local>> {
    match message {
        Message::Response(response) => response_of(env, ticket, *response),
        Message::Failed(failed) => {
            let answering = failed.answering.map_or(0, handle::lend);
            let packed =
                bytes(env, &[&failure(FAILED, Some(&failed.error), answering), failed.error.to_string().as_bytes()]);
            if packed.is_err() {
                // SAFETY: it was lent above, and Java will not hear of it.
                drop(unsafe { handle::take_back::<Answering>(answering) });
            }
            packed
        }
        Message::Retry(line) => bytes(env, &[&[RETRY], line.as_bytes()]),
        Message::Piece(piece) => bytes(env, &[&[PIECE], &piece]),
        Message::End => bytes(env, &[&[END]]),
        Message::Broken(broken) => {
            bytes(env, &[&failure(BROKEN, mail::error_of(&broken), 0), broken.to_string().as_bytes()])
        }
        Message::Taken => bytes(env, &[&[TAKEN]]),
        Message::Unwanted => bytes(env, &[&[UNWANTED]]),
    }
}

fn response_of<'local>(env: &mut Env<'local>, ticket: jlong, response: Response<Body>) -> Result<JByteArray<'local>> {
    let (parts, body) = response.into_parts();
    let served = parts.extensions.get::<Served>();
    let mut head = Vec::with_capacity(256);
    head.extend_from_slice(&[0; RESPONSE_HEAD]);
    head.extend_from_slice(served.map_or("", |served| served.endpoint.as_str()).as_bytes());
    head.push(b'\n');
    for (name, value) in &parts.headers {
        head.extend_from_slice(name.as_str().as_bytes());
        head.push(b'\n');
        head.extend_from_slice(value.as_bytes());
        head.push(b'\n');
    }
    head[0] = RESPONSE;
    head[1] = if parts.version == Version::HTTP_2 { 2 } else { 1 };
    head[2..4].copy_from_slice(&parts.status.as_u16().to_be_bytes());
    let length = (head.len() - RESPONSE_HEAD) as u32;
    head[4..8].copy_from_slice(&length.to_be_bytes());
    head[16..RESPONSE_HEAD].copy_from_slice(&served.map_or(0, |served| served.attempts).to_be_bytes());
    if let Some(whole) = body.as_bytes() {
        return bytes(env, &[&head, whole]);
    }
    let incoming = handle::lend(Incoming { ticket, body: Arc::new(Mutex::new(Some(body))), reading: Mutex::new(None) });
    head[8..16].copy_from_slice(&incoming.to_be_bytes());
    let packed = bytes(env, &[&head]);
    if packed.is_err() {
        // SAFETY: it was lent above, and Java will not hear of it.
        drop(unsafe { handle::take_back::<Incoming>(incoming) });
    }
    packed
}

fn failure(kind: u8, error: Option<&Error>, answering: jlong) -> [u8; 32] {
    let code = error.map_or(Code::Body, Error::code);
    let place = Code::ALL.iter().position(|at| *at == code).unwrap_or(0);
    let nanos = |length: Duration| jlong::try_from(length.as_nanos()).unwrap_or(jlong::MAX);
    let mut packed = [0; 32];
    packed[0] = kind;
    packed[1] = place as u8;
    packed[4..8].copy_from_slice(&error.map_or(0, Error::attempts).to_be_bytes());
    packed[8..16].copy_from_slice(&answering.to_be_bytes());
    packed[16..24].copy_from_slice(&error.map_or(0, |error| nanos(error.elapsed())).to_be_bytes());
    packed[24..].copy_from_slice(&error.and_then(Error::retry_after).map_or(-1, nanos).to_be_bytes());
    packed
}

/// One array of several parts.
fn bytes<'local>(env: &mut Env<'local>, parts: &[&[u8]]) -> Result<JByteArray<'local>> {
    let array = JByteArray::new(env, parts.iter().map(|part| part.len()).sum())?;
    let mut at = 0;
    for part in parts {
        // SAFETY: bytes with a sign and bytes without one are the same bytes.
        let signed = unsafe { std::slice::from_raw_parts(part.as_ptr().cast::<i8>(), part.len()) };
        array.set_region(env, at, signed)?;
        at += part.len() as jint;
    }
    Ok(array)
}
