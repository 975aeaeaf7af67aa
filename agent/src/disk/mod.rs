//! Floor 3: the data folder, all that a node keeps.
//!
//! Owns: the folder, its lock, its version, the node's identity, and how a file in it is replaced.
//! Does not own what the files mean, nor raft's log (the store writes that in a folder of its own
//! in here).
//!
//! Always true: one agent at a time uses a folder; a file is replaced whole or not at all, and the
//! new content is durable when the call returns; every file says which version wrote it, and one
//! of a newer version is refused, not guessed at; no error quotes content. All calls block for as
//! long as the disk does.

mod atomic;
mod error;
mod folder;
mod lock;
mod versioned;

pub use atomic::{make_folder, read, replace};
pub use error::DiskError;
pub use folder::DataDir;
