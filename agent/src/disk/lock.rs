//! One agent a folder.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::DiskError;

const NAME: &str = "lock";

/// Held as long as the value, or the process, lives.
#[derive(Debug)]
pub(super) struct Lock {
    _held: File,
}

/// Takes the lock of `folder` without waiting, and writes this process's id into it.
pub(super) fn take(folder: &Path) -> Result<Lock, DiskError> {
    let path = folder.join(NAME);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(DiskError::io("open", &path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            let mut text = String::new();
            // Who holds it is only for the message.
            let _ = file.take(32).read_to_string(&mut text);
            return Err(DiskError::InUse {
                path: folder.to_owned(),
                holder: text.trim().parse().ok(),
            });
        }
        Err(error) => return Err(DiskError::io("lock", &path)(error.into())),
    }
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(DiskError::io("write", &path))?;
    Ok(Lock { _held: file })
}
