//! Whole machines: the image, booted under QEMU's software emulation.
//!
//! Owns a machine's process, its disks, its seed and the key that opens it. Does not own the image:
//! `make test-image` builds it and names it in `SWARMER_IMAGE` and `SWARMER_ISO`.
//!
//! Always true:
//! * no machine reaches any network: its own is QEMU's, restricted, with a few ports of the host's
//!   loopback forwarded into it;
//! * a machine dies with its [`Vm`], or with the test process;
//! * the image is never written to: each machine has a layer of its own over it.

mod disk;
mod machine;
mod seed;
mod timeline;

pub use disk::DataDisk;
pub use machine::{Boot, Vm};
pub use seed::Seed;
pub use timeline::Timeline;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::needs::Need;

/// What a machine needs of this one.
pub const NEEDS: &[Need] = &[
    Need::Program("qemu-system-x86_64"),
    Need::Program("qemu-img"),
    Need::Program("xorrisofs"),
    Need::Program("ssh"),
    Need::Program("ssh-keygen"),
    Need::Program("busybox"),
    Need::Program("docker"),
    Need::Program("mkfs.ext4"),
];

/// The model of the emulated processors: one that Meltdown does not concern, as today's. On others the
/// guest's kernel drops all address translations at every system call, which emulation makes dear: the
/// same boot takes a quarter longer.
pub const PROCESSOR: &str = "Opteron_G2";

/// How long an emulated machine may take to come up: a minute on idle cores, many on busy ones.
pub const BOOTS_WITHIN: Duration = Duration::from_secs(900);
/// How long it may take to go down.
pub const STOPS_WITHIN: Duration = Duration::from_secs(120);

/// The disk image under test.
pub fn image() -> Result<PathBuf> {
    named("SWARMER_IMAGE")
}

/// The ISO under test.
pub fn iso() -> Result<PathBuf> {
    named("SWARMER_ISO")
}

fn named(variable: &str) -> Result<PathBuf> {
    let path = std::env::var_os(variable)
        .with_context(|| format!("{variable} names no file; run make test-image"))?;
    std::fs::canonicalize(&path).with_context(|| format!("{variable} names {}", path.display()))
}
