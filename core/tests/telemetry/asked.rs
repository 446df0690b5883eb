//! A client of HTTP that hides nothing: what it sends is written here, what comes back is read to its end.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use ambassador_core::telemetry::{Admin, AdminOptions, serve_admin};

pub struct Answer {
    pub status: u16,
    pub headers: HashMap<String, String>,
    pub body: String,
}

/// A server of the test's own.
pub fn serving() -> Admin {
    serve_admin("127.0.0.1:0", AdminOptions::default()).unwrap()
}

fn head(reader: &mut impl BufRead) -> (u16, HashMap<String, String>) {
    let mut lines = reader.lines().map(|line| line.unwrap());
    let status = lines.next().expect("there is an answer").split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.take_while(|line| !line.is_empty()).map(|line| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_owned(), value.to_owned())
    });
    (status, headers.collect())
}

/// Sends a request line and these header lines, and reads all that comes.
pub fn ask(address: SocketAddr, request: &str, lines: &[&str]) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    write!(stream, "{request} HTTP/1.1\r\n{lines}connection: close\r\n\r\n").unwrap();
    let mut reader = BufReader::new(stream);
    let (status, headers) = head(&mut reader);
    let mut body = String::new();
    reader.read_to_string(&mut body).unwrap();
    Answer { status, headers, body }
}

pub fn get(address: SocketAddr, path: &str) -> Answer {
    ask(address, &format!("GET {path}"), &["host: localhost"])
}

/// A stream of events, read as far as it was asked for.
pub struct Events(BufReader<TcpStream>);

impl Events {
    pub fn open(address: SocketAddr, path: &str) -> Events {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        let mut reader = BufReader::new(stream);
        let (status, headers) = head(&mut reader);
        assert_eq!((status, &*headers["content-type"]), (200, "text/event-stream; charset=utf-8"));
        let mut events = Events(reader);
        // Its first line: from here on, what happens is heard.
        while !events.line().starts_with(": ") {}
        events
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.0.read_line(&mut line).unwrap() > 0, "the stream has ended");
        line.trim_end().to_owned()
    }

    /// The next event: its kind, and its JSON.
    pub fn next(&mut self) -> (String, serde_json::Value) {
        loop {
            let line = self.line();
            if let Some(kind) = line.strip_prefix("event: ") {
                let line = self.line();
                return (kind.to_owned(), serde_json::from_str(line.strip_prefix("data: ").unwrap()).unwrap());
            }
        }
    }
}
