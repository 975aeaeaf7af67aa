//! The tree, mounted through FUSE.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use fuser::{BackgroundSession, Config, MountOption};

use super::door::{Door, lock};
use super::tree::{Lost, Tree};
use crate::faults::Faults;

/// What mounts are called in `/proc/mounts`; the number is the test process's.
const SOURCE: &str = "swarmer-lossy-";

/// A mounted disk that forgets what was not synced.
#[derive(Debug)]
pub struct LossyDisk {
    path: PathBuf,
    tree: Arc<Mutex<Tree>>,
    session: Option<BackgroundSession>,
}

impl LossyDisk {
    /// Mounts a new, empty disk at `path`, which is made.
    pub fn mount(path: &Path) -> Result<Self> {
        unmount_those_of_dead_tests();
        std::fs::create_dir_all(path)?;
        let tree = Arc::new(Mutex::new(Tree::new()));
        let mut config = Config::default();
        config.mount_options = vec![
            MountOption::FSName(format!("{SOURCE}{}", std::process::id())),
            MountOption::DefaultPermissions,
            MountOption::NoAtime,
        ];
        let session = fuser::spawn_mount(Door(tree.clone()), path, &config)
            .with_context(|| format!("mount a lossy disk at {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            tree,
            session: Some(session),
        })
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Forgets what was not synced. Kill those who have files open here first.
    pub fn crash(&self) -> Lost {
        lock(&self.tree).crash(None)
    }

    /// Forgets, by chance, some of what was not synced and keeps the rest, torn anywhere.
    pub fn crash_torn(&self, faults: &mut Faults) -> Lost {
        lock(&self.tree).crash(Some(faults))
    }

    /// From now on so many bytes fit; `None` for no limit.
    pub fn set_capacity(&self, bytes: Option<usize>) {
        lock(&self.tree).set_capacity(bytes);
    }

    /// How many bytes it holds.
    #[must_use]
    pub fn used(&self) -> usize {
        lock(&self.tree).used()
    }

    /// How often something was synced since it was mounted.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        lock(&self.tree).syncs()
    }
}

impl Drop for LossyDisk {
    fn drop(&mut self) {
        if let Some(session) = self.session.take()
            && session.umount_and_join().is_err()
        {
            unmount(&self.path);
        }
    }
}

/// A test that was killed leaves its mounts behind, which answer nothing any more.
fn unmount_those_of_dead_tests() {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    for line in mounts.lines() {
        let mut words = line.split(' ');
        let owner = words.next().and_then(|source| source.strip_prefix(SOURCE));
        if let (Some(owner), Some(path)) = (owner, words.next())
            && !Path::new("/proc").join(owner).exists()
        {
            unmount(Path::new(path));
        }
    }
}

fn unmount(path: &Path) {
    // Lazily: someone may still have a file open. Nothing can be done if it fails.
    let _ = Command::new("umount").arg("-l").arg(path).status();
}
