//! The durable raft log: entries, votes, commit marks, truncations and purges as one ordered
//! stream of records in segment files.
//!
//! Owns: the folder that it is given and the thread that writes there. Does not own: snapshots,
//! the state machine, and the lock that keeps a second process out of the data folder.
//!
//! Always true: an append is readable when it returns and on disk when its callback fires; a vote
//! is on disk when `save_vote` returns; what is on disk is a prefix of what was asked for, in that
//! order; one fsync serves everything that waits for it; a commit mark never says more than the
//! entries on disk; a write that fails ends the process ([`error::die`]).
//!
//! `docs/decisions/0001-log-storage.md` says why this is not a library's work.

mod error;
mod frame;
mod index;
mod queue;
mod raft;
mod record;
mod recover;
mod segment;
mod shared;
#[cfg(test)]
mod tests;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

pub use error::LogError;

use super::raft_types::{Entry, LogId, TypeConfig, Vote};
use shared::Shared;
use writer::Writer;

/// A handle to the log. All clones are the same log; when the last one is dropped, what is queued
/// is written and the thread ends.
#[derive(Clone)]
pub struct LogStore(Arc<Open>);

struct Open {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What was written since the log was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogStats {
    /// How often the disk was asked to make data durable.
    pub syncs: u64,
    /// How many entries were made durable.
    pub entries: u64,
    /// How many bytes were written, framing included.
    pub bytes: u64,
}

impl LogStore {
    /// Opens the log in `dir`, or begins one there, and starts its thread. What a crash left half
    /// written is cut off; damage elsewhere is an error. Blocks while it reads the files.
    pub fn open(dir: &Path) -> Result<Self, LogError> {
        let mut found = recover::recover(dir)?;
        let shared = Arc::new(Shared::new(&mut found));
        let writer = Writer::new(Arc::clone(&shared), dir.to_owned(), found);
        let thread = thread::Builder::new()
            .name("raft-log".to_owned())
            .spawn(move || writer.run())
            .map_err(LogError::io("start the writing thread of", dir))?;
        Ok(Self(Arc::new(Open {
            shared,
            thread: Mutex::new(Some(thread)),
        })))
    }

    /// Counters for metrics.
    #[must_use]
    pub fn stats(&self) -> LogStats {
        self.shared().stats()
    }

    fn shared(&self) -> &Shared {
        &self.0.shared
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.queue.close();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            // A failed write has ended the process already; there is nothing else to report.
            let _ = thread.join();
        }
    }
}
