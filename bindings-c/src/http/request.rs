//! What is sent, as C writes it, and as the core reads it. What a header says is not told in an error (S3).

use std::ffi::{CStr, c_char, c_void};
use std::{mem, ptr};

use ambassador_core::http::{Body, Mode, Options};
use ambassador_core::settings::Spelling;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Uri};

use super::source::{Source, amb_read};
use crate::options::{amb_pair, bound, list};
use crate::raise;
use crate::status::amb_status;
use crate::worker::{UserData, amb_destroy};

/// For `idempotent` of an #amb_http_request: as its method and headers, and the proxy's settings, say.
pub const AMB_IDEMPOTENT_BY_METHOD: i32 = 0;
/// For `idempotent` of an #amb_http_request: it may safely be made twice.
pub const AMB_IDEMPOTENT_YES: i32 = 1;
/// For `idempotent` of an #amb_http_request: it may not.
pub const AMB_IDEMPOTENT_NO: i32 = -1;

/// A request. Always start from amb_http_request_init().
#[derive(Clone, Copy)]
#[repr(C)]
pub struct amb_http_request {
    /// The size of this struct, for the library to know which version of it the program was compiled with.
    pub size: usize,
    /// The method; null (the default) for GET.
    pub method: *const c_char,
    /// The path, which follows the target's, with a query if there is one, encoded as it is to be sent; null (the default) for `/`.
    pub path: *const c_char,
    /// The headers. Those that the connection needs are the ambassador's own to set.
    pub headers: *const amb_pair,
    /// How many of these there are.
    pub headers_count: usize,
    /// The body, copied; null for none.
    pub body: *const c_void,
    /// How many bytes it has.
    pub body_length: usize,
    /// Gives the body piece by piece, in place of `body`; null when there is none.
    pub read: amb_read,
    /// Passed to `read`, on other threads.
    pub read_data: *mut c_void,
    /// Releases `read_data`, when nothing reads any more; may be null.
    pub read_destroy: amb_destroy,
    /// Whether the request may safely be made twice: #AMB_IDEMPOTENT_BY_METHOD (the default), #AMB_IDEMPOTENT_YES or
    /// #AMB_IDEMPOTENT_NO.
    pub idempotent: i32,
    /// The bound of each of its attempts, in place of the proxy's `timeout_ms`: #AMB_NONE for none; 0 (the default): the proxy's.
    pub timeout_ms: f64,
    /// The bound of the whole request, waits included, in place of the proxy's `deadline_ms`; as above.
    pub deadline_ms: f64,
    /// Whether the response is handed back as soon as its head is there, its body to be read with amb_response_read(), for which no
    /// bound holds; default false: it is read whole.
    pub stream: bool,
    /// For amb_http_send(): passed to a fallback of the proxy.
    pub user_data: *mut c_void,
}

/// What the core is asked for.
pub(super) struct Asked {
    pub request: Request<Body>,
    pub options: Options,
}

impl amb_http_request {
    pub(super) const fn new() -> amb_http_request {
        amb_http_request {
            size: mem::size_of::<amb_http_request>(),
            method: ptr::null(),
            path: ptr::null(),
            headers: ptr::null(),
            headers_count: 0,
            body: ptr::null(),
            body_length: 0,
            read: None,
            read_data: ptr::null_mut(),
            read_destroy: None,
            idempotent: AMB_IDEMPOTENT_BY_METHOD,
            timeout_ms: 0.0,
            deadline_ms: 0.0,
            stream: false,
            user_data: ptr::null_mut(),
        }
    }
}

/// Reads the struct that a program passed, if it is one; also its `user_data`.
///
/// # Safety
/// As of `amb_http_send`.
pub(super) unsafe fn read(
    request: *const amb_http_request,
    function: &str,
) -> Result<(Asked, *mut c_void), amb_status> {
    let wrong = |what: &str| raise::argument(&format!("{function}: {what}"));
    if request.is_null() {
        return Err(wrong("request is null"));
    }
    // SAFETY: not null; the size comes first, and is there by the contract.
    let size = unsafe { ptr::read(request.cast::<usize>()) };
    if size != mem::size_of::<amb_http_request>() {
        return Err(wrong("the request's size is not the library's; begin with amb_http_request_init"));
    }
    // SAFETY: the size says that the whole struct is there.
    let given = unsafe { request.read() };
    // SAFETY: texts end with a zero, and lists are as long as they say, by the contract.
    let (method, uri, headers, bytes) = unsafe {
        (method(given.method), path(given.path), headers(&given), list(given.body.cast::<u8>(), given.body_length))
    };
    let bytes = bytes.ok_or_else(|| wrong("the request's body is null, and its length is not 0"))?;
    let idempotent = match given.idempotent {
        AMB_IDEMPOTENT_BY_METHOD => None,
        AMB_IDEMPOTENT_YES => Some(true),
        AMB_IDEMPOTENT_NO => Some(false),
        _ => return Err(wrong("the request's idempotent is none of AMB_IDEMPOTENT_BY_METHOD, _YES and _NO")),
    };
    let mut options = Options::default();
    options.mode = if given.stream { Mode::Stream } else { Mode::Whole };
    options.idempotent = idempotent;
    for (field, ms) in [("timeout_ms", given.timeout_ms), ("deadline_ms", given.deadline_ms)] {
        if ms != 0.0 {
            options.set(Spelling::C, field, &bound(ms)).map_err(|error| wrong(&format!("the request's {error}")))?;
        }
    }
    if given.read.is_some() && !bytes.is_empty() {
        return Err(wrong("the request has a body, and read besides"));
    }
    let in_full = |what: String| wrong(&what);
    let (method, uri, mut headers) = (method.map_err(in_full)?, uri.map_err(in_full)?, headers.map_err(in_full)?);
    let body = match given.read {
        // From here on nothing fails, so that what releases the data is called.
        Some(read) => {
            Body::stream(Source::new(read, UserData { pointer: given.read_data, destroy: given.read_destroy }))
        }
        None => {
            // The core says how long it is, for it knows.
            headers.remove(CONTENT_LENGTH);
            Body::from(Bytes::copy_from_slice(bytes))
        }
    };
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Ok((Asked { request, options }, given.user_data))
}

/// # Safety
/// The text is null or ends with a zero.
unsafe fn method(text: *const c_char) -> Result<Method, String> {
    if text.is_null() {
        return Ok(Method::GET);
    }
    // SAFETY: by this function's contract.
    let text = unsafe { CStr::from_ptr(text) };
    let method = Method::from_bytes(text.to_bytes()).ok().filter(|method| *method != Method::CONNECT);
    method.ok_or_else(|| format!("the method {text:?} is none that a request can have"))
}

/// # Safety
/// The text is null or ends with a zero.
unsafe fn path(text: *const c_char) -> Result<Uri, String> {
    if text.is_null() {
        return Ok(Uri::from_static("/"));
    }
    // SAFETY: by this function's contract.
    let text = unsafe { CStr::from_ptr(text) }.to_bytes();
    let uri = text.starts_with(b"/").then(|| Uri::try_from(text).ok()).flatten();
    // S3: what it is may be secret.
    uri.ok_or_else(|| "the request's path is no path such as /charges/42, encoded as it is to be sent".into())
}

/// # Safety
/// The list is null or as long as its count says, its texts null or with a zero at their ends.
unsafe fn headers(given: &amb_http_request) -> Result<HeaderMap, String> {
    // SAFETY: by this function's contract.
    let pairs = unsafe { list(given.headers, given.headers_count) };
    let pairs = pairs.ok_or("the request's headers are null, and their count is not 0")?;
    let mut headers = HeaderMap::with_capacity(pairs.len());
    for pair in pairs {
        if pair.name.is_null() || pair.value.is_null() {
            return Err("a header's name or value is null".into());
        }
        // SAFETY: not null, and by this function's contract they end with a zero.
        let (name, value) = unsafe { (CStr::from_ptr(pair.name), CStr::from_ptr(pair.value)) };
        let sent = HeaderName::from_bytes(name.to_bytes()).map_err(|_| format!("{name:?} is no name of a header"))?;
        let value = HeaderValue::from_bytes(value.to_bytes())
            .map_err(|_| format!("the value of the header {sent} has a line's end or the like in it"))?;
        headers.append(sent, value);
    }
    Ok(headers)
}
