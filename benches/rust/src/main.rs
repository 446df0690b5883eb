//! What a call costs that succeeds at once, in nanoseconds: the bare function, backon, and ours. A plain loop on one thread;
//! each figure is the median of several rounds, and the rounds of all rows alternate, so that a slow moment of the machine
//! is shared. Prints a Markdown table; `make bench` puts it into `benches/README.md`.

use std::convert::Infallible;
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use ambassador_core::AmbassadorProxy;
use backon::{BlockingRetryable, ExponentialBuilder, Retryable};

const ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_millis(40);

type Row<'a> = (&'a str, Box<dyn Fn(u32) + 'a>);

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

fn main() -> Result<(), ambassador_core::ConfigError> {
    let bounded = AmbassadorProxy::new("payment-api.example.com")?;
    let unbounded = AmbassadorProxy::builder("other-api.example.com").timeout(None).build()?;
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

    let calls: Vec<u32> = rows.iter().map(|(_, work)| calls_of(work)).collect();
    let mut figures = vec![Vec::with_capacity(ROUNDS); rows.len()];
    for _ in 0..ROUNDS {
        for (at, (_, work)) in rows.iter().enumerate() {
            figures[at].push(nanoseconds(work, calls[at]));
        }
    }
    let medians: Vec<f64> = figures
        .iter_mut()
        .map(|figures| {
            figures.sort_by(f64::total_cmp);
            figures[ROUNDS / 2]
        })
        .collect();
    // Against the peer that does the same: an async call that may be tried again.
    let peer = medians[2];
    println!("| Rust: a call that succeeds at once | ns | backon, async = 1 |");
    println!("| --- | ---: | ---: |");
    for ((name, _), median) in rows.iter().zip(medians) {
        println!("| {name} | {median:.1} | {:.2} |", median / peer);
    }
    Ok(())
}
