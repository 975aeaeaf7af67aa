//! When the parts of a cluster of machines were ready, by the clock of the host.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::Project;
use crate::boot;

/// One machine's moments, in seconds since the story's start.
#[derive(Clone, Debug)]
pub struct Moments {
    name: String,
    moments: Vec<(f64, &'static str)>,
}

impl Moments {
    /// Reads them out of a machine.
    pub fn of(project: &Project, name: &str, address: &str, start: Instant) -> Result<Self> {
        let kernel = kernel_start(project, address, start)?;
        let mut moments = vec![(kernel, "kernel")];
        let boot = boot::moments(|script| project.run(address, script))?;
        moments.extend(boot.into_iter().map(|(at, what)| (kernel + at, what)));
        moments.sort_by(|a, b| a.0.total_cmp(&b.0));
        Ok(Self {
            name: name.to_owned(),
            moments,
        })
    }

    /// When `what` was.
    fn at(&self, what: &str) -> Option<f64> {
        let found = self.moments.iter().find(|(_, name)| *name == what);
        found.map(|(at, _)| *at)
    }
}

/// The machines' own clocks differ by up to a second; the host's is one. A machine's uptime is asked
/// for between two looks at it.
fn kernel_start(project: &Project, address: &str, start: Instant) -> Result<f64> {
    project.run(address, "true")?;
    let before = start.elapsed();
    let uptime = project.run(address, "cut -d' ' -f1 /proc/uptime")?;
    let middle = (before + start.elapsed()) / 2;
    let uptime: f64 = uptime.trim().parse()?;
    Ok(middle.as_secs_f64() - uptime)
}

/// All machines' moments.
#[derive(Clone, Debug)]
pub struct Timeline(pub Vec<Moments>);

impl Timeline {
    fn last(&self, what: &str) -> Result<f64> {
        let times = self.0.iter().filter_map(|machine| machine.at(what));
        let last = times.max_by(f64::total_cmp);
        last.with_context(|| format!("no {what} in the timeline:\n{self}"))
    }

    /// From the start of the last agent until there was a leader and all were members.
    pub fn agents_share(&self) -> Result<Duration> {
        let formed = self.last("leader")?.max(self.last("member")?);
        let share = formed - self.last("agent starts")?;
        Ok(Duration::from_secs_f64(share.max(0.0)))
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let machines = self.0.iter();
        let mut all: Vec<(f64, &str, &str)> = machines
            .flat_map(|one| {
                one.moments
                    .iter()
                    .map(|(at, what)| (*at, &*one.name, *what))
            })
            .collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (at, name, what) in all {
            writeln!(f, "    {at:7.1} s  {name:<8}  {what}")?;
        }
        Ok(())
    }
}
