//! What is seen of all that the ambassador does (S1–S3).

#[cfg(feature = "otlp")]
pub mod otlp;
pub(crate) mod spans;
pub mod trace;
