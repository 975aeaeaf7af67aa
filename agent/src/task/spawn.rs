//! Named tasks.

use std::borrow::Cow;
use std::future::Future;

use tokio::task::{AbortHandle, JoinHandle};
use tracing::Instrument as _;

/// A running task. Dropping the handle lets the task run on.
#[derive(Debug)]
pub struct TaskHandle<T> {
    name: Cow<'static, str>,
    inner: JoinHandle<T>,
}

/// Why a task gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaskEnd {
    /// A bug; in a release build the process has aborted before anyone reads this.
    #[error("task {0} panicked")]
    Panicked(Cow<'static, str>),
    /// Someone aborted it, or the runtime is going down.
    #[error("task {0} was aborted")]
    Aborted(Cow<'static, str>),
}

/// Runs `future` as a task; its log lines carry the name.
pub fn spawn<F>(name: impl Into<Cow<'static, str>>, future: F) -> TaskHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let name = name.into();
    // An error span is there at every level, and so is the name.
    let span = tracing::error_span!(parent: None, "task", name = %name);
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one that names tasks"
    )]
    let inner = tokio::spawn(future.instrument(span));
    TaskHandle { name, inner }
}

impl<T> TaskHandle<T> {
    /// The task's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.inner.is_finished()
    }

    /// Ends it at its next await.
    pub fn abort(&self) {
        self.inner.abort();
    }

    /// Its result.
    pub async fn join(self) -> Result<T, TaskEnd> {
        let name = self.name;
        self.inner.await.map_err(|error| {
            if error.is_panic() {
                TaskEnd::Panicked(name)
            } else {
                TaskEnd::Aborted(name)
            }
        })
    }

    /// Ties the task's life to a value's.
    pub fn abort_on_drop(self) -> AbortOnDrop {
        AbortOnDrop(self.inner.abort_handle())
    }

    pub(super) fn abort_handle(&self) -> AbortHandle {
        self.inner.abort_handle()
    }
}

/// Ends its task when it is dropped.
#[derive(Debug)]
#[must_use = "dropping it ends the task"]
pub struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::soon;

    #[tokio::test]
    async fn a_task_that_fails_to_finish_is_named() {
        let task = spawn("sum", async { 1 + 1 });
        assert_eq!(task.join().await, Ok(2));
        let task = spawn("stuck", std::future::pending::<()>());
        task.abort();
        assert_eq!(task.join().await, Err(TaskEnd::Aborted("stuck".into())));
        let task = spawn(format!("bad {}", 1), async { panic!("on purpose") });
        let end: Result<(), _> = task.join().await;
        assert_eq!(end.unwrap_err().to_string(), "task bad 1 panicked");
    }

    #[tokio::test]
    async fn a_guard_takes_its_task_along() {
        let (alive, gone) = tokio::sync::oneshot::channel::<()>();
        let guard = spawn("held", async move {
            let _alive = alive;
            std::future::pending::<()>().await;
        })
        .abort_on_drop();
        drop(guard);
        assert!(soon(gone).await.is_err(), "the task's values are dropped");
    }
}
