//! Settings from JavaScript, each checked by the core (C2), and back to it; and the proxy that is made of them.

use std::rc::Rc;

use ambassador_core::clock::{MILLISECOND, Nanos};
use ambassador_core::settings::{Settings, Spelling, Value};
use ambassador_core::{
    After, AmbassadorProxy, Backoff, Breaker, Budget, Bulkhead, ConfigError, Hedge, Limit, RateLimit,
};
use napi::bindgen_prelude::{Either, External, Null};
use napi_derive::napi;

use crate::instance::{Handle, Instance};

/// One setting of a proxy to be: its name as the core spells it for Node (`backoff.baseMs`), what kind of value it got
/// (`null`, `boolean`, `number`, `string`, or anything else), and the value; as text, it is what JavaScript shows of it.
#[napi(object)]
pub struct Edit {
    pub field: String,
    pub kind: String,
    pub number: f64,
    pub text: String,
}

impl Edit {
    fn value(self) -> Value {
        match self.kind.as_str() {
            "null" => Value::Null,
            "boolean" => Value::Bool(self.number != 0.0),
            "number" => Value::Float(self.number),
            "string" => Value::Text(self.text),
            _ => Value::Other(self.text),
        }
    }
}

/// A setting that is wrong: field, value, what is allowed, and the message of all three.
type Wrong = Vec<String>;

/// Makes a proxy for that target; its number goes into the exchange, and whether its calls may be hedged. Or says which setting is wrong.
#[napi(catch_unwind)]
pub fn open(instance: &External<Rc<Instance>>, target: Edit, edits: Vec<Edit>) -> Either<External<Handle>, Wrong> {
    match checked(target, edits).and_then(AmbassadorProxy::from_settings) {
        Ok(core) => {
            let is_hedged = core.policy().hedge.is_some();
            let (handle, number) = Handle::new(instance, core);
            // SAFETY: see `Exchange::create`; JavaScript does not run while this native does.
            let exchange = unsafe { &*instance.exchange };
            exchange.proxy.set(number as i32);
            exchange.answer.set(i32::from(is_hedged));
            Either::A(External::new(handle))
        }
        Err(wrong) => Either::B(told(&wrong)),
    }
}

fn checked(target: Edit, edits: Vec<Edit>) -> Result<Settings, ConfigError> {
    let mut settings = if target.kind == "string" {
        Settings::new(&target.text, Spelling::Node)?
    } else {
        // What a target may be is the core's to say, and it says so to one that is empty.
        Settings::new("", Spelling::Node).map_err(|wrong| ConfigError { value: target.text, ..wrong })?
    };
    for edit in edits {
        let field = edit.field.clone();
        settings.set(&field, edit.value())?;
    }
    Ok(settings)
}

fn told(wrong: &ConfigError) -> Wrong {
    vec![wrong.field.clone(), wrong.value.clone(), wrong.allowed.clone(), wrong.to_string()]
}

/// A setting that only JavaScript can judge: an error for it, in the words of all others.
#[napi(catch_unwind)]
pub fn wrong(field: String, value: String, allowed: String) -> Wrong {
    told(&ConfigError::new(field, value, allowed))
}

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
}

type OrNull<T> = Either<T, Null>;

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
    let (policy, shared) = (core.policy(), &core.policy().shared);
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

fn or_null<T>(value: Option<T>) -> OrNull<T> {
    value.map_or(Either::B(Null), Either::A)
}

/// Every setting, as Node spells it; JSON.
#[napi(catch_unwind)]
pub fn settings() -> String {
    Settings::fields_json(Spelling::Node)
}

/// A length of time for JavaScript.
pub fn milliseconds(length: Nanos) -> f64 {
    length as f64 / MILLISECOND as f64
}
