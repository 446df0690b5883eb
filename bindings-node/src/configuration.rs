//! A configuration from the program's own code.

use ambassador_core::ConfigError;
use ambassador_core::config;
use napi_derive::napi;

use crate::settings::{Wrong, told};

/// That file, or that text, holds for proxies that are made from now on; or what is wrong with it.
#[napi(catch_unwind)]
pub fn configure(path_or_text: String) -> Option<Wrong> {
    config::configure(&path_or_text).err().map(|faults| told(&ConfigError::from(faults)))
}
