//! The lossy disk itself: a program that syncs loses nothing at a crash, one that does not loses.

use std::fs;
use std::io::{BufRead, BufReader};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::disk::{self, LossyDisk};
use harness::process::{self, Process};
use harness::{needs, wait};

/// A program that appends lines and says each one once it is written: in Python, since it must be a
/// process of its own. The second argument says whether it syncs.
const SCRIBE: &str = r#"
import os, sys
path, syncs = sys.argv[1], sys.argv[2] == "sync"
folder = os.open(os.path.dirname(path), os.O_RDONLY)
file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
if syncs: os.fsync(folder)
for number in range(1000000):
    os.write(file, b"%d\n" % number)
    if syncs: os.fdatasync(file)
    print(number, flush=True)
"#;

/// Lets the scribe write, kills it, crashes the disk; gives the last line that it said, and the lines
/// that are there.
fn crash_under_a_scribe(disk: &LossyDisk, how: &str) -> Result<(usize, usize)> {
    let path = disk.path().join("lines");
    let mut command = process::mortal("python3");
    command.args(["-c", SCRIBE]).arg(&path).arg(how);
    let mut scribe = Process::spawn_piped("scribe", command)?;
    let said = scribe.child().stdout.take().context("no output")?;
    let mut lines = BufReader::new(said).lines();
    let mut last = 0;
    while last < 300 {
        last = lines.next().context("the scribe stopped")??.parse()?;
    }
    scribe.kill()?;
    for line in lines {
        last = line?.parse()?;
    }
    let lost = disk.crash();
    eprintln!("    {how}: it said {last}; the crash took {lost:?}");
    let found = fs::read_to_string(&path).unwrap_or_default();
    Ok((last, found.lines().count()))
}

#[test]
fn what_was_synced_survives_a_crash_and_the_rest_does_not() -> Result<()> {
    let test = "what_was_synced_survives_a_crash_and_the_rest_does_not";
    if !needs::met(
        test,
        &[disk::NEEDS, &[needs::Need::Program("python3")]].concat(),
    ) {
        return Ok(());
    }
    let folder = tempfile::TempDir::new()?;
    let disk = LossyDisk::mount(&folder.path().join("careful"))?;
    let (said, found) = crash_under_a_scribe(&disk, "sync")?;
    ensure!(
        found > said,
        "it said line {said}, but only {found} lines are there"
    );

    let disk = LossyDisk::mount(&folder.path().join("careless"))?;
    let (said, found) = crash_under_a_scribe(&disk, "nosync")?;
    ensure!(
        found == 0,
        "it synced nothing and said line {said}, and {found} lines are there"
    );
    Ok(())
}

#[test]
fn it_is_a_file_system_like_others() -> Result<()> {
    if !needs::met("it_is_a_file_system_like_others", disk::NEEDS) {
        return Ok(());
    }
    let folder = tempfile::TempDir::new()?;
    let disk = LossyDisk::mount(&folder.path().join("disk"))?;
    let at = |name: &str| disk.path().join(name);
    fs::create_dir_all(at("a/b"))?;
    fs::write(at("a/b/big"), vec![7; 3_000_000])?;
    fs::rename(at("a/b/big"), at("a/moved"))?;
    std::os::unix::fs::symlink("a/moved", at("link"))?;
    ensure!(
        fs::read(at("link"))? == vec![7; 3_000_000],
        "it does not read back what was written"
    );
    fs::remove_dir(at("a/b"))?;
    let mut names: Vec<_> = fs::read_dir(at("a"))?
        .map(|e| Ok(e?.file_name()))
        .collect::<Result<_>>()?;
    names.sort();
    ensure!(names == ["moved"], "the folder has {names:?}");

    disk.set_capacity(Some(disk.used() + 100));
    let full = fs::write(at("more"), [1; 101]);
    let code = full.err().and_then(|error| error.raw_os_error());
    ensure!(
        code == Some(28),
        "a full disk must say ENOSPC (28), it said {code:?}"
    );

    let path = disk.path().to_owned();
    drop(disk);
    wait::for_fact("the disk is unmounted", Duration::from_secs(5), || {
        let mounts = fs::read_to_string("/proc/mounts")?;
        ensure!(
            !mounts.contains(&path.display().to_string()),
            "it is in /proc/mounts"
        );
        Ok(())
    })
}
