//! `lib/errors.js` and `lib/errors.d.ts`.

use crate::{Entry, Generated, NOTICE};

pub fn errors(entries: &[Entry]) -> [Generated; 2] {
    [
        ("bindings-node/lib/errors.js".into(), javascript(entries)),
        ("bindings-node/lib/errors.d.ts".into(), types(entries)),
    ]
}

fn javascript(entries: &[Entry]) -> String {
    let classes: String = entries.iter().map(|e| format!("class {} extends {} {{}}\n", e.class, e.parent())).collect();
    let by_code: String = entries.iter().map(|e| format!("  {}: {},\n", e.code, e.class)).collect();
    let named: String = entries
        .iter()
        .map(|e| format!("name({}, \"ERR_AMBASSADOR_{}\", {:?});\n", e.class, e.code, e.fields))
        .collect();
    let exports: String = entries.iter().map(|e| format!("exports.{0} = {0};\n", e.class)).collect();
    format!(
        r#"// The ambassador's own errors. {NOTICE}
"use strict";

class AmbassadorError extends Error {{
  constructor(message, details = {{}}) {{
    super(message, "cause" in details ? {{ cause: details.cause }} : undefined);
    this.target = details.target;
    this.attempts = details.attempts ?? 0;
    this.elapsedMs = details.elapsedMs ?? 0;
    if (details.retryAfterMs !== undefined) this.retryAfterMs = details.retryAfterMs;
    for (const field of this.constructor.fields ?? []) this[field] = details[field];
  }}
}}

{classes}
function name(type, code, fields) {{
  Object.defineProperty(type.prototype, "name", {{ value: type.name, configurable: true, writable: true }});
  Object.defineProperty(type.prototype, "code", {{ value: code, configurable: true, writable: true, enumerable: true }});
  Object.defineProperty(type, "fields", {{ value: fields }});
}}

name(AmbassadorError, "ERR_AMBASSADOR_INTERNAL", []);
{named}
const BY_CODE = {{
{by_code}}};

exports.AmbassadorError = AmbassadorError;
{exports}exports.BY_CODE = BY_CODE;
"#
    )
}

fn types(entries: &[Entry]) -> String {
    let classes: String = entries
        .iter()
        .map(|e| {
            let fields: String = e.fields.iter().map(|f| format!("  readonly {f}: string;\n")).collect();
            format!(
                "\n/** {}. What to do: {}. */\nexport class {} extends {} {{\n  readonly code: string;\n{fields}}}\n",
                e.summary,
                e.advice,
                e.class,
                e.parent()
            )
        })
        .collect();
    format!(
        r#"// The ambassador's own errors. {NOTICE}

export interface ErrorDetails {{
  target?: string;
  attempts?: number;
  elapsedMs?: number;
  retryAfterMs?: number;
  cause?: unknown;
  field?: string;
  value?: string;
  allowed?: string;
}}

/** An error of the ambassador's own, rather than of the function that it called. */
export class AmbassadorError extends Error {{
  constructor(message: string, details?: ErrorDetails);
  /** `ERR_AMBASSADOR_…`; the part after that prefix is the same in every language. */
  readonly code: string;
  /** What was called. */
  readonly target?: string;
  /** How often. */
  readonly attempts: number;
  /** How long that took, in milliseconds. */
  readonly elapsedMs: number;
  /** When to come again, in milliseconds, where that is known. */
  readonly retryAfterMs?: number;
  /** The last real failure. */
  readonly cause?: unknown;
}}
{classes}
export const BY_CODE: Readonly<Record<string, typeof AmbassadorError>>;
"#
    )
}
