//! A server of HTTP/1.1 whose every byte a test's script writes. The script runs once for each connection, on a thread of its own, and
//! the connection is closed when it returns.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// A request as it arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Which connection it came by: 0, 1, 2 …
    pub connection: usize,
    pub method: String,
    pub path: String,
    /// Names in lower case, in their order.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Seen {
    /// The header's first value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(present, _)| present == name).map(|(_, value)| &**value)
    }
}

/// A server that runs until the test process ends.
#[derive(Clone)]
pub struct Server {
    address: SocketAddr,
    ledger: Arc<Ledger>,
}

#[derive(Default)]
struct Ledger {
    seen: Mutex<Vec<Seen>>,
    came: Condvar,
    connections: AtomicUsize,
}

/// The other end of a connection.
pub struct Peer {
    /// 0, 1, 2 …
    pub number: usize,
    reader: BufReader<TcpStream>,
    ledger: Arc<Ledger>,
}

impl Server {
    /// A server whose connections each go by that script.
    pub fn scripted(script: impl Fn(&mut Peer) + Send + Sync + 'static) -> Server {
        Server::on("127.0.0.1:0", script)
    }

    /// [`scripted`](Server::scripted), at that address.
    pub fn on(address: &str, script: impl Fn(&mut Peer) + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind(address).unwrap();
        let server = Server { address: listener.local_addr().unwrap(), ledger: Arc::default() };
        let (ledger, script) = (Arc::clone(&server.ledger), Arc::new(script));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let (ledger, script) = (Arc::clone(&ledger), Arc::clone(&script));
                thread::spawn(move || {
                    let number = ledger.connections.fetch_add(1, SeqCst);
                    script(&mut Peer { number, reader: BufReader::new(stream), ledger });
                });
            }
        });
        server
    }

    /// A server that answers every request so: `200 OK` with that body.
    pub fn answering(body: &str) -> Server {
        let body = body.to_string();
        Server::scripted(move |peer| {
            while peer.request().is_some() {
                peer.answer(200, &[], body.as_bytes());
            }
        })
    }

    /// `127.0.0.1:12345`
    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    /// `http://127.0.0.1:12345`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What has arrived, up to now.
    pub fn seen(&self) -> Vec<Seen> {
        self.ledger.seen.lock().unwrap().clone()
    }

    /// Waits until so many requests have arrived.
    pub fn wait_for(&self, count: usize) -> Vec<Seen> {
        let mut seen = self.ledger.seen.lock().unwrap();
        while seen.len() < count {
            seen = self.ledger.came.wait(seen).unwrap();
        }
        seen.clone()
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.ledger.connections.load(SeqCst)
    }
}

impl Peer {
    /// The next request, read to its end and put into the ledger; `None` at the end of the connection.
    pub fn request(&mut self) -> Option<Seen> {
        let mut seen = self.head()?;
        seen.body = self.body_of(&seen).ok()?;
        self.note(&seen);
        Some(seen)
    }

    /// The next request's head, and nothing of its body. It is not put into the ledger.
    pub fn head(&mut self) -> Option<Seen> {
        let first = self.line().filter(|line| !line.is_empty())?;
        let mut words = first.split(' ');
        let (method, path) = (words.next()?.into(), words.next()?.into());
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':')?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_string()));
        }
        Some(Seen { connection: self.number, method, path, headers, body: Vec::new() })
    }

    /// Puts a request into the ledger.
    pub fn note(&self, seen: &Seen) {
        self.ledger.seen.lock().unwrap().push(seen.clone());
        self.ledger.came.notify_all();
    }

    fn body_of(&mut self, seen: &Seen) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if let Some(length) = seen.header("content-length") {
            body.resize(length.parse().map_err(io::Error::other)?, 0);
            self.reader.read_exact(&mut body)?;
        } else if seen.header("transfer-encoding").is_some() {
            loop {
                let line = self.line().ok_or(io::ErrorKind::UnexpectedEof)?;
                let length = usize::from_str_radix(&line, 16).map_err(io::Error::other)?;
                let begun = body.len();
                body.resize(begun + length, 0);
                self.reader.read_exact(&mut body[begun..])?;
                self.line();
                if length == 0 {
                    break;
                }
            }
        }
        Ok(body)
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let length = self.reader.read_line(&mut line).ok()?;
        (length > 0).then(|| line.trim_end_matches(['\r', '\n']).to_string())
    }

    /// Reads so many bytes at most, and says how many; 0 at the end of the connection.
    pub fn read(&mut self, into: &mut [u8]) -> usize {
        self.reader.read(into).unwrap_or(0)
    }

    /// Writes these bytes. An error is the other side's choice, and nothing here.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.reader.get_mut().write_all(bytes.as_ref());
    }

    /// Writes a whole response.
    pub fn answer(&mut self, status: u16, headers: &[(&str, &str)], body: &[u8]) {
        let mut response = format!("HTTP/1.1 {status} Whatever\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            response.push_str(&format!("{name}: {value}\r\n"));
        }
        response.push_str("\r\n");
        let mut response = response.into_bytes();
        response.extend_from_slice(body);
        self.write(response);
    }

    /// Ends the connection by a reset: what the other side has not read yet is lost.
    pub fn reset(&mut self) {
        let socket = socket2::SockRef::from(self.reader.get_ref());
        socket.set_linger(Some(std::time::Duration::ZERO)).unwrap();
        // `shutdown` would end it in peace; dropped, it is reset.
    }

    /// Says that no more is written, and goes on reading.
    pub fn end(&mut self) {
        let _ = self.reader.get_ref().shutdown(Shutdown::Write);
    }

    /// Waits until the other side has closed the connection.
    pub fn wait_for_end(&mut self) {
        let mut rest = [0; 4096];
        while self.read(&mut rest) > 0 {}
    }
}
