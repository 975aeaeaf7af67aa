//! What the handles and the writing thread share: the index, the vote, the counters.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::storage::IOFlushed;

use super::index::Index;
use super::queue::Queue;
use super::record;
use super::recover::Recovered;
use super::segment::{Place, Segment};
use super::writer::Op;
use super::{Entry, LogError, LogId, LogStats, TypeConfig, Vote};

/// Shared by all handles of one log and its writer.
pub(super) struct Shared {
    pub(super) queue: Queue,
    state: Mutex<State>,
    syncs: AtomicU64,
    entries: AtomicU64,
    bytes: AtomicU64,
}

struct State {
    index: Index,
    segments: BTreeMap<u32, Arc<Segment>>,
    /// The last vote that is on disk.
    vote: Option<Vote>,
    committed: Option<LogId>,
}

/// Entries that are about to be read.
pub(super) struct Reading {
    stored: Vec<(Option<Arc<Segment>>, Place)>,
    recent: Vec<Arc<Entry>>,
}

impl Reading {
    /// Whether a file has to be read.
    pub(super) fn touches_disk(&self) -> bool {
        !self.stored.is_empty()
    }

    /// Reads what is in files and adds what is in memory.
    pub(super) fn finish(self) -> Result<Vec<Entry>, LogError> {
        let mut entries = Vec::with_capacity(self.stored.len() + self.recent.len());
        for (segment, place) in self.stored {
            let segment = segment.ok_or(LogError::Closed {
                segment: place.segment,
            })?;
            entries.push(segment.read_entry(place)?);
        }
        entries.extend(self.recent.iter().map(|entry| Entry::clone(entry)));
        Ok(entries)
    }
}

impl Shared {
    pub(super) fn new(found: &mut Recovered) -> Self {
        let segments = found
            .segments
            .iter()
            .map(|kept| (kept.segment.number, Arc::clone(&kept.segment)))
            .collect();
        Self {
            queue: Queue::default(),
            state: Mutex::new(State {
                index: std::mem::take(&mut found.index),
                segments,
                vote: found.facts.vote,
                committed: found.facts.committed,
            }),
            syncs: AtomicU64::new(0),
            entries: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes `entries` readable and queues them. Nothing happens if they leave a hole.
    pub(super) fn append(
        &self,
        entries: Vec<Entry>,
        done: IOFlushed<TypeConfig>,
    ) -> std::io::Result<()> {
        let mut encoded = Vec::with_capacity(entries.len());
        for entry in entries {
            let body = record::encode_entry(&entry).map_err(std::io::Error::other)?;
            encoded.push((Arc::new(entry), body));
        }
        // The queue is filled under the index' lock: both see all changes in the same order.
        let mut state = self.lock();
        let Some((first, _)) = encoded.first() else {
            done.io_completed(Ok(()));
            return Ok(());
        };
        let first = first.log_id.index;
        if !state.index.continues(first) {
            return Err(hole(&state.index, first));
        }
        for (wanted, (entry, _)) in (first..).zip(&encoded) {
            if entry.log_id.index != wanted {
                return Err(hole(&state.index, entry.log_id.index));
            }
        }
        for (entry, body) in &encoded {
            state.index.append(Arc::clone(entry), body.len());
        }
        self.queue.push(Op::Append {
            entries: encoded,
            done,
        });
        Ok(())
    }

    pub(super) fn truncate(&self, id: Option<LogId>) {
        let mut state = self.lock();
        state.index.truncate(id);
        self.queue.push(Op::Truncate(id));
    }

    pub(super) fn purge(&self, id: LogId) {
        let mut state = self.lock();
        state.index.purge(id);
        self.queue.push(Op::Purge(id));
    }

    pub(super) fn save_committed(&self, id: LogId) {
        let mut state = self.lock();
        if state.committed != Some(id) {
            state.committed = Some(id);
            self.queue.mark(id);
        }
    }

    pub(super) fn committed(&self) -> Option<LogId> {
        self.lock().committed
    }

    pub(super) fn vote(&self) -> Option<Vote> {
        self.lock().vote
    }

    /// The last purged and the last id.
    pub(super) fn ends(&self) -> (Option<LogId>, Option<LogId>) {
        let state = self.lock();
        (state.index.purged(), state.index.last())
    }

    /// What of `range` there is, up to about `limit` bytes.
    pub(super) fn reading(&self, range: Range<u64>, limit: usize) -> Reading {
        let state = self.lock();
        let plan = state.index.plan(range, limit);
        let stored = plan
            .stored
            .into_iter()
            .map(|place| (state.segments.get(&place.segment).cloned(), place))
            .collect();
        Reading {
            stored,
            recent: plan.recent,
        }
    }

    pub(super) fn settle(&self, places: &[(Arc<Entry>, Place)], vote: Option<Vote>) {
        let mut state = self.lock();
        for (entry, place) in places {
            state.index.settle(entry, *place);
        }
        state.index.shrink();
        state.vote = vote;
    }

    pub(super) fn add_segment(&self, segment: &Arc<Segment>) {
        self.lock()
            .segments
            .insert(segment.number, Arc::clone(segment));
    }

    pub(super) fn remove_segment(&self, number: u32) {
        self.lock().segments.remove(&number);
    }

    pub(super) fn count(&self, bytes: u64, entries: u64) {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.entries.fetch_add(entries, Ordering::Relaxed);
    }

    pub(super) fn stats(&self) -> LogStats {
        LogStats {
            syncs: self.syncs.load(Ordering::Relaxed),
            entries: self.entries.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

fn hole(index: &Index, found: u64) -> std::io::Error {
    let last = index
        .last()
        .map_or_else(|| "none".to_owned(), |id| id.to_string());
    std::io::Error::new(
        std::io::ErrorKind::InvalidInput,
        format!("entry {found} does not continue the log, whose last entry is {last}"),
    )
}
