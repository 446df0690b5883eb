//! `docs/errors.md`.

use crate::{Entry, Generated, NOTICE, java};

pub fn page(entries: &[Entry]) -> Generated {
    let rows: String = entries
        .iter()
        .map(|e| {
            format!(
                "| `{code}` | `{class}` | `ERR_AMBASSADOR_{code}` | `{java}` | `AMB_ERR_{code}` ({number}) | {summary} | {advice} |\n",
                code = e.code,
                class = e.class,
                java = java::class(&e.class),
                number = -i32::from(e.number),
                summary = e.summary,
                advice = e.advice,
            )
        })
        .collect();
    let text = format!(
        r#"<!-- {NOTICE} -->
# Errors

When the last attempt failed with an error of the application's own, that error comes back: in Python, Node and Rust the same
object, in Java as the cause of a `RuntimeException("All retries failed", cause)`, in C as the callback's own status.
Everything else is one of these. Each carries the target, the number of attempts and the time taken, and has the last real
failure as its cause.

| code | Python | Node `error.code` | Java | C | raised when | what to do |
| --- | --- | --- | --- | --- | --- | --- |
{rows}
In Rust they are `CallError::Ambassador(error, cause)`, with `error.code()` a `Code`; a wrong setting is a `ConfigError`.
In Node the classes are named as in Python.
"#
    );
    ("docs/errors.md".into(), text)
}
