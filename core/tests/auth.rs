//! How requests say who sends them, and that it is said to nobody else: credentials in headers, and tokens that are fetched from a
//! real server.
#![cfg(feature = "http")]

mod common;
mod kit;

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use ambassador_core::http::Body;
use ambassador_core::http::auth::{AuthFault, Authorizer, Origin, check};
use ambassador_core::policy::auth::{Auth, ClientCredentials, Secret, Token};
use ambassador_core::policy::tls::Tls;
use ambassador_core::target::Target;
use ambassador_core::testing::VirtualTime;
use ambassador_core::{AmbassadorProxy, Code, runtime};
use common::{alone, alone_with};
use http::{HeaderMap, HeaderValue, Request};
use kit::misbehaving::Server;
use kit::tls::Folder;
use kit::told::Told;

const API: &str = "https://api.example.com";

fn authorizer(auth: &Auth) -> Authorizer {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("auth test {}", NEXT.fetch_add(1, SeqCst));
    Authorizer::new(auth, &target(), &Tls::default(), &name).expect("the settings are right")
}

fn target() -> Target {
    Target::parse(API).unwrap()
}

fn own() -> Origin {
    Origin::of_target(&target())
}

/// What a request to the target is sent with.
fn headers(authorizer: &Authorizer) -> Result<HeaderMap, AuthFault> {
    let mut headers = HeaderMap::new();
    runtime::block_on(authorizer.authorize(&own(), &mut headers)).map(|_| headers)
}

fn authorization(authorizer: &Authorizer) -> String {
    headers(authorizer).unwrap()["authorization"].to_str().unwrap().into()
}

fn given(token: &str) -> Auth {
    Auth::Bearer(Token::Value(Secret::new(token)))
}

fn basic(username: &str, password: &str) -> Auth {
    Auth::Basic { username: username.into(), password: Secret::new(password) }
}

fn key(header: &str, key: &str) -> Auth {
    Auth::ApiKey { header: header.into(), key: Secret::new(key) }
}

fn client(token_url: String) -> ClientCredentials {
    ClientCredentials {
        token_url,
        client_id: "the client".into(),
        client_secret: Secret::new("s3cr:t&more"),
        scope: Some("read write".into()),
    }
}

fn oauth2(server: &Server) -> Authorizer {
    authorizer(&Auth::OAuth2(client(format!("{}/oauth/token", server.url()))))
}

/// A token endpoint that gives `token-0`, `token-1`, …, with whatever else.
fn giving(rest: &str) -> Server {
    let (rest, next) = (rest.to_owned(), AtomicU32::new(0));
    Server::scripted(move |peer| {
        while peer.request().is_some() {
            let number = next.fetch_add(1, SeqCst);
            peer.answer(200, &[], format!(r#"{{"access_token":"token-{number}"{rest}}}"#).as_bytes());
        }
    })
}

/// A token endpoint that answers each request so.
fn answering(status: u16, body: &str) -> Server {
    let body = body.to_owned();
    Server::scripted(move |peer| {
        while peer.request().is_some() {
            peer.answer(status, &[], body.as_bytes());
        }
    })
}

#[test]
fn tokens_passwords_and_keys_are_sent_as_their_rfcs_say_and_are_marked_sensitive() {
    for (auth, name, value) in [
        (given("t0ken"), "authorization", "Bearer t0ken"),
        // The examples of RFC 7617.
        (basic("Aladdin", "open sesame"), "authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        (basic("test", "123£"), "authorization", "Basic dGVzdDoxMjPCow=="),
        (basic("", "a:b"), "authorization", "Basic OmE6Yg=="),
        (key("X-Api-Key", "k3y"), "x-api-key", "k3y"),
    ] {
        let sent = headers(&authorizer(&auth)).unwrap();
        assert_eq!((sent.len(), &sent[name]), (1, &HeaderValue::from_static(value)));
        assert!(sent[name].is_sensitive());
        check(&auth, &target(), &Tls::default(), "test").unwrap();
    }
}

#[test]
fn credentials_are_for_the_targets_origin_alone() {
    for auth in [given("t0ken"), basic("name", "password"), key("x-api-key", "k3y")] {
        let authorizer = authorizer(&auth);
        for elsewhere in ["http://api.example.com/", "https://api.example.com:8443/", "https://example.com/"] {
            let (mut headers, origin) = (HeaderMap::new(), Origin::of_uri(&elsewhere.parse().unwrap()).unwrap());
            let sent = runtime::block_on(authorizer.authorize(&origin, &mut headers)).unwrap();
            assert!(headers.is_empty(), "{elsewhere}");
            assert!(!authorizer.refused(&sent));
        }
    }
}

#[test]
fn a_request_that_says_itself_who_sends_it_is_left_alone() {
    let mut headers =
        HeaderMap::from_iter([("authorization".parse().unwrap(), HeaderValue::from_static("Bearer mine"))]);
    let server = giving("");
    let authorizer = oauth2(&server);
    let sent = runtime::block_on(authorizer.authorize(&own(), &mut headers)).unwrap();
    assert_eq!(headers["authorization"], "Bearer mine");
    assert!(!authorizer.refused(&sent));
    assert_eq!(server.connections(), 0);
}

#[test]
fn what_no_header_can_hold_is_an_error_that_does_not_show_it() {
    for (auth, field) in [
        (given("hidden\nsecret"), "auth.bearer"),
        (given("hidden£"), "auth.bearer"),
        (given(""), "auth.bearer"),
        (key("x-api-key", "hidden\r\nx: y"), "auth.api_key"),
        (key("not a name", "hidden"), "auth.api_key_header"),
        (basic("a:b", "hidden"), "auth.username"),
        (basic("a\nb", "hidden"), "auth.username"),
        (basic("ab", "hidden\n"), "auth.password"),
        (Auth::OAuth2(client("ftp://example.com/hidden?hidden".into())), "auth.token_url"),
        (Auth::OAuth2(client("https://name:hidden@example.com/".into())), "auth.token_url"),
    ] {
        let wrong = check(&auth, &target(), &Tls::default(), "test").expect_err(field);
        assert_eq!(wrong.field, field);
        assert!(!format!("{wrong:?}").contains("hidden") || field == "auth.token_url", "{wrong:?}");
        assert!(!format!("{wrong:?}").contains(":hidden"), "{wrong:?}");
    }
}

#[test]
fn a_token_of_the_environment_is_the_one_that_is_there() {
    const NAME: &str = "a_token_of_the_environment_is_the_one_that_is_there";
    // Not `PATH`-like: a value of each kind, set for a process that runs this alone.
    let set = [("AMB_TOKEN", Some("t0ken".as_ref())), ("AMB_BROKEN", Some("hid\nden".as_ref())), ("AMB_NONE", None)];
    alone_with(NAME, &set, || {
        let of = |variable: &str| headers(&authorizer(&Auth::Bearer(Token::Env(variable.into()))));
        assert_eq!(of("AMB_TOKEN").unwrap()["authorization"], "Bearer t0ken");
        let missing = of("AMB_NONE").unwrap_err().to_string();
        assert!(missing.contains("AMB_NONE") && missing.contains("is not set"), "{missing}");
        let broken = of("AMB_BROKEN").unwrap_err().to_string();
        assert!(broken.contains("AMB_BROKEN") && !broken.contains("den\n") && !broken.contains("hid"), "{broken}");
    });
}

#[test]
fn a_token_of_a_file_is_read_again_when_it_changes_and_the_last_good_one_stays() {
    let folder = Folder::new();
    let path = folder.file("token", "first\n");
    let authorizer = authorizer(&Auth::Bearer(Token::File(path.clone())));
    assert_eq!(authorization(&authorizer), "Bearer first");
    folder.swap("token", "second");
    assert_eq!(authorization(&authorizer), "Bearer second");
    for broken in ["", "  \n", "third\nline", "thírd"] {
        folder.file("token", broken);
        assert_eq!(authorization(&authorizer), "Bearer second", "{broken:?}");
    }
    std::fs::remove_file(&path).unwrap();
    assert_eq!(authorization(&authorizer), "Bearer second");
    folder.file("token", "fourth");
    assert_eq!(authorization(&authorizer), "Bearer fourth");
}

#[test]
fn a_refused_token_of_a_file_is_worth_another_try_only_when_it_has_changed() {
    let folder = Folder::new();
    let authorizer = authorizer(&Auth::Bearer(Token::File(folder.file("token", "first"))));
    let sent = runtime::block_on(authorizer.authorize(&own(), &mut HeaderMap::new())).unwrap();
    assert!(!authorizer.refused(&sent));
    folder.file("token", "second");
    assert!(authorizer.refused(&sent));
    assert_eq!(authorization(&authorizer), "Bearer second");
}

#[test]
fn a_file_without_a_token_is_found_before_anything_is_sent() {
    let folder = Folder::new();
    for (path, mention) in [(folder.path("none"), "No such file"), (folder.file("empty", "\n"), "it is empty")] {
        let auth = Auth::Bearer(Token::File(path));
        let wrong = check(&auth, &target(), &Tls::default(), "test").unwrap_err();
        assert!(wrong.field == "auth.bearer_file" && wrong.allowed.contains(mention), "{wrong:?}");
        let fault = headers(&authorizer(&auth)).unwrap_err();
        assert!(fault.to_string().contains(mention) && !fault.may_pass(), "{fault}");
    }
}

#[test]
fn a_token_is_fetched_as_rfc_6749_says_and_kept() {
    let server = giving(r#","token_type":"Bearer","expires_in":3600"#);
    let authorizer = oauth2(&server);
    for _ in 0..3 {
        assert_eq!(authorization(&authorizer), "Bearer token-0");
    }
    assert!(headers(&authorizer).unwrap()["authorization"].is_sensitive());
    let [seen] = &server.seen()[..] else { panic!("{} fetches", server.seen().len()) };
    assert_eq!((&*seen.method, &*seen.path), ("POST", "/oauth/token"));
    assert_eq!(seen.body, b"grant_type=client_credentials&scope=read+write");
    assert_eq!(seen.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(seen.header("accept"), Some("application/json"));
    // the+client:s3cr%3At%26more
    assert_eq!(seen.header("authorization"), Some("Basic dGhlK2NsaWVudDpzM2NyJTNBdCUyNm1vcmU="));
}

#[test]
fn fifty_who_come_at_once_share_one_fetch() {
    let everybody = Arc::new(Barrier::new(51));
    let held = Arc::clone(&everybody);
    let server = Server::scripted(move |peer| {
        while peer.request().is_some() {
            // Until all fifty are on their way.
            held.wait();
            peer.answer(200, &[], br#"{"access_token":"shared","expires_in":3600}"#);
        }
    });
    let authorizer = Arc::new(oauth2(&server));
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let (authorizer, everybody) = (Arc::clone(&authorizer), Arc::clone(&everybody));
            std::thread::spawn(move || {
                let mut headers = HeaderMap::new();
                let own = own();
                let mut asking = Box::pin(authorizer.authorize(&own, &mut headers));
                let mut context = std::task::Context::from_waker(std::task::Waker::noop());
                assert!(asking.as_mut().poll(&mut context).is_pending(), "nobody has a token yet");
                everybody.wait();
                runtime::block_on(asking).unwrap();
                headers["authorization"].clone()
            })
        })
        .collect();
    assert!(callers.into_iter().all(|caller| caller.join().unwrap() == "Bearer shared"));
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn a_caller_that_goes_away_takes_nobodys_token_along() {
    let (asked, go) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let held = (Arc::clone(&asked), Arc::clone(&go));
    let server = Server::scripted(move |peer| {
        while peer.request().is_some() {
            held.0.wait();
            held.1.wait();
            peer.answer(200, &[], br#"{"access_token":"shared"}"#);
        }
    });
    let authorizer = oauth2(&server);
    let (mut unused, own) = (HeaderMap::new(), own());
    let mut first = Box::pin(authorizer.authorize(&own, &mut unused));
    assert!(first.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_pending());
    asked.wait();
    drop(first);
    go.wait();
    assert_eq!(authorization(&authorizer), "Bearer shared");
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn a_token_is_fetched_ahead_of_its_end_by_one_while_all_go_on_with_the_old_one() {
    alone("a_token_is_fetched_ahead_of_its_end_by_one_while_all_go_on_with_the_old_one", || {
        let (asked, go) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let (held, next) = ((Arc::clone(&asked), Arc::clone(&go)), AtomicU32::new(0));
        let server = Server::scripted(move |peer| {
            while peer.request().is_some() {
                let number = next.fetch_add(1, SeqCst);
                if number > 0 {
                    held.0.wait();
                    held.1.wait();
                }
                let body = format!(r#"{{"access_token":"token-{number}","expires_in":3600}}"#);
                peer.answer(200, &[], body.as_bytes());
            }
        });
        let authorizer = oauth2(&server);
        let time = VirtualTime::start();
        assert_eq!(authorization(&authorizer), "Bearer token-0");
        time.advance(Duration::from_secs(3539));
        assert_eq!(authorization(&authorizer), "Bearer token-0");
        assert_eq!(server.seen().len(), 1, "it is too early");
        time.advance(Duration::from_secs(1));
        for _ in 0..50 {
            assert_eq!(authorization(&authorizer), "Bearer token-0");
        }
        asked.wait();
        assert_eq!(authorization(&authorizer), "Bearer token-0");
        go.wait();
        while authorization(&authorizer) == "Bearer token-0" {
            std::thread::yield_now();
        }
        assert_eq!(authorization(&authorizer), "Bearer token-1");
        assert_eq!(server.seen().len(), 2);
    });
}

#[test]
fn a_token_that_cannot_be_fetched_ahead_is_used_to_its_end_and_no_longer() {
    alone("a_token_that_cannot_be_fetched_ahead_is_used_to_its_end_and_no_longer", || {
        let next = AtomicU32::new(0);
        let server = Server::scripted(move |peer| {
            while peer.request().is_some() {
                match next.fetch_add(1, SeqCst) {
                    0 => peer.answer(200, &[], br#"{"access_token":"token","expires_in":"100"}"#),
                    _ => peer.answer(400, &[], br#"{"error":"invalid_client"}"#),
                }
            }
        });
        let authorizer = oauth2(&server);
        let time = VirtualTime::start();
        assert_eq!(authorization(&authorizer), "Bearer token");
        // A fifth of its time before its end.
        time.advance(Duration::from_secs(80));
        assert_eq!(authorization(&authorizer), "Bearer token");
        server.wait_for(2);
        time.advance(Duration::from_millis(19_999));
        assert_eq!(authorization(&authorizer), "Bearer token");
        time.advance(Duration::from_millis(1));
        assert!(headers(&authorizer).unwrap_err().to_string().contains("invalid_client"));
    });
}

#[test]
fn a_token_without_a_length_is_used_until_it_is_refused() {
    alone("a_token_without_a_length_is_used_until_it_is_refused", || {
        let server = giving("");
        let authorizer = oauth2(&server);
        let time = VirtualTime::start();
        let sent = runtime::block_on(authorizer.authorize(&own(), &mut HeaderMap::new())).unwrap();
        time.advance(Duration::from_secs(10 * 365 * 86_400));
        assert_eq!(authorization(&authorizer), "Bearer token-0");
        assert!(authorizer.refused(&sent));
        assert_eq!(authorization(&authorizer), "Bearer token-1");
    });
}

#[test]
fn a_refused_token_is_replaced_by_another_and_all_that_were_refused_with_it_share_that() {
    let server = giving(r#","expires_in":3600"#);
    let authorizer = oauth2(&server);
    let sent: Vec<_> =
        (0..20).map(|_| runtime::block_on(authorizer.authorize(&own(), &mut HeaderMap::new())).unwrap()).collect();
    for sent in &sent {
        assert!(authorizer.refused(sent), "another try is worth it");
        assert_eq!(authorization(&authorizer), "Bearer token-1");
    }
    assert_eq!(server.seen().len(), 2);
    // The one that came in its place is refused at once: the next would be as well.
    let replaced = runtime::block_on(authorizer.authorize(&own(), &mut HeaderMap::new())).unwrap();
    assert!(!authorizer.refused(&replaced));
    assert_eq!(authorization(&authorizer), "Bearer token-1");
    assert_eq!(server.seen().len(), 2);
}

#[test]
fn an_endpoint_that_gives_no_token_is_an_error_that_says_why_and_holds_no_secret() {
    let large = format!(r#"{{"access_token":"{}"}}"#, "hidden".repeat(20_000));
    for (status, body, mention, may_pass) in [
        (400, r#"{"error":"invalid_client","error_description":"hidden"}"#, "answers 400 (invalid_client)", false),
        (401, r#"{"error":"hidden hidden"}"#, "answers 401", false),
        (401, r#"{"error":"s3cr:t&more"}"#, "answers 401", false),
        (403, "hidden", "answers 403", false),
        (503, "hidden", "answers 503", true),
        (302, "hidden", "answers 302", false),
        (200, "hidden", "holds no token", false),
        (200, r#"{"token":"hidden"}"#, "holds no token", false),
        (200, r#"{"access_token":""}"#, "no header can hold", false),
        (200, r#"{"access_token":"hidden\nden"}"#, "no header can hold", false),
        (200, r#"{"access_token":"hidden","token_type":"mac"}"#, "no bearer's", false),
        (200, &large, "max_body_bytes", true),
    ] {
        let server = answering(status, body);
        let fault = headers(&oauth2(&server)).expect_err(mention);
        let text = format!("{fault} {fault:?}");
        assert!(text.contains(mention) && text.contains(&format!("no token: {}/oauth/token", server.url())), "{text}");
        assert!(!text.contains("hidden") && !text.contains("s3cr"), "{text}");
        assert_eq!(fault.may_pass(), may_pass, "{text}");
    }
}

#[test]
fn an_endpoint_that_is_down_is_asked_again_and_then_said_to_be() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let authorizer = authorizer(&Auth::OAuth2(client(format!("http://{address}/token"))));
    let fault = headers(&authorizer).unwrap_err();
    assert!(fault.may_pass() && fault.to_string().contains("cannot be asked"), "{fault}");
    let server = Server::on(&address.to_string(), |peer| {
        while peer.request().is_some() {
            peer.answer(200, &[], br#"{"access_token":"late"}"#);
        }
    });
    assert_eq!(authorization(&authorizer), "Bearer late");
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn an_endpoint_in_trouble_is_asked_up_to_three_times_in_a_fetch() {
    let next = AtomicU32::new(0);
    let server = Server::scripted(move |peer| {
        while peer.request().is_some() {
            match next.fetch_add(1, SeqCst) {
                0 | 1 => peer.answer(503, &[], b""),
                _ => peer.answer(200, &[], br#"{"access_token":"third"}"#),
            }
        }
    });
    assert_eq!(authorization(&oauth2(&server)), "Bearer third");
    assert_eq!(server.seen().len(), 3);
}

// ---- Through a proxy.

/// A proxy for that server, whose requests say so who sends them.
fn proxy(server: &Server, name: &str, auth: Auth) -> AmbassadorProxy {
    AmbassadorProxy::builder(&server.url())
        .name(name)
        .timeout(Duration::from_secs(3600))
        .backoff(common::briefly())
        .breaker(None)
        .auth(auth)
        .build()
        .unwrap()
}

fn post() -> Request<Body> {
    Request::post("/charges").body(Body::from("42 EUR")).unwrap()
}

/// An API that takes one token alone.
fn taking(token: &str) -> Server {
    let token = format!("Bearer {token}");
    Server::scripted(move |peer| {
        while let Some(seen) = peer.request() {
            let status = if seen.header("authorization") == Some(&token) { 200 } else { 401 };
            peer.answer(status, &[], b"{}");
        }
    })
}

fn sent(server: &Server) -> Vec<String> {
    server.seen().iter().map(|seen| seen.header("authorization").unwrap_or("none").to_owned()).collect()
}

#[test]
fn a_request_whose_token_is_refused_is_sent_once_more_with_the_next_one_body_and_all() {
    let (tokens, api) = (giving(r#","expires_in":3600"#), taking("token-1"));
    let proxy = proxy(&api, "one whose token is refused", Auth::OAuth2(client(tokens.url())));
    // Nobody said that a POST may be made twice: who refuses has done nothing.
    assert_eq!(runtime::block_on(proxy.send(post())).unwrap().status(), 200);
    assert_eq!(sent(&api), ["Bearer token-0", "Bearer token-1"]);
    assert!(api.seen().iter().all(|seen| seen.body == b"42 EUR"));
    assert_eq!(runtime::block_on(proxy.send(post())).unwrap().status(), 200);
    assert_eq!((api.seen().len(), tokens.seen().len()), (3, 2));
    assert_eq!(common::attempts(&proxy), [2, 0, 0, 0], "an attempt each");
}

#[test]
fn a_request_that_is_refused_again_comes_back_as_it_is() {
    let (tokens, api) = (giving(r#","expires_in":3600"#), taking("another"));
    let proxy = proxy(&api, "one that is refused", Auth::OAuth2(client(tokens.url())));
    assert_eq!(runtime::block_on(proxy.send(post())).unwrap().status(), 401);
    assert_eq!(sent(&api), ["Bearer token-0", "Bearer token-1"]);
    assert_eq!(runtime::block_on(proxy.send(post())).unwrap().status(), 401);
    assert_eq!((api.seen().len(), tokens.seen().len()), (3, 2), "no token is fetched for each call");
    let given = proxy_of_given(&api);
    assert_eq!(runtime::block_on(given.send(post())).unwrap().status(), 401);
    assert_eq!(api.seen().len(), 4);
}

fn proxy_of_given(server: &Server) -> AmbassadorProxy {
    proxy(server, "one with a given token", given("t0ken"))
}

#[test]
fn a_request_without_a_token_is_not_sent_and_says_why() {
    let (tokens, api) = (answering(400, r#"{"error":"invalid_client"}"#), taking("any"));
    let proxy = proxy(&api, "one without a token", Auth::OAuth2(client(tokens.url())));
    let error = runtime::block_on(proxy.send(post())).unwrap_err();
    assert_eq!((error.code(), error.attempts()), (Code::Auth, 1));
    assert!(error.to_string().contains("answers 400 (invalid_client)"), "{error}");
    assert_eq!((api.connections(), tokens.seen().len()), (0, 1));
}

#[test]
fn settings_that_cannot_be_used_are_found_when_a_proxy_is_made() {
    let folder = Folder::new();
    let built = |auth: Option<Auth>, tls: Tls| {
        AmbassadorProxy::builder(API).name("never made").auth(auth).tls(tls).build().unwrap_err().to_string()
    };
    let ca = folder.file("ca.pem", "nothing");
    let wrong = built(None, Tls { ca: Some(ca.clone()), ..Tls::default() });
    assert!(wrong.starts_with("tls.ca: ") && wrong.contains("it holds no certificate"), "{wrong}");
    let wrong = built(Some(given("hidd\u{e9}n")), Tls::default());
    assert!(wrong.starts_with("auth.bearer: ***") && !wrong.contains("hidd"), "{wrong}");
}

/// S3: whatever is shown, told, logged or raised, with each kind of credentials, also where it goes wrong.
#[test]
fn nothing_that_is_shown_or_told_holds_a_secret() {
    const SECRETS: [&str; 6] = ["s3cr", "t0ken", "passw0rd", "k3y", "token-", "gr4nted"];
    let mut shown = Vec::new();
    // In the names too, so that all of it is kept.
    let told = Told::of("");
    let folder = Folder::new();
    let tokens = giving(r#","expires_in":3600"#);
    let broken = answering(200, r#"{"access_token":"gr4nted\n"}"#);
    for auth in [
        given("t0ken"),
        Auth::Bearer(Token::File(folder.file("t", "t0ken"))),
        basic("name", "passw0rd"),
        key("x-api-key", "k3y"),
        Auth::OAuth2(client(tokens.url())),
        Auth::OAuth2(client(broken.url())),
    ] {
        shown.push(format!("{auth:?}"));
        shown.push(format!("{:?}", authorizer(&auth)));
        for (number, api) in [taking("other"), Server::scripted(|peer| peer.reset())].into_iter().enumerate() {
            let proxy = proxy(&api, &format!("one with secrets {number} {}", shown.len()), auth.clone());
            proxy.keep_events();
            shown.push(format!("{proxy:?} {:?} {:?}", proxy.policy(), proxy.policy_in_force()));
            match runtime::block_on(proxy.send(post())) {
                Ok(response) => shown.push(format!("{response:?}")),
                Err(error) => shown.push(format!("{error} {error:?}")),
            }
            shown.extend(proxy.fetch_events().iter().map(|event| event.to_json(proxy.name())));
            shown.push(proxy.health());
        }
    }
    let lines = told.take();
    assert!(lines.iter().any(|line| line.contains("no token could be fetched")), "{lines:?}");
    shown.extend(lines);
    for secret in SECRETS {
        for text in &shown {
            assert!(!text.contains(secret), "{secret} is shown in {text}");
        }
    }
}
