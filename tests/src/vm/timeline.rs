//! When the parts of a booted machine were ready, in seconds from its kernel's start.

use std::fmt;

use anyhow::{Context, Result};

use super::Vm;
use crate::boot;

const ACTIVE: &str = "ActiveEnterTimestampMonotonic";

/// What counts, and the property of systemd or of a unit that says when it was.
const SYSTEMD: &[(&str, &str, &str)] = &[
    ("kernel and initramfs", "UserspaceTimestampMonotonic", ""),
    ("data disk", ACTIVE, "swarmer-data.service"),
    ("network", ACTIVE, "network-online.target"),
    ("cloud-init", ACTIVE, "cloud-init.service"),
    (
        "agent started",
        "ExecMainStartTimestampMonotonic",
        "swarmer.service",
    ),
    ("DNS (agent ready)", ACTIVE, "swarmer.service"),
    ("engine", ACTIVE, "docker.service"),
];

/// Moments of one boot.
#[derive(Clone, Debug)]
pub struct Timeline {
    moments: Vec<(f64, &'static str)>,
}

impl Timeline {
    /// Reads it out of a machine.
    pub fn of(vm: &Vm) -> Result<Self> {
        let run = |script: &str| vm.run(script);
        let mut moments = Vec::new();
        for (what, property, unit) in SYSTEMD {
            moments.push((boot::systemd(run, property, unit)?, *what));
        }
        moments.extend(boot::agent(run)?);
        moments.sort_by(|a, b| a.0.total_cmp(&b.0));
        Ok(Self { moments })
    }

    /// When `what` was, in seconds.
    pub fn at(&self, what: &str) -> Result<f64> {
        let found = self.moments.iter().find(|(_, name)| *name == what);
        found
            .map(|(at, _)| *at)
            .with_context(|| format!("no {what} in the timeline:\n{self}"))
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, what) in &self.moments {
            writeln!(f, "    {at:7.1} s  {what}")?;
        }
        Ok(())
    }
}
