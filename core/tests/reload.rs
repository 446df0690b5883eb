//! A configuration that changes while calls run: whatever way a file is changed, proxies that there are obey it; calls in flight end as
//! they began; one that is wrong changes nothing, and says where (F2). The configuration is the process's, so one test runs at a time.

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ambassador_core::call::{Decision, Give, Outcome, Stop};
use ambassador_core::config::{self, configure};
use ambassador_core::event::Event;
use ambassador_core::proxy::Begin;
use ambassador_core::telemetry::{AdminOptions, serve_admin};
use ambassador_core::{AmbassadorProxy, clock};
use common::*;

static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    configure("version: 1\n").unwrap();
    alone
}

struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("ambassador-reload-{}-{}", std::process::id(), NEXT.fetch_add(1, SeqCst));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

type Told = (Vec<String>, Option<String>);

fn hearing(proxy: &AmbassadorProxy) -> Receiver<Told> {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    proxy.on_event(move |_, event| {
        if let Event::Config { changed, why } = event {
            let _ = tell.lock().unwrap().send((changed.clone(), why.clone()));
        }
    });
    told
}

fn next(told: &Receiver<Told>) -> Told {
    told.recv_timeout(PATIENCE).expect("the change is told of")
}

/// The next change. A file that is written in place is empty for a moment: who reads it then says so (F2), and later that it is well
/// again.
fn changed(told: &Receiver<Told>) -> Vec<String> {
    loop {
        let (changed, _) = next(told);
        if !changed.is_empty() {
            return changed;
        }
    }
}

fn text(proxy: &AmbassadorProxy, said: &str) -> String {
    format!("version: 1\ntargets:\n  \"{}\": {{{said}}}\n", proxy.name())
}

fn attempts(proxy: &AmbassadorProxy) -> u32 {
    let Begin::Run(mut call) = proxy.begin(T0) else { panic!("it was refused") };
    let mut now = T0;
    loop {
        match proxy.settle(&mut call, now, Outcome::Retry, None) {
            Decision::WaitUntil(at) => now = at,
            Decision::Finish(Give::LastError, Stop::Exhausted) => return call.attempt(),
            other => panic!("{other:?}"),
        }
        assert_eq!(proxy.resume(&mut call, now), Decision::Run);
    }
}

fn rename_over(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::rename(beside, path).unwrap();
}

#[test]
fn a_file_is_obeyed_whatever_way_it_is_changed() {
    let _alone = alone();
    let (folder, proxy) = (Folder::new(), builder().build().unwrap());
    let told = hearing(&proxy);
    let path = folder.write("ambassador.yaml", &text(&proxy, "max_retries: 4"));
    configure(path.to_str().unwrap()).unwrap();
    assert_eq!((changed(&told), attempts(&proxy)), (vec!["max_retries 3, now 4".to_owned()], 4));

    fs::write(&path, text(&proxy, "max_retries: 5, breaker: {min_calls: 7}")).unwrap();
    let now = changed(&told);
    assert!(
        now.contains(&"max_retries 4, now 5".into()) && now.iter().any(|one| one.ends_with("min_calls null, now 7")),
        "{now:?}"
    );
    assert_eq!(attempts(&proxy), 5);

    rename_over(&path, &text(&proxy, "max_retries: 6"));
    assert!(changed(&told).contains(&"max_retries 5, now 6".into()));

    let included = format!("{}include: more\n", text(&proxy, "max_retries: 6"));
    fs::create_dir(folder.0.join("more")).unwrap();
    rename_over(&path, &included);
    folder.write("more/timeouts.yaml", "defaults: {timeout: 5s}\n");
    assert_eq!(changed(&told), [r#"timeout "2s", now "5s""#]);
    folder.write("more/timeouts.yaml", "defaults: {timeout: 6s}\n");
    assert_eq!(changed(&told), [r#"timeout "5s", now "6s""#]);
}

#[test]
fn a_mounted_config_map_is_obeyed_when_it_is_swapped() {
    let _alone = alone();
    let (folder, proxy) = (Folder::new(), builder().build().unwrap());
    let told = hearing(&proxy);
    for (version, attempts) in [("..1", 4), ("..2", 5)] {
        fs::create_dir(folder.0.join(version)).unwrap();
        folder.write(&format!("{version}/ambassador.yaml"), &text(&proxy, &format!("max_retries: {attempts}")));
    }
    symlink("..1", folder.0.join("..data")).unwrap();
    symlink("..data/ambassador.yaml", folder.0.join("ambassador.yaml")).unwrap();
    configure(folder.0.join("ambassador.yaml").to_str().unwrap()).unwrap();
    assert_eq!(changed(&told), ["max_retries 3, now 4"]);
    symlink("..2", folder.0.join("..data_tmp")).unwrap();
    fs::rename(folder.0.join("..data_tmp"), folder.0.join("..data")).unwrap();
    assert_eq!(changed(&told), ["max_retries 4, now 5"]);
}

#[test]
fn a_call_in_flight_ends_as_it_began() {
    let _alone = alone();
    let proxy = builder().build().unwrap();
    let Begin::Run(mut call) = proxy.begin(T0) else { panic!("it was refused") };
    configure(&text(&proxy, "max_retries: 1, timeout: 9s")).unwrap();
    let Begin::Run(mut later) = proxy.begin(T0) else { panic!("it was refused") };
    configure(&text(&proxy, "max_retries: 2")).unwrap();
    let restored = ambassador_core::call::Call::from_words(later.to_words());
    assert_eq!(restored, later, "what a host keeps of it has all of it");
    assert_eq!(later.bound(), T0 + 9 * clock::SECOND);
    assert!(matches!(proxy.settle(&mut call, T0, Outcome::Retry, None), Decision::WaitUntil(_)));
    assert_eq!(proxy.settle(&mut later, T0, Outcome::Retry, None), Decision::Finish(Give::LastError, Stop::Exhausted));
    assert_eq!(attempts(&proxy), 2);
    proxy.cancel(&mut call, T0);
}

#[test]
fn what_a_change_does_not_concern_stays_as_it_is() {
    let _alone = alone();
    let (proxy, other) = (with_defaults().build().unwrap(), with_defaults().build().unwrap());
    proxy.isolate();
    let before = proxy.health();
    configure(&text(&proxy, "max_retries: 5")).unwrap();
    assert_eq!((proxy.policy().max_retries, proxy.health()), (5, before), "the circuit stays open");
    let Begin::Run(mut call) = other.begin(T0) else { panic!("it was refused") };
    assert_eq!(call.to_words()[4] >> 24 & 0xff, 0, "it is driven as before");
    other.cancel(&mut call, T0);
}

#[test]
fn what_does_not_go_together_with_a_proxy_changes_nothing() {
    let _alone = alone();
    let hedge = ambassador_core::Hedge::after(std::time::Duration::from_secs(1));
    let proxy = builder().idempotent(true).hedge(hedge).build().unwrap();
    let generation = config::generation();
    let faults = configure(&text(&proxy, "max_retries: 5, idempotent: false")).unwrap_err();
    assert!(faults.to_string().contains("idempotent"), "{faults}");
    assert_eq!((proxy.policy().max_retries, config::generation()), (3, generation));
}

#[test]
fn a_broken_file_changes_nothing_under_load_and_the_mended_one_is_seen() {
    const CALLS: u64 = 100_000;
    let _alone = alone();
    let (folder, proxy) = (Folder::new(), with_defaults().build().unwrap());
    let told = hearing(&proxy);
    let admin = serve_admin("127.0.0.1:0", AdminOptions::default()).unwrap();
    let ready = || {
        let mut stream = TcpStream::connect(admin.address()).unwrap();
        write!(stream, "GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        answer
    };
    let path = folder.write("ambassador.yaml", &text(&proxy, "max_retries: 4"));
    configure(path.to_str().unwrap()).unwrap();
    next(&told);
    let (is_over, calls) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut slowest = std::time::Duration::ZERO;
    std::thread::scope(|threads| {
        // Also when the test fails.
        let over = Over(&is_over);
        for _ in 0..2 {
            threads.spawn(|| {
                while !is_over.load(SeqCst) || calls.load(SeqCst) < CALLS {
                    let Begin::Run(mut call) = proxy.begin(clock::now()) else { panic!("it was refused") };
                    let ended = proxy.settle(&mut call, clock::now(), Outcome::Ok, None);
                    assert_eq!(ended, Decision::Finish(Give::Value, Stop::Ok));
                    calls.fetch_add(1, SeqCst);
                }
            });
        }
        for change in 0..50 {
            let attempts = 5 + change % 2;
            if change % 5 == 4 {
                let before = proxy.policy().clone();
                rename_over(&path, "version: 1\ntargets: {x: {max_retries: many}}\n");
                let (_, why) = next(&told);
                let why = why.expect("it is a fault");
                assert!(why.contains("ambassador.yaml:2:28: targets.x.max_retries"), "{why}");
                assert_eq!(*proxy.policy(), before);
                assert!(ready().contains(&why), "{}", ready());
            }
            let began = Instant::now();
            rename_over(&path, &text(&proxy, &format!("max_retries: {attempts}")));
            // First, after a fault, that there is none any more.
            while proxy.policy().max_retries != attempts {
                next(&told);
            }
            slowest = slowest.max(began.elapsed());
            while told.try_recv().is_ok() {}
            if change % 5 == 4 {
                while config::trouble().is_some() {
                    next(&told);
                }
                assert!(ready().ends_with("ready\n"));
            }
        }
        drop(over);
    });
    admin.stop();
    println!("{} calls, 50 changes, the slowest seen after {slowest:?}", calls.load(SeqCst));
}
