//! `ambassador demo`: a payment API on a loopback port that misbehaves by a seeded plan, alone or with a list of clients
//! that charge it all at the same time. Nothing here is part of a call's decisions; it is what a client has to survive.
//!
//! | module | holds |
//! | --- | --- |
//! | [`plan`] | which request meets which misbehaviour |
//! | [`ledger`] | who was charged, and how often it was asked for |
//! | [`api`] | the HTTP side: routes, checks, carrying out the plan |
//! | [`server`] | the socket side: accepting, resets, outages |
//! | [`clients`] | running the clients of a file against the API |
//! | [`table`] | the table at the end, and the verdict |

pub mod api;
pub mod clients;
pub mod ledger;
pub mod plan;
pub mod server;
pub mod table;
