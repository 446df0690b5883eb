//! Servers that do what tests tell them: on real sockets of the loopback interface, a thread for each connection, and a ledger of
//! what arrived.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod misbehaving;
