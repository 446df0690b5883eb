//! The origin of a request (RFC 6454): scheme, host and port. Credentials are for one alone (P5).

use std::fmt;

use crate::target::Target;

/// Scheme, host and port.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    is_tls: bool,
    host: String,
    port: u16,
}

impl Origin {
    /// A target's: of one that does not say otherwise, by TLS.
    pub fn of_target(target: &Target) -> Origin {
        Origin::new(target.is_tls() != Some(false), target.host(), target.port())
    }

    /// That of an absolute URI of `http` or `https`; `None` of any other.
    ///
    /// ```
    /// use ambassador_core::http::auth::Origin;
    /// use ambassador_core::target::Target;
    ///
    /// let target = Target::parse("https://Payment-API.example.com/v1").unwrap();
    /// let uri = "https://payment-api.example.com:443/charges?n=1".parse().unwrap();
    /// assert_eq!(Origin::of_uri(&uri), Some(Origin::of_target(&target)));
    /// ```
    pub fn of_uri(uri: &http::Uri) -> Option<Origin> {
        let is_tls = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        Some(Origin::new(is_tls, uri.host()?, uri.port_u16()))
    }

    fn new(is_tls: bool, host: &str, port: Option<u16>) -> Origin {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        Origin { is_tls, host, port: port.unwrap_or(if is_tls { 443 } else { 80 }) }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        let host = &self.host;
        if host.contains(':') {
            write!(f, "{scheme}://[{host}]:{}", self.port)
        } else {
            write!(f, "{scheme}://{host}:{}", self.port)
        }
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(target: &str) -> Origin {
        Origin::of_target(&Target::parse(target).unwrap())
    }

    #[test]
    fn an_origin_is_the_same_however_it_is_spelled() {
        assert_eq!(of("api.example.com"), of("https://API.example.com:443/v1"));
        assert_eq!(of("api.example.com."), of("api.example.com"));
        assert_eq!(of("http://[::1]:80"), of("http://[::1]"));
        assert_eq!(of("http://[::1]").to_string(), "http://[::1]:80");
        assert_eq!(of("http://api.example.com").to_string(), "http://api.example.com:80");
    }

    #[test]
    fn another_scheme_host_or_port_is_another_origin() {
        let own = of("https://api.example.com");
        for other in [
            "http://api.example.com",
            "https://api.example.com:8443",
            "https://evil.example.com",
            "http://api.example.com:443",
        ] {
            assert_ne!(of(other), own);
            assert_ne!(Origin::of_uri(&format!("{other}/path").parse().unwrap()), Some(own.clone()));
        }
        assert_eq!(Origin::of_uri(&"/path".parse().unwrap()), None);
        assert_eq!(Origin::of_uri(&"ftp://api.example.com/".parse().unwrap()), None);
    }
}
