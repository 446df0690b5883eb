//! `amb_options`: settings as C writes them, given to the core field by field, which checks them (C2). "None" is 0 for a count,
//! `AMB_NONE` for a length of time, and null for a text; a group is on when its `enabled` says so. Groups and what is read of them
//! stand in `options/`.

mod network;
mod policies;
mod told;
mod values;

use std::ffi::{c_char, c_void};
use std::mem;
use std::ptr;

use ambassador_core::ConfigError;
use ambassador_core::settings::{Settings, Spelling, Value};

pub(crate) use network::endpoints;
use network::{amb_auth, amb_discovery, amb_health_check, amb_http, amb_outlier, amb_tls};
pub use network::{amb_endpoint, amb_pair};
use policies::{amb_backoff, amb_breaker, amb_budget, amb_bulkhead, amb_hedge, amb_rate_limit};
pub(crate) use told::Told;
use values::text;
pub(crate) use values::{bound, list};

use crate::fallback::amb_fallback;
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
    /// How many retries there may be; on by default.
    pub budget: amb_budget,
    /// When to stop calling a target that fails; on by default.
    pub breaker: amb_breaker,
    /// How many calls run at once; off by default.
    pub bulkhead: amb_bulkhead,
    /// How many calls there may be in a time; off by default.
    pub rate_limit: amb_rate_limit,
    /// Answers in place of the error that a call ends with; null (the default): nothing does.
    pub fallback: amb_fallback,
    /// Passed to `fallback`; has to live as long as the proxy and its calls.
    pub fallback_data: *mut c_void,
    /// Whether another attempt begins beside one that takes long; off by default.
    pub hedge: amb_hedge,
    /// Whether a call may safely be made twice; default false. Needed for `hedge`.
    pub idempotent: bool,
    /// Where attempts may go; none (the default) for the target itself.
    pub endpoints: *const amb_endpoint,
    /// How many of these there are.
    pub endpoints_count: usize,
    /// Where endpoints are looked for; off by default.
    pub discovery: amb_discovery,
    /// How an endpoint is chosen: "p2c" (the default), "round_robin", "least_request", "random", "ring_hash" or "maglev".
    pub balance: *const c_char,
    /// What of a request is the key of "ring_hash" and "maglev": "path", or "header:" and its name.
    pub hash_on: *const c_char,
    /// The zone that this process stands in, whose endpoints are preferred; null (the default) for none.
    pub zone: *const c_char,
    /// How long an endpoint that is new, or back, gets less than its share; default #AMB_NONE: not at all.
    pub slow_start_ms: f64,
    /// When an endpoint is left out because attempts at it fail; on by default.
    pub outlier: amb_outlier,
    /// How endpoints are asked whether they are well; off by default.
    pub health_check: amb_health_check,
    /// TLS to the target.
    pub tls: amb_tls,
    /// How requests say who sends them; off by default.
    pub auth: amb_auth,
    /// Headers that every request has, unless it brings its own. Their values are never shown.
    pub headers: *const amb_pair,
    /// How many of these there are.
    pub headers_count: usize,
    /// Whether requests that have none get an `Idempotency-Key`, one a call, and so may be repeated whatever their method: "off"
    /// (the default) or "auto".
    pub idempotency_key: *const c_char,
    /// How requests are made.
    pub http: amb_http,
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
        unsafe { options.write(told::defaults()) };
        Ok(())
    })
}

/// The core's draft of these settings.
///
/// # Safety
/// The texts are null or end with a zero; lists are null or as long as their counts say.
pub(crate) unsafe fn draft(target: &str, options: &amb_options) -> Result<Settings, ConfigError> {
    let mut settings = Settings::new(target, Spelling::C)?;
    settings.set("max_retries", Value::Int(options.max_retries))?;
    if !options.name.is_null() {
        // SAFETY: by this function's contract, as below.
        settings.set("name", unsafe { text(options.name) })?;
    }
    settings.set("timeout_ms", bound(options.timeout_ms))?;
    settings.set("deadline_ms", bound(options.deadline_ms))?;
    // SAFETY: as above.
    unsafe { options.backoff.draft(&mut settings)? };
    options.budget.draft(&mut settings)?;
    options.breaker.draft(&mut settings)?;
    options.bulkhead.draft(&mut settings)?;
    options.rate_limit.draft(&mut settings)?;
    options.hedge.draft(&mut settings)?;
    settings.set("idempotent", Value::Bool(options.idempotent))?;
    // SAFETY: as above.
    unsafe { network::draft(&mut settings, options)? };
    settings.set("fallback", Value::Bool(options.fallback.is_some()))?;
    Ok(settings)
}

/// The core calls "none" `AMB_NONE`, which no whole number and no text can be, and a word a word.
pub(crate) fn in_words_of_c(mut error: ConfigError) -> ConfigError {
    let field = Settings::fields(Spelling::C).into_iter().find(|field| field.name == error.field);
    let none = match field.map_or("", |field| field.kind) {
        "duration" => return error,
        "duration_or_word" => {
            error.allowed = error.allowed.replace(" p", " AMB_P");
            return error;
        }
        "text" | "secret" | "texts" | "pairs" | "endpoints" => "NULL",
        "group" => "nothing",
        _ => "0 for none",
    };
    error.allowed = error.allowed.replace(", adaptive, or AMB_NONE", ", or AMB_ADAPTIVE").replace("AMB_NONE", none);
    if error.value == "AMB_NONE" {
        error.value = none.into();
    }
    error
}

/// Reads the struct that a program passed, if it is one.
///
/// # Safety
/// `options` is null or points to at least a size; what lies behind it is as large as that size says.
pub(crate) unsafe fn read(options: *const amb_options) -> Result<amb_options, ConfigError> {
    if options.is_null() {
        return Ok(told::defaults());
    }
    // SAFETY: not null, and by the contract.
    unsafe { sized(options, "amb_options") }
}

/// A struct that begins with its size, when that is the size which the library knows of a struct of that name.
///
/// # Safety
/// `given` points to at least a size; what lies behind it is as large as that size says.
pub(crate) unsafe fn sized<T: Copy>(given: *const T, name: &str) -> Result<T, ConfigError> {
    // SAFETY: the size comes first, and is there by the contract.
    let size = unsafe { ptr::read(given.cast::<usize>()) };
    if size != mem::size_of::<T>() {
        let allowed = format!("sizeof({name}), {}, as {name}_init sets it", mem::size_of::<T>());
        return Err(ConfigError::new("size", size.to_string(), allowed));
    }
    // SAFETY: the size says that the whole struct is there.
    Ok(unsafe { given.read() })
}
