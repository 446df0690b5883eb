//! The connections to one place. By HTTP/1 a request has a connection for itself: the one that was used last, or a new one while
//! there are fewer than allowed, or the next that comes free, first come, first served. By HTTP/2 all requests share one.
//!
//! Nothing here outlives its request (O3): a connection that is being made is given up with it, and one whose response was not read
//! to its end is closed.

use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use hyper::client::conn::{http1, http2};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use super::body::Body;
use super::connect::{self, Connected, Place, Secure};
use super::fault::Fault;
use super::tls::{Connector, TlsFault};
use crate::policy::http::{Http, Version};
use crate::runtime;

/// The connections to one place.
pub(super) struct Pool {
    pub place: Place,
    http: Arc<Http>,
    tls: Secure,
    /// Of DNS.
    servers: Arc<[SocketAddr]>,
    /// One of these for each connection by HTTP/1 that a request has, or makes. A request without one waits, in turn.
    places: Arc<Semaphore>,
    /// Unused ones, the last used at the end.
    idle: Mutex<Vec<Idle>>,
    shared: Mutex<Option<Shared>>,
    /// Held by who finds out what the place speaks, or connects to where one connection is enough.
    gate: tokio::sync::Mutex<()>,
    speaks: AtomicU8,
    is_reaped: AtomicBool,
}

struct Idle {
    sender: http1::SendRequest<Body>,
    since: Instant,
    /// Of the files that TLS is spoken by: by others now, it is not used again.
    generation: u64,
}

struct Shared {
    sender: http2::SendRequest<Body>,
    generation: u64,
}

const UNKNOWN: u8 = 0;
const ONE: u8 = 1;
const TWO: u8 = 2;

/// A connection that a request may be sent by.
pub(super) enum Connection {
    One(Lease),
    Two(http2::SendRequest<Body>),
}

/// A connection by HTTP/1 for one request. Dropped, it is closed.
pub(super) struct Lease {
    pub sender: http1::SendRequest<Body>,
    pub is_fresh: bool,
    generation: u64,
    pool: Arc<Pool>,
    place: OwnedSemaphorePermit,
}

impl Pool {
    pub fn new(place: Place, http: Arc<Http>, tls: Secure, servers: Arc<[SocketAddr]>) -> Pool {
        let speaks = match (http.version, &place.server_name) {
            (Version::Http2, _) => TWO,
            (Version::Http1, _) | (Version::Auto, None) => ONE,
            (Version::Auto, Some(_)) => UNKNOWN,
        };
        Pool {
            places: Arc::new(Semaphore::new(http.max_connections as usize)),
            idle: Mutex::default(),
            shared: Mutex::default(),
            gate: tokio::sync::Mutex::new(()),
            speaks: AtomicU8::new(speaks),
            is_reaped: AtomicBool::new(false),
            place,
            http,
            tls,
            servers,
        }
    }

    /// What connections have to be of.
    fn generation(&self) -> u64 {
        self.place.server_name.as_ref().and(self.tls.as_ref().ok()).map_or(0, Connector::generation)
    }

    /// In TLS 1.3 a server says what it thinks of the client's certificate only when the first request has gone out.
    pub fn refusal(&self, error: &hyper::Error) -> Option<TlsFault> {
        self.tls.as_ref().ok()?.fault_of(error, self.place.server_name.as_deref()?)
    }

    /// A connection, as soon as there may be one.
    pub async fn connection(self: &Arc<Pool>) -> Result<Connection, Fault> {
        if self.speaks.load(Relaxed) != ONE
            && let Some(connection) = self.shared_connection().await?
        {
            return Ok(connection);
        }
        let place = match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => place,
            // They are never closed.
            Err(_) => Arc::clone(&self.places).acquire_owned().await.map_err(|_| self.given_up())?,
        };
        let generation = self.generation();
        let pool = Arc::clone(self);
        if let Some(sender) = self.take_idle(generation) {
            return Ok(Connection::One(Lease { sender, is_fresh: false, generation, pool, place }));
        }
        match self.connect().await? {
            Connected::One(sender) => Ok(Connection::One(Lease { sender, is_fresh: true, generation, pool, place })),
            Connected::Two(sender) => Ok(Connection::Two(self.share(sender, generation))),
        }
    }

    /// The one connection by HTTP/2, made if need be; `None` when the place turns out to speak HTTP/1.
    async fn shared_connection(self: &Arc<Pool>) -> Result<Option<Connection>, Fault> {
        let generation = self.generation();
        if let Some(sender) = self.present(generation) {
            return Ok(Some(Connection::Two(sender)));
        }
        let _gate = self.gate.lock().await;
        // Whoever held it before may have made it, or found out.
        if let Some(sender) = self.present(generation) {
            return Ok(Some(Connection::Two(sender)));
        }
        if self.speaks.load(Relaxed) == ONE {
            return Ok(None);
        }
        match self.connect().await? {
            Connected::Two(sender) => Ok(Some(Connection::Two(self.share(sender, generation)))),
            Connected::One(sender) => {
                self.speaks.store(ONE, Relaxed);
                self.keep(sender, generation);
                Ok(None)
            }
        }
    }

    fn present(&self, generation: u64) -> Option<http2::SendRequest<Body>> {
        let shared = lock(&self.shared);
        let is_usable = |shared: &&Shared| shared.generation == generation && !shared.sender.is_closed();
        shared.as_ref().filter(is_usable).map(|shared| shared.sender.clone())
    }

    fn share(&self, sender: http2::SendRequest<Body>, generation: u64) -> http2::SendRequest<Body> {
        self.speaks.store(TWO, Relaxed);
        *lock(&self.shared) = Some(Shared { sender: sender.clone(), generation });
        sender
    }

    /// The last used of those that are open.
    fn take_idle(&self, current: u64) -> Option<http1::SendRequest<Body>> {
        let mut idle = lock(&self.idle);
        while let Some(Idle { sender, since, generation }) = idle.pop() {
            if since.elapsed() >= self.idle_timeout() {
                // All others were used before it.
                idle.clear();
                return None;
            }
            if generation == current && !sender.is_closed() {
                return Some(sender);
            }
        }
        None
    }

    async fn connect(self: &Arc<Pool>) -> Result<Connected, Fault> {
        let pool = Arc::clone(self);
        // On the runtime, whatever executor the caller has: that is where the socket's events come.
        let mut making = Given(
            runtime::handle()
                .spawn(async move { connect::connect(&pool.place, &pool.http, &pool.tls, &pool.servers).await }),
        );
        (&mut making.0).await.unwrap_or_else(|_| Err(self.given_up()))
    }

    fn given_up(&self) -> Fault {
        Fault::connect("no connection: the ambassador is shutting down", &self.place.name)
    }

    fn keep(self: &Arc<Pool>, sender: http1::SendRequest<Body>, generation: u64) {
        lock(&self.idle).push(Idle { sender, since: Instant::now(), generation });
        if !self.is_reaped.swap(true, Relaxed) {
            runtime::handle().spawn(reap(Arc::downgrade(self), self.idle_timeout()));
        }
    }

    fn idle_timeout(&self) -> Duration {
        Duration::from_nanos(self.http.idle_timeout)
    }

    /// Closes what was not used for too long; how long until there is more to close, if there is anything.
    fn close_idle(&self) -> Option<Duration> {
        let mut idle = lock(&self.idle);
        let is_over =
            |connection: &Idle| connection.since.elapsed() >= self.idle_timeout() || connection.sender.is_closed();
        idle.retain(|connection| !is_over(connection));
        let Some(oldest) = idle.first() else {
            self.is_reaped.store(false, Relaxed);
            return None;
        };
        Some(self.idle_timeout().saturating_sub(oldest.since.elapsed()))
    }
}

/// Closes connections that nothing uses, for as long as there are any.
async fn reap(pool: Weak<Pool>, mut wait: Duration) {
    loop {
        tokio::time::sleep(wait).await;
        match pool.upgrade().and_then(|pool| pool.close_idle()) {
            Some(next) => wait = next.max(Duration::from_millis(1)),
            None => return,
        }
    }
}

impl Lease {
    /// Its response was read to the end: it is another request's, as soon as hyper says so.
    pub fn give_back(mut self, was_small: bool) -> GivingBack {
        if self.sender.is_ready() {
            self.keep();
            return GivingBack(None);
        }
        if was_small {
            return GivingBack(Some(self));
        }
        // The request's body may still be under way, to somebody who does not read it.
        let patience = self.pool.idle_timeout();
        runtime::handle().spawn(async move {
            if let Ok(Ok(())) = tokio::time::timeout(patience, self.sender.ready()).await {
                self.keep();
            }
        });
        GivingBack(None)
    }

    fn keep(self) {
        let Lease { sender, pool, place, generation, .. } = self;
        pool.keep(sender, generation);
        // Whoever waits for it finds the connection there.
        drop(place);
    }
}

/// A connection that is ready for the next request at any moment.
pub(super) struct GivingBack(Option<Lease>);

impl GivingBack {
    /// Waits for that moment.
    pub async fn done(mut self) {
        poll_fn(|cx| self.poll_done(cx)).await;
    }

    pub fn poll_done(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<()> {
        let Some(lease) = &mut self.0 else { return std::task::Poll::Ready(()) };
        let is_open = std::task::ready!(lease.sender.poll_ready(cx)).is_ok();
        if let Some(lease) = self.0.take().filter(|_| is_open) {
            lease.keep();
        }
        std::task::Poll::Ready(())
    }
}

/// A task that is given up with whoever waits for it.
struct Given<T>(JoinHandle<T>);

impl<T> Drop for Given<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({})", self.place.name)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
