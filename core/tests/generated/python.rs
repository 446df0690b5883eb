//! `ambassador_proxy/errors.py`.

use crate::{Entry, Generated, NOTICE};

pub fn errors(entries: &[Entry]) -> Generated {
    let classes: String = entries.iter().map(class).collect();
    let by_code: String = entries.iter().map(|e| format!("    \"{}\": {},\n", e.code, e.class)).collect();
    let mut names: Vec<&str> = entries.iter().map(|e| e.class.as_str()).chain(["AmbassadorError", "BY_CODE"]).collect();
    names.sort_by_key(|name| (*name != "BY_CODE", *name));
    let all: String = names.iter().map(|name| format!("    \"{name}\",\n")).collect();
    let text = format!(
        r#""""The ambassador's own errors. {NOTICE}"""

from __future__ import annotations

__all__ = [
{all}]


class AmbassadorError(Exception):
    """An error of the ambassador's own, rather than of the function that it called.

    ``code`` is the same in every language. ``target`` is what was called, ``attempts`` how often, ``elapsed`` how long
    that took, in seconds; ``retry_after``, in seconds, is when to come again, where that is known. The last real
    failure is the ``__cause__``.
    """

    code = "INTERNAL"

    def __init__(
        self,
        message: str = "",
        *,
        target: str | None = None,
        attempts: int = 0,
        elapsed: float = 0.0,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.target = target
        self.attempts = attempts
        self.elapsed = elapsed
        self.retry_after = retry_after
{classes}

BY_CODE: dict[str, type[AmbassadorError]] = {{
{by_code}}}
"#
    );
    ("bindings-python/python/ambassador_proxy/errors.py".into(), text)
}

fn class(entry: &Entry) -> String {
    let bases = [vec![entry.parent().to_owned()], entry.python_bases.clone()].concat().join(", ");
    let mut text = format!(
        "\n\nclass {}({bases}):\n    \"\"\"{}: {}.\n\n    What to do: {}.\n    \"\"\"\n\n    code = \"{}\"\n",
        entry.class, entry.code, entry.summary, entry.advice, entry.code
    );
    if !entry.fields.is_empty() {
        let parameters: String = entry.fields.iter().map(|f| format!("        {f}: str | None = None,\n")).collect();
        let assignments: String = entry.fields.iter().map(|f| format!("        self.{f} = {f}\n")).collect();
        text += &format!(
            "\n    def __init__(\n        self,\n        message: str = \"\",\n        *,\n{parameters}        target: str | None = None,\n    \
             ) -> None:\n        super().__init__(message, target=target)\n{assignments}"
        );
    }
    text
}
