//! The exception classes of `io.ambassador`.

use crate::{Entry, Generated, NOTICE};

const FOLDER: &str = "bindings-java/src/main/java/io/ambassador/";

/// `ConfigError` → `ConfigException`.
pub fn class(name: &str) -> String {
    name.strip_suffix("Error").unwrap_or(name).to_owned() + "Exception"
}

pub fn classes(entries: &[Entry]) -> Vec<Generated> {
    let mut files = vec![base(entries)];
    files.extend(entries.iter().map(|entry| (path(&entry.class), exception(entries, entry))));
    files
}

fn path(name: &str) -> String {
    format!("{FOLDER}{}.java", class(name))
}

fn is_parent(entries: &[Entry], entry: &Entry) -> bool {
    entries.iter().any(|e| e.parent.as_deref() == Some(&entry.class))
}

fn exception(entries: &[Entry], entry: &Entry) -> String {
    let (name, parent) = (class(&entry.class), class(entry.parent()));
    let kind = if is_parent(entries, entry) { "" } else { "final " };
    let head = format!(
        "// {NOTICE}\npackage io.ambassador;\n\n/** {}: {}. What to do: {}. */\npublic {kind}class {name} extends {parent} {{\n    \
         private static final long serialVersionUID = 1L;\n",
        entry.code,
        entry.summary,
        entry.advice.replace('`', "")
    )
    .replace('`', "");
    if !entry.fields.is_empty() {
        return head + &described(entry, &name);
    }
    let mut text = head
        + &format!(
            r#"
    /**
     * Made by the ambassador.
     *
     * @param message what happened, to which target, and what to do
     * @param target what was called
     * @param attempts how often
     * @param elapsedNanos how long that took, in nanoseconds
     * @param cause the last real failure, or null
     */
    public {name}(String message, String target, int attempts, long elapsedNanos, Throwable cause) {{
        this("{code}", message, target, attempts, elapsedNanos, cause);
    }}

    {access}{name}(String code, String message, String target, int attempts, long elapsedNanos, Throwable cause) {{
        super(code, message, target, attempts, elapsedNanos, cause);
    }}
"#,
            code = entry.code,
            access = if is_parent(entries, entry) { "" } else { "private " },
        );
    text.push_str("}\n");
    text
}

fn described(entry: &Entry, name: &str) -> String {
    let fields = &entry.fields;
    let declared: String = fields.iter().map(|f| format!("    private final String {f};\n")).collect();
    let parameters: String = fields.iter().map(|f| format!(", String {f}")).collect();
    let assigned: String = fields.iter().map(|f| format!("        this.{f} = {f};\n")).collect();
    let documented: String =
        fields.iter().map(|f| format!("     * @param {f} see {{@link #get{}}}\n", capital(f))).collect();
    let getters: String = fields
        .iter()
        .map(|f| {
            let of = match f.as_str() {
                "field" => "the setting that is wrong",
                "value" => "the value that was given",
                _ => "what is allowed instead",
            };
            format!(
                "\n    /** @return {of} */\n    public String get{}() {{\n        return {f};\n    }}\n",
                capital(f)
            )
        })
        .collect();
    format!(
        r#"
{declared}
    /**
     * Made by the ambassador.
     *
     * @param message which setting is wrong, what it was, and what is allowed
{documented}     */
    public {name}(String message{parameters}) {{
        super("{code}", message, null, 0, 0, null);
{assigned}    }}
{getters}}}
"#,
        code = entry.code
    )
}

fn base(entries: &[Entry]) -> Generated {
    let cases: String = entries
        .iter()
        .filter(|e| e.fields.is_empty())
        .map(|e| {
            format!(
                "            case \"{}\" -> new {}(message, target, attempts, elapsedNanos, cause);\n",
                e.code,
                class(&e.class)
            )
        })
        .collect();
    let text = format!(
        r#"// {NOTICE}
package io.ambassador;

import java.time.Duration;

/** An error of the ambassador's own, rather than of the function that it called. Its cause is the last real failure. */
public class AmbassadorException extends RuntimeException implements RetryAfter {{
    private static final long serialVersionUID = 1L;

    private final String code;
    private final String target;
    private final int attempts;
    private final long elapsedNanos;
    private long retryAfterNanos = -1;

    AmbassadorException(String code, String message, String target, int attempts, long elapsedNanos, Throwable cause) {{
        super(message, cause);
        this.code = code;
        this.target = target;
        this.attempts = attempts;
        this.elapsedNanos = elapsedNanos;
    }}

    /** @return the code, the same in every language: TIMEOUT, DEADLINE … */
    public String getCode() {{
        return code;
    }}

    /** @return what was called; null when the error is of no call */
    public String getTarget() {{
        return target;
    }}

    /** @return how many attempts the call made */
    public int getAttempts() {{
        return attempts;
    }}

    /** @return how long the call took */
    public Duration getElapsed() {{
        return Duration.ofNanos(elapsedNanos);
    }}

    /** @return how long after its refusal the call may come again; null when nobody knows, or it was not refused */
    @Override
    public Duration getRetryAfter() {{
        return retryAfterNanos < 0 ? null : Duration.ofNanos(retryAfterNanos);
    }}

    static AmbassadorException of(
            String code, String message, String target, int attempts, long elapsedNanos, long retryAfterNanos, Throwable cause) {{
        AmbassadorException error = switch (code) {{
{cases}            default -> new AmbassadorException(code, message, target, attempts, elapsedNanos, cause);
        }};
        error.retryAfterNanos = retryAfterNanos;
        return error;
    }}
}}
"#
    );
    (path("AmbassadorError"), text)
}

fn capital(text: &str) -> String {
    text[..1].to_uppercase() + &text[1..]
}
