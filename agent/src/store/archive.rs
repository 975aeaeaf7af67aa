//! Snapshots for people: Consul's envelope (gzip, tar, `meta.json`, `state.bin`, `SHA256SUMS`;
//! <https://developer.hashicorp.com/consul/api-docs/snapshot>) around our own content.

use std::fmt::Write as _;
use std::io::Read as _;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::model::Saved;

const META: &str = "meta.json";
const STATE: &str = "state.bin";
const SUMS: &str = "SHA256SUMS";
const MAGIC: &[u8] = b"swarmer-state 1\n";
/// What an archive may unpack to.
const MAX: u64 = 512 * 1024 * 1024;

/// Why an archive is of no use.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Not gzip, not tar, or cut.
    #[error("the snapshot can't be unpacked: {0}")]
    Unpack(#[from] std::io::Error),
    /// A part is missing or one too many is there.
    #[error("the snapshot has no {0}, or more in it than belongs there")]
    Parts(&'static str),
    /// Damaged.
    #[error("the snapshot is damaged: the checksum of {0} does not fit")]
    Checksum(&'static str),
    /// Consul's own, or a newer one of ours.
    #[error("the snapshot's state was not written by this version of swarmer")]
    Foreign,
    /// The content.
    #[error("the snapshot's state can't be read: {0}")]
    Content(#[from] postcard::Error),
}

/// What `meta.json` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Meta {
    /// Of the envelope.
    pub version: u32,
    /// Names the snapshot.
    #[serde(rename = "ID")]
    pub id: String,
    /// The raft index that it reaches to.
    pub index: u64,
    /// The term of that index's leader.
    pub term: u64,
    /// Length of `state.bin`.
    pub size: u64,
}

/// Packs what is saved.
pub fn pack(saved: &Saved, index: u64, term: u64) -> Result<Vec<u8>, ArchiveError> {
    let state = postcard::to_extend(saved, MAGIC.to_vec())?;
    let meta = Meta {
        version: 1,
        id: format!("{term}-{index}"),
        index,
        term,
        size: state.len() as u64,
    };
    let meta = serde_json::to_vec_pretty(&meta).map_err(std::io::Error::other)?;
    let sums = format!("{}  {META}\n{}  {STATE}\n", hex(&meta), hex(&state));
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (name, bytes) in [
        (META, &meta[..]),
        (STATE, &state[..]),
        (SUMS, sums.as_bytes()),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        tar.append_data(&mut header, name, bytes)?;
    }
    Ok(tar.into_inner()?.finish()?)
}

/// Checks an archive and unpacks it.
pub fn unpack(archive: &[u8]) -> Result<(Meta, Saved), ArchiveError> {
    let mut parts: [(&'static str, Option<Vec<u8>>); 3] =
        [(META, None), (STATE, None), (SUMS, None)];
    let mut tar = tar::Archive::new(GzDecoder::new(archive).take(MAX));
    for entry in tar.entries()? {
        let mut entry = entry?;
        let name = entry.path()?.to_string_lossy().into_owned();
        let part = parts
            .iter_mut()
            .find(|(known, bytes)| *known == name && bytes.is_none());
        let (_, place) = part.ok_or(ArchiveError::Parts("known part"))?;
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        *place = Some(bytes);
    }
    let [(_, meta), (_, state), (_, sums)] = parts;
    let meta = meta.ok_or(ArchiveError::Parts(META))?;
    let state = state.ok_or(ArchiveError::Parts(STATE))?;
    let sums = String::from_utf8(sums.ok_or(ArchiveError::Parts(SUMS))?)
        .map_err(|_| ArchiveError::Checksum(SUMS))?;
    for (name, bytes) in [(META, &meta), (STATE, &state)] {
        let line = format!("{}  {name}", hex(bytes));
        if !sums.lines().any(|found| found == line) {
            return Err(ArchiveError::Checksum(name));
        }
    }
    let meta = serde_json::from_slice(&meta).map_err(|_| ArchiveError::Foreign)?;
    let content = state.strip_prefix(MAGIC).ok_or(ArchiveError::Foreign)?;
    Ok((meta, postcard::from_bytes(content)?))
}

fn hex(bytes: &[u8]) -> String {
    digest(&SHA256, bytes)
        .as_ref()
        .iter()
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::KvEntry;

    fn saved() -> Saved {
        let entry = KvEntry {
            key: "a/b".into(),
            value: bytes::Bytes::from_static(b"value"),
            flags: u64::MAX,
            session: None,
            lock_index: 0,
            create_index: 3,
            modify_index: 4,
        };
        Saved {
            entries: vec![entry],
            registrations: Vec::new(),
        }
    }

    #[test]
    fn a_snapshot_unpacks_to_what_was_packed() {
        let archive = pack(&saved(), 7, 2).unwrap();
        let (meta, found) = unpack(&archive).unwrap();
        assert_eq!((meta.index, meta.term, found), (7, 2, saved()));
    }

    #[test]
    fn a_damaged_or_foreign_snapshot_is_refused() {
        let archive = pack(&saved(), 7, 2).unwrap();
        for at in 20..archive.len() {
            let mut damaged = archive.clone();
            damaged[at] ^= 0x10;
            // The last bytes are gzip's own checksum and tar's padding.
            if let Ok((meta, found)) = unpack(&damaged) {
                assert_eq!((meta.index, found), (7, saved()), "byte {at}");
            }
        }
        assert!(unpack(&archive[..archive.len() / 2]).is_err());
        assert!(unpack(b"not a snapshot").is_err());
    }
}
