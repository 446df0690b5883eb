//! `amb_options`: settings as C writes them, given to the core field by field, which checks them (C2). "None" is 0 for a count,
//! and `AMB_NONE` for a length of time; a group is on when its `enabled` says so.

use std::ffi::{CStr, c_char, c_void};
use std::mem;
use std::ptr;

use ambassador_core::clock::Nanos;
use ambassador_core::settings::{Settings, Spelling, Value};
use ambassador_core::{After, Breaker, Budget, Bulkhead, ConfigError, Hedge, Limit, Policy, RateLimit};

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

/// The retry budget: retries may be so many for each call, so that a target in trouble gets no storm of them.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct amb_budget {
    /// Whether it is on; default true. When it is not, the rest is not looked at.
    pub enabled: bool,
    /// What each call deposits: retries a call, 0 to 1000, default 0.2.
    pub ratio: f64,
    /// Retries a second that there may be whatever the calls; default 10.
    pub min_per_second: f64,
    /// The time over which deposits and retries are counted; default 10,000 ms.
    pub window_ms: f64,
}

/// The circuit breaker: stops sending attempts to a target that fails, and finds out by a few probes when it has recovered.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct amb_breaker {
    /// Whether it is on; default true. When it is not, the rest is not looked at.
    pub enabled: bool,
    /// The share of failed attempts in the window from which on it opens: 0.001 to 1, default 0.5.
    pub failure_rate: f64,
    /// How many attempts the window must hold before rates count; default 20.
    pub min_calls: i64,
    /// The time over which attempts are counted; default 30,000 ms.
    pub window_ms: f64,
    /// Opens also after so many failures in a row; 0 (the default) for never.
    pub consecutive_failures: i64,
    /// An attempt that takes at least so long is slow; #AMB_NONE (the default): none is.
    pub slow_call_ms: f64,
    /// The share of slow attempts in the window from which on it opens: 0.001 to 1, default 1.
    pub slow_rate: f64,
    /// How long it stays open the first time; doubles with each reopening. Default 5000 ms.
    pub open_for_ms: f64,
    /// How long it stays open at most; default 60,000 ms.
    pub open_max_ms: f64,
    /// How many attempts it then lets through to see; as many successes close it. 1 to 16, default 3.
    pub probes: i64,
}

/// For `max_concurrent` of an #amb_bulkhead: as many calls at once as the target takes without growing slower.
pub const AMB_ADAPTIVE: i64 = -1;

/// The bulkhead: how many calls of the target run at once, and how many more may wait.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct amb_bulkhead {
    /// Whether it is on; default false. When it is not, the rest is not looked at.
    pub enabled: bool,
    /// How many calls run at once, or #AMB_ADAPTIVE. There is no default: it has to be set when this group is on.
    pub max_concurrent: i64,
    /// How many more may wait, first come, first served; default 0.
    pub max_queue: i64,
    /// How long one waits at most; #AMB_NONE (the default): as long as `timeout_ms`.
    pub queue_timeout_ms: f64,
}

/// The rate limit: how many calls of the target there may be in a time, evenly, with a burst.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct amb_rate_limit {
    /// Whether it is on; default false. When it is not, the rest is not looked at.
    pub enabled: bool,
    /// Calls in each `per_ms`. There is no default: it has to be set when this group is on.
    pub rate: f64,
    /// The time that `rate` is meant for; default 1000 ms.
    pub per_ms: f64,
    /// How many calls may come at once after a quiet time; 0 (the default): `rate`, rounded up.
    pub burst: i64,
    /// How long a call may wait for its turn; 0 (the default) refuses it at once.
    pub max_wait_ms: f64,
}

/// For `after_ms` of an #amb_hedge: when an attempt has run longer than half of the target's do.
pub const AMB_P50: f64 = -50.0;
/// For `after_ms` of an #amb_hedge: when an attempt has run longer than 90 % of the target's do.
pub const AMB_P90: f64 = -90.0;
/// For `after_ms` of an #amb_hedge: when an attempt has run longer than 95 % of the target's do.
pub const AMB_P95: f64 = -95.0;
/// For `after_ms` of an #amb_hedge: when an attempt has run longer than 99 % of the target's do.
pub const AMB_P99: f64 = -99.0;

/// Hedging: another attempt begins beside one that takes long, and the first success wins. Needs `idempotent`. Functions then run
/// on threads of the ambassador's, two at once, also for amb_proxy_call(), which see for what that asks of their data.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct amb_hedge {
    /// Whether it is on; default false. When it is not, the rest is not looked at.
    pub enabled: bool,
    /// How long the newest attempt has run when another begins; or #AMB_P50, #AMB_P90, #AMB_P95, #AMB_P99. There is no default: it
    /// has to be set when this group is on.
    pub after_ms: f64,
    /// How many may begin beside an attempt: 1 to 3, default 1. They count as attempts.
    pub max: i64,
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

/// Settings as a policy has them. A group that is off has its defaults.
pub(crate) fn from_policy(policy: &Policy, name: *const c_char) -> amb_options {
    let backoff = &policy.backoff;
    let shared = &policy.shared;
    amb_options {
        size: mem::size_of::<amb_options>(),
        max_retries: policy.max_retries.into(),
        name,
        timeout_ms: or_none(policy.timeout),
        deadline_ms: or_none(policy.deadline),
        backoff: amb_backoff {
            base_ms: ms(backoff.base),
            factor: backoff.factor,
            max_ms: ms(backoff.max),
            jitter: jitter(backoff.jitter.as_str()),
            hint_max_ms: ms(backoff.hint_max),
        },
        classify: None,
        classify_data: ptr::null_mut(),
        budget: budget(shared.budget.as_ref()),
        breaker: breaker(shared.breaker.as_ref()),
        bulkhead: bulkhead(shared.bulkhead.as_ref()),
        rate_limit: rate_limit(shared.rate_limit.as_ref()),
        fallback: None,
        fallback_data: ptr::null_mut(),
        hedge: hedge(policy.hedge),
        idempotent: policy.idempotent,
    }
}

fn budget(set: Option<&Budget>) -> amb_budget {
    let Budget { ratio, min_per_second, window, .. } = set.cloned().unwrap_or_default();
    amb_budget { enabled: set.is_some(), ratio, min_per_second, window_ms: ms(window) }
}

fn breaker(set: Option<&Breaker>) -> amb_breaker {
    let breaker = set.cloned().unwrap_or_default();
    amb_breaker {
        enabled: set.is_some(),
        failure_rate: breaker.failure_rate,
        min_calls: breaker.min_calls.into(),
        window_ms: ms(breaker.window),
        consecutive_failures: breaker.consecutive_failures.map_or(0, i64::from),
        slow_call_ms: or_none(breaker.slow_call),
        slow_rate: breaker.slow_rate,
        open_for_ms: ms(breaker.open_for),
        open_max_ms: ms(breaker.open_max),
        probes: breaker.probes.into(),
    }
}

fn bulkhead(set: Option<&Bulkhead>) -> amb_bulkhead {
    let Bulkhead { limit, max_queue, queue_timeout } = set.cloned().unwrap_or(Bulkhead::new(0));
    let max_concurrent = match limit {
        Limit::Fixed(limit) => limit.into(),
        Limit::Adaptive => AMB_ADAPTIVE,
    };
    let queue_timeout_ms = or_none(queue_timeout);
    amb_bulkhead { enabled: set.is_some(), max_concurrent, max_queue: max_queue.into(), queue_timeout_ms }
}

fn rate_limit(set: Option<&RateLimit>) -> amb_rate_limit {
    let RateLimit { rate, per, burst, max_wait, .. } = set.cloned().unwrap_or(RateLimit::new(0.0));
    let burst = burst.map_or(0, i64::from);
    amb_rate_limit { enabled: set.is_some(), rate, per_ms: ms(per), burst, max_wait_ms: ms(max_wait) }
}

fn hedge(set: Option<Hedge>) -> amb_hedge {
    let Hedge { after, max } = set.unwrap_or(Hedge { after: After::Fixed(0), max: 1 });
    let after_ms = match after {
        After::Fixed(length) => ms(length),
        After::Quantile(hundredths) => -f64::from(hundredths),
    };
    amb_hedge { enabled: set.is_some(), after_ms, max: max.into() }
}

fn ms(length: Nanos) -> f64 {
    length as f64 / 1e6
}

fn or_none(length: Option<Nanos>) -> f64 {
    length.map_or(f64::INFINITY, ms)
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
    draft_groups(&mut settings, options).map_err(in_words_of_c)?;
    settings.set("fallback", Value::Bool(options.fallback.is_some()))?;
    Ok(settings)
}

fn draft_groups(settings: &mut Settings, options: &amb_options) -> Result<(), ConfigError> {
    let amb_options { budget, breaker, bulkhead, rate_limit, hedge, .. } = options;
    settings.set("budget", Value::Bool(budget.enabled))?;
    if budget.enabled {
        settings.set("budget.ratio", Value::Float(budget.ratio))?;
        settings.set("budget.min_per_second", Value::Float(budget.min_per_second))?;
        settings.set("budget.window_ms", Value::Float(budget.window_ms))?;
    }
    settings.set("breaker", Value::Bool(breaker.enabled))?;
    if breaker.enabled {
        settings.set("breaker.failure_rate", Value::Float(breaker.failure_rate))?;
        settings.set("breaker.min_calls", Value::Int(breaker.min_calls))?;
        settings.set("breaker.window_ms", Value::Float(breaker.window_ms))?;
        settings.set("breaker.consecutive_failures", count_or_none(breaker.consecutive_failures))?;
        settings.set("breaker.slow_call_ms", bound(breaker.slow_call_ms))?;
        settings.set("breaker.slow_rate", Value::Float(breaker.slow_rate))?;
        settings.set("breaker.open_for_ms", Value::Float(breaker.open_for_ms))?;
        settings.set("breaker.open_max_ms", Value::Float(breaker.open_max_ms))?;
        settings.set("breaker.probes", Value::Int(breaker.probes))?;
    }
    if bulkhead.enabled {
        let max_concurrent = match bulkhead.max_concurrent {
            AMB_ADAPTIVE => Value::Text("adaptive".into()),
            count => Value::Int(count),
        };
        settings.set("bulkhead.max_concurrent", max_concurrent)?;
        settings.set("bulkhead.max_queue", Value::Int(bulkhead.max_queue))?;
        settings.set("bulkhead.queue_timeout_ms", bound(bulkhead.queue_timeout_ms))?;
    }
    if rate_limit.enabled {
        settings.set("rate_limit.rate", Value::Float(rate_limit.rate))?;
        settings.set("rate_limit.per_ms", Value::Float(rate_limit.per_ms))?;
        settings.set("rate_limit.burst", count_or_none(rate_limit.burst))?;
        settings.set("rate_limit.max_wait_ms", Value::Float(rate_limit.max_wait_ms))?;
    }
    if hedge.enabled {
        let after = [(AMB_P50, "p50"), (AMB_P90, "p90"), (AMB_P95, "p95"), (AMB_P99, "p99")]
            .into_iter()
            .find(|(constant, _)| *constant == hedge.after_ms)
            .map_or(Value::Float(hedge.after_ms), |(_, word)| Value::Text(word.into()));
        settings.set("hedge.after_ms", after)?;
        settings.set("hedge.max", Value::Int(hedge.max))?;
    }
    settings.set("idempotent", Value::Bool(options.idempotent))?;
    Ok(())
}

/// The core calls "none" `AMB_NONE`, which no whole number can be, and a word a word.
fn in_words_of_c(mut error: ConfigError) -> ConfigError {
    if error.field == "hedge.after_ms" {
        error.allowed = error.allowed.replace(" p", " AMB_P");
    } else if !error.field.ends_with("_ms") {
        error.allowed =
            error.allowed.replace(", adaptive, or AMB_NONE", ", or AMB_ADAPTIVE").replace("AMB_NONE", "0 for none");
    }
    error
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

fn count_or_none(count: i64) -> Value {
    if count == 0 { Value::Null } else { Value::Int(count) }
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
