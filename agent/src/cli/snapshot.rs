//! `swarmer snapshot`. What was saved is read back and checked before it counts.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use serde_json::json;

use super::connect::{self, Connect};
use super::failure::Failure;
use super::output;
use crate::client::Request;
use crate::model::Saved;
use crate::store::archive::{self, Meta};

const PATH: &str = "/v1/snapshot";
/// A large state takes its time to be packed and sent.
const PATIENCE: Duration = Duration::from_secs(600);

/// Snapshots of the state.
#[derive(Subcommand)]
pub(super) enum SnapshotCommand {
    /// Save the state to a file (operators only).
    Save {
        /// The file; it must not be there yet.
        file: PathBuf,
    },
    /// Put the state of a file in place of the cluster's (operators only).
    Restore {
        /// The file.
        file: PathBuf,
    },
    /// Check a file, and say what is in it.
    Inspect {
        /// The file.
        file: PathBuf,
    },
}

pub(super) async fn run(command: &SnapshotCommand, connect: &Connect<'_>) -> Result<(), Failure> {
    match command {
        SnapshotCommand::Save { file } => save(file, connect).await,
        SnapshotCommand::Restore { file } => restore(file, connect).await,
        SnapshotCommand::Inspect { file } => {
            let bytes = read(file)?;
            let (meta, saved) = check(file, &bytes)?;
            tell("checked", file, &meta, &saved, connect)
        }
    }
}

async fn save(file: &Path, connect: &Connect<'_>) -> Result<(), Failure> {
    if file.exists() {
        return Err(Failure::not(
            format!("{} is there already", file.display()),
            "name another file: a good snapshot is not to be overwritten by what may be a bad one",
        ));
    }
    let client = connect.operator()?.patient_for(PATIENCE);
    let answer = connect::ask(&client, Request::get(PATH)).await?;
    let mut name = file.as_os_str().to_owned();
    name.push(".unverified");
    let beside = PathBuf::from(name);
    let kept = keep(&beside, &answer.body).and_then(|()| read(&beside));
    let checked = kept.and_then(|bytes| check(&beside, &bytes));
    let done = checked.and_then(|found| {
        fs::rename(&beside, file)
            .map_err(|error| Failure::file("make", file.display(), error))
            .map(|()| found)
    });
    match done {
        Ok((meta, saved)) => tell("saved", file, &meta, &saved, connect),
        Err(failure) => {
            let _ = fs::remove_file(&beside);
            Err(failure)
        }
    }
}

async fn restore(file: &Path, connect: &Connect<'_>) -> Result<(), Failure> {
    let bytes = read(file)?;
    let (meta, saved) = check(file, &bytes)?;
    let client = connect.operator()?.patient_for(PATIENCE);
    connect::ask(&client, Request::put(PATH, bytes)).await?;
    tell("restored", file, &meta, &saved, connect)
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(file).map_err(|error| Failure::file("read", file.display(), error))
}

/// For its owner only: values may be secrets of their users.
fn keep(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut out| out.write_all(bytes).and_then(|()| out.sync_all()))
        .map_err(|error| Failure::file("write", file.display(), error))
}

fn check(file: &Path, bytes: &[u8]) -> Result<(Meta, Saved), Failure> {
    archive::unpack(bytes).map_err(|error| {
        Failure::not(
            format!("{}: {error}", file.display()),
            "`swarmer snapshot save FILE` makes one",
        )
    })
}

fn tell(
    what: &str,
    file: &Path,
    meta: &Meta,
    saved: &Saved,
    connect: &Connect<'_>,
) -> Result<(), Failure> {
    let (keys, registrations) = (saved.entries.len(), saved.registrations.len());
    if connect.json() {
        return output::json(&json!({
            what: file.display().to_string(),
            "id": meta.id,
            "index": meta.index,
            "term": meta.term,
            "size": meta.size,
            "keys": keys,
            "registrations": registrations,
        }));
    }
    output::line(&format!(
        "{what} {}: index {}, {keys} keys, {registrations} registrations, {} bytes of state; its checksums fit",
        file.display(),
        meta.index,
        meta.size
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_snapshot_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.snap");
        keep(&file, b"not a snapshot").unwrap();
        let failure = check(&file, &read(&file).unwrap()).unwrap_err();
        assert!(failure.to_string().contains("x.snap: "), "{failure}");
    }
}
