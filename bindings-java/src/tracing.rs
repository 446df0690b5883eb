//! The host's own tracer (P6), which Java asks: what it said, as the core's context.

use ambassador_core::telemetry::trace::{self, Context};
use jni::Env;
use jni::EnvUnowned;
use jni::errors::Result;
use jni::objects::{JClass, JString};
use jni::sys::jboolean;

/// The context of the two headers' values, a line each; none of null.
pub fn context(env: &Env<'_>, lines: &JString<'_>) -> Result<Option<Context>> {
    if lines.is_null() {
        return Ok(None);
    }
    Ok(trace::from_lines(&lines.try_to_string(env)?))
}

/// Whether calls have spans of their own, which are below the host's.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_ambassador_Native_hasSpans(_: EnvUnowned<'_>, _: JClass<'_>) -> jboolean {
    trace::has_spans()
}
