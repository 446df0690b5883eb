//! P5: where a redirect leads, and what of the request goes there. Only as many are followed as were asked for; credentials stay
//! with the target's origin.

use http::header::{
    CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_TYPE, HeaderMap, LOCATION,
};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, StatusCode, Uri};

/// The request that a redirect asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Onward {
    pub method: Method,
    pub scheme: Scheme,
    pub authority: Authority,
    pub path: PathAndQuery,
    /// Whether the body goes along.
    pub has_body: bool,
}

/// What the response to that request asks for; `None` when it is no redirect, or leads nowhere.
pub(super) fn onward(
    status: StatusCode,
    headers: &HeaderMap,
    method: &Method,
    scheme: &Scheme,
    authority: &Authority,
    path: &PathAndQuery,
) -> Option<Onward> {
    // RFC 9110, section 15.4: what each makes of the method.
    let to_get = match status {
        StatusCode::SEE_OTHER => *method != Method::HEAD,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => *method == Method::POST,
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => false,
        _ => return None,
    };
    let location = headers.get(LOCATION)?.to_str().ok()?;
    let (scheme, authority, path) = resolve(location, scheme, authority, path)?;
    let method = if to_get { Method::GET } else { method.clone() };
    Some(Onward { method, scheme, authority, path, has_body: !to_get })
}

/// RFC 3986, section 5.2; of what has a scheme, HTTP alone.
fn resolve(
    location: &str,
    scheme: &Scheme,
    authority: &Authority,
    path: &PathAndQuery,
) -> Option<(Scheme, Authority, PathAndQuery)> {
    let location = location.split('#').next().unwrap_or_default();
    let has_scheme = location.find(':').is_some_and(|colon| !location[..colon].contains(['/', '?']));
    if has_scheme || location.starts_with("//") {
        let whole = if has_scheme { location.to_string() } else { format!("{scheme}:{location}") };
        let parts = whole.parse::<Uri>().ok()?.into_parts();
        let scheme = parts.scheme.filter(|scheme| *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS)?;
        let authority = parts.authority.filter(|authority| !authority.as_str().contains('@'))?;
        return Some((scheme, authority, parts.path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/"))));
    }
    let (present, is_query) = (path.path(), location.starts_with('?'));
    let text = match location {
        "" => path.as_str().to_string(),
        _ if is_query => format!("{present}{location}"),
        _ if location.starts_with('/') => without_dots(location),
        _ => {
            let folder = &present[..=present.rfind('/')?];
            without_dots(&format!("{folder}{location}"))
        }
    };
    Some((scheme.clone(), authority.clone(), text.parse().ok()?))
}

/// RFC 3986, section 5.2.4.
fn without_dots(text: &str) -> String {
    let (path, query) = text.split_at(text.find('?').unwrap_or(text.len()));
    let mut kept: Vec<&str> = Vec::new();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    for (at, segment) in segments.iter().enumerate() {
        let is_last = at + 1 == segments.len();
        match *segment {
            "." | ".." => {
                if *segment == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}{query}", kept.join("/"))
}

/// Of a body that stays behind, nothing is told.
pub(super) fn without_body(headers: &mut HeaderMap) {
    for name in [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION] {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(status: u16, method: Method, location: &'static str) -> Option<(String, String)> {
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, http::HeaderValue::from_static(location));
        let authority = Authority::from_static("a.example");
        let path = PathAndQuery::from_static("/b/c/d?q");
        let status = StatusCode::from_u16(status).unwrap();
        let onward = onward(status, &headers, &method, &Scheme::HTTPS, &authority, &path)?;
        Some((onward.method.to_string(), format!("{}://{}{}", onward.scheme, onward.authority, onward.path)))
    }

    #[test]
    fn references_are_resolved_as_rfc_3986_says() {
        for (location, whole) in [
            ("g", "https://a.example/b/c/g"),
            ("./g", "https://a.example/b/c/g"),
            ("g/", "https://a.example/b/c/g/"),
            ("/g", "https://a.example/g"),
            ("//g", "https://g/"),
            ("?y", "https://a.example/b/c/d?y"),
            ("g?y#s", "https://a.example/b/c/g?y"),
            ("", "https://a.example/b/c/d?q"),
            (".", "https://a.example/b/c/"),
            ("..", "https://a.example/b/"),
            ("../../../g", "https://a.example/g"),
            ("http://other.example:8080/x?y", "http://other.example:8080/x?y"),
        ] {
            assert_eq!(follow(302, Method::GET, location).unwrap().1, whole, "{location}");
        }
        for location in ["ftp://a.example/", "javascript:1", "https://user:pass@a.example/"] {
            assert_eq!(follow(302, Method::GET, location), None, "{location}");
        }
    }

    #[test]
    fn the_method_changes_as_rfc_9110_says() {
        for (status, method, then) in [
            (301, Method::POST, "GET"),
            (302, Method::POST, "GET"),
            (302, Method::PUT, "PUT"),
            (303, Method::PUT, "GET"),
            (303, Method::HEAD, "HEAD"),
            (307, Method::POST, "POST"),
            (308, Method::POST, "POST"),
        ] {
            assert_eq!(follow(status, method.clone(), "/").unwrap().0, then, "{status} {method}");
        }
        assert_eq!(follow(304, Method::GET, "/"), None);
    }
}
