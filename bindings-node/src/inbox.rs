//! What becomes of requests, on its way from the runtime's threads to JavaScript's. Whatever is told meanwhile is kept in one buffer, and one
//! wake-up of the event loop takes all of it. `lib/wire.js` reads the buffer; it has the same kinds and places.
//!
//! The event loop is kept alive while [`hold`] says so, which is while requests are in flight, as it is by `fetch`.

use std::collections::HashMap;
use std::ffi::c_void;
use std::mem;
use std::ptr;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ambassador_core::http::{Answering, Sending};
use bytes::Bytes;
use napi::bindgen_prelude::{External, Function, Result, Unknown, check_status, sys};
use napi::{Env, JsValue};
use napi_derive::napi;

use crate::bodies::{Reading, Upload};
use crate::instance::Instance;

/// What a record tells.
#[derive(Clone, Copy)]
pub enum Kind {
    /// A response, with all of its body.
    Whole = 1,
    /// The head of a response whose body is a stream, with what has come of it.
    Head = 2,
    /// A piece of a body.
    Piece = 3,
    /// The end of a body.
    End = 4,
    /// The request, or the stream that is its response's body, failed.
    Failed = 5,
    /// R7
    Retry = 6,
    /// The next piece of the request's body is wanted.
    Want = 7,
    /// Nothing more of it is.
    Enough = 8,
    /// There is no such request.
    Invalid = 9,
}

/// Places of a record, each four bytes.
const PLACES: usize = 6;
/// A body up to this goes with the record; a larger one has a buffer of its own.
const INLINE: usize = 4096;
/// A buffer that has grown to this is followed by another: what is kept of one response keeps the others of its buffer.
const FULL: usize = 16 << 10;

/// A request, for as long as JavaScript waits for something of it.
pub enum Entry {
    /// JavaScript has sent it; the runtime has not begun it yet.
    Begun,
    Sent(Sending),
    /// Its response's body is a stream.
    Reading(Reading),
    /// H2: JavaScript's fallback runs.
    Answering(Answering),
}

/// What has come for one environment.
#[derive(Default)]
pub struct Inbox(Mutex<Box>);

#[derive(Default)]
pub struct Box {
    opened: Opened,
    /// The event loop has been woken for what is here.
    is_told: bool,
    buffers: Vec<Vec<u8>>,
    pieces: Vec<Bytes>,
    /// An emptied buffer, to be filled again.
    spare: Vec<u8>,
    pub entries: HashMap<u32, Entry>,
    pub uploads: HashMap<u32, Arc<Upload>>,
}

/// The thread-safe function, while the environment lives; null before and after.
struct Opened(sys::napi_threadsafe_function);

impl Default for Opened {
    fn default() -> Opened {
        Opened(ptr::null_mut())
    }
}

// SAFETY: a thread-safe function is what any thread may call; that it still exists is what the lock around it sees to.
unsafe impl Send for Opened {}

impl Inbox {
    // Nothing else is locked, no task is spawned or dropped, and none of the user's code runs, while it is held.
    pub fn lock(&self) -> MutexGuard<'_, Box> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells something of a request that JavaScript still waits for; `false` when it does not.
    pub fn tell(&self, id: u32, kind: Kind, numbers: [i32; 2], head: &[u8], body: Bytes) -> bool {
        let mut inside = self.lock();
        let is_awaited = inside.entries.contains_key(&id);
        if is_awaited {
            inside.tell(id, kind, numbers, head, body);
        }
        is_awaited
    }
}

impl Box {
    /// A record: id, kind, number, length of the head, length of the body or -1 when it is the next of `pieces`, number; head; body. The
    /// numbers of a response are its status and its attempts; of a failure, 1 when a fallback may answer; of a retry, the attempt and where in its line
    /// the cause begins.
    pub fn tell(&mut self, id: u32, kind: Kind, numbers: [i32; 2], head: &[u8], body: Bytes) {
        if self.opened.0.is_null() {
            return;
        }
        // A stream's pieces are given away by who reads them, and so have to be alone in their buffers.
        let is_inline = body.is_empty() || (body.len() <= INLINE && matches!(kind, Kind::Whole));
        let length = if is_inline { body.len() as i32 } else { -1 };
        if self.buffers.last().is_none_or(|buffer| buffer.len() >= FULL) {
            self.buffers.push(mem::take(&mut self.spare));
        }
        if let Some(buffer) = self.buffers.last_mut() {
            let places: [i32; PLACES] = [id as i32, kind as i32, numbers[0], head.len() as i32, length, numbers[1]];
            for place in places {
                buffer.extend_from_slice(&place.to_ne_bytes());
            }
            buffer.extend_from_slice(head);
            if is_inline {
                buffer.extend_from_slice(&body);
            }
            buffer.resize(buffer.len().next_multiple_of(4), 0);
        }
        if !is_inline {
            self.pieces.push(body);
        }
        if !self.is_told {
            // SAFETY: the function exists: `closed` takes it out under this very lock before Node deletes it. Its queue has no
            // bound, so this never blocks, and it runs nothing of ours.
            let status = unsafe {
                sys::napi_call_threadsafe_function(
                    self.opened.0,
                    ptr::null_mut(),
                    sys::ThreadsafeFunctionCallMode::nonblocking,
                )
            };
            self.is_told = status == sys::Status::napi_ok;
        }
    }
}

/// Opens the environment's inbox: `deliver` gets an `ArrayBuffer` of records, and an array of `ArrayBuffer`s, the bodies that are not in it.
#[napi(catch_unwind)]
pub fn open_inbox(env: Env, instance: &External<Rc<Instance>>, deliver: Function<'_, Unknown<'_>, ()>) -> Result<()> {
    const NAME: &str = "ambassador requests";
    let (mut name, mut opened) = (ptr::null_mut(), ptr::null_mut());
    let inbox = Arc::into_raw(Arc::clone(&instance.inbox)).cast_mut().cast::<c_void>();
    // SAFETY: this runs on the environment's thread; the pointers are to variables of this frame, and what is given as data is
    // one count of the inbox, which `closed` gives back.
    unsafe {
        check_status!(sys::napi_create_string_utf8(env.raw(), NAME.as_ptr().cast(), NAME.len() as isize, &mut name))?;
        let created = sys::napi_create_threadsafe_function(
            env.raw(),
            deliver.raw(),
            ptr::null_mut(),
            name,
            0,
            1,
            inbox,
            Some(closed),
            inbox,
            Some(take),
            &mut opened,
        );
        if created != sys::Status::napi_ok {
            drop(Arc::from_raw(inbox.cast_const().cast::<Inbox>()));
        }
        check_status!(created)?;
        check_status!(sys::napi_unref_threadsafe_function(env.raw(), opened))?;
    }
    instance.inbox.lock().opened = Opened(opened);
    Ok(())
}

/// F4: whether requests in flight keep the event loop alive.
#[napi(catch_unwind)]
pub fn hold(env: Env, instance: &External<Rc<Instance>>, is_held: bool) {
    let opened = instance.inbox.lock().opened.0;
    if opened.is_null() {
        return;
    }
    // SAFETY: this runs on the environment's thread, whose function has not been closed.
    unsafe {
        if is_held {
            sys::napi_ref_threadsafe_function(env.raw(), opened);
        } else {
            sys::napi_unref_threadsafe_function(env.raw(), opened);
        }
    }
}

/// The environment goes: nothing may be called any more, and what was in flight ends, cancelled (O3).
unsafe extern "C" fn closed(_: sys::napi_env, inbox: *mut c_void, _: *mut c_void) {
    // SAFETY: `open_inbox` gave one count of the inbox, and this is called once.
    let inbox = unsafe { Arc::from_raw(inbox.cast_const().cast::<Inbox>()) };
    let mut inside = inbox.lock();
    inside.opened = Opened::default();
    let entries = mem::take(&mut inside.entries);
    let uploads = mem::take(&mut inside.uploads);
    inside.buffers.clear();
    inside.pieces.clear();
    drop(inside);
    uploads.into_values().for_each(|upload| upload.fail("the environment has gone".into()));
    entries.into_values().for_each(Entry::end);
}

impl Entry {
    /// Nobody waits for it any more.
    pub fn end(self) {
        match self {
            Entry::Begun => {}
            Entry::Sent(sending) => sending.cancel(),
            // Dropped, both know.
            Entry::Reading(_) | Entry::Answering(_) => {}
        }
    }
}

/// On the thread of the environment: takes all there is.
unsafe extern "C" fn take(env: sys::napi_env, deliver: sys::napi_value, inbox: *mut c_void, _: *mut c_void) {
    // SAFETY: the context of the function is the inbox, of which `closed` has a count until after the last call of this.
    let inbox = unsafe { &*inbox.cast_const().cast::<Inbox>() };
    let mut inside = inbox.lock();
    inside.is_told = false;
    let mut buffers = mem::take(&mut inside.buffers);
    let pieces = mem::take(&mut inside.pieces);
    drop(inside);
    if env.is_null() || deliver.is_null() {
        return;
    }
    let mut rest = pieces.iter();
    for buffer in &buffers {
        let count = count_of_pieces(buffer);
        // SAFETY: Node calls this with its environment and the function that `open_inbox` was given.
        if unsafe { hand_over(env, deliver, buffer, rest.by_ref().take(count)) }.is_err() {
            // An exception is pending, or memory is gone: there is nobody to tell.
            break;
        }
    }
    if let Some(mut spare) = buffers.pop().filter(|buffer| buffer.capacity() <= 4 * FULL) {
        spare.clear();
        inbox.lock().spare = spare;
    }
}

/// How many of a buffer's records have their bodies elsewhere.
fn count_of_pieces(buffer: &[u8]) -> usize {
    let place = |at: usize| {
        buffer.get(at..at + 4).map_or(0, |bytes| i32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    };
    let (mut at, mut count) = (0, 0);
    while at < buffer.len() {
        let (head, body) = (place(at + 12) as usize, place(at + 16));
        count += usize::from(body < 0);
        at += (4 * PLACES + head + body.max(0) as usize).next_multiple_of(4);
    }
    count
}

unsafe fn hand_over<'a>(
    env: sys::napi_env,
    deliver: sys::napi_value,
    buffer: &[u8],
    pieces: impl Iterator<Item = &'a Bytes>,
) -> Result<()> {
    let (mut receiver, mut list) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: by this function's contract; the pointers are to variables of this frame.
    unsafe {
        check_status!(sys::napi_get_undefined(env, &mut receiver))?;
        let records = array_buffer(env, buffer)?;
        check_status!(sys::napi_create_array(env, &mut list))?;
        for (at, piece) in (0..).zip(pieces) {
            check_status!(sys::napi_set_element(env, list, at, array_buffer(env, piece)?))?;
        }
        check_status!(sys::napi_call_function(env, receiver, deliver, 2, [records, list].as_ptr(), ptr::null_mut()))
    }
}

unsafe fn array_buffer(env: sys::napi_env, bytes: &[u8]) -> Result<sys::napi_value> {
    let (mut memory, mut buffer) = (ptr::null_mut::<c_void>(), ptr::null_mut());
    // SAFETY: `env` is alive; the memory that Node gives is as large as was asked for, and nobody else's yet.
    unsafe {
        check_status!(sys::napi_create_arraybuffer(env, bytes.len(), &mut memory, &mut buffer))?;
        ptr::copy_nonoverlapping(bytes.as_ptr(), memory.cast(), bytes.len());
    }
    Ok(buffer)
}
