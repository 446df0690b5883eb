//! A request for 100 bytes by each of Rust's clients, at 1 and at 64 at once: how many a second, and how much of the processor's time
//! each takes. The server is a process of its own on loopback; all run on runtimes of as many threads.

use std::convert::Infallible;
use std::future::Future;
use std::io::{BufRead, BufReader};
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use ambassador_core::{AmbassadorProxy, http::Body, runtime};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full};
use hyper::client::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};

type Sent<'a> = Pin<Box<dyn Future<Output = usize> + Send + 'a>>;

fn main() {
    if std::env::args().nth(1).as_deref() == Some("serve") {
        return serve();
    }
    let seconds = std::env::var("SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2.0);
    let me = std::env::current_exe().unwrap();
    let mut server = Command::new(me).arg("serve").stdout(Stdio::piped()).spawn().unwrap();
    let mut address = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut address).unwrap();
    let url = format!("http://{}", address.trim());
    println!("{:<28} {:>3} {:>10} {:>14}", "client", "n", "requests/s", "CPU us/request");
    let only = std::env::var("ONLY").ok();
    for at_once in [1, 64] {
        let run = |name: &str, with: fn(&str, usize, Duration) -> (u64, Duration)| {
            if only.as_deref().is_some_and(|only| !name.contains(only)) {
                return;
            }
            let _ = with(&url, at_once, Duration::from_secs_f64(seconds / 4.0));
            let before = cpu();
            let (count, took) = with(&url, at_once, Duration::from_secs_f64(seconds));
            let cpu = (cpu() - before).as_secs_f64() * 1e6 / count as f64;
            println!("{name:<28} {at_once:>3} {:>10.0} {cpu:>14.1}", count as f64 / took.as_secs_f64());
        };
        run("ambassador", ambassador);
        run("reqwest", reqwest_client);
        run("hyper-util", hyper_util_client);
        run("bare hyper connections", bare);
    }
    server.kill().unwrap();
    server.wait().unwrap();
}

/// Answers until it is killed.
fn serve() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let answer = service_fn(|_| async {
                Ok::<_, Infallible>(http::Response::new(Full::new(Bytes::from_static(&[b'x'; 100]))))
            });
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
        }
    });
}

/// So many tasks at once, each with a request of `make` after the other.
async fn load<M, C>(at_once: usize, time: Duration, make: M) -> (u64, Duration)
where
    M: Fn() -> C,
    C: FnMut() -> Sent<'static> + Send + 'static,
{
    let (count, begun) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let tasks: Vec<_> = (0..at_once)
        .map(|_| {
            let (count, mut send) = (Arc::clone(&count), make());
            tokio::spawn(async move {
                while begun.elapsed() < time {
                    assert_eq!(send().await, 100);
                    count.fetch_add(1, Relaxed);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    (count.load(Relaxed), begun.elapsed())
}

fn ambassador(url: &str, at_once: usize, time: Duration) -> (u64, Duration) {
    let proxy = AmbassadorProxy::builder(url).build().unwrap();
    runtime::block_on(async move {
        runtime::handle()
            .spawn(load(at_once, time, move || {
                let proxy = proxy.clone();
                move || {
                    let proxy = proxy.clone();
                    Box::pin(async move {
                        let response = proxy.send(http::Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
                        response.body().as_bytes().unwrap().len()
                    })
                }
            }))
            .await
            .unwrap()
    })
}

fn on_own_runtime<F: Future>(future: F) -> F::Output {
    let threads = std::thread::available_parallelism().map_or(2, |n| n.get().clamp(1, 4));
    tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build().unwrap().block_on(future)
}

fn reqwest_client(url: &str, at_once: usize, time: Duration) -> (u64, Duration) {
    on_own_runtime(async move {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(2)).build().unwrap();
        let url: reqwest::Url = url.parse().unwrap();
        load(at_once, time, move || {
            let (client, url) = (client.clone(), url.clone());
            move || {
                let (client, url) = (client.clone(), url.clone());
                Box::pin(async move { client.get(url).send().await.unwrap().bytes().await.unwrap().len() })
            }
        })
        .await
    })
}

fn hyper_util_client(url: &str, at_once: usize, time: Duration) -> (u64, Duration) {
    on_own_runtime(async move {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
        let url: http::Uri = url.parse().unwrap();
        load(at_once, time, move || {
            let (client, url) = (client.clone(), url.clone());
            move || {
                let (client, url) = (client.clone(), url.clone());
                Box::pin(
                    async move { client.get(url).await.unwrap().into_body().collect().await.unwrap().to_bytes().len() },
                )
            }
        })
        .await
    })
}

/// A connection for each task, and nothing around it.
fn bare(url: &str, at_once: usize, time: Duration) -> (u64, Duration) {
    on_own_runtime(async move {
        let address = url.strip_prefix("http://").unwrap().to_string();
        load(at_once, time, move || {
            let address = address.clone();
            let mut kept = None;
            move || {
                let (address, connection) = (address.clone(), kept.take());
                let slot = Arc::new(std::sync::Mutex::new(None::<http1::SendRequest<Empty<Bytes>>>));
                kept = Some(Arc::clone(&slot));
                Box::pin(async move {
                    let present =
                        connection.and_then(|slot: Arc<std::sync::Mutex<Option<_>>>| slot.lock().unwrap().take());
                    let mut sender = match present {
                        Some(sender) => sender,
                        None => {
                            let stream = TcpStream::connect(&*address).await.unwrap();
                            stream.set_nodelay(true).unwrap();
                            let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
                            tokio::spawn(connection);
                            sender
                        }
                    };
                    sender.ready().await.unwrap();
                    let request = http::Request::get("/").header("host", &*address).body(Empty::new()).unwrap();
                    let response = sender.send_request(request).await.unwrap();
                    let length = response.into_body().collect().await.unwrap().to_bytes().len();
                    *slot.lock().unwrap() = Some(sender);
                    length
                })
            }
        })
        .await
    })
}

/// The processor's time that this process has taken.
fn cpu() -> Duration {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: `getrusage` fills the struct that it is given, as its 0 says.
    let usage = unsafe {
        assert_eq!(libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()), 0);
        usage.assume_init()
    };
    [usage.ru_utime, usage.ru_stime]
        .map(|time| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000))
        .into_iter()
        .sum()
}
