//! Values as C writes them, and as the core reads them: lengths of time, counts, texts and lists of them, each of which may be nothing.

use std::ffi::{CStr, c_char};
use std::{ptr, slice};

use ambassador_core::clock::Nanos;
use ambassador_core::settings::Value;

use super::network::amb_pair;

pub(super) fn ms(length: Nanos) -> f64 {
    length as f64 / 1e6
}

pub(super) fn or_none(length: Option<Nanos>) -> f64 {
    length.map_or(f64::INFINITY, ms)
}

pub(crate) fn bound(ms: f64) -> Value {
    if ms == f64::INFINITY { Value::Null } else { Value::Float(ms) }
}

pub(super) fn count_or_none(count: i64) -> Value {
    if count == 0 { Value::Null } else { Value::Int(count) }
}

/// The same word with a terminating zero, for as long as the process lives.
pub(super) fn word(words: &[&'static CStr], word: &str) -> *const c_char {
    words.iter().find(|known| known.to_bytes() == word.as_bytes()).map_or(ptr::null(), |known| known.as_ptr())
}

/// What stands where there is something to be read, and is not: not `Value::Null`, which in C is a number, `AMB_NONE`.
fn null() -> Value {
    Value::Other("NULL".into())
}

/// # Safety
/// The text is null or ends with a zero.
pub(super) unsafe fn text(pointer: *const c_char) -> Value {
    if pointer.is_null() {
        return null();
    }
    // SAFETY: by this function's contract.
    let bytes = unsafe { CStr::from_ptr(pointer) };
    match bytes.to_str() {
        Ok(text) => Value::Text(text.into()),
        Err(_) => Value::Other(format!("{bytes:?}, which is not UTF-8")),
    }
}

/// What lies at a pointer with a count; `None` when there is nothing but a count.
///
/// # Safety
/// The pointer is null, or to so many.
pub(crate) unsafe fn list<'a, T>(pointer: *const T, count: usize) -> Option<&'a [T]> {
    match (pointer.is_null(), count) {
        (_, 0) => Some(&[]),
        (true, _) => None,
        // SAFETY: not null, and by this function's contract to so many.
        (false, count) => Some(unsafe { slice::from_raw_parts(pointer, count) }),
    }
}

/// # Safety
/// The pointer is null, or to so many texts, of which each is null or ends with a zero.
pub(super) unsafe fn texts(pointer: *const *const c_char, count: usize) -> Value {
    // SAFETY: by this function's contract.
    unsafe { list(pointer, count).map_or_else(null, |list| Value::List(list.iter().map(|&at| text(at)).collect())) }
}

/// # Safety
/// The pointer is null, or to so many pairs, whose texts are null or end with a zero.
pub(super) unsafe fn pairs(pointer: *const amb_pair, count: usize) -> Value {
    // SAFETY: by this function's contract.
    let Some(list) = (unsafe { list(pointer, count) }) else { return null() };
    let mut pairs = Vec::with_capacity(list.len());
    for pair in list {
        // SAFETY: by this function's contract.
        match unsafe { (text(pair.name), text(pair.value)) } {
            (Value::Text(name), value) => pairs.push((name, value)),
            (no_name, _) => return no_name,
        }
    }
    Value::Map(pairs)
}
