//! How far a machine had come, and when, in seconds since its boot: by systemd's word and by the agent's.
//!
//! The agent's time is its own. The journal's may be seconds later: while a machine boots, the journal
//! reads when the processor has nothing better to do.

use anyhow::{Context, Result};
use serde_json::Value;

const ACTIVE: &str = "ActiveEnterTimestampMonotonic";

/// What counts, and the property of a unit, or of systemd itself, that says when it was.
const UNITS: &[(&str, &str, &str)] = &[
    ("userspace", "UserspaceTimestampMonotonic", ""),
    ("data disk", ACTIVE, "swarmer-data.service"),
    ("network", ACTIVE, "network-online.target"),
    ("cloud-init", ACTIVE, "cloud-init.service"),
    (
        "agent starts",
        "ExecMainStartTimestampMonotonic",
        "swarmer.service",
    ),
    ("DNS answers", ACTIVE, "swarmer.service"),
    ("engine", ACTIVE, "docker.service"),
];
/// What the agent says in its log as it comes up.
const WORDS: &[(&str, &str)] = &[
    ("leader", "the cluster has begun"),
    ("member", "a member"),
    ("Swarm manager", "Swarm: manager, ready"),
    ("registry serves", "registry: serving"),
];
const DAY: f64 = 86_400.0;

/// What there was to a boot, and when, in no order; given a way to run a shell command in the machine.
pub fn moments(run: impl Fn(&str) -> Result<String>) -> Result<Vec<(f64, &'static str)>> {
    let clocks = run("echo $(date -u +%H:%M:%S.%N) $(cut -d\" \" -f1 /proc/uptime)")?;
    let journal = run("journalctl -b -q -o json -u swarmer.service")?;
    let mut moments = said(&journal, &clocks)?;
    for (what, property, unit) in UNITS {
        let shown = run(&format!("systemctl show -p {property} --value {unit}"))?;
        let microseconds: f64 = shown
            .trim()
            .parse()
            .with_context(|| format!("{shown:?} is no time for {property} of {unit:?}"))?;
        moments.push((microseconds / 1e6, what));
    }
    Ok(moments)
}

/// When the agent first said each of [`WORDS`]: out of the journal as JSON, and out of the time of day
/// and the seconds since the boot at one moment.
fn said(journal: &str, clocks: &str) -> Result<Vec<(f64, &'static str)>> {
    let (now, uptime) = clocks
        .split_once(' ')
        .with_context(|| format!("{clocks:?} are no two clocks"))?;
    let boot = time_of_day(now)? - uptime.trim().parse::<f64>()?;
    let mut moments: Vec<(f64, &str)> = Vec::new();
    for line in journal.lines() {
        let entry: Value = serde_json::from_str(line)?;
        let text = entry["MESSAGE"].as_str().unwrap_or_default();
        // What systemd says of the unit is no JSON.
        let Ok(word) = serde_json::from_str::<Value>(text) else {
            continue;
        };
        let message = word["message"].as_str().unwrap_or_default();
        for (what, words) in WORDS {
            if message.contains(words) && !moments.iter().any(|(_, seen)| seen == what) {
                let at = word["timestamp"].as_str().unwrap_or_default();
                let (_, time) = at
                    .split_once('T')
                    .with_context(|| format!("{at:?} is no time"))?;
                let since = time_of_day(time.trim_end_matches('Z'))? - boot;
                moments.push((since.rem_euclid(DAY), what));
            }
        }
    }
    Ok(moments)
}

/// In seconds since midnight.
fn time_of_day(text: &str) -> Result<f64> {
    let mut seconds = 0.0;
    for part in text.split(':') {
        let number: f64 = part
            .parse()
            .with_context(|| format!("{text:?} is no time of day"))?;
        seconds = seconds * 60.0 + number;
    }
    Ok(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_counted_from_the_boot_by_the_agent_s_own_word_over_midnight_too() {
        let line = r#"{\"timestamp\":\"2026-11-22T00:00:01.500000Z\",\"message\":\"a member\"}"#;
        let journal = format!(
            "{{\"MESSAGE\":\"Starting\"}}\n{{\"MESSAGE\":\"{line}\",\"__MONOTONIC_TIMESTAMP\":\"99000000\"}}"
        );
        let found = said(&journal, "00:00:40.25 60.25\n").unwrap();
        assert_eq!(found, [(21.5, "member")]);
    }
}
