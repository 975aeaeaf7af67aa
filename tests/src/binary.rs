//! The program under test, and other programs that tests need.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Where `swarmer` is: `SWARMER_BIN`, else the newer of the release and the debug build beside the tests.
pub fn swarmer() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("SWARMER_BIN") {
        let path = PathBuf::from(path);
        if !path.is_file() {
            bail!("SWARMER_BIN names {}, which is no file", path.display());
        }
        return std::path::absolute(path).context("make SWARMER_BIN absolute");
    }
    let target = target_directory()?;
    ["release", "debug"]
        .iter()
        .map(|profile| target.join(profile).join("swarmer"))
        .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
        .max()
        .map(|(_, path)| path)
        .with_context(|| {
            format!(
                "no swarmer in {}: build it (cargo build --release -p swarmer-agent) or set SWARMER_BIN",
                target.display()
            )
        })
}

/// Cargo's target directory, found from this test's own executable (`target/PROFILE/deps/test`).
pub fn target_directory() -> Result<PathBuf> {
    let own = std::env::current_exe().context("find the test's own executable")?;
    own.ancestors()
        .find(|folder| {
            ["debug", "release"]
                .iter()
                .any(|profile| folder.ends_with(profile))
        })
        .and_then(Path::parent)
        .map(Path::to_path_buf)
        .with_context(|| format!("{} is not in a target directory", own.display()))
}

/// Where `program` is on the PATH, or in the places that a login shell of root adds to it.
#[must_use]
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}
