//! The socket side of the payment API: accepting, resetting in the middle of a response, and outages during which the port
//! refuses connections. What is answered is in `api.rs`.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::api::{Ending, Payments};
use super::plan::Plan;

const BACKLOG: u32 = 1024;
/// How long a connection may be idle, or take for the head of a request.
const IDLE: Duration = Duration::from_secs(30);

/// A running payment API. Stops accepting when dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    payments: Arc<Payments>,
    accepting: JoinHandle<()>,
}

/// New connections are to be refused for that time; told once they are.
type Outage = (Duration, oneshot::Sender<()>);

impl Server {
    /// Starts the API on a port of 127.0.0.1, 0 for any that is free.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub fn start(port: u16, plan: Plan) -> io::Result<Server> {
        let listener = bind(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)))?.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        let payments = Arc::new(Payments::new(plan));
        let accepting = tokio::spawn(accept(listener, address, Arc::clone(&payments)));
        Ok(Server { address, payments, accepting })
    }

    /// `http://127.0.0.1:` and the port.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The API's state.
    pub fn payments(&self) -> &Payments {
        &self.payments
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A socket that owns the address but does not listen: connections to it are refused, and nobody else can have it.
fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // Connections of the time before an outage may still hold the port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn accept(mut listener: TcpListener, address: SocketAddr, payments: Arc<Payments>) {
    let (outages, mut outage) = mpsc::unbounded_channel::<Outage>();
    let (outage_begins, _) = watch::channel(());
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let connection = Connection { payments: Arc::clone(&payments), outages: outages.clone(), outage_begins: outage_begins.subscribe() };
                    tokio::spawn(connection.serve(stream));
                }
                // Most likely out of file descriptors: give connections time to end.
                Err(_) => sleep(Duration::from_millis(10)).await,
            },
            Some((time, closed)) = outage.recv() => {
                drop(listener);
                let held = bind(address);
                outage_begins.send_replace(());
                let _ = closed.send(());
                sleep(time).await;
                // Requests that asked for an outage during this one have had it.
                while outage.try_recv().is_ok() {}
                listener = match held.and_then(|held| held.listen(BACKLOG)) {
                    Ok(listener) => listener,
                    Err(error) => {
                        eprintln!("ambassador demo: cannot open {address} again: {error}");
                        return;
                    }
                };
            }
        }
    }
}

struct Connection {
    payments: Arc<Payments>,
    outages: mpsc::UnboundedSender<Outage>,
    outage_begins: watch::Receiver<()>,
}

impl Connection {
    async fn serve(mut self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let (end, mut ending) = mpsc::unbounded_channel();
        let payments = Arc::clone(&self.payments);
        let service = service_fn(move |request| Arc::clone(&payments).answer(request, end.clone()));
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE)
            .serve_connection(TokioIo::new(stream), service);
        loop {
            tokio::select! {
                Some(ending) = ending.recv() => {
                    let stream = connection.into_parts().io.into_inner();
                    return self.end(stream, ending).await;
                }
                // An outage closes what is idle; requests under way still get their answer.
                Ok(()) = self.outage_begins.changed() => std::pin::Pin::new(&mut connection).graceful_shutdown(),
                _ = &mut connection => return,
            }
        }
    }

    async fn end(&self, stream: TcpStream, ending: Ending) {
        match ending {
            Ending::Reset(last_words) => reset(stream, &last_words).await,
            Ending::Refuse(time) => {
                let (closed, is_closed) = oneshot::channel();
                let _ = self.outages.send((time, closed));
                // The client sees its own reset only once the port is closed, or it might slip in again.
                let _ = is_closed.await;
                reset(stream, &[]).await;
            }
        }
    }
}

/// Writes what is to be seen, and resets the connection.
async fn reset(stream: TcpStream, last_words: &[u8]) {
    let mut rest = last_words;
    while !rest.is_empty() && stream.writable().await.is_ok() {
        match stream.try_write(rest) {
            Ok(written) => rest = &rest[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
    }
    // Without lingering, closing sends RST instead of FIN.
    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
}
