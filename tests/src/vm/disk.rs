//! A machine's second disk.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::process;

/// A raw disk, in a file with holes.
#[derive(Debug)]
pub struct DataDisk {
    path: PathBuf,
}

impl DataDisk {
    /// A blank one of so many MiB.
    pub fn blank(path: PathBuf, mebibytes: u64) -> Result<Self> {
        File::create(&path)?.set_len(mebibytes << 20)?;
        Ok(Self { path })
    }

    /// One that holds somebody's files: an ext4 with this label, without a partition table.
    pub fn foreign(path: PathBuf, mebibytes: u64, label: &str) -> Result<Self> {
        let disk = Self::blank(path, mebibytes)?;
        let mut format =
            Command::new(crate::binary::on_path("mkfs.ext4").unwrap_or_else(|| "mkfs.ext4".into()));
        process::run(format.args(["-q", "-L", label]).arg(&disk.path))?;
        Ok(disk)
    }

    /// Makes it larger, as the owner of a virtual disk can.
    pub fn grow(&self, mebibytes: u64) -> Result<()> {
        let file = OpenOptions::new().write(true).open(&self.path)?;
        file.set_len(mebibytes << 20)?;
        Ok(())
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All that is not zero: what must be the same if nobody wrote to it.
    pub fn content(&self) -> Result<Vec<(u64, Vec<u8>)>> {
        const BLOCK: usize = 64 << 10;
        let mut file = File::open(&self.path)?;
        let length = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(0))?;
        let mut blocks = Vec::new();
        let mut at = 0;
        while at < length {
            let mut block = vec![0; BLOCK.min(usize::try_from(length - at)?)];
            file.read_exact(&mut block)?;
            let read = u64::try_from(block.len())?;
            if block.iter().any(|byte| *byte != 0) {
                blocks.push((at, block));
            }
            at += read;
        }
        Ok(blocks)
    }
}
