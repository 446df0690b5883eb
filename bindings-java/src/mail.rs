//! What the core has to tell Java of requests that are on their way, and how it comes there without a thread of the core's ever
//! entering the JVM. Who waits for one request alone has a [`Mailbox`] of its own. All others' messages go to one place, from
//! which a daemon thread of Java's fetches them in batches: the *leader*. It may run the user's code on the way, and that may
//! take its time; so another thread stands by, and leads in its place when it has been away for too long and somebody waits.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ambassador_core::Error;
use ambassador_core::http::{Body, BoxError, Failed};
use ambassador_core::runtime;
use bytes::Bytes;
use http::Response;

/// What is told of a request.
pub enum Message {
    /// It has a response, whole or with a body to be read.
    Response(Box<Response<Body>>),
    /// It failed.
    Failed(Box<Failed>),
    /// R7: the line of a retry.
    Retry(String),
    /// The next piece of a response's body.
    Piece(Bytes),
    /// There was none left.
    End,
    /// The body broke off.
    Broken(BoxError),
    /// A piece of the request's body was taken: there is room for another.
    Taken,
    /// No more of it is wanted.
    Unwanted,
}

/// Of one request, for the thread that waits for it.
#[derive(Default)]
pub struct Mailbox {
    state: Mutex<Held>,
    arrived: Condvar,
}

#[derive(Default)]
struct Held {
    messages: VecDeque<Message>,
    is_woken: bool,
}

impl Mailbox {
    pub fn post(&self, message: Message) {
        lock(&self.state).messages.push_back(message);
        self.arrived.notify_one();
    }

    /// Who waits, now or next, is to wait no more.
    pub fn wake(&self) {
        lock(&self.state).is_woken = true;
        self.arrived.notify_one();
    }

    /// The next message; `None` when it was woken.
    pub fn wait(&self) -> Option<Message> {
        let is_empty = |held: &mut Held| held.messages.is_empty() && !held.is_woken;
        let mut held = self.arrived.wait_while(lock(&self.state), is_empty).unwrap_or_else(PoisonError::into_inner);
        held.messages.pop_front()
    }
}

/// How long the leader may be away while others wait.
const AWAY: Duration = Duration::from_millis(2);
/// How long a thread stands by that is one too many.
const IDLE: Duration = Duration::from_secs(10);
/// How many messages a batch has at most.
pub const BATCH: usize = 64;

/// Messages for the leader, each with the number of its request.
struct Post {
    messages: VecDeque<(i64, Message)>,
    /// The leader's: each has a number of its own.
    term: i64,
    /// It waits here, and nobody has woken it.
    is_waiting: bool,
    /// It has gone with a batch …
    is_away: bool,
    /// … of several messages, of which some may still wait …
    has_several: bool,
    /// … and this is how often it went.
    absences: u64,
    /// Somebody looks soon whether it has come back.
    is_watched: bool,
    /// It has not, and is the leader no more.
    is_vacant: bool,
    /// How many stand by.
    spares: i64,
}

static POST: Mutex<Post> = Mutex::new(Post {
    messages: VecDeque::new(),
    term: 0,
    is_waiting: false,
    is_away: false,
    has_several: false,
    absences: 0,
    is_watched: false,
    is_vacant: true,
    spares: 0,
});
static ARRIVED: Condvar = Condvar::new();
static VACANT: Condvar = Condvar::new();

/// What a thread of Java's is to do.
pub enum Turn {
    /// Deliver these.
    Deliver(Vec<(i64, Message)>),
    /// Lead from now on, in that term, after what another may have left; and so many stand by.
    Lead { term: i64, spares: i64 },
    /// End: enough others stand by.
    End,
}

/// A message for the request of that number.
pub fn post(ticket: i64, message: Message) {
    let mut post = lock(&POST);
    post.messages.push_back((ticket, message));
    if post.is_waiting {
        post.is_waiting = false;
        ARRIVED.notify_one();
    } else if !post.is_watched {
        watch(&mut post);
    }
}

/// For a thread that has led in that term, or never did (0): waits until there is something for it to do.
pub fn next(term: i64) -> Turn {
    let post = lock(&POST);
    if term != 0 && term == post.term { fetch(post) } else { stand_by(post) }
}

fn fetch(mut post: MutexGuard<'_, Post>) -> Turn {
    post.is_away = false;
    while post.messages.is_empty() {
        post.is_waiting = true;
        post = ARRIVED.wait(post).unwrap_or_else(PoisonError::into_inner);
    }
    post.is_waiting = false;
    let count = post.messages.len().min(BATCH);
    let batch: Vec<_> = post.messages.drain(..count).collect();
    post.is_away = true;
    post.absences += 1;
    post.has_several = count > 1;
    if !post.is_watched && (count > 1 || !post.messages.is_empty()) {
        watch(&mut post);
    }
    Turn::Deliver(batch)
}

fn stand_by(mut post: MutexGuard<'_, Post>) -> Turn {
    post.spares += 1;
    loop {
        if post.is_vacant {
            post.is_vacant = false;
            post.is_away = true;
            post.has_several = true;
            post.absences += 1;
            post.term += 1;
            post.spares -= 1;
            if !post.is_watched {
                watch(&mut post);
            }
            return Turn::Lead { term: post.term, spares: post.spares };
        }
        let waited = VACANT.wait_timeout(post, IDLE).unwrap_or_else(PoisonError::into_inner);
        post = waited.0;
        if waited.1.timed_out() && !post.is_vacant && post.spares > 1 {
            post.spares -= 1;
            return Turn::End;
        }
    }
}

/// Looks soon whether the leader is still away while somebody waits.
fn watch(post: &mut Post) {
    post.is_watched = true;
    let absence = post.absences;
    runtime::handle().spawn(async move {
        tokio::time::sleep(AWAY).await;
        let mut post = lock(&POST);
        post.is_watched = false;
        if !post.is_away || (post.messages.is_empty() && !post.has_several) {
            return;
        }
        if post.absences == absence {
            post.is_vacant = true;
            VACANT.notify_one();
        } else {
            watch(&mut post);
        }
    });
}

/// The core's own error of a body that broke off, if it is one.
pub fn error_of(broken: &BoxError) -> Option<&Error> {
    broken.downcast_ref()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
