//! Files that a crash, a disk or another release left behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use openraft::storage::RaftLogReader;
use openraft::storage::RaftLogStorage;

use super::super::{LogError, LogStore, frame};
use super::{all, append, entry, files, id, vote, written};

/// The whole text that a person would see.
fn refusal(dir: &Path) -> String {
    match LogStore::open(dir) {
        Ok(_) => panic!("the log must be refused"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_torn_tail_is_cut_wherever_it_was_torn() {
    let dir = tempfile::tempdir().unwrap();
    let entries = written(dir.path(), 3).await;
    let file = files(dir.path()).pop().unwrap();
    let before = fs::metadata(&file).unwrap().len() as usize;
    let mut log = LogStore::open(dir.path()).unwrap();
    append(&mut log, vec![entry(1, 4, 40)]).await;
    drop(log);
    let whole = fs::read(&file).unwrap();

    for length in before..whole.len() {
        fs::write(&file, &whole[..length]).unwrap();
        let mut log = LogStore::open(dir.path()).unwrap();
        assert_eq!(all(&mut log).await, entries, "cut at byte {length}");
        assert_eq!(fs::metadata(&file).unwrap().len() as usize, before);
        append(&mut log, vec![entry(2, 4, 10)]).await;
        drop(log);
        let mut log = LogStore::open(dir.path()).unwrap();
        assert_eq!(all(&mut log).await.pop(), Some(entry(2, 4, 10)));
    }
    // Blocks reach a disk in any order: a hole in the last frame is a torn tail as well.
    for at in before..whole.len() {
        let mut torn = whole.clone();
        torn[at] ^= 0x55;
        fs::write(&file, &torn).unwrap();
        let mut log = LogStore::open(dir.path()).unwrap();
        assert_eq!(all(&mut log).await, entries, "hole at byte {at}");
    }
}

#[tokio::test]
async fn damage_in_the_middle_is_named_and_never_skipped() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 5).await;
    let file = files(dir.path()).pop().unwrap();
    let last = fs::metadata(&file).unwrap().len() as usize;
    let mut log = LogStore::open(dir.path()).unwrap();
    append(&mut log, vec![entry(1, 6, 40)]).await;
    drop(log);
    let whole = fs::read(&file).unwrap();

    for at in 0..last {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        fs::write(&file, &damaged).unwrap();
        let text = refusal(dir.path());
        assert!(text.contains(file.to_str().unwrap()), "byte {at}: {text}");
        assert!(at < 28 || text.contains("corrupt at byte"), "{at}: {text}");
        assert_eq!(fs::read(&file).unwrap(), damaged, "nothing is repaired");
    }
}

#[tokio::test]
async fn a_frame_that_is_missing_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = LogStore::open(dir.path()).unwrap();
    let file = files(dir.path()).pop().unwrap();
    let mut ends = Vec::new();
    for term in 1..4 {
        log.save_vote(&vote(term)).await.unwrap();
        ends.push(fs::metadata(&file).unwrap().len() as usize);
    }
    drop(log);
    let mut bytes = fs::read(&file).unwrap();
    bytes.drain(ends[0]..ends[1]);
    fs::write(&file, &bytes).unwrap();
    let text = refusal(dir.path());
    assert!(text.contains("frame 4 stands where 3 should"), "{text}");
}

#[tokio::test]
async fn a_value_that_looks_like_a_frame_does_not_pass_for_one() {
    let dir = tempfile::tempdir().unwrap();
    let entries = written(dir.path(), 2).await;
    let file = files(dir.path()).pop().unwrap();
    let mut forged = Vec::new();
    frame::begin(&mut forged);
    frame::push(&mut forged, 0, b"record");
    frame::seal(&mut forged, 0, 1_000);
    let mut bytes = fs::read(&file).unwrap();
    bytes.extend_from_slice(&[1, 2, 3]);
    bytes.extend_from_slice(&forged);
    fs::write(&file, &bytes).unwrap();
    let mut log = LogStore::open(dir.path()).unwrap();
    assert_eq!(all(&mut log).await, entries);
}

#[tokio::test]
async fn a_newer_version_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 2).await;
    let file = files(dir.path()).pop().unwrap();
    let mut bytes = fs::read(&file).unwrap();
    bytes[8] = 2;
    fs::write(&file, &bytes).unwrap();
    let text = refusal(dir.path());
    assert!(text.contains("has format 2"), "{text}");
    assert!(text.contains("start a newer release"), "{text}");
}

#[tokio::test]
async fn a_record_of_a_newer_release_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 1).await;
    let file = files(dir.path()).pop().unwrap();
    let bytes = fs::read(&file).unwrap();
    let salt = u64::from_le_bytes(bytes[16..24].try_into().unwrap());
    // Another kind, another version, and a known one with a variant that we don't have.
    for (record, named) in [
        ([9, 1, 0, 0], "record kind 9 version 1"),
        ([2, 3, 0, 0], "record kind 2 version 3"),
        ([3, 1, 7, 0], "record kind 3 version 1 with content unknown"),
        ([3, 1, 0, 0], "record kind 3 version 1 with content unknown"),
    ] {
        let mut next = Vec::new();
        frame::begin(&mut next);
        frame::push(&mut next, salt, &record);
        frame::seal(&mut next, salt, 3);
        fs::write(&file, [&bytes[..], &next].concat()).unwrap();
        let text = refusal(dir.path());
        assert!(text.contains(named), "{text}");
        assert!(text.contains("start a newer release"), "{text}");
    }
}

#[tokio::test]
async fn foreign_files_and_missing_segments_are_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("0000000001.raftlog"), [b'x'; 100]).unwrap();
    assert!(refusal(dir.path()).contains("its first bytes are not ours"));
    fs::write(dir.path().join("0000000001.raftlog"), b"").unwrap();
    assert!(refusal(dir.path()).contains("shorter than a header"));

    let dir = tempfile::tempdir().unwrap();
    let mut log = LogStore::open(dir.path()).unwrap();
    for index in 1..=100 {
        append(&mut log, vec![entry(1, index, 200_000)]).await;
    }
    drop(log);
    let files = files(dir.path());
    assert!(files.len() >= 3);
    let hidden = dir.path().join("hidden");
    fs::rename(&files[1], &hidden).unwrap();
    assert!(refusal(dir.path()).contains("segment 2 is missing before segment 3"));
    fs::rename(&hidden, &files[1]).unwrap();
    fs::rename(&files[0], &hidden).unwrap();
    assert!(refusal(dir.path()).contains("segments before 2 are missing"));
}

#[tokio::test]
async fn only_the_owner_can_read_the_log() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("raft/log");
    written(&dir, 1).await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(&files(&dir)[0]), 0o600);
}

#[tokio::test]
async fn an_entry_that_rots_while_the_log_is_open_is_an_error_not_a_wrong_answer() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 3).await;
    let file = files(dir.path()).pop().unwrap();
    let mut log = LogStore::open(dir.path()).unwrap();
    let mut bytes = fs::read(&file).unwrap();
    let end = bytes.len() - 3;
    bytes[end] ^= 1;
    fs::write(&file, &bytes).unwrap();
    let error = log.try_get_log_entries(3..4).await.unwrap_err();
    let inner = error.into_inner().unwrap();
    assert!(matches!(
        inner.downcast_ref::<LogError>(),
        Some(LogError::Corrupt { .. })
    ));
}

/// A folder as release 0.1 wrote it: a vote, entries 1 to 4 of term 1, a truncation after 2,
/// entry 3 of term 2, a commit mark at 2 and a purge of 1.
#[tokio::test]
async fn a_log_of_format_1_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("0000000001.raftlog");
    fs::write(&file, include_bytes!("format-1.raftlog")).unwrap();
    let mut log = LogStore::open(dir.path()).unwrap();
    assert_eq!(all(&mut log).await, [entry(1, 2, 20), entry(2, 3, 20)]);
    assert_eq!(log.read_vote().await.unwrap(), Some(vote(2)));
    assert_eq!(log.read_committed().await.unwrap(), Some(id(1, 2)));
    let state = log.get_log_state().await.unwrap();
    assert_eq!(state.last_purged_log_id, Some(id(1, 1)));
}
