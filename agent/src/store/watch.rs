//! Who waits for which part of the state.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::model::Topic;

/// The register of waiters. Waking looks only at the waiters of what changed.
#[derive(Clone, Default)]
pub struct Watches {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    by_topic: BTreeMap<Topic, HashMap<u64, Arc<Notify>>>,
}

static NEXT: AtomicU64 = AtomicU64::new(1);

/// A subscription: wakes when one of its topics changed since it was made or last awaited.
pub struct Watch {
    id: u64,
    topics: Vec<Topic>,
    notify: Arc<Notify>,
    register: Watches,
}

impl Watches {
    /// Subscribes to `topics`.
    #[must_use]
    pub fn subscribe(&self, topics: Vec<Topic>) -> Watch {
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let notify = Arc::new(Notify::new());
        let mut inner = self.lock();
        for topic in &topics {
            let waiters = inner.by_topic.entry(topic.clone()).or_default();
            waiters.insert(id, Arc::clone(&notify));
        }
        drop(inner);
        Watch {
            id,
            topics,
            notify,
            register: self.clone(),
        }
    }

    /// Wakes those who wait for one of `changed`. `Topic::Key(k)` wakes the watchers of that key
    /// and of each of its prefixes; `Topic::Prefix(p)` (everything under it went) wakes also the
    /// watchers of keys and prefixes under it.
    pub fn wake(&self, changed: &[Topic]) {
        let inner = self.lock();
        if inner.by_topic.is_empty() {
            return;
        }
        for topic in changed {
            match topic {
                Topic::Key(key) => {
                    inner.wake_exact(topic);
                    inner.wake_prefixes_of(key);
                }
                Topic::Prefix(prefix) => {
                    inner.wake_prefixes_of(prefix);
                    inner.wake_under(prefix);
                }
                other => inner.wake_exact(other),
            }
        }
    }

    /// Wakes everyone.
    pub fn wake_all(&self) {
        let inner = self.lock();
        inner
            .by_topic
            .values()
            .flat_map(HashMap::values)
            .for_each(|waiter| waiter.notify_one());
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn wake_exact(&self, topic: &Topic) {
        if let Some(waiters) = self.by_topic.get(topic) {
            waiters.values().for_each(|waiter| waiter.notify_one());
        }
    }

    fn wake_prefixes_of(&self, key: &str) {
        let ends = key.char_indices().map(|(at, _)| at).chain([key.len()]);
        ends.for_each(|end| self.wake_exact(&Topic::Prefix(key[..end].to_owned())));
    }

    fn wake_under(&self, prefix: &str) {
        let starts = [
            Topic::Key(prefix.to_owned()),
            Topic::Prefix(prefix.to_owned()),
        ];
        for start in starts {
            self.by_topic
                .range(start..)
                .take_while(|(topic, _)| match topic {
                    Topic::Key(text) | Topic::Prefix(text) => text.starts_with(prefix),
                    _ => false,
                })
                .flat_map(|(_, waiters)| waiters.values())
                .for_each(|waiter| waiter.notify_one());
        }
    }
}

impl Watch {
    /// Returns when one of the topics has changed since the subscription or the last return.
    pub async fn changed(&self) {
        self.notify.notified().await;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut inner = self.register.lock();
        for topic in &self.topics {
            if let Some(waiters) = inner.by_topic.get_mut(topic) {
                waiters.remove(&self.id);
                if waiters.is_empty() {
                    inner.by_topic.remove(topic);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn woken(watch: &Watch) -> bool {
        watch.changed().now_or_never().is_some()
    }

    #[test]
    fn a_watcher_wakes_only_for_what_it_watches() {
        let watches = Watches::default();
        let key = watches.subscribe(vec![Topic::Key("a/b".into())]);
        let prefix = watches.subscribe(vec![Topic::Prefix("a/".into())]);
        let sibling = watches.subscribe(vec![Topic::Key("a/c".into())]);
        watches.wake(&[Topic::Key("a/b".into())]);
        assert!(woken(&key) && woken(&prefix) && !woken(&sibling));
        assert!(!woken(&key), "one change wakes once");
    }

    #[test]
    fn a_recursive_delete_wakes_watchers_above_and_below() {
        let watches = Watches::default();
        let above = watches.subscribe(vec![Topic::Prefix("a".into())]);
        let below = watches.subscribe(vec![Topic::Prefix("a/b/c/".into())]);
        let key = watches.subscribe(vec![Topic::Key("a/b/x".into())]);
        let other = watches.subscribe(vec![Topic::Prefix("a/c".into())]);
        watches.wake(&[Topic::Prefix("a/b/".into())]);
        assert!(woken(&above) && woken(&below) && woken(&key) && !woken(&other));
    }

    #[test]
    fn a_dropped_watch_leaves_nothing_behind() {
        let watches = Watches::default();
        drop(watches.subscribe(vec![Topic::Sessions, Topic::Key("k".into())]));
        assert!(watches.lock().by_topic.is_empty());
    }
}
