//! When the parts of a booted machine were ready, in seconds from its kernel's start.

use std::fmt;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Vm;

/// What the agent says in its log as it comes up.
const WORDS: &[(&str, &str)] = &[
    ("leader", "the cluster has begun"),
    ("member", "a member"),
    ("Swarm", "Swarm: manager, ready"),
    ("registry", "registry: serving"),
];
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
        for line in vm
            .run("journalctl -b -q -o json -u swarmer.service")?
            .lines()
        {
            let entry: Value = serde_json::from_str(line)?;
            let text = entry["MESSAGE"].as_str().unwrap_or_default();
            let log: Value = serde_json::from_str(text).unwrap_or_default();
            let message = log["message"].as_str().unwrap_or(text);
            for (what, words) in WORDS {
                if message.contains(words) && !moments.iter().any(|(_, seen)| seen == what) {
                    let at = entry["__MONOTONIC_TIMESTAMP"].as_str().unwrap_or_default();
                    moments.push((microseconds(at)?, (*what).to_owned()));
                }
            }
        }
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
