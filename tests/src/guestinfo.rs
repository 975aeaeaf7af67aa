//! A VM's guestinfo, as its owner sees it, behind a stand-in for `vmware-rpctool`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::node::Node;

/// The values of one VM.
#[derive(Debug)]
pub struct Guestinfo {
    folder: PathBuf,
}

impl Guestinfo {
    /// Makes a node such a VM, from its next start on.
    pub fn of(node: &Node) -> Result<Self> {
        let folder = node.folder().join("guestinfo");
        fs::create_dir_all(&folder)?;
        let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("stand-ins");
        let path = std::env::var("PATH").unwrap_or_default();
        node.reconfigure(|settings| {
            let path = format!("{}:{path}", programs.display());
            settings.environment.insert("PATH".to_owned(), path);
            let values = folder.display().to_string();
            settings.environment.insert("GUESTINFO".to_owned(), values);
        });
        Ok(Self { folder })
    }

    /// Sets `guestinfo.KEY`.
    pub fn set(&self, key: &str, value: &str) -> Result<()> {
        // Never half of it.
        let new = self.folder.join(format!(".{key}"));
        fs::write(&new, value)?;
        Ok(fs::rename(new, self.folder.join(key))?)
    }

    /// What `guestinfo.KEY` is now.
    pub fn get(&self, key: &str) -> Result<Option<String>> {
        let path = self.folder.join(key);
        Ok(path
            .exists()
            .then(|| fs::read_to_string(path))
            .transpose()?)
    }
}
