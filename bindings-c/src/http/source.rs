//! A request's body that a function of the program's gives piece by piece. It may take its time: it runs where threads may wait, one
//! piece ahead of what has been sent.

use std::ffi::c_void;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ambassador_core::runtime;
use bytes::Bytes;
use http_body::Frame;
use tokio::task::JoinHandle;

use crate::fork;
use crate::worker::{self, UserData};

/// Gives the next piece of a body: writes at most `size` bytes, and returns how many; 0 at the end; a number below 0 when it failed,
/// which ends the request with #AMB_ERR_BODY. It is called on threads of the ambassador's, by one at a time, and may wait.
pub type amb_read = Option<unsafe extern "C" fn(buffer: *mut c_void, size: usize, read_data: *mut c_void) -> i64>;

/// How many bytes are asked for at once.
const PIECE: usize = 64 << 10;

/// The function and its data.
struct Reader {
    read: unsafe extern "C" fn(*mut c_void, usize, *mut c_void) -> i64,
    data: UserData,
    generation: u32,
}

impl Reader {
    fn piece(&self) -> Result<Bytes, String> {
        let mut buffer = vec![0_u8; PIECE];
        // SAFETY: the program gave both together, for this, and the data lives as long as this holds it.
        let count = unsafe { (self.read)(buffer.as_mut_ptr().cast(), PIECE, self.data.pointer) };
        if self.generation != fork::generation() {
            worker::leave();
        }
        match usize::try_from(count) {
            Ok(count) if count <= PIECE => {
                buffer.truncate(count);
                Ok(buffer.into())
            }
            Ok(_) => Err("the function that reads it returned more than its buffer holds".into()),
            Err(_) => Err(format!("the function that reads it returned {count}")),
        }
    }
}

/// The body: idle, with its reader; or while one piece is read; or at its end.
pub(super) struct Source {
    reader: Option<Reader>,
    reading: Option<JoinHandle<(Reader, Result<Bytes, String>)>>,
}

impl Source {
    pub fn new(read: unsafe extern "C" fn(*mut c_void, usize, *mut c_void) -> i64, data: UserData) -> Source {
        Source { reader: Some(Reader { read, data, generation: fork::generation() }), reading: None }
    }
}

impl http_body::Body for Source {
    type Data = Bytes;
    type Error = String;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, String>>> {
        let source = &mut *self;
        if let Some(reader) = source.reader.take() {
            let reading = move || {
                let piece = reader.piece();
                (reader, piece)
            };
            source.reading = Some(runtime::handle().spawn_blocking(reading));
        }
        let Some(reading) = &mut source.reading else { return Poll::Ready(None) };
        let read = ready!(Pin::new(reading).poll(cx));
        source.reading = None;
        match read {
            Ok((_, Ok(piece))) if piece.is_empty() => Poll::Ready(None),
            Ok((reader, Ok(piece))) => {
                source.reader = Some(reader);
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Ok((_, Err(why))) => Poll::Ready(Some(Err(why))),
            // The runtime was ended.
            Err(_) => Poll::Ready(Some(Err("the ambassador was shut down".into()))),
        }
    }
}
