//! Numbers for requests, so that a retry is known as one (rule R8).

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::model::{BootId, NodeId, RequestId};

/// The counter of one process.
pub struct Requests {
    node: NodeId,
    boot: BootId,
    inner: Mutex<Inner>,
}

struct Inner {
    next: u64,
    open: BTreeSet<u64>,
}

/// A request under way; once dropped it is settled: never retried again.
pub struct OpenRequest<'a> {
    /// Its number.
    pub id: RequestId,
    requests: &'a Requests,
}

impl Requests {
    /// For this process.
    #[must_use]
    pub fn new(node: NodeId, boot: BootId) -> Self {
        Self {
            node,
            boot,
            inner: Mutex::new(Inner {
                next: 1,
                open: BTreeSet::new(),
            }),
        }
    }

    /// The next request.
    #[must_use]
    pub fn begin(&self) -> OpenRequest<'_> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let seq = inner.next;
        inner.next += 1;
        inner.open.insert(seq);
        let settled = inner.open.first().map_or(0, |first| first - 1);
        let id = RequestId {
            node: self.node,
            boot: self.boot,
            seq,
            settled,
        };
        OpenRequest { id, requests: self }
    }
}

impl Drop for OpenRequest<'_> {
    fn drop(&mut self) {
        let mut inner = self
            .requests
            .inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        inner.open.remove(&self.id.seq);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r8_only_what_can_no_longer_be_retried_is_settled() {
        let requests = Requests::new(NodeId::from_u128(1), BootId(2));
        let first = requests.begin();
        let second = requests.begin();
        assert_eq!((first.id.seq, first.id.settled), (1, 0));
        assert_eq!((second.id.seq, second.id.settled), (2, 0));
        drop(second);
        assert_eq!(
            requests.begin().id.settled,
            0,
            "the first is still under way"
        );
        drop(first);
        assert_eq!(requests.begin().id.settled, 3);
    }
}
