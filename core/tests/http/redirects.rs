//! Redirects: not followed unless asked, and never with credentials to another origin (P5).

use super::*;
use crate::kit::misbehaving::Seen;
use ambassador_core::policy::auth::{Auth, ClientCredentials, Secret, Token};
use ambassador_core::policy::http::Http;

fn following(server: &Server) -> AmbassadorProxy {
    let http = Http { follow_redirects: 5, ..Http::default() };
    builder(&server.url()).http(http).build().unwrap()
}

/// A server that sends everybody to there.
fn redirecting(status: u16, location: String) -> Server {
    Server::scripted(move |peer| {
        while let Some(seen) = peer.request() {
            if seen.path == "/there" {
                peer.answer(200, &[], b"there");
            } else {
                peer.answer(status, &[("location", &location)], b"elsewhere");
            }
        }
    })
}

fn with_credentials(method: &str) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri("/here")
        .header("authorization", "Bearer hidden")
        .header("cookie", "session=hidden")
        .header("content-type", "text/plain")
        .header("x-other", "1")
        .body(Body::from("body"))
        .unwrap()
}

#[test]
fn a_redirect_is_handed_back_unless_it_is_to_be_followed() {
    let other = Server::answering("");
    let server = redirecting(302, format!("{}/there", other.url()));
    assert_eq!(block_on(proxy(&server).send(with_credentials("GET"))).unwrap().status(), 302);
    assert_eq!((server.seen().len(), other.connections()), (1, 0));
}

#[test]
fn a_redirect_within_the_origin_keeps_credentials_and_connection() {
    let server = redirecting(307, "/there".into());
    let response = block_on(following(&server).send(with_credentials("POST"))).unwrap();
    assert_eq!(text(response), "there");
    let seen = server.seen();
    assert_eq!((&*seen[1].method, &*seen[1].body), ("POST", &b"body"[..]));
    assert_eq!(seen[1].header("authorization"), Some("Bearer hidden"));
    assert_eq!(server.connections(), 1);
}

#[test]
fn no_credential_arrives_at_another_origin() {
    let other = Server::answering("other");
    let server = redirecting(307, format!("{}/there", other.url()));
    assert_eq!(text(block_on(following(&server).send(with_credentials("POST"))).unwrap()), "other");
    let [seen] = &other.seen()[..] else { panic!() };
    assert!(seen.headers.iter().all(|(_, value)| !value.contains("hidden")), "{seen:?}");
    assert_eq!((seen.header("x-other"), seen.header("host")), (Some("1"), Some(&*other.authority())));
}

#[test]
fn no_credential_of_the_settings_arrives_at_another_origin_of_whatever_kind_it_is() {
    let secret = || Secret::new("hidden");
    let tokens = Server::answering(r#"{"access_token":"hidden"}"#);
    let client =
        ClientCredentials { token_url: tokens.url(), client_id: "client".into(), client_secret: secret(), scope: None };
    for auth in [
        Auth::Bearer(Token::Value(secret())),
        Auth::Basic { username: "hidden".into(), password: secret() },
        Auth::ApiKey { header: "x-key".into(), key: secret() },
        Auth::OAuth2(client),
    ] {
        let other = Server::answering("other");
        let server = redirecting(302, format!("{}/there", other.url()));
        let http = Http { follow_redirects: 5, ..Http::default() };
        let proxy =
            builder(&server.url()).http(http).auth(auth.clone()).headers([("x-own", "hidden")]).build().unwrap();
        assert_eq!(text(block_on(proxy.send(get("/here"))).unwrap()), "other");
        let shows = |seen: &Seen| seen.header("authorization").or(seen.header("x-key")).is_some();
        assert!(shows(&server.seen()[0]), "{auth:?}");
        let [seen] = &other.seen()[..] else { panic!() };
        assert!(!shows(seen) && !format!("{seen:?}").contains("hidden"), "{seen:?}");
    }
}

#[test]
fn a_post_that_is_sent_elsewhere_to_get_leaves_its_body_behind() {
    let server = redirecting(303, "/there".into());
    assert_eq!(text(block_on(following(&server).send(with_credentials("POST"))).unwrap()), "there");
    let seen = &server.seen()[1];
    assert_eq!((&*seen.method, seen.body.len(), seen.header("content-type")), ("GET", 0, None));
}

#[test]
fn a_circle_ends_with_the_last_redirect() {
    let server = redirecting(302, "/round".into());
    assert_eq!(block_on(following(&server).send(get("/"))).unwrap().status(), 302);
    assert_eq!(server.seen().len(), 6);
}
