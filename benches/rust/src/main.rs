//! What a call costs that succeeds at once, in nanoseconds: the bare function, backon, and ours; and how two threads get on
//! that call one target. Plain loops; each figure is the median of several rounds, and the rounds of all rows alternate, so
//! that a slow moment of the machine is shared. Prints two Markdown tables; `make bench` puts them into `benches/README.md`.
//! With a word, only the rows that have it in their names, one after the other, for a profiler to look at.

use std::convert::Infallible;
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::Barrier;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use ambassador_core::{AmbassadorProxy, Breaker, Bulkhead, Endpoint};
use backon::{BlockingRetryable, ExponentialBuilder, Retryable};

const ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_millis(40);

type Row<'a> = (&'a str, Box<dyn Fn(u32) + 'a>);
/// So many calls by the thread of that number.
type ByThread<'a> = dyn Fn(usize, u32) + Sync + 'a;

/// The user's function: nothing, but out of the optimizer's sight.
#[inline(never)]
fn charge() -> Result<u64, Infallible> {
    black_box(Ok(99))
}

/// Runs a future that never waits. An executor would cost every row the same, and hide them behind it.
fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("a call that succeeds at once does not wait"),
    }
}

fn nanoseconds(work: &dyn Fn(u32), calls: u32) -> f64 {
    let begun = Instant::now();
    work(calls);
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(calls)
}

/// Enough calls for a round.
fn calls_of(work: &dyn Fn(u32)) -> u32 {
    let mut calls = 1000;
    loop {
        let begun = Instant::now();
        work(calls);
        if begun.elapsed() >= ROUND / 4 {
            return calls.saturating_mul(4);
        }
        calls = calls.saturating_mul(2);
    }
}

/// Every policy that a first attempt passes: retry, timeout, breaker, budget, bulkhead.
fn everything(target: &str) -> Result<AmbassadorProxy, ambassador_core::ConfigError> {
    AmbassadorProxy::builder(target).bulkhead(Bulkhead::new(100)).build()
}

/// The median of figures that are put in order for it.
fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Calls a second by so many threads, each with a loop of its own.
fn throughput(work: &ByThread<'_>, threads: usize, calls: u32) -> f64 {
    let start = Barrier::new(threads);
    let seconds = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|thread| {
                let start = &start;
                scope.spawn(move || {
                    // Warm, and all at once.
                    work(thread, calls / 10);
                    start.wait();
                    let begun = Instant::now();
                    work(thread, calls);
                    begun.elapsed().as_secs_f64()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("nothing panics")).fold(0.0, f64::max)
    });
    threads as f64 * f64::from(calls) / seconds
}

fn print_threads() -> Result<(), ambassador_core::ConfigError> {
    let (one, shared) = (AmbassadorProxy::new("threads.example.com")?, everything("limited-threads.example.com")?);
    // Threads that share nothing: what two of them can have on this machine.
    let each = [everything("first-of-two.example.com")?, everything("second-of-two.example.com")?];
    let rows: [(&str, Box<ByThread<'_>>); 4] = [
        (
            "the bare function",
            Box::new(|_, calls| {
                for _ in 0..calls {
                    let _ = black_box(charge());
                }
            }),
        ),
        (
            "**Ambassador**, defaults",
            Box::new(|_, calls| {
                for _ in 0..calls {
                    let _ = black_box(ready(one.call(|| async { charge() })));
                }
            }),
        ),
        (
            "**Ambassador**, everything on (also a bulkhead)",
            Box::new(|_, calls| {
                for _ in 0..calls {
                    let _ = black_box(ready(shared.call(|| async { charge() })));
                }
            }),
        ),
        (
            "**Ambassador**, everything on, and each thread has a target of its own",
            Box::new(|thread, calls| {
                for _ in 0..calls {
                    let _ = black_box(ready(each[thread].call(|| async { charge() })));
                }
            }),
        ),
    ];
    println!("| Rust: one target, millions of calls a second | 1 thread | 2 threads | ratio |");
    println!("| --- | ---: | ---: | ---: |");
    for (name, work) in &rows {
        let calls = calls_of(&|calls| work(0, calls));
        let (mut by_one, mut by_two) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            by_one.push(throughput(work, 1, calls));
            by_two.push(throughput(work, 2, calls));
        }
        let (by_one, by_two) = (median(&mut by_one), median(&mut by_two));
        println!("| {name} | {:.2} | {:.2} | {:.2} |", by_one / 1e6, by_two / 1e6, by_two / by_one);
    }
    Ok(())
}

fn main() -> Result<(), ambassador_core::ConfigError> {
    let bounded = AmbassadorProxy::new("payment-api.example.com")?;
    let unbounded = AmbassadorProxy::builder("other-api.example.com").timeout(None).build()?;
    let everything = everything("limited-api.example.com")?;
    let endpoints = (0..10).filter_map(|n| Endpoint::new(&format!("10.0.0.{n}:80")));
    let balanced = AmbassadorProxy::builder("balanced-api.example.com").endpoints(endpoints).build()?;
    let breaker = Breaker::default().consecutive_failures(1).open_for(Duration::from_secs(3600));
    let open = AmbassadorProxy::builder("broken-api.example.com").breaker(breaker).max_retries(1).build()?;
    let _ = ready(open.call(|| async { Err::<u64, _>("Payment API unreachable") }));
    // As ours by default: three attempts, 2 s, factor 2, jitter.
    let backoff = ExponentialBuilder::default().with_max_times(2).with_min_delay(Duration::from_secs(2)).with_jitter();

    let rows: Vec<Row<'_>> = vec![
        (
            "the bare function",
            Box::new(|calls| {
                for _ in 0..calls {
                    let _ = black_box(charge());
                }
            }),
        ),
        (
            "backon, blocking",
            Box::new(|calls| {
                for _ in 0..calls {
                    let _ = black_box(charge.retry(backoff).call());
                }
            }),
        ),
        (
            "backon, async",
            Box::new(|calls| {
                for _ in 0..calls {
                    let _ = black_box(ready((|| async { charge() }).retry(backoff).into_future()));
                }
            }),
        ),
        (
            "**Ambassador**, `timeout(None)`",
            Box::new(|calls| {
                for _ in 0..calls {
                    let _ = black_box(ready(unbounded.call(|| async { charge() })));
                }
            }),
        ),
        (
            "**Ambassador**, defaults (each attempt bounded)",
            Box::new(|calls| {
                for _ in 0..calls {
                    let _ = black_box(ready(bounded.call(|| async { charge() })));
                }
            }),
        ),
        (
            "**Ambassador**, everything on (also a bulkhead)",
            Box::new(|calls| {
                for _ in 0..calls {
                    let _ = black_box(ready(everything.call(|| async { charge() })));
                }
            }),
        ),
        (
            "**Ambassador**, defaults, to one of ten endpoints",
            Box::new(|calls| {
                for _ in 0..calls {
                    let _ = black_box(ready(balanced.call(|| async { charge() })));
                }
            }),
        ),
        (
            "**Ambassador**, an open breaker refuses",
            Box::new(|calls| {
                for _ in 0..calls {
                    let _ = black_box(ready(open.call(|| async { charge() })));
                }
            }),
        ),
        (
            "**Ambassador**, `execute` with context",
            Box::new(|calls| {
                for _ in 0..calls {
                    let _ = black_box(ready(bounded.execute(|_| async { charge() })));
                }
            }),
        ),
        (
            "**Ambassador**, `call_blocking`",
            Box::new(|calls| {
                for _ in 0..calls {
                    let _ = black_box(bounded.call_blocking(|| async { charge() }));
                }
            }),
        ),
    ];

    if let Some(word) = std::env::args().nth(1) {
        for (name, work) in rows.iter().filter(|(name, _)| name.contains(&word)) {
            let calls = calls_of(work);
            let figures = &mut [0; 5 * ROUNDS].map(|_| nanoseconds(work, calls));
            println!("{name}: {:.1} ns", median(figures));
        }
        return Ok(());
    }
    let calls: Vec<u32> = rows.iter().map(|(_, work)| calls_of(work)).collect();
    let mut figures = vec![Vec::with_capacity(ROUNDS); rows.len()];
    for _ in 0..ROUNDS {
        for (at, (_, work)) in rows.iter().enumerate() {
            figures[at].push(nanoseconds(work, calls[at]));
        }
    }
    let medians: Vec<f64> = figures.iter_mut().map(|figures| median(figures)).collect();
    // Against the peer that does the same: an async call that may be tried again.
    let peer = medians[2];
    println!("| Rust: a call that succeeds at once | ns | backon, async = 1 |");
    println!("| --- | ---: | ---: |");
    for ((name, _), median) in rows.iter().zip(medians) {
        println!("| {name} | {median:.1} | {:.2} |", median / peer);
    }
    println!();
    print_threads()
}
