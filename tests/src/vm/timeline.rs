//! When the parts of a booted machine were ready, in seconds from its kernel's start.

use std::fmt;

use anyhow::Result;

use super::Vm;
use crate::boot;

/// Moments of one boot.
#[derive(Clone, Debug)]
pub struct Timeline(Vec<(f64, &'static str)>);

impl Timeline {
    /// Reads it out of a machine.
    pub fn of(vm: &Vm) -> Result<Self> {
        let mut moments = boot::moments(|script| vm.run(script))?;
        moments.sort_by(|a, b| a.0.total_cmp(&b.0));
        Ok(Self(moments))
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, what) in &self.0 {
            writeln!(f, "    {at:7.1} s  {what}")?;
        }
        Ok(())
    }
}
