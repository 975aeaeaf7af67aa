//! Programs on this machine, and how to name them so that a line works when it is pasted.

use std::io;
use std::path::{Path, PathBuf};

use super::DemoError;

/// CNCF Distribution: Debian's name, then upstream's.
const REGISTRIES: [&str; 2] = ["docker-registry", "registry"];
/// Where programs are if `PATH` says nothing.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where `name` is in `PATH`.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| USUAL_PATH.into());
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(name));
    places.find(|place| place.is_file())
}

/// A registry that the nodes can run.
pub(super) fn has_registry() -> bool {
    REGISTRIES.iter().any(|name| find(name).is_some())
}

/// This program's own file.
pub(super) fn ourselves() -> Result<PathBuf, DemoError> {
    let file = std::env::current_exe()
        .map_err(|error| DemoError::io("find", "this program's own file", error))?;
    if file.is_file() {
        return Ok(file);
    }
    let gone = io::Error::from(io::ErrorKind::NotFound);
    Err(DemoError::io("start nodes with", file.display(), gone))
}

/// What to type to run `ourselves`: `swarmer`, if `PATH` leads there.
pub(super) fn typed(ourselves: &Path) -> String {
    let in_path = find("swarmer").and_then(|file| file.canonicalize().ok());
    if in_path.is_some() && in_path == ourselves.canonicalize().ok() {
        return "swarmer".to_owned();
    }
    quoted(&ourselves.display().to_string())
}

/// `text` as one word of a shell.
pub(super) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_a_shell_stays_one() {
        assert_eq!(quoted("/a/b-c.d"), "/a/b-c.d");
        assert_eq!(quoted("/a b"), "'/a b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted("$HOME"), "'$HOME'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn programs_are_found_in_the_path() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program-anywhere").is_none());
    }
}
