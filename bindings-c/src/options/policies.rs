//! The groups of `amb_options` that concern calls, whatever is called: waits, budget, breaker, limits and hedges.

use std::ffi::c_char;

use ambassador_core::policy::backoff::Backoff;
use ambassador_core::settings::{Settings, Value};
use ambassador_core::{After, Breaker, Budget, Bulkhead, ConfigError, Hedge, Limit, RateLimit};

use super::values::{bound, count_or_none, ms, or_none, text, word};

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

impl amb_backoff {
    pub(super) fn of(backoff: &Backoff) -> amb_backoff {
        let jitter = word(&[c"full", c"equal", c"decorrelated", c"none"], backoff.jitter.as_str());
        amb_backoff {
            base_ms: ms(backoff.base),
            factor: backoff.factor,
            max_ms: ms(backoff.max),
            jitter,
            hint_max_ms: ms(backoff.hint_max),
        }
    }

    /// # Safety
    /// The text is null or ends with a zero.
    pub(super) unsafe fn draft(&self, settings: &mut Settings) -> Result<(), ConfigError> {
        settings.set("backoff.base_ms", Value::Float(self.base_ms))?;
        settings.set("backoff.factor", Value::Float(self.factor))?;
        settings.set("backoff.max_ms", Value::Float(self.max_ms))?;
        // SAFETY: by this function's contract.
        settings.set("backoff.jitter", unsafe { text(self.jitter) })?;
        settings.set("backoff.hint_max_ms", Value::Float(self.hint_max_ms))
    }
}

impl amb_budget {
    pub(super) fn of(set: Option<&Budget>) -> amb_budget {
        let Budget { ratio, min_per_second, window, .. } = set.cloned().unwrap_or_default();
        amb_budget { enabled: set.is_some(), ratio, min_per_second, window_ms: ms(window) }
    }

    pub(super) fn draft(&self, settings: &mut Settings) -> Result<(), ConfigError> {
        settings.set("budget", Value::Bool(self.enabled))?;
        if self.enabled {
            settings.set("budget.ratio", Value::Float(self.ratio))?;
            settings.set("budget.min_per_second", Value::Float(self.min_per_second))?;
            settings.set("budget.window_ms", Value::Float(self.window_ms))?;
        }
        Ok(())
    }
}

impl amb_breaker {
    pub(super) fn of(set: Option<&Breaker>) -> amb_breaker {
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

    pub(super) fn draft(&self, settings: &mut Settings) -> Result<(), ConfigError> {
        settings.set("breaker", Value::Bool(self.enabled))?;
        if self.enabled {
            settings.set("breaker.failure_rate", Value::Float(self.failure_rate))?;
            settings.set("breaker.min_calls", Value::Int(self.min_calls))?;
            settings.set("breaker.window_ms", Value::Float(self.window_ms))?;
            settings.set("breaker.consecutive_failures", count_or_none(self.consecutive_failures))?;
            settings.set("breaker.slow_call_ms", bound(self.slow_call_ms))?;
            settings.set("breaker.slow_rate", Value::Float(self.slow_rate))?;
            settings.set("breaker.open_for_ms", Value::Float(self.open_for_ms))?;
            settings.set("breaker.open_max_ms", Value::Float(self.open_max_ms))?;
            settings.set("breaker.probes", Value::Int(self.probes))?;
        }
        Ok(())
    }
}

impl amb_bulkhead {
    pub(super) fn of(set: Option<&Bulkhead>) -> amb_bulkhead {
        let Bulkhead { limit, max_queue, queue_timeout } = set.cloned().unwrap_or(Bulkhead::new(0));
        let max_concurrent = match limit {
            Limit::Fixed(limit) => limit.into(),
            Limit::Adaptive => AMB_ADAPTIVE,
        };
        let queue_timeout_ms = or_none(queue_timeout);
        amb_bulkhead { enabled: set.is_some(), max_concurrent, max_queue: max_queue.into(), queue_timeout_ms }
    }

    pub(super) fn draft(&self, settings: &mut Settings) -> Result<(), ConfigError> {
        if self.enabled {
            let max_concurrent = match self.max_concurrent {
                AMB_ADAPTIVE => Value::Text("adaptive".into()),
                count => Value::Int(count),
            };
            settings.set("bulkhead.max_concurrent", max_concurrent)?;
            settings.set("bulkhead.max_queue", Value::Int(self.max_queue))?;
            settings.set("bulkhead.queue_timeout_ms", bound(self.queue_timeout_ms))?;
        }
        Ok(())
    }
}

impl amb_rate_limit {
    pub(super) fn of(set: Option<&RateLimit>) -> amb_rate_limit {
        let RateLimit { rate, per, burst, max_wait, .. } = set.cloned().unwrap_or(RateLimit::new(0.0));
        let burst = burst.map_or(0, i64::from);
        amb_rate_limit { enabled: set.is_some(), rate, per_ms: ms(per), burst, max_wait_ms: ms(max_wait) }
    }

    pub(super) fn draft(&self, settings: &mut Settings) -> Result<(), ConfigError> {
        if self.enabled {
            settings.set("rate_limit.rate", Value::Float(self.rate))?;
            settings.set("rate_limit.per_ms", Value::Float(self.per_ms))?;
            settings.set("rate_limit.burst", count_or_none(self.burst))?;
            settings.set("rate_limit.max_wait_ms", Value::Float(self.max_wait_ms))?;
        }
        Ok(())
    }
}

impl amb_hedge {
    pub(super) fn of(set: Option<Hedge>) -> amb_hedge {
        let Hedge { after, max } = set.unwrap_or(Hedge { after: After::Fixed(0), max: 1 });
        let after_ms = match after {
            After::Fixed(length) => ms(length),
            After::Quantile(hundredths) => -f64::from(hundredths),
        };
        amb_hedge { enabled: set.is_some(), after_ms, max: max.into() }
    }

    pub(super) fn draft(&self, settings: &mut Settings) -> Result<(), ConfigError> {
        if self.enabled {
            let after = [(AMB_P50, "p50"), (AMB_P90, "p90"), (AMB_P95, "p95"), (AMB_P99, "p99")]
                .into_iter()
                .find(|(constant, _)| *constant == self.after_ms)
                .map_or(Value::Float(self.after_ms), |(_, word)| Value::Text(word.into()));
            settings.set("hedge.after_ms", after)?;
            settings.set("hedge.max", Value::Int(self.max))?;
        }
        Ok(())
    }
}
