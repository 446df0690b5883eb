//! One call in flight, wherever its function runs: driven through the core's front door, and stopped from outside by a flag, a
//! wake-up, and a handle that is there while the call is (O3).

use std::future::{pending, poll_fn};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use ambassador_core::call::Outcome;
use ambassador_core::clock::{self, Nanos};
use ambassador_core::{Attempt, CallError, Code, runtime, testing};
use once_cell::sync::Lazy;
use sharded_slab::Slab;
use tokio::sync::Notify;

use crate::fallback::Fallback;
use crate::proxy::Entry;
use crate::result::{Returned, amb_result};
use crate::status::amb_status;
use crate::{fork, log, raise};

/// A call in flight. A handle that ends by itself with the call; there is nothing to free.
pub struct amb_call {
    _opaque: [u8; 0],
}

/// What the attempts of one call share, and whoever stops it.
pub(crate) struct Flight {
    pub entry: Arc<Entry>,
    entered: Nanos,
    generation: u32,
    /// The attempt that runs, of several the newest, or ran last.
    attempt: AtomicU32,
    /// The function's status of the last attempt that returned in time.
    last_status: AtomicI32,
    cancelled: AtomicBool,
    wake: Notify,
    /// Whether the call was cancelled while its function was about to succeed.
    succeeded: AtomicBool,
    /// How it ended, if a fallback ran: that its front door does not tell.
    fell_back: OnceLock<Box<amb_result>>,
    handle: Handle,
}

/// What a handle of a call stops.
pub(crate) trait Stoppable: Send + Sync {
    fn is_the_parents(&self) -> bool;
    fn stop(&self);
}

static CALLS: Lazy<Slab<Arc<dyn Stoppable>>> = Lazy::new(Slab::new);

/// A handle that is there while its call is; made when it is first asked for.
#[derive(Default)]
pub(crate) struct Handle(OnceLock<Option<usize>>);

impl Handle {
    /// Null when there is no room for one.
    pub fn of<S: Stoppable + 'static>(&self, call: &Arc<S>) -> *mut amb_call {
        let key = self.0.get_or_init(|| CALLS.insert(Arc::clone(call) as Arc<dyn Stoppable>));
        key.map_or(0, |key| key + 1) as *mut amb_call
    }

    /// The call has ended.
    pub fn retire(&self) {
        if let Some(Some(key)) = self.0.get() {
            CALLS.remove(*key);
        }
    }
}

impl Flight {
    pub fn new(entry: Arc<Entry>) -> Arc<Flight> {
        Arc::new(Flight {
            entry,
            entered: clock::now(),
            generation: fork::generation(),
            attempt: AtomicU32::new(0),
            last_status: AtomicI32::new(0),
            cancelled: AtomicBool::new(false),
            wake: Notify::new(),
            succeeded: AtomicBool::new(false),
            fell_back: OnceLock::new(),
            handle: Handle::default(),
        })
    }

    /// The call, to its end; `attempt` makes one, and `ask` runs its fallback, if it has one. Dropped before, the call ends cancelled,
    /// and the core counts it so.
    #[allow(clippy::result_large_err, reason = "the front door passes errors by value")]
    pub async fn run<F>(
        self: &Arc<Flight>,
        mut attempt: impl FnMut(Attempt) -> F,
        ask: impl Fn(&Fallback, &amb_result) -> i32,
    ) -> amb_result
    where
        F: Future<Output = Returned>,
    {
        let _retired_at_the_end = Retire(self);
        let classified = self.entry.proxy.classify(|result| self.outcome(result)).on_retry(log::retry);
        let attempts = |ctx: Attempt| {
            // Stopped where there was no wait to cut short: nothing more is begun, and the poll below sees to the end.
            let begun = (!self.is_cancelled() && !self.is_the_parents()).then(|| {
                self.attempt.store(ctx.attempt(), SeqCst);
                attempt(ctx)
            });
            // The function may have come back in another process than it was begun in: then nothing came of it.
            let begun = begun.filter(|_| !self.is_the_parents());
            async move {
                match begun {
                    Some(begun) => {
                        let returned = begun.await;
                        self.heed(&returned);
                        Err::<(), _>(returned)
                    }
                    None => pending().await,
                }
            }
        };
        match &self.entry.fallback {
            None => self.drive(classified.execute(attempts)).await,
            Some(fallback) => {
                let answer = |error: &_| self.fall_back(error, |result| ask(fallback, result));
                self.drive(classified.fallback(answer).execute(attempts)).await
            }
        }
    }

    /// What runs, to its end, or until the call is stopped.
    async fn drive(&self, running: impl Future<Output = Result<(), CallError<Returned>>>) -> amb_result {
        // In a box, so that a child can leave it.
        let mut running = Box::pin(running);
        let mut stopped = pin!(self.wake.notified());
        let ended = poll_fn(|cx| {
            let polled = catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(cx)));
            match polled {
                Ok(Poll::Ready(ended)) => Poll::Ready(Ok(ended)),
                Ok(Poll::Pending) if self.is_the_parents() => Poll::Ready(Err(Stopped::by_others())),
                Ok(Poll::Pending) => stopped.as_mut().poll(cx).map(|()| Err(Stopped::by_others())),
                Err(thrown) => match thrown.downcast::<Stopped>() {
                    Ok(stopped) => Poll::Ready(Err(*stopped)),
                    Err(fault) => resume_unwind(fault),
                },
            }
        });
        let ended = ended.await;
        if self.is_the_parents() {
            // F3: to drop it would be to end the parent's call, and to count that here.
            mem::forget(running);
            if self.fell_back.get().is_some() {
                // Where its fallback forked, that has happened.
                runtime::forked();
            }
            let message = self.entry.proxy.error_message(Code::Forked, None, clock::now());
            return self.cut_short(amb_status::AMB_ERR_FORKED, &message);
        }
        match ended {
            // A success of a cancelled call, that came to its bound on its way to the core.
            Ok(Err(CallError::Ambassador(error, _)))
                if self.succeeded.load(SeqCst) && error.code() != Code::Shutdown =>
            {
                self.cut_short(amb_status::AMB_CANCELLED, &Stopped::by_others().message)
            }
            Ok(ended) => match (self.fell_back.get(), ended) {
                (Some(fell_back), _) => **fell_back,
                (None, Err(ended)) => self.result(&ended),
                (None, Ok(())) => unreachable!("a value comes of a fallback alone"),
            },
            Err(stopped) => {
                let result = self.cut_short(amb_status::AMB_CANCELLED, &stopped.message);
                amb_result { attempt: stopped.attempt, ..result }
            }
        }
    }

    /// What an attempt's end is for this call (A1, A2).
    fn outcome(&self, result: &Result<(), Returned>) -> Outcome {
        // Of an attempt all is an error: see `Returned`.
        let Err(returned) = result else { return Outcome::Ok };
        let outcome = self.judged(returned);
        if outcome != Outcome::Ok {
            self.last_status.store(returned.status, SeqCst);
        }
        outcome
    }

    fn judged(&self, returned: &Returned) -> Outcome {
        let judged = returned.judged.get().unwrap_or_else(|| self.entry.outcome(returned.status));
        returned.judged.set(Some(judged));
        judged
    }

    /// H2: what the fallback makes of the call's end.
    #[allow(clippy::result_large_err, reason = "the front door passes errors by value")]
    fn fall_back(
        &self,
        error: &CallError<Returned>,
        ask: impl FnOnce(&amb_result) -> i32,
    ) -> Result<(), CallError<Returned>> {
        if matches!(error, CallError::Failed(last) if last.is_value()) {
            return Err(error.clone());
        }
        if self.is_cancelled() {
            // Its bound was noticed first; it is cancelled all the same.
            resume_unwind(Box::new(Stopped::by_others()));
        }
        let ended = self.result(error);
        let status = ask(&ended);
        let _ = self.fell_back.set(Box::new(ended.fell_back(status, self.elapsed())));
        if status == 0 { Ok(()) } else { Err(error.clone()) }
    }

    /// The function has come to its end. Control flow ends the call, however late it comes (A3), and so does whatever a
    /// cancelled call brings, unless it is a success in time: by unwinding through the core's front door, which then cancels.
    fn heed(&self, returned: &Returned) {
        if returned.status == amb_status::AMB_CANCELLED as i32 {
            self.last_status.store(returned.status, SeqCst);
            let is_hedged = self.entry.proxy.policy().hedge.is_some();
            if is_hedged && testing::instant().is_some() && !returned.attempt.cancelled() {
                // H1: in virtual time another attempt may have won before, which the core alone can tell.
                return;
            }
            resume_unwind(Box::new(Stopped { message: returned.to_string(), attempt: returned.attempt.attempt() }));
        }
        if !self.is_cancelled() {
            return;
        }
        if returned.attempt.cancelled() {
            // T3: dropped, and the core, which is told of a cancellation, does not count it.
            self.entry.proxy.note_late();
        } else if self.judged(returned) == Outcome::Ok {
            self.succeeded.store(true, SeqCst);
            return;
        } else {
            self.last_status.store(returned.status, SeqCst);
        }
        resume_unwind(Box::new(Stopped::by_others()));
    }

    /// What the core's front door ended with.
    fn result(&self, ended: &CallError<Returned>) -> amb_result {
        amb_result::of(ended, self.attempt.load(SeqCst), self.elapsed())
    }

    /// How a call ended that was not waited for to its own end.
    pub fn cut_short(&self, status: amb_status, message: &str) -> amb_result {
        let (last_status, attempts) = (self.last_status.load(SeqCst), self.attempt.load(SeqCst));
        amb_result::new(status as i32, last_status, attempts, self.elapsed(), message)
    }

    fn elapsed(&self) -> Duration {
        Duration::from_nanos(clock::now().saturating_sub(self.entered))
    }

    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(SeqCst)
    }

    /// Whether this process is a child that was forked since the call began (F3).
    pub fn is_the_parents(&self) -> bool {
        self.generation != fork::generation()
    }

    /// The call's handle; null when there is no room for one.
    pub fn handle(self: &Arc<Flight>) -> *mut amb_call {
        self.handle.of(self)
    }
}

impl Stoppable for Flight {
    fn is_the_parents(&self) -> bool {
        Flight::is_the_parents(self)
    }

    fn stop(&self) {
        self.cancelled.store(true, SeqCst);
        self.wake.notify_one();
    }
}

/// Thrown when a function's end is its call's, cancelled; caught where the call is driven.
struct Stopped {
    message: String,
    /// Whose end it is; 0 when others stopped the call.
    attempt: u32,
}

impl Stopped {
    fn by_others() -> Stopped {
        Stopped { message: "the call was cancelled".into(), attempt: 0 }
    }
}

/// Ends the handle with the call, however that ends.
struct Retire<'a>(&'a Flight);

impl Drop for Retire<'_> {
    fn drop(&mut self) {
        self.0.handle.retire();
    }
}

/// Stops a call: a wait between attempts ends now, a spawned or hedged function is abandoned, and amb_attempt_cancelled() turns
/// true for one that runs on its caller's thread. No further attempt is made; unless the one that runs still succeeds within its
/// bound, or a fallback runs already, the call ends with #AMB_CANCELLED. A request of amb_http_spawn() is given up at once.
///
/// #AMB_ERR_ARGUMENT when the call has ended; #AMB_ERR_FORKED in a child of the process that began it.
#[unsafe(no_mangle)]
pub extern "C" fn amb_call_cancel(call: *const amb_call) -> amb_status {
    raise::guard(|| {
        // Not held while it is stopped, which may end it.
        let flight = (call as usize).checked_sub(1).and_then(|key| CALLS.get(key)).map(|flight| Arc::clone(&flight));
        let Some(flight) = flight else {
            return Err(raise::argument("amb_call_cancel: the call has ended, or is no call"));
        };
        if flight.is_the_parents() {
            let message = "amb_call_cancel: the call belongs to the parent of this process";
            return Err(raise::other(amb_status::AMB_ERR_FORKED, message));
        }
        flight.stop();
        Ok(())
    })
}
