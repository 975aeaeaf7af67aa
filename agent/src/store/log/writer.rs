//! The thread that writes. All that waits becomes one frame, one write and one fsync; then all
//! who waited are told.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use openraft::storage::IOFlushed;
use tokio::sync::oneshot;

use super::error::die;
use super::frame;
use super::record::{Checkpoint, Record};
use super::recover::{Kept, Recovered};
use super::segment::{self, Place, Segment, Synced};
use super::shared::Shared;
use super::{Entry, LogError, LogId, TypeConfig, Vote};

/// A segment that has grown beyond this is closed and the next one begun. Purged entries are
/// freed a segment at a time.
const SEGMENT_BYTES: u64 = 8 * 1024 * 1024;
/// No frame gathers more than this; a larger single append gets a frame of its own.
const FRAME_BYTES: usize = 2 * 1024 * 1024;
/// What the frame's buffer keeps for the next one.
const BUFFER_BYTES: usize = 256 * 1024;

/// Something to be written.
pub(super) enum Op {
    /// Entries, each with its record's body.
    Append {
        entries: Vec<(Arc<Entry>, Vec<u8>)>,
        done: IOFlushed<TypeConfig>,
    },
    /// A vote.
    Vote {
        vote: Vote,
        done: oneshot::Sender<()>,
    },
    /// Entries after this one go; `None`: all.
    Truncate(Option<LogId>),
    /// Entries up to this one go.
    Purge(LogId),
}

impl Op {
    /// About how much it will add to a frame.
    fn bytes(&self) -> usize {
        match self {
            Self::Append { entries, .. } => entries.iter().map(|(_, body)| body.len() + 8).sum(),
            _ => 128,
        }
    }
}

/// What has to be told once a frame is on disk.
#[derive(Default)]
struct Waiting {
    places: Vec<(Arc<Entry>, Place)>,
    appends: Vec<IOFlushed<TypeConfig>>,
    votes: Vec<oneshot::Sender<()>>,
    purged: bool,
}

/// The state of the writing thread.
pub(super) struct Writer {
    shared: Arc<Shared>,
    dir: PathBuf,
    segments: VecDeque<Kept>,
    end: u64,
    next_frame: u64,
    facts: Checkpoint,
    buffer: Vec<u8>,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, dir: PathBuf, found: Recovered) -> Self {
        Self {
            shared,
            dir,
            segments: found.segments,
            end: found.end,
            next_frame: found.next_frame,
            facts: found.facts,
            buffer: Vec::new(),
        }
    }

    /// Writes until the log is closed. Any failure ends the process.
    pub(super) fn run(mut self) {
        self.delete_purged();
        while let Some((mut ops, committed)) = self.shared.queue.take() {
            loop {
                let group = cut_group(&mut ops);
                // The commit mark goes last, so that it never claims what is not written yet.
                let mark = committed.filter(|_| ops.is_empty());
                self.write(group, mark);
                if ops.is_empty() {
                    break;
                }
            }
        }
    }

    /// Whoever waits must not hear of a failure: dropping a waiter tells it that the log is
    /// closed, and it would go on for a moment. So `die` stands where all of them are still held.
    fn write(&mut self, group: Vec<Op>, committed: Option<LogId>) {
        let segment = self.segment().unwrap_or_else(|error| die(&error));
        frame::begin(&mut self.buffer);
        let mut waiting = Waiting::default();
        for op in group {
            self.add(&segment, op, &mut waiting);
        }
        if let Some(id) = committed {
            self.facts.committed = Some(id);
            self.add_record(&segment, &Record::Committed(Some(id)));
        }
        frame::seal(&mut self.buffer, segment.salt, self.next_frame);
        let synced = self.store(&segment).unwrap_or_else(|error| die(&error));
        self.tell(waiting, &synced);
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_BYTES);
    }

    fn store(&mut self, segment: &Segment) -> Result<Synced, LogError> {
        segment
            .write(&self.buffer, self.end)
            .map_err(LogError::io("write", &segment.path))?;
        let synced = segment
            .sync()
            .map_err(LogError::io("sync", &segment.path))?;
        self.next_frame += 1;
        self.end += self.buffer.len() as u64;
        Ok(synced)
    }

    fn add(&mut self, segment: &Segment, op: Op, waiting: &mut Waiting) {
        match op {
            Op::Append { entries, done } => {
                for (entry, body) in entries {
                    let place = self.add_body(segment, &body);
                    if let Some(kept) = self.segments.back_mut() {
                        kept.newest = kept.newest.max(Some(entry.log_id.index));
                    }
                    waiting.places.push((entry, place));
                }
                waiting.appends.push(done);
            }
            Op::Vote { vote, done } => {
                self.facts.vote = Some(vote);
                self.add_record(segment, &Record::Vote(vote));
                waiting.votes.push(done);
            }
            Op::Truncate(id) => self.add_record(segment, &Record::Truncate(id)),
            Op::Purge(id) => {
                self.facts.purged = self.facts.purged.max(Some(id));
                self.add_record(segment, &Record::Purge(id));
                waiting.purged = true;
            }
        }
    }

    fn add_record(&mut self, segment: &Segment, record: &Record) {
        // Ids, votes and marks are plain numbers: postcard has no error for them.
        if let Ok(body) = record.encode() {
            self.add_body(segment, &body);
        }
    }

    fn add_body(&mut self, segment: &Segment, body: &[u8]) -> Place {
        let at = frame::push(&mut self.buffer, segment.salt, body);
        Place::new(
            segment.number,
            self.end + at as u64,
            body.len() + frame::RECORD_HEADER,
        )
    }

    /// The segment for the next frame: the newest, or a new one when that is full.
    fn segment(&mut self) -> Result<Arc<Segment>, LogError> {
        if let Some(kept) = self.segments.back()
            && self.end < SEGMENT_BYTES
        {
            return Ok(Arc::clone(&kept.segment));
        }
        let number = self.segments.back().map_or(0, |kept| kept.segment.number) + 1;
        let (segment, end) = Segment::create(&self.dir, number, self.next_frame, &self.facts)?;
        self.shared.count(end, 0);
        self.shared.add_segment(&segment);
        self.segments.push_back(Kept {
            segment: Arc::clone(&segment),
            newest: None,
        });
        self.end = end;
        self.next_frame += 1;
        Ok(segment)
    }

    fn tell(&mut self, waiting: Waiting, _proof: &Synced) {
        self.shared
            .count(self.buffer.len() as u64, waiting.places.len() as u64);
        self.shared.settle(&waiting.places, self.facts.vote);
        for done in waiting.appends {
            done.io_completed(Ok(()));
        }
        for done in waiting.votes {
            // Whoever asked may have gone; the vote stands all the same.
            let _ = done.send(());
        }
        if waiting.purged {
            self.delete_purged();
        }
    }

    /// Deletes the oldest segments all of whose entries are purged; never the newest.
    fn delete_purged(&mut self) {
        let Some(purged) = self.facts.purged.map(|id| id.index) else {
            return;
        };
        let mut deleted = false;
        while self.segments.len() > 1
            && let Some(oldest) = self.segments.front()
            && oldest.newest <= Some(purged)
        {
            if let Err(error) = oldest.segment.delete() {
                // It costs room, nothing else; the next purge and the next start try again.
                tracing::warn!("cannot delete {}: {error}", oldest.segment.path.display());
                return;
            }
            self.shared.remove_segment(oldest.segment.number);
            self.segments.pop_front();
            deleted = true;
        }
        if deleted && let Err(error) = segment::sync_dir(&self.dir) {
            tracing::warn!("{error}");
        }
    }
}

/// Takes as many operations as one frame should hold, at least one if there is one.
fn cut_group(ops: &mut VecDeque<Op>) -> Vec<Op> {
    let mut group = Vec::new();
    let mut bytes = 0;
    while let Some(op) = ops.front() {
        bytes += op.bytes();
        if !group.is_empty() && bytes > FRAME_BYTES {
            break;
        }
        group.extend(ops.pop_front());
    }
    group
}
