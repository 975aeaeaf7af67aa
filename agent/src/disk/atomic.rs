//! Replacing a file whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::DiskError;

/// Writes `bytes` beside `path`, makes them durable, and renames them into place. One writer at a
/// time per path.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), DiskError> {
    let beside = beside(path);
    let written = write_new(&beside, bytes, mode)
        .and_then(|()| fs::rename(&beside, path).map_err(DiskError::io("replace", path)));
    if written.is_err() {
        // The error to report is the first one; a leftover is overwritten next time.
        let _ = fs::remove_file(&beside);
    }
    written?;
    sync_parent(path)
}

/// Removes `path` durably; it is fine if there is none.
pub(super) fn remove(path: &Path) -> Result<(), DiskError> {
    match fs::remove_file(path) {
        Ok(()) => sync_parent(path),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(DiskError::io("remove", path)(error)),
    }
}

/// Removes `path` with all that is in it.
pub(super) fn remove_all(path: &Path) -> Result<(), DiskError> {
    if !path.is_dir() {
        return remove(path);
    }
    fs::remove_dir_all(path).map_err(DiskError::io("remove", path))?;
    sync_parent(path)
}

/// The content; `None`: there is no such file.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, DiskError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(DiskError::io("read", path)(error)),
    }
}

/// Makes a folder for the owner only, durably, with those above it. Where it is there already, its place
/// is made durable all the same: a process may have made it that ended before it could.
pub fn make_folder(path: &Path) -> Result<(), DiskError> {
    let new: Vec<&Path> = path.ancestors().take_while(|p| !p.exists()).collect();
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(DiskError::io("create the folder", path))?;
    if new.is_empty() {
        return match sync_parent(path) {
            // Others put it there, into one that this process can do nothing about.
            Err(error) if error.is_out_of_reach() => Ok(()),
            synced => synced,
        };
    }
    new.into_iter().try_for_each(sync_parent)
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), DiskError> {
    // A leftover may have another mode.
    remove(path)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(DiskError::io("create", path))?;
    file.write_all(bytes)
        .map_err(DiskError::io("write", path))?;
    // Whatever the umask says.
    file.set_permissions(fs::Permissions::from_mode(mode))
        .map_err(DiskError::io("set the mode of", path))?;
    file.sync_all().map_err(DiskError::io("sync", path))
}

/// A rename or a new entry is durable only with its folder.
fn sync_parent(path: &Path) -> Result<(), DiskError> {
    let Some(parent) = path.parent() else {
        return Ok(());
    };
    let parent = if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        parent
    };
    File::open(parent)
        .and_then(|folder| folder.sync_all())
        .map_err(DiskError::io("sync the folder", parent))
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_be_replaced_stays_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("taken");
        fs::create_dir_all(path.join("inside")).unwrap();
        let error = replace(&path, b"new", 0o600).unwrap_err();
        assert!(error.to_string().starts_with("can't replace /"), "{error}");
        assert!(path.join("inside").is_dir());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_leftover_of_a_crash_neither_blocks_nor_lends_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        fs::write(dir.path().join("key.new"), "half").unwrap();
        replace(&path, b"whole", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        replace(&path, b"open", 0o644).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
    }
}
