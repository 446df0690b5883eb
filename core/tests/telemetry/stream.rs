//! The stream of events (S1): who reads hears of every call and attempt, or how many were missed; and no call waits for who reads
//! nothing, throws or hangs.

use std::io::Write;
use std::net::TcpStream;
use std::thread;

use ambassador_core::AmbassadorProxy;
use ambassador_core::call::Outcome;

use crate::asked::*;
use crate::common::*;
use crate::parsed::Parsed;

fn call(proxy: &AmbassadorProxy) {
    let mut call = begin(proxy, T0);
    let _ = proxy.settle(&mut call, T0 + 5, Outcome::Ok, None);
}

#[test]
fn who_reads_hears_of_the_attempt_and_of_the_call() {
    let (admin, proxy) = (serving(), builder().build().unwrap());
    let mut events = Events::open(admin.address(), "/v1/events");
    call(&proxy);
    let mut own = std::iter::repeat_with(|| events.next()).filter(|(_, event)| event["name"] == proxy.name());
    let (attempt, ended) = (own.next().unwrap(), own.next().unwrap());
    assert_eq!((&*attempt.0, &*ended.0), ("attempt", "call"));
    assert_eq!((&attempt.1["outcome"], &ended.1["elapsed_ns"]), (&"ok".into(), &5.into()));
    assert!(ended.1["at_ms"].as_u64().unwrap() > 1_700_000_000_000, "{}", ended.1);
    admin.stop();
}

#[test]
fn who_wants_only_what_matters_hears_of_no_call_that_is_well() {
    let (admin, proxy) = (serving(), with_defaults().build().unwrap());
    let mut events = Events::open(admin.address(), "/v1/events?level=warn");
    call(&proxy);
    proxy.isolate();
    let mut own = std::iter::repeat_with(|| events.next()).filter(|(_, event)| event["name"] == proxy.name());
    let (kind, event) = own.next().unwrap();
    assert_eq!((&*kind, &event["to"]), ("circuit", &"isolated".into()));
    assert_eq!(get(admin.address(), "/v1/events?level=loud").status, 400);
    admin.stop();
}

#[test]
fn what_a_reader_is_too_slow_for_it_is_told_the_number_of() {
    alone("stream::what_a_reader_is_too_slow_for_it_is_told_the_number_of", || {
        let (admin, proxy) = (serving(), builder().build().unwrap());
        let mut events = Events::open(admin.address(), "/v1/events");
        // More than are kept for it, and more than the connection's buffers hold.
        let calls = 200_000;
        (0..calls).for_each(|_| call(&proxy));
        let last = with_defaults().build().unwrap();
        let (mut heard, mut lost) = (0, 0);
        loop {
            // Until it has caught up: what is told of now it will hear.
            last.isolate();
            last.reset();
            match events.next() {
                (_, event) if event["name"] == last.name() => break,
                (kind, event) if kind == "lost" => lost += event["lost"].as_u64().unwrap(),
                _ => heard += 1,
            }
        }
        assert!(heard > 0 && lost > 0, "{heard} heard, {lost} lost");
        assert!(heard + lost >= 2 * calls, "{heard} heard and {lost} lost of {}", 2 * calls);
        assert!(Parsed::now().sum("ambassador_stream_events_dropped_total", &[]) >= lost);
    });
}

#[test]
fn a_hundred_readers_that_read_nothing_hold_no_call_and_no_other_reader_up() {
    alone("stream::a_hundred_readers_that_read_nothing_hold_no_call_and_no_other_reader_up", || {
        let (admin, proxy) = (serving(), builder().build().unwrap());
        let stuck: Vec<TcpStream> = (0..100)
            .map(|_| {
                let mut stream = TcpStream::connect(admin.address()).unwrap();
                write!(stream, "GET /v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
                stream
            })
            .collect();
        while Parsed::now().sum("ambassador_stream_readers", &[]) < 100 {
            thread::yield_now();
        }
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..25_000).for_each(|_| call(&proxy)));
            }
        });
        assert_eq!(number(&proxy, "calls.ok"), 100_000);
        let mut events = Events::open(admin.address(), "/v1/events?level=info");
        let other = with_defaults().build().unwrap();
        // Right after so much there may be no room for what is told: then that is lost, the reader hears so, and it is told of anew.
        loop {
            other.isolate();
            other.reset();
            if events.next().1["name"] == other.name() {
                break;
            }
        }
        assert_eq!(get(admin.address(), "/healthz").status, 200);
        drop((stuck, events));
        // When nobody reads any more, events cost nothing again.
        while Parsed::now().sum("ambassador_stream_readers", &[]) > 0 {
            thread::yield_now();
        }
    });
}
