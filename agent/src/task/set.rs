//! The set of an agent's tasks.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::error::Error;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::{Chain, Shutdown, spawn};

type Cause = Arc<dyn Error + Send + Sync>;

/// A critical task that ended before the agent was asked to stop.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TaskFailure {
    /// It returned an error.
    #[error("{task} failed: {}", Chain(.cause.as_ref()))]
    Failed {
        /// The task's name.
        task: String,
        /// What it said.
        cause: Cause,
    },
    /// It returned, though its work was not over.
    #[error("{task} ended, but should have run until the end")]
    Ended {
        /// The task's name.
        task: String,
    },
    /// It panicked or was aborted.
    #[error("{task} panicked or was aborted")]
    Broken {
        /// The task's name.
        task: String,
    },
}

/// What a task may return: nothing, or a result.
pub trait Outcome: Send + 'static {
    /// As a result.
    fn into_result(self) -> Result<(), Box<dyn Error + Send + Sync>>;
}

impl Outcome for () {
    fn into_result(self) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }
}

impl<E> Outcome for Result<(), E>
where
    E: Into<Box<dyn Error + Send + Sync>> + Send + 'static,
{
    fn into_result(self) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.map_err(Into::into)
    }
}

/// All tasks that live as long as the agent. Clones share the set.
#[derive(Clone)]
pub struct Tasks {
    shutdown: Shutdown,
    running: Arc<Mutex<BTreeMap<u64, Running>>>,
    count: Arc<watch::Sender<u64>>,
    failure: Arc<watch::Sender<Option<TaskFailure>>>,
}

struct Running {
    name: String,
    abort: AbortHandle,
}

impl Tasks {
    /// An empty set; what ends after `shutdown` has begun is no failure.
    #[must_use]
    pub fn new(shutdown: Shutdown) -> Self {
        Self {
            shutdown,
            running: Arc::default(),
            count: Arc::new(watch::Sender::new(0)),
            failure: Arc::new(watch::Sender::new(None)),
        }
    }

    /// When the agent stops.
    #[must_use]
    pub fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// Runs a task that may end at any time; an error of it is logged.
    pub fn spawn<F>(&self, name: impl Into<Cow<'static, str>>, future: F)
    where
        F: Future<Output: Outcome> + Send + 'static,
    {
        self.start(name.into(), false, future);
    }

    /// Runs a task without which the agent is of no use: see [`Self::first_failure`].
    pub fn critical<F>(&self, name: impl Into<Cow<'static, str>>, future: F)
    where
        F: Future<Output: Outcome> + Send + 'static,
    {
        self.start(name.into(), true, future);
    }

    /// Returns when a critical task has ended before the shutdown began: which, and why.
    pub async fn first_failure(&self) -> TaskFailure {
        let mut failure = self.failure.subscribe();
        loop {
            if let Some(failure) = failure.borrow_and_update().clone() {
                return failure;
            }
            // The sender lives in self, so this ends only with a change.
            let _ = failure.changed().await;
        }
    }

    /// Waits until all tasks have ended, but not beyond `deadline` from now. Returns the names of
    /// those that were late, which are aborted.
    pub async fn drain(&self, deadline: Duration) -> Vec<String> {
        let mut ended = self.count.subscribe();
        let all_ended = async {
            while !self.lock().is_empty() {
                let _ = ended.changed().await;
            }
        };
        if tokio::time::timeout(deadline, all_ended).await.is_ok() {
            return Vec::new();
        }
        let running = self.lock();
        running.values().for_each(|late| late.abort.abort());
        running.values().map(|late| late.name.clone()).collect()
    }

    fn start<F>(&self, name: Cow<'static, str>, critical: bool, future: F)
    where
        F: Future<Output: Outcome> + Send + 'static,
    {
        let mut report = Report {
            tasks: self.clone(),
            name: name.clone().into_owned(),
            critical,
            number: 0,
            result: None,
        };
        // Held until the task stands in the set: its report waits for this lock.
        let mut running = self.lock();
        report.number = running.last_key_value().map_or(0, |(last, _)| last + 1);
        let (number, text) = (report.number, report.name.clone());
        let handle = spawn(name, async move {
            let mut report = report;
            report.result = Some(future.await.into_result());
        });
        running.insert(
            number,
            Running {
                name: text,
                abort: handle.abort_handle(),
            },
        );
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lives in its task, so that it is dropped however the task ends.
struct Report {
    tasks: Tasks,
    name: String,
    critical: bool,
    number: u64,
    result: Option<Result<(), Box<dyn Error + Send + Sync>>>,
}

impl Report {
    fn failure(&mut self) -> TaskFailure {
        let task = self.name.clone();
        match self.result.take() {
            Some(Err(cause)) => TaskFailure::Failed {
                task,
                cause: cause.into(),
            },
            Some(Ok(())) => TaskFailure::Ended { task },
            None => TaskFailure::Broken { task },
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        let fine = matches!(self.result, Some(Ok(())));
        let failure = self.failure();
        if self.critical && !self.tasks.shutdown.is_begun() {
            self.tasks.failure.send_if_modified(|first| {
                let is_first = first.is_none();
                first.get_or_insert(failure);
                is_first
            });
        } else if !fine {
            tracing::warn!("{failure}");
        }
        self.tasks.lock().remove(&self.number);
        self.tasks.count.send_modify(|ended| *ended += 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::soon;

    const LONG: Duration = Duration::from_secs(20);

    fn false_at_run_time() -> bool {
        std::hint::black_box(false)
    }

    fn set() -> Tasks {
        Tasks::new(Shutdown::new())
    }

    #[tokio::test]
    async fn a_critical_task_that_fails_is_reported_with_its_reason() {
        let tasks = set();
        tasks.spawn("minor", async { Err::<(), _>("never mind") });
        tasks.critical("dns", async {
            Err::<(), _>(std::io::Error::other("port 53 is in use"))
        });
        let failure = soon(tasks.first_failure()).await;
        assert_eq!(failure.to_string(), "dns failed: port 53 is in use");
        tasks.critical("http", async {});
        assert!(tasks.drain(LONG).await.is_empty());
        let first = soon(tasks.first_failure()).await.to_string();
        assert!(
            first.starts_with("dns"),
            "the first stays the first: {first}"
        );
    }

    #[tokio::test]
    async fn ending_early_or_by_a_panic_is_a_failure_too() {
        let tasks = set();
        tasks.critical("loop", async {});
        let failure = soon(tasks.first_failure()).await;
        assert!(matches!(failure, TaskFailure::Ended { task } if task == "loop"));
        let tasks = set();
        tasks.critical("bug", async {
            assert!(false_at_run_time(), "on purpose");
        });
        let failure = soon(tasks.first_failure()).await;
        assert!(matches!(failure, TaskFailure::Broken { task } if task == "bug"));
    }

    #[tokio::test]
    async fn ending_after_the_shutdown_began_is_no_failure_and_the_late_are_named() {
        let tasks = set();
        let shutdown = tasks.shutdown().clone();
        tasks.critical("good", async move { shutdown.begun().await });
        tasks.critical("late", std::future::pending::<()>());
        tasks.shutdown().begin();
        let late = tasks.drain(Duration::from_millis(50)).await;
        assert_eq!(late, ["late"]);
        assert!(tasks.drain(LONG).await.is_empty(), "the late were aborted");
        assert!(tasks.failure.borrow().is_none());
    }
}
