//! The admin server: the page, the metrics, the snapshot, the stream of events, and what may be done by hand, over HTTP. Off unless
//! [`serve_admin`] is called, or `AMBASSADOR_ADMIN` names an address.
//!
//! It has one thread and a small runtime of its own, so that it answers whatever becomes of the shared runtime, of the program's
//! threads, and of its language's locks. Here it begins and ends; beside it, a file each: who is let in ([`door`]), what is answered
//! ([`routes`]), the stream of events ([`stream`]), connections and their bounds ([`connection`]), and how long the shared runtime
//! lets tasks wait ([`lag`]).

mod connection;
mod door;
mod lag;
mod routes;
mod stream;

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use once_cell::sync::Lazy;
use tokio::sync::Notify;

use crate::error::ConfigError;

/// How an admin server is to be, beyond its address.
#[derive(Clone, Debug, Default)]
pub struct AdminOptions {
    /// What who wants to do something, or asks from elsewhere, has to show; one is made when there is none.
    pub token: Option<String>,
    /// Names by which the server is reached, besides `localhost` and addresses in numbers.
    pub hosts: Vec<String>,
    /// Whether others than this machine may be served: an address that is not a loopback one is refused without. A token must be
    /// given then, and has to be shown for everything but `/healthz`, `/readyz` and the page itself, which holds nothing.
    pub remote: bool,
}

/// An admin server that was begun. To drop this does not end it.
#[derive(Clone, Debug)]
pub struct Admin(Arc<Server>);

#[derive(Debug)]
struct Server {
    pid: u32,
    address: SocketAddr,
    options: AdminOptions,
    stop: Notify,
    has_ended: AtomicBool,
    /// Hangs up when the thread has ended.
    end: Mutex<Receiver<()>>,
}

// Swapped whole rather than locked: a lock held by another thread at a fork would stay held in the child.
static SERVERS: Lazy<ArcSwap<Vec<Admin>>> = Lazy::new(ArcSwap::default);

/// Answers at that address from now on: a loopback address and a port, such as `127.0.0.1:9901`; port 0 takes a free one.
///
/// ```
/// use ambassador_core::telemetry::{AdminOptions, serve_admin};
///
/// let admin = serve_admin("127.0.0.1:0", AdminOptions::default())?;
/// println!("http://{}/, and {} to do something there", admin.address(), admin.token());
/// admin.stop();
/// # Ok::<_, ambassador_core::ConfigError>(())
/// ```
///
/// # Errors
/// [`ConfigError`] when the address is none, or not of this machine's loopback without `remote`; when somebody else listens there; when
/// the operating system gives no thread.
pub fn serve_admin(address: &str, options: AdminOptions) -> Result<Admin, ConfigError> {
    let refused = |allowed: &str| ConfigError::new("admin", format!("{address:?}"), allowed);
    let addresses: Vec<SocketAddr> = address.to_socket_addrs().map_err(|_| refused(ADDRESS))?.collect();
    if addresses.is_empty() {
        return Err(refused(ADDRESS));
    }
    let mut options = options;
    if !addresses.iter().all(|address| address.ip().is_loopback()) {
        if !options.remote {
            return Err(refused("a loopback address such as 127.0.0.1:9901; any other has to be asked for, by remote"));
        }
        if options.token.is_none() {
            return Err(refused("a token beside an address that others can reach"));
        }
    }
    if options.token.as_ref().is_some_and(|token| token.len() < LEAST_TOKEN || !token.bytes().all(is_graphic)) {
        // S3: not what it was.
        return Err(ConfigError::new("admin.token", "***", "at least 16 visible characters of ASCII, without spaces"));
    }
    options.token.get_or_insert_with(random_token);
    begin(&addresses, options).map_err(|error| refused(&format!("an address that can be listened on: {error}")))
}

const ADDRESS: &str = "an address and a port, such as 127.0.0.1:9901";
const LEAST_TOKEN: usize = 16;

fn is_graphic(byte: u8) -> bool {
    byte.is_ascii_graphic()
}

fn random_token() -> String {
    // Twice the bits of a call's id, which come from the operating system.
    [(); 2].map(|()| format!("{:032x}", crate::proxy::CallId::random().to_bits())).concat()
}

fn begin(addresses: &[SocketAddr], options: AdminOptions) -> io::Result<Admin> {
    let listener = TcpListener::bind(addresses)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (ended, end) = sync_channel(0);
    let admin = Admin(Arc::new(Server {
        pid: std::process::id(),
        address,
        options,
        stop: Notify::new(),
        has_ended: AtomicBool::new(false),
        end: Mutex::new(end),
    }));
    let server = Arc::clone(&admin.0);
    let serve = move || {
        // Dropped when all else is.
        let _ended = ended;
        tokio::task::LocalSet::new().block_on(&runtime, connection::serve(listener, Arc::clone(&server)));
        runtime.shutdown_background();
        server.has_ended.store(true, SeqCst);
    };
    thread::Builder::new().name("ambassador-admin".into()).spawn(serve)?;
    SERVERS.rcu(|present| {
        let serving = present.iter().filter(|one| one.is_serving()).cloned();
        serving.chain([admin.clone()]).collect::<Vec<_>>()
    });
    Ok(admin)
}

impl Admin {
    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// What has to be shown to do something there: `authorization: Bearer …`.
    pub fn token(&self) -> &str {
        self.0.options.token.as_deref().unwrap_or_default()
    }

    /// Whether it still answers. In a child made by `fork` it never does: the server is the parent's.
    pub fn is_serving(&self) -> bool {
        self.0.pid == std::process::id() && !self.0.has_ended.load(SeqCst)
    }

    /// Ends it, with all its connections. Returns when the address is free, or after a second at most. Said again, it does nothing.
    pub fn stop(&self) {
        if !self.is_serving() {
            return;
        }
        self.0.stop.notify_one();
        let end = self.0.end.lock().unwrap_or_else(PoisonError::into_inner);
        // Hung up, or a second has passed.
        let _ = end.recv_timeout(Duration::from_secs(1));
    }
}

/// Those of this process that answer.
pub fn admins() -> Vec<Admin> {
    SERVERS.load().iter().filter(|admin| admin.is_serving()).cloned().collect()
}

/// A shutdown is over.
pub(crate) fn stop_all() {
    admins().iter().for_each(Admin::stop);
}

/// The environment may ask for a server: `AMBASSADOR_ADMIN` says where, `AMBASSADOR_ADMIN_TOKEN` what has to be shown,
/// `AMBASSADOR_ADMIN_REMOTE=1` that others may be served, `AMBASSADOR_ADMIN_HOSTS` under which names, with commas between.
/// Looked at once, by the first proxy; a child made by `fork` after that has none.
pub(crate) fn begin_as_the_environment_says() {
    let said = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let Some(address) = said(VARIABLE) else { return };
    let hosts = said("AMBASSADOR_ADMIN_HOSTS").unwrap_or_default();
    let options = AdminOptions {
        token: said("AMBASSADOR_ADMIN_TOKEN"),
        hosts: hosts.split(',').map(|host| host.trim().to_owned()).filter(|host| !host.is_empty()).collect(),
        remote: said("AMBASSADOR_ADMIN_REMOTE").is_some_and(|said| said == "1"),
    };
    begin_for_the_operator(VARIABLE, &address, options);
}

/// A configuration may ask for a server, unless the environment does; the first that does is obeyed, for as long as the process lives.
#[cfg(feature = "http")]
pub(crate) fn begin_as_configured(asked: crate::config::Admin) {
    static HAS_ONE: AtomicBool = AtomicBool::new(false);
    let by_environment = std::env::var_os(VARIABLE).is_some_and(|value| !value.is_empty());
    let Some(address) = asked.listen.filter(|_| !by_environment && !HAS_ONE.swap(true, SeqCst)) else { return };
    let options = AdminOptions { token: asked.token, hosts: asked.hosts, remote: asked.remote };
    begin_for_the_operator("admin.listen of the configuration", &address, options);
}

const VARIABLE: &str = "AMBASSADOR_ADMIN";

fn begin_for_the_operator(origin: &str, address: &str, options: AdminOptions) {
    match serve_admin(address, options) {
        Ok(admin) => {
            tracing::info!(target: "ambassador", address = %admin.address(), "the admin server answers");
            // Who left the port to the operating system has no other way to know it.
            if address.ends_with(":0") {
                use io::Write;
                let _ = writeln!(io::stderr(), "[Ambassador] the admin server answers at http://{}/", admin.address());
            }
        }
        // The program goes on without it; who asked for it from outside looks at stderr.
        Err(error) => {
            tracing::warn!(target: "ambassador", %error, "there is no admin server");
            use io::Write;
            let _ = writeln!(io::stderr(), "[Ambassador] there is no admin server: {origin}: {error}");
        }
    }
}
