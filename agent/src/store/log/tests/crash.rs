//! `kill -9` of a process in mid-write: the test program starts itself as the victim.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use openraft::storage::{RaftLogReader, RaftLogStorage};

use super::super::LogStore;
use super::{all, entry, hand_over, vote};

/// Tells the test program that it is the victim, and where its log is.
const DIR: &str = "SWARMER_TEST_LOG_DIR";
/// How many appends the victim has under way.
const UNDER_WAY: u64 = 64;

pub(super) fn this_program(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--nocapture", test]);
    command
}

fn victim(dir: &Path) -> Child {
    this_program("store::log::tests::crash::writes_until_it_is_killed")
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn size(index: u64) -> usize {
    // Mostly small, now and then large: frames of many shapes.
    match index % 50 {
        0 => 100_000,
        other => (other * 37) as usize,
    }
}

/// Not a test of its own: what the victim does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_until_it_is_killed() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let mut log = LogStore::open(Path::new(&dir)).unwrap();
    let last = log.get_log_state().await.unwrap().last_log_id;
    let mut index = last.map_or(0, |id| id.index);
    let mut under_way = std::collections::VecDeque::new();
    loop {
        while (under_way.len() as u64) < UNDER_WAY {
            index += 1;
            let flushed = hand_over(&mut log, vec![entry(1, index, size(index))]).await;
            under_way.push_back((index, flushed));
        }
        if index % 500 == 0 {
            log.save_vote(&vote(index)).await.unwrap();
            tell("voted", index);
        }
        if let Some((index, flushed)) = under_way.pop_front() {
            flushed.await.unwrap();
            tell("acked", index);
        }
    }
}

fn tell(what: &str, number: u64) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{what} {number}").unwrap();
    out.flush().unwrap();
}

#[tokio::test]
async fn r3_nothing_that_was_called_back_is_lost_by_kill_9_in_mid_write() {
    let dir = tempfile::tempdir().unwrap();
    let mut acked = 0;
    let mut voted = 0;
    for lines in [1, 70, 333, 1_500, 2_100, 40] {
        let mut child = victim(dir.path());
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut note = |line: String| match line.split_once(' ') {
            Some(("acked", number)) => acked = number.parse().unwrap(),
            Some(("voted", number)) => voted = number.parse().unwrap(),
            _ => {}
        };
        for line in output.by_ref().take(lines * 2) {
            note(line.unwrap());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it still said before it died counts as well; its last line may be half a line.
        let mut rest: Vec<_> = output.map_while(Result::ok).collect();
        rest.pop();
        rest.into_iter().for_each(&mut note);

        let mut log = LogStore::open(dir.path()).unwrap();
        let found = all(&mut log).await;
        assert!(found.len() as u64 >= acked, "{} < {acked}", found.len());
        for (index, found) in (1..).zip(&found) {
            assert_eq!(*found, entry(1, index, size(index)));
        }
        let vote_found = log.read_vote().await.unwrap();
        assert!(voted == 0 || vote_found >= Some(vote(voted)));
    }
    assert!(acked > 1_000, "only {acked} writes: too few to tell");
}
