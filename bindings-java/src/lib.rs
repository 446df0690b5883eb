//! The natives of `io.ambassador.Native`: numbers and texts to the core and back, and nothing else. Every decision is the
//! core's; running the user's function, its bound and its waits is Java's. No thread of this library ever attaches to the
//! JVM, so none can keep it from ending (F4).
//!
//! | file | natives |
//! | --- | --- |
//! | `calls` | `begin`, `returned`, `stands`, `settleFirst`, `settle`, `settleAttempt`, `hedge`, `resume`, `cancel`, `answered`, `isolate`, `note`, `now`: the way of a call |
//! | `drafts` | `draft`, `set`, `build`, `discard`, `free`: settings, and the life of a handle |
//! | `told` | `woken`, `events`: whose turn has come, and what has happened |
//! | `requests` | `send`, `await`, `mail` and their like: HTTP by the core |
//! | `mail` | what is told of requests, on its way to Java |
//! | `feed` | a request's body that is a stream |
//! | `configuration` | `configure`: a configuration from the program's own code |
//! | `telemetry` | `snapshot`, `metrics`, `serveAdmin` and its like: all of this process |
//! | `testing` | virtual time |
//! | `values` | values of settings, as they cross |
//! | `network` | the settings of networking that are in force |
//! | `texts` | lines, messages, headers, health, policy: what is said of calls |

mod calls;
mod configuration;
mod drafts;
mod feed;
mod handle;
mod mail;
mod network;
mod requests;
mod telemetry;
mod testing;
mod texts;
mod told;
mod tracing;
mod values;
