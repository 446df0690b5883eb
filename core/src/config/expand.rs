//! What texts of a configuration stand for: `${NAME}` is an environment variable, `${NAME:-otherwise}` the same or that text when it is
//! not set or empty, `${file:/path}` what a file says, without white space at its end. `$$` is a dollar.

use std::path::{Path, PathBuf};

use super::files::text_of;

/// The largest file that stands for a text.
const MOST_BYTES: u64 = 64 << 10;

/// Where environment variables are looked up.
pub(super) type Environment<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// A text of which something was put in; or, of the part that nothing stands behind, that part and what it would have to be.
pub(super) type Expanded = Result<Option<String>, (String, String)>;

/// The text with all that was put in, if there was anything. Files are relative to the folder; which were read is noted.
pub(super) fn expand(text: &str, environment: &Environment<'_>, folder: &Path, files: &mut Vec<PathBuf>) -> Expanded {
    if !text.contains('$') {
        return Ok(None);
    }
    let (mut whole, mut rest, mut has_changed) = (String::with_capacity(text.len()), text, false);
    while let Some(at) = rest.find('$') {
        whole.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(after) = after.strip_prefix('$') {
            whole.push('$');
            (rest, has_changed) = (after, true);
        } else if let Some(inner) = after.strip_prefix('{') {
            let Some((inner, after)) = inner.split_once('}') else {
                return Err((format!("{:?}", &rest[at..]), "a } that ends what ${ begins, or $$ for a dollar".into()));
            };
            whole.push_str(&stands_for(inner, environment, folder, files)?);
            (rest, has_changed) = (after, true);
        } else {
            whole.push('$');
            rest = after;
        }
    }
    whole.push_str(rest);
    Ok(has_changed.then_some(whole))
}

fn stands_for(
    inner: &str,
    environment: &Environment<'_>,
    folder: &Path,
    files: &mut Vec<PathBuf>,
) -> Result<String, (String, String)> {
    let shown = || format!("${{{inner}}}");
    if let Some(path) = inner.strip_prefix("file:") {
        let path = folder.join(path);
        let text = read(&path).map_err(|why| (shown(), format!("a text file of at most 64 KiB: {why}")))?;
        files.push(path);
        return Ok(text);
    }
    let (name, otherwise) = match inner.split_once(":-") {
        Some((name, otherwise)) => (name, Some(otherwise)),
        None => (inner, None),
    };
    let is_name = !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    if !is_name {
        return Err((shown(), "${NAME}, ${NAME:-otherwise} or ${file:PATH}, or $$ for a dollar".into()));
    }
    match (environment(name), otherwise) {
        (Some(value), Some(otherwise)) if value.is_empty() => Ok(otherwise.into()),
        (Some(value), _) => Ok(value),
        (None, Some(otherwise)) => Ok(otherwise.into()),
        (None, None) => Err((shown(), format!("the environment variable {name} to be set, or ${{{name}:-otherwise}}"))),
    }
}

fn read(path: &Path) -> Result<String, String> {
    let mut text = text_of(path, MOST_BYTES)?.ok_or("it is larger")?;
    text.truncate(text.trim_end().len());
    Ok(text)
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Expanded {
        let environment = |name: &str| match name {
            "PORT" => Some("8080".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        expand(text, &environment, Path::new("/nowhere"), &mut Vec::new())
    }

    #[test]
    fn variables_are_put_in_and_dollars_stay() {
        let whole = |text: &str| expanded(text).unwrap();
        assert_eq!(whole("http://10.0.0.7:${PORT}/").as_deref(), Some("http://10.0.0.7:8080/"));
        assert_eq!(whole("${NONE:-a}${EMPTY:-b}${PORT:-c}").as_deref(), Some("ab8080"));
        assert_eq!(whole("${EMPTY}").as_deref(), Some(""));
        assert_eq!(whole("$$5, $5 and $${PORT}").as_deref(), Some("$5, $5 and ${PORT}"));
        assert_eq!(whole("costs $5"), None, "nothing was put in");
    }

    #[test]
    fn what_nothing_stands_behind_is_told() {
        let allowed = |text: &str| expanded(text).unwrap_err().1;
        assert_eq!(allowed("${NONE}"), "the environment variable NONE to be set, or ${NONE:-otherwise}");
        assert!(allowed("${PORT").starts_with("a } that ends"));
        assert!(allowed("${1x}").starts_with("${NAME}"));
        assert!(allowed("${file:absent}").contains("No such file"));
    }
}
