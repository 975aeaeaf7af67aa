//! Snapshots on disk: one file, written beside and renamed, so that there is always a whole one.
//!
//! Layout: magic, version (2 bytes), length of the meta data (4), meta data (postcard), state
//! (postcard), SHA-256 of all before it (32).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use openraft::type_config::alias::SnapshotMetaOf;
use ring::digest::{SHA256, digest};

use super::raft_types::TypeConfig;
use crate::disk::{self, DiskError};
use crate::state::State;
use crate::task::Chain;

/// What precedes and follows a snapshot that raft carries.
pub type SnapshotMeta = SnapshotMetaOf<TypeConfig>;

const MAGIC: &[u8; 8] = b"swarmsnp";
const VERSION: u16 = 1;
const HEAD: usize = 8 + 2 + 4;
const TAIL: usize = 32;
const PRIVATE: u32 = 0o600;

/// Why a snapshot can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The file system's word. Raft passes on what is said, not its causes.
    #[error("{}", Chain(.0))]
    Disk(DiskError),
    /// Not one of ours, or not whole.
    #[error("{what} is not a whole snapshot: {why}")]
    Broken {
        /// The file or message.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// From a newer program.
    #[error(
        "{what} is a snapshot of version {found}; this program knows version {VERSION}: run a newer one"
    )]
    Newer {
        /// The file or message.
        what: String,
        /// Its version.
        found: u16,
    },
}

impl From<DiskError> for SnapshotError {
    fn from(error: DiskError) -> Self {
        Self::Disk(error)
    }
}

impl From<SnapshotError> for io::Error {
    fn from(error: SnapshotError) -> Self {
        Self::other(error)
    }
}

/// Makes a snapshot's bytes.
pub fn encode(meta: &SnapshotMeta, state: &State) -> Result<Vec<u8>, SnapshotError> {
    let broken = |why: postcard::Error| SnapshotError::Broken {
        what: "the state".into(),
        why: why.to_string(),
    };
    let meta = postcard::to_stdvec(meta).map_err(broken)?;
    let length = u32::try_from(meta.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(HEAD + meta.len() + 4096);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&meta);
    let mut bytes = postcard::to_extend(state, bytes).map_err(broken)?;
    let sum = digest(&SHA256, &bytes);
    bytes.extend_from_slice(sum.as_ref());
    Ok(bytes)
}

/// Reads a snapshot's bytes; `what` names them in errors.
pub fn decode(bytes: &[u8], what: &str) -> Result<(SnapshotMeta, State), SnapshotError> {
    let broken = |why: &str| SnapshotError::Broken {
        what: what.into(),
        why: why.into(),
    };
    if bytes.len() < HEAD + TAIL || !bytes.starts_with(MAGIC) {
        return Err(broken("it does not begin like one"));
    }
    let found = u16::from_be_bytes([bytes[8], bytes[9]]);
    if found > VERSION {
        return Err(SnapshotError::Newer {
            what: what.into(),
            found,
        });
    }
    let (content, sum) = bytes.split_at(bytes.len() - TAIL);
    if digest(&SHA256, content).as_ref() != sum {
        return Err(broken("its checksum does not fit its content"));
    }
    let length = u32::from_be_bytes([bytes[10], bytes[11], bytes[12], bytes[13]]) as usize;
    let body = &content[HEAD..];
    if length > body.len() {
        return Err(broken("it is cut short"));
    }
    let (meta, state) = body.split_at(length);
    let decoded = postcard::from_bytes(meta)
        .and_then(|meta| postcard::from_bytes(state).map(|state| (meta, state)));
    decoded.map_err(|error| broken(&error.to_string()))
}

/// The folder with the latest snapshot.
#[derive(Clone, Debug)]
pub struct Snapshots {
    file: PathBuf,
    /// How far the latest one goes. One that is being made and one that is being installed may be
    /// written at the same time, and the log before either may be gone soon.
    reaches: Arc<Mutex<Option<u64>>>,
}

impl Snapshots {
    /// Opens (or makes) `folder`.
    pub fn open(folder: &Path) -> Result<Self, SnapshotError> {
        disk::make_folder(folder)?;
        Ok(Self {
            file: folder.join("latest.snapshot"),
            reaches: Arc::default(),
        })
    }

    /// The latest snapshot's bytes; `None`: there is none yet.
    pub fn read(&self) -> Result<Option<Vec<u8>>, SnapshotError> {
        Ok(disk::read(&self.file)?)
    }

    /// The name to put in messages.
    #[must_use]
    pub fn name(&self) -> String {
        self.file.display().to_string()
    }

    /// Makes `bytes`, which reach up to `index`, the latest snapshot, unless a later one is there;
    /// durable when it returns.
    pub fn write(&self, bytes: &[u8], index: u64) -> Result<(), SnapshotError> {
        let mut reaches = self.reaches.lock().unwrap_or_else(PoisonError::into_inner);
        if reaches.is_some_and(|present| present > index) {
            return Ok(());
        }
        disk::replace(&self.file, bytes, PRIVATE)?;
        *reaches = Some(index);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_reads_back_and_any_changed_byte_is_noticed() {
        let bytes = encode(&SnapshotMeta::default(), &State::default()).unwrap();
        assert!(decode(&bytes, "it").is_ok());
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert!(decode(&other, "it").is_err(), "byte {at} changed unnoticed");
        }
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length], "it").is_err());
        }
    }

    #[test]
    fn a_newer_version_is_refused_by_name() {
        let mut bytes = encode(&SnapshotMeta::default(), &State::default()).unwrap();
        bytes[9] = 9;
        let error = decode(&bytes, "it").unwrap_err().to_string();
        assert!(error.contains("version 9"), "{error}");
    }

    #[test]
    fn the_latest_snapshot_is_whole_and_replaced_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::open(folder.path()).unwrap();
        assert!(snapshots.read().unwrap().is_none());
        snapshots.write(b"one", 1).unwrap();
        snapshots.write(b"two", 2).unwrap();
        assert_eq!(snapshots.read().unwrap().unwrap(), b"two");
    }

    #[test]
    fn r3_one_that_was_made_slowly_does_not_replace_a_later_one() {
        let folder = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::open(folder.path()).unwrap();
        let builder = snapshots.clone();
        snapshots.write(b"installed", 20).unwrap();
        builder.write(b"built meanwhile", 10).unwrap();
        assert_eq!(snapshots.read().unwrap().unwrap(), b"installed");
    }

    #[test]
    fn r3_two_that_are_written_at_once_leave_a_whole_one() {
        let folder = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::open(folder.path()).unwrap();
        std::thread::scope(|scope| {
            for index in 0..16_u8 {
                let snapshots = snapshots.clone();
                let bytes = vec![index; 100_000 + usize::from(index)];
                scope.spawn(move || snapshots.write(&bytes, u64::from(index)).unwrap());
            }
        });
        let last = snapshots.read().unwrap().unwrap();
        assert_eq!(last, vec![15; 100_015]);
    }
}
