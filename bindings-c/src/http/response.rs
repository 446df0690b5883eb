//! Responses, as handles of a registry: what C asks of one is told in texts and bytes that live as long as it does.

use std::ffi::{CStr, CString, c_char, c_void};
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::pin;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};

use ambassador_core::http::{Body, BoxError, Served};
use ambassador_core::{Error, runtime};
use bytes::{Buf, Bytes};
use http::HeaderMap;
use once_cell::sync::Lazy;
use sharded_slab::Slab;
use tokio::sync::{Mutex, Notify};
use tokio::task::block_in_place;

use crate::status::{self, amb_status};
use crate::{c_text, fork, raise};

/// A response. A handle: free it once with amb_response_free().
pub struct amb_response {
    _opaque: [u8; 0],
}

/// What a handle stands for.
struct Response {
    generation: u32,
    status: u16,
    headers: HeaderMap,
    /// The headers as texts of C, once they are asked for.
    texts: OnceLock<Vec<(CString, CString)>>,
    content: Content,
    attempts: u32,
    endpoint: CString,
}

enum Content {
    /// All of it, and how much has been read.
    Whole(Bytes, AtomicUsize),
    Stream(Box<Stream>),
}

/// A body that is read as it comes.
struct Stream {
    /// `None` at its end.
    body: Mutex<Option<(Body, Bytes)>>,
    is_freed: AtomicBool,
    freed: Notify,
}

static RESPONSES: Lazy<Slab<Arc<Response>>> = Lazy::new(Slab::new);

/// A handle of what came; null when there is no room for one.
pub(super) fn keep(came: http::Response<Body>) -> Option<*mut amb_response> {
    let (head, body) = came.into_parts();
    let served = head.extensions.get::<Served>();
    let content = match whole(body) {
        Ok(bytes) => Content::Whole(bytes, AtomicUsize::new(0)),
        Err(body) => Content::Stream(Box::new(Stream {
            body: Mutex::new(Some((body, Bytes::new()))),
            is_freed: AtomicBool::new(false),
            freed: Notify::new(),
        })),
    };
    let response = Response {
        generation: fork::generation(),
        status: head.status.as_u16(),
        headers: head.headers,
        texts: OnceLock::new(),
        content,
        attempts: served.map_or(0, |served| served.attempts),
        endpoint: served.map(|served| c_text(served.endpoint.as_str())).unwrap_or_default(),
    };
    RESPONSES.insert(Arc::new(response)).map(|key| (key + 1) as *mut amb_response)
}

/// Nobody wants it.
pub(super) fn drop_unseen(response: *mut amb_response) {
    if !response.is_null() {
        amb_response_free(response);
    }
}

/// The bytes of a body that is all in memory, else the body.
fn whole(body: Body) -> Result<Bytes, Body> {
    if body.as_bytes().is_none() {
        return Err(body);
    }
    // There is nothing to wait for.
    match pin!(body.bytes()).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(bytes)) => Ok(bytes),
        _ => Ok(Bytes::new()),
    }
}

/// The response of a handle. The number in it carries a generation, so a freed one finds nothing.
fn find(handle: *const amb_response, function: &str) -> Result<Arc<Response>, amb_status> {
    let key = (handle as usize).checked_sub(1);
    match key.and_then(|key| RESPONSES.get(key)) {
        Some(response) => Ok(Arc::clone(&response)),
        None if handle.is_null() => Err(raise::argument(&format!("{function}: response is null"))),
        None => Err(raise::argument(&format!("{function}: response was freed already, or is no response"))),
    }
}

impl Response {
    fn texts(&self) -> &[(CString, CString)] {
        // Neither has a zero in it.
        let text = |bytes: &[u8]| CString::new(bytes).unwrap_or_default();
        self.texts.get_or_init(|| {
            self.headers.iter().map(|(name, value)| (text(name.as_str().as_bytes()), text(value.as_bytes()))).collect()
        })
    }
}

/// The status of HTTP, such as 200; 0 when the handle is none, of which amb_last_error() tells.
#[unsafe(no_mangle)]
pub extern "C" fn amb_response_status(response: *const amb_response) -> i32 {
    raise::shield(0, || find(response, "amb_response_status").map_or(0, |response| response.status.into()))
}

/// What a header says, its name in any case; of several of the name, the first. Valid until the response is freed; null when there is no
/// such header.
///
/// # Safety
/// `name` is null or ends with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn amb_response_header(response: *const amb_response, name: *const c_char) -> *const c_char {
    raise::shield(ptr::null(), || {
        let Ok(response) = find(response, "amb_response_header") else { return ptr::null() };
        if name.is_null() {
            return ptr::null();
        }
        // SAFETY: not null, and by the contract it ends with a zero.
        let name = unsafe { CStr::from_ptr(name) }.to_bytes();
        let found = response.texts().iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name));
        found.map_or(ptr::null(), |(_, value)| value.as_ptr())
    })
}

/// The headers one after the other, each as often as it came: `true` and the header number `index`, counted from 0, its name in lower
/// case, or `false` when there are no more. The texts are valid until the response is freed.
///
/// # Safety
/// `name` and `value` are null or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn amb_response_header_at(
    response: *const amb_response,
    index: usize,
    name: *mut *const c_char,
    value: *mut *const c_char,
) -> bool {
    raise::shield(false, || {
        let Ok(response) = find(response, "amb_response_header_at") else { return false };
        let header = response.texts().get(index);
        let (Some(header), false, false) = (header, name.is_null(), value.is_null()) else { return false };
        // SAFETY: not null, and by the contract writable.
        unsafe {
            name.write(header.0.as_ptr());
            value.write(header.1.as_ptr());
        }
        true
    })
}

/// The body, and how many bytes it has; no zero follows it. Valid until the response is freed. Null when the body is a stream, or the
/// handle none; amb_last_error() says which.
///
/// # Safety
/// `length` is null or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn amb_response_body(response: *const amb_response, length: *mut usize) -> *const c_void {
    let found = |length: &mut usize| match find(response, "amb_response_body") {
        Ok(response) => match &response.content {
            Content::Whole(bytes, _) if bytes.is_empty() => c"".as_ptr().cast(),
            Content::Whole(bytes, _) => {
                *length = bytes.len();
                bytes.as_ptr().cast()
            }
            Content::Stream(_) => {
                raise::argument("amb_response_body: the body is a stream; read it with amb_response_read");
                ptr::null()
            }
        },
        Err(_) => ptr::null(),
    };
    raise::shield(ptr::null(), || {
        let mut known = 0;
        let body = found(&mut known);
        if !length.is_null() {
            // SAFETY: not null, and by the contract writable.
            unsafe { length.write(known) };
        }
        body
    })
}

/// Reads on in the body, and waits for what has not come yet: as many bytes as were written to `buffer`, 0 at its end, or an
/// `AMB_ERR_…`, of which amb_last_error() tells: #AMB_ERR_ARGUMENT, #AMB_ERR_TRANSPORT or another when the body broke off,
/// #AMB_CANCELLED when another thread frees the response meanwhile, #AMB_ERR_FORKED in a child of the process that it came to. Nothing
/// bounds the wait but the proxy's connection.
///
/// # Safety
/// `buffer` has room for `size` bytes, or is null when that is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn amb_response_read(response: *const amb_response, buffer: *mut c_void, size: usize) -> i64 {
    let mut count = 0;
    let status = raise::guard(|| {
        let response = find(response, "amb_response_read")?;
        if buffer.is_null() || size == 0 {
            return Err(raise::argument("amb_response_read: there is no buffer"));
        }
        let buffer = buffer.cast::<u8>();
        // SAFETY: not null, and by the contract there is room for as many.
        let mut write = |bytes: &[u8]| unsafe {
            count = bytes.len().min(size);
            ptr::copy_nonoverlapping(bytes.as_ptr(), buffer, count);
            count
        };
        match &response.content {
            Content::Whole(bytes, read) => {
                let from = read.fetch_update(SeqCst, SeqCst, |from| Some(from.saturating_add(size).min(bytes.len())));
                let from = from.unwrap_or_default().min(bytes.len());
                write(&bytes[from..]);
                Ok(())
            }
            Content::Stream(_) if response.generation != fork::generation() => {
                let message = "amb_response_read: the body comes to the parent of this process";
                Err(raise::other(amb_status::AMB_ERR_FORKED, message))
            }
            Content::Stream(stream) => block_in_place(|| runtime::block_on(stream.read(write))),
        }
    });
    if status == amb_status::AMB_OK { count as i64 } else { status as i64 }
}

impl Stream {
    /// Writes some of what comes next, if anything does.
    async fn read(&self, write: impl FnMut(&[u8]) -> usize) -> Result<(), amb_status> {
        let mut reading = pin!(self.read_on(write));
        let mut freed = pin!(self.freed.notified());
        poll_fn(|cx| {
            // Noted first, then looked: of the two, whoever frees it does the other first.
            let noticed = freed.as_mut().poll(cx);
            if noticed.is_ready() || self.is_freed.load(SeqCst) {
                let message = "amb_response_read: the response was freed meanwhile";
                return Poll::Ready(Err(raise::other(amb_status::AMB_CANCELLED, message)));
            }
            reading.as_mut().poll(cx)
        })
        .await
    }

    async fn read_on(&self, mut write: impl FnMut(&[u8]) -> usize) -> Result<(), amb_status> {
        let mut place = self.body.lock().await;
        let Some((body, rest)) = &mut *place else { return Ok(()) };
        if rest.is_empty() {
            match body.chunk().await {
                Some(Ok(piece)) => *rest = piece,
                Some(Err(error)) => {
                    *place = None;
                    return Err(broken(&error));
                }
                None => {
                    *place = None;
                    return Ok(());
                }
            }
        }
        let count = write(rest);
        rest.advance(count);
        Ok(())
    }
}

fn broken(error: &BoxError) -> amb_status {
    let status = error.downcast_ref::<Error>().map_or(amb_status::AMB_ERR_BODY, |error| status::of(error.code()));
    raise::other(status, &error.to_string())
}

/// How many attempts the request took; 0 when the handle is none.
#[unsafe(no_mangle)]
pub extern "C" fn amb_response_attempts(response: *const amb_response) -> u32 {
    raise::shield(0, || find(response, "amb_response_attempts").map_or(0, |response| response.attempts))
}

/// The address of the endpoint that it came from; where there are no endpoints, the target. Valid until the response is freed; empty
/// when the handle is none.
#[unsafe(no_mangle)]
pub extern "C" fn amb_response_endpoint(response: *const amb_response) -> *const c_char {
    raise::shield(c"".as_ptr(), || {
        find(response, "amb_response_endpoint").map_or(c"".as_ptr(), |response| response.endpoint.as_ptr())
    })
}

/// Frees a response, and what its texts and its body are in; a connection whose body was not read to its end is closed.
/// #AMB_ERR_ARGUMENT when it was freed before. Null is fine.
#[unsafe(no_mangle)]
pub extern "C" fn amb_response_free(response: *mut amb_response) -> amb_status {
    raise::guard(|| {
        if response.is_null() {
            return Ok(());
        }
        let Some(found) = RESPONSES.take(response as usize - 1) else {
            return Err(raise::argument("amb_response_free: response was freed already, or is no response"));
        };
        if let Content::Stream(stream) = &found.content {
            if found.generation != fork::generation() {
                // F3: to close its connection would be to speak to the parent's threads.
                mem::forget(found);
                return Ok(());
            }
            stream.is_freed.store(true, SeqCst);
            stream.freed.notify_waiters();
        }
        Ok(())
    })
}
