//! What one thread tells another's event loop: a turn in the bulkhead's queue has come (L1), something has happened to a target. By
//! a thread-safe function of Node-API, opened when first needed, which keeps no event loop alive (F4): a call that queues has a
//! place among the timers of `lib/timers.js`, as every wait has.

use std::ffi::c_void;
use std::ptr;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

use napi::Env;
use napi::JsValue;
use napi::bindgen_prelude::{External, Function, Result, Unknown, check_status, sys};
use napi_derive::napi;

use crate::instance::Instance;

/// Something to be told.
pub enum Message {
    /// The turn of that ticket has come.
    Turn(i32),
    /// A JSON array.
    Events(String),
}

/// The letter box of an environment.
#[derive(Default)]
pub struct Post(Mutex<Opened>);

/// The thread-safe function, while the environment lives; null before and after.
struct Opened(sys::napi_threadsafe_function);

impl Default for Opened {
    fn default() -> Opened {
        Opened(ptr::null_mut())
    }
}

// SAFETY: a thread-safe function is what any thread may call; that it still exists is what the lock around it sees to.
unsafe impl Send for Opened {}

impl Post {
    /// Puts a message into the box; into none when the environment has gone.
    pub fn send(&self, message: Message) {
        let mut opened = self.lock();
        if opened.0.is_null() {
            return;
        }
        let data = Box::into_raw(Box::new(message));
        // SAFETY: the function exists: `closed` takes it out under this very lock before Node deletes it. Its queue has no
        // bound, so this never blocks, and it runs nothing of ours.
        let status = unsafe {
            sys::napi_call_threadsafe_function(opened.0, data.cast(), sys::ThreadsafeFunctionCallMode::nonblocking)
        };
        if status != sys::Status::napi_ok {
            // SAFETY: it was not taken, and is still ours. Who was told that the function closes may not call it again.
            drop(unsafe { Box::from_raw(data) });
            opened.0 = ptr::null_mut();
        }
    }

    /// Whether messages come to somebody.
    pub fn is_open(&self) -> bool {
        !self.lock().0.is_null()
    }

    /// What puts that ticket into the box.
    pub fn waker(post: &Arc<Post>, ticket: i32) -> Waker {
        Waker::from(Arc::new(Turn { post: Arc::clone(post), ticket }))
    }

    // The innermost of all locks: nothing is locked, and none of our code runs, while it is held. So a waker may take it.
    fn lock(&self) -> MutexGuard<'_, Opened> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Turn {
    post: Arc<Post>,
    ticket: i32,
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        self.post.send(Message::Turn(self.ticket));
    }
}

/// Opens the environment's box: `deliver` gets a ticket, a number; or events, a JSON text.
#[napi(catch_unwind)]
pub fn open_post(env: Env, instance: &External<Rc<Instance>>, deliver: Function<'_, Unknown<'_>, ()>) -> Result<()> {
    const NAME: &str = "ambassador";
    let (mut name, mut opened) = (ptr::null_mut(), ptr::null_mut());
    let post = Arc::into_raw(Arc::clone(&instance.post)).cast_mut().cast::<c_void>();
    // SAFETY: this runs on the environment's thread; the pointers are to variables of this frame, and what is given as data is
    // one count of the post, which `closed` gives back.
    unsafe {
        check_status!(sys::napi_create_string_utf8(env.raw(), NAME.as_ptr().cast(), NAME.len() as isize, &mut name))?;
        let none = ptr::null_mut();
        let created = sys::napi_create_threadsafe_function(
            env.raw(),
            deliver.raw(),
            none,
            name,
            0,
            1,
            post,
            Some(closed),
            ptr::null_mut(),
            Some(tell),
            &mut opened,
        );
        if created != sys::Status::napi_ok {
            drop(Arc::from_raw(post.cast_const().cast::<Post>()));
        }
        check_status!(created)?;
        check_status!(sys::napi_unref_threadsafe_function(env.raw(), opened))?;
    }
    instance.post.lock().0 = opened;
    Ok(())
}

/// The environment goes: nothing may be called any more.
unsafe extern "C" fn closed(_: sys::napi_env, post: *mut c_void, _: *mut c_void) {
    // SAFETY: `open_post` gave one count of the post, and this is called once.
    let post = unsafe { Arc::from_raw(post.cast_const().cast::<Post>()) };
    post.lock().0 = ptr::null_mut();
}

/// On the thread of the environment: takes a message out of the box.
unsafe extern "C" fn tell(env: sys::napi_env, deliver: sys::napi_value, _: *mut c_void, data: *mut c_void) {
    // SAFETY: `send` put it in, and it is taken out once.
    let message = unsafe { Box::from_raw(data.cast::<Message>()) };
    if env.is_null() || deliver.is_null() {
        return;
    }
    let (mut argument, mut receiver) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: Node calls this with its environment and the function that `open_post` was given; the pointers are to variables of
    // this frame. Should anything fail, the message is lost: a turn is then noticed at the end of its wait.
    unsafe {
        let made = match *message {
            Message::Turn(ticket) => sys::napi_create_int32(env, ticket, &mut argument),
            Message::Events(json) => {
                sys::napi_create_string_utf8(env, json.as_ptr().cast(), json.len() as isize, &mut argument)
            }
        };
        if made == sys::Status::napi_ok && sys::napi_get_undefined(env, &mut receiver) == sys::Status::napi_ok {
            sys::napi_call_function(env, receiver, deliver, 1, &argument, ptr::null_mut());
        }
    }
}
