//! A call that may be hedged (H1): several attempts run at once, all in the caller's task. The core says when another one
//! begins, and whose end is the call's; futures that lost are dropped.

use std::future::{Future, poll_fn, ready};
use std::task::{Context, Poll};

use super::*;
use crate::call::Hedge;

/// An attempt that runs.
struct Racer<F> {
    number: u32,
    bound: Nanos,
    timer: Option<Timer>,
    future: Pin<Box<F>>,
}

type Timer = Pin<Box<dyn Future<Output = Result<(), ShutDown>> + Send>>;

/// What happens next to a call.
enum Next<T> {
    /// The attempt of that number ended so, or its bound has passed.
    Ended(u32, Nanos, Option<T>),
    /// It is time to ask for another attempt.
    Hedge,
}

/// What runs, and when another attempt begins.
struct Race<F> {
    racers: Vec<Racer<F>>,
    hedge: Option<Timer>,
}

impl<F: Future> Race<F> {
    /// The call's newest attempt runs from now on, as `future`.
    fn start(&mut self, call: &Call, future: F) {
        self.racers.push(Racer { number: call.attempt(), bound: call.bound(), timer: None, future: Box::pin(future) });
        // Asked when it has been polled: by then it may be time already.
        self.hedge = Some(Box::pin(ready(Ok(()))));
    }

    /// Whether another attempt has begun.
    fn hedges(&mut self, flight: &mut InFlight<'_>) -> bool {
        let hedge = flight.proxy.hedge(&mut flight.call, now());
        self.hedge = match hedge {
            Hedge::At(at) => Some(Box::pin(sleep_until(at))),
            Hedge::Run | Hedge::Never => None,
        };
        hedge == Hedge::Run
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Next<F::Output>, ShutDown>> {
        // What has ended has, whatever has become of the timers meanwhile.
        for at in 0..self.racers.len() {
            if let Poll::Ready(output) = self.racers[at].future.as_mut().poll(cx) {
                let Racer { number, bound, .. } = self.racers.remove(at);
                return Poll::Ready(Ok(Next::Ended(number, bound, Some(output))));
            }
        }
        for at in 0..self.racers.len() {
            let Racer { number, bound, timer, .. } = &mut self.racers[at];
            let (number, bound) = (*number, *bound);
            // As in `bounded`: in virtual time an attempt has timed out when it ends.
            if bound == NEVER || testing::instant().is_some() {
                continue;
            }
            if let Poll::Ready(fired) = timer.get_or_insert_with(|| Box::pin(sleep_until(bound))).as_mut().poll(cx) {
                self.racers.remove(at);
                return Poll::Ready(fired.map(|()| Next::Ended(number, bound, None)));
            }
        }
        let Some(timer) = &mut self.hedge else { return Poll::Pending };
        match timer.as_mut().poll(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(Next::Hedge)),
            Poll::Ready(Err(ShutDown)) => {
                // No more attempts begin; those that run need no timer of it.
                self.hedge = None;
                Poll::Pending
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

/// What attempts of a call have brought, by number.
struct Ends<T, E>(Vec<(u32, Option<T>, Option<E>)>);

impl<T, E> Ends<T, E> {
    /// Takes what the attempt of that number brought.
    fn take(&mut self, number: u32) -> (Option<T>, Option<E>) {
        let found = self.0.iter().position(|(ended, ..)| *ended == number).map(|at| self.0.remove(at));
        found.map_or((None, None), |(_, value, error)| (value, error))
    }

    /// Takes the newest error of the others; whatever else they brought is dropped.
    fn last_error(&mut self) -> Option<E> {
        self.0.drain(..).filter_map(|(_, _, error)| error).last()
    }
}

pub(super) async fn run<C, L, A, F, Fut, T, E>(
    with: &Terms<'_, C, L, A>,
    mut flight: InFlight<'_>,
    mut attempt: F,
    reader: &impl Reads<T, E>,
) -> Result<T, CallError<E>>
where
    C: Fn(&Result<T, E>) -> Outcome,
    L: Fn(&str),
    F: FnMut(&Call) -> Fut,
    Fut: Future<Output = Result<T, E>>,
    A: Answer<T, E>,
    E: fmt::Display,
{
    let proxy = flight.proxy;
    let mut race = Race { racers: Vec::new(), hedge: None };
    let mut ends = Ends(Vec::new());
    let mut last_error = None;
    let first = attempt(&flight.call);
    race.start(&flight.call, first);
    loop {
        let (number, bound, ended) = match poll_fn(|cx| race.poll(cx)).await {
            Ok(Next::Ended(number, bound, ended)) => (number, bound, ended),
            Ok(Next::Hedge) => {
                if race.hedges(&mut flight) {
                    let hedge = attempt(&flight.call);
                    race.start(&flight.call, hedge);
                }
                continue;
            }
            Err(ShutDown) => return Err(flight.shut_down(ends.last_error().or(last_error))),
        };
        // O2: the bound is the attempt's; what its classifier takes is not counted.
        let at = now();
        let outcome = match &ended {
            None => overran(proxy, reader, false),
            Some(_) if at > bound => overran(proxy, reader, true),
            Some(result) => catch_unwind(AssertUnwindSafe(|| (with.classifier)(result))).unwrap_or_else(|thrown| {
                let _ = proxy.settle_attempt(&mut flight.call, number, at, Outcome::Fail, None);
                proxy.answered(&mut flight.call, at, false);
                resume_unwind(thrown)
            }),
        };
        let asked = reader.hint(number, ended.as_ref());
        if reader.went_nowhere(number) {
            proxy.acquit(&mut flight.call, number);
        }
        let mut decision = proxy.settle_attempt(&mut flight.call, number, at, outcome, asked);
        match ended {
            // T3: what came too late is dropped.
            _ if at > bound => {}
            Some(Ok(value)) => ends.0.push((number, Some(value), None)),
            Some(Err(error)) => ends.0.push((number, None, Some(error))),
            None => {}
        }
        if decision == Decision::Await {
            continue;
        }
        let (value, error) = if decision == Decision::Run { (None, None) } else { ends.take(flight.call.ended()) };
        if let Decision::WaitUntil(until) = decision {
            race.hedge = None;
            with.tell_retry(&flight.call, now(), until, value.as_ref(), error.as_ref(), reader);
            let others = ends.last_error();
            last_error = error.or(others).or(last_error);
            decision = match flight.wait().await {
                Ok(decision) => decision,
                Err(ShutDown) => return Err(flight.shut_down(last_error)),
            };
            if let Decision::Finish(give, _) = decision {
                return flight.conclude(give, value, last_error, &with.fallback);
            }
        } else if let Decision::Finish(give, _) = decision {
            // Those that lost.
            drop(race);
            let others = ends.last_error();
            last_error = error.or(others).or(last_error);
            return flight.conclude(give, value, last_error, &with.fallback);
        }
        let next = attempt(&flight.call);
        race.start(&flight.call, next);
    }
}
