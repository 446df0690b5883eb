//! The page of the admin server: the files of the folder `dashboard`, embedded as they are. How the page works is told there; what it
//! shows is what `/v1/snapshot`, `/v1/events` and `/v1/config` tell anybody.

/// A file of the page.
pub(super) struct File {
    path: &'static str,
    pub content_type: &'static str,
    pub content: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! files {
    ($($path:literal, $content_type:ident, $file:literal;)*) => {
        &[$(File { path: $path, content_type: $content_type, content: include_str!(concat!("dashboard/", $file)) }),*]
    };
}

const FILES: &[File] = files! {
    "/", HTML, "index.html";
    "/style.css", CSS, "style.css";
    "/page.js", JAVASCRIPT, "page.js";
    "/detail.js", JAVASCRIPT, "detail.js";
    "/draw.js", JAVASCRIPT, "draw.js";
    "/events.js", JAVASCRIPT, "events.js";
    "/format.js", JAVASCRIPT, "format.js";
    "/history.js", JAVASCRIPT, "history.js";
    "/link.js", JAVASCRIPT, "link.js";
    "/overview.js", JAVASCRIPT, "overview.js";
    "/verdict.js", JAVASCRIPT, "verdict.js";
};

/// The file at that path.
pub(super) fn file(path: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_the_page_is_small() {
        let bytes: usize = FILES.iter().map(|file| file.content.len()).sum();
        assert!(bytes < 60 * 1024, "{bytes} bytes");
    }

    #[test]
    fn whatever_the_page_loads_is_embedded_and_nothing_else() {
        let mut loaded = vec!["/".to_owned()];
        for file in FILES {
            for quoted in file.content.split(['"', '\'']).filter(|text| text.ends_with(".js") || text.ends_with(".css"))
            {
                let path = format!("/{}", quoted.trim_start_matches("./"));
                // Of types alone, which no browser reads.
                if path != "/schema.js" && !loaded.contains(&path) {
                    loaded.push(path);
                }
            }
        }
        loaded.sort();
        let mut embedded: Vec<_> = FILES.iter().map(|file| file.path).collect();
        embedded.sort_unstable();
        assert_eq!(loaded, embedded);
    }
}
