//! How connections come about, and how long they last: one address of several that is dead, proxies that the environment names, and
//! those that nobody uses.

use super::*;
use crate::kit::dns::Dns;
use crate::kit::tls::Folder;
use ambassador_core::Code;
use ambassador_core::clock::MILLISECOND;
use ambassador_core::discovery::{Discovery, Source};
use ambassador_core::policy::http::Http;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use tokio::net::{TcpSocket, TcpStream};

#[test]
fn a_connection_that_nobody_uses_is_closed_after_its_idle_timeout() {
    let (tell, closed) = channel();
    let tell = Mutex::new(tell);
    let server = Server::scripted(move |peer| {
        while peer.request().is_some() {
            peer.answer(200, &[], b"");
        }
        tell.lock().unwrap().send(peer.number).unwrap();
    });
    let http = Http { idle_timeout: 20 * MILLISECOND, ..Http::default() };
    let proxy = builder(&server.url()).http(http).build().unwrap();
    for number in 0..2 {
        block_on(proxy.send(get("/"))).unwrap();
        assert_eq!(closed.recv().unwrap(), number);
    }
    assert_eq!(server.connections(), 2);
}

/// An address at which connections are begun and never made, as behind a firewall that drops them, for a listener there takes none and
/// its queue is full; and what keeps it so.
async fn dead(address: &str) -> (u16, impl Sized) {
    let address: SocketAddr = address.parse().unwrap();
    let socket = if address.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() }.unwrap();
    socket.bind(address).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    // How many it holds is the system's to say.
    while let Ok(stream) = tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
        queued.push(stream);
    }
    (address.port(), (listener, queued))
}

/// A proxy whose one endpoint is a name of those addresses, at that port.
fn named(addresses: &[&str], port: u16) -> (AmbassadorProxy, impl Sized) {
    let (dns, folder) = (Dns::start(), Folder::new());
    dns.addresses("both.test", 60, addresses);
    let file = folder.file("endpoints.yaml", format!("- http://both.test:{port}\n"));
    let found = Discovery { servers: vec![dns.address()], ..Discovery::new(Source::File(file)) };
    (builder("http://both.test").discovery(found).build().unwrap(), (dns, folder))
}

#[test]
fn a_name_of_which_one_family_is_dead_is_reached_by_the_other() {
    for (dead_one, well) in [("[::1]:0", "127.0.0.1"), ("127.0.0.1:0", "[::1]")] {
        let on_runtime = runtime::handle().spawn(async move { dead(dead_one).await });
        let (port, _kept) = block_on(on_runtime).unwrap();
        let _server = Server::on(&format!("{well}:{port}"), |peer| {
            while peer.request().is_some() {
                peer.answer(200, &[], b"well");
            }
        });
        // Whichever family is tried first.
        let (proxy, _kept_too) = named(&["127.0.0.1", "::1"], port);
        assert_eq!(text(block_on(proxy.send(get("/"))).unwrap()), "well", "{dead_one} is dead");
    }
}

#[test]
fn a_name_of_which_every_address_is_dead_says_so_at_the_bound() {
    let (port, _kept) = block_on(runtime::handle().spawn(dead("127.0.0.1:0"))).unwrap();
    let proxy =
        builder(&format!("http://127.0.0.1:{port}")).timeout(Duration::from_millis(50)).max_retries(2).build().unwrap();
    // A POST as well: it was never sent.
    let error = block_on(proxy.send(post("/", "x"))).unwrap_err();
    assert_eq!((error.code(), error.attempts()), (Code::Timeout, 2));
}

/// A proxy of the ambassador's that asks whom the environment names.
fn by_environment(target: &str) -> AmbassadorProxy {
    builder(target).http(Http { proxy_from_environment: true, ..Http::default() }).build().unwrap()
}

/// A proxy between; it says what it was asked.
fn between() -> Server {
    Server::scripted(|peer| {
        while let Some(seen) = peer.request() {
            let header = |name| seen.header(name).unwrap_or("none");
            let said = format!("{} {} {} {}", seen.method, seen.path, header("host"), header("proxy-authorization"));
            // A tunnel it gives to nobody.
            peer.answer(if seen.method == "CONNECT" { 407 } else { 200 }, &[], said.as_bytes());
        }
    })
}

#[test]
fn a_proxy_that_the_environment_names_is_asked_where_that_is_wanted() {
    let by = format!("http://user:p4ss@{}", between().authority());
    let environment = [
        ("HTTP_PROXY", Some(Path::new(&by))),
        ("NO_PROXY", Some(Path::new("not.example.com,127.0.0.2"))),
        ("REQUEST_METHOD", None),
    ];
    let name = "connections::a_proxy_that_the_environment_names_is_asked_where_that_is_wanted";
    common::alone_with(name, &environment, || {
        let response = block_on(by_environment("http://payment-api.example.com").send(get("/charges?of=42"))).unwrap();
        let said = "GET http://payment-api.example.com/charges?of=42 payment-api.example.com Basic dXNlcjpwNHNz";
        assert_eq!(text(response), said);
        // Here nobody wants it.
        let direct = Server::answering("directly");
        assert_eq!(text(block_on(proxy(&direct).send(get("/"))).unwrap()), "directly");
        // And here the environment excepts it.
        let excepted = Server::on("127.0.0.2:0", |peer| {
            peer.request();
            peer.answer(200, &[], b"excepted");
        });
        assert_eq!(text(block_on(by_environment(&excepted.url()).send(get("/"))).unwrap()), "excepted");
    });
}

#[test]
fn what_is_for_https_goes_through_a_tunnel_or_not_at_all() {
    let by = format!("http://{}", between().authority());
    let environment = [("HTTPS_PROXY", Some(Path::new(&by))), ("NO_PROXY", None), ("REQUEST_METHOD", None)];
    common::alone_with("connections::what_is_for_https_goes_through_a_tunnel_or_not_at_all", &environment, || {
        let error = block_on(by_environment("https://payment-api.example.com").send(get("/charges"))).unwrap_err();
        assert_eq!(error.code(), Code::Connect);
        // Any other request it would have answered.
        assert!(error.to_string().contains("wants to know who asks"), "{error}");
    });
}
