//! A disk that fills up: a small tmpfs in a mount namespace of its own.

use std::path::Path;
use std::process::{Command, Output};

use openraft::storage::RaftLogStorage;

use super::super::LogStore;
use super::{all, append, entry};

const DIR: &str = "SWARMER_TEST_FULL_DIR";
const CHECK: &str = "SWARMER_TEST_FULL_CHECK";
const VICTIM: &str = "store::log::tests::full_disk::writes_until_the_disk_is_full";

/// First the victim fills the disk, then there is room, and it looks at what it finds.
const SCRIPT: &str = r#"
mount -t tmpfs -o size=256k tmpfs "$SWARMER_TEST_FULL_DIR" || exit 99
"$1" --exact --nocapture "$2" && exit 98
mount -o remount,size=64m "$SWARMER_TEST_FULL_DIR"
SWARMER_TEST_FULL_CHECK=1 "$1" --exact --nocapture "$2"
"#;

/// Not a test of its own: what the victim does.
#[tokio::test]
async fn writes_until_the_disk_is_full() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let dir = Path::new(&dir);
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let mut log = LogStore::open(&dir.join("log")).unwrap();
    if std::env::var_os(CHECK).is_some() {
        let acked: u64 = std::fs::read_to_string(dir.join("acked"))
            .unwrap()
            .trim_end_matches('.')
            .parse()
            .unwrap();
        let found = all(&mut log).await;
        assert!(acked > 50 && found.len() as u64 >= acked);
        let last = log.get_log_state().await.unwrap().last_log_id;
        append(&mut log, vec![entry(1, last.unwrap().index + 1, 1_000)]).await;
        return;
    }
    // Written over in place, so that it needs no room of its own.
    std::fs::write(dir.join("acked"), "0........").unwrap();
    for index in 1.. {
        append(&mut log, vec![entry(1, index, 1_000)]).await;
        std::fs::write(dir.join("acked"), format!("{index:.<9}")).unwrap();
    }
}

fn run(dir: &Path) -> std::io::Result<Output> {
    Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", SCRIPT])
        .arg("sh")
        .arg(std::env::current_exe()?)
        .arg(VICTIM)
        .env(DIR, dir)
        .output()
}

#[test]
fn a_full_disk_ends_the_process_with_one_clear_line_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let output = match run(dir.path()) {
        Ok(output) if output.status.code() != Some(99) => output,
        other => {
            eprintln!("skipped: no mount namespace here ({other:?})");
            return;
        }
    };
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let lines: Vec<_> = text.lines().filter(|l| l.contains("ERROR")).collect();
    assert_eq!(lines.len(), 1, "{text}");
    assert!(lines[0].contains("No space left on device"), "{text}");
    assert!(lines[0].contains(".raftlog"), "{text}");
    assert!(!text.contains("panicked"), "{text}");
}
