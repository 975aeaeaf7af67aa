//! Runs this agent's checks. The twin of [`crate::decide::checks`]; what comes of a run reaches
//! the catalog through [`super::services`], which watches the same rows.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch as signal;
use tokio::task::JoinSet;

use super::probe::{self, Finding};
use crate::decide::checks::{CheckSpec, Checks, Step, cut_output};
use crate::decide::services::LocalRows;
use crate::disk::DiskError;
use crate::docker::Containers;
use crate::store::LocalServices;
use crate::task::{Looper, Next, Round, Shutdown};

/// With nothing due, look anyway.
const TICK: Duration = Duration::from_secs(30);

/// A run that ended.
struct Run {
    check: String,
    spec: CheckSpec,
    finding: Finding,
}

struct Runner {
    local: Arc<LocalServices>,
    engine: Option<Arc<dyn Containers>>,
    changes: signal::Receiver<u64>,
    checks: Checks,
    running: JoinSet<Run>,
    finished: Vec<Run>,
}

/// Runs until the shutdown begins. Commands in containers need an engine.
pub async fn run(
    local: Arc<LocalServices>,
    engine: Option<Arc<dyn Containers>>,
    shutdown: Shutdown,
) {
    let runner = Runner {
        changes: local.changes(),
        local,
        engine,
        checks: Checks::default(),
        running: JoinSet::new(),
        finished: Vec::new(),
    };
    Looper::new("checks", TICK, &shutdown).run(runner).await;
}

impl Round for Runner {
    type Error = DiskError;

    async fn wake(&mut self) {
        tokio::select! {
            Ok(()) = self.changes.changed() => {}
            Some(done) = self.running.join_next() => match done {
                Ok(done) => self.finished.push(done),
                Err(error) => tracing::error!("a check's run ended badly: {error}"),
            },
        }
    }

    async fn round(&mut self) -> Result<Next, DiskError> {
        self.take_results();
        let rows = self.local.rows();
        let plan = self.checks.plan(&rows, self.local.now(), random);
        for step in plan.steps {
            match step {
                Step::Run(id) => self.start(&rows, id),
                Step::Expire(id) => self.local.expire(&id),
                Step::Deregister(service) => {
                    tracing::warn!(service, "deregistered: its check was critical for too long");
                    self.local.deregister(&service).await?;
                }
            }
        }
        Ok(plan.again.map_or(Next::OnTick, Next::After))
    }
}

impl Runner {
    fn take_results(&mut self) {
        let now = self.local.now();
        for Run {
            check,
            spec,
            finding,
        } in self.finished.drain(..)
        {
            if let Some(status) = self.checks.finished(&check, &spec, finding.status, now) {
                self.local.report(&check, status, finding.output);
            }
        }
    }

    fn start(&mut self, rows: &LocalRows, check: String) {
        let Some(spec) = rows.check(&check).map(|check| check.spec.clone()) else {
            return;
        };
        let engine = self.engine.clone();
        self.running.spawn(async move {
            let mut finding = probe::run(&spec, engine.as_deref()).await;
            finding.output = cut_output(finding.output, spec.output_max);
            Run {
                check,
                spec,
                finding,
            }
        });
    }
}

/// Uniform from 0.0 to 1.0.
fn random() -> f64 {
    let (random, _) = uuid::Uuid::new_v4().as_u64_pair();
    (random >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests;
