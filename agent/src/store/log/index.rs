//! Which entries there are and where: the youngest in memory, the others in files.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::segment::Place;
use super::{Entry, LogId};

/// How many bytes of entries (as encoded) stay in memory once they are on disk: what followers
/// that keep up, and the state machine, read next.
const RECENT_BYTES: usize = 2 * 1024 * 1024;

/// The log's table of contents.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// The index of the first entry in `places`.
    first: u64,
    /// One for each entry; `None`: not on disk yet.
    places: VecDeque<Option<Place>>,
    /// The youngest entries, at least all that are not on disk.
    recent: VecDeque<Recent>,
    recent_bytes: usize,
    last: Option<LogId>,
    purged: Option<LogId>,
}

#[derive(Debug)]
struct Recent {
    entry: Arc<Entry>,
    bytes: usize,
}

/// Where the entries of a range are to be taken from, in order: first the files, then memory.
pub(super) struct Plan {
    /// In files.
    pub(super) stored: Vec<Place>,
    /// In memory.
    pub(super) recent: Vec<Arc<Entry>>,
}

impl Index {
    /// The last entry's id, or the last purged one's.
    pub(super) fn last(&self) -> Option<LogId> {
        self.last
    }

    /// The last purged entry's id.
    pub(super) fn purged(&self) -> Option<LogId> {
        self.purged
    }

    /// The index of the first entry, if there is one.
    pub(super) fn first(&self) -> Option<u64> {
        (!self.places.is_empty()).then_some(self.first)
    }

    /// Whether an entry with this index can be appended: the log has no holes. An empty log takes
    /// any but purged ones.
    pub(super) fn continues(&self, index: u64) -> bool {
        if self.places.is_empty() {
            self.purged.is_none_or(|purged| index > purged.index)
        } else {
            index == self.end()
        }
    }

    /// Adds an entry that is in memory only. `bytes`: how long it is when encoded.
    pub(super) fn append(&mut self, entry: Arc<Entry>, bytes: usize) {
        self.grow(entry.log_id, None);
        self.recent.push_back(Recent { entry, bytes });
        self.recent_bytes += bytes;
    }

    /// Adds an entry that is on disk only.
    pub(super) fn found(&mut self, id: LogId, place: Place) {
        self.grow(id, Some(place));
    }

    fn grow(&mut self, id: LogId, place: Option<Place>) {
        if self.places.is_empty() {
            self.first = id.index;
        }
        self.places.push_back(place);
        self.last = Some(id);
    }

    /// Removes what comes after `id`; `None`: everything.
    pub(super) fn truncate(&mut self, id: Option<LogId>) {
        let end = id.map_or(0, |id| id.index + 1);
        if end >= self.end() {
            return;
        }
        while self.end() > end && self.places.pop_back().is_some() {
            if let Some(gone) = self.recent.pop_back() {
                self.recent_bytes -= gone.bytes;
            }
        }
        self.last = if self.places.is_empty() {
            self.purged
        } else {
            id
        };
    }

    /// Removes everything up to `id`.
    pub(super) fn purge(&mut self, id: LogId) {
        if self.purged.is_some_and(|purged| purged.index >= id.index) {
            return;
        }
        self.purged = Some(id);
        while self.first <= id.index && self.places.pop_front().is_some() {
            self.first += 1;
        }
        while self.recent.len() > self.places.len() {
            self.forget_oldest();
        }
        if self.places.is_empty() {
            self.last = Some(id);
        }
    }

    /// The writer has `entry` on disk. An entry that was truncated meanwhile is not touched.
    pub(super) fn settle(&mut self, entry: &Arc<Entry>, place: Place) {
        let index = entry.log_id.index;
        let Some(from_end) = self.end().checked_sub(index + 1) else {
            return;
        };
        let slot = |length: usize| length.checked_sub(from_end as usize + 1);
        let same = slot(self.recent.len())
            .and_then(|at| self.recent.get(at))
            .is_some_and(|recent| Arc::ptr_eq(&recent.entry, entry));
        if same && let Some(stored) = slot(self.places.len()).and_then(|at| self.places.get_mut(at))
        {
            *stored = Some(place);
        }
    }

    /// Lets go of the oldest entries in memory that are on disk, down to the limit.
    pub(super) fn shrink(&mut self) {
        while self.recent_bytes > RECENT_BYTES {
            let oldest = self.places.len().saturating_sub(self.recent.len());
            if !matches!(self.places.get(oldest), Some(Some(_))) {
                return;
            }
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(gone) = self.recent.pop_front() {
            self.recent_bytes -= gone.bytes;
        }
    }

    /// Where to take the entries of `range` from, up to about `limit` bytes, at least one.
    pub(super) fn plan(&self, range: Range<u64>, limit: usize) -> Plan {
        let mut plan = Plan {
            stored: Vec::new(),
            recent: Vec::new(),
        };
        let from = range.start.max(self.first);
        let to = range.end.min(self.end());
        let in_memory = self.end() - self.recent.len() as u64;
        let mut bytes = 0;
        for index in from..to {
            if bytes >= limit {
                break;
            }
            if index < in_memory {
                let at = (index - self.first) as usize;
                if let Some(Some(place)) = self.places.get(at) {
                    bytes += place.length as usize;
                    plan.stored.push(*place);
                }
            } else if let Some(recent) = self.recent.get((index - in_memory) as usize) {
                bytes += recent.bytes;
                plan.recent.push(Arc::clone(&recent.entry));
            }
        }
        plan
    }

    /// One more than the last entry's index.
    fn end(&self) -> u64 {
        self.first + self.places.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{entry, id};
    use super::*;

    fn place(offset: u64) -> Place {
        Place::new(1, offset, 100)
    }

    #[test]
    fn an_entry_that_replaced_another_is_not_settled_by_it() {
        let mut index = Index::default();
        let old = Arc::new(entry(1, 1, 10));
        index.append(Arc::clone(&old), RECENT_BYTES);
        index.truncate(None);
        let new = Arc::new(entry(2, 1, 10));
        index.append(Arc::clone(&new), RECENT_BYTES + 1);

        index.settle(&old, place(40));
        index.shrink();
        let plan = index.plan(0..9, usize::MAX);
        assert_eq!((plan.stored, plan.recent), (vec![], vec![Arc::clone(&new)]));

        index.settle(&new, place(80));
        index.shrink();
        let plan = index.plan(0..9, usize::MAX);
        assert_eq!((plan.stored, plan.recent), (vec![place(80)], vec![]));
    }

    #[test]
    fn memory_keeps_only_the_youngest_entries_that_are_on_disk() {
        let mut index = Index::default();
        let entries: Vec<_> = (1..=10).map(|at| Arc::new(entry(1, at, 10))).collect();
        for one in &entries {
            index.append(Arc::clone(one), RECENT_BYTES / 4);
        }
        index.shrink();
        let plan = index.plan(0..99, usize::MAX);
        assert_eq!(plan.recent.len(), 10, "none is on disk yet");
        for one in &entries {
            index.settle(one, place(one.log_id.index));
        }
        index.shrink();
        let plan = index.plan(0..99, usize::MAX);
        assert_eq!((plan.stored.len(), plan.recent.len()), (6, 4));

        index.purge(id(1, 7));
        let plan = index.plan(0..99, usize::MAX);
        assert_eq!((plan.stored.len(), plan.recent.len()), (0, 3));
        index.truncate(Some(id(1, 8)));
        assert_eq!(index.last(), Some(id(1, 8)));
        assert!(index.continues(9) && !index.continues(10));
    }
}
