//! A request, read from what Python gave. What the user's own code could take part in, such as a mapping of a class of theirs, was
//! made plain in Python before.

use ambassador_core::http::{Body, Mode, Options};
use ambassador_core::settings::Spelling;
use ambassador_core::{AmbassadorProxy, ConfigError};
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Uri};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use super::bytes_of;
use super::feed::Feed;
use crate::proxy::{Proxy, not_set_up};
use crate::raw::Object;
use crate::{settings, tracing};

/// What is sent.
pub struct Asked {
    pub proxy: AmbassadorProxy,
    pub request: Request<Body>,
    pub options: Options,
    /// Its method and path.
    pub line: String,
}

/// `(proxy, method, path, headers, body, stream, idempotent, timeout, deadline, parent)`: how many there are.
pub const ARGUMENTS: isize = 10;

/// # Safety
/// The GIL is held; there are [`ARGUMENTS`] references.
pub unsafe fn read(py: Python<'_>, args: *const Object) -> PyResult<Asked> {
    // SAFETY: as this function asks of its caller.
    let given = |at: usize| unsafe { Bound::ref_from_ptr(py, &*args.add(at)) };
    let proxy = given(0).cast::<Proxy>()?.get().get().ok_or_else(not_set_up)?.core.clone();
    let method = method(given(1))?;
    let (uri, plain) = path(given(2))?;
    let line = format!("{method} {plain}");
    let mut request = Request::new(body(given(4))?);
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    if !given(3).is_none() {
        *request.headers_mut() = headers(given(3))?;
    }
    let mut options = Options::default();
    options.mode = if given(5).is_truthy()? { Mode::Stream } else { Mode::Whole };
    options.idempotent = given(6).extract()?;
    for (field, given) in [("timeout", given(7)), ("deadline", given(8))] {
        // `...`: as the proxy's.
        if !given.is(py.Ellipsis()) {
            let wrong = |wrong: ConfigError| PyValueError::new_err(wrong.to_string());
            options.set(Spelling::Python, field, &settings::value(given)).map_err(wrong)?;
        }
    }
    options.parent = tracing::context(given(9));
    Ok(Asked { proxy, request, options, line })
}

fn method(given: &Bound<'_, PyAny>) -> PyResult<Method> {
    let text = given.cast::<PyString>().map_err(|_| wrong_type("a method is a str, such as GET", given))?.to_str()?;
    Method::from_bytes(text.as_bytes())
        .ok()
        .filter(|method| *method != Method::CONNECT)
        .ok_or_else(|| PyValueError::new_err(format!("{text:?} is no method that a request can have")))
}

/// The path as it is sent, and without its query, which may hold what is secret (S3).
fn path<'a>(given: &'a Bound<'_, PyAny>) -> PyResult<(Uri, &'a str)> {
    let Ok(text) = given.cast::<PyString>() else {
        return Err(wrong_type("a path is a str, such as /charges/42", given));
    };
    // A fragment is the reader's own.
    let text = text.to_str()?;
    let text = text.split_once('#').map_or(text, |(text, _)| text);
    let plain = text.split_once('?').map_or(text, |(plain, _)| plain);
    if plain.contains("://") && !text.starts_with('/') {
        return Err(PyValueError::new_err(format!(
            "a path such as /charges/42 is expected, not a URL such as {plain:?}: requests go to the proxy's target"
        )));
    }
    let sent = if text.starts_with('/') && text.bytes().all(is_sent_as_it_is) {
        Uri::try_from(text)
    } else {
        Uri::try_from(quoted(text))
    };
    let sent = sent.map_err(|_| PyValueError::new_err(format!("{plain:?} is no path such as /charges/42")))?;
    Ok((sent, plain))
}

const fn is_sent_as_it_is(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
}

/// What may not stand in a path, percent-encoded; what is encoded already stays.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 16);
    if !text.starts_with('/') {
        quoted.push('/');
    }
    for byte in text.bytes() {
        if is_sent_as_it_is(byte) {
            quoted.push(char::from(byte));
        } else {
            quoted.push('%');
            for digit in [byte >> 4, byte & 15] {
                quoted.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
            }
        }
    }
    quoted
}

/// A dict, or a list of pairs.
fn headers(given: &Bound<'_, PyAny>) -> PyResult<HeaderMap> {
    let mut headers = HeaderMap::new();
    if let Ok(dict) = given.cast::<PyDict>() {
        for (name, value) in dict {
            insert(&mut headers, &name, &value)?;
        }
    } else {
        for pair in given.cast::<PyList>()? {
            let pair = pair.cast::<PyTuple>()?;
            insert(&mut headers, &pair.get_item(0)?, &pair.get_item(1)?)?;
        }
    }
    // The core says how long a body is, for it knows.
    headers.remove(CONTENT_LENGTH);
    Ok(headers)
}

fn insert(headers: &mut HeaderMap, name: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let name = match (name.cast::<PyString>(), name.cast::<PyBytes>()) {
        (Ok(name), _) => HeaderName::from_bytes(name.to_str()?.as_bytes()),
        (_, Ok(name)) => HeaderName::from_bytes(name.as_bytes()),
        _ => return Err(wrong_type("the name of a header is a str", name)),
    }
    .map_err(|_| PyValueError::new_err(format!("{name} is no name that a header can have")))?;
    let sent = match (value.cast::<PyString>(), value.cast::<PyBytes>()) {
        (Ok(value), _) => HeaderValue::from_bytes(value.to_str()?.as_bytes()),
        (_, Ok(value)) => HeaderValue::from_bytes(value.as_bytes()),
        _ => return Err(wrong_type(&format!("the value of the header {name} is a str"), value)),
    }
    // S3: the value is not told.
    .map_err(|_| PyValueError::new_err(format!("the value of the header {name} has a line's end or the like in it")))?;
    headers.append(name, sent);
    Ok(())
}

fn body(given: &Bound<'_, PyAny>) -> PyResult<Body> {
    if given.is_none() {
        return Ok(Body::empty());
    }
    match given.cast::<Feed>() {
        Ok(feed) => feed.get().body(),
        Err(_) => Ok(Body::from(bytes_of(given)?)),
    }
}

/// Of a type that is not allowed, and nothing of its value, which may be secret (S3).
fn wrong_type(expected: &str, given: &Bound<'_, PyAny>) -> PyErr {
    let kind = given.get_type().name().map_or_else(|_| "something else".into(), |name| name.to_string());
    PyTypeError::new_err(format!("{expected}, not {kind}"))
}
