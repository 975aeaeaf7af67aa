//! Stopping is a value, being ready is a latch: both are set once and stay set.

use std::sync::Arc;

use tokio::sync::watch;

#[derive(Clone, Debug)]
struct Latch(Arc<watch::Sender<bool>>);

impl Latch {
    fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    fn set(&self) {
        self.0.send_replace(true);
    }

    fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    async fn wait(&self) {
        // The sender lives in self: the only error, "sender gone", can't come.
        let _ = self.0.subscribe().wait_for(|set| *set).await;
    }
}

/// The wish to stop, handed to everything that runs. Clones share it.
#[derive(Clone, Debug)]
pub struct Shutdown(Latch);

impl Shutdown {
    /// One that has not begun.
    #[must_use]
    pub fn new() -> Self {
        Self(Latch::new())
    }

    /// From now on everyone should finish. There is no way back.
    pub fn begin(&self) {
        self.0.set();
    }

    /// Whether it has begun.
    #[must_use]
    pub fn is_begun(&self) -> bool {
        self.0.is_set()
    }

    /// Returns when it has begun, at once if it already has. Safe to cancel.
    pub async fn begun(&self) {
        self.0.wait().await;
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

/// Set once something can be relied on; never unset. Clones share it.
#[derive(Clone, Debug)]
pub struct Ready(Latch);

impl Ready {
    /// One that is not set.
    #[must_use]
    pub fn new() -> Self {
        Self(Latch::new())
    }

    /// It is so, for good.
    pub fn set(&self) {
        self.0.set();
    }

    /// Whether it was set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.is_set()
    }

    /// Returns once it is set. Safe to cancel.
    pub async fn wait(&self) {
        self.0.wait().await;
    }
}

impl Default for Ready {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::soon;

    #[tokio::test]
    async fn who_waits_and_who_comes_late_both_hear_of_it() {
        let shutdown = Shutdown::new();
        let heard = {
            let shutdown = shutdown.clone();
            crate::task::spawn("waiter", async move { shutdown.begun().await })
        };
        tokio::task::yield_now().await;
        assert!(!shutdown.is_begun() && !heard.is_finished());
        shutdown.begin();
        soon(heard.join()).await.unwrap();
        soon(shutdown.begun()).await;
        shutdown.begin();
        assert!(shutdown.is_begun(), "beginning twice is beginning");
    }

    #[tokio::test]
    async fn ready_stays_set() {
        let ready = Ready::new();
        let copy = ready.clone();
        ready.set();
        soon(copy.wait()).await;
        soon(copy.wait()).await;
        assert!(copy.is_set());
    }
}
