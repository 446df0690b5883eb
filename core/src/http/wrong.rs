//! A setting that is of the right form, and yet cannot be used: only who speaks HTTP sees that.

/// A setting that cannot be used, for a [`ConfigError`](crate::ConfigError).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The setting: `tls.ca`.
    pub field: &'static str,
    /// What it is, as it may be shown.
    pub value: String,
    /// What is allowed instead.
    pub allowed: String,
}
