//! What one command brings about besides its rows: who is to be woken, whose sessions are to end.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::fold::fold;
use crate::model::{ClusterTime, Topic};

/// Collected while one command is applied.
pub(super) struct Changes {
    /// The command's raft index: the create and modify index of all that it changes.
    pub(super) index: u64,
    /// The cluster's time.
    pub(super) now: ClusterTime,
    topics: BTreeSet<Topic>,
    broken: Vec<Broken>,
}

/// Something that sessions lean on and that holds no more. Names are folded.
pub(super) enum Broken {
    /// The node went.
    Node(Arc<str>),
    /// The check went, or is critical.
    Check {
        /// Its node.
        node: Arc<str>,
        /// Its id.
        check: Arc<str>,
    },
}

impl Changes {
    pub(super) fn new(index: u64, now: ClusterTime) -> Self {
        Self {
            index,
            now,
            topics: BTreeSet::new(),
            broken: Vec::new(),
        }
    }

    pub(super) fn touch(&mut self, topic: Topic) {
        self.topics.insert(topic);
    }

    pub(super) fn touch_service(&mut self, name: &str) {
        self.touch(Topic::Service(fold(name).into_owned()));
    }

    pub(super) fn broke(&mut self, broken: Broken) {
        self.broken.push(broken);
    }

    pub(super) fn take_broken(&mut self) -> Vec<Broken> {
        std::mem::take(&mut self.broken)
    }

    /// The topics, each once.
    pub(super) fn into_topics(self) -> impl Iterator<Item = Topic> {
        self.topics.into_iter()
    }
}
