//! What can go wrong with the data folder.

use std::io;
use std::path::PathBuf;

/// Why the data folder, or a file in it, is of no use. Never quotes content: it may be secret.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The system said no: full, read-only, broken.
    #[error("can't {act} {}", path.display())]
    Io {
        /// What was tried.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another agent runs on this folder.
    #[error(
        "the data folder {} is in use by another swarmer{}: stop that one, or set another data_dir",
        path.display(), holder.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    InUse {
        /// The folder.
        path: PathBuf,
        /// The process that has it, if it said so.
        holder: Option<u32>,
    },
    /// Made by a version that is not out yet.
    #[error(
        "{} was written by a newer swarmer (version {found}), this one knows {known}: \
         install the newer one, or let this node start anew with an empty data_dir",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version that this program reads.
        known: u32,
    },
    /// Not what any version wrote.
    #[error(
        "{} is damaged ({what}): nothing repairs it; empty the data_dir, and this node joins anew",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, without its content.
        what: String,
    },
    /// A value that can't be written as JSON: a bug.
    #[error("can't encode {}", path.display())]
    Encode {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

impl DiskError {
    pub(super) fn io(
        act: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { act, path, source }
    }

    /// Whether this user may not do it, or this kind of file system can't.
    pub(super) fn is_out_of_reach(&self) -> bool {
        matches!(self, Self::Io { source, .. } if matches!(
            source.kind(),
            io::ErrorKind::PermissionDenied
                | io::ErrorKind::InvalidInput
                | io::ErrorKind::ReadOnlyFilesystem
        ))
    }

    /// Whether the disk is full; what was there before is still there.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if matches!(
            source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        ))
    }
}
