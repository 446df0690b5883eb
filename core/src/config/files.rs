//! Files that a configuration is read from: texts of a bounded length, and what lies in a folder.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The text of the file there; `None` when it has more bytes than that.
pub(super) fn text_of(path: &Path, most: u64) -> Result<Option<String>, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|e| e.to_string())?;
    if file.metadata().is_ok_and(|about| !about.is_file()) {
        return Err("it is no file".into());
    }
    file.take(most + 1).read_to_string(&mut text).map_err(|e| e.to_string())?;
    Ok((text.len() as u64 <= most).then_some(text))
}

/// The configuration files of a folder, in the order of their names. Hidden ones are not: a ConfigMap keeps its past in those.
pub(super) fn files_in(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let is_one = path.extension().is_some_and(|kind| ["yaml", "yml", "json"].iter().any(|known| kind == *known));
        if is_one && !is_hidden && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
