//! The payment API over real sockets: each misbehaviour as it is seen on the wire, the checks of a request, and the ledger.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use ambassador_sidecar::demo::plan::{Act, Mix, Plan};
use ambassador_sidecar::demo::server::Server;
use serde_json::Value;
use tokio::runtime::Runtime;

/// Long enough for any machine; nothing here waits for it unless it fails.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running API, and the runtime it runs on.
struct Api {
    server: Server,
    address: SocketAddr,
    _runtime: Runtime,
}

fn api(mix: &str) -> Api {
    let mix = if mix.is_empty() { Mix::CALM } else { mix.parse().unwrap() };
    api_with(Plan::new(1, mix))
}

fn api_with(plan: Plan) -> Api {
    api_at(1, plan)
}

fn address(url: &str) -> SocketAddr {
    url.strip_prefix("http://").unwrap().parse().unwrap()
}

fn api_at(endpoints: usize, plan: Plan) -> Api {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = runtime.block_on(async { Server::start(0, endpoints, plan) }).unwrap();
    let address = address(&server.url());
    Api { server, address, _runtime: runtime }
}

/// A seed whose first request meets that act.
fn plan_that_begins(mix: &str, wanted: impl Fn(Act) -> bool) -> Plan {
    (0..).map(|seed| Plan::new(seed, mix.parse().unwrap())).find(|plan| wanted(plan.act(1))).unwrap()
}

/// What came back until the connection ended, and how it ended.
struct Answer {
    text: String,
    ended: Result<(), ErrorKind>,
}

impl Answer {
    fn status(&self) -> u16 {
        self.text
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or_else(|| panic!("no status in {:?}", self.text))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.text.lines().take_while(|line| !line.is_empty()).find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn json(&self) -> Value {
        serde_json::from_str(self.text.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

impl Api {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn send(&self, request: &str) -> Answer {
        let mut stream = self.connect();
        // A server that resets at once may do so while the rest of the request is under way.
        let _ = stream.write_all(request.as_bytes());
        read(stream)
    }

    fn get(&self, path: &str) -> Answer {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"))
    }

    fn charge(&self, key: &str, order: &str) -> Answer {
        self.send(&charge(key, order))
    }

    fn ledger(&self) -> Value {
        self.get("/ledger").json()
    }
}

fn charge(key: &str, order: &str) -> String {
    post(&format!("idempotency-key: {key}\r\n"), &format!(r#"{{"order":"{order}","amount":9.99}}"#))
}

fn post(headers: &str, body: &str) -> String {
    format!(
        "POST /charges HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn read(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let ended = stream.read_to_end(&mut bytes).map(|_| ()).map_err(|error| error.kind());
    Answer { text: String::from_utf8(bytes).unwrap(), ended }
}

#[test]
fn a_charge_is_answered_and_stands_in_the_ledger() {
    let api = api("");
    let answer = api.charge("k1", "c-1");
    assert_eq!((answer.status(), answer.json()["status"].as_str()), (201, Some("charged")));
    assert_eq!(answer.json()["amount"], 9.99);
    let ledger = api.ledger();
    assert_eq!(
        ledger["charges"][0],
        serde_json::json!({ "key": "k1", "order": "c-1", "amount": 9.99, "asked": 1, "charged_at": 1, "charge": "ch_000001" })
    );
    assert_eq!(ledger["not_charged"], serde_json::json!([]));
    assert_eq!(api.get("/healthz").json()["status"], "ok");
}

#[test]
fn the_same_key_gets_the_same_charge_again() {
    let api = api("");
    let (first, second) = (api.charge("k1", "c-1"), api.charge("k1", "c-1"));
    assert_eq!((first.status(), second.status()), (201, 200));
    assert_eq!(first.json(), second.json());
    let ledger = api.ledger();
    assert_eq!(ledger["charges"].as_array().unwrap().len(), 1);
    assert_eq!(ledger["charges"][0]["asked"], 2);
}

#[test]
fn a_hundred_connections_that_send_one_key_at_once_make_one_charge() {
    let api = api("");
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..100).map(|_| scope.spawn(|| api.charge("k1", "c-1").json())).collect();
        for one in asking {
            assert_eq!(one.join().unwrap()["charge"], "ch_000001");
        }
    });
    assert_eq!(api.ledger()["charges"][0]["asked"], 100);
}

#[test]
fn a_wrong_request_is_told_what_is_wrong() {
    let api = api("");
    let key = "idempotency-key: k\r\n";
    let good = r#"{"order":"c-1","amount":1}"#;
    let large = format!(r#"{{"order":"{}","amount":1}}"#, "x".repeat(20_000));
    let long_key = format!("idempotency-key: {}\r\n", "k".repeat(201));
    for (request, status, message) in [
        (post("", good), 400, "Idempotency-Key"),
        (post("idempotency-key: \r\n", good), 400, "Idempotency-Key"),
        (post(&long_key, good), 400, "Idempotency-Key"),
        (post(key, "not json"), 400, "expected JSON like"),
        (post(key, r#"{"order":"c-1"}"#), 400, "missing field `amount`"),
        (post(key, r#"{"order":"","amount":1}"#), 400, "order: expected"),
        (post(key, r#"{"order":"c-1","amount":0}"#), 400, "amount: 0 is not allowed"),
        (post(key, r#"{"order":"c-1","amount":-1}"#), 400, "amount: -1 is not allowed"),
        (post(key, r#"{"order":"c-1","amount":1e999}"#), 400, "number out of range"),
        (post(key, &large), 413, "larger than 16384 bytes"),
        ("GET /charges HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".into(), 405, "only POST"),
        ("GET /nothing HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".into(), 404, "there is no /nothing"),
    ] {
        let answer = api.send(&request);
        assert_eq!(answer.status(), status, "{request}");
        let why = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(why.contains(message), "{why}");
    }
    assert_eq!(api.ledger(), serde_json::json!({ "charges": [], "not_charged": [] }), "none of them was charged");
}

#[test]
fn a_key_cannot_be_used_for_another_order() {
    let api = api("");
    assert_eq!(api.charge("k1", "c-1").status(), 201);
    let taken = api.charge("k1", "c-2");
    assert_eq!(taken.status(), 422);
    assert!(taken.json()["error"].as_str().unwrap().contains("order c-1"));
}

#[test]
fn a_slow_answer_comes_late_and_its_charge_is_made_at_once() {
    let api = api("slow=100");
    let mut stream = api.connect();
    let begun = Instant::now();
    stream.write_all(charge("k1", "c-1").as_bytes()).unwrap();
    let answer = read(stream);
    assert_eq!(answer.status(), 201);
    assert!(begun.elapsed() >= Duration::from_millis(100), "after {:?}", begun.elapsed());

    // A client that goes away meanwhile has been charged all the same.
    let mut impatient = api.connect();
    impatient.write_all(charge("k2", "c-2").as_bytes()).unwrap();
    let begun = Instant::now();
    while api.server.payments().ledger().charges().len() < 2 {
        assert!(begun.elapsed() < PATIENCE, "never charged");
        std::thread::yield_now();
    }
    drop(impatient);
}

#[test]
fn a_503_comes_with_and_without_retry_after_and_charges_nothing() {
    for wanted in [None, Some(0), Some(1)] {
        let api = api_with(plan_that_begins("unavailable=100", |act| act == Act::Unavailable(wanted)));
        let answer = api.charge("k1", "c-1");
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.header("retry-after"), wanted.map(|seconds| seconds.to_string()).as_deref());
        assert_eq!(answer.ended, Ok(()));
        assert_eq!(api.ledger()["charges"], serde_json::json!([]));
        assert_eq!(api.ledger()["not_charged"][0]["asked"], 1);
    }
}

#[test]
fn a_reset_comes_in_the_middle_of_the_response_whether_charged_or_not() {
    for charged in [true, false] {
        let api = api_with(plan_that_begins("reset=100", |act| act == Act::Reset { charged }));
        let answer = api.charge("k1", "c-1");
        assert_eq!(answer.ended, Err(ErrorKind::ConnectionReset), "RST and not an orderly end");
        let (head, body) = answer.text.split_once("\r\n\r\n").expect("the head of the response comes through");
        assert!(head.starts_with("HTTP/1.1 "));
        let announced: usize = answer.header("content-length").unwrap().parse().unwrap();
        assert!(!body.is_empty() && body.len() < announced, "{} of {announced} bytes", body.len());
        assert_eq!(api.ledger()["charges"].as_array().unwrap().len(), usize::from(charged));
    }
}

#[test]
fn a_charge_whose_answer_was_lost_is_given_again_under_its_key() {
    let plan = plan_that_begins("reset=50", |act| act == Act::Reset { charged: true });
    let api = api_with(plan);
    assert_eq!(api.charge("k1", "c-1").ended, Err(ErrorKind::ConnectionReset));
    let number_of_the_answer = (2..).find(|number| plan.act(*number) == Act::Answer).unwrap();
    for _ in 2..number_of_the_answer {
        assert_eq!(api.charge("k1", "c-1").ended, Err(ErrorKind::ConnectionReset));
    }
    let answer = api.charge("k1", "c-1");
    assert_eq!((answer.status(), answer.json()["charge"].as_str()), (200, Some("ch_000001")));
    assert_eq!(api.ledger()["charges"][0]["asked"], number_of_the_answer);
    assert_eq!(api.ledger()["charges"][0]["charged_at"], 1);
}

#[test]
fn a_hung_request_is_never_answered_whether_charged_or_not() {
    for charged in [true, false] {
        let api = api_with(plan_that_begins("hang=100", |act| act == Act::Hang { charged }));
        let mut stream = api.connect();
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        stream.write_all(charge("k1", "c-1").as_bytes()).unwrap();
        let answer = read(stream);
        assert_eq!((answer.text.as_str(), answer.ended), ("", Err(ErrorKind::WouldBlock)));
        assert_eq!(api.ledger()["charges"].as_array().unwrap().len(), usize::from(charged));
    }
}

#[test]
fn an_outage_refuses_connections_for_a_while_and_the_same_port_comes_back() {
    let api = api("refuse=100");
    let idle = api.connect();
    assert_eq!(api.charge("k1", "c-1").ended, Err(ErrorKind::ConnectionReset));

    let begun = Instant::now();
    let refused = TcpStream::connect(api.address).map(|_| ()).map_err(|error| error.kind());
    assert_eq!(refused, Err(ErrorKind::ConnectionRefused));
    assert_eq!(read(idle).text, "", "an idle connection is closed");
    while let Err(error) = TcpStream::connect(api.address) {
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert!(begun.elapsed() < PATIENCE, "the port stays closed");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(api.get("/healthz").status(), 200);
    assert_eq!(api.ledger()["charges"], serde_json::json!([]));
}

#[test]
fn a_request_under_way_when_an_outage_begins_still_gets_its_answer() {
    // The first request is slow, the second brings the outage.
    let plan = (0..)
        .map(|seed| Plan::new(seed, "slow=50,refuse=50".parse().unwrap()))
        .find(|plan| matches!((plan.act(1), plan.act(2)), (Act::Slow(_), Act::Refuse(_))))
        .unwrap();
    let api = api_with(plan);
    let mut slow = api.connect();
    slow.write_all(charge("k1", "c-1").as_bytes()).unwrap();
    while api.server.payments().ledger().charges().is_empty() {
        std::thread::yield_now();
    }
    assert_eq!(api.charge("k2", "c-2").ended, Err(ErrorKind::ConnectionReset));
    assert_eq!(read(slow).status(), 201);
}

#[test]
fn the_same_seed_misbehaves_the_same_on_the_wire() {
    let play = || {
        let api = api_with(Plan::new(7, "unavailable=30,reset=30".parse().unwrap()));
        let seen = |n: u32| {
            let answer = api.charge(&format!("k{n}"), &format!("c-{n}"));
            (answer.text, answer.ended)
        };
        let all: Vec<_> = (0..30).map(seen).collect();
        // The date is no part of the plan.
        all.into_iter()
            .map(|(text, ended)| (text.lines().filter(|line| !line.starts_with("date")).collect::<String>(), ended))
            .collect()
    };
    let (first, second): (Vec<_>, Vec<_>) = (play(), play());
    assert_eq!(first, second);
    assert!(first.iter().any(|(_, ended)| ended.is_err()) && first.iter().any(|(_, ended)| ended.is_ok()));
}

#[test]
fn a_client_that_goes_away_half_way_harms_nobody() {
    let api = api("");
    let request = charge("k1", "c-1");
    for end in 1..request.len() {
        let mut stream = api.connect();
        stream.write_all(&request.as_bytes()[..end]).unwrap();
    }
    assert_eq!(api.charge("k2", "c-2").status(), 201);
    assert_eq!(api.ledger()["charges"].as_array().unwrap().len(), 1);
}

#[test]
fn endpoints_share_one_ledger_and_one_that_is_killed_resets_and_refuses() {
    let mut api = api_at(2, Plan::new(1, Mix::CALM));
    let [first, second] = [0, 1].map(|at| address(&api.server.endpoints()[at].url()));
    assert_eq!(api.send(&charge("k", "c-1")).status(), 201);
    api.address = second;
    assert_eq!(api.send(&charge("k", "c-1")).status(), 200, "the same key, at another endpoint");

    // One connection is idle, and another waits for the end of its request.
    let [idle, mut busy] = [api.connect(), api.connect()];
    busy.write_all(b"POST /charges HTTP/1.1\r\n").unwrap();
    assert_eq!(api.get("/healthz").status(), 200, "both have been accepted before this one");
    api.server.endpoints()[1].kill();
    for stream in [idle, busy] {
        assert_eq!(read(stream).ended, Err(ErrorKind::ConnectionReset));
    }
    assert_eq!(TcpStream::connect(second).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    api.address = first;
    assert_eq!(api.get("/ledger").json()["charges"][0]["asked"], 2);
    let requests = api.server.endpoints().iter().map(|endpoint| endpoint.requests()).collect::<Vec<_>>();
    assert_eq!((requests, api.server.endpoints()[1].is_killed()), (vec![2, 2], true));
}
