//! The log's promises, each tried.

mod crash;
mod damage;
mod full_disk;
mod restart;
mod suite;

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use openraft::EntryPayload;
use openraft::storage::{IOFlushed, RaftLogReader, RaftLogStorage};
use openraft::type_config::TypeConfigExt;
use openraft::vote::RaftLeaderIdExt;

use super::super::raft_types::{Entry, LogId, TypeConfig, Vote};
use super::LogStore;
use crate::model::{ClusterTime, Command, KvOp, NodeId, Op};

type LeaderId = <TypeConfig as openraft::RaftTypeConfig>::LeaderId;

fn node() -> NodeId {
    NodeId::from_u128(7)
}

pub(super) fn id(term: u64, index: u64) -> LogId {
    LogId::new(LeaderId::new_committed(term, node()), index)
}

fn vote(term: u64) -> Vote {
    Vote::new(term, node())
}

/// An entry whose value tells its term and index.
pub(super) fn entry(term: u64, index: u64, size: usize) -> Entry {
    let mut value = format!("{term}/{index}/").into_bytes();
    value.resize(size.max(value.len()), b'.');
    Entry {
        log_id: id(term, index),
        payload: EntryPayload::Normal(Command {
            request: None,
            time: ClusterTime(index),
            op: Op::Kv(KvOp::Put {
                key: format!("key/{index}"),
                value: Bytes::from(value),
                flags: 0,
                cas: None,
            }),
        }),
    }
}

/// Hands `entries` over without waiting; the future tells when they are on disk.
async fn hand_over(
    log: &mut LogStore,
    entries: Vec<Entry>,
) -> impl Future<Output = std::io::Result<()>> + use<> {
    let (done, flushed) = TypeConfig::oneshot();
    log.append(entries, IOFlushed::signal(done)).await.unwrap();
    async { flushed.await.unwrap() }
}

/// Appends and waits until the entries are on disk.
async fn append(log: &mut LogStore, entries: Vec<Entry>) {
    let flushed = hand_over(log, entries).await;
    flushed.await.unwrap();
}

async fn all(log: &mut LogStore) -> Vec<Entry> {
    log.try_get_log_entries(..).await.unwrap()
}

/// A log of entries 1 to `count` in one folder, closed.
async fn written(dir: &Path, count: u64) -> Vec<Entry> {
    let mut log = LogStore::open(dir).unwrap();
    for index in 1..=count {
        append(&mut log, vec![entry(1, index, 40)]).await;
    }
    all(&mut log).await
}

/// What a power cut at this moment would leave, as far as the page cache tells.
fn copy_of(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in files(dir) {
        fs::copy(&file, copy.path().join(file.file_name().unwrap())).unwrap();
    }
    copy
}

/// The files of the log, oldest first.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|item| item.unwrap().path())
        .collect();
    files.sort();
    files
}
