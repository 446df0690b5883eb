//! Discovery against real servers and files: a DNS server on loopback, and files that are written, replaced and broken (E4).
#![cfg(feature = "http")]

mod addresses;
mod calls;
#[path = "../common/mod.rs"]
mod common;
mod dns;
mod file;
#[path = "../kit/mod.rs"]
mod kit;
mod srv;
mod watching;
