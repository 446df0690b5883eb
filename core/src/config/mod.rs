//! One configuration for all that the ambassador does, in a file that operators change without touching the app (C3).
//!
//! ```yaml
//! version: 1
//! defaults:
//!   timeout: 1s
//! targets:
//!   payment-api.example.com:
//!     max_retries: 5
//!     breaker: {min_calls: 10, open_for: 10s}
//!     auth: {bearer: "${PAYMENTS_TOKEN}"}
//!   "*.internal.example.com":
//!     timeout: 250ms
//! ```
//!
//! What it says holds over what the app says, and the app over the defaults: `defaults` for every proxy, then of `targets` the one
//! entry that is closest. Every value goes through the table of [`settings`](crate::settings), so a file can say what a constructor
//! can, by the same names, and is refused with the same words.
//!
//! | file | does |
//! | --- | --- |
//! | `tree.rs` | reads YAML into values that know where they stand |
//! | `expand.rs` | `${NAME}` and `${file:/path}` |
//! | `load.rs` | files and what they include; checks everything, and finds all faults at once |
//! | `fault.rs` | a fault: where, what was found, what is allowed |
//! | `fields.rs` | each value through the table of settings |
//! | `files.rs` | texts of files, of a bounded length |
//! | `entries.rs` | which entry a proxy obeys |
//! | `sections.rs` | what is said beside targets |
//! | `explain.rs` | an effective policy in words, with warnings |
//! | `schema.rs` | the JSON Schema of such files, for editors |

mod entries;
mod expand;
mod explain;
mod fault;
mod fields;
mod files;
mod load;
mod schema;
mod sections;
mod tree;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::AcqRel, Ordering::Acquire};

use arc_swap::ArcSwapOption;
use once_cell::sync::Lazy;

use crate::error::ConfigError;
use crate::proxy::AmbassadorProxy;
use crate::settings::layer::Said;
use crate::settings::{Place, Settings, Spelling, Value};
use crate::target::Target;
use entries::{Entry, closest};
use load::Loading;
pub(crate) use tree::said;

pub use explain::{Explanation, explain};
pub use fault::{Fault, Faults};
pub use schema::json_schema;

/// The variable of the environment that names the configuration file.
pub const VARIABLE: &str = "AMBASSADOR_CONFIG";

/// A commented file to begin with, which is right as it is: what `ambassador init` writes.
pub const STARTING_FILE: &str = include_str!("starting_file.yaml");

/// A configuration, whole and checked.
#[derive(Clone, Debug, Default)]
pub struct Config {
    defaults: Vec<Said>,
    targets: Vec<Entry>,
    tenants: Tenants,
    admin: Vec<Said>,
    telemetry: Vec<Said>,
    /// What it was read from, folders included: who watches them sees every change.
    files: Vec<PathBuf>,
}

/// What is said of tenants.
#[derive(Clone, Debug, Default)]
struct Tenants {
    said: Vec<Said>,
    known: Vec<Tenant>,
}

/// What is said of one tenant: over what is said of all, for every target and for some.
#[derive(Clone, Debug)]
struct Tenant {
    id: String,
    place: Place,
    defaults: Vec<Said>,
    targets: Vec<Entry>,
}

/// The page of the ambassador itself, as a configuration asks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admin {
    /// The address that it listens at; none when it is not asked for.
    pub listen: Option<String>,
    /// What its actions ask for.
    pub token: Option<String>,
    /// Names that it may be reached by.
    pub hosts: Vec<String>,
    /// Whether it may listen beyond this machine.
    pub remote: bool,
}

impl Config {
    /// Reads the file there, with all that it includes.
    ///
    /// # Errors
    /// [`Faults`]: every one of them, with file, line and column.
    pub fn load(path: &Path) -> Result<Config, Faults> {
        let mut loading = Loading::new(&|name| std::env::var(name).ok());
        loading.file(path, &path.display().to_string());
        loading.finish()
    }

    /// Reads that text, as if it stood in a file of that name, to whose folder what it includes is relative.
    ///
    /// ```
    /// use ambassador_core::config::Config;
    ///
    /// let wrong = Config::read("version: 1\ndefaults: {timeut: 1s}\n", "ambassador.yaml").unwrap_err();
    /// assert!(wrong.to_string().starts_with(r#"ambassador.yaml:2:12: defaults.timeut: "timeut" is not allowed; expected one of "#));
    /// assert!(wrong.to_string().ends_with("did you mean timeout?"));
    /// ```
    ///
    /// # Errors
    /// [`Faults`]: every one of them, with file, line and column.
    pub fn read(text: &str, name: &str) -> Result<Config, Faults> {
        Config::read_with(text, name, |name| std::env::var(name).ok())
    }

    /// [`read`](Config::read), with an environment of its own.
    ///
    /// # Errors
    /// [`Faults`], as for [`read`](Config::read).
    pub fn read_with(text: &str, name: &str, environment: impl Fn(&str) -> Option<String>) -> Result<Config, Faults> {
        let mut loading = Loading::new(&environment);
        loading.text(text.to_owned(), name, Path::new(name));
        loading.finish()
    }

    /// What it was read from, folders that were included and files that texts stand for among them.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// What is said of that proxy, in the order in which it is laid over what the app says.
    pub(crate) fn layers(&self, name: &str, target: &Target) -> impl Iterator<Item = &[Said]> {
        let entry = closest(&self.targets, name, target);
        [Some(&self.defaults[..]), entry.map(|entry| &entry.said[..])].into_iter().flatten()
    }

    /// A proxy for that target as this configuration makes it when the app says nothing, with a state of its own.
    ///
    /// # Errors
    /// [`ConfigError`] when the target is none, or what is said of it does not go together.
    pub fn proxy(&self, target: &str) -> Result<AmbassadorProxy, ConfigError> {
        AmbassadorProxy::configured(Settings::new(target, Spelling::File)?, self)
    }

    /// What is asked of the ambassador's own page.
    pub fn admin(&self) -> Admin {
        let find = |field: &str| self.admin.iter().find(|said| said.field == field).map(|said| &said.value);
        let text = |field: &str| match find(field) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        };
        let hosts = match find("hosts") {
            Some(Value::List(hosts)) => hosts
                .iter()
                .filter_map(|host| match host {
                    Value::Text(host) => Some(host.clone()),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        };
        let remote = find("remote") == Some(&Value::Bool(true));
        Admin { listen: text("listen"), token: text("token"), hosts, remote }
    }

    /// How much goes to the host's logging, if it says so: `off`, `error`, `warn`, `info` or `debug`.
    pub fn log_level(&self) -> Option<&str> {
        self.telemetry.iter().find(|said| said.field == "log").and_then(|said| match &said.value {
            Value::Text(level) => Some(level.as_str()),
            _ => None,
        })
    }

    /// The tenants that it names.
    pub fn tenants(&self) -> impl Iterator<Item = &str> {
        self.tenants.known.iter().map(|tenant| tenant.id.as_str())
    }
}

/// What is in force for this process. Swapped rather than locked: a lock held by another thread at a fork would stay held in the child.
static IN_FORCE: Lazy<ArcSwapOption<Config>> = Lazy::new(ArcSwapOption::empty);

/// How often that was swapped.
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// What the environment names, read when the first proxy is made.
static OF_THE_ENVIRONMENT: Lazy<Result<Option<Arc<Config>>, ConfigError>> = Lazy::new(|| {
    let Some(path) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) else { return Ok(None) };
    Config::load(Path::new(&path)).map(|config| Some(Arc::new(config))).map_err(ConfigError::from)
});

/// The file or text holds from now on, for proxies that are made from now on; those that exist obey it when they are
/// [renewed](AmbassadorProxy::renew). What has a line break, or begins with `{`, is a text; all else is the path of a file.
///
/// ```standalone_crate
/// use ambassador_core::{AmbassadorProxy, config};
///
/// config::configure("version: 1\ntargets: {payment-api.example.com: {max_retries: 5}}\n")?;
/// assert_eq!(AmbassadorProxy::new("payment-api.example.com")?.policy().max_retries, 5);
/// # Ok::<_, ambassador_core::ConfigError>(())
/// ```
///
/// # Errors
/// [`Faults`]: every one of them; what was in force before then stays so (F2).
pub fn configure(path_or_text: &str) -> Result<Arc<Config>, Faults> {
    let is_text = path_or_text.contains('\n') || path_or_text.trim_start().starts_with('{');
    let config = match is_text {
        true => Config::read(path_or_text, "configuration")?,
        false => Config::load(Path::new(path_or_text))?,
    };
    let config = Arc::new(config);
    crate::telemetry::obey(&config);
    IN_FORCE.store(Some(Arc::clone(&config)));
    GENERATION.fetch_add(1, AcqRel);
    Ok(config)
}

/// How often a configuration was put in force since the process began.
pub fn generation() -> u64 {
    GENERATION.load(Acquire)
}

/// What is in force: what [`configure`] was given last, else what the environment names.
pub(crate) fn in_force() -> Result<Option<Arc<Config>>, ConfigError> {
    match IN_FORCE.load_full() {
        Some(config) => Ok(Some(config)),
        None => OF_THE_ENVIRONMENT.clone(),
    }
}
