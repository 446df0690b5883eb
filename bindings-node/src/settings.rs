//! Settings from JavaScript, each checked by the core (C2), and the proxy that is made of them.

use std::rc::Rc;

use ambassador_core::clock::{MILLISECOND, Nanos};
use ambassador_core::settings::{Settings, Spelling, Value};
use ambassador_core::{AmbassadorProxy, ConfigError};
use napi::bindgen_prelude::{Either, External};
use napi_derive::napi;

use crate::instance::{Handle, Instance};

/// One setting of a proxy to be: its name as the core spells it for Node (`backoff.baseMs`), and what it was given.
#[napi(object)]
pub struct Edit {
    pub field: String,
    pub value: Given,
}

/// A value from JavaScript: its kind (`null`, `boolean`, `number`, `string`, `list`, `map`, or anything else), and what is in it. As text,
/// it is what JavaScript shows of anything else.
#[napi(object)]
pub struct Given {
    pub kind: String,
    pub number: f64,
    pub text: String,
    /// What is in a list, or the values of a map.
    pub values: Option<Vec<Given>>,
    /// Their names in a map.
    pub names: Option<Vec<String>>,
}

impl From<Given> for Value {
    fn from(given: Given) -> Value {
        let values = given.values.into_iter().flatten().map(Value::from);
        match given.kind.as_str() {
            "null" => Value::Null,
            "boolean" => Value::Bool(given.number != 0.0),
            "number" => Value::Float(given.number),
            "string" => Value::Text(given.text),
            "list" => Value::List(values.collect()),
            "map" => Value::Map(given.names.into_iter().flatten().zip(values).collect()),
            _ => Value::Other(given.text),
        }
    }
}

/// A setting that is wrong: field, value, what is allowed, and the message of all three.
pub type Wrong = Vec<String>;

/// Makes a proxy for that target; its number goes into the exchange, and whether its calls may be hedged. Or says which setting is wrong.
#[napi(catch_unwind)]
pub fn open(instance: &External<Rc<Instance>>, target: Given, edits: Vec<Edit>) -> Either<External<Handle>, Wrong> {
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

fn checked(target: Given, edits: Vec<Edit>) -> Result<Settings, ConfigError> {
    let mut settings = if target.kind == "string" {
        Settings::new(&target.text, Spelling::Node)?
    } else {
        // What a target may be is the core's to say, and it says so to one that is empty.
        Settings::new("", Spelling::Node).map_err(|wrong| ConfigError { value: target.text, ..wrong })?
    };
    for edit in edits {
        settings.set(&edit.field, edit.value.into())?;
    }
    Ok(settings)
}

pub fn told(wrong: &ConfigError) -> Wrong {
    vec![wrong.field.clone(), wrong.value.clone(), wrong.allowed.clone(), wrong.to_string()]
}

/// E4: the target's endpoints are these from now on; or what is wrong with them.
#[napi(catch_unwind)]
pub fn set_endpoints(handle: &External<Handle>, endpoints: Given) -> Option<Wrong> {
    match Settings::endpoints(Spelling::Node, &endpoints.into()) {
        Ok(endpoints) => {
            handle.proxy.core.set_endpoints(endpoints);
            None
        }
        Err(wrong) => Some(told(&wrong)),
    }
}

/// A setting that only JavaScript can judge: an error for it, in the words of all others.
#[napi(catch_unwind)]
pub fn wrong(field: String, value: String, allowed: String) -> Wrong {
    told(&ConfigError::new(field, value, allowed))
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
