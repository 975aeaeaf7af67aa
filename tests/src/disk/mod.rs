//! A disk that forgets at a crash whatever was not synced.
//!
//! A killed process's page cache survives it, so `kill -9` alone never shows a missing fsync. This
//! is a file system in memory ([`tree`]), mounted through FUSE ([`mount`]), as strict as POSIX allows:
//! * what was written to a file is durable after `fsync` or `fdatasync` of that file, or a write with `O_DSYNC`;
//! * a name (create, rename, unlink, mkdir) is durable after `fsync` of its folder.
//!
//! It can also be full. It does not know `sync`, `syncfs` or shared memory maps. Needs root.

mod content;
mod door;
mod mount;
mod tree;

pub use mount::LossyDisk;
pub use tree::Lost;

use crate::needs::Need;

/// What a lossy disk needs.
pub const NEEDS: &[Need] = &[Need::Root, Need::File("/dev/fuse")];
