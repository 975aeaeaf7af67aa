//! The data folder.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::lock::Lock;
use super::{DiskError, atomic, lock, versioned};
use crate::model::NodeId;

/// Of the folder as a whole.
const FORMAT: u32 = 1;
const FORMAT_FILE: &str = "version";
const FORMAT_WORD: &str = "swarmer-data";
const IDENTITY: &str = "node.json";
const IDENTITY_VERSION: u32 = 1;
const PRIVATE: u32 = 0o600;

/// An open data folder. Clones share it and its lock, which ends with the last of them. Names of
/// files are paths relative to it, and come from the code, never from outside.
#[derive(Clone, Debug)]
pub struct DataDir {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    node_id: NodeId,
    /// One replacement at a time.
    writing: Mutex<()>,
    _lock: Lock,
}

#[derive(Serialize, Deserialize)]
struct Identity {
    node_id: NodeId,
}

impl DataDir {
    /// Opens the folder for this process alone, and makes it, durably, if it is new. The node's
    /// identity is made here, once, and is durable when this returns (safety.md B1, R2).
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, DiskError> {
        let root = root.into();
        atomic::make_folder(&root)?;
        let lock = lock::take(&root)?;
        let initialised = check_format(&root)?;
        let node_id = identity(&root, initialised)?;
        if !initialised {
            // Written last: where it stands, everything else must.
            let text = format!("{FORMAT_WORD} {FORMAT}\n");
            atomic::replace(&root.join(FORMAT_FILE), text.as_bytes(), PRIVATE)?;
        }
        let inner = Inner {
            root,
            node_id,
            writing: Mutex::new(()),
            _lock: lock,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Who this node is, for as long as the folder lives.
    #[must_use]
    pub fn node_id(&self) -> NodeId {
        self.inner.node_id
    }

    /// Gives this node up: the folder is a new node's at the next start. What belongs to a node
    /// carries its id, so that a crash in between leaves nothing that is taken for the new one's;
    /// `names` are cleared away after that.
    pub fn forget_node(&self, names: &[&str]) -> Result<(), DiskError> {
        atomic::remove(&self.path(FORMAT_FILE))?;
        atomic::remove(&self.path(IDENTITY))?;
        names
            .iter()
            .try_for_each(|name| atomic::remove_all(&self.path(name)))
    }

    /// Where the folder is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    /// Where a file is.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.inner.root.join(name)
    }

    /// A folder inside, made (0700) if it is not there.
    pub fn folder(&self, name: &str) -> Result<PathBuf, DiskError> {
        let path = self.path(name);
        atomic::make_folder(&path)?;
        Ok(path)
    }

    /// The content of a file; `None`: there is none.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, DiskError> {
        atomic::read(&self.path(name))
    }

    /// Replaces a file whole, durably. After an error (a full disk) the old content is still there.
    pub fn write_atomic(&self, name: &str, bytes: &[u8], mode: u32) -> Result<(), DiskError> {
        let path = self.path(name);
        if let Some(folder) = path.parent()
            && !folder.is_dir()
        {
            atomic::make_folder(folder)?;
        }
        let _writing = self
            .inner
            .writing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        atomic::replace(&path, bytes, mode)
    }

    /// Removes a file, durably; it is fine if there is none.
    pub fn remove(&self, name: &str) -> Result<(), DiskError> {
        atomic::remove(&self.path(name))
    }

    /// Reads what [`Self::write_versioned`] wrote; `None`: there is no such file. A newer or
    /// another version than `known` is an error.
    pub fn read_versioned<T: DeserializeOwned>(
        &self,
        name: &str,
        known: u32,
    ) -> Result<Option<T>, DiskError> {
        read_versioned(&self.inner.root, name, known)
    }

    /// Replaces a file (0600) with `body` as JSON that carries its version.
    pub fn write_versioned<T: Serialize>(
        &self,
        name: &str,
        version: u32,
        body: &T,
    ) -> Result<(), DiskError> {
        let bytes = versioned::encode(&self.path(name), version, body)?;
        self.write_atomic(name, &bytes, PRIVATE)
    }
}

fn read_versioned<T: DeserializeOwned>(
    root: &Path,
    name: &str,
    known: u32,
) -> Result<Option<T>, DiskError> {
    let path = root.join(name);
    let bytes = atomic::read(&path)?;
    bytes
        .map(|bytes| versioned::decode(&path, known, &bytes))
        .transpose()
}

/// Whether the folder was in use before; an error if it is another version's, or no version's.
fn check_format(root: &Path) -> Result<bool, DiskError> {
    let path = root.join(FORMAT_FILE);
    let Some(bytes) = atomic::read(&path)? else {
        return Ok(false);
    };
    let text = String::from_utf8_lossy(&bytes);
    let number = text.trim().strip_prefix(FORMAT_WORD);
    match number.and_then(|number| number.trim().parse().ok()) {
        Some(FORMAT) => Ok(true),
        Some(found) if found > FORMAT => Err(DiskError::Newer {
            path,
            found,
            known: FORMAT,
        }),
        _ => Err(DiskError::Damaged {
            path,
            what: format!("it does not say \"{FORMAT_WORD} {FORMAT}\""),
        }),
    }
}

fn identity(root: &Path, initialised: bool) -> Result<NodeId, DiskError> {
    if let Some(found) = read_versioned::<Identity>(root, IDENTITY, IDENTITY_VERSION)? {
        return Ok(found.node_id);
    }
    let path = root.join(IDENTITY);
    if initialised {
        // A new id here would speak for the old one's votes.
        return Err(DiskError::Damaged {
            path,
            what: "it is missing from a folder that was in use".to_owned(),
        });
    }
    let node_id = NodeId(uuid::Uuid::new_v4());
    let bytes = versioned::encode(&path, IDENTITY_VERSION, &Identity { node_id })?;
    atomic::replace(&path, &bytes, PRIVATE)?;
    Ok(node_id)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn temporary() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn r2_an_identity_is_made_once_and_survives() {
        let dir = temporary();
        let root = dir.path().join("a/data");
        let first = DataDir::open(&root).unwrap().node_id();
        assert_eq!(DataDir::open(&root).unwrap().node_id(), first);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&root), 0o700);
        assert_eq!(mode(&root.join(IDENTITY)), 0o600);
        let version = fs::read_to_string(root.join(FORMAT_FILE)).unwrap();
        assert_eq!(version, "swarmer-data 1\n");
        let other = DataDir::open(dir.path().join("b")).unwrap().node_id();
        assert_ne!(other, first, "every folder has its own");
    }

    #[test]
    fn b1_a_crash_between_identity_and_version_keeps_the_identity() {
        let dir = temporary();
        let first = DataDir::open(dir.path()).unwrap().node_id();
        fs::remove_file(dir.path().join(FORMAT_FILE)).unwrap();
        assert_eq!(DataDir::open(dir.path()).unwrap().node_id(), first);
    }

    #[test]
    fn r2_a_lost_identity_is_never_replaced() {
        let dir = temporary();
        drop(DataDir::open(dir.path()).unwrap());
        fs::remove_file(dir.path().join(IDENTITY)).unwrap();
        let error = DataDir::open(dir.path()).unwrap_err().to_string();
        assert!(
            error.contains("node.json is damaged (it is missing"),
            "{error}"
        );
    }

    #[test]
    fn a_second_agent_is_told_who_has_the_folder() {
        let dir = temporary();
        let held = DataDir::open(dir.path()).unwrap();
        let error = DataDir::open(dir.path()).unwrap_err().to_string();
        let holder = format!("(pid {})", std::process::id());
        assert!(
            error.contains("in use") && error.contains(&holder),
            "{error}"
        );
        let copy = held.clone();
        drop(held);
        assert!(DataDir::open(dir.path()).is_err(), "a clone holds it too");
        drop(copy);
        DataDir::open(dir.path()).unwrap();
    }

    #[test]
    fn a_newer_folder_or_file_is_refused_by_name() {
        let dir = temporary();
        let data = DataDir::open(dir.path()).unwrap();
        data.write_versioned("promise.json", 3, &"x").unwrap();
        let read = data.read_versioned::<String>("promise.json", 2);
        let error = read.unwrap_err().to_string();
        let said = "promise.json was written by a newer swarmer (version 3), this one knows 2";
        assert!(error.contains(said), "{error}");
        drop(data);
        fs::write(dir.path().join(FORMAT_FILE), "swarmer-data 2\n").unwrap();
        let error = DataDir::open(dir.path()).unwrap_err().to_string();
        let said = "version was written by a newer swarmer (version 2), this one knows 1";
        assert!(error.contains(said), "{error}");
        for garbage in [
            "",
            "swarmer-data",
            "swarmer-data x",
            "swarmer-data 0",
            "hello",
        ] {
            fs::write(dir.path().join(FORMAT_FILE), garbage).unwrap();
            let error = DataDir::open(dir.path()).unwrap_err().to_string();
            assert!(error.contains("version is damaged"), "{garbage:?}: {error}");
        }
    }

    #[test]
    fn what_was_written_is_read_again() {
        let dir = temporary();
        let data = DataDir::open(dir.path()).unwrap();
        assert_eq!(data.read_versioned::<u8>("none.json", 1).unwrap(), None);
        assert_eq!(data.read("none").unwrap(), None);
        let body = vec![Some(1), None];
        data.write_versioned("deep/er/list.json", 1, &body).unwrap();
        assert_eq!(
            data.read_versioned("deep/er/list.json", 1).unwrap(),
            Some(body)
        );
        data.write_atomic("raw", b"\xff\x00", 0o600).unwrap();
        assert_eq!(data.read("raw").unwrap().unwrap(), b"\xff\x00");
        data.remove("raw").unwrap();
        data.remove("raw").unwrap();
        assert_eq!(data.read("raw").unwrap(), None);
        assert!(data.folder("raft/log").unwrap().is_dir());
    }

    #[test]
    fn garbage_is_named_but_never_quoted() {
        let dir = temporary();
        let data = DataDir::open(dir.path()).unwrap();
        let garbage = [
            "",
            "s3cret",
            "{\"version\":1,\"body\":\"s3cret\"}",
            "{\"version\":\"s3cret\"}",
            "{\"version\":0,\"body\":7}",
            "{\"version\":1}",
        ];
        for text in garbage {
            data.write_atomic("key.json", text.as_bytes(), 0o600)
                .unwrap();
            let error = data.read_versioned::<u32>("key.json", 1).unwrap_err();
            let said = crate::task::Chain(&error).to_string();
            assert!(said.contains("key.json is damaged"), "{text}: {said}");
            assert!(!format!("{said} {error:?}").contains("s3cret"), "{said}");
        }
    }
}
