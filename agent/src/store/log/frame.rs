//! Frames: what one fsync makes durable, as one all-or-nothing piece of bytes.
//!
//! ```text
//! frame  = length u32 | number u64 | crc u32 of the two | records, `length` bytes in all
//! record = length u32 | crc u32 of the body | body
//! ```
//!
//! Numbers are little-endian. Checksums begin with the segment's salt, so that neither a leftover
//! of another file nor a value that a client wrote can pass for a frame. Frames are numbered
//! through all segments. A frame is written only after the one before it is on disk; so a bad
//! frame with nothing behind it is a write that a crash cut off and that nobody was told of, and
//! a bad frame with a good one behind it is corruption.

use std::ops::Range;

/// Bytes before a frame's records.
pub(super) const FRAME_HEADER: usize = 16;
/// Bytes before a record's body.
pub(super) const RECORD_HEADER: usize = 8;

/// CRC-32 of `bytes` under `salt`.
pub(super) fn checksum(salt: u64, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

/// Starts a frame in `buffer`; [`seal`] completes it.
pub(super) fn begin(buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.resize(FRAME_HEADER, 0);
}

/// Adds a record and returns where in the frame it begins.
pub(super) fn push(buffer: &mut Vec<u8>, salt: u64, body: &[u8]) -> usize {
    let begin = buffer.len();
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    buffer.extend_from_slice(&length.to_le_bytes());
    buffer.extend_from_slice(&checksum(salt, body).to_le_bytes());
    buffer.extend_from_slice(body);
    begin
}

/// Writes the header of the frame in `buffer`.
pub(super) fn seal(buffer: &mut [u8], salt: u64, number: u64) {
    let length = u32::try_from(buffer.len().saturating_sub(FRAME_HEADER)).unwrap_or(u32::MAX);
    let mut header = [0u8; FRAME_HEADER];
    header[..4].copy_from_slice(&length.to_le_bytes());
    header[4..12].copy_from_slice(&number.to_le_bytes());
    let crc = checksum(salt, &header[..12]);
    header[12..].copy_from_slice(&crc.to_le_bytes());
    if let Some(room) = buffer.first_chunk_mut::<FRAME_HEADER>() {
        *room = header;
    }
}

/// The length and the number in a frame's header, if it is one.
pub(super) fn header(bytes: &[u8], salt: u64) -> Option<(usize, u64)> {
    let header = bytes.first_chunk::<FRAME_HEADER>()?;
    let length = u32_at(header, 0)?;
    let crc = u32_at(header, 12)?;
    // A frame is never empty; and this spares a checksum for each zero of an unwritten part.
    if length == 0 || checksum(salt, &header[..12]) != crc {
        return None;
    }
    let number = u64::from_le_bytes(*header[4..].first_chunk()?);
    Some((length as usize, number))
}

/// Where in `payload` the bodies of its records are; `None` if any of them is damaged.
pub(super) fn bodies(payload: &[u8], salt: u64) -> Option<Vec<Range<usize>>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < payload.len() {
        let length = u32_at(payload, at)? as usize;
        let crc = u32_at(payload, at + 4)?;
        let begin = at + RECORD_HEADER;
        let end = begin.checked_add(length)?;
        if checksum(salt, payload.get(begin..end)?) != crc {
            return None;
        }
        found.push(begin..end);
        at = end;
    }
    Some(found)
}

/// Checks a body that was read alone, with its record header before it.
pub(super) fn body_of(record: &[u8], salt: u64) -> Option<&[u8]> {
    let length = u32_at(record, 0)? as usize;
    let crc = u32_at(record, 4)?;
    let body = record.get(RECORD_HEADER..RECORD_HEADER.checked_add(length)?)?;
    (checksum(salt, body) == crc).then_some(body)
}

/// Where in `rest` the first header of a frame numbered `number` or more stands.
pub(super) fn find_later(rest: &[u8], salt: u64, number: u64) -> Option<usize> {
    (0..rest.len().saturating_sub(FRAME_HEADER - 1)).find(|at| {
        rest.get(*at..)
            .and_then(|bytes| header(bytes, salt))
            .is_some_and(|(_, found)| found >= number)
    })
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
