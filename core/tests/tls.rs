//! TLS over real sockets: each way in which it fails says which, and where to look; certificates rotate while connections are
//! made; and checking is never less than was asked for.
#![cfg(feature = "http")]

mod common;
mod kit;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use ambassador_core::http::tls::{Connector, Reason, TlsFault, check};
use ambassador_core::policy::http::Version;
use ambassador_core::policy::tls::{Tls, TlsVersion};
use common::{PATIENCE, alone_with};
use kit::tls::*;
use kit::told::Told;
use rcgen::{ExtendedKeyUsagePurpose, date_time_ymd};
use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

const HOST: &str = "api.example.com";

fn trusting(path: &Path) -> Tls {
    Tls { ca: some(path), ..Tls::default() }
}

fn connector(tls: &Tls) -> Connector {
    check(tls).expect("the settings are right");
    Connector::new(tls, "test").expect("the settings are right")
}

async fn connect(connector: &Connector, server: &Server, host: &str) -> Result<TlsStream<TcpStream>, TlsFault> {
    let connection = TcpStream::connect(server.address).await.unwrap();
    connector.connect(connection, host, Version::Auto).await
}

/// Connects, and waits until the server has said that it takes the client for good.
async fn greeted(connector: &Connector, server: &Server) -> Result<TlsStream<TcpStream>, TlsFault> {
    let mut stream = connect(connector, server, HOST).await?;
    let mut greeting = [0];
    match stream.read_exact(&mut greeting).await {
        Ok(_) => Ok(stream),
        Err(error) => Err(connector.fault_of(&error, HOST).unwrap_or_else(|| panic!("{error:?}"))),
    }
}

async fn fault(tls: &Tls, server: &Server, host: &str) -> TlsFault {
    connect(&connector(tls), server, host).await.expect_err("it connected")
}

/// Says which, is of that reason, and mentions all of these.
fn says(fault: &TlsFault, reason: Reason, mentions: &[&str]) {
    assert_eq!(fault.reason(), reason, "{fault}");
    for mention in mentions {
        assert!(fault.to_string().contains(mention), "it does not mention {mention:?}: {fault}");
    }
}

#[tokio::test]
async fn a_certificate_that_leads_to_a_root_by_way_of_an_intermediate_convinces_and_http_is_agreed_on() {
    let (folder, root) = (Folder::new(), Authority::new("Test Root"));
    let server = Server::echo(showing(&root.intermediate("Test Intermediate").issue(&[HOST]))).await;
    let connector = connector(&trusting(&folder.file("ca.pem", root.pem())));
    for (version, agreed) in [(Version::Auto, "h2"), (Version::Http2, "h2"), (Version::Http1, "http/1.1")] {
        let connection = TcpStream::connect(server.address).await.unwrap();
        let mut stream = connector.connect(connection, HOST, version).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(agreed.as_bytes()));
        stream.write_all(b"ping").await.unwrap();
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"!ping");
    }
    assert_eq!(server.seen.server_name.lock().unwrap().as_deref(), Some(HOST));
}

#[tokio::test]
async fn sessions_are_resumed_in_both_versions() {
    let (folder, root) = (Folder::new(), Authority::new("Test Root"));
    let identity = root.issue(&[HOST]);
    for version in [&TLS12, &TLS13] {
        let server = Server::echo(showing_only(&identity, version)).await;
        let connector = connector(&trusting(&folder.file("ca.pem", root.pem())));
        let first = greeted(&connector, &server).await.unwrap();
        assert_eq!(first.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
        let second = greeted(&connector, &server).await.unwrap();
        assert_eq!(second.get_ref().1.handshake_kind(), Some(HandshakeKind::Resumed), "{version:?}");
    }
}

#[tokio::test]
async fn an_expired_certificate_says_when_it_ended() {
    let (folder, root) = (Folder::new(), Authority::new("Test Root"));
    let tls = trusting(&folder.file("ca.pem", root.pem()));
    let old = root.issue_with(&[HOST], |params| params.not_after = date_time_ymd(2021, 3, 4));
    let fault = fault(&tls, &Server::echo(showing(&old)).await, HOST).await;
    says(
        &fault,
        Reason::Expired,
        &[
            "the certificate of api.example.com has expired",
            "CN=Test Root",
            "to 2021-03-04 00:00:00 UTC",
            "clock it is 20",
        ],
    );
    assert!(fault.is_certificate());
}

#[tokio::test]
async fn a_certificate_from_the_future_says_when_it_begins() {
    let (folder, root) = (Folder::new(), Authority::new("Test Root"));
    let tls = trusting(&folder.file("ca.pem", root.pem()));
    let early = root.issue_with(&[HOST], |params| params.not_before = date_time_ymd(2999, 1, 2));
    let fault = fault(&tls, &Server::echo(showing(&early)).await, HOST).await;
    says(&fault, Reason::NotYetValid, &["is not valid yet", "valid from 2999-01-02 00:00:00"]);
    assert!(fault.is_certificate());
}

#[tokio::test]
async fn a_self_signed_certificate_is_refused_as_such_and_taken_when_it_is_the_root() {
    let (folder, other) = (Folder::new(), Authority::new("Another Root"));
    let own = Identity::self_signed(&[HOST]);
    let server = Server::echo(showing(&own)).await;
    let fault = fault(&trusting(&folder.file("ca.pem", other.pem())), &server, HOST).await;
    says(
        &fault,
        Reason::SelfSigned,
        &["is self-signed", "not among the roots of", "ca.pem", "`tls.ca`", "CN=api.example.com"],
    );
    assert!(fault.is_certificate());
    greeted(&connector(&trusting(&folder.file("own.pem", &own.pem))), &server).await.unwrap();
}

#[tokio::test]
async fn an_authority_of_its_own_that_shows_itself_says_what_to_do() {
    let folder = Folder::new();
    let own = {
        let mut params = rcgen::CertificateParams::new([HOST.to_string()]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Identity { chain: vec![certificate.der().clone()], pem: certificate.pem(), key }
    };
    let fault = fault(&trusting(&folder.file("ca.pem", &own.pem)), &Server::echo(showing(&own)).await, HOST).await;
    says(&fault, Reason::SelfSigned, &["that of an authority", "without CA:TRUE"]);
}

#[tokio::test]
async fn a_certificate_of_an_unknown_issuer_names_it_and_says_that_no_intermediate_was_sent() {
    let (folder, root, other) = (Folder::new(), Authority::new("Test Root"), Authority::new("Another Root"));
    let server = Server::echo(showing(&root.issue(&[HOST]))).await;
    let fault = fault(&trusting(&folder.file("ca.pem", other.pem())), &server, HOST).await;
    says(
        &fault,
        Reason::UnknownIssuer,
        &["leads to none of the roots of", "issued by CN=Test Root", "no intermediate", "`tls.ca`"],
    );
    assert!(fault.is_certificate());
}

#[tokio::test]
async fn a_certificate_for_others_names_them() {
    let (folder, root) = (Folder::new(), Authority::new("Test Root"));
    let tls = trusting(&folder.file("ca.pem", root.pem()));
    let server = Server::echo(showing(&root.issue(&["www.example.com", "10.0.0.7"]))).await;
    let by_name = fault(&tls, &server, HOST).await;
    says(
        &by_name,
        Reason::WrongHost,
        &["is for www.example.com, 10.0.0.7, not for api.example.com", "`tls.server_name`"],
    );
    let by_address = fault(&tls, &server, "127.0.0.1").await;
    says(&by_address, Reason::WrongHost, &["not for 127.0.0.1"]);
    assert!(by_name.is_certificate() && by_address.is_certificate());
}

#[tokio::test]
async fn a_certificate_that_is_for_clients_does_not_verify() {
    let (folder, root) = (Folder::new(), Authority::new("Test Root"));
    let tls = trusting(&folder.file("ca.pem", root.pem()));
    let identity =
        root.issue_with(&[HOST], |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    let fault = fault(&tls, &Server::echo(showing(&identity)).await, HOST).await;
    says(&fault, Reason::BadCertificate, &["does not verify", "CN=Test Root"]);
}

#[tokio::test]
async fn another_server_name_is_asked_for_and_verified() {
    let (folder, root) = (Folder::new(), Authority::new("Test Root"));
    let server = Server::echo(showing(&root.issue(&["internal.example.com"]))).await;
    let tls = Tls { server_name: Some("internal.example.com".into()), ..trusting(&folder.file("ca.pem", root.pem())) };
    greeted(&connector(&tls), &server).await.unwrap();
    assert_eq!(server.seen.server_name.lock().unwrap().as_deref(), Some("internal.example.com"));
    let tls = Tls { server_name: Some("other.example.com".into()), ..tls };
    says(&fault(&tls, &server, "internal.example.com").await, Reason::WrongHost, &["not for other.example.com"]);
}

#[tokio::test]
async fn an_address_is_verified_as_one_with_brackets_or_without_and_a_name_without_its_last_dot() {
    let (folder, root) = (Folder::new(), Authority::new("Test Root"));
    let connector = connector(&trusting(&folder.file("ca.pem", root.pem())));
    let server = Server::echo(showing(&root.issue(&["::1", "127.0.0.1", HOST]))).await;
    for host in ["[::1]", "::1", "127.0.0.1", "api.example.com."] {
        connect(&connector, &server, host).await.unwrap();
    }
    says(&connect(&connector, &server, "two words").await.unwrap_err(), Reason::Settings, &["two words"]);
}

#[tokio::test]
async fn a_root_that_is_removed_revokes_what_it_vouched_for_sessions_included() {
    let (folder, root, other) = (Folder::new(), Authority::new("Test Root"), Authority::new("Another Root"));
    let server = Server::echo(showing(&root.issue(&[HOST]))).await;
    let ca = folder.file("ca.pem", root.pem() + &other.pem());
    let connector = connector(&trusting(&ca));
    let before = connector.generation();
    greeted(&connector, &server).await.unwrap();
    assert_eq!(connector.generation(), before, "the first connection may be used again");
    folder.swap("ca.pem", other.pem());
    let fault = connect(&connector, &server, HOST).await.unwrap_err();
    says(&fault, Reason::UnknownIssuer, &["issued by CN=Test Root"]);
    assert_ne!(connector.generation(), before);
    folder.swap("ca.pem", root.pem());
    greeted(&connector, &server).await.unwrap();
}

#[tokio::test]
async fn a_file_of_roots_that_is_emptied_or_gone_leaves_the_last_ones_in_force() {
    let (folder, root) = (Folder::new(), Authority::new("Test Root"));
    let server = Server::echo(showing(&root.issue(&[HOST]))).await;
    let ca = folder.file("ca.pem", root.pem());
    let connector = connector(&trusting(&ca));
    greeted(&connector, &server).await.unwrap();
    folder.file("ca.pem", "");
    greeted(&connector, &server).await.unwrap();
    std::fs::remove_file(&ca).unwrap();
    greeted(&connector, &server).await.unwrap();
}

#[tokio::test]
async fn pins_hold_for_any_key_of_the_chain_that_was_verified() {
    let (folder, root) = (Folder::new(), Authority::new("Test Root"));
    let middle = root.intermediate("Test Intermediate");
    let identity = middle.issue(&[HOST]);
    let server = Server::echo(showing(&identity)).await;
    let ca = folder.file("ca.pem", root.pem());
    let stranger = Authority::new("A stranger").pin();
    for pin in [identity.pin(), middle.pin(), root.pin()] {
        let tls = Tls { pins: vec![stranger.clone(), pin], ..trusting(&ca) };
        greeted(&connector(&tls), &server).await.unwrap();
    }
    let tls = Tls { pins: vec![stranger], ..trusting(&ca) };
    let fault = fault(&tls, &server, HOST).await;
    let (own, middle, root) = (identity.pin(), middle.pin(), root.pin());
    says(&fault, Reason::PinMismatch, &["`tls.pins`", &own, &middle, &root, "CN=api.example.com"]);
    assert!(fault.is_certificate());
}

#[tokio::test]
async fn a_pinned_certificate_that_is_merely_sent_along_convinces_nobody() {
    let (folder, root, pinned) = (Folder::new(), Authority::new("Test Root"), Authority::new("Pinned"));
    let mut identity = root.issue(&[HOST]);
    identity.chain.push(pinned.der());
    let server = Server::echo(showing(&identity)).await;
    let tls = Tls { pins: vec![pinned.pin()], ..trusting(&folder.file("ca.pem", root.pem())) };
    says(&fault(&tls, &server, HOST).await, Reason::PinMismatch, &[&identity.pin()]);
}

#[tokio::test]
async fn pins_do_not_stand_in_for_verification() {
    let (folder, root) = (Folder::new(), Authority::new("Test Root"));
    let own = Identity::self_signed(&[HOST]);
    let server = Server::echo(showing(&own)).await;
    let tls = Tls { pins: vec![own.pin()], ..trusting(&folder.file("ca.pem", root.pem())) };
    says(&fault(&tls, &server, HOST).await, Reason::SelfSigned, &[]);
    let others = root.issue(&["www.example.com"]);
    let server = Server::echo(showing(&others)).await;
    let tls = Tls { pins: vec![root.pin()], ..tls };
    says(&fault(&tls, &server, HOST).await, Reason::WrongHost, &[]);
}

#[tokio::test]
async fn without_verification_anything_is_taken_but_pins_hold_for_the_servers_own_key() {
    let pinned = Authority::new("Pinned");
    let mut own = Identity::self_signed(&["www.example.com"]);
    own.chain.push(pinned.der());
    let server = Server::echo(showing(&own)).await;
    let tls = Tls { dangerous_accept_invalid_certificates: true, ..Tls::default() };
    greeted(&connector(&tls), &server).await.unwrap();
    let tls = Tls { pins: vec![own.pin()], ..tls };
    greeted(&connector(&tls), &server).await.unwrap();
    let tls = Tls { pins: vec![pinned.pin()], ..tls };
    says(&fault(&tls, &server, HOST).await, Reason::PinMismatch, &[&own.pin()]);
}

#[tokio::test]
async fn a_client_shows_its_certificate_and_one_that_has_none_or_a_strangers_is_told_so() {
    let (folder, root, other) = (Folder::new(), Authority::new("Test Root"), Authority::new("Another Root"));
    let client = root.issue(&["client.example.com"]);
    let stranger = other.issue(&["stranger.example.com"]);
    let ca = folder.file("ca.pem", root.pem());
    let with = |identity: &Identity, name: &str| Tls {
        cert: Some(folder.file(&format!("{name}.pem"), &identity.pem)),
        key: Some(folder.file(&format!("{name}.key"), identity.key_pem())),
        ..trusting(&ca)
    };
    for version in [&TLS12, &TLS13] {
        let server = Server::echo(asking(&root.issue(&[HOST]), version, &[&root])).await;
        greeted(&connector(&with(&client, "client")), &server).await.unwrap();
        assert_eq!(*server.seen.client.lock().unwrap(), Some(client.chain[0].clone()));
        let missing = greeted(&connector(&trusting(&ca)), &server).await.unwrap_err();
        says(&missing, Reason::ClientCertificateRequired, &["wants a client's certificate", "`tls.cert`"]);
        let wrong = greeted(&connector(&with(&stranger, "stranger")), &server).await.unwrap_err();
        says(&wrong, Reason::ClientCertificateRefused, &["does not take the client's certificate", "`tls.cert`"]);
        assert!(!missing.is_certificate() && !wrong.is_certificate());
    }
}

#[tokio::test]
async fn keys_of_every_form_are_read() {
    let folder = Folder::new();
    // PKCS#8 as above; SEC1, and RSA in PKCS#1, as OpenSSL writes them.
    for kind in ["ec", "rsa"] {
        let (cert, key) = (folder.path(&format!("{kind}.pem")), folder.path(&format!("{kind}.key")));
        let step: &[&str] = match kind {
            "ec" => &["ecparam", "-name", "prime256v1", "-genkey", "-noout"],
            _ => &["genrsa", "-traditional"],
        };
        openssl(step, &["-out", key.to_str().unwrap()]);
        openssl(
            &["req", "-x509", "-subj", "/CN=client", "-days", "2"],
            &["-key", key.to_str().unwrap(), "-out", cert.to_str().unwrap()],
        );
        let begins = std::fs::read_to_string(&key).unwrap();
        assert!(begins.contains(if kind == "ec" { "BEGIN EC PRIVATE KEY" } else { "BEGIN RSA PRIVATE KEY" }), "{kind}");
        check(&Tls { cert: Some(cert), key: Some(key), ..Tls::default() }).unwrap();
    }
}

fn openssl(args: &[&str], more: &[&str]) {
    let ended = std::process::Command::new("openssl").args(args).args(more).output().expect("there is OpenSSL");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

/// Certificates and keys are swapped all the time, also one after the other and in the middle of being written, and each of 1,000
/// connections is taken by a server that asks for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_connections_are_made_while_the_clients_certificate_rotates_and_none_fails() {
    let (folder, root) = (Arc::new(Folder::new()), Authority::new("Test Root"));
    let server = Arc::new(Server::echo(asking(&root.issue(&[HOST]), &TLS13, &[&root])).await);
    let clients: Vec<_> = (0..10).map(|n| root.issue(&[&format!("client-{n}.example.com")])).collect();
    let tls = Tls {
        cert: Some(folder.file("client.pem", &clients[0].pem)),
        key: Some(folder.file("client.key", clients[0].key_pem())),
        ..trusting(&folder.file("ca.pem", root.pem()))
    };
    let connector = connector(&tls);
    let (done, rotations) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let rotating = tokio::task::spawn_blocking({
        let (folder, done, rotations) = (Arc::clone(&folder), Arc::clone(&done), Arc::clone(&rotations));
        let pairs: Vec<_> = clients.iter().map(|client| (client.pem.clone(), client.key_pem())).collect();
        move || {
            for n in 0.. {
                let (cert, key) = &pairs[n % pairs.len()];
                if n % 2 == 0 {
                    folder.swap("client.pem", cert);
                    folder.swap("client.key", key);
                } else {
                    folder.file("client.key", key);
                    folder.file("client.pem", cert);
                }
                rotations.store(n as u64 + 1, SeqCst);
                if done.load(SeqCst) {
                    return n % pairs.len();
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            unreachable!()
        }
    });
    let connecting: Vec<_> = (0..8)
        .map(|_| {
            let (connector, server) = (connector.clone(), Arc::clone(&server));
            tokio::spawn(async move {
                for _ in 0..125 {
                    greeted(&connector, &server).await.expect("a connection failed");
                }
            })
        })
        .collect();
    for task in connecting {
        task.await.unwrap();
    }
    done.store(true, SeqCst);
    let last = rotating.await.unwrap();
    assert_eq!((server.seen.handshakes.load(SeqCst), server.seen.refused.load(SeqCst)), (1000, 0));
    println!("{} rotations during 1,000 connections", rotations.load(SeqCst));
    greeted(&connector, &server).await.unwrap();
    assert_eq!(*server.seen.client.lock().unwrap(), Some(clients[last].chain[0].clone()), "the last one is shown");
}

#[tokio::test]
async fn a_pair_that_does_not_match_leaves_the_last_one_in_force_and_is_told() {
    let (folder, root) = (Folder::new(), Authority::new("Test Root"));
    let server = Server::echo(asking(&root.issue(&[HOST]), &TLS13, &[&root])).await;
    let (first, second) = (root.issue(&["first.example.com"]), root.issue(&["second.example.com"]));
    let tls = Tls {
        cert: Some(folder.file("client.pem", &first.pem)),
        key: Some(folder.file("client.key", first.key_pem())),
        ..trusting(&folder.file("ca.pem", root.pem()))
    };
    let told = Told::of("one whose pair changes");
    let connector = Connector::new(&tls, told.name).unwrap();
    let shown = async |connector| {
        greeted(connector, &server).await.unwrap();
        server.seen.client.lock().unwrap().clone()
    };
    assert_eq!(shown(&connector).await, Some(first.chain[0].clone()));
    folder.file("client.pem", &second.pem);
    assert_eq!(shown(&connector).await, Some(first.chain[0].clone()));
    let lines = told.take();
    assert!(
        lines.len() == 1 && lines[0].contains("WARN") && lines[0].contains("it is the key of another certificate"),
        "{lines:?}"
    );
    folder.file("client.key", second.key_pem());
    assert_eq!(shown(&connector).await, Some(second.chain[0].clone()));
    let lines = told.take();
    assert!(lines.len() == 1 && lines[0].contains("INFO") && lines[0].contains("was read again"), "{lines:?}");
}

#[tokio::test]
async fn a_server_of_an_older_version_than_wanted_is_refused() {
    let (folder, root) = (Folder::new(), Authority::new("Test Root"));
    let server = Server::echo(showing_only(&root.issue(&[HOST]), &TLS12)).await;
    let tls = trusting(&folder.file("ca.pem", root.pem()));
    greeted(&connector(&tls), &server).await.unwrap();
    let tls = Tls { min_version: TlsVersion::V1_3, ..tls };
    let fault = fault(&tls, &server, HOST).await;
    says(&fault, Reason::NoCommonVersion, &["`tls.min_version`"]);
    assert!(!fault.is_certificate());
}

/// A server of plain sockets.
async fn plain(answer: &'static [u8]) -> (Server, Connector, Folder) {
    let (folder, root) = (Folder::new(), Authority::new("Test Root"));
    let connector = connector(&trusting(&folder.file("ca.pem", root.pem())));
    let mut server = Server::echo(showing(&root.issue(&[HOST]))).await;
    let (address, _) = accept(move |mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(answer).await;
    })
    .await;
    server.address = address;
    (server, connector, folder)
}

#[tokio::test]
async fn a_server_that_speaks_plain_http_is_told_from_one_that_hangs_up() {
    let (server, connector, _folder) = plain(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
    let fault = connect(&connector, &server, HOST).await.unwrap_err();
    says(&fault, Reason::NotTls, &["is not TLS", "plain HTTP", "http://"]);
    let (server, connector, _folder) = plain(b"").await;
    let fault = connect(&connector, &server, HOST).await.unwrap_err();
    says(&fault, Reason::Closed, &["closed the connection during the handshake"]);
    assert!(!fault.is_certificate());
}

#[tokio::test]
async fn a_server_that_speaks_no_version_of_http_that_is_offered_is_told() {
    let (folder, root) = (Folder::new(), Authority::new("Test Root"));
    let mut config = showing(&root.issue(&[HOST]));
    config.alpn_protocols = vec![b"spdy/3".to_vec()];
    let fault = fault(&trusting(&folder.file("ca.pem", root.pem())), &Server::echo(config).await, HOST).await;
    says(&fault, Reason::Handshake, &["`http.version`"]);
}

#[tokio::test]
async fn what_is_no_certificate_alert_on_a_first_read_is_no_fault_of_tls() {
    let error = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    assert_eq!(connector(&Tls::default()).fault_of(&error, HOST), None);
}

#[test]
fn bad_files_are_found_before_anything_is_sent() {
    let (folder, root) = (Folder::new(), Authority::new("Test Root"));
    let (one, two) = (root.issue(&["one.example.com"]), root.issue(&["two.example.com"]));
    let cert = folder.file("one.pem", &one.pem);
    let key = folder.file("one.key", one.key_pem());
    let other_key = folder.file("two.key", two.key_pem());
    let text = folder.file("text.pem", "no PEM at all");
    let broken = folder.file("broken.pem", "-----BEGIN CERTIFICATE-----\n§§§\n-----END CERTIFICATE-----\n");
    let encrypted = folder
        .file("encrypted.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
    let none = folder.path("none.pem");
    let ca = |path: &Path| Tls { ca: some(path), ..Tls::default() };
    let pair = |cert: &Path, key: &Path| Tls { cert: some(cert), key: some(key), ..Tls::default() };
    check(&pair(&cert, &key)).unwrap();
    for (tls, field, mention) in [
        (ca(&none), "tls.ca", "No such file"),
        (ca(&text), "tls.ca", "it holds no certificate"),
        (ca(&broken), "tls.ca", "not PEM"),
        (ca(&key), "tls.ca", "it holds no certificate"),
        (pair(&none, &key), "tls.cert", "No such file"),
        (pair(&key, &key), "tls.cert", "it holds no certificate"),
        (pair(&cert, &none), "tls.key", "No such file"),
        (pair(&cert, &cert), "tls.key", "it holds no private key"),
        (pair(&cert, &other_key), "tls.key", "the key of another certificate"),
        (pair(&cert, &encrypted), "tls.key", "encrypted"),
        (Tls { cert: some(&cert), ..Tls::default() }, "tls.key", "for that is set"),
        (Tls { key: some(&key), ..Tls::default() }, "tls.cert", "for that is set"),
        (Tls { pins: vec!["AAAA".into()], ..Tls::default() }, "tls.pins", "44 characters"),
        (Tls { pins: vec![one.pin(), "no Base64".into()], ..Tls::default() }, "tls.pins", "44 characters"),
        (Tls { server_name: Some("two words".into()), ..Tls::default() }, "tls.server_name", "a host name"),
    ] {
        let wrong = check(&tls).expect_err(mention);
        assert!(wrong.field == field && wrong.allowed.contains(mention), "{field}, {mention}: {wrong:?}");
    }
}

#[tokio::test]
async fn a_connection_says_which_file_cannot_be_used_if_it_never_could() {
    let (folder, root) = (Folder::new(), Authority::new("Test Root"));
    let server = Server::echo(showing(&root.issue(&[HOST]))).await;
    let connector = Connector::new(&trusting(&folder.path("ca.pem")), "test").unwrap();
    says(
        &connect(&connector, &server, HOST).await.unwrap_err(),
        Reason::Settings,
        &["`tls.ca` cannot be used", "No such file"],
    );
    folder.file("ca.pem", root.pem());
    greeted(&connector, &server).await.unwrap();
}

#[test]
fn the_systems_roots_are_those_that_its_environment_names() {
    const NAME: &str = "the_systems_roots_are_those_that_its_environment_names";
    let folder = Folder::new();
    // For the child alone, which runs this test alone.
    const CA: &str = "AMBASSADOR_TEST_CA";
    let Some(ca) = std::env::var_os(CA) else {
        let ca = folder.path("ca.pem");
        return alone_with(NAME, &[(CA, Some(&ca)), ("SSL_CERT_FILE", Some(&ca)), ("SSL_CERT_DIR", None)], || {});
    };
    let root = Authority::new("Test Root");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = Server::echo(showing(&root.issue(&[HOST]))).await;
        let connector = connector(&Tls::default());
        let fault = connect(&connector, &server, HOST).await.unwrap_err();
        says(&fault, Reason::Settings, &["the system has no root certificates", "SSL_CERT_FILE", "`tls.ca`"]);
        std::fs::write(&ca, root.pem()).unwrap();
        greeted(&connector, &server).await.unwrap();
    });
}

#[test]
fn a_connector_that_verifies_nothing_warns_each_time_that_one_is_made() {
    let told = Told::of("one that verifies nothing");
    let tls = Tls { dangerous_accept_invalid_certificates: true, ..Tls::default() };
    for _ in 0..2 {
        Connector::new(&tls, told.name).unwrap();
        let lines = told.take();
        assert!(
            lines.len() == 1 && lines[0].contains("WARN") && lines[0].contains("dangerous_accept_invalid_certificates"),
            "{lines:?}"
        );
    }
    Connector::new(&Tls::default(), told.name).unwrap();
    assert_eq!(told.take(), [""; 0]);
}

#[tokio::test]
async fn nothing_that_is_shown_holds_a_key() {
    let (folder, root) = (Folder::new(), Authority::new("Test Root"));
    let client = root.issue(&["client.example.com"]);
    let tls = Tls {
        cert: Some(folder.file("client.pem", &client.pem)),
        key: Some(folder.file("client.key", client.key_pem())),
        ..trusting(&folder.file("ca.pem", root.pem()))
    };
    let server = Server::echo(asking(&root.issue(&[HOST]), &TLS13, &[&root])).await;
    let connector = connector(&tls);
    let stream = tokio::time::timeout(PATIENCE, greeted(&connector, &server)).await.unwrap().unwrap();
    drop(stream);
    let shown = format!("{connector:?} {tls:?}");
    let body: String = client.key_pem().lines().nth(1).unwrap().into();
    assert!(!shown.contains(&body) && shown.contains("client.key"), "{shown}");
}
