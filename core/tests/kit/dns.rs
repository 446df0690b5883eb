//! A real DNS server on loopback, over UDP and TCP on one port. It answers from a table that the test changes while it runs, counts
//! what it is asked, and is slow, fails or is down when it is told to.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_server::Server;
use hickory_server::net::runtime::Time;
use hickory_server::net::xfer::Protocol;
use hickory_server::proto::op::{Metadata, ResponseCode};
use hickory_server::proto::rr::rdata::{CNAME, SRV};
use hickory_server::proto::rr::{Name, RData, Record, RecordType};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use tokio::runtime::{Builder, Runtime};

/// The server. What is not in its table does not exist: NXDOMAIN.
pub struct Dns {
    address: SocketAddr,
    table: Arc<Table>,
    running: Option<Runtime>,
}

#[derive(Default)]
struct Table {
    names: Mutex<HashMap<String, Said>>,
    /// Every question: the name, the kind, and whether it came over TCP.
    asked: Mutex<Vec<(String, RecordType, bool)>>,
    failing: Mutex<HashSet<(String, RecordType)>>,
    slow: Mutex<HashMap<Option<RecordType>, Duration>>,
}

#[derive(Clone)]
enum Said {
    Records(Vec<Record>),
    Fails(ResponseCode),
}

impl Dns {
    /// A server of its own, at a port that was free.
    pub fn start() -> Dns {
        // A port that is free for UDP may be taken for TCP.
        let (udp, tcp) = (0..100)
            .find_map(|_| {
                let udp = UdpSocket::bind("127.0.0.1:0").ok()?;
                let tcp = TcpListener::bind(udp.local_addr().ok()?).ok()?;
                Some((udp, tcp))
            })
            .expect("some port is free");
        let address = udp.local_addr().unwrap();
        let mut dns = Dns { address, table: Arc::default(), running: None };
        dns.serve(udp, tcp);
        dns
    }

    /// Where it is asked.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// These are the addresses of that name from now on, of whichever family, for so many seconds.
    pub fn addresses(&self, name: &str, ttl: u32, ips: &[&str]) {
        let record = |ip: &&str| match ip.parse().expect("an address") {
            IpAddr::V4(ip) => record(name, ttl, RData::A(ip.into())),
            IpAddr::V6(ip) => record(name, ttl, RData::AAAA(ip.into())),
        };
        self.say(name, Said::Records(ips.iter().map(record).collect()));
    }

    /// These are the SRV records of that name from now on: priority, weight, port, target.
    pub fn services(&self, name: &str, ttl: u32, services: &[(u16, u16, u16, &str)]) {
        let record = |(priority, weight, port, target): &(u16, u16, u16, &str)| {
            record(name, ttl, RData::SRV(SRV::new(*priority, *weight, *port, whole(target))))
        };
        self.say(name, Said::Records(services.iter().map(record).collect()));
    }

    /// That name is another name for this one from now on.
    pub fn alias(&self, name: &str, ttl: u32, of: &str) {
        self.say(name, Said::Records(vec![record(name, ttl, RData::CNAME(CNAME(whole(of))))]));
    }

    /// Every question for that name is answered by SERVFAIL from now on.
    pub fn fails(&self, name: &str) {
        self.say(name, Said::Fails(ResponseCode::ServFail));
    }

    /// Every question for that kind of record of that name is answered by SERVFAIL from now on.
    pub fn fails_for(&self, name: &str, kind: RecordType) {
        self.table.failing.lock().unwrap().insert((whole(name).to_ascii(), kind));
    }

    /// There is no such name any more: NXDOMAIN.
    pub fn forgets(&self, name: &str) {
        self.table.names.lock().unwrap().remove(&whole(name).to_ascii());
    }

    /// Every answer takes so long from now on.
    pub fn takes(&self, time: Duration) {
        self.table.slow.lock().unwrap().insert(None, time);
    }

    /// Every answer about that kind of record takes so long from now on.
    pub fn takes_for(&self, kind: RecordType, time: Duration) {
        self.table.slow.lock().unwrap().insert(Some(kind), time);
    }

    /// How often it was asked for that kind of record of that name.
    pub fn asked(&self, name: &str, kind: RecordType) -> usize {
        let name = whole(name).to_ascii();
        self.table.asked.lock().unwrap().iter().filter(|(asked, of, _)| *asked == name && *of == kind).count()
    }

    /// How often it was asked over TCP.
    pub fn asked_over_tcp(&self) -> usize {
        self.table.asked.lock().unwrap().iter().filter(|(_, _, tcp)| *tcp).count()
    }

    /// From now on nobody is there: what is asked is refused.
    pub fn goes_down(&mut self) {
        if let Some(running) = self.running.take() {
            // Waits until its sockets are closed.
            running.shutdown_timeout(Duration::from_secs(60));
        }
    }

    /// It is there again, with its table as it is.
    pub fn comes_back(&mut self) {
        let udp = UdpSocket::bind(self.address).expect("the port is still free");
        let tcp = TcpListener::bind(self.address).expect("the port is still free");
        self.serve(udp, tcp);
    }

    fn say(&self, name: &str, said: Said) {
        self.table.names.lock().unwrap().insert(whole(name).to_ascii(), said);
    }

    fn serve(&mut self, udp: UdpSocket, tcp: TcpListener) {
        udp.set_nonblocking(true).unwrap();
        tcp.set_nonblocking(true).unwrap();
        let running = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let table = Arc::clone(&self.table);
        let (ready, is_ready) = std::sync::mpsc::channel();
        running.spawn(async move {
            let mut server = Server::new(Answering(table));
            server.register_socket(tokio::net::UdpSocket::from_std(udp).unwrap());
            server.register_listener(tokio::net::TcpListener::from_std(tcp).unwrap(), Duration::from_secs(60), 32);
            ready.send(()).unwrap();
            server.block_until_done().await
        });
        is_ready.recv().expect("the server has started");
        self.running = Some(running);
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.shutdown_background();
        }
    }
}

fn whole(name: &str) -> Name {
    let mut name = Name::from_ascii(name.to_ascii_lowercase()).expect("a name");
    name.set_fqdn(true);
    name
}

fn record(name: &str, ttl: u32, rdata: RData) -> Record {
    Record::from_rdata(whole(name), ttl, rdata)
}

struct Answering(Arc<Table>);

impl Answering {
    fn answer(&self, name: &str, kind: RecordType) -> (ResponseCode, Vec<Record>) {
        if self.0.failing.lock().unwrap().contains(&(name.to_owned(), kind)) {
            return (ResponseCode::ServFail, Vec::new());
        }
        match self.0.names.lock().unwrap().get(name) {
            None => (ResponseCode::NXDomain, Vec::new()),
            Some(Said::Fails(code)) => (*code, Vec::new()),
            Some(Said::Records(records)) => {
                let answers = |record: &&Record| [kind, RecordType::CNAME].contains(&record.record_type());
                (ResponseCode::NoError, records.iter().filter(answers).cloned().collect())
            }
        }
    }
}

impl RequestHandler for Answering {
    // What `async_trait` makes of an `async fn`.
    fn handle_request<'life0, 'life1, 'async_trait, R, T>(
        &'life0 self,
        request: &'life1 Request,
        mut response: R,
    ) -> Pin<Box<dyn Future<Output = ResponseInfo> + Send + 'async_trait>>
    where
        R: ResponseHandler + 'async_trait,
        T: Time + 'async_trait,
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move {
            let info = request.request_info().expect("one question");
            let (name, kind) = (info.query.name().to_string(), info.query.query_type());
            self.0.asked.lock().unwrap().push((name.clone(), kind, info.protocol == Protocol::Tcp));
            let slow = {
                let slow = self.0.slow.lock().unwrap();
                slow.get(&Some(kind)).or_else(|| slow.get(&None)).copied()
            };
            if let Some(time) = slow {
                tokio::time::sleep(time).await;
            }
            let (code, records) = self.answer(&name, kind);
            let mut metadata = Metadata::response_from_request(info.metadata);
            metadata.response_code = code;
            // Without EDNS: what is longer than 512 bytes is truncated over UDP.
            let message = MessageResponseBuilder::from_message_request(request);
            let message = message.build(metadata, records.iter(), [], [], []);
            response.send_response(message).await.expect("the answer is sent")
        })
    }
}
