//! `include/ambassador_errors.hpp`.

use crate::{Entry, Generated, NOTICE};

pub fn errors(entries: &[Entry]) -> Generated {
    // A parent stands before its children, as the compiler wants it.
    let mut ordered: Vec<&Entry> = entries.iter().collect();
    ordered.sort_by_key(|entry| entry.parent.is_some());
    let classes: String = ordered.iter().map(|entry| class(entry)).collect();
    let arms: String = ordered
        .iter()
        .filter(|entry| entry.fields.is_empty())
        .map(|entry| format!("    case AMB_ERR_{}:\n        throw {}(facts);\n", entry.code, entry.class))
        .collect();
    let text = format!(
        r#"/**
 * @file ambassador_errors.hpp
 * The ambassador's own errors as C++ exceptions; include ambassador.hpp. {NOTICE}
 */
#ifndef AMBASSADOR_ERRORS_HPP
#define AMBASSADOR_ERRORS_HPP

#include "ambassador.h"

#include <chrono>
#include <cstdint>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace ambassador {{

/** What every error of the ambassador's knows. */
struct ErrorFacts {{
    std::string message;                                  ///< what happened, to which target, and what to do
    amb_status status = AMB_ERR_INTERNAL;                 ///< which error it is
    std::string target{{}};                                 ///< what was called
    std::uint32_t attempts = 0;                           ///< how many attempts were made
    std::chrono::duration<double, std::milli> elapsed{{0}}; ///< how long the call took
    std::exception_ptr cause{{}};                           ///< the function's own last exception, if there was one
    /** How long to wait before calling again, where that is known. */
    std::optional<std::chrono::duration<double, std::milli>> retry_after{{}};
}};

/** An error of the ambassador's own, rather than of the function that it called. */
class AmbassadorError : public std::runtime_error {{
public:
    /** The error of these facts. */
    explicit AmbassadorError(ErrorFacts facts) : std::runtime_error(facts.message), facts_(std::move(facts)) {{}}

    /** The status that the C functions return for it. */
    amb_status status() const noexcept {{ return facts_.status; }}
    /** What was called. */
    const std::string &target() const noexcept {{ return facts_.target; }}
    /** How many attempts were made. */
    std::uint32_t attempts() const noexcept {{ return facts_.attempts; }}
    /** How long the call took. */
    std::chrono::duration<double, std::milli> elapsed() const noexcept {{ return facts_.elapsed; }}
    /** The function's own last exception that came in time; null when there was none. */
    std::exception_ptr cause() const noexcept {{ return facts_.cause; }}
    /** How long to wait before calling again, when the call was refused and that is known; else nullopt. */
    std::optional<std::chrono::duration<double, std::milli>> retry_after() const noexcept {{ return facts_.retry_after; }}

private:
    ErrorFacts facts_;
}};
{classes}
namespace detail {{

/** Throws the exception of that status. */
[[noreturn]] inline void raise(const ErrorFacts &facts)
{{
    switch (facts.status) {{
{arms}    default:
        throw AmbassadorError(facts);
    }}
}}

}} // namespace detail
}} // namespace ambassador

#endif
"#
    );
    ("include/ambassador_errors.hpp".into(), text)
}

fn class(entry: &Entry) -> String {
    let Entry { code, class, summary, advice, .. } = entry;
    let parent = entry.parent();
    let head = format!("\n/** {code}: {summary}; {advice}. */\nclass {class} : public {parent} {{\npublic:\n");
    if entry.fields.is_empty() {
        return format!("{head}    /** The error of these facts. */\n    using {parent}::{parent};\n}};\n");
    }
    let fields = &entry.fields;
    let parameters: String = fields.iter().map(|field| format!(", std::string {field}")).collect();
    let moves: String = fields.iter().map(|field| format!(", {field}_(std::move({field}))")).collect();
    let getters: String = fields
        .iter()
        .map(|field| {
            format!(
                "    /** {} */\n    const std::string &{field}() const noexcept {{ return {field}_; }}\n",
                meaning(field)
            )
        })
        .collect();
    let members: String = fields.iter().map(|field| format!("    std::string {field}_;\n")).collect();
    format!(
        "{head}    /** The error of these facts. */\n    explicit {class}(ErrorFacts facts{parameters})\n        : {parent}(std::move(facts)){moves}\n    {{}}\n\n\
         {getters}\nprivate:\n{members}}};\n"
    )
}

fn meaning(field: &str) -> &'static str {
    match field {
        "field" => "The setting that was wrong, as C spells it: `timeout_ms`.",
        "value" => "The value that it had, as text.",
        "allowed" => "What is allowed for it.",
        other => panic!("say here what the field {other} means"),
    }
}
