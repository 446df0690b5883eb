//! What is seen from outside (S1–S3): metrics that add up while calls go on and outlive their targets; the admin server, whatever
//! becomes of the rest of the process; the stream of events.

#[path = "../common/mod.rs"]
mod common;

mod admin;
mod asked;
mod names;
mod page;
mod parsed;
mod stream;
mod sums;
