//! The native half of `ambassador-proxy` for Node: numbers and texts to the core and back, and nothing else. Every decision
//! is the core's; running the user's function, its bound and its waits is JavaScript's, in `lib/`. No
//! thread is started here; requests run on the core's runtime.
//!
//! | file | natives |
//! | --- | --- |
//! | `calls` | `begin`, `settle`, `resume`, `cancel` …: the way of a call, plain numbers, no arguments |
//! | `exchange` | the few numbers that these natives and JavaScript read and write in turn |
//! | `settings` | `open`, `settings`: settings, and the life of a proxy |
//! | `policy`, `network` | `policy`: the settings in force |
//! | `post` | what one thread tells another: a turn in a queue has come, something has happened |
//! | `requests` | `send` and what follows: HTTP by the core |
//! | `inbox` | what has become of requests, for JavaScript, in batches |
//! | `bodies` | bodies that are streams, both ways |
//! | `events` | `listen`, `fetchEvents`, `attend`: who listens to which target, what has happened to it, and what is logged |
//! | `telemetry` | the snapshot, the metrics, the admin server |
//! | `testing` | virtual time |
//! | `texts` | lines, messages, headers, health: what is said of calls |
//! | `instance` | the proxies of one environment (the main thread, a worker), and their calls in flight |

mod bodies;
mod calls;
mod events;
mod exchange;
mod inbox;
mod instance;
mod network;
mod policy;
mod post;
mod requests;
mod settings;
mod slab;
mod telemetry;
mod testing;
mod texts;
