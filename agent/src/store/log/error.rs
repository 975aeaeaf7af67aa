//! What can be wrong with a log.

use std::io;
use std::path::{Path, PathBuf};

use crate::disk::DiskError;

/// Why the log can't be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The operating system refused.
    #[error("cannot {act} {}", path.display())]
    Io {
        /// What was tried.
        act: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Its folder.
    #[error(transparent)]
    Folder(#[from] DiskError),
    /// A file with a segment's name that is none.
    #[error(
        "{} is not a segment of the raft log: {what}; move it away, or restore the data folder",
        path.display()
    )]
    NotASegment {
        /// The file.
        path: PathBuf,
        /// What is wrong with its first bytes.
        what: &'static str,
    },
    /// Written by a later release.
    #[error(
        "{} has format {found} at byte {offset}, this program reads up to {known}: start a newer release on this data folder",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// Its version, or the version and kind of the record.
        found: String,
        /// What we know.
        known: String,
    },
    /// Bytes that were once on disk have changed.
    #[error(
        "{} is corrupt at byte {offset}: {what}; this node has lost acknowledged writes: remove it from the cluster, wipe its data folder and let it join anew",
        path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What was found there.
        what: String,
    },
    /// A segment is missing between others.
    #[error(
        "the raft log in {} has a gap: {what}; restore the missing file, or wipe the data folder and let the node join anew",
        dir.display()
    )]
    Gap {
        /// The log's folder.
        dir: PathBuf,
        /// What is missing.
        what: String,
    },
    /// An entry was asked for whose file was let go of: a mistake of ours.
    #[error("an entry of segment {segment} was read after that segment was purged")]
    Closed {
        /// The segment.
        segment: u32,
    },
}

impl LogError {
    /// For `map_err`: names the act and the file.
    pub(super) fn io(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            act,
            path: path.to_owned(),
            source,
        }
    }
}

/// Ends the process after a failed write or sync of the log.
///
/// After a failed fsync nobody knows which pages reached the disk, and a second fsync may say yes
/// without having written them. What was acknowledged is safe, what was not is unknown: the only
/// honest way on is to start again from what the disk holds. The same goes for a full disk: a
/// server that can't write its vote or its log must not answer for the cluster.
pub(super) fn die(error: &LogError) -> ! {
    let cause = std::error::Error::source(error).map_or_else(String::new, |c| format!(": {c}"));
    tracing::error!(
        "{error}{cause}; a server that cannot store its log must stop (what was acknowledged is on disk)"
    );
    std::process::abort()
}
