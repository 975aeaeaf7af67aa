//! The log as openraft sees it.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, Range, RangeBounds};

use futures_util::{Stream, StreamExt, stream};
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use openraft::{OptionalSend, RaftTypeConfig};
use tokio::sync::oneshot;

use super::shared::Reading;
use super::writer::Op;
use super::{Entry, LogId, LogStore, TypeConfig, Vote};

/// About how much is read for one message to a follower, or for one step of the state machine.
const READ_BYTES: usize = 1024 * 1024;

impl LogStore {
    async fn read(&self, range: Range<u64>, limit: usize) -> io::Result<Vec<Entry>> {
        let reading = self.shared().reading(range, limit);
        if !reading.touches_disk() {
            return reading.finish().map_err(io::Error::other);
        }
        tokio::task::spawn_blocking(|| Reading::finish(reading))
            .await
            .map_err(io::Error::other)?
            .map_err(io::Error::other)
    }
}

fn plain<R: RangeBounds<u64>>(range: &R) -> Range<u64> {
    let start = match range.start_bound() {
        Bound::Included(at) => *at,
        Bound::Excluded(at) => at.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(at) => at.saturating_add(1),
        Bound::Excluded(at) => *at,
        Bound::Unbounded => u64::MAX,
    };
    start..end
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<R>(&mut self, range: R) -> io::Result<Vec<Entry>>
    where
        R: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        self.read(plain(&range), usize::MAX).await
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.read(start..end, READ_BYTES).await
    }

    /// Committed entries for the state machine: never more than a few in memory.
    async fn entries_stream<R>(
        &mut self,
        range: R,
    ) -> impl Stream<Item = io::Result<Entry>> + OptionalSend
    where
        R: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let log = self.clone();
        let chunks = stream::unfold(Some(plain(&range)), move |rest| {
            let log = log.clone();
            async move {
                let rest = rest?;
                match log.read(rest.clone(), READ_BYTES).await {
                    Ok(entries) => {
                        let next = entries.last()?.log_id.index + 1;
                        let items: Vec<_> = entries.into_iter().map(Ok).collect();
                        Some((items, (next < rest.end).then_some(next..rest.end)))
                    }
                    Err(error) => Some((vec![Err(error)], None)),
                }
            }
        });
        Box::pin(chunks.map(stream::iter).flatten())
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.shared().vote())
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let (last_purged_log_id, last_log_id) = self.shared().ends();
        Ok(LogState {
            last_purged_log_id,
            last_log_id,
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let (done, written) = oneshot::channel();
        self.shared().queue.push(Op::Vote { vote: *vote, done });
        written
            .await
            .map_err(|_| io::Error::other("the raft log is closed"))
    }

    /// Not on disk when it returns, but soon, and never before the entries that it speaks of.
    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        if let Some(id) = committed {
            self.shared().save_committed(id);
        }
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.shared().committed())
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = <TypeConfig as RaftTypeConfig>::Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        self.shared()
            .append(entries.into_iter().collect(), callback)
    }

    /// Takes effect at once; on disk before whatever is appended afterwards.
    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        self.shared().truncate(last);
        Ok(())
    }

    /// Takes effect at once. The snapshot that stands for these entries must be on disk already.
    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        self.shared().purge(upto);
        Ok(())
    }
}
