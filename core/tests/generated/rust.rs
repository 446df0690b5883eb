//! `core/src/error/codes.rs`.

use crate::{Entry, Generated, NOTICE};

pub fn codes(entries: &[Entry]) -> Generated {
    let each = |line: &dyn Fn(&Entry) -> String| entries.iter().map(line).collect::<String>();
    let variants = each(&|e| format!("    /// {}.\n    {},\n", capital(&e.summary), e.variant()));
    let arms =
        |value: &dyn Fn(&Entry) -> String| each(&|e| format!("            Code::{} => {},\n", e.variant(), value(e)));
    let names = entries.iter().map(|e| format!("Code::{}", e.variant())).collect::<Vec<_>>().join(", ");
    let text = format!(
        r#"//! The codes of the ambassador's own errors. {NOTICE}

/// Which error it is; the same in every language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {{
{variants}}}

#[rustfmt::skip]
impl Code {{
    /// Every code, by number.
    pub const ALL: &'static [Code] = &[{names}];

    /// Its name: `TIMEOUT`.
    pub const fn as_str(self) -> &'static str {{
        match self {{
{as_str}        }}
    }}

    /// Its number; the status code in C is its negative.
    pub const fn number(self) -> i32 {{
        match self {{
{number}        }}
    }}

    /// When it is raised.
    pub const fn summary(self) -> &'static str {{
        match self {{
{summary}        }}
    }}

    /// What to do about it.
    pub const fn advice(self) -> &'static str {{
        match self {{
{advice}        }}
    }}
}}
"#,
        as_str = arms(&|e| format!("{:?}", e.code)),
        number = arms(&|e| e.number.to_string()),
        summary = arms(&|e| format!("{:?}", e.summary)),
        advice = arms(&|e| format!("{:?}", e.advice)),
    );
    ("core/src/error/codes.rs".into(), text)
}

fn capital(text: &str) -> String {
    text[..1].to_uppercase() + &text[1..]
}
