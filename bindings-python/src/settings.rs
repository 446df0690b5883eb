//! Python values as values of settings. What is allowed is the core's to say; only what the core cannot see (that a target is
//! no text) is found here (C2).

use ambassador_core::ConfigError;
use ambassador_core::settings::{Settings, Spelling, Value};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDelta, PyDeltaAccess, PyDict, PyFloat, PyInt, PyList, PyMapping, PyString, PyTuple};

/// Settings for a target, of a dict from names to values. Names are those of the core: `backoff.base`.
pub fn read(target: &Bound<'_, PyAny>, edits: &Bound<'_, PyDict>) -> PyResult<Result<Settings, ConfigError>> {
    let mut settings = match value(target) {
        Value::Text(text) => match Settings::new(&text, Spelling::Python) {
            Ok(settings) => settings,
            Err(wrong) => return Ok(Err(wrong)),
        },
        _ => {
            // What a target may be is the core's to say, and it says so to any wrong one.
            let sample = Settings::new(" ", Spelling::Python).err();
            let (field, allowed) =
                sample.map_or_else(|| ("target_host".into(), "a host".into()), |e| (e.field, e.allowed));
            return Ok(Err(ConfigError::new(field, shown(target), allowed)));
        }
    };
    for (name, given) in edits {
        let name = name.cast::<PyString>()?.to_string();
        if let Err(wrong) = settings.set(&name, value(&given)) {
            return Ok(Err(wrong));
        }
    }
    Ok(Ok(settings))
}

/// A value of Python's as a setting's.
pub fn value(given: &Bound<'_, PyAny>) -> Value {
    if given.is_none() {
        Value::Null
    } else if let Ok(truth) = given.cast::<PyBool>() {
        Value::Bool(truth.is_true())
    } else if given.is_instance_of::<PyInt>() {
        given.extract().map_or_else(|_| Value::Other(shown(given)), Value::Int)
    } else if given.is_instance_of::<PyFloat>() {
        given.extract().map_or_else(|_| Value::Other(shown(given)), Value::Float)
    } else if let Ok(text) = given.cast::<PyString>() {
        text.to_str().map_or_else(|_| Value::Other(shown(given)), |t| Value::Text(t.into()))
    } else if let Ok(length) = given.cast::<PyDelta>() {
        delta(length).map_or_else(|| Value::Other(shown(given)), Value::Length)
    } else if let Ok(whole) = given.call_method0("__index__").and_then(|i| i.extract()) {
        // Whole numbers of other libraries.
        Value::Int(whole)
    } else {
        compound(given).unwrap_or_else(|_| Value::Other(shown(given)))
    }
}

/// Lists, mappings, and paths. What their own code raises makes them a value like any other.
fn compound(given: &Bound<'_, PyAny>) -> PyResult<Value> {
    if given.is_instance_of::<PyList>() || given.is_instance_of::<PyTuple>() {
        let values = given.try_iter()?.map(|one| Ok(value(&one?)));
        return Ok(Value::List(values.collect::<PyResult<_>>()?));
    }
    if let Ok(mapping) = given.cast::<PyMapping>() {
        let pairs = mapping.items()?.into_iter().map(|pair| {
            let (name, given): (String, Bound<'_, PyAny>) = pair.extract()?;
            Ok((name, value(&given)))
        });
        return Ok(Value::Map(pairs.collect::<PyResult<_>>()?));
    }
    Ok(Value::Text(given.call_method0("__fspath__")?.extract()?))
}

/// A `timedelta` in nanoseconds; `None` below zero.
pub fn delta(length: &Bound<'_, PyDelta>) -> Option<u64> {
    let seconds = i64::from(length.get_days()) * 24 * 3600 + i64::from(length.get_seconds());
    let nanos = i128::from(seconds) * 1_000_000_000 + i128::from(length.get_microseconds()) * 1000;
    u64::try_from(nanos).ok()
}

/// R3: a hint in seconds, or as a `timedelta`. What is no length of time is no hint; one that has passed is 0.
pub fn hint(given: &Bound<'_, PyAny>) -> Option<u64> {
    if let Ok(length) = given.cast::<PyDelta>() {
        return Some(delta(length).unwrap_or(0));
    }
    if given.is_instance_of::<PyBool>() || !(given.is_instance_of::<PyInt>() || given.is_instance_of::<PyFloat>()) {
        return None;
    }
    let seconds: f64 = given.extract().ok()?;
    if seconds.is_nan() {
        return None;
    }
    // Rounded up: never early by rounding. The cast saturates.
    Some((seconds.max(0.0) * 1e9).ceil() as u64)
}

/// What Python shows of a value. A `__repr__` that throws is no reason for another error than that of the setting.
fn shown(given: &Bound<'_, PyAny>) -> String {
    given.repr().map_or_else(|_| "a value that cannot be shown".into(), |text| text.to_string_lossy().into_owned())
}
