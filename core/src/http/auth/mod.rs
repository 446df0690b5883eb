//! How requests say who sends them: a bearer's token, a name with a password, a key in a header, or a token that is fetched by
//! OAuth 2.0. Credentials go to the target's own origin alone (P5), and are never shown (S3): what is put into headers is marked
//! sensitive, and no message holds any of it.
//!
//! ```
//! use ambassador_core::http::auth::{Authorizer, Origin};
//! use ambassador_core::policy::auth::{Auth, Secret, Token};
//! use ambassador_core::policy::tls::Tls;
//! use ambassador_core::target::Target;
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let target = Target::parse("https://payment-api.example.com").unwrap();
//! let auth = Auth::Bearer(Token::Value(Secret::new("t0ken")));
//! let authorizer = Authorizer::new(&auth, &target, &Tls::default(), "payments").unwrap();
//!
//! let mut headers = http::HeaderMap::new();
//! authorizer.authorize(&Origin::of_target(&target), &mut headers).await.unwrap();
//! assert_eq!(headers["authorization"], "Bearer t0ken");
//! assert_eq!(format!("{headers:?}"), r#"{"authorization": Sensitive}"#);
//!
//! let elsewhere = Origin::of_uri(&"https://example.com/".parse().unwrap()).unwrap();
//! let mut headers = http::HeaderMap::new();
//! authorizer.authorize(&elsewhere, &mut headers).await.unwrap();
//! assert!(headers.is_empty());
//! # });
//! ```

mod oauth2;
mod origin;

pub use origin::Origin;

use std::error::Error as StdError;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine};
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use super::Wrong;
use super::watched::Watched;
use crate::event;
use crate::policy::auth::{Auth, Token};
use crate::policy::tls::Tls;
use crate::target::Target;
use oauth2::Tokens;

/// Says of a target's requests who sends them.
pub struct Authorizer {
    origin: Origin,
    header: HeaderName,
    source: Source,
    /// Whose it is, for what is told.
    name: String,
}

/// Where the header's value comes from.
enum Source {
    Given(HeaderValue),
    Environment(String),
    File(Watched<HeaderValue>),
    Fetched(Arc<Tokens>),
}

/// What a request was sent with, to be told when it is [refused](Authorizer::refused).
#[derive(Debug)]
pub struct Sent(Credentials);

#[derive(Debug)]
enum Credentials {
    /// None of the authorizer's.
    None,
    /// Those that never change.
    Given,
    Read(HeaderValue),
    Fetched(u64),
}

/// Why a request cannot say who sends it, and so is not sent. Holds no secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthFault {
    message: String,
    may_pass: bool,
}

impl AuthFault {
    /// That it is so until somebody changes something.
    fn lasting(message: impl Into<String>) -> AuthFault {
        AuthFault { message: message.into(), may_pass: false }
    }

    /// Whether another attempt may bring more: the token endpoint could not be asked, or was in trouble.
    pub fn may_pass(&self) -> bool {
        self.may_pass
    }
}

impl fmt::Display for AuthFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for AuthFault {}

impl Authorizer {
    /// For requests of the proxy of that name, to that target, to which TLS is spoken so.
    ///
    /// # Errors
    /// [`Wrong`] when no header can hold what is set, or the token endpoint's URL is none.
    pub fn new(auth: &Auth, target: &Target, tls: &Tls, name: &str) -> Result<Authorizer, Wrong> {
        let (mut header, origin) = (AUTHORIZATION, Origin::of_target(target));
        let source = match auth {
            Auth::Bearer(Token::Value(token)) => {
                Source::Given(bearer(token.reveal()).ok_or_else(no_header("auth.bearer"))?)
            }
            Auth::Bearer(Token::Env(variable)) => Source::Environment(variable.clone()),
            Auth::Bearer(Token::File(path)) => Source::File(watched(path)),
            Auth::Basic { username, password } => Source::Given(basic(username, password.reveal())?),
            Auth::ApiKey { header: name, key } => {
                header = name.parse().map_err(|_| Wrong {
                    field: "auth.api_key_header",
                    value: format!("{name:?}"),
                    allowed: "the name of a header".into(),
                })?;
                Source::Given(sensitive(key.reveal()).ok_or_else(no_header("auth.api_key"))?)
            }
            Auth::OAuth2(client) => Source::Fetched(Arc::new(Tokens::new(client, &origin, tls, name)?)),
        };
        Ok(Authorizer { origin, header, source, name: name.into() })
    }

    /// The header that says it.
    pub fn header(&self) -> &HeaderName {
        &self.header
    }

    /// Puts into the headers of a request to `origin` who sends it; nothing when that is not the target's origin (P5), or the
    /// request says so itself. Waits when a token has to be fetched first.
    ///
    /// # Errors
    /// [`AuthFault`]: there is no token, or none that a header can hold. The request is not to be sent then.
    pub async fn authorize(&self, origin: &Origin, headers: &mut HeaderMap) -> Result<Sent, AuthFault> {
        if *origin != self.origin || headers.contains_key(&self.header) {
            return Ok(Sent(Credentials::None));
        }
        let (value, credentials) = match &self.source {
            Source::Given(value) => (value.clone(), Credentials::Given),
            Source::Environment(_) | Source::File(_) => {
                let value = self.read()?;
                (value.clone(), Credentials::Read(value))
            }
            Source::Fetched(tokens) => {
                let token = tokens.token().await?;
                (token.header.clone(), Credentials::Fetched(token.number))
            }
        };
        headers.insert(self.header.clone(), value);
        Ok(Sent(credentials))
    }

    /// The server does not take these credentials (401): whether others can be had now, so that the request is worth sending once
    /// more. To be asked once in a call.
    pub fn refused(&self, sent: &Sent) -> bool {
        match (&sent.0, &self.source) {
            (Credentials::Fetched(number), Source::Fetched(tokens)) => tokens.refused(*number),
            (Credentials::Read(before), _) => self.read().is_ok_and(|now| now != *before),
            _ => false,
        }
    }

    /// What the environment or the file says now.
    fn read(&self) -> Result<HeaderValue, AuthFault> {
        match &self.source {
            Source::Environment(variable) => {
                let token = std::env::var(variable).map_err(|_| {
                    AuthFault::lasting(format!(
                        "the environment variable {variable}, which `auth.bearer_env` names, is not set"
                    ))
                })?;
                let why = || {
                    AuthFault::lasting(format!("the environment variable {variable} holds no token that a header can"))
                };
                bearer(&token).ok_or_else(why)
            }
            Source::File(watched) => {
                let value = watched.get(|change| event::credentials(&self.name, "auth.bearer_file", change.why()));
                let value =
                    value.map_err(|why| AuthFault::lasting(format!("`auth.bearer_file` cannot be used: {why}")))?;
                Ok(HeaderValue::clone(&value))
            }
            Source::Given(value) => Ok(value.clone()),
            Source::Fetched(_) => Err(AuthFault::lasting("a token is fetched, not read")),
        }
    }
}

/// Whether requests can say who sends them by these settings; reads the file of a token.
///
/// # Errors
/// The first setting that is [`Wrong`].
pub fn check(auth: &Auth, target: &Target, tls: &Tls, name: &str) -> Result<(), Wrong> {
    let authorizer = Authorizer::new(auth, target, tls, name)?;
    if let (Source::File(watched), Auth::Bearer(Token::File(path))) = (&authorizer.source, auth) {
        watched.read_once().map_err(|why| Wrong {
            field: "auth.bearer_file",
            value: format!("{:?}", path.display().to_string()),
            allowed: format!("a file that holds a token ({why})"),
        })?;
    }
    Ok(())
}

fn no_header(field: &'static str) -> impl FnOnce() -> Wrong {
    move || Wrong { field, value: "***".into(), allowed: "what a header can hold, in one line".into() }
}

/// A value that is never shown; `None` when no header can hold it, or it is empty.
fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok().filter(|value| !value.is_empty())?;
    value.set_sensitive(true);
    Some(value)
}

/// RFC 6750, section 2.1.
fn bearer(token: &str) -> Option<HeaderValue> {
    let is_visible = !token.is_empty() && token.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if is_visible { sensitive(&format!("Bearer {token}")) } else { None }
}

/// RFC 7617, in UTF-8.
fn basic(username: &str, password: &str) -> Result<HeaderValue, Wrong> {
    let is_line = |text: &str| !text.contains(char::is_control);
    if username.contains(':') || !is_line(username) {
        let allowed = "text of one line without a colon, which ends the name".into();
        return Err(Wrong { field: "auth.username", value: format!("{username:?}"), allowed });
    }
    let encoded = is_line(password).then(|| BASE64_STANDARD.encode(format!("{username}:{password}")));
    encoded.and_then(|encoded| sensitive(&format!("Basic {encoded}"))).ok_or_else(|| Wrong {
        field: "auth.password",
        value: "***".into(),
        allowed: "text of one line".into(),
    })
}

fn watched(path: &Path) -> Watched<HeaderValue> {
    Watched::new([path], |contents| {
        let text = std::str::from_utf8(&contents[0]).map_err(|_| "what it holds is not text")?.trim();
        if text.is_empty() {
            return Err("it is empty".into());
        }
        bearer(text).ok_or_else(|| "what it holds is no token that a header can hold".into())
    })
}

impl fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.source {
            Source::Given(_) => "given",
            Source::Environment(_) => "environment",
            Source::File(_) => "file",
            Source::Fetched(_) => "oauth2",
        };
        write!(f, "Authorizer({kind}, for {})", self.origin)
    }
}
