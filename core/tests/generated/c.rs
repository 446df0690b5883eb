//! `bindings-c/src/status.rs`, from which cbindgen makes the enum of `ambassador.h`.

use crate::{Entry, Generated, NOTICE};

pub fn status(entries: &[Entry]) -> Generated {
    let variants: String = entries
        .iter()
        .map(|e| format!("    /// {}: {}; {}.\n    AMB_ERR_{} = -{},\n", e.code, e.summary, e.advice, e.code, e.number))
        .collect();
    let arms: String =
        entries.iter().map(|e| format!("        Code::{} => amb_status::AMB_ERR_{},\n", e.variant(), e.code)).collect();
    let text = format!(
        r#"//! The status codes of the C ABI. {NOTICE}

use ambassador_core::Code;

/// What a function of this library returns. Zero is success. Negative numbers are the ambassador's; a call whose last
/// attempt failed returns that attempt's own status, which an application chooses above zero.
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub enum amb_status {{
    /// Success.
    AMB_OK = 0,
    /// An argument cannot be used: a null pointer, or a handle that was freed or is none.
    AMB_ERR_ARGUMENT = -1,
    /// Returned by a callback: control flow ended the attempt; it is not retried. Returned by a call: that happened, or
    /// the call was cancelled.
    AMB_CANCELLED = -4,
{variants}}}

/// The status of an error code.
pub(crate) fn of(code: Code) -> amb_status {{
    match code {{
{arms}        _ => amb_status::AMB_ERR_INTERNAL,
    }}
}}
"#
    );
    ("bindings-c/src/status.rs".into(), text)
}
