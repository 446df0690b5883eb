//! The socket side of the payment API: its endpoints, accepting, resetting in the middle of a response, outages during which a
//! port refuses connections, and the end of an endpoint that is killed. What is answered is in `api.rs`.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::api::{Ending, Payments};
use super::plan::Plan;

const BACKLOG: u32 = 1024;
/// How long a connection may be idle, or take for the head of a request.
const IDLE: Duration = Duration::from_secs(30);

/// A running payment API: endpoints of one ledger. Stops accepting when dropped.
#[derive(Debug)]
pub struct Server {
    endpoints: Vec<Endpoint>,
    payments: Arc<Payments>,
}

/// One of its ports.
#[derive(Debug)]
pub struct Endpoint {
    address: SocketAddr,
    accepting: JoinHandle<()>,
    /// Requests that came to it.
    requests: Arc<AtomicU64>,
    kill: Arc<Notify>,
    is_killed: watch::Receiver<bool>,
}

impl Endpoint {
    /// `http://127.0.0.1:` and the port.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many requests came to it.
    pub fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// Whether it was killed.
    pub fn is_killed(&self) -> bool {
        *self.is_killed.borrow()
    }

    /// As if its process was killed: its port refuses new connections from now on, and those that there are, are reset.
    pub fn kill(&self) {
        self.kill.notify_one();
    }
}

/// New connections are to be refused for that time; told once they are.
type Outage = (Duration, oneshot::Sender<()>);

impl Server {
    /// Starts that many endpoints of the API on 127.0.0.1: the first on that port, 0 for any that is free, the others on any.
    ///
    /// # Errors
    /// When a port cannot be had.
    pub fn start(port: u16, endpoints: usize, plan: Plan) -> io::Result<Server> {
        let payments = Arc::new(Payments::new(plan));
        let ports = (0..endpoints.max(1)).map(|at| if at == 0 { port } else { 0 });
        let endpoints = ports.map(|port| Endpoint::open(port, &payments)).collect::<io::Result<_>>()?;
        Ok(Server { endpoints, payments })
    }

    /// The first endpoint's URL.
    pub fn url(&self) -> String {
        self.endpoints[0].url()
    }

    /// Its endpoints.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// The API's state.
    pub fn payments(&self) -> &Payments {
        &self.payments
    }
}

impl Endpoint {
    fn open(port: u16, payments: &Arc<Payments>) -> io::Result<Endpoint> {
        let listener = bind(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)))?.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        let kill = Arc::new(Notify::new());
        let (killed, is_killed) = watch::channel(false);
        let requests = Arc::new(AtomicU64::new(0));
        let door = Door {
            address,
            payments: Arc::clone(payments),
            requests: Arc::clone(&requests),
            is_killed: is_killed.clone(),
        };
        let accepting = tokio::spawn(door.accept(listener, Arc::clone(&kill), killed));
        Ok(Endpoint { address, accepting, requests, kill, is_killed })
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// What an endpoint's task knows.
#[derive(Clone)]
struct Door {
    address: SocketAddr,
    payments: Arc<Payments>,
    requests: Arc<AtomicU64>,
    is_killed: watch::Receiver<bool>,
}

impl Door {
    async fn accept(self, mut listener: TcpListener, kill: Arc<Notify>, killed: watch::Sender<bool>) {
        let (outages, mut outage) = mpsc::unbounded_channel::<Outage>();
        let (outage_begins, _) = watch::channel(());
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let connection = Connection {
                            door: self.clone(),
                            outages: outages.clone(),
                            outage_begins: outage_begins.subscribe(),
                        };
                        tokio::spawn(connection.serve(stream));
                    }
                    // Most likely out of file descriptors: give connections time to end.
                    Err(_) => sleep(Duration::from_millis(10)).await,
                },
                Some((time, closed)) = outage.recv() => {
                    drop(listener);
                    let held = bind(self.address);
                    outage_begins.send_replace(());
                    let _ = closed.send(());
                    sleep(time).await;
                    // Requests that asked for an outage during this one have had it.
                    while outage.try_recv().is_ok() {}
                    listener = match held.and_then(|held| held.listen(BACKLOG)) {
                        Ok(listener) => listener,
                        Err(error) => {
                            eprintln!("ambassador demo: cannot open {} again: {error}", self.address);
                            return;
                        }
                    };
                }
                () = kill.notified() => break,
            }
        }
        drop(listener);
        // Nobody else is to have the port, who would answer in its place.
        let _held = bind(self.address);
        // A client sees its own reset only once the port is closed, or it might slip in again.
        killed.send_replace(true);
        std::future::pending().await
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

struct Connection {
    door: Door,
    outages: mpsc::UnboundedSender<Outage>,
    outage_begins: watch::Receiver<()>,
}

impl Connection {
    async fn serve(mut self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let (end, mut ending) = mpsc::unbounded_channel();
        let mut is_killed = self.door.is_killed.clone();
        let (payments, requests) = (Arc::clone(&self.door.payments), Arc::clone(&self.door.requests));
        let service = service_fn(move |request| {
            requests.fetch_add(1, Relaxed);
            Arc::clone(&payments).answer(request, end.clone())
        });
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
                () = killed(&mut is_killed) => {
                    return reset(connection.into_parts().io.into_inner(), &[]).await;
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

/// Ends when the endpoint is killed, or goes away.
async fn killed(is_killed: &mut watch::Receiver<bool>) {
    let _ = is_killed.wait_for(|killed| *killed).await;
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
