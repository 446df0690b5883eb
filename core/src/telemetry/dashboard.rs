//! The files of the page, as they are in the folder `dashboard`, embedded.

/// A file of the page.
pub(super) struct File {
    path: &'static str,
    pub content_type: &'static str,
    pub content: &'static str,
}

const FILES: &[File] = &[File {
    path: "/",
    content_type: "text/html; charset=utf-8",
    content: "<!doctype html><title>Ambassador</title><a href=v1/snapshot>snapshot</a>, <a href=metrics>metrics</a>",
}];

/// The file at that path.
pub(super) fn file(path: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.path == path)
}
