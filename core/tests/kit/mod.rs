//! What tests over real sockets share: servers on loopback that do what they are told, a ledger of what arrived, and whatever
//! they are made of.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod dns;
pub mod misbehaving;
pub mod tls;
pub mod told;
