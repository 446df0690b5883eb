//! The front door for Rust, with real futures: what comes back (A1, A2, A4), bounds (T1–T3), hints (R3), and calls whose
//! future is dropped (O3). Where a function hangs it would hang for ever, and a wait that is not to happen lasts an hour, so
//! that nothing here depends on how fast the machine is.

mod common;

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, ready};
use std::io::{Error, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use ambassador_core::call::Outcome;
use ambassador_core::{AmbassadorProxy, Attempt, Backoff, CallError, Code, runtime};
use common::*;

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Four attempts, with waits too short to notice.
fn proxy() -> AmbassadorProxy {
    builder().max_retries(4).backoff(briefly()).build().unwrap()
}

/// Fails as often as told, then succeeds; says how often it ran.
fn failing(times: u32) -> (Arc<AtomicU32>, impl FnMut() -> std::future::Ready<Result<u32, String>>) {
    let ran = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&ran);
    (ran, move || {
        let attempt = counted.fetch_add(1, SeqCst) + 1;
        ready(if attempt > times { Ok(attempt) } else { Err(format!("failure {attempt}")) })
    })
}

fn code<T, E>(ended: Result<T, CallError<E>>) -> Option<Code> {
    ended.err().and_then(|error| error.code())
}

// ---------------------------------------------------------------- what comes back

#[test]
fn a_function_that_succeeds_runs_once() {
    let (ran, function) = failing(0);
    let proxy = proxy();
    assert_eq!(proxy.call_blocking(function), Ok(1));
    assert_eq!((ran.load(SeqCst), ends(&proxy), attempts(&proxy)), (1, [1, 0, 0, 0, 0], [1, 0, 0, 0]));
}

#[test]
fn it_is_tried_again_until_it_succeeds() {
    let (ran, function) = failing(3);
    let proxy = proxy();
    assert_eq!(proxy.call_blocking(function), Ok(4));
    assert_eq!((ran.load(SeqCst), ends(&proxy), attempts(&proxy)), (4, [1, 0, 0, 0, 0], [1, 3, 0, 0]));
    assert_eq!(number(&proxy, "retries"), 3);
}

#[test]
fn the_last_error_comes_back_as_the_same_object() {
    #[derive(Debug)]
    struct Declined(Arc<()>);
    impl std::fmt::Display for Declined {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("declined")
        }
    }
    let errors = RefCell::new(Vec::new());
    let ended = proxy().call_blocking(|| {
        let error = Arc::new(());
        errors.borrow_mut().push(Arc::clone(&error));
        ready(Err::<(), _>(Declined(error)))
    });
    let Err(CallError::Failed(Declined(last))) = ended else { panic!("{ended:?}") };
    assert_eq!(errors.borrow().len(), 4);
    assert!(Arc::ptr_eq(&last, &errors.borrow()[3]));
}

#[test]
fn an_error_shows_itself_and_its_source() {
    let ended = proxy().call_blocking(|| ready(Err::<(), _>(Error::other(Error::from(ErrorKind::BrokenPipe)))));
    let failed: Box<dyn std::error::Error> = ended.unwrap_err().into();
    assert_eq!(failed.to_string(), "broken pipe");
    let hung = builder().timeout(MS).max_retries(1).build().unwrap();
    let error = hung.call_blocking(pending::<Result<(), Error>>).unwrap_err();
    assert_eq!(error.code(), Some(Code::Timeout));
    assert!(std::error::Error::source(&error).is_none());
    assert!(error.into_failed().is_none());
}

#[test]
fn a_classifier_may_end_a_call_or_call_an_error_a_success() {
    let proxy = proxy();
    for (outcome, expected) in [(Outcome::Fail, [0, 1, 0, 0, 0]), (Outcome::Ok, [1, 1, 0, 0, 0])] {
        let (ran, function) = failing(9);
        let ended = runtime::block_on(proxy.classify(|_: &Result<u32, String>| outcome).call(function));
        assert_eq!(ended, Err(CallError::Failed("failure 1".into())));
        assert_eq!((ran.load(SeqCst), ends(&proxy)), (1, expected));
    }
}

#[test]
fn a_value_that_is_no_success_is_tried_again_and_handed_back_in_the_end() {
    let ran = Cell::new(0);
    let unhappy = |result: &Result<u32, &str>| if *result == Ok(503) { Outcome::Retry } else { Outcome::Ok };
    let proxy = proxy();
    let ended = runtime::block_on(proxy.classify(unhappy).call(|| {
        ran.set(ran.get() + 1);
        ready(Ok::<_, &str>(503))
    }));
    assert_eq!((ended, ran.get(), ends(&proxy)), (Ok(503), 4, [0, 1, 0, 0, 0]));
}

#[test]
fn a_value_that_is_to_be_tried_again_is_told_as_such() {
    let lines = RefCell::new(Vec::new());
    let proxy = builder().max_retries(2).backoff(Backoff::none()).build().unwrap();
    let classified = proxy.classify(|_: &Result<(), &str>| Outcome::Retry);
    let _ =
        runtime::block_on(classified.on_retry(|line| lines.borrow_mut().push(line.to_owned())).call(|| ready(Ok(()))));
    assert_eq!(lines.into_inner(), ["[Ambassador] Retry 1 after 0ms: its result may be tried again"]);
}

#[test]
fn an_error_that_a_classifier_calls_a_timeout_is_the_cause_of_that_timeout() {
    let proxy = proxy();
    let ended = runtime::block_on(
        proxy
            .classify(|_: &Result<(), &str>| Outcome::Timeout)
            .call(|| ready(Err::<(), _>("the server's own timeout"))),
    );
    let Err(CallError::Ambassador(error, cause)) = ended else { panic!("{ended:?}") };
    assert_eq!((error.code(), error.attempts(), cause), (Code::Timeout, 4, Some("the server's own timeout")));
}

#[test]
fn a_classifier_that_panics_ends_the_call_and_leaves_nothing_in_flight() {
    let proxy = proxy();
    let classified = proxy.classify(|_: &Result<(), &str>| -> Outcome { panic!("a classifier that panics") });
    let panicked = catch_unwind(AssertUnwindSafe(|| runtime::block_on(classified.call(|| ready(Err("x"))))));
    assert_eq!(panicked.unwrap_err().downcast_ref(), Some(&"a classifier that panics"));
    // What threw was the classifier: to its target the attempt is a failure like any other (A2).
    assert_eq!((ends(&proxy), attempts(&proxy)), ([0, 1, 0, 0, 0], [0, 1, 0, 0]));
    assert_eq!(number(&proxy, "in_flight"), 0);
}

#[test]
fn a_function_that_panics_is_not_tried_again_and_leaves_nothing_in_flight() {
    let proxy = proxy();
    let ran = Cell::new(0);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        proxy.call_blocking(|| {
            ran.set(ran.get() + 1);
            async { panic!("a function that panics") as Result<(), &str> }
        })
    }));
    assert_eq!(panicked.unwrap_err().downcast_ref(), Some(&"a function that panics"));
    assert_eq!((ran.get(), ends(&proxy), number(&proxy, "in_flight")), (1, [0, 0, 0, 0, 1], 0));
}

#[test]
fn the_listener_gets_each_retry_line() {
    let proxy = builder().backoff(briefly()).build().unwrap();
    let lines = RefCell::new(Vec::new());
    let (_, function) = failing(9);
    let classified = proxy.classify(|_: &Result<u32, String>| Outcome::Retry);
    let _ = runtime::block_on(classified.on_retry(|line| lines.borrow_mut().push(line.to_owned())).call(function));
    assert_eq!(
        lines.into_inner(),
        ["[Ambassador] Retry 1 after 1ms: failure 1", "[Ambassador] Retry 2 after 1ms: failure 2"]
    );
}

#[test]
fn a_listener_that_panics_changes_nothing_for_the_call() {
    let proxy = proxy();
    let (ran, function) = failing(2);
    let classified = proxy.classify(|r: &Result<u32, String>| if r.is_ok() { Outcome::Ok } else { Outcome::Retry });
    let listening = classified.on_retry(|_| panic!("a listener that panics"));
    assert_eq!(runtime::block_on(listening.call(function)), Ok(3));
    assert_eq!((ran.load(SeqCst), ends(&proxy)), (3, [1, 0, 0, 0, 0]));
}

#[test]
fn a_function_may_call_the_same_proxy_again() {
    let proxy = proxy();
    let inner = &proxy;
    let ended = proxy.call_blocking(|| async move { inner.call(|| ready(Ok::<_, Error>(7))).await });
    assert_eq!(ended.unwrap(), 7);
    assert_eq!(ends(&proxy), [2, 0, 0, 0, 0]);
}

// ---------------------------------------------------------------- bounds

#[test]
fn a_future_that_hangs_is_dropped_at_its_bound_and_never_before() {
    struct Held<'a>(&'a AtomicU32);
    impl Drop for Held<'_> {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let dropped = AtomicU32::new(0);
    let proxy = builder().backoff(briefly()).timeout(20 * MS).max_retries(2).build().unwrap();
    let begun = Instant::now();
    let ended = proxy.call_blocking(|| async {
        let _held = Held(&dropped);
        pending::<Result<(), &str>>().await
    });
    assert!(begun.elapsed() >= 2 * 20 * MS + MS, "{:?}", begun.elapsed());
    let Err(CallError::Ambassador(error, None)) = ended else { panic!("{ended:?}") };
    assert_eq!((error.code(), error.attempts(), error.target()), (Code::Timeout, 2, "payment-api.example.com"));
    assert!(error.elapsed() >= 41 * MS);
    assert_eq!((dropped.load(SeqCst), ends(&proxy), attempts(&proxy)), (2, [0, 0, 1, 0, 0], [0, 0, 2, 0]));
    assert_eq!(number(&proxy, "late_results"), 0, "nothing came late: nothing came");
}

#[test]
fn the_last_real_error_is_the_cause_of_a_timeout() {
    let proxy = builder().backoff(briefly()).timeout(300 * MS).max_retries(2).build().unwrap();
    let ran = Cell::new(0);
    let ended = proxy.call_blocking(|| {
        ran.set(ran.get() + 1);
        let first = ran.get() == 1;
        async move { if first { Err::<(), _>("unreachable") } else { pending().await } }
    });
    let Err(CallError::Ambassador(error, Some("unreachable"))) = ended else { panic!("{ended:?}") };
    assert_eq!(error.code(), Code::Timeout);
}

#[test]
fn a_value_that_comes_after_its_bound_is_dropped_and_counted() {
    let proxy = builder().timeout(MS).max_retries(1).build().unwrap();
    // It does not yield, so nothing can be done about it before it returns.
    let ended = proxy.call_blocking(|| async {
        thread::sleep(10 * MS);
        Ok::<_, &str>("too late")
    });
    assert_eq!(code(ended), Some(Code::Timeout));
    assert_eq!((ends(&proxy), number(&proxy, "late_results")), ([0, 0, 1, 0, 0], 1));
}

#[test]
fn a_slow_classifier_makes_no_result_late() {
    let proxy = builder().timeout(500 * MS).max_retries(1).build().unwrap();
    let slow = proxy.classify(|_: &Result<u32, &str>| {
        thread::sleep(600 * MS);
        Outcome::Ok
    });
    assert_eq!(runtime::block_on(slow.call(|| ready(Ok(7)))), Ok(7));
}

#[test]
fn the_deadline_ends_an_attempt_that_has_no_timeout() {
    let proxy = builder().timeout(None).deadline(20 * MS).build().unwrap();
    let begun = Instant::now();
    assert_eq!(code(proxy.call_blocking(pending::<Result<(), &str>>)), Some(Code::Deadline));
    assert!(begun.elapsed() >= 20 * MS);
}

#[test]
fn it_never_sleeps_in_vain() {
    let proxy = builder().backoff(Backoff::constant(HOUR)).deadline(HOUR).build().unwrap();
    let (ran, function) = failing(9);
    assert_eq!(proxy.call_blocking(function), Err(CallError::Failed("failure 1".into())));
    assert_eq!(ran.load(SeqCst), 1);
}

#[test]
fn what_an_attempt_sees_is_its_own() {
    let proxy = builder().backoff(briefly()).timeout(HOUR).build().unwrap();
    let seen = RefCell::new(Vec::new());
    let ended = runtime::block_on(proxy.execute(|ctx| {
        let left = ctx.remaining().expect("it is bounded");
        assert!(left <= HOUR && left > HOUR / 2 && !ctx.cancelled());
        assert_eq!(ctx.endpoint(), "payment-api.example.com");
        seen.borrow_mut().push((ctx.attempt(), ctx.headers()));
        ready(Err::<(), _>("no"))
    }));
    assert_eq!(ended, Err(CallError::Failed("no")));
    let seen = seen.into_inner();
    let header = |at: usize, name: &str| -> &str {
        let headers: &[(&str, String)] = &seen[at].1;
        &headers.iter().find(|(known, _)| *known == name).expect(name).1
    };
    assert_eq!(seen.iter().map(|(attempt, _)| *attempt).collect::<Vec<_>>(), [1, 2, 3]);
    for at in 0..3 {
        assert_eq!(header(at, "idempotency-key"), header(0, "idempotency-key"));
        assert_eq!(header(at, "x-ambassador-attempt"), (at + 1).to_string());
        assert_eq!(header(at, "traceparent")[..36], header(0, "traceparent")[..36], "one trace");
    }
    assert_ne!(header(0, "traceparent"), header(1, "traceparent"), "a span for each attempt");
}

// ---------------------------------------------------------------- hints

#[test]
fn a_hint_raises_the_wait() {
    let proxy = builder().backoff(Backoff::none()).max_retries(2).build().unwrap();
    let begun = Instant::now();
    let ended = runtime::block_on(proxy.execute(|ctx| {
        ctx.set_retry_after(HOUR);
        ctx.set_retry_after(30 * MS);
        ready(if ctx.attempt() == 1 { Err("busy") } else { Ok(()) })
    }));
    assert_eq!(ended, Ok(()), "the later hint replaced the earlier");
    assert!(begun.elapsed() >= 30 * MS);
}

#[test]
fn a_hint_that_is_too_long_ends_the_call_with_its_error() {
    let proxy = proxy();
    let ran = Cell::new(0);
    let ended = runtime::block_on(proxy.execute(|ctx| {
        ran.set(ran.get() + 1);
        ctx.set_retry_after(HOUR);
        ready(Err::<(), _>("busy"))
    }));
    assert_eq!((ended, ran.get()), (Err(CallError::Failed("busy")), 1));
}

#[test]
fn a_hint_lasts_for_one_wait() {
    let proxy = builder().backoff(Backoff::none().hint_max(HOUR)).deadline(HOUR).build().unwrap();
    let ended = runtime::block_on(proxy.execute(|ctx| {
        if ctx.attempt() == 1 {
            ctx.set_retry_after(MS);
        }
        ready(Err::<(), _>(ctx.attempt()))
    }));
    assert_eq!(ended, Err(CallError::Failed(3)));
}

#[test]
fn a_hint_of_an_attempt_that_was_given_up_reaches_no_later_one() {
    let proxy = builder().backoff(briefly()).timeout(300 * MS).build().unwrap();
    let first: RefCell<Option<Attempt>> = RefCell::default();
    let ended = runtime::block_on(proxy.execute(|ctx| {
        let attempt = ctx.attempt();
        match attempt {
            1 => _ = first.replace(Some(ctx)),
            // Its work goes on somewhere, and its server answers at last.
            _ => first.borrow().as_ref().unwrap().set_retry_after(HOUR),
        }
        async move {
            match attempt {
                1 => pending().await,
                2 => Err("unreachable"),
                _ => Ok(attempt),
            }
        }
    }));
    assert_eq!(ended, Ok(3), "an hour is longer than hint_max, and would have ended the call");
}

#[test]
fn an_attempt_that_was_given_up_takes_no_hint_from_a_later_one() {
    let proxy = builder().backoff(briefly()).timeout(300 * MS).build().unwrap();
    let first: RefCell<Option<Attempt>> = RefCell::default();
    let ended = runtime::block_on(proxy.execute(|ctx| {
        let attempt = ctx.attempt();
        if attempt == 1 {
            first.replace(Some(ctx));
        } else {
            ctx.set_retry_after(HOUR);
            first.borrow().as_ref().unwrap().set_retry_after(Duration::ZERO);
        }
        async move { if attempt == 1 { pending().await } else { Err::<(), _>(attempt) } }
    }));
    assert_eq!(ended, Err(CallError::Failed(2)), "the second attempt's own hint ended the call");
}

// ---------------------------------------------------------------- dropped and nested

/// Polls once and drops; the future has to be pending.
fn poll_and_drop<T>(future: impl Future<Output = T>) {
    let mut future = pin!(future);
    assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

#[test]
fn a_future_dropped_in_mid_attempt_is_a_cancelled_call() {
    let proxy = proxy();
    poll_and_drop(proxy.call(pending::<Result<(), &str>>));
    assert_eq!((ends(&proxy), attempts(&proxy)), ([0, 0, 0, 0, 1], [0, 0, 0, 1]));
    assert_eq!(number(&proxy, "in_flight"), 0);
}

#[test]
fn a_future_dropped_in_mid_wait_is_a_cancelled_call_whose_attempt_failed() {
    let proxy = builder().backoff(Backoff::constant(HOUR)).build().unwrap();
    poll_and_drop(proxy.call(|| ready(Err::<(), _>("no"))));
    assert_eq!((ends(&proxy), attempts(&proxy)), ([0, 0, 0, 0, 1], [0, 1, 0, 0]));
    assert_eq!(number(&proxy, "in_flight"), 0);
}

#[test]
fn a_future_that_was_never_polled_is_no_call() {
    let proxy = proxy();
    drop(proxy.call(|| ready(Ok::<_, &str>(()))));
    assert_eq!((ends(&proxy), number(&proxy, "in_flight")), ([0; 5], 0));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_of_the_callers_own_cancels_the_call() {
    let proxy = proxy();
    // In this executor's time, which stands still and jumps; the ambassador's own bounds are in real time.
    let ended = tokio::time::timeout(HOUR, proxy.call(pending::<Result<(), &str>>)).await;
    assert!(ended.is_err());
    assert_eq!(ends(&proxy), [0, 0, 0, 0, 1]);
}

#[test]
fn a_blocking_call_works_in_a_plain_thread() {
    let proxy = proxy();
    thread::scope(|scope| {
        let (_, function) = failing(1);
        assert_eq!(scope.spawn(|| proxy.call_blocking(function)).join().unwrap(), Ok(2));
    });
}

#[test]
fn blocking_calls_nest() {
    let proxy = proxy();
    let (ran, mut function) = failing(1);
    let ended = proxy.call_blocking(|| {
        // The inner one waits, and so takes wake-ups of this thread that the outer one may be in need of.
        let inner = proxy.call_blocking(&mut function);
        async { runtime::handle().spawn(async { tokio::time::sleep(MS).await }).await.map(|()| inner) }
    });
    assert_eq!((ended.unwrap(), ran.load(SeqCst)), (Ok(2), 2));
}

#[tokio::test]
async fn a_blocking_call_works_inside_a_runtime_of_one_thread() {
    let (_, function) = failing(1);
    assert_eq!(proxy().call_blocking(function), Ok(2));
    let hung = builder().timeout(MS).max_retries(1).build().unwrap();
    assert_eq!(code(hung.call_blocking(pending::<Result<(), &str>>)), Some(Code::Timeout));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_blocking_call_works_on_a_worker_thread() {
    let (_, function) = failing(1);
    let proxy = proxy();
    assert_eq!(tokio::spawn(async move { proxy.call_blocking(function) }).await.unwrap(), Ok(2));
}

#[test]
fn io_of_a_blocking_call_finds_the_shared_runtime() {
    let found = proxy().call_blocking(|| async { Ok::<_, &str>(tokio::runtime::Handle::current().id()) });
    assert_eq!(found, Ok(runtime::handle().id()));
}

#[test]
fn any_executor_will_do() {
    // One that knows nothing of Tokio: it polls again when it is woken.
    struct Woken(AtomicBool, thread::Thread);
    impl std::task::Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, SeqCst);
            self.1.unpark();
        }
    }
    let woken = Arc::new(Woken(AtomicBool::new(true), thread::current()));
    let waker = Waker::from(Arc::clone(&woken));
    let proxy = proxy();
    let (_, function) = failing(2);
    let mut call = pin!(proxy.call(function));
    let begun = Instant::now();
    let ended = loop {
        if woken.0.swap(false, SeqCst)
            && let std::task::Poll::Ready(ended) = call.as_mut().poll(&mut Context::from_waker(&waker))
        {
            break ended;
        }
        thread::park_timeout(PATIENCE);
        assert!(begun.elapsed() < PATIENCE, "nobody woke it");
    };
    assert_eq!(ended, Ok(3));
}

#[test]
fn a_call_may_move_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    let proxy = proxy();
    is_send(&proxy.call(|| async { Ok::<_, Error>(()) }));
    is_send(&proxy.execute(|ctx| async move { Ok::<_, Error>(ctx.attempt()) }));
}
