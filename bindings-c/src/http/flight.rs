//! A request under way: what its handle stops, who is told how it ended, and what its end is to C.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;
use std::{mem, ptr};

use ambassador_core::Code;
use ambassador_core::clock::{self, Nanos};
use ambassador_core::http::{Body, Failed, Retry, Sending, Served, Told as Teller};
use http::Response;
use tokio::task::block_in_place;

use super::amb_on_response;
use super::request::Asked;
use super::response::{self, amb_response};
use crate::fallback::Fallback;
use crate::flight::{Handle, Stoppable, amb_call};
use crate::proxy::Entry;
use crate::result::amb_result;
use crate::spawn::Pending;
use crate::status::amb_status;
use crate::worker::{self, UserData};
use crate::{fork, log, raise};

/// A request under way.
pub(super) struct Flight {
    pub entry: Arc<Entry>,
    began: Nanos,
    generation: u32,
    /// The attempt that failed last, with another to follow.
    failed: AtomicU32,
    is_cancelled: AtomicBool,
    sending: OnceLock<Sending>,
    handle: Handle,
}

/// How it ended.
pub(super) enum End {
    Answered(Response<Body>),
    Failed(Failed),
    /// Stopped by its handle, or with the runtime.
    Lost,
}

/// Who is told.
pub(super) enum Told {
    Program(amb_on_response, UserData),
    Caller(Arc<Waiter>),
}

impl Flight {
    pub fn new(entry: Arc<Entry>) -> Arc<Flight> {
        Arc::new(Flight {
            entry,
            began: clock::now(),
            generation: fork::generation(),
            failed: AtomicU32::new(0),
            is_cancelled: AtomicBool::new(false),
            sending: OnceLock::new(),
            handle: Handle::default(),
        })
    }

    /// Its handle; null when there is no room for one.
    pub fn handle(self: &Arc<Flight>) -> *mut amb_call {
        self.handle.of(self)
    }

    /// Sends it, on the runtime.
    pub fn send(self: &Arc<Flight>, asked: Asked, told: Told) {
        let done = Done { flight: Arc::clone(self), told: Some(told), _pending: Pending::new() };
        let sending = self.entry.proxy.spawn_send(asked.request, asked.options, done);
        let _ = self.sending.set(sending);
    }

    fn is_the_parents(&self) -> bool {
        self.generation != fork::generation()
    }

    /// What its end is to C; `ask` runs its fallback, if it has one and that may answer (H2).
    pub fn conclude(
        &self,
        end: End,
        ask: impl FnOnce(&Fallback, &amb_result) -> i32,
    ) -> (amb_result, *mut amb_response) {
        match end {
            End::Answered(came) => {
                let served = came.extensions().get::<Served>();
                let (attempt, attempts) = served.map_or((0, 0), |served| (served.attempt, served.attempts));
                match response::keep(came) {
                    Some(response) => {
                        let result = amb_result::new(0, 0, attempts, self.elapsed(), "");
                        (amb_result { attempt, ..result }, response)
                    }
                    None => {
                        let message = "too many responses; free those that are not needed";
                        raise::other(amb_status::AMB_ERR_INTERNAL, message);
                        let status = amb_status::AMB_ERR_INTERNAL as i32;
                        (amb_result::new(status, 0, attempts, self.elapsed(), message), ptr::null_mut())
                    }
                }
            }
            End::Failed(failed) => (self.failed(failed, ask), ptr::null_mut()),
            End::Lost => (self.lost(), ptr::null_mut()),
        }
    }

    fn failed(&self, failed: Failed, ask: impl FnOnce(&Fallback, &amb_result) -> i32) -> amb_result {
        let ended = amb_result::of_error(&failed.error, 0);
        let status = crate::status::of(failed.error.code());
        raise::other(status, &failed.error.to_string());
        let (Some(answering), Some(fallback)) = (failed.answering, &self.entry.fallback) else { return ended };
        let answered = ask(fallback, &ended);
        if self.is_the_parents() {
            // F3: to tell the core would be to count the parent's call here.
            mem::forget(answering);
            return self.cut_short(amb_status::AMB_ERR_FORKED, Code::Forked);
        }
        answering.answered(answered == 0);
        ended.fell_back(answered, self.elapsed())
    }

    fn lost(&self) -> amb_result {
        if self.is_cancelled.load(SeqCst) {
            let message = "the request was cancelled";
            raise::other(amb_status::AMB_CANCELLED, message);
            return amb_result::new(
                amb_status::AMB_CANCELLED as i32,
                0,
                self.failed.load(SeqCst),
                self.elapsed(),
                message,
            );
        }
        self.cut_short(amb_status::AMB_ERR_SHUTDOWN, Code::Shutdown)
    }

    fn cut_short(&self, status: amb_status, code: Code) -> amb_result {
        let message = self.entry.proxy.error_message(code, None, clock::now());
        raise::other(status, &message);
        amb_result::new(status as i32, 0, self.failed.load(SeqCst), self.elapsed(), &message)
    }

    fn elapsed(&self) -> Duration {
        Duration::from_nanos(clock::now().saturating_sub(self.began))
    }
}

impl Stoppable for Flight {
    fn is_the_parents(&self) -> bool {
        Flight::is_the_parents(self)
    }

    fn stop(&self) {
        self.is_cancelled.store(true, SeqCst);
        if let Some(sending) = self.sending.get() {
            sending.cancel();
        }
    }
}

/// Tells, once, however the request ends: also when it is stopped, or the runtime under it.
struct Done {
    flight: Arc<Flight>,
    told: Option<Told>,
    _pending: Pending,
}

impl Teller for Done {
    fn retry(&mut self, retry: Retry) {
        self.flight.failed.store(retry.attempt, SeqCst);
        log::retry(&retry.line);
    }

    fn ended(mut self, ended: Result<Response<Body>, Failed>) {
        self.tell(ended.map_or_else(End::Failed, End::Answered));
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        self.tell(End::Lost);
    }
}

impl Done {
    fn tell(&mut self, end: End) {
        let Some(told) = self.told.take() else { return };
        let flight = &self.flight;
        // Its handle ends before it is told of, so that nobody stops what is over.
        flight.handle.retire();
        match told {
            Told::Caller(waiter) => waiter.ends(end),
            Told::Program(on_done, data) => {
                // SAFETY: by the contract of `amb_http_spawn`; the data lives as long as this holds it.
                let ask =
                    |fallback: &Fallback, result: &_| block_in_place(|| unsafe { fallback.ask(result, data.pointer) });
                let (result, response) = flight.conclude(end, ask);
                match on_done {
                    // SAFETY: the program gave the two together; the result lives until this returns.
                    Some(on_done) => unsafe { on_done(response, &result, data.pointer) },
                    None => response::drop_unseen(response),
                }
                if flight.is_the_parents() {
                    worker::leave();
                }
            }
        }
    }
}

/// A caller that waits on its own thread.
pub(super) struct Waiter {
    thread: Thread,
    has_ended: AtomicBool,
    end: Mutex<Option<End>>,
}

impl Default for Waiter {
    fn default() -> Waiter {
        Waiter { thread: thread::current(), has_ended: AtomicBool::new(false), end: Mutex::default() }
    }
}

impl Waiter {
    fn ends(&self, end: End) {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
        self.has_ended.store(true, SeqCst);
        self.thread.unpark();
    }

    /// Waits, on the thread that made it.
    pub fn wait(&self) -> End {
        while !self.has_ended.load(SeqCst) {
            thread::park();
        }
        self.end.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or(End::Lost)
    }
}
