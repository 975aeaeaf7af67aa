//! The folder of a demo: its user's alone.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::DemoError;

/// Longest path of a unix socket, in bytes, without the zero behind it.
const SOCKET_PATH: usize = 107;
/// What stands behind the folder in the longest of them (a node's name has 10 bytes at most).
const DEEPEST: &str = "/worker-100/data/registry/registry.sock";

/// Makes the folder, or takes one that is there and ours. Absolute and without links.
pub(super) fn open(folder: &Path) -> Result<PathBuf, DemoError> {
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder);
    made.map_err(|error| DemoError::io("make", folder.display(), error))?;
    // Another user may have been here first: in a folder for temporary files anyone can make one.
    let found = fs::symlink_metadata(folder)
        .map_err(|error| DemoError::io("look at", folder.display(), error))?;
    let ours = found.uid() == rustix::process::geteuid().as_raw();
    if !ours || !fs::metadata(folder).is_ok_and(|found| found.is_dir()) {
        return Err(DemoError::Foreign(folder.to_owned()));
    }
    let whole = folder
        .canonicalize()
        .map_err(|error| DemoError::io("find", folder.display(), error))?;
    let length = whole.as_os_str().len();
    let limit = SOCKET_PATH - DEEPEST.len();
    if length > limit {
        return Err(DemoError::LongPath {
            folder: whole.display().to_string(),
            length,
            limit,
        });
    }
    Ok(whole)
}

/// Makes a folder in it.
pub(super) fn make(path: &Path) -> Result<(), DemoError> {
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path);
    made.map_err(|error| DemoError::io("make", path.display(), error))
}

/// Writes a file of it, for its user only.
pub(super) fn write(path: &Path, text: &str) -> Result<(), DemoError> {
    let beside = path.with_extension("new");
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&beside, path));
    written.map_err(|error| DemoError::io("write", path.display(), error))
}

/// Removes a file or a folder; it is fine if there is none.
pub(super) fn remove(path: &Path) -> Result<(), DemoError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(DemoError::io("remove", path.display(), error))
        }
        _ => Ok(()),
    }
}
