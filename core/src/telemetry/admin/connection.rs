//! Connections to the admin server, each of which may take so much and no more: there are so many at once, heads are of so many bytes,
//! and who neither sends nor reads for a while is hung up on.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use super::routes::Routes;
use super::{Server, lag};

/// How many connections there may be at once.
const MOST_CONNECTIONS: usize = 256;
/// How many bytes a request's head may have.
const LONGEST_HEAD: usize = 16 * 1024;
/// How long a request's head may take, or the wait for the next one.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// How long a client may read nothing of what there is for it.
const READ_WITHIN: Duration = Duration::from_secs(30);

const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Answers until the server is stopped; then all that was begun here is dropped.
pub(super) async fn serve(listener: TcpListener, server: Arc<Server>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let measuring = tokio::task::spawn_local(lag::measure());
    let accepting = tokio::task::spawn_local(accept(listener, Rc::new(Routes::new(Arc::clone(&server)))));
    server.stop.notified().await;
    accepting.abort();
    measuring.abort();
}

async fn accept(listener: tokio::net::TcpListener, routes: Rc<Routes>) {
    let connected = Rc::new(Cell::new(0));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // No descriptors are left, as a rule: some come free.
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        if connected.get() >= MOST_CONNECTIONS {
            let _ = stream.try_write(FULL);
            continue;
        }
        let _ = stream.set_nodelay(true);
        let counted = Counted::new(&connected);
        let routes = Rc::clone(&routes);
        tokio::task::spawn_local(async move {
            let _counted = counted;
            let service = service_fn(|request| {
                let answer = routes.answer(&request);
                async move { Ok::<_, Infallible>(answer) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_WITHIN)
                .max_buf_size(LONGEST_HEAD)
                .serve_connection(TokioIo::new(Patient::new(stream)), service);
            // Whatever went wrong is between the client and its connection.
            let _ = connection.await;
        });
    }
}

/// One of the connections, until it is dropped.
struct Counted(Rc<Cell<usize>>);

impl Counted {
    fn new(connected: &Rc<Cell<usize>>) -> Counted {
        connected.set(connected.get() + 1);
        Counted(Rc::clone(connected))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// A connection that fails when nothing of what there is to send has gone for too long.
struct Patient {
    stream: TcpStream,
    /// Since when nothing goes, and until when that may be so.
    stuck: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    fn new(stream: TcpStream) -> Patient {
        Patient { stream, stuck: None }
    }

    fn went<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stuck = None;
            return written;
        }
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + READ_WITHIN)));
        ready!(stuck.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Patient {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        pin!(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = pin!(&mut self.stream).poll_write(cx, bytes);
        self.went(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = pin!(&mut self.stream).poll_write_vectored(cx, bytes);
        self.went(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        pin!(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        pin!(&mut self.stream).poll_shutdown(cx)
    }
}
