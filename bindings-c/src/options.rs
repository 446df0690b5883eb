//! `amb_options`: settings as C writes them, given to the core field by field, which checks them (C2).

use std::ffi::{CStr, c_char, c_void};
use std::mem;
use std::ptr;

use ambassador_core::settings::{Settings, Spelling, Value};
use ambassador_core::{ConfigError, Policy};

use crate::raise;
use crate::status::amb_status;

/// Tells failures apart (A2): is given what the function returned, and answers with an #amb_outcome.
pub type amb_classify = Option<unsafe extern "C" fn(status: i32, classify_data: *mut c_void) -> i32>;

/// What a classifier may answer.
#[derive(Clone, Copy)]
#[repr(C)]
#[allow(dead_code, reason = "C makes them")]
pub enum amb_outcome {
    /// A success; the status is handed back as it is.
    AMB_OUTCOME_OK = 0,
    /// A failure that may be tried again.
    AMB_OUTCOME_RETRY = 1,
    /// A failure that may not.
    AMB_OUTCOME_FAIL = 2,
}

/// The waits between attempts.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct amb_backoff {
    /// The wait after the first attempt, before jitter; default 2000 ms. 0 for no waits.
    pub base_ms: f64,
    /// What each further wait is multiplied by: 1 to 1000, default 2.
    pub factor: f64,
    /// The cap, applied before jitter; default 30,000 ms.
    pub max_ms: f64,
    /// How waits are spread: "full" (the default), "equal", "decorrelated" or "none".
    pub jitter: *const c_char,
    /// A server's hint above this ends the call instead of being waited for; default 60,000 ms.
    pub hint_max_ms: f64,
}

/// Settings of a proxy. Always start from amb_options_init().
#[derive(Clone, Copy)]
#[repr(C)]
pub struct amb_options {
    /// The size of this struct, for the library to know which version of it the program was compiled with.
    pub size: usize,
    /// Attempts in all, the first one included: 1 to 100, default 3.
    pub max_retries: i64,
    /// The name that state is shared by; null (the default) for the target itself.
    pub name: *const c_char,
    /// The bound of each attempt; default 2000 ms, #AMB_NONE for none.
    pub timeout_ms: f64,
    /// The bound of the whole call, waits included; default #AMB_NONE.
    pub deadline_ms: f64,
    /// The waits between attempts.
    pub backoff: amb_backoff,
    /// Tells failures apart; null (the default): 0 is a success, anything else a failure that may be tried again.
    pub classify: amb_classify,
    /// Passed to `classify`; has to live as long as the proxy.
    pub classify_data: *mut c_void,
}

/// Fills in the defaults, and the size. #AMB_ERR_ARGUMENT when `options` is null.
///
/// # Safety
/// `options` is null or points to an `amb_options` that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn amb_options_init(options: *mut amb_options) -> amb_status {
    raise::guard(|| {
        if options.is_null() {
            return Err(raise::argument("amb_options_init: options is null"));
        }
        // SAFETY: not null, and by the contract writable.
        unsafe { options.write(defaults()) };
        Ok(())
    })
}

/// Settings as a policy has them.
pub(crate) fn from_policy(policy: &Policy, name: *const c_char) -> amb_options {
    let ms = |nanos: u64| nanos as f64 / 1e6;
    let backoff = &policy.backoff;
    amb_options {
        size: mem::size_of::<amb_options>(),
        max_retries: policy.max_retries.into(),
        name,
        timeout_ms: policy.timeout.map_or(f64::INFINITY, ms),
        deadline_ms: policy.deadline.map_or(f64::INFINITY, ms),
        backoff: amb_backoff {
            base_ms: ms(backoff.base),
            factor: backoff.factor,
            max_ms: ms(backoff.max),
            jitter: jitter(backoff.jitter.as_str()),
            hint_max_ms: ms(backoff.hint_max),
        },
        classify: None,
        classify_data: ptr::null_mut(),
    }
}

pub(crate) fn defaults() -> amb_options {
    from_policy(&Policy::default(), ptr::null())
}

/// The name with a terminating zero, for as long as the process lives.
fn jitter(name: &str) -> *const c_char {
    [c"full", c"equal", c"decorrelated", c"none"]
        .into_iter()
        .find(|known| known.to_bytes() == name.as_bytes())
        .map_or(ptr::null(), CStr::as_ptr)
}

/// The core's draft of these settings.
///
/// # Safety
/// The texts are null or end with a zero.
pub(crate) unsafe fn draft(target: &str, options: &amb_options) -> Result<Settings, ConfigError> {
    let mut settings = Settings::new(target, Spelling::C)?;
    // SAFETY: by this function's contract.
    let text = |pointer| unsafe { text(pointer) };
    settings.set("max_retries", Value::Int(options.max_retries))?;
    if !options.name.is_null() {
        settings.set("name", text(options.name))?;
    }
    settings.set("timeout_ms", bound(options.timeout_ms))?;
    settings.set("deadline_ms", bound(options.deadline_ms))?;
    settings.set("backoff.base_ms", Value::Float(options.backoff.base_ms))?;
    settings.set("backoff.factor", Value::Float(options.backoff.factor))?;
    settings.set("backoff.max_ms", Value::Float(options.backoff.max_ms))?;
    settings.set("backoff.jitter", text(options.backoff.jitter))?;
    settings.set("backoff.hint_max_ms", Value::Float(options.backoff.hint_max_ms))?;
    Ok(settings)
}

/// Reads the struct that a program passed, if it is one.
///
/// # Safety
/// `options` is null or points to at least a size; what lies behind it is as large as that size says.
pub(crate) unsafe fn read(options: *const amb_options) -> Result<amb_options, ConfigError> {
    if options.is_null() {
        return Ok(defaults());
    }
    // SAFETY: not null; the size comes first, and is there by the contract.
    let size = unsafe { ptr::read(options.cast::<usize>()) };
    if size != mem::size_of::<amb_options>() {
        let allowed = format!("sizeof(amb_options), {}, as amb_options_init sets it", mem::size_of::<amb_options>());
        return Err(ConfigError::new("size", size.to_string(), allowed));
    }
    // SAFETY: the size says that the whole struct is there.
    Ok(unsafe { options.read() })
}

fn bound(ms: f64) -> Value {
    if ms == f64::INFINITY { Value::Null } else { Value::Float(ms) }
}

/// # Safety
/// The text is null or ends with a zero.
unsafe fn text(pointer: *const c_char) -> Value {
    if pointer.is_null() {
        // Not `Value::Null`, which in C is a number: AMB_NONE.
        return Value::Other("NULL".into());
    }
    // SAFETY: by this function's contract.
    let bytes = unsafe { CStr::from_ptr(pointer) };
    match bytes.to_str() {
        Ok(text) => Value::Text(text.into()),
        Err(_) => Value::Other(format!("{:?}, which is not UTF-8", bytes)),
    }
}
