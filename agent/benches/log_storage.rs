//! How fast the raft log takes entries: waiting writers with entries of about 300 bytes.
//! `cargo bench -p swarmer-agent --bench log_storage [-- DIR]`; DIR must be on a real disk.
//!
//! Prints fsyncs and entries a second, bytes given to the disk for a byte of payload, and the
//! time in which a log of 100,000 entries opens. `docs/decisions/0001-log-storage.md` has the
//! figures that the choice was made by.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use openraft::EntryPayload;
use openraft::storage::{IOFlushed, RaftLogReader, RaftLogStorage};
use openraft::type_config::TypeConfigExt;
use openraft::vote::RaftLeaderIdExt;
use swarmer::model::{ClusterTime, Command, KvOp, NodeId, Op};
use swarmer::store::log::LogStore;
use swarmer::store::raft_types::{Entry, LogId, TypeConfig};
use tokio::sync::Mutex;

const VALUE: usize = 256;
const SPAN: Duration = Duration::from_secs(3);

type LeaderId = <TypeConfig as openraft::RaftTypeConfig>::LeaderId;

fn entry(index: u64) -> Entry {
    let leader = LeaderId::new_committed(1, NodeId::from_u128(7));
    Entry {
        log_id: LogId::new(leader, index),
        payload: EntryPayload::Normal(Command {
            request: None,
            time: ClusterTime(index),
            op: Op::Kv(KvOp::Put {
                key: format!("bench/{index:012}"),
                value: Bytes::from(vec![index as u8; VALUE]),
                flags: 0,
                cas: None,
            }),
        }),
    }
}

/// Like openraft's core: one caller, appends one after another without waiting for the disk.
async fn append(log: &Mutex<(LogStore, u64)>) {
    let (done, flushed) = TypeConfig::oneshot();
    {
        let mut log = log.lock().await;
        log.1 += 1;
        let entry = entry(log.1);
        log.0
            .append([entry], IOFlushed::signal(done))
            .await
            .unwrap();
    }
    flushed.await.unwrap().unwrap();
}

/// A line such as `VmRSS:  123 kB` of a file about this process.
fn of_this_process(file: &str, label: &str) -> u64 {
    let text = std::fs::read_to_string(Path::new("/proc/self").join(file)).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(label));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    number.unwrap().parse().unwrap()
}

async fn write(dir: &Path, writers: usize) {
    let log = Arc::new(Mutex::new((LogStore::open(dir).unwrap(), 0)));
    let before = of_this_process("io", "write_bytes:");
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..writers {
        let log = Arc::clone(&log);
        tasks.spawn(async move {
            while start.elapsed() < SPAN {
                append(&log).await;
            }
        });
    }
    tasks.join_all().await;
    let seconds = start.elapsed().as_secs_f64();
    let stats = log.lock().await.0.stats();
    let written = of_this_process("io", "write_bytes:") - before;
    println!(
        "{writers:3} writers: {:7.0} fsyncs/s {:8.0} entries/s, {:5.2} bytes to the disk for one of payload, {} MiB resident",
        stats.syncs as f64 / seconds,
        stats.entries as f64 / seconds,
        written as f64 / (stats.entries * VALUE as u64) as f64,
        of_this_process("status", "VmRSS:") / 1024,
    );
}

async fn reopen(dir: &Path) {
    let mut log = LogStore::open(dir).unwrap();
    for first in (1..=100_000).step_by(64) {
        let (done, flushed) = TypeConfig::oneshot();
        let entries: Vec<_> = (first..first + 64).map(entry).collect();
        log.append(entries, IOFlushed::signal(done)).await.unwrap();
        flushed.await.unwrap().unwrap();
    }
    drop(log);
    let start = Instant::now();
    let mut log = LogStore::open(dir).unwrap();
    let opened = start.elapsed();
    let entries = log.try_get_log_entries(..).await.unwrap().len();
    println!(
        "{entries} entries: opened in {opened:.0?}, read in {:.0?}",
        start.elapsed() - opened
    );
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // Cargo adds `--bench`.
    let root = std::env::args().skip(1).find(|arg| !arg.starts_with("--"));
    let root = PathBuf::from(root.unwrap_or_else(|| env!("CARGO_TARGET_TMPDIR").to_owned()));
    let dir = root.join(format!("log-storage-{}", std::process::id()));
    for writers in [1, 64, 256] {
        write(&dir.join(format!("with-{writers}")), writers).await;
    }
    reopen(&dir.join("reopened")).await;
    std::fs::remove_dir_all(&dir).unwrap();
}
