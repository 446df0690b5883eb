//! Settings from JavaScript, each checked by the core (C2), and back to it; and the proxy that is made of them.

use std::rc::Rc;

use ambassador_core::clock::{MILLISECOND, Nanos};
use ambassador_core::settings::{Settings, Spelling, Value};
use ambassador_core::{AmbassadorProxy, ConfigError};
use napi::bindgen_prelude::{Either, External};
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

/// Makes a proxy for that target; its number goes into the exchange. Or says which setting is wrong.
#[napi(catch_unwind)]
pub fn open(instance: &External<Rc<Instance>>, target: Edit, edits: Vec<Edit>) -> Either<External<Handle>, Wrong> {
    match checked(target, edits) {
        Ok(settings) => {
            let (handle, number) = Handle::new(instance, AmbassadorProxy::from_settings(settings));
            // SAFETY: see `Exchange::create`; JavaScript does not run while this native does.
            unsafe { &*instance.exchange }.proxy.set(number as i32);
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
pub struct PolicyNumbers {
    pub name: String,
    pub max_retries: u32,
    pub timeout_ms: Option<f64>,
    pub deadline_ms: Option<f64>,
    pub base_ms: f64,
    pub factor: f64,
    pub max_ms: f64,
    pub jitter: String,
    pub hint_max_ms: f64,
}

/// See [`PolicyNumbers`].
#[napi(catch_unwind)]
pub fn policy(handle: &External<Handle>) -> PolicyNumbers {
    let core = &handle.proxy.core;
    let (policy, backoff) = (core.policy(), &core.policy().backoff);
    PolicyNumbers {
        name: core.name().into(),
        max_retries: policy.max_retries,
        timeout_ms: policy.timeout.map(milliseconds),
        deadline_ms: policy.deadline.map(milliseconds),
        base_ms: milliseconds(backoff.base),
        factor: backoff.factor,
        max_ms: milliseconds(backoff.max),
        jitter: backoff.jitter.as_str().into(),
        hint_max_ms: milliseconds(backoff.hint_max),
    }
}

/// Every setting, as Node spells it; JSON.
#[napi(catch_unwind)]
pub fn settings() -> String {
    Settings::fields_json(Spelling::Node)
}

fn milliseconds(length: Nanos) -> f64 {
    length as f64 / MILLISECOND as f64
}
