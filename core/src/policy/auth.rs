//! How requests say who sends them. Never sent to another origin than the target's, never shown (S3).

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// A secret of that text.
    pub fn new(text: &str) -> Secret {
        Secret(text.into())
    }

    /// The text itself, for who has to send it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How requests to a target say who sends them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer …` (RFC 6750).
    Bearer(Token),
    /// `Authorization: Basic …` (RFC 7617).
    Basic {
        /// The user's name.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A header of its own.
    ApiKey {
        /// The header's name; default `x-api-key`.
        header: String,
        /// The key.
        key: Secret,
    },
    /// A token that is fetched as RFC 6749, section 4.4, says: client credentials.
    OAuth2(ClientCredentials),
}

/// Where a bearer's token comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// It was given.
    Value(Secret),
    /// From the environment variable of that name, read at each request.
    Env(String),
    /// From that file, read again when it changes.
    File(PathBuf),
}

/// What a token is fetched by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCredentials {
    /// The URL of the token endpoint.
    pub token_url: String,
    /// The client's name there.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
    /// What the token is asked for, if that has to be said.
    pub scope: Option<String>,
}
