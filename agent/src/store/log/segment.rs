//! One file of the log: a header with magic, version, number and salt, then frames.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::frame;
use super::record::{Checkpoint, DecodeError, Record};
use super::{Entry, LogError};

const MAGIC: &[u8; 8] = b"swrmlog\0";
/// The version of headers and frames. Records have their own.
const VERSION: u32 = 1;
/// Magic 8, version 4, number 4, salt 8, crc 4.
const HEADER: usize = 28;
const SUFFIX: &str = ".raftlog";
/// A segment that is being made: complete only once renamed.
const UNFINISHED: &str = "segment.new";

/// A segment's file, readable by many.
#[derive(Debug)]
pub(super) struct Segment {
    /// 1, 2, 3, …
    pub(super) number: u32,
    /// Goes into every checksum of the file.
    pub(super) salt: u64,
    /// Where it is.
    pub(super) path: PathBuf,
    file: File,
}

/// Proof that an fsync succeeded: whoever tells others that something is durable must show it.
#[must_use]
pub(super) struct Synced(());

/// Where an entry's record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The segment's number.
    pub(super) segment: u32,
    /// The record header's offset in the file.
    pub(super) offset: u32,
    /// Header and body, in bytes.
    pub(super) length: u32,
}

impl Place {
    /// Files stay far below 4 GiB: see the writer's limits.
    pub(super) fn new(segment: u32, offset: u64, length: usize) -> Self {
        Self {
            segment,
            offset: u32::try_from(offset).unwrap_or(u32::MAX),
            length: u32::try_from(length).unwrap_or(u32::MAX),
        }
    }
}

impl Segment {
    /// The numbers of the segments in `dir`, smallest first. Removes what a crash left half made.
    pub(super) fn list(dir: &Path) -> Result<Vec<u32>, LogError> {
        match fs::remove_file(dir.join(UNFINISHED)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(LogError::io("remove", &dir.join(UNFINISHED))(error));
            }
            _ => {}
        }
        let mut numbers = Vec::new();
        for item in fs::read_dir(dir).map_err(LogError::io("list", dir))? {
            let name = item.map_err(LogError::io("list", dir))?.file_name();
            let number = name
                .to_str()
                .and_then(|name| name.strip_suffix(SUFFIX))
                .and_then(|digits| digits.parse::<u32>().ok());
            numbers.extend(number);
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Makes segment `number`, whose first frame repeats what earlier segments said. On disk when
    /// it returns, with the length that it has then.
    pub(super) fn create(
        dir: &Path,
        number: u32,
        frame: u64,
        facts: &Checkpoint,
    ) -> Result<(Arc<Self>, u64), LogError> {
        let salt = uuid::Uuid::new_v4().as_u64_pair().1;
        let bytes = first_bytes(number, salt, frame, facts);
        let new = dir.join(UNFINISHED);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)
            .map_err(LogError::io("create", &new))?;
        file.write_all_at(&bytes, 0)
            .and_then(|()| file.sync_all())
            .map_err(LogError::io("write", &new))?;
        let path = path_of(dir, number);
        fs::rename(&new, &path).map_err(LogError::io("create", &path))?;
        sync_dir(dir)?;
        let segment = Self {
            number,
            salt,
            path,
            file,
        };
        Ok((Arc::new(segment), bytes.len() as u64))
    }

    /// Opens segment `number` and checks its header.
    pub(super) fn open(dir: &Path, number: u32) -> Result<Self, LogError> {
        let path = path_of(dir, number);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(LogError::io("open", &path))?;
        let mut header = [0u8; HEADER];
        let wrong = |what| LogError::NotASegment {
            path: path.clone(),
            what,
        };
        file.read_exact(&mut header)
            .map_err(|_| wrong("it is shorter than a header"))?;
        let (magic, rest) = header.split_at(8);
        if magic != MAGIC {
            return Err(wrong("its first bytes are not ours"));
        }
        let word = |at: usize| rest.get(at..).and_then(|b| b.first_chunk().copied());
        let version = u32::from_le_bytes(word(0).unwrap_or_default());
        if version > VERSION {
            return Err(LogError::Newer {
                path,
                offset: 8,
                found: version.to_string(),
                known: VERSION.to_string(),
            });
        }
        let crc = u32::from_le_bytes(word(16).unwrap_or_default());
        if frame::checksum(0, &header[..HEADER - 4]) != crc {
            return Err(wrong("its header's checksum is wrong"));
        }
        if u32::from_le_bytes(word(4).unwrap_or_default()) != number {
            return Err(wrong("its name and its header differ"));
        }
        let low = u64::from(u32::from_le_bytes(word(8).unwrap_or_default()));
        let high = u64::from(u32::from_le_bytes(word(12).unwrap_or_default()));
        Ok(Self {
            number,
            salt: low | high << 32,
            path,
            file,
        })
    }

    /// Where the first frame begins.
    pub(super) const fn begin() -> u64 {
        HEADER as u64
    }

    /// The file's length in bytes.
    pub(super) fn length(&self) -> Result<u64, LogError> {
        let data = self.file.metadata();
        Ok(data.map_err(LogError::io("look at", &self.path))?.len())
    }

    /// Reads `length` bytes.
    pub(super) fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, LogError> {
        let mut bytes = vec![0; length];
        self.file
            .read_exact_at(&mut bytes, offset)
            .map_err(LogError::io("read", &self.path))?;
        Ok(bytes)
    }

    /// Reads the entry whose record is at `place`.
    pub(super) fn read_entry(&self, place: Place) -> Result<Entry, LogError> {
        let offset = u64::from(place.offset);
        let record = self.read(offset, place.length as usize)?;
        let body = frame::body_of(&record, self.salt)
            .ok_or_else(|| self.corrupt(offset, "an entry's checksum is wrong"))?;
        match self.decode(body, offset)? {
            Record::Entry(entry) => Ok(entry),
            _ => Err(self.corrupt(offset, "another record stands where an entry was")),
        }
    }

    /// Reads a record's body, whose checksum is right, and that stands at `offset`.
    pub(super) fn decode(&self, body: &[u8], offset: u64) -> Result<Record, LogError> {
        let newer = |found| LogError::Newer {
            path: self.path.clone(),
            offset,
            found,
            known: "record kinds 1 to 6, version 1".to_owned(),
        };
        Record::decode(body).map_err(|error| match error {
            DecodeError::Unknown { kind, version } => {
                newer(format!("record kind {kind} version {version}"))
            }
            DecodeError::Unreadable {
                kind,
                version,
                error,
            } => newer(format!(
                "record kind {kind} version {version} with content unknown here ({error})"
            )),
            DecodeError::Empty => self.corrupt(offset, "a record without a body"),
        })
    }

    /// The error for damage at `offset`.
    pub(super) fn corrupt(&self, offset: u64, what: &str) -> LogError {
        LogError::Corrupt {
            path: self.path.clone(),
            offset,
            what: what.to_owned(),
        }
    }

    /// Writes at `offset`; not on disk before [`Self::sync`].
    pub(super) fn write(&self, bytes: &[u8], offset: u64) -> std::io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    /// Brings what was written to the disk.
    pub(super) fn sync(&self) -> std::io::Result<Synced> {
        self.file.sync_data().map(|()| Synced(()))
    }

    /// Cuts the file at `length`, durably.
    pub(super) fn cut(&self, length: u64) -> Result<(), LogError> {
        self.file
            .set_len(length)
            .and_then(|()| self.file.sync_all())
            .map_err(LogError::io("cut", &self.path))
    }

    /// Deletes the file. Those who still read it go on.
    pub(super) fn delete(&self) -> std::io::Result<()> {
        fs::remove_file(&self.path)
    }
}

/// Makes the names in `dir` durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), LogError> {
    File::open(dir)
        .and_then(|folder| folder.sync_all())
        .map_err(LogError::io("sync", dir))
}

fn path_of(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:010}{SUFFIX}"))
}

fn first_bytes(number: u32, salt: u64, frame_number: u64, facts: &Checkpoint) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes.extend_from_slice(&salt.to_le_bytes());
    let crc = frame::checksum(0, &bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    let mut first = Vec::new();
    frame::begin(&mut first);
    // Postcard can't fail on these plain facts; an empty body would be refused on reading.
    let body = Record::Checkpoint(facts.clone())
        .encode()
        .unwrap_or_default();
    frame::push(&mut first, salt, &body);
    frame::seal(&mut first, salt, frame_number);
    bytes.extend_from_slice(&first);
    bytes
}
