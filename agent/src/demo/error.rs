//! Why a demo does not start, or ends.

use std::io;
use std::path::PathBuf;

use crate::pki::PkiError;

/// Why a demo does not start, or ends.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A file, a folder, a program.
    #[error("can't {act} {what}")]
    Io {
        /// What was tried.
        act: &'static str,
        /// On what.
        what: String,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// There is one already.
    #[error(
        "there is a demo in {folder} already; `swarmer demo stop{option}` ends it, or give the new one another folder with --dir"
    )]
    Taken {
        /// Its folder.
        folder: String,
        /// How to name it.
        option: String,
    },
    /// There is none.
    #[error(
        "there is no demo in {0}; a demo that was started with --dir DIR is stopped with --dir DIR"
    )]
    None(PathBuf),
    /// The folder is someone else's.
    #[error("{0} is not a folder of yours; name another with --dir")]
    Foreign(PathBuf),
    /// A unix socket's path would be too long.
    #[error(
        "the path of {folder} is too long for the sockets in it: it has {length} bytes, {limit} are possible; name a shorter one with --dir"
    )]
    LongPath {
        /// The folder.
        folder: String,
        /// Bytes.
        length: usize,
        /// Bytes.
        limit: usize,
    },
    /// No block of addresses is free.
    #[error(
        "none of the addresses 127.77.0.0/16 has its ports free (the last: {last}); are many demos running? `ss -ltnp` shows who has them"
    )]
    NoPorts {
        /// What the system said of the last.
        last: io::Error,
    },
    /// A node died before the cluster served.
    #[error("{name} ended before the cluster was ready ({how}); its last words:\n{words}")]
    Died {
        /// The node.
        name: String,
        /// How it ended.
        how: String,
        /// The end of its log.
        words: String,
    },
    /// It took too long.
    #[error("the cluster is not ready after {after} s: {missing}\n{words}")]
    Late {
        /// Seconds.
        after: u64,
        /// What was waited for.
        missing: String,
        /// The end of a log.
        words: String,
    },
    /// Something could not be ended.
    #[error("these processes can't be ended: {0}; end them by hand")]
    Stubborn(String),
    /// Ctrl-C before it was ready.
    #[error("told to stop before the cluster was ready; nothing is left of it")]
    Interrupted,
    /// Keys.
    #[error(transparent)]
    Pki(#[from] PkiError),
}

impl DemoError {
    pub(super) fn io(act: &'static str, what: impl ToString, cause: io::Error) -> Self {
        Self::Io {
            act,
            what: what.to_string(),
            cause,
        }
    }
}
