//! Where a call stands in a trace (P6): the [`Context`] of the W3C's `traceparent` and `tracestate`, and how the core asks the
//! host's own tracer for the present one.
//!
//! ```
//! use ambassador_core::telemetry::trace::{self, Context};
//!
//! // As a tracer would be asked for its current span.
//! trace::set_source(|| Context::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", None));
//! let current = trace::current().expect("the source knows one");
//! assert!(current.is_sampled());
//! ```

use std::cell::RefCell;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use once_cell::sync::Lazy;

/// The header that says of which trace a request is, and what it comes from.
pub const TRACEPARENT: &str = "traceparent";
/// The header in which tracers keep what is theirs.
pub const TRACESTATE: &str = "tracestate";

const SAMPLED: u8 = 1;
/// What a `tracestate` may hold at most: 32 members, and no more bytes than headers are good for.
const MOST_MEMBERS: usize = 32;
const LONGEST_STATE: usize = 4096;

/// A span of somebody's, as it is known across processes: what comes next in its trace is its child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    trace_id: u128,
    span_id: u64,
    flags: u8,
    state: Option<Box<str>>,
}

impl Context {
    /// The span of these numbers; `None` when one of the ids is 0, which is no id. A `state` that is no list of a few members is
    /// dropped.
    pub fn new(trace_id: u128, span_id: u64, flags: u8, state: Option<&str>) -> Option<Context> {
        let state = state.map(str::trim).filter(|state| is_state(state)).map(Into::into);
        (trace_id != 0 && span_id != 0).then_some(Context { trace_id, span_id, flags, state })
    }

    /// Reads the two headers; `None` when the first is not what the W3C says it is: the trace begins anew then, and the second
    /// means nothing.
    ///
    /// ```
    /// # use ambassador_core::telemetry::trace::Context;
    /// let context = Context::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Some("congo=t61rcWkgMzE")).unwrap();
    /// assert_eq!(context.trace_id(), 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
    /// assert_eq!(context.tracestate(), Some("congo=t61rcWkgMzE"));
    /// assert_eq!(Context::parse("00-00000000000000000000000000000000-00f067aa0ba902b7-01", None), None);
    /// ```
    pub fn parse(traceparent: &str, tracestate: Option<&str>) -> Option<Context> {
        let text = traceparent.trim().as_bytes();
        let version = hex(text.get(..2)?)?;
        // Later versions may say more, and begin with the same.
        let ends_well = if version == 0 { text.len() == 55 } else { matches!(text.get(55), None | Some(b'-')) };
        let dashes = [2, 35, 52].iter().all(|&at| text.get(at) == Some(&b'-'));
        if version == 0xff || !ends_well || !dashes {
            return None;
        }
        let flags = hex(text.get(53..55)?)? as u8;
        Context::new(hex(&text[3..35])?, hex(&text[36..52])? as u64, flags, tracestate)
    }

    /// The trace.
    pub fn trace_id(&self) -> u128 {
        self.trace_id
    }

    /// The span.
    pub fn span_id(&self) -> u64 {
        self.span_id
    }

    /// Its flags, of which the lowest says whether it is [sampled](Context::is_sampled).
    pub fn flags(&self) -> u8 {
        self.flags
    }

    /// Whether it is, or may be, recorded by whose span it is.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// Another span of the same trace, sampled or not.
    pub(crate) fn child(&self, span_id: u64, is_sampled: bool) -> Context {
        let flags = if is_sampled { self.flags | SAMPLED } else { self.flags & !SAMPLED };
        Context { span_id: span_id.max(1), flags, ..self.clone() }
    }

    /// The trace that begins where nothing records one: known by `trace_id`, with a span for each attempt.
    pub(crate) fn begun(trace_id: u128, attempt: u32) -> Context {
        let span_id = (trace_id as u64 ^ (trace_id >> 64) as u64).wrapping_add(attempt.into());
        Context::first(trace_id, span_id, true)
    }

    /// The first span of a trace.
    pub(crate) fn first(trace_id: u128, span_id: u64, is_sampled: bool) -> Context {
        Context { trace_id: trace_id.max(1), span_id: span_id.max(1), flags: is_sampled.into(), state: None }
    }

    /// As the header says it.
    pub fn traceparent(&self) -> String {
        let mut text = String::with_capacity(55);
        // The flags that version 00 knows, the others are to be 0: sampled, and random.
        let flags = self.flags & 3;
        let _ = write!(text, "00-{:032x}-{:016x}-{flags:02x}", self.trace_id, self.span_id);
        text
    }

    /// What other tracers keep in it.
    pub fn tracestate(&self) -> Option<&str> {
        self.state.as_deref()
    }
}

/// Lower-case digits alone, as the W3C has it.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number, digit| match digit {
        b'0'..=b'9' => Some(number << 4 | u128::from(digit - b'0')),
        b'a'..=b'f' => Some(number << 4 | u128::from(digit - b'a' + 10)),
        _ => None,
    })
}

fn is_state(text: &str) -> bool {
    let members = text.split(',').map(str::trim).filter(|member| !member.is_empty());
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t'));
    !text.is_empty()
        && text.len() <= LONGEST_STATE
        && is_plain
        && members.clone().count() <= MOST_MEMBERS
        && members.clone().all(|member| member.split_once('=').is_some_and(|(key, _)| !key.is_empty()))
}

type Source = Box<dyn Fn() -> Option<Context> + Send + Sync>;

static SOURCE: Lazy<ArcSwapOption<Source>> = Lazy::new(ArcSwapOption::empty);

thread_local! {
    static GIVEN: RefCell<Option<Context>> = const { RefCell::new(None) };
}

/// From now on this function is asked for the host's present span: on the thread that makes a call or reads an attempt's headers. It
/// is asked by requests, by [`Attempt::headers`](crate::Attempt::headers), and by every call while spans are exported; one that
/// panics knows none (F5).
pub fn set_source(source: impl Fn() -> Option<Context> + Send + Sync + 'static) {
    SOURCE.store(Some(Arc::new(Box::new(source))));
}

/// The host's present span, if there is any.
pub fn current() -> Option<Context> {
    if let Some(given) = GIVEN.with_borrow_mut(Option::take) {
        return Some(given);
    }
    let source = SOURCE.load_full()?;
    catch_unwind(AssertUnwindSafe(|| source())).ok().flatten()
}

/// For hosts that know the present span themselves: runs `function`, whose first question for it is answered so.
pub fn within<T>(context: Option<Context>, function: impl FnOnce() -> T) -> T {
    let before = GIVEN.replace(context);
    let result = function();
    GIVEN.set(before);
    result
}

/// The same, for hosts that begin a call by another function than the one that knows: the next question of this thread is answered
/// so. To be said before each call.
pub fn give(context: Option<Context>) {
    GIVEN.set(context);
}

/// The context of the two headers' values, one line each, as bindings hand it over: the second may be missing.
pub fn from_lines(lines: &str) -> Option<Context> {
    let (parent, state) = lines.split_once('\n').map_or((lines, None), |(parent, state)| (parent, Some(state)));
    Context::parse(parent, state)
}

/// Whether calls have spans of their own, which hosts give the present context of theirs.
pub fn has_spans() -> bool {
    super::spans::duties() & super::spans::SPANS != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_is_read_is_written_again() {
        let context = Context::parse(PARENT, Some("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")).unwrap();
        assert_eq!(context.traceparent(), PARENT);
        assert_eq!(context.tracestate(), Some("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"));
        assert!(context.is_sampled());
    }

    #[test]
    fn a_later_version_is_read_for_what_it_has_in_common() {
        let context = Context::parse("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", None).unwrap();
        assert_eq!(context.traceparent(), PARENT);
        assert!(Context::parse("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", None).is_some());
        assert_eq!(Context::parse("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.more", None), None);
    }

    #[test]
    fn anything_else_is_none() {
        for text in [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333é-01",
        ] {
            assert_eq!(Context::parse(text, None), None, "{text}");
        }
    }

    #[test]
    fn a_state_that_is_none_is_dropped_and_the_trace_goes_on() {
        let many = ["a=1"; 33].join(",");
        for state in ["", "no member", "a=1\r\nx: y", "=1", &many] {
            let context = Context::parse(PARENT, Some(state)).unwrap();
            assert_eq!(context.tracestate(), None, "{state:?}");
        }
    }

    #[test]
    fn a_child_keeps_the_trace_and_the_state() {
        let parent = Context::parse(PARENT, Some("a=1")).unwrap();
        let child = parent.child(0xc0de, false);
        assert_eq!(child.traceparent(), "00-0af7651916cd43dd8448eb211c80319c-000000000000c0de-00");
        assert_eq!(child.tracestate(), Some("a=1"));
    }

    #[test]
    fn what_a_host_gives_is_for_one_call() {
        let given = Context::parse(PARENT, None);
        let seen = within(given.clone(), || [GIVEN.with_borrow_mut(Option::take), GIVEN.with_borrow_mut(Option::take)]);
        assert_eq!(seen, [given, None]);
    }
}
