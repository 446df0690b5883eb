//! Questions to DNS servers, and the answers as this crate reads them: the addresses of a name in both families, and SRV records.
//! What stands in the system's file of hosts is not asked for; names without dots are looked for in the system's search domains.
//! Nothing is remembered here: [`addresses`](super::addresses) and the watchers do so, each in their own way.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts, ServerOrderingStrategy,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{Query, ResponseCode};
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{Hosts, TokioResolver, system_conf};
use tokio::task::JoinSet;

/// How long what stands in the file of hosts, or in no record at all, is taken to hold.
const WRITTEN_DOWN: Duration = Duration::from_secs(60);

/// RFC 8305, section 3: how long the addresses of the older family wait for those of the newer one.
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

/// What was found, and how long it holds.
#[derive(Clone, Debug)]
pub(super) struct Records<T> {
    pub found: Vec<T>,
    pub ttl: Duration,
}

/// Why nothing was found.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// The servers say that there is none.
    None(String),
    /// They do not say.
    Failed(String),
}

impl Fault {
    pub fn why(self) -> String {
        match self {
            Fault::None(why) | Fault::Failed(why) => why,
        }
    }
}

/// The addresses of a name, each family by itself: one may fail without the other.
#[derive(Debug)]
pub(super) struct Families {
    pub v6: Result<Records<IpAddr>, Fault>,
    pub v4: Result<Records<IpAddr>, Fault>,
}

impl Families {
    /// What was found of both; the fault when it is nothing.
    pub fn together(self) -> Result<Records<IpAddr>, Fault> {
        match (self.v6, self.v4) {
            (Ok(mut v6), Ok(v4)) => {
                v6.found.extend(v4.found);
                Ok(Records { ttl: v6.ttl.min(v4.ttl), ..v6 })
            }
            (Ok(one), Err(_)) | (Err(_), Ok(one)) => Ok(one),
            (Err(Fault::Failed(why)), _) | (_, Err(Fault::Failed(why))) => Err(Fault::Failed(why)),
            (_, Err(none)) => Err(none),
        }
    }

    fn is_found(&self) -> bool {
        self.v6.is_ok() || self.v4.is_ok()
    }

    fn has_failed(&self) -> bool {
        matches!((&self.v6, &self.v4), (Err(Fault::Failed(_)), _) | (_, Err(Fault::Failed(_))))
    }
}

/// Whoever asks the servers.
pub(super) struct Resolver {
    hickory: TokioResolver,
    hosts: Hosts,
    search: Vec<Name>,
    ndots: usize,
}

impl Resolver {
    /// One that asks these servers, or the system's when there are none.
    pub fn new(servers: &[SocketAddr]) -> Result<Resolver, String> {
        let (config, mut options) = match servers {
            [] => {
                system_conf::read_system_conf().map_err(|e| format!("the system's DNS servers are not known: {e}"))?
            }
            _ => (ResolverConfig::from_name_servers(servers.iter().map(server).collect()), ResolverOpts::default()),
        };
        // Whoever asks remembers, for as long as suits it.
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        // The system's setting counts all attempts, this one those after the first.
        options.attempts = options.attempts.saturating_sub(1);
        options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
        let (search, ndots) = (domains(&config), options.ndots);
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = options;
        let hickory = builder.build().map_err(|e| format!("the DNS servers cannot be asked: {e}"))?;
        Ok(Resolver { hickory, hosts: Hosts::from_system().unwrap_or_default(), search, ndots })
    }

    /// The addresses of that name, both families.
    pub async fn families(self: &Arc<Self>, name: &str) -> Families {
        self.look(name, None).await
    }

    /// The addresses of that name, as soon as there are some to connect to: those of the newer family are not waited for long.
    pub async fn soonest(self: &Arc<Self>, name: &str) -> Families {
        self.look(name, Some(RESOLUTION_DELAY)).await
    }

    async fn look(self: &Arc<Self>, name: &str, patience: Option<Duration>) -> Families {
        let candidates = match self.candidates(name) {
            Ok(candidates) => candidates,
            Err(fault) => return Families { v6: Err(fault.clone()), v4: Err(fault) },
        };
        if let Some(written) = self.written_down(&candidates) {
            return written;
        }
        let mut unfound: Option<Families> = None;
        for (candidate, last) in candidates {
            let families = self.both(candidate, patience).await;
            let done = families.is_found() || (last && families.has_failed());
            // That a server did not answer weighs more than that another name does not exist.
            if done || unfound.as_ref().is_none_or(|before| !before.has_failed()) {
                unfound = Some(families);
            }
            if done {
                break;
            }
        }
        unfound.unwrap_or_else(|| {
            let none = || Err(Fault::None(format!("{name} is no name")));
            Families { v6: none(), v4: none() }
        })
    }

    /// The SRV records of that name.
    pub async fn services(&self, name: &str) -> Result<Records<SRV>, Fault> {
        let mut unfound = None;
        for (candidate, last) in self.candidates(name)? {
            match self.ask(candidate, RecordType::SRV, service).await {
                Ok(records) => return Ok(records),
                Err(fault @ Fault::Failed(_)) if last => return Err(fault),
                Err(fault) => {
                    if !matches!(unfound, Some(Fault::Failed(_))) {
                        unfound = Some(fault);
                    }
                }
            }
        }
        Err(unfound.unwrap_or_else(|| Fault::None(format!("{name} is no name"))))
    }

    /// The names that this one may stand for, in order; and with each whether to look no further when the servers fail to answer
    /// for it: that a name cannot be looked up now does not make it another one.
    fn candidates(&self, name: &str) -> Result<Vec<(Name, bool)>, Fault> {
        let no_name = |e| Fault::None(format!("{name} is no name: {e}"));
        let mut whole = Name::from_ascii(name.to_ascii_lowercase()).map_err(no_name)?;
        let is_whole = whole.is_fqdn();
        let dots = usize::from(whole.num_labels()).saturating_sub(1);
        let relative = whole.clone();
        whole.set_fqdn(true);
        if is_whole {
            return Ok(vec![(whole, true)]);
        }
        let first = dots >= self.ndots;
        let searched = self.search.iter().filter_map(|domain| relative.clone().append_domain(domain).ok());
        let mut candidates: Vec<(Name, bool)> = searched.map(|name| (name, false)).collect();
        candidates.insert(if first { 0 } else { candidates.len() }, (whole, true));
        Ok(candidates)
    }

    /// What the file of hosts says. A name that stands there in one family has no addresses of the other.
    fn written_down(&self, candidates: &[(Name, bool)]) -> Option<Families> {
        let family = |name: &Name, kind| {
            let lookup = self.hosts.lookup_static_host(&Query::query(name.clone(), kind))?;
            let found: Vec<IpAddr> = lookup.answers().iter().filter_map(|record| record.data.ip_addr()).collect();
            (!found.is_empty()).then_some(Records { found, ttl: WRITTEN_DOWN })
        };
        candidates.iter().find_map(|(name, _)| {
            let (v6, v4) = (family(name, RecordType::AAAA), family(name, RecordType::A));
            let none = || Fault::None(format!("the file of hosts has no other address of {name}"));
            (v6.is_some() || v4.is_some()).then(|| Families { v6: v6.ok_or_else(none), v4: v4.ok_or_else(none) })
        })
    }

    /// Both families of that very name, asked for at once.
    async fn both(self: &Arc<Self>, name: Name, patience: Option<Duration>) -> Families {
        let mut asked = JoinSet::new();
        for kind in [RecordType::AAAA, RecordType::A] {
            let (resolver, name) = (Arc::clone(self), name.clone());
            asked.spawn(async move { (kind, resolver.ask(name, kind, RData::ip_addr).await) });
        }
        let waited = || Err(Fault::Failed(format!("{}: no answer in time", shown(&name))));
        let mut families = Families { v6: waited(), v4: waited() };
        loop {
            let is_enough = patience.filter(|_| families.v4.is_ok());
            let next = match is_enough {
                Some(patience) => tokio::time::timeout(patience, asked.join_next()).await.unwrap_or(None),
                None => asked.join_next().await,
            };
            match next {
                Some(Ok((RecordType::AAAA, answer))) => families.v6 = answer,
                Some(Ok((_, answer))) => families.v4 = answer,
                // It was never cancelled: what panicked has not answered.
                Some(Err(_)) => {}
                None => return families,
            }
        }
    }

    async fn ask<T>(
        &self,
        name: Name,
        kind: RecordType,
        read: impl Fn(&RData) -> Option<T>,
    ) -> Result<Records<T>, Fault> {
        let answer = self.hickory.lookup(name.clone(), kind).await;
        let lookup = answer.map_err(|e| fault(&name, kind, &e))?;
        let found: Vec<T> = lookup.answers().iter().filter_map(|record| read(&record.data)).collect();
        // Aliases on the way hold no longer than they say, and neither does what they lead to.
        let ttl = lookup.answers().iter().map(|record| record.ttl).min();
        if found.is_empty() {
            return Err(Fault::None(format!("{}: it has no {kind} record", shown(&name))));
        }
        Ok(Records { found, ttl: ttl.map_or(WRITTEN_DOWN, |ttl| Duration::from_secs(u64::from(ttl))) })
    }
}

fn service(data: &RData) -> Option<SRV> {
    match data {
        RData::SRV(srv) => Some(srv.clone()),
        _ => None,
    }
}

fn server(address: &SocketAddr) -> NameServerConfig {
    let at_its_port = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    let connections = vec![at_its_port(ConnectionConfig::udp()), at_its_port(ConnectionConfig::tcp())];
    NameServerConfig::new(address.ip(), true, connections)
}

fn domains(config: &ResolverConfig) -> Vec<Name> {
    let mut domains: Vec<Name> = Vec::new();
    for domain in config.domain().into_iter().chain(config.search()) {
        if !domain.is_root() && !domains.contains(domain) {
            domains.push(domain.clone());
        }
    }
    domains
}

/// How a code is written wherever people look one up.
fn mnemonic(code: ResponseCode) -> String {
    match code {
        ResponseCode::ServFail => "SERVFAIL".to_owned(),
        ResponseCode::Refused => "REFUSED".to_owned(),
        ResponseCode::FormErr => "FORMERR".to_owned(),
        ResponseCode::NotImp => "NOTIMP".to_owned(),
        other => other.to_string(),
    }
}

/// A name as people write it, without the root's dot.
fn shown(name: &Name) -> String {
    let text = name.to_ascii();
    text.strip_suffix('.').filter(|name| !name.is_empty()).map_or(text.clone(), str::to_owned)
}

fn fault(name: &Name, kind: RecordType, error: &NetError) -> Fault {
    let name = shown(name);
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => Fault::None(format!("{name}: no such name (NXDOMAIN)")),
            _ => Fault::None(format!("{name}: it has no {kind} record")),
        },
        NetError::Dns(DnsError::ResponseCode(code)) => {
            Fault::Failed(format!("{name}: the DNS server answered {}", mnemonic(*code)))
        }
        NetError::Timeout => Fault::Failed(format!("{name}: no DNS server answered in time")),
        other => Fault::Failed(format!("{name}: no DNS server can be asked: {other}")),
    }
}
