//! The addresses of a host, for whoever connects to it: in the order in which to try them (RFC 8305), remembered for as long as the
//! answer says, by the whole process. Of many who ask for the same name at once, one asks the servers. When these fail to answer, the
//! addresses known before still serve (RFC 8767); when they say that there is no such name, they do not.

use std::collections::HashMap;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwapOption;
use once_cell::sync::Lazy;
use tokio::sync::watch;

use super::resolve::{Fault, Resolver};
use super::{SHORTEST, literal};
use crate::runtime;

/// The most names that are remembered.
const MOST_NAMES: usize = 1024;

/// The most sets of DNS servers that are kept to be asked again.
const MOST_RESOLVERS: usize = 64;

/// How long nobody asks again after a failure.
const FAILED_FOR: Duration = Duration::from_secs(1);

/// How long addresses that have expired serve before the servers, which failed, are asked again.
const STALE_FOR: Duration = Duration::from_secs(5);

/// How long an answer is waited for by one who has expired addresses in hand.
const PATIENCE: Duration = Duration::from_millis(500);

/// The addresses of `host`, each with that port, in the order in which to try them: the families by turns, the newer one first.
/// Addresses to which this machine has no way are left out if there are others. `servers` are asked, or the system's if there are
/// none.
///
/// # Errors
/// Why there are none, with the name in it.
///
/// ```
/// # ambassador_core::runtime::block_on(async {
/// let addresses = ambassador_core::discovery::addresses("127.0.0.1", 80, &[]).await?;
/// assert_eq!(addresses, ["127.0.0.1:80".parse().unwrap()]);
/// # Ok::<_, String>(()) }).unwrap();
/// ```
pub async fn addresses(host: &str, port: u16, servers: &[SocketAddr]) -> Result<Vec<SocketAddr>, String> {
    if let Some(ip) = literal(host) {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let ips = process().ips(host, servers).await.map_err(|why| why.to_string())?;
    Ok(ips.iter().map(|ip| SocketAddr::new(*ip, port)).collect())
}

/// Whoever asks these servers, in this process.
pub(super) fn resolver(servers: &[SocketAddr]) -> Result<Arc<Resolver>, String> {
    process().resolver(servers)
}

/// Of these addresses those to which this machine has a way, in their order; all when it has a way to none.
pub(super) fn reachable(ips: Vec<IpAddr>) -> Vec<IpAddr> {
    let probe = |ip: IpAddr| UdpSocket::bind(SocketAddr::new(ip, 0)).ok();
    let (v4, v6) = (probe(Ipv4Addr::UNSPECIFIED.into()), probe(Ipv6Addr::UNSPECIFIED.into()));
    // To connect a UDP socket sends nothing: the system looks whether there is a way.
    let has_way = |ip: &IpAddr| {
        let socket = if ip.is_ipv4() { &v4 } else { &v6 };
        socket.as_ref().is_some_and(|socket| socket.connect((*ip, 9)).is_ok())
    };
    let (with, without): (Vec<_>, Vec<_>) = ips.into_iter().partition(has_way);
    if with.is_empty() { without } else { with }
}

/// RFC 8305, section 4: the families by turns, the newer one first.
fn by_turns(ips: Vec<IpAddr>) -> Arc<[IpAddr]> {
    let (v6, v4): (Vec<_>, Vec<_>) = ips.into_iter().partition(IpAddr::is_ipv6);
    let (mut v6, mut v4) = (v6.into_iter(), v4.into_iter());
    let mut turns = Vec::new();
    loop {
        let (one, other) = (v6.next(), v4.next());
        if one.is_none() && other.is_none() {
            return turns.into();
        }
        turns.extend(one.into_iter().chain(other));
    }
}

type Answer = Result<Arc<[IpAddr]>, Arc<str>>;
type Servers = Box<[SocketAddr]>;
type Asked = (Box<str>, Servers);

/// What is known of a name.
#[derive(Default)]
struct Known {
    answer: Option<(Answer, Instant)>,
    /// There while the servers are being asked.
    looking: Option<watch::Receiver<Option<Answer>>>,
}

/// What this process knows. A child after a fork has its own: it could wait for ever for a lock, or for a task, of the parent's
/// (F3).
struct Process {
    pid: u32,
    /// By the servers that they ask.
    resolvers: Mutex<HashMap<Servers, (Arc<Resolver>, Stamp)>>,
    known: Mutex<HashMap<Asked, Known>>,
}

static PROCESS: Lazy<ArcSwapOption<Process>> = Lazy::new(ArcSwapOption::empty);

fn process() -> Arc<Process> {
    let pid = std::process::id();
    loop {
        let present = PROCESS.load_full();
        if let Some(process) = present.as_ref().filter(|process| process.pid == pid) {
            return Arc::clone(process);
        }
        let fresh = Arc::new(Process { pid, resolvers: Mutex::default(), known: Mutex::default() });
        let before = PROCESS.compare_and_swap(&present, Some(Arc::clone(&fresh)));
        if before.as_ref().map(Arc::as_ptr) == present.as_ref().map(Arc::as_ptr) {
            // What was inherited belongs to the parent's runtime, and is leaked as that is.
            mem::forget(present);
            return fresh;
        }
    }
}

impl Process {
    fn resolver(&self, servers: &[SocketAddr]) -> Result<Arc<Resolver>, String> {
        let stamp = Stamp::now();
        let mut resolvers = locked(&self.resolvers);
        if let Some((resolver, _)) = resolvers.get(servers).filter(|(_, made)| *made == stamp) {
            return Ok(Arc::clone(resolver));
        }
        let resolver = Arc::new(Resolver::new(servers)?);
        if resolvers.len() >= MOST_RESOLVERS {
            resolvers.clear();
        }
        resolvers.insert(servers.into(), (Arc::clone(&resolver), stamp));
        Ok(resolver)
    }

    async fn ips(self: &Arc<Self>, host: &str, servers: &[SocketAddr]) -> Answer {
        let (stale, mut looking) = match self.known_or_asked((host.into(), servers.into())) {
            Asking::Known(answer) => return answer,
            Asking::Looking { stale, looking } => (stale, looking),
        };
        let ended = |_| Err(Arc::from(format!("{host}: the ambassador's runtime has ended")));
        let answered = async { looking.wait_for(Option::is_some).await.map_or_else(ended, |answer| read(&answer)) };
        match stale {
            None => answered.await,
            Some(stale) => tokio::time::timeout(PATIENCE, answered).await.unwrap_or(Ok(stale)),
        }
    }

    fn known_or_asked(self: &Arc<Self>, asked: Asked) -> Asking {
        let mut known = locked(&self.known);
        make_room(&mut known, &asked);
        let name = known.entry(asked.clone()).or_default();
        let stale = match &name.answer {
            Some((answer, until)) if Instant::now() < *until => return Asking::Known(answer.clone()),
            Some((Ok(ips), _)) => Some(Arc::clone(ips)),
            _ => None,
        };
        // A task that is no more has answered or never will.
        if let Some(looking) = name.looking.as_ref().filter(|looking| looking.has_changed().is_ok()) {
            return Asking::Looking { stale, looking: looking.clone() };
        }
        let (tell, looking) = watch::channel(None);
        name.looking = Some(looking.clone());
        // On the shared runtime, whoever asks: its connections to the servers outlive the caller's own.
        let process = Arc::clone(self);
        runtime::handle().spawn(async move {
            let answer = process.look(&asked).await;
            tell.send_replace(Some(process.learn(&asked, answer)));
        });
        Asking::Looking { stale, looking }
    }

    async fn look(&self, (host, servers): &Asked) -> Result<(Arc<[IpAddr]>, Duration), Fault> {
        let resolver = self.resolver(servers).map_err(Fault::Failed)?;
        let records = resolver.soonest(host).await.together()?;
        Ok((by_turns(reachable(records.found)), records.ttl))
    }

    /// What is known of the name from now on.
    fn learn(&self, asked: &Asked, answer: Result<(Arc<[IpAddr]>, Duration), Fault>) -> Answer {
        let mut known = locked(&self.known);
        let name = known.entry(asked.clone()).or_default();
        name.looking = None;
        let (answer, holds) = match (answer, name.answer.take()) {
            (Ok((ips, ttl)), _) => (Ok(ips), ttl.max(SHORTEST)),
            (Err(Fault::Failed(_)), Some((Ok(stale), _))) => (Ok(stale), STALE_FOR),
            (Err(fault), _) => (Err(fault.why().into()), FAILED_FOR),
        };
        name.answer = Some((answer.clone(), Instant::now() + holds));
        answer
    }
}

enum Asking {
    Known(Answer),
    Looking { stale: Option<Arc<[IpAddr]>>, looking: watch::Receiver<Option<Answer>> },
}

fn read(answer: &Option<Answer>) -> Answer {
    answer.clone().unwrap_or_else(|| Err("no answer".into()))
}

/// Forgets the name whose answer expires first when there are too many; never one that is being asked for.
fn make_room(known: &mut HashMap<Asked, Known>, asked: &Asked) {
    if known.len() < MOST_NAMES || known.contains_key(asked) {
        return;
    }
    let settled = known.iter().filter(|(_, name)| name.looking.is_none());
    let first = settled.min_by_key(|(_, name)| name.answer.as_ref().map(|(_, until)| *until));
    if let Some(first) = first.map(|(asked, _)| asked.clone()) {
        known.remove(&first);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// When the system's files were last changed: a machine that changes networks asks other servers.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp([Option<SystemTime>; 2]);

impl Stamp {
    fn now() -> Stamp {
        Stamp(["/etc/resolv.conf", "/etc/hosts"].map(|file| std::fs::metadata(file).and_then(|f| f.modified()).ok()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_families_take_turns_and_the_newer_one_begins() {
        let ips = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "2001:db8::1", "2001:db8::2"].map(|ip| ip.parse().unwrap());
        let turns = by_turns(ips.to_vec());
        let shown: Vec<String> = turns.iter().map(IpAddr::to_string).collect();
        assert_eq!(shown, ["2001:db8::1", "10.0.0.1", "2001:db8::2", "10.0.0.2", "10.0.0.3"]);
    }

    #[test]
    fn addresses_that_all_have_no_way_are_kept() {
        let nowhere: Vec<IpAddr> = vec!["255.255.255.255".parse().unwrap()];
        assert_eq!(reachable(nowhere.clone()), nowhere);
    }

    #[test]
    fn the_names_remembered_are_bounded() {
        let mut known = HashMap::new();
        let asked = |n: usize| -> Asked { (format!("{n}.example.com").into(), [].into()) };
        for n in 0..MOST_NAMES + 10 {
            make_room(&mut known, &asked(n));
            let holds = Instant::now() + Duration::from_secs(n as u64);
            known.insert(asked(n), Known { answer: Some((Err("none".into()), holds)), looking: None });
        }
        assert_eq!(known.len(), MOST_NAMES);
        assert!(!known.contains_key(&asked(9)) && known.contains_key(&asked(10)));
    }
}
