//! What one record of the log says, and how it is spelled.
//!
//! A record's body is its kind, its version and its content in postcard's encoding.

use serde::{Deserialize, Serialize};

use super::{Entry, LogId, Vote};

const ENTRY: u8 = 1;
const VOTE: u8 = 2;
const COMMITTED: u8 = 3;
const TRUNCATE: u8 = 4;
const PURGE: u8 = 5;
const CHECKPOINT: u8 = 6;

/// The version of all kinds. A [`Command`](crate::model::Command) is part of an entry's encoding,
/// and postcard names variants by their position: new ones go to the end of their enum. When an encoding changes, its kind gets the next number and
/// [`Record::decode`] goes on reading the old one.
const VERSION: u8 = 1;

/// One thing that happened to the log.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Record {
    /// An entry was appended.
    Entry(Entry),
    /// A vote was given.
    Vote(Vote),
    /// Entries up to this one are known to be committed.
    Committed(Option<LogId>),
    /// All entries after this one went; `None`: all.
    Truncate(Option<LogId>),
    /// All entries up to this one went.
    Purge(LogId),
    /// What earlier segments said, so that they can be deleted.
    Checkpoint(Checkpoint),
}

/// The log's standing facts, repeated at the beginning of each segment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    /// The last vote.
    pub(super) vote: Option<Vote>,
    /// The last known commit.
    pub(super) committed: Option<LogId>,
    /// The last purge.
    pub(super) purged: Option<LogId>,
}

/// Why a record, whose checksum is right, can't be read.
#[derive(Debug)]
pub(super) enum DecodeError {
    /// A kind or a version that this release does not know.
    Unknown { kind: u8, version: u8 },
    /// Postcard's complaint. The checksum is right, so a later release meant something by it.
    Unreadable {
        kind: u8,
        version: u8,
        error: postcard::Error,
    },
    /// It has no body.
    Empty,
}

impl Record {
    /// The record's body.
    pub(super) fn encode(&self) -> Result<Vec<u8>, postcard::Error> {
        match self {
            Self::Entry(entry) => encode(ENTRY, entry),
            Self::Vote(vote) => encode(VOTE, vote),
            Self::Committed(id) => encode(COMMITTED, id),
            Self::Truncate(id) => encode(TRUNCATE, id),
            Self::Purge(id) => encode(PURGE, id),
            Self::Checkpoint(facts) => encode(CHECKPOINT, facts),
        }
    }

    /// Reads a record's body.
    pub(super) fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let [kind, version, content @ ..] = body else {
            return Err(DecodeError::Empty);
        };
        let (kind, version) = (*kind, *version);
        let read = match (kind, version) {
            (ENTRY, VERSION) => whole(content).map(Self::Entry),
            (VOTE, VERSION) => whole(content).map(Self::Vote),
            (COMMITTED, VERSION) => whole(content).map(Self::Committed),
            (TRUNCATE, VERSION) => whole(content).map(Self::Truncate),
            (PURGE, VERSION) => whole(content).map(Self::Purge),
            (CHECKPOINT, VERSION) => whole(content).map(Self::Checkpoint),
            _ => return Err(DecodeError::Unknown { kind, version }),
        };
        read.map_err(|error| DecodeError::Unreadable {
            kind,
            version,
            error,
        })
    }
}

/// Decodes all of `content`, not just its beginning.
fn whole<'a, T: Deserialize<'a>>(content: &'a [u8]) -> Result<T, postcard::Error> {
    match postcard::take_from_bytes(content)? {
        (read, []) => Ok(read),
        _ => Err(postcard::Error::SerdeDeCustom),
    }
}

/// An entry's record, without owning the entry.
pub(super) fn encode_entry(entry: &Entry) -> Result<Vec<u8>, postcard::Error> {
    encode(ENTRY, entry)
}

fn encode<T: Serialize>(kind: u8, content: &T) -> Result<Vec<u8>, postcard::Error> {
    postcard::to_extend(content, vec![kind, VERSION])
}
