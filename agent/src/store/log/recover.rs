//! Opening: reads all segments, cuts off what a crash left half written, refuses what is corrupt.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use super::frame::{self, FRAME_HEADER};
use super::index::Index;
use super::record::{Checkpoint, Record};
use super::segment::{self, Place, Segment};
use super::{LogError, LogId};
use crate::disk;

/// How much is read at once.
const WINDOW: usize = 256 * 1024;

/// What the disk holds.
pub(super) struct Recovered {
    /// All segments, oldest first, never none.
    pub(super) segments: VecDeque<Kept>,
    /// Where the next frame goes in the newest segment.
    pub(super) end: u64,
    /// The next frame's number.
    pub(super) next_frame: u64,
    /// The standing facts.
    pub(super) facts: Checkpoint,
    /// The entries.
    pub(super) index: Index,
}

/// A segment and the greatest index of an entry in it.
pub(super) struct Kept {
    pub(super) segment: Arc<Segment>,
    pub(super) newest: Option<u64>,
}

/// Reads the log in `dir`, or begins one there.
pub(super) fn recover(dir: &Path) -> Result<Recovered, LogError> {
    // The log holds what the state hides from clients, such as Swarm's tokens.
    disk::make_folder(dir)?;
    let numbers = Segment::list(dir)?;
    let mut found = Recovered {
        segments: VecDeque::new(),
        end: 0,
        next_frame: 1,
        facts: Checkpoint::default(),
        index: Index::default(),
    };
    let (Some(first), Some(last)) = (numbers.first(), numbers.last()) else {
        found.begin(dir)?;
        return Ok(found);
    };
    // A process that was killed may have made the newest without saying so to the disk.
    segment::sync_dir(dir)?;
    for (number, wanted) in numbers.iter().zip(*first..) {
        if *number != wanted {
            let what = format!("segment {wanted} is missing before segment {number}");
            return Err(gap(dir, what));
        }
        found.replay(Segment::open(dir, *number)?, number == last)?;
    }
    found.check(dir, *first)?;
    Ok(found)
}

fn gap(dir: &Path, what: String) -> LogError {
    LogError::Gap {
        dir: dir.to_owned(),
        what,
    }
}

impl Recovered {
    fn begin(&mut self, dir: &Path) -> Result<(), LogError> {
        let (segment, end) = Segment::create(dir, 1, self.next_frame, &self.facts)?;
        self.segments.push_back(Kept {
            segment,
            newest: None,
        });
        self.end = end;
        self.next_frame += 1;
        Ok(())
    }

    /// Takes over what `segment` says. Only the newest may end in a half written frame.
    fn replay(&mut self, segment: Segment, is_last: bool) -> Result<(), LogError> {
        let mut kept = Kept {
            segment: Arc::new(segment),
            newest: None,
        };
        let file = Arc::clone(&kept.segment);
        let length = file.length()?;
        let mut reader = Reader::new(&file, length);
        let mut at = Segment::begin();
        while at < length {
            let Some(frame) = reader.frame(at)? else {
                break;
            };
            self.check_frame(&file, at, frame.number)?;
            for body in &frame.bodies {
                self.take(&mut kept, at, &frame.payload, body.clone())?;
            }
            self.next_frame = frame.number + 1;
            at = frame.end;
        }
        if at < length {
            self.cut_tail(&file, at, length, is_last)?;
        }
        if at == Segment::begin() {
            return Err(file.corrupt(at, "its first frame is damaged"));
        }
        if is_last {
            // What a killed process wrote may still be in the page cache alone.
            let _synced = file.sync().map_err(LogError::io("sync", &file.path))?;
        }
        self.end = at;
        self.segments.push_back(kept);
        Ok(())
    }

    fn check_frame(&self, file: &Segment, at: u64, number: u64) -> Result<(), LogError> {
        let begins = self.segments.is_empty() && at == Segment::begin();
        if begins || number == self.next_frame {
            return Ok(());
        }
        let wanted = self.next_frame;
        Err(file.corrupt(at, &format!("frame {number} stands where {wanted} should")))
    }

    /// A frame that was never whole was acknowledged to nobody, and nothing was written behind it.
    fn cut_tail(
        &self,
        file: &Segment,
        at: u64,
        length: u64,
        is_last: bool,
    ) -> Result<(), LogError> {
        if !is_last {
            return Err(file.corrupt(at, "a damaged frame before the newest segment"));
        }
        let behind = file.read(
            at + 1,
            usize::try_from(length - at - 1).unwrap_or(usize::MAX),
        )?;
        if let Some(next) = frame::find_later(&behind, file.salt, self.next_frame) {
            let next = at + 1 + next as u64;
            let what = format!("a damaged frame, with a whole one behind it at byte {next}");
            return Err(file.corrupt(at, &what));
        }
        if at > Segment::begin() {
            tracing::info!(
                "{}: cut {} bytes of a write that the last stop interrupted",
                file.path.display(),
                length - at
            );
            file.cut(at)?;
        }
        Ok(())
    }

    fn take(
        &mut self,
        kept: &mut Kept,
        frame_at: u64,
        payload: &[u8],
        body: std::ops::Range<usize>,
    ) -> Result<(), LogError> {
        let file = &kept.segment;
        let header_at = frame_at + (FRAME_HEADER + body.start - frame::RECORD_HEADER) as u64;
        let length = body.len() + frame::RECORD_HEADER;
        match file.decode(payload.get(body).unwrap_or_default(), header_at)? {
            Record::Entry(entry) => {
                let id = entry.log_id;
                if self.index.first().is_some() && !self.index.continues(id.index) {
                    return Err(file.corrupt(header_at, &format!("entry {id} is out of order")));
                }
                let place = Place::new(file.number, header_at, length);
                self.index.found(id, place);
                kept.newest = kept.newest.max(Some(id.index));
            }
            Record::Vote(vote) => self.facts.vote = Some(vote),
            Record::Committed(id) => self.facts.committed = id,
            Record::Truncate(id) => self.index.truncate(id),
            Record::Purge(id) => self.purge(id),
            Record::Checkpoint(facts) => {
                if let Some(id) = facts.purged {
                    self.purge(id);
                }
                self.facts = facts;
            }
        }
        Ok(())
    }

    fn purge(&mut self, id: LogId) {
        self.index.purge(id);
        self.facts.purged = self.index.purged();
    }

    /// The whole is consistent: no hole after the purged part, and no commit beyond the log.
    fn check(&mut self, dir: &Path, first_segment: u32) -> Result<(), LogError> {
        let purged = self.index.purged();
        if first_segment > 1 && purged.is_none() {
            let what = format!("segments before {first_segment} are missing");
            return Err(gap(dir, what));
        }
        if let (Some(purged), Some(first)) = (purged, self.index.first())
            && first > purged.index + 1
        {
            let what = format!("entries {} to {} are missing", purged.index + 1, first - 1);
            return Err(gap(dir, what));
        }
        self.facts.committed = self.facts.committed.min(self.index.last());
        Ok(())
    }
}

/// A whole frame.
struct Frame {
    number: u64,
    payload: Vec<u8>,
    bodies: Vec<std::ops::Range<usize>>,
    end: u64,
}

/// Reads a file a window at a time.
struct Reader<'a> {
    file: &'a Segment,
    length: u64,
    window: Vec<u8>,
    window_at: u64,
}

impl<'a> Reader<'a> {
    fn new(file: &'a Segment, length: u64) -> Self {
        Self {
            file,
            length,
            window: Vec::new(),
            window_at: 0,
        }
    }

    /// The frame at `at`; `None` if there is none or it is not whole.
    fn frame(&mut self, at: u64) -> Result<Option<Frame>, LogError> {
        let salt = self.file.salt;
        let Some((length, number)) = self
            .bytes(at, FRAME_HEADER)?
            .and_then(|header| frame::header(header, salt))
        else {
            return Ok(None);
        };
        let begin = at + FRAME_HEADER as u64;
        let Some(payload) = self.bytes(begin, length)? else {
            return Ok(None);
        };
        let Some(bodies) = frame::bodies(payload, salt) else {
            return Ok(None);
        };
        Ok(Some(Frame {
            number,
            payload: payload.to_vec(),
            bodies,
            end: begin + length as u64,
        }))
    }

    /// `length` bytes at `at`; `None` if the file ends before.
    fn bytes(&mut self, at: u64, length: usize) -> Result<Option<&[u8]>, LogError> {
        if at + length as u64 > self.length {
            return Ok(None);
        }
        let window_end = self.window_at + self.window.len() as u64;
        if at < self.window_at || at + length as u64 > window_end {
            let most = usize::try_from(self.length - at).unwrap_or(usize::MAX);
            self.window = self.file.read(at, length.max(WINDOW).min(most))?;
            self.window_at = at;
        }
        let begin = (at - self.window_at) as usize;
        Ok(self.window.get(begin..begin + length))
    }
}
