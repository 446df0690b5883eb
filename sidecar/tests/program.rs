//! The `ambassador` program as a user runs it: its first line, its end by a signal, and `demo --clients` with clients that
//! are honest and clients that are not. The clients are `clients/payments.sh`, which needs bash for its sockets.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Long enough for any machine; nothing here waits for it unless it fails.
const PATIENCE: Duration = Duration::from_secs(10);

fn ambassador(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ambassador"));
    command.arg("demo").args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Sends a signal by the shell's own `kill`.
fn signal(child: &Child, name: &str) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", child.id())]).status().unwrap();
    assert!(sent.success());
}

/// A folder of this test's own.
fn folder(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A file of one client for each kind named.
fn clients_file(folder: &Path, kinds: &[(&str, &str)]) -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/payments.sh");
    let clients: Vec<_> = kinds
        .iter()
        .map(|(language, kind)| {
            let prefix = language.to_lowercase();
            format!("[[client]]\nlanguage = {language:?}\ncommand = [\"bash\", {script:?}, {kind:?}, {prefix:?}]\n")
        })
        .collect();
    let file = folder.join("clients.toml");
    fs::write(&file, clients.concat()).unwrap();
    file
}

/// Runs clients of these kinds against a calm API.
fn run_clients(test: &str, kinds: &[(&str, &str)]) -> (Output, String) {
    let folder = folder(test);
    let file = clients_file(&folder, kinds);
    let logs = folder.join("logs");
    let output = ambassador(&["--calm", "--clients", file.to_str().unwrap(), "--logs", logs.to_str().unwrap()])
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout.clone()).unwrap();
    (output, stdout)
}

/// The table's row of that language, its cells joined by single spaces.
fn row(stdout: &str, language: &str) -> String {
    let table = stdout.split_once("charged twice").unwrap_or_else(|| panic!("no table in {stdout}")).1;
    let row = table.lines().find(|line| line.split_whitespace().next() == Some(language));
    row.unwrap_or_else(|| panic!("no row of {language} in {stdout}")).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_first_line_is_the_url_and_a_signal_ends_it_at_once_with_0() {
    for name in ["INT", "TERM"] {
        let mut demo = ambassador(&["--misbehave", "hang=100"]).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(demo.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
        let address = url.trim().strip_prefix("http://").expect("a URL");
        // A request that hangs is under way, and must not hold the end up.
        let mut hung = TcpStream::connect(address).unwrap();
        let body = r#"{"order":"c-1","amount":1}"#;
        write!(
            hung,
            "POST /charges HTTP/1.1\r\nhost: x\r\nidempotency-key: k\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut ledger = String::new();
        while !ledger.contains("c-1") {
            ledger.clear();
            let mut asking = TcpStream::connect(address).unwrap();
            asking.write_all(b"GET /ledger HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
            asking.read_to_string(&mut ledger).unwrap();
        }
        let begun = Instant::now();
        signal(&demo, name);
        assert_eq!(demo.wait().unwrap().code(), Some(0), "SIG{name}");
        assert!(begun.elapsed() < PATIENCE / 2, "SIG{name} ended it after {:?}", begun.elapsed());
    }
}

#[test]
fn the_port_is_the_one_asked_for_and_a_taken_one_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let refused = ambassador(&["--port", &port]).output().unwrap();
    let why = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(why.contains(&format!("127.0.0.1:{port}")) && why.contains("--port 0"), "{why}");

    drop(taken);
    let mut demo = ambassador(&["--port", &port]).spawn().unwrap();
    let mut url = String::new();
    BufReader::new(demo.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
    assert_eq!(url, format!("http://127.0.0.1:{port}\n"));
    signal(&demo, "TERM");
    demo.wait().unwrap();
}

#[test]
fn a_wrong_mix_is_refused_by_name() {
    let refused = ambassador(&["--misbehave", "rude=5"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("`rude` is no misbehaviour"));
}

#[test]
fn honest_clients_end_in_a_table_that_adds_up() {
    let (output, stdout) = run_clients("honest", &[("One", "honest"), ("Two", "honest")]);
    assert_eq!(output.status.code(), Some(0), "{stdout}");
    assert_eq!(row(&stdout, "One"), "One 3 5 2 1 3 0 0 0.2 s");
    assert_eq!(row(&stdout, "all"), "all 6 10 4 2 6 0 0 0.2 s");
    assert!(stdout.contains("One  [Ambassador] Retry 1 after 7ms: said by one"), "{stdout}");
    assert!(stdout.contains("No order was charged twice"), "{stdout}");
    assert!(stdout.contains("examples/") && stdout.contains("docs/") && stdout.contains("make test"), "{stdout}");
}

#[test]
fn what_a_client_says_before_its_report_need_not_be_text() {
    let (output, stdout) = run_clients("binary", &[("One", "binary")]);
    assert_eq!(output.status.code(), Some(0), "{stdout}");
    assert_eq!(row(&stdout, "One"), "One 3 5 2 1 3 0 0 0.2 s");
}

#[test]
fn a_client_with_a_new_key_for_each_attempt_is_caught() {
    let (output, stdout) = run_clients("new-keys", &[("One", "honest"), ("Two", "new-keys")]);
    assert_eq!(output.status.code(), Some(1), "{stdout}");
    assert_eq!(row(&stdout, "Two"), "Two 3 5 2 1 3 3 0 0.2 s");
    assert_eq!(row(&stdout, "all"), "all 6 10 4 2 6 3 0 0.2 s");
    assert!(stdout.contains("Two charged twice: two-1, two-2, two-3."), "{stdout}");
}

#[test]
fn a_client_that_boasts_is_caught() {
    let (output, stdout) = run_clients("boasts", &[("One", "boasts")]);
    assert_eq!(output.status.code(), Some(1), "{stdout}");
    assert!(stdout.contains("One says that it charged 4 orders; the ledger says 3."), "{stdout}");
}

#[test]
fn a_client_that_dies_or_says_nothing_or_cannot_start_is_shown_with_its_log() {
    let (output, stdout) = run_clients("dies", &[("One", "dies"), ("Two", "silent"), ("Three", "honest")]);
    assert_eq!(output.status.code(), Some(1), "{stdout}");
    assert!(stdout.contains("One failed: it ended with exit status: 3."), "{stdout}");
    assert!(stdout.contains("    out of memory"), "{stdout}");
    assert!(stdout.contains("Two failed: it said nothing on stdout."), "{stdout}");
    assert_eq!(row(&stdout, "One"), "One - - - - 3 0 - -");
    assert_eq!(row(&stdout, "Three"), "Three 3 5 2 1 3 0 0 0.2 s");

    let folder = folder("no-such-program");
    let file = folder.join("clients.toml");
    fs::write(&file, "[[client]]\nlanguage = 'One'\ncommand = ['no-such-program']\n").unwrap();
    let output =
        ambassador(&["--clients", file.to_str().unwrap(), "--logs", folder.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stdout).unwrap().contains("cannot start no-such-program"));
}

#[test]
fn a_demo_cut_short_takes_its_clients_along() {
    let folder = folder("cut-short");
    let file = clients_file(&folder, &[("One", "hangs")]);
    let mut demo =
        ambassador(&["--clients", file.to_str().unwrap(), "--logs", folder.to_str().unwrap()]).spawn().unwrap();
    let log = folder.join("one.log");
    let begun = Instant::now();
    let client = loop {
        let said = fs::read_to_string(&log).unwrap_or_default();
        if let Some((_, pid)) = said.split_once("about to hang as ")
            && let Some((pid, _)) = pid.split_once('.')
        {
            break pid.to_owned();
        }
        assert!(begun.elapsed() < PATIENCE, "the client never got to where it hangs");
        std::thread::sleep(Duration::from_millis(1));
    };
    assert!(runs(&client));
    signal(&demo, "INT");
    assert_eq!(demo.wait().unwrap().code(), Some(130));
    let begun = Instant::now();
    while runs(&client) {
        assert!(begun.elapsed() < PATIENCE, "the client outlived the demo");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether a process runs; one that has ended and was not waited for does not.
fn runs(pid: &str) -> bool {
    let state = Command::new("ps").args(["-o", "stat=", "-p", pid]).output().unwrap();
    let state = String::from_utf8(state.stdout).unwrap();
    !state.trim().is_empty() && !state.starts_with('Z')
}

#[test]
fn a_file_of_clients_that_cannot_be_used_says_why() {
    let missing = ambassador(&["--clients", "no-such-file.toml"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8(missing.stderr).unwrap().contains("no-such-file.toml"));
}

#[test]
fn the_last_endpoint_is_killed_after_as_many_requests_as_were_asked_for() {
    let mut demo = ambassador(&["--endpoints", "2", "--kill-after", "1", "--calm"]).spawn().unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    let urls = lines.next().unwrap().unwrap();
    let [first, second] = urls.split(' ').collect::<Vec<_>>()[..] else { panic!("not two URLs: {urls}") };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/payments.sh");
    let client = Command::new("bash").arg(script).args(["honest", "one", first]).output().unwrap();
    assert!(client.status.success());
    let killed = lines.map(Result::unwrap).find(|line| line.contains("is killed")).unwrap();
    assert_eq!(killed, format!("{second} is killed, after 1 requests."));
    signal(&demo, "TERM");
    assert_eq!(demo.wait().unwrap().code(), Some(0));
}
