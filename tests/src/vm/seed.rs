//! What cloud-init finds at the first boot: a NoCloud medium.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::process;

/// The user that tests come in as.
pub const USER: &str = "admin";

/// A NoCloud seed: a user with a key, and perhaps the node's one file.
#[derive(Clone, Debug)]
pub struct Seed {
    name: String,
    config: Option<String>,
}

impl Seed {
    /// Of a machine of this name, without the node's one file.
    #[must_use]
    pub fn of(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            config: None,
        }
    }

    /// With this text as `/etc/swarmer/swarmer.yaml`.
    #[must_use]
    pub fn config(mut self, text: &str) -> Self {
        self.config = Some(text.to_owned());
        self
    }

    /// Writes it to `folder`, for the holder of `public_key`.
    pub(super) fn write(&self, folder: &Path, public_key: &str) -> Result<PathBuf> {
        let mut user_data = format!(
            "#cloud-config\nusers:\n  - name: {USER}\n    shell: /bin/bash\n    sudo: ALL=(ALL) NOPASSWD:ALL\n    \
             ssh_authorized_keys: [\"{}\"]\n",
            public_key.trim()
        );
        if let Some(config) = &self.config {
            user_data.push_str("write_files:\n  - path: /etc/swarmer/swarmer.yaml\n");
            user_data.push_str("    permissions: \"0600\"\n    content: |\n");
            for line in config.lines() {
                user_data.push_str(&format!("      {line}\n"));
            }
        }
        let name = &self.name;
        fs::write(folder.join("user-data"), user_data)?;
        fs::write(
            folder.join("meta-data"),
            format!("instance-id: {name}\nlocal-hostname: {name}\n"),
        )?;
        let seed = folder.join("seed.iso");
        let mut make = Command::new("xorrisofs");
        make.args(["-quiet", "-V", "CIDATA", "-J", "-R", "-o"])
            .arg(&seed)
            .arg(folder.join("user-data"))
            .arg(folder.join("meta-data"));
        process::run(&mut make)?;
        Ok(seed)
    }
}
