//! Files that are read again when they have changed: certificates, keys, tokens. They are looked at when they are wanted, which
//! is a call of the operating system for each, and read when they are not as they were. What cannot be used replaces nothing:
//! the last good value stays, and the one who looked is told why.
//!
//! Nothing is locked, and no thread watches, so that a child made by `fork` goes on as its parent did (F3).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use ring::digest::{self, Digest, SHA256};

/// A file that was written so recently may be written once more without looking any different, for clocks of file systems are
/// coarse: it is read again until it has been left alone for so long.
const SETTLED: Duration = Duration::from_secs(2);

/// How many bytes are read of a file at most.
const MOST: u64 = 16 << 20;

/// How a file stood when it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    length: u64,
    inode: u64,
}

impl Stamp {
    /// `None` when there is no such file.
    fn of(path: &Path) -> Option<Stamp> {
        let found = fs::metadata(path).ok()?;
        let modified = found.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(&found);
        #[cfg(not(unix))]
        let inode = 0;
        Some(Stamp { modified, length: found.len(), inode })
    }

    fn is_settled(&self, now: SystemTime) -> bool {
        match now.duration_since(self.modified) {
            Ok(age) => age >= SETTLED,
            Err(ahead) => ahead.duration() >= SETTLED,
        }
    }
}

/// What was last read.
struct Read<T> {
    stamps: Vec<Option<Stamp>>,
    settled: bool,
    digest: Digest,
    /// The last that could be used.
    value: Option<Arc<T>>,
    /// Why what was read last cannot be used.
    fault: Option<String>,
}

/// What looking at the files has brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// What they hold now has replaced what they held.
    Replaced,
    /// What they hold now cannot be used, for that reason; what they held goes on.
    Kept(String),
}

impl Change {
    /// Why what the files hold now is not in use; `None` when it is.
    pub fn why(self) -> Option<String> {
        match self {
            Change::Replaced => None,
            Change::Kept(why) => Some(why),
        }
    }
}

/// Files that make one value together.
pub(crate) struct Watched<T> {
    paths: Vec<PathBuf>,
    parse: fn(&[Vec<u8>]) -> Result<T, String>,
    last: ArcSwapOption<Read<T>>,
}

impl<T> Watched<T> {
    pub fn new<const N: usize>(paths: [&Path; N], parse: fn(&[Vec<u8>]) -> Result<T, String>) -> Watched<T> {
        Watched { paths: paths.map(PathBuf::from).into(), parse, last: ArcSwapOption::empty() }
    }

    /// The value of what the files hold now, or of what they last held that could be used. Whoever sees a change first tells.
    ///
    /// # Errors
    /// Why there is none: a file cannot be read, or holds something else.
    pub fn get(&self, tell: impl FnOnce(Change)) -> Result<Arc<T>, String> {
        let last = self.last.load();
        if let Some(last) = &*last
            && last.settled
            && self.paths.iter().map(|path| Stamp::of(path)).eq(last.stamps.iter().copied())
        {
            return last.answer();
        }
        let (read, change) = self.read(last.as_deref());
        let read = Arc::new(read);
        let answer = read.answer();
        let before = self.last.compare_and_swap(&*last, Some(read));
        let is_first = before.as_ref().map(Arc::as_ptr) == last.as_ref().map(Arc::as_ptr);
        if let (true, Some(change)) = (is_first, change) {
            tell(change);
        }
        answer
    }

    /// Reads them now, whatever was read before.
    pub fn read_once(&self) -> Result<T, String> {
        (self.parse)(&self.contents()?)
    }

    fn read(&self, last: Option<&Read<T>>) -> (Read<T>, Option<Change>) {
        let now = SystemTime::now();
        // Before the contents: what is written in between has another stamp next time.
        let stamps: Vec<_> = self.paths.iter().map(|path| Stamp::of(path)).collect();
        let settled = stamps.iter().flatten().all(|stamp| stamp.is_settled(now));
        let contents = self.contents();
        let digest = digested(&contents);
        if let Some(last) = last
            && last.digest.as_ref() == digest.as_ref()
        {
            let (value, fault) = (last.value.clone(), last.fault.clone());
            return (Read { stamps, settled, digest, value, fault }, None);
        }
        let before = last.and_then(|last| last.value.clone());
        let (value, fault, change) = match contents.and_then(|contents| (self.parse)(&contents)) {
            Ok(value) => (Some(Arc::new(value)), None, before.is_some().then_some(Change::Replaced)),
            Err(why) => {
                let change = before.is_some().then(|| Change::Kept(why.clone()));
                (before, Some(why), change)
            }
        };
        (Read { stamps, settled, digest, value, fault }, change)
    }

    fn contents(&self) -> Result<Vec<Vec<u8>>, String> {
        self.paths.iter().map(|path| contents_of(path)).collect()
    }
}

impl<T> Read<T> {
    fn answer(&self) -> Result<Arc<T>, String> {
        match (&self.value, &self.fault) {
            (Some(value), _) => Ok(Arc::clone(value)),
            (None, fault) => Err(fault.clone().unwrap_or_default()),
        }
    }
}

fn contents_of(path: &Path) -> Result<Vec<u8>, String> {
    let found = fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    // A pipe or a device may never end.
    if !found.is_file() {
        return Err(format!("{} is no file", path.display()));
    }
    if found.len() > MOST {
        return Err(format!("{} is larger than {} MiB", path.display(), MOST >> 20));
    }
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn digested(contents: &Result<Vec<Vec<u8>>, String>) -> Digest {
    let mut context = digest::Context::new(&SHA256);
    match contents {
        Ok(contents) => {
            for content in contents {
                context.update(&(content.len() as u64).to_le_bytes());
                context.update(content);
            }
        }
        Err(why) => {
            context.update(&u64::MAX.to_le_bytes());
            context.update(why.as_bytes());
        }
    }
    context.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    /// A folder of its own for a test, gone with it.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Folder {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let name = format!("ambassador-watched-{}-{}", std::process::id(), NEXT.fetch_add(1, SeqCst));
            let folder = std::env::temp_dir().join(name);
            fs::create_dir(&folder).unwrap();
            Folder(folder)
        }

        fn file(&self, name: &str, content: &str) -> PathBuf {
            let path = self.0.join(name);
            fs::write(&path, content).unwrap();
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn number(contents: &[Vec<u8>]) -> Result<u32, String> {
        String::from_utf8_lossy(&contents[0]).trim().parse().map_err(|_| "it is no number".into())
    }

    fn get(watched: &Watched<u32>) -> (Result<u32, String>, Option<Change>) {
        let mut told = None;
        let value = watched.get(|change| told = Some(change));
        (value.map(|value| *value), told)
    }

    #[test]
    fn a_file_that_changes_within_its_clocks_tick_and_keeps_its_length_is_read_again() {
        let folder = Folder::new();
        let path = folder.file("number", "1");
        let watched = Watched::new([&path], number);
        assert_eq!(get(&watched), (Ok(1), None));
        for value in 2..9 {
            folder.file("number", &value.to_string());
            assert_eq!(get(&watched), (Ok(value), Some(Change::Replaced)));
            assert_eq!(get(&watched), (Ok(value), None));
        }
    }

    #[test]
    fn what_cannot_be_used_replaces_nothing_and_is_told_once() {
        let folder = Folder::new();
        let path = folder.file("number", "1");
        let watched = Watched::new([&path], number);
        assert_eq!(get(&watched).0, Ok(1));
        folder.file("number", "one");
        assert_eq!(get(&watched), (Ok(1), Some(Change::Kept("it is no number".into()))));
        assert_eq!(get(&watched), (Ok(1), None));
        fs::remove_file(&path).unwrap();
        let (value, told) = get(&watched);
        assert!(value == Ok(1) && matches!(&told, Some(Change::Kept(why)) if why.contains("No such file")), "{told:?}");
        folder.file("number", "2");
        assert_eq!(get(&watched), (Ok(2), Some(Change::Replaced)));
    }

    #[test]
    fn a_file_that_was_left_alone_is_not_read_again() {
        static READ: AtomicU32 = AtomicU32::new(0);
        let folder = Folder::new();
        let path = folder.file("number", "1");
        let long_ago = SystemTime::now() - Duration::from_secs(60);
        fs::File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
        let watched = Watched::new([&path], |_| Ok(READ.fetch_add(1, SeqCst)));
        for _ in 0..10 {
            assert_eq!(get(&watched).0, Ok(0));
            assert!(watched.last.load().as_ref().is_some_and(|read| read.settled));
        }
    }

    #[test]
    fn a_file_that_is_missing_at_first_is_found_when_it_comes() {
        let folder = Folder::new();
        let path = folder.0.join("number");
        let watched = Watched::new([&path], number);
        assert!(get(&watched).0.is_err_and(|why| why.contains("No such file")));
        folder.file("number", "7");
        assert_eq!(get(&watched).0, Ok(7));
    }

    #[test]
    fn a_folder_is_no_file() {
        let folder = Folder::new();
        let watched = Watched::new([&folder.0], number);
        assert!(get(&watched).0.is_err_and(|why| why.ends_with("is no file")));
    }
}
