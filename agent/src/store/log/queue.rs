//! The queue of what is to be written.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::LogId;
use super::writer::Op;

/// How long a commit mark waits for company before it gets an fsync of its own. A mark that is
/// lost costs nothing but a later catching up, so it must not cost every write a second fsync.
const MARK_DELAY: Duration = Duration::from_millis(50);

/// Filled by the handles, emptied by the writer.
#[derive(Default)]
pub(super) struct Queue {
    inner: Mutex<Pending>,
    wake: Condvar,
}

#[derive(Default)]
struct Pending {
    ops: VecDeque<Op>,
    committed: Option<LogId>,
    closed: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an operation.
    pub(super) fn push(&self, op: Op) {
        self.lock().ops.push_back(op);
        self.wake.notify_one();
    }

    /// Everything up to `id` is committed; replaces an earlier mark that is not written yet.
    pub(super) fn mark(&self, id: LogId) {
        let first = self.lock().committed.replace(id).is_none();
        if first {
            self.wake.notify_one();
        }
    }

    /// Nothing more will come.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_one();
    }

    /// Waits for work and takes all of it; `None` when the log is closed and all is written.
    pub(super) fn take(&self) -> Option<(VecDeque<Op>, Option<LogId>)> {
        let mut pending = self.lock();
        loop {
            if !pending.ops.is_empty() {
                break;
            }
            if pending.closed {
                pending.committed?;
                break;
            }
            if pending.committed.is_none() {
                pending = self
                    .wake
                    .wait(pending)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let (now, timeout) = self
                .wake
                .wait_timeout(pending, MARK_DELAY)
                .unwrap_or_else(PoisonError::into_inner);
            pending = now;
            if timeout.timed_out() {
                break;
            }
        }
        Some((std::mem::take(&mut pending.ops), pending.committed.take()))
    }
}
