//! Who is let in: requests that name this server as a person would (no name that an attacker made point here), and, where a token is
//! asked for, show it. Actions are done for no page of another origin.

use std::net::{IpAddr, SocketAddr};

use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::{HeaderMap, HeaderValue};

use super::AdminOptions;

fn text(value: Option<&HeaderValue>) -> Option<&str> {
    value?.to_str().ok()
}

/// Whether the request names a host that this server is known by: an address in numbers, for those cannot be made to point elsewhere;
/// `localhost`; or what it was told.
pub(super) fn is_for_us(headers: &HeaderMap, options: &AdminOptions) -> bool {
    let mut all = headers.get_all(HOST).iter();
    let (Some(host), None) = (text(all.next()), all.next()) else { return false };
    let Ok(host) = host.parse::<http::uri::Authority>() else { return false };
    let name = host.host().trim_start_matches('[').trim_end_matches(']');
    name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || options.hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Whether it shows the token.
pub(super) fn shows_token(headers: &HeaderMap, options: &AdminOptions) -> bool {
    let shown = text(headers.get(AUTHORIZATION)).and_then(|value| value.split_once(' '));
    match (shown, &options.token) {
        (Some((scheme, shown)), Some(token)) => scheme.eq_ignore_ascii_case("bearer") && is_same(shown.trim(), token),
        _ => false,
    }
}

/// Compared whole, whatever the first difference: how long it takes tells nothing.
fn is_same(shown: &str, token: &str) -> bool {
    let differences = shown.bytes().zip(token.bytes()).fold(0, |differences, (one, other)| differences | (one ^ other));
    shown.len() == token.len() && differences == 0
}

/// Whether a page that asks is one of this server's own; who is no browser says nothing of it.
pub(super) fn is_same_origin(headers: &HeaderMap) -> bool {
    let is_own_page = match headers.get(ORIGIN) {
        None => true,
        Some(origin) => {
            let origin = text(Some(origin)).and_then(|origin| origin.strip_prefix("http://"));
            origin.is_some() && origin == text(headers.get(HOST))
        }
    };
    is_own_page && headers.get("sec-fetch-site").is_none_or(|site| matches!(site.as_bytes(), b"same-origin" | b"none"))
}

/// Whether a token has to be shown for everything.
pub(super) fn is_guarded(address: SocketAddr) -> bool {
    !address.ip().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for &(name, value) in lines {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers
    }

    fn options() -> AdminOptions {
        AdminOptions { token: Some("0123456789abcdef".into()), hosts: vec!["ops.example".into()], remote: false }
    }

    #[test]
    fn addresses_localhost_and_names_that_were_given_are_ours() {
        for host in
            ["127.0.0.1:9901", "127.0.0.1", "[::1]:9901", "10.0.0.7", "localhost:1", "LocalHost", "ops.example:80"]
        {
            assert!(is_for_us(&headers(&[("host", host)]), &options()), "{host}");
        }
    }

    #[test]
    fn a_name_that_somebody_made_point_here_is_not() {
        for host in
            ["evil.example:9901", "127.0.0.1.evil.example", "localhost.evil.example", "", "a b", "x@localhost.evil"]
        {
            assert!(!is_for_us(&headers(&[("host", host)]), &options()), "{host}");
        }
        assert!(!is_for_us(&headers(&[]), &options()));
        assert!(!is_for_us(&headers(&[("host", "localhost"), ("host", "evil.example")]), &options()));
    }

    #[test]
    fn the_token_has_to_be_all_of_it() {
        let shows = |value| shows_token(&headers(&[("authorization", value)]), &options());
        assert!(shows("Bearer 0123456789abcdef") && shows("bearer 0123456789abcdef"));
        for wrong in [
            "Bearer 0123456789abcde",
            "Bearer 0123456789abcdef0",
            "Basic 0123456789abcdef",
            "0123456789abcdef",
            "Bearer ",
        ] {
            assert!(!shows(wrong), "{wrong}");
        }
        assert!(!shows_token(&headers(&[]), &options()));
    }

    #[test]
    fn only_pages_of_its_own_may_act() {
        let own = [("host", "127.0.0.1:9901"), ("origin", "http://127.0.0.1:9901"), ("sec-fetch-site", "same-origin")];
        assert!(is_same_origin(&headers(&own)) && is_same_origin(&headers(&own[..1])));
        for other in [
            ("origin", "http://127.0.0.1:8000"),
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert!(!is_same_origin(&headers(&[own[0], other])), "{other:?}");
        }
    }
}
