//! The cluster of virtual machines that `vagrant up` makes, in a world of its own.
//!
//! Owns libvirt's daemon, the copy of `vagrant/` that is used, and the way into the machines. Does
//! not own the box: `make test-image` builds it and names it in `SWARMER_BOX`.
//!
//! Always true:
//! * libvirt's bridges, firewall rules, machines and files are in namespaces and a folder of the
//!   test's own, from which no network leads out; all of it goes with the test;
//! * Vagrant's and the user's homes are the test's own too; the tree is not written to.

mod libvirt;
mod project;
mod timeline;

pub use libvirt::Libvirt;
pub use project::{Project, Ran};
pub use timeline::{Moments, Timeline};

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::needs::Need;

/// What reading the Vagrantfile needs.
pub const NEEDS: &[Need] = &[Need::Program("vagrant")];

/// What its machines need.
pub const MACHINE_NEEDS: &[Need] = &[
    Need::Root,
    Need::Program("vagrant"),
    Need::Program("libvirtd"),
    Need::Program("virtlogd"),
    Need::Program("virsh"),
    Need::Program("qemu-system-x86_64"),
    Need::Program("dnsmasq"),
    Need::Program("unshare"),
    Need::Program("nsenter"),
    Need::Program("ssh"),
    Need::Program("dig"),
    Need::Program("curl"),
    Need::Program("busybox"),
];

/// The box under test.
pub fn box_file() -> Result<PathBuf> {
    let path = std::env::var_os("SWARMER_BOX")
        .context("SWARMER_BOX names no file; run make test-image")?;
    std::fs::canonicalize(&path)
        .with_context(|| format!("SWARMER_BOX names {}", PathBuf::from(&path).display()))
}
