//! When a check runs, what its results come to, and when its service has been critical for too
//! long. Times are spans since any fixed point, the same for all calls.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::services::LocalRows;
use crate::model::CheckStatus;

/// What a check does when it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Probe {
    /// Nothing: it stands as it was registered (maintenance).
    Fixed,
    /// Nothing: its client must speak up within this span.
    Ttl(Duration),
    /// An HTTP request: 2xx passes, 429 warns.
    Http(HttpProbe),
    /// A TCP connection to `host:port`.
    Tcp {
        /// Where to.
        address: String,
    },
    /// A command in a container: exit code 0 passes, 1 warns.
    Command {
        /// The container's id.
        container: String,
        /// For its shell.
        line: String,
    },
}

/// The request of an HTTP check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpProbe {
    /// `http://` or `https://`.
    pub url: String,
    /// Empty: GET.
    pub method: String,
    /// Headers; `Host` sets the host.
    pub header: BTreeMap<String, Vec<String>>,
    /// Body.
    pub body: String,
    /// Take a redirect for the answer.
    pub disable_redirects: bool,
    /// Take any certificate.
    pub tls_skip_verify: bool,
    /// Name to verify the certificate for; empty: the URL's host.
    pub tls_server_name: String,
}

/// How one check of this agent is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckSpec {
    /// What it does.
    pub probe: Probe,
    /// Between the end of a run and the next.
    pub interval: Duration,
    /// How long a run may take.
    pub timeout: Duration,
    /// So many good results in a row make it passing.
    pub success_before_passing: u32,
    /// So many bad ones make it warning.
    pub failures_before_warning: u32,
    /// So many bad ones make it critical.
    pub failures_before_critical: u32,
    /// Its service goes after so long in critical.
    pub deregister_after: Option<Duration>,
    /// Outputs are cut to so many bytes.
    pub output_max: usize,
}

/// Outputs are cut to this unless the check says less.
pub const OUTPUT_MAX: usize = 4096;

impl CheckSpec {
    /// A check that stands as it was registered.
    #[must_use]
    pub fn fixed() -> Self {
        Self {
            probe: Probe::Fixed,
            interval: Duration::ZERO,
            timeout: Duration::ZERO,
            success_before_passing: 0,
            failures_before_warning: 0,
            failures_before_critical: 0,
            deregister_after: None,
            output_max: OUTPUT_MAX,
        }
    }
}

/// What the loop has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Run the probe of this check, then call [`Checks::finished`].
    Run(String),
    /// This TTL check's client has been silent for too long.
    Expire(String),
    /// This service has been critical for too long.
    Deregister(String),
}

/// What is to be done now, and when to look again if nothing happens before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// To be done now.
    pub steps: Vec<Step>,
    /// Look again after this; `None`: nothing is due.
    pub again: Option<Duration>,
}

/// How far each check has come.
#[derive(Clone, Debug, Default)]
pub struct Checks {
    progress: BTreeMap<String, Progress>,
}

#[derive(Clone, Debug)]
struct Progress {
    spec: CheckSpec,
    due: Duration,
    running: bool,
    successes: u32,
    failures: u32,
    critical_since: Option<Duration>,
}

impl Progress {
    /// Counters start at their thresholds, so that the first result counts at once.
    fn new(spec: &CheckSpec, due: Duration) -> Self {
        Self {
            spec: spec.clone(),
            due,
            running: false,
            successes: spec.success_before_passing,
            failures: spec.failures_before_critical,
            critical_since: None,
        }
    }
}

impl Checks {
    /// What `rows` need at `now`. `random` draws from 0.0 to 1.0: a check's first run comes at a
    /// random point of its first interval, so that an agent's start does not run all at once.
    pub fn plan(
        &mut self,
        rows: &LocalRows,
        now: Duration,
        mut random: impl FnMut() -> f64,
    ) -> Plan {
        self.progress.retain(|id, _| rows.checks.contains_key(id));
        let mut plan = Plan::default();
        for (id, check) in &rows.checks {
            let first = now + check.spec.interval.mul_f64(random().clamp(0.0, 1.0));
            let progress = self
                .progress
                .entry(id.clone())
                .or_insert_with(|| Progress::new(&check.spec, first));
            if progress.spec != check.spec {
                let since = progress.critical_since;
                *progress = Progress::new(&check.spec, first);
                progress.critical_since = since;
            }
            let critical = check.row.status == CheckStatus::Critical;
            progress.critical_since = critical.then(|| progress.critical_since.unwrap_or(now));
            match &check.spec.probe {
                Probe::Fixed => {}
                Probe::Ttl(_) if critical => {}
                Probe::Ttl(ttl) => {
                    let step = || Step::Expire(id.clone());
                    plan.due(check.beat.saturating_add(*ttl), now, step);
                }
                Probe::Http(_) | Probe::Tcp { .. } | Probe::Command { .. } if progress.running => {}
                Probe::Http(_) | Probe::Tcp { .. } | Probe::Command { .. } => {
                    progress.running = progress.due <= now;
                    plan.due(progress.due, now, || Step::Run(id.clone()));
                }
            }
            if let (Some(after), Some(since)) =
                (check.spec.deregister_after, progress.critical_since)
                && !check.row.service_id.is_empty()
            {
                let step = || Step::Deregister(check.row.service_id.clone());
                plan.due(since.saturating_add(after), now, step);
            }
        }
        plan
    }

    /// A run of `check`, which was `ran` then, ended with `result`; `Some`: its status is this
    /// from now on. What a definition found that was replaced meanwhile does not count.
    pub fn finished(
        &mut self,
        check: &str,
        ran: &CheckSpec,
        result: CheckStatus,
        now: Duration,
    ) -> Option<CheckStatus> {
        let progress = self
            .progress
            .get_mut(check)
            .filter(|now| now.spec == *ran)?;
        progress.running = false;
        progress.due = now.saturating_add(progress.spec.interval);
        if result == CheckStatus::Critical {
            progress.failures = progress.failures.saturating_add(1);
            progress.successes = 0;
            if progress.failures >= progress.spec.failures_before_critical {
                Some(CheckStatus::Critical)
            } else if progress.failures >= progress.spec.failures_before_warning {
                Some(CheckStatus::Warning)
            } else {
                None
            }
        } else {
            progress.successes = progress.successes.saturating_add(1);
            progress.failures = 0;
            (progress.successes >= progress.spec.success_before_passing).then_some(result)
        }
    }
}

impl Plan {
    fn due(&mut self, when: Duration, now: Duration, step: impl FnOnce() -> Step) {
        if when <= now {
            self.steps.push(step());
        } else {
            let pause = when - now;
            self.again = Some(self.again.map_or(pause, |again| again.min(pause)));
        }
    }
}

/// Cuts an output at a character's edge.
#[must_use]
pub fn cut_output(mut output: String, most: usize) -> String {
    if output.len() > most {
        let captured = output.len();
        let mut end = most;
        while !output.is_char_boundary(end) {
            end -= 1;
        }
        output.truncate(end);
        output.push_str(&format!(" ... (captured {end} of {captured} bytes)"));
    }
    output
}

/// The output of a TTL check whose client fell silent after it had said `last`.
#[must_use]
pub fn expired_output(last: &str) -> String {
    const EXPIRED: &str = "TTL expired";
    if last.is_empty() || last.starts_with(EXPIRED) {
        EXPIRED.to_owned()
    } else {
        format!("{EXPIRED} (last output before timeout follows): {last}")
    }
}

#[cfg(test)]
mod tests;
