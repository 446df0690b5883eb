//! What the `ambassador` program does, as a library, so that its tests can hold it by its parts. The command line is in
//! `main.rs`; decisions about calls are in none of both but in `ambassador-core`.
//!
//! | module | holds |
//! | --- | --- |
//! | [`configuration`] | `ambassador check`, `explain` and `init`: a configuration file before anything runs by it |
//! | [`demo`] | `ambassador demo`: a payment API that misbehaves on purpose, and the clients that charge it |
//! | [`simulate`] | `ambassador simulate`: the core's own policies against a modelled server, in virtual time |
//! | [`dice`] | random numbers from a seed, for both |

pub mod configuration;
pub mod demo;
pub mod dice;
pub mod simulate;
