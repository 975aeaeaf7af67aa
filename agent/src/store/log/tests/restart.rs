//! What a restart finds, and what an fsync is spent on.

use std::fs;

use openraft::storage::{IOFlushed, RaftLogReader, RaftLogStorage};

use super::super::LogStore;
use super::{all, append, copy_of, entry, files, hand_over, id, vote, written};

#[tokio::test]
async fn r3_an_append_is_readable_at_once_and_on_disk_when_its_callback_fires() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = LogStore::open(dir.path()).unwrap();
    let entries = vec![entry(1, 1, 10), entry(1, 2, 10)];
    let flushed = hand_over(&mut log, entries.clone()).await;
    assert_eq!(all(&mut log).await, entries);
    flushed.await.unwrap();
    assert_eq!(log.stats().syncs, 1);

    let cut_off = copy_of(dir.path());
    let mut again = LogStore::open(cut_off.path()).unwrap();
    assert_eq!(all(&mut again).await, entries);
}

#[tokio::test]
async fn r3_a_vote_is_on_disk_when_save_vote_returns() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = LogStore::open(dir.path()).unwrap();
    for term in 1..4 {
        log.save_vote(&vote(term)).await.unwrap();
        assert_eq!(log.stats().syncs, term, "each vote waits for an fsync");
        let cut_off = copy_of(dir.path());
        let mut again = LogStore::open(cut_off.path()).unwrap();
        assert_eq!(again.read_vote().await.unwrap(), Some(vote(term)));
    }
}

#[tokio::test]
async fn r3_what_is_on_disk_is_in_the_order_in_which_it_was_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = LogStore::open(dir.path()).unwrap();
    let old = (1..=9).map(|index| entry(1, index, 10)).collect();
    let first = hand_over(&mut log, old).await;
    log.truncate_after(Some(id(1, 4))).await.unwrap();
    let second = hand_over(&mut log, vec![entry(2, 5, 10)]).await;
    log.save_vote(&vote(2)).await.unwrap();

    // The vote came last, so all that was asked for before it is there too.
    let cut_off = copy_of(dir.path());
    first.await.unwrap();
    second.await.unwrap();
    for dir in [dir.path(), cut_off.path()] {
        let mut again = LogStore::open(&copy_of(dir).keep()).unwrap();
        let ids: Vec<_> = all(&mut again).await.iter().map(|e| e.log_id).collect();
        assert_eq!(ids, [id(1, 1), id(1, 2), id(1, 3), id(1, 4), id(2, 5)]);
        assert_eq!(again.read_vote().await.unwrap(), Some(vote(2)));
    }
}

#[tokio::test]
async fn a_commit_mark_survives_and_never_says_more_than_the_entries() {
    let dir = tempfile::tempdir().unwrap();
    let entries = written(dir.path(), 5).await;
    let mut log = LogStore::open(dir.path()).unwrap();
    log.save_committed(Some(id(1, 3))).await.unwrap();
    drop(log);

    let mut log = LogStore::open(dir.path()).unwrap();
    assert_eq!(log.read_committed().await.unwrap(), Some(id(1, 3)));
    // A leader knows of a commit by the others' disks before its own has the entry.
    let flushed = hand_over(&mut log, vec![entry(1, 6, 10)]).await;
    log.save_committed(Some(id(1, 6))).await.unwrap();
    drop(log);
    flushed.await.unwrap();

    let mut log = LogStore::open(dir.path()).unwrap();
    assert_eq!(log.read_committed().await.unwrap(), Some(id(1, 6)));
    log.save_committed(Some(id(1, 9))).await.unwrap();
    drop(log);
    let file = files(dir.path()).pop().unwrap();
    let whole = fs::read(&file).unwrap();
    for length in (whole.len() - 150)..=whole.len() {
        fs::write(&file, &whole[..length]).unwrap();
        let mut log = LogStore::open(dir.path()).unwrap();
        let last = log.get_log_state().await.unwrap().last_log_id;
        assert!(log.read_committed().await.unwrap() <= last);
        assert!(all(&mut log).await.len() >= entries.len() - 3);
    }
}

#[tokio::test]
async fn a_purge_deletes_whole_segments_and_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = LogStore::open(dir.path()).unwrap();
    log.save_vote(&vote(1)).await.unwrap();
    for index in 1..=200 {
        append(&mut log, vec![entry(1, index, 200_000)]).await;
    }
    let many = files(dir.path()).len();
    assert!(many >= 4, "200 entries of 200 kB need several segments");

    // Older entries are read from files, not from memory.
    assert_eq!(
        log.try_get_log_entries(3..5).await.unwrap(),
        [entry(1, 3, 200_000), entry(1, 4, 200_000)]
    );
    let some = log.limited_get_log_entries(1, 200).await.unwrap();
    assert!((1..20).contains(&some.len()), "{} entries", some.len());

    log.purge(id(1, 150)).await.unwrap();
    drop(log);
    assert!(files(dir.path()).len() < many);

    let mut log = LogStore::open(dir.path()).unwrap();
    let state = log.get_log_state().await.unwrap();
    assert_eq!(state.last_purged_log_id, Some(id(1, 150)));
    assert_eq!(state.last_log_id, Some(id(1, 200)));
    // The segment that the vote was written to is gone.
    assert_eq!(log.read_vote().await.unwrap(), Some(vote(1)));
    let kept = all(&mut log).await;
    assert_eq!(kept.first(), Some(&entry(1, 151, 200_000)));
    assert_eq!(kept.len(), 50);

    log.purge(id(1, 300)).await.unwrap();
    append(&mut log, vec![entry(3, 301, 10)]).await;
    drop(log);
    let mut log = LogStore::open(dir.path()).unwrap();
    assert_eq!(all(&mut log).await, [entry(3, 301, 10)]);
    assert_eq!(files(dir.path()).len(), 1);
}

#[tokio::test]
async fn a_truncated_entry_that_was_just_being_written_does_not_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = LogStore::open(dir.path()).unwrap();
    for round in 1..200 {
        let old = hand_over(&mut log, vec![entry(round, 1, 300_000)]).await;
        log.truncate_after(None).await.unwrap();
        append(
            &mut log,
            vec![entry(round, 1, 10), entry(round, 2, 300_000)],
        )
        .await;
        old.await.unwrap();
        assert_eq!(all(&mut log).await[0], entry(round, 1, 10));
        log.truncate_after(None).await.unwrap();
    }
}

#[tokio::test]
async fn an_append_that_leaves_a_hole_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = LogStore::open(dir.path()).unwrap();
    append(&mut log, vec![entry(1, 1, 10)]).await;
    for wrong in [
        vec![entry(1, 3, 10)],
        vec![entry(1, 2, 10), entry(1, 4, 10)],
    ] {
        let error = log.append(wrong, IOFlushed::noop()).await.unwrap_err();
        assert!(error.to_string().contains("does not continue the log"));
    }
    assert_eq!(all(&mut log).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_fsync_serves_many_waiting_writes() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = LogStore::open(dir.path()).unwrap();
    let mut waiting = Vec::new();
    for index in 1..=2_000 {
        waiting.push(hand_over(&mut log, vec![entry(1, index, 300)]).await);
    }
    for flushed in waiting {
        flushed.await.unwrap();
    }
    let stats = log.stats();
    assert_eq!(stats.entries, 2_000);
    assert!(stats.syncs <= 200, "{} fsyncs for 2000 writes", stats.syncs);
    assert!(stats.bytes > 2_000 * 300);
}
