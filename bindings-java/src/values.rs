//! Values on their way between Java and the core, flat: a text for each, which begins with a letter for its kind. A list or a map is
//! followed by what it holds; in a map, each value by its name.
//!
//! | text | is |
//! | --- | --- |
//! | `n` | nothing |
//! | `b1` | a truth value |
//! | `i42` | a whole number |
//! | `d4607182418800017408` | another number, by its bits |
//! | `l1500000` | a length in nanoseconds |
//! | `ttext` | text |
//! | `oList12` | anything else, as Java shows it |
//! | `[2`, `{2` | a list of two, a map of two |

use ambassador_core::settings::Value;
use jni::Env;
use jni::errors::Result;
use jni::objects::{JObjectArray, JString};

/// How deep values may lie in one another: Java's own could do so without end.
const DEEPEST: u32 = 8;

/// The value that Java has written.
pub fn read<'local>(env: &mut Env<'local>, flat: &JObjectArray<'local, JString<'local>>) -> Result<Value> {
    let mut texts = Vec::with_capacity(flat.len(env)?);
    for at in 0..flat.len(env)? {
        let text = flat.get_element(env, at)?;
        texts.push(text.try_to_string(env)?);
        env.delete_local_ref(text);
    }
    Ok(value(&mut texts.into_iter(), 0))
}

fn value(texts: &mut impl Iterator<Item = String>, depth: u32) -> Value {
    let text = texts.next().unwrap_or_default();
    let (kind, rest) = text.split_at_checked(1).unwrap_or_default();
    let whole = || rest.parse().unwrap_or(0_i64);
    match kind {
        "b" => Value::Bool(rest == "1"),
        "i" => Value::Int(whole()),
        "d" => Value::Float(f64::from_bits(whole() as u64)),
        "l" => Value::Length(whole() as u64),
        "t" => Value::Text(rest.into()),
        "o" => Value::Other(rest.into()),
        "[" if depth < DEEPEST => Value::List((0..whole()).map(|_| value(texts, depth + 1)).collect()),
        "{" if depth < DEEPEST => {
            Value::Map((0..whole()).map(|_| (texts.next().unwrap_or_default(), value(texts, depth + 1))).collect())
        }
        "[" | "{" => Value::Other("…".into()),
        _ => Value::Null,
    }
}

/// Writes a value for Java.
pub fn write<'local>(env: &mut Env<'local>, value: &Value) -> Result<JObjectArray<'local, JString<'local>>> {
    let mut texts = Vec::new();
    flatten(value, &mut texts);
    self::texts(env, &texts)
}

/// Texts for Java.
pub fn texts<'local>(env: &mut Env<'local>, texts: &[String]) -> Result<JObjectArray<'local, JString<'local>>> {
    let array = JObjectArray::<JString<'local>>::new(env, texts.len(), JString::default())?;
    for (at, text) in texts.iter().enumerate() {
        let text = JString::from_str(env, text)?;
        array.set_element(env, at, &text)?;
        env.delete_local_ref(text);
    }
    Ok(array)
}

fn flatten(value: &Value, texts: &mut Vec<String>) {
    texts.push(match value {
        Value::Null => "n".into(),
        Value::Bool(truth) => format!("b{}", u8::from(*truth)),
        Value::Int(whole) => format!("i{whole}"),
        Value::Float(number) => format!("d{}", number.to_bits() as i64),
        Value::Length(length) => format!("l{length}"),
        Value::Text(text) => format!("t{text}"),
        Value::Other(shown) => format!("o{shown}"),
        Value::List(values) => format!("[{}", values.len()),
        Value::Map(pairs) => format!("{{{}", pairs.len()),
    });
    match value {
        Value::List(values) => values.iter().for_each(|value| flatten(value, texts)),
        Value::Map(pairs) => {
            for (name, value) in pairs {
                texts.push(name.clone());
                flatten(value, texts);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_as_it_was_written() {
        let text = |text: &str| Value::Text(text.into());
        let written = Value::Map(vec![
            ("url".into(), text("http://10.0.0.7:8080")),
            ("weight".into(), Value::Int(-3)),
            ("share".into(), Value::Float(0.1)),
            ("wait".into(), Value::Length(u64::MAX >> 1)),
            ("truths".into(), Value::List(vec![Value::Bool(true), Value::Bool(false), Value::Null])),
            ("{2".into(), Value::Map(vec![(String::new(), text("")), ("ö\n".into(), Value::Other("[1]".into()))])),
        ]);
        let mut flat = Vec::new();
        flatten(&written, &mut flat);
        let mut texts = flat.into_iter();
        assert_eq!(value(&mut texts, 0), written);
        assert_eq!(texts.next(), None);
    }
}
