//! The settings in force, as `proxy.policy` tells them (C3); those of networking are in `network`.

use std::collections::HashMap;

use ambassador_core::{After, Backoff, Breaker, Budget, Bulkhead, Hedge, Limit, RateLimit};
use napi::bindgen_prelude::{Either, External, Null};
use napi_derive::napi;

use crate::instance::Handle;
use crate::network::{
    AuthInForce, DiscoveryInForce, EndpointInForce, HealthCheckInForce, HttpInForce, OutlierInForce, TlsInForce,
};
use crate::settings::milliseconds;

/// What is told in place of a secret (S3).
pub const HIDDEN: &str = "***";

/// The settings in force (C3), but for those that only JavaScript can hold. Lengths of time are milliseconds.
#[napi(object)]
pub struct PolicyInForce {
    pub max_retries: u32,
    pub name: String,
    pub timeout_ms: OrNull<f64>,
    pub deadline_ms: OrNull<f64>,
    pub backoff: BackoffInForce,
    pub budget: OrNull<BudgetInForce>,
    pub breaker: OrNull<BreakerInForce>,
    pub bulkhead: OrNull<BulkheadInForce>,
    pub rate_limit: OrNull<RateLimitInForce>,
    pub hedge: OrNull<HedgeInForce>,
    pub idempotent: bool,
    pub endpoints: Vec<EndpointInForce>,
    pub discovery: OrNull<DiscoveryInForce>,
    pub balance: String,
    pub hash_on: OrNull<String>,
    pub zone: OrNull<String>,
    pub slow_start_ms: OrNull<f64>,
    pub outlier: OrNull<OutlierInForce>,
    pub health_check: OrNull<HealthCheckInForce>,
    pub tls: TlsInForce,
    pub auth: OrNull<AuthInForce>,
    pub headers: HashMap<String, String>,
    pub idempotency_key: String,
    pub http: HttpInForce,
}

/// A value, or JavaScript's `null`.
pub type OrNull<T> = Either<T, Null>;

#[napi(object)]
pub struct BackoffInForce {
    pub base_ms: f64,
    pub factor: f64,
    pub max_ms: f64,
    pub jitter: String,
    pub hint_max_ms: f64,
}

#[napi(object)]
pub struct BudgetInForce {
    pub ratio: f64,
    pub min_per_second: f64,
    pub window_ms: f64,
}

#[napi(object)]
pub struct BreakerInForce {
    pub failure_rate: f64,
    pub min_calls: u32,
    pub window_ms: f64,
    pub consecutive_failures: OrNull<u32>,
    pub slow_call_ms: OrNull<f64>,
    pub slow_rate: f64,
    pub open_for_ms: f64,
    pub open_max_ms: f64,
    pub probes: u32,
}

#[napi(object)]
pub struct BulkheadInForce {
    pub max_concurrent: Either<u32, String>,
    pub max_queue: u32,
    pub queue_timeout_ms: OrNull<f64>,
}

#[napi(object)]
pub struct RateLimitInForce {
    pub rate: f64,
    pub per_ms: f64,
    pub burst: OrNull<u32>,
    pub max_wait_ms: f64,
}

#[napi(object)]
pub struct HedgeInForce {
    pub after_ms: Either<f64, String>,
    pub max: u32,
}

/// See [`PolicyInForce`].
#[napi(catch_unwind)]
pub fn policy(handle: &External<Handle>) -> PolicyInForce {
    let core = &handle.proxy.core;
    let policy = core.policy_in_force();
    let shared = &policy.shared;
    PolicyInForce {
        max_retries: policy.max_retries,
        name: core.name().into(),
        timeout_ms: or_null(policy.timeout.map(milliseconds)),
        deadline_ms: or_null(policy.deadline.map(milliseconds)),
        backoff: (&policy.backoff).into(),
        budget: or_null(shared.budget.as_ref().map(Into::into)),
        breaker: or_null(shared.breaker.as_ref().map(Into::into)),
        bulkhead: or_null(shared.bulkhead.as_ref().map(Into::into)),
        rate_limit: or_null(shared.rate_limit.as_ref().map(Into::into)),
        hedge: or_null(policy.hedge.as_ref().map(Into::into)),
        idempotent: policy.idempotent,
        endpoints: shared.endpoints.iter().map(Into::into).collect(),
        discovery: or_null(shared.discovery.as_ref().map(Into::into)),
        balance: shared.balance.as_str().into(),
        hash_on: or_null(shared.hash_on.as_ref().map(ToString::to_string)),
        zone: or_null(shared.zone.clone()),
        slow_start_ms: or_null(shared.slow_start.map(milliseconds)),
        outlier: or_null(shared.outlier.as_ref().map(Into::into)),
        health_check: or_null(shared.health_check.as_ref().map(Into::into)),
        tls: (&shared.tls).into(),
        auth: or_null(policy.auth.as_ref().map(Into::into)),
        headers: policy.headers.iter().map(|(name, _)| (name.clone(), HIDDEN.into())).collect(),
        idempotency_key: policy.idempotency_key.as_str().into(),
        http: (&shared.http).into(),
    }
}

impl From<&Backoff> for BackoffInForce {
    fn from(backoff: &Backoff) -> BackoffInForce {
        BackoffInForce {
            base_ms: milliseconds(backoff.base),
            factor: backoff.factor,
            max_ms: milliseconds(backoff.max),
            jitter: backoff.jitter.as_str().into(),
            hint_max_ms: milliseconds(backoff.hint_max),
        }
    }
}

impl From<&Budget> for BudgetInForce {
    fn from(budget: &Budget) -> BudgetInForce {
        BudgetInForce {
            ratio: budget.ratio,
            min_per_second: budget.min_per_second,
            window_ms: milliseconds(budget.window),
        }
    }
}

impl From<&Breaker> for BreakerInForce {
    fn from(breaker: &Breaker) -> BreakerInForce {
        BreakerInForce {
            failure_rate: breaker.failure_rate,
            min_calls: breaker.min_calls,
            window_ms: milliseconds(breaker.window),
            consecutive_failures: or_null(breaker.consecutive_failures),
            slow_call_ms: or_null(breaker.slow_call.map(milliseconds)),
            slow_rate: breaker.slow_rate,
            open_for_ms: milliseconds(breaker.open_for),
            open_max_ms: milliseconds(breaker.open_max),
            probes: breaker.probes,
        }
    }
}

impl From<&Bulkhead> for BulkheadInForce {
    fn from(bulkhead: &Bulkhead) -> BulkheadInForce {
        BulkheadInForce {
            max_concurrent: match bulkhead.limit {
                Limit::Fixed(most) => Either::A(most),
                Limit::Adaptive => Either::B("adaptive".into()),
            },
            max_queue: bulkhead.max_queue,
            queue_timeout_ms: or_null(bulkhead.queue_timeout.map(milliseconds)),
        }
    }
}

impl From<&RateLimit> for RateLimitInForce {
    fn from(limit: &RateLimit) -> RateLimitInForce {
        RateLimitInForce {
            rate: limit.rate,
            per_ms: milliseconds(limit.per),
            burst: or_null(limit.burst),
            max_wait_ms: milliseconds(limit.max_wait),
        }
    }
}

impl From<&Hedge> for HedgeInForce {
    fn from(hedge: &Hedge) -> HedgeInForce {
        HedgeInForce {
            after_ms: match hedge.after {
                After::Fixed(length) => Either::A(milliseconds(length)),
                quantile => Either::B(quantile.to_string()),
            },
            max: hedge.max,
        }
    }
}

/// A value, or JavaScript's `null`.
pub fn or_null<T>(value: Option<T>) -> OrNull<T> {
    value.map_or(Either::B(Null), Either::A)
}
