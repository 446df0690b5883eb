//! A file of endpoints that is written, replaced, swapped and broken while it is watched (E4).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ambassador_core::clock::SECOND;
use ambassador_core::discovery::{Discovery, Source};

use crate::watching::Watching;

/// A folder of a test's own.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("ambassador-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).unwrap();
        Folder(folder)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.at(name), text).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Watches that file; time alone does not make it look again once it was found.
fn watching(path: &Path) -> Watching {
    let discovery = Discovery { refresh: 3600 * SECOND, ..Discovery::new(Source::File(path.to_owned())) };
    Watching::begin(discovery, "payment-api.test")
}

#[test]
fn a_file_that_is_written_in_place_is_read_again() {
    let folder = Folder::new();
    folder.write("endpoints.json", r#"["10.0.0.1:80"]"#);
    let watching = watching(&folder.at("endpoints.json"));
    assert_eq!(watching.found(), ["10.0.0.1:80"]);
    folder.write("endpoints.json", r#"["10.0.0.1:80", "http://10.0.0.2:80"]"#);
    watching.turns(&["10.0.0.1:80"], &["10.0.0.1:80", "http://10.0.0.2:80"]);
}

#[test]
fn a_file_that_another_one_replaces_is_read_again_each_time() {
    let folder = Folder::new();
    folder.write("endpoints.yaml", "- 10.0.0.0:80");
    let watching = watching(&folder.at("endpoints.yaml"));
    assert_eq!(watching.found(), ["10.0.0.0:80"]);
    for n in 1..=5 {
        folder.write("endpoints.yaml.swp", &format!("- 10.0.0.{n}:80"));
        fs::rename(folder.at("endpoints.yaml.swp"), folder.at("endpoints.yaml")).unwrap();
        watching.turns(&[&format!("10.0.0.{}:80", n - 1)], &[&format!("10.0.0.{n}:80")]);
    }
}

#[cfg(unix)]
#[test]
fn a_file_behind_a_link_that_is_swapped_is_read_again_each_time() {
    use std::os::unix::fs::symlink;

    // As Kubernetes lays a ConfigMap out.
    let folder = Folder::new();
    let version = |n: usize| {
        let name = format!("..{n}");
        fs::create_dir(folder.at(&name)).unwrap();
        fs::write(folder.at(&name).join("endpoints.yaml"), format!("endpoints:\n- 10.0.0.{n}:80\n")).unwrap();
        name
    };
    symlink(version(0), folder.at("..data")).unwrap();
    symlink("..data/endpoints.yaml", folder.at("endpoints.yaml")).unwrap();
    let watching = watching(&folder.at("endpoints.yaml"));
    assert_eq!(watching.found(), ["10.0.0.0:80"]);
    for n in 1..=5 {
        symlink(version(n), folder.at("..data_tmp")).unwrap();
        fs::rename(folder.at("..data_tmp"), folder.at("..data")).unwrap();
        fs::remove_dir_all(folder.at(&format!("..{}", n - 1))).unwrap();
        watching.turns(&[&format!("10.0.0.{}:80", n - 1)], &[&format!("10.0.0.{n}:80")]);
    }
}

#[test]
fn a_broken_file_says_where_and_leaves_the_set_as_it_was() {
    let folder = Folder::new();
    folder.write("endpoints.yaml", "- 10.0.0.1:80\n");
    let watching = watching(&folder.at("endpoints.yaml"));
    assert_eq!(watching.found(), ["10.0.0.1:80"]);
    folder.write("endpoints.yaml", "- 10.0.0.1:80\n- url: 10.0.0.2:80\n  weight: many\n");
    let place = format!("{}:3:11: ", folder.at("endpoints.yaml").display());
    while !watching.failed().starts_with(&place) {}
    folder.write("endpoints.yaml", "- 10.0.0.1:80\n- url: 10.0.0.2:80\n  weight: 2\n");
    watching.turns(&["10.0.0.1:80"], &["10.0.0.1:80", "10.0.0.2:80"]);
}

#[test]
fn a_file_that_is_removed_leaves_the_set_as_it_was_until_it_is_back() {
    let folder = Folder::new();
    folder.write("endpoints.yaml", "- 10.0.0.1:80\n");
    let watching = watching(&folder.at("endpoints.yaml"));
    assert_eq!(watching.found(), ["10.0.0.1:80"]);
    fs::remove_file(folder.at("endpoints.yaml")).unwrap();
    watching.failed();
    folder.write("endpoints.yaml", "- 10.0.0.2:80\n");
    watching.turns(&["10.0.0.1:80"], &["10.0.0.2:80"]);
}

#[test]
fn a_file_that_is_not_there_yet_is_found_when_it_is_and_so_is_its_folder() {
    let folder = Folder::new();
    let path = folder.at("later").join("endpoints.yaml");
    let watching = watching(&path);
    let why = watching.failed();
    assert!(why.starts_with(&path.display().to_string()), "{why}");
    fs::create_dir(folder.at("later")).unwrap();
    folder.write("later/endpoints.yaml", "- 10.0.0.1:80\n");
    watching.turns(&[], &["10.0.0.1:80"]);
    folder.write("later/endpoints.yaml", "- 10.0.0.2:80\n");
    watching.turns(&["10.0.0.1:80"], &["10.0.0.2:80"]);
}

#[test]
fn of_two_entries_for_one_address_the_later_one_holds() {
    let folder = Folder::new();
    folder.write("endpoints.yaml", "- {url: '10.0.0.1:80', weight: 2}\n- {url: '10.0.0.1:80', weight: 3}\n");
    let found = watching(&folder.at("endpoints.yaml")).next().unwrap();
    assert_eq!((found.len(), found[0].its_weight()), (1, 3));
}
