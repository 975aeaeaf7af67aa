//! When the parts of a booted machine were ready, in seconds from its kernel's start.

use std::fmt;

use anyhow::{Context, Result};

use super::Vm;
use crate::agent_log;

/// Units whose readiness counts.
const UNITS: &[(&str, &str)] = &[
    ("data disk", "swarmer-data.service"),
    ("network", "network-online.target"),
    ("cloud-init", "cloud-init.service"),
    ("DNS (agent ready)", "swarmer.service"),
    ("engine", "docker.service"),
];

/// Moments of one boot.
#[derive(Clone, Debug)]
pub struct Timeline {
    moments: Vec<(f64, String)>,
}

impl Timeline {
    /// Reads it out of a machine.
    pub fn of(vm: &Vm) -> Result<Self> {
        let mut moments = Vec::new();
        let shown = vm.run("systemctl show -p UserspaceTimestampMonotonic --value")?;
        moments.push((microseconds(&shown)?, "kernel and initramfs".to_owned()));
        for (what, unit) in UNITS {
            let ask = format!("systemctl show -p ActiveEnterTimestampMonotonic --value {unit}");
            moments.push((microseconds(&vm.run(&ask)?)?, (*what).to_owned()));
        }
        let start = "systemctl show -p ExecMainStartTimestampMonotonic --value swarmer.service";
        moments.push((microseconds(&vm.run(start)?)?, "agent started".to_owned()));
        let said = agent_log::read(|script| vm.run(script))?;
        moments.extend(said.into_iter().map(|(at, what)| (at, what.to_owned())));
        moments.sort_by(|a, b| a.0.total_cmp(&b.0));
        Ok(Self { moments })
    }

    /// When `what` was, in seconds.
    pub fn at(&self, what: &str) -> Result<f64> {
        let found = self.moments.iter().find(|(_, name)| name == what);
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

fn microseconds(text: &str) -> Result<f64> {
    let number: f64 = text
        .trim()
        .parse()
        .with_context(|| format!("{text:?} is no time"))?;
    Ok(number / 1e6)
}
