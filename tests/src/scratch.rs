//! Temporary folders that say whose they are, so that what a killed test left can be cleared by the next.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};
use tempfile::TempDir;

use crate::wait;

/// How long the folders of killed engines may stay busy.
const BUSY: Duration = Duration::from_secs(20);
/// What all names start with; the owner's process id follows.
const PREFIX: &str = "swarmer-";

/// A folder that goes when it is dropped, unless `SWARMER_KEEP` is set.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes a folder for a `kind` of thing, and clears those of dead tests.
    pub fn new(kind: &str) -> Result<Self> {
        let place = std::env::temp_dir();
        for entry in std::fs::read_dir(&place).into_iter().flatten().flatten() {
            if is_abandoned(&entry.file_name().to_string_lossy()) {
                // Another test may be clearing it too.
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
        let name = format!("{PREFIX}{}-{kind}-", std::process::id());
        let path = TempDir::with_prefix_in(name, place)?.keep();
        Ok(Self { path })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The name of a thing of this test process, for [`is_abandoned`] to know.
#[must_use]
pub fn name(kind: &str) -> String {
    format!("{PREFIX}{}-{kind}", std::process::id())
}

/// True for a thing named by [`name`] whose test process is dead.
#[must_use]
pub fn is_abandoned(name: &str) -> bool {
    let owner = name
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.split('-').next());
    let owner = owner.and_then(|owner| owner.parse::<u32>().ok());
    owner.is_some_and(|owner| !Path::new("/proc").join(owner.to_string()).exists())
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::env::var_os("SWARMER_KEEP").is_some() {
            eprintln!("    kept: {}", self.path.display());
            return;
        }
        // Killed containers go a moment after their engine, and keep folders busy till then.
        let removed =
            wait::for_fact(
                "a test's folder can be removed",
                BUSY,
                || match std::fs::remove_dir_all(&self.path) {
                    Err(error) if self.path.exists() => bail!("{}: {error}", self.path.display()),
                    _ => Ok(()),
                },
            );
        if let Err(error) = removed {
            eprintln!("{error:#}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_things_of_dead_tests_are_abandoned() {
        assert!(is_abandoned("swarmer-999999999-lab-x"));
        assert!(!is_abandoned(&name("lab")));
        assert!(!is_abandoned("swarmer-demo-1"));
        assert!(!is_abandoned("something-else"));
    }
}
