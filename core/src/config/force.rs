//! Which configuration is in force, and how another one comes to be: read whole, checked with every proxy that there is, then put in
//! force at once. One that is wrong changes nothing (F2): the last good one stays, and where it is wrong is told. `watch.rs` knows
//! when a file is to be read again.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use once_cell::sync::Lazy;

use super::fault::{Fault, Faults};
use super::tree::At;
use super::{Config, VARIABLE, watch};
use crate::error::ConfigError;
use crate::event::Event;
use crate::proxy::AmbassadorProxy;
use crate::target::State;
use crate::telemetry;

/// What is in force, and the file that it is of.
#[derive(Debug)]
struct InForce {
    config: Arc<Config>,
    file: Option<ItsFile>,
}

/// A file as it was named, and where that is whatever folder the process works in later.
#[derive(Clone, Debug)]
struct ItsFile {
    shown: String,
    path: PathBuf,
}

impl ItsFile {
    fn new(path: &Path) -> ItsFile {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        ItsFile { shown: path.display().to_string(), path: absolute }
    }

    /// The configuration there; `files` are those that were looked at, also when it is wrong.
    fn read(&self, files: &mut Vec<PathBuf>) -> Result<Config, Faults> {
        Config::load_as(&self.path, &self.shown, files)
    }
}

// Swapped rather than locked: a lock held by another thread at a fork would stay held in the child.
static IN_FORCE: Lazy<ArcSwapOption<InForce>> = Lazy::new(ArcSwapOption::empty);
/// What was looked at when the file was last read.
static FILES: Lazy<ArcSwap<Vec<PathBuf>>> = Lazy::new(ArcSwap::default);
/// Why what the file says now is not in force.
static TROUBLE: Lazy<ArcSwapOption<Faults>> = Lazy::new(ArcSwapOption::empty);
/// How often a configuration was put in force over another, or none.
static GENERATION: AtomicU64 = AtomicU64::new(0);
/// One at a time. Swapped whole in a forked child.
static CHANGING: Lazy<ArcSwap<Mutex<()>>> = Lazy::new(ArcSwap::default);
/// What the environment names.
static OF_THE_ENVIRONMENT: Lazy<Option<ItsFile>> = Lazy::new(|| {
    let path = std::env::var_os(VARIABLE).filter(|path| !path.is_empty())?;
    Some(ItsFile::new(Path::new(&path)))
});

/// The file or text holds from now on, for proxies that there are and for those that will be; a file is watched, and what it says
/// later holds then. What has a line break, or begins with `{`, is a text; all else is the path of a file. A call in flight keeps the
/// attempts, bounds and waits that it began with.
///
/// ```standalone_crate
/// use ambassador_core::{AmbassadorProxy, config};
///
/// let proxy = AmbassadorProxy::new("payment-api.example.com")?;
/// config::configure("version: 1\ntargets: {payment-api.example.com: {max_retries: 5}}\n")?;
/// assert_eq!(proxy.policy().max_retries, 5);
/// # Ok::<_, ambassador_core::ConfigError>(())
/// ```
///
/// # Errors
/// [`Faults`]: every one of them; what was in force before then stays so (F2). Also where what a proxy was made of does not go together
/// with it.
pub fn configure(path_or_text: &str) -> Result<Arc<Config>, Faults> {
    let is_text = path_or_text.contains('\n') || path_or_text.trim_start().starts_with('{');
    let (mut files, file) = (Vec::new(), (!is_text).then(|| ItsFile::new(Path::new(path_or_text))));
    let config = alone(|| {
        let config = match &file {
            None => Config::read(path_or_text, "configuration")?,
            Some(file) => file.read(&mut files)?,
        };
        let is_watched = file.is_some();
        let config = put(config, file)?;
        FILES.store(Arc::new(files));
        mended();
        if is_watched {
            watch::begin();
        }
        Ok(config)
    });
    told();
    config
}

/// Reads the file in force again, as happens by itself when it changes; nothing where none is.
///
/// # Errors
/// [`Faults`]: every one of them; what was in force before then stays so (F2).
pub fn reload() -> Result<(), Faults> {
    let read = alone(|| {
        let Some(file) = IN_FORCE.load().as_ref().and_then(|present| present.file.clone()) else { return Ok(()) };
        let mut files = Vec::new();
        let config = file.read(&mut files);
        // Also of one that is wrong: whoever mends it is seen.
        FILES.store(Arc::new(files));
        match config.and_then(|config| put(config, Some(file))) {
            Ok(_) => {
                mended();
                Ok(())
            }
            Err(faults) => {
                in_trouble(&faults);
                Err(faults)
            }
        }
    });
    told();
    read
}

/// How often another configuration was put in force since the process began.
pub fn generation() -> u64 {
    GENERATION.load(SeqCst)
}

/// Why what the file says now is not in force; `None` where it is.
pub fn trouble() -> Option<Arc<Faults>> {
    TROUBLE.load_full()
}

/// What is in force: what [`configure`] was given last, else what the environment names.
pub(crate) fn in_force() -> Result<Option<Arc<Config>>, ConfigError> {
    if let Some(present) = &*IN_FORCE.load() {
        return Ok(Some(Arc::clone(&present.config)));
    }
    let Some(file) = &*OF_THE_ENVIRONMENT else { return Ok(None) };
    let mut files = Vec::new();
    let config = Arc::new(file.read(&mut files)?);
    let first = Arc::new(InForce { config: Arc::clone(&config), file: Some(file.clone()) });
    let before = IN_FORCE.compare_and_swap(&None::<Arc<InForce>>, Some(first));
    if let Some(before) = &*before {
        return Ok(Some(Arc::clone(&before.config)));
    }
    FILES.store(Arc::new(files));
    watch::begin();
    Ok(Some(config))
}

/// What is to be watched; nothing where no file is in force.
pub(super) fn files() -> Arc<Vec<PathBuf>> {
    FILES.load_full()
}

/// F3: whoever was changing it in the parent is not here.
pub(super) fn begin_anew() {
    CHANGING.store(Arc::default());
}

fn alone<T>(change: impl FnOnce() -> T) -> T {
    let changing = CHANGING.load_full();
    let _changing = changing.lock().unwrap_or_else(PoisonError::into_inner);
    change()
}

/// That one is in force from now on, if it goes together with every proxy.
fn put(config: Config, file: Option<ItsFile>) -> Result<Arc<Config>, Faults> {
    let present = IN_FORCE.load_full();
    let is_same = present.as_ref().is_some_and(|present| *present.config == config);
    let config = Arc::new(config);
    let shown = file.as_ref().map_or("configuration", |file| &file.shown).to_owned();
    let mut faults = Faults::default();
    let mut drawn = Vec::new();
    for proxy in proxies() {
        match proxy.drawn_by(&config) {
            Ok(one) => drawn.push((proxy, one)),
            Err(ConfigError { field, value, allowed }) => {
                let path = format!("targets.{}.{field}", proxy.name());
                faults.push(Fault::new(&shown.as_str().into(), At::default(), path, value, allowed));
            }
        }
    }
    if !faults.is_empty() {
        faults.sort();
        return Err(faults);
    }
    IN_FORCE.store(Some(Arc::new(InForce { config: Arc::clone(&config), file })));
    telemetry::obey(&config);
    if !is_same {
        // Whoever makes a proxy looks at this afterwards: it sees this, or is seen below.
        GENERATION.fetch_add(1, SeqCst);
    }
    for (proxy, drawn) in drawn {
        proxy.adopt(drawn);
    }
    for proxy in proxies() {
        // Those that were made meanwhile; for all others nothing is left to do. What does not go together was told to who made it.
        if let Ok(drawn) = proxy.drawn_by(&config) {
            proxy.adopt(drawn);
        }
    }
    Ok(config)
}

fn proxies() -> impl Iterator<Item = AmbassadorProxy> {
    State::all().into_iter().flat_map(|state| state.proxies())
}

/// F2: the last good one stays, and whoever listens to a target is told why.
fn in_trouble(faults: &Faults) {
    if TROUBLE.load().as_ref().is_some_and(|before| **before == *faults) {
        return;
    }
    TROUBLE.store(Some(Arc::new(faults.clone())));
    tell_all(Some(&faults.in_short()));
}

/// What the file says is in force.
fn mended() {
    if TROUBLE.swap(None).is_some() {
        tell_all(None);
    }
}

fn tell_all(why: Option<&str>) {
    for state in State::all() {
        let event = Event::Config { changed: Vec::new(), why: why.map(str::to_owned) };
        state.tell(event.level(), || event);
    }
}

/// Listeners hear of it when nothing is locked; a host's own, when it is woken, for no decision follows at which it would look.
fn told() {
    State::all().iter().for_each(|state| state.listeners.hear(state.name()));
    telemetry::log::wake();
}
