//! Servers that tests run on loopback, and that misbehave as a test bids them.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod dns;
