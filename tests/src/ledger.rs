//! What was acknowledged, and the load that writes it: the witness of "nothing acknowledged is lost".

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use crate::cluster::Cluster;
use crate::faults::Faults;
use crate::http::Connection;
use crate::node::Node;
use crate::wait;

/// A writer gives up on an answer after this long; the outcome is then unknown.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between two writes of one writer: enough load for group commits, not so much that it is all that
/// the machine does.
const PAUSE: Duration = Duration::from_millis(2);
/// Where the load writes.
const PREFIX: &str = "load";

/// Keys and what became of their writes.
#[derive(Debug, Default)]
pub struct Ledger {
    // Before the write is sent.
    tried: Mutex<BTreeSet<String>>,
    // After its answer has come.
    acknowledged: Mutex<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    key: String,
    value: Option<String>,
}

impl Ledger {
    /// How many writes were acknowledged so far.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        lock(&self.acknowledged).len()
    }

    /// How many writes were sent so far.
    #[must_use]
    pub fn tried(&self) -> usize {
        lock(&self.tried).len()
    }

    /// Fails unless `node` has every acknowledged key with its value, and none that nobody wrote.
    /// `how` is the consistency mode: `consistent`, `stale` or nothing.
    pub fn check(&self, node: &Node, how: &str) -> Result<()> {
        // Only what was acknowledged before the read began must be in it.
        let acknowledged = lock(&self.acknowledged).clone();
        let answer = node.http_get(&format!("/v1/kv/{PREFIX}/?recurse&{how}"))?;
        let entries: Vec<Entry> = if answer.status == 404 {
            Vec::new()
        } else {
            answer.json()?
        };
        let mut stored = BTreeMap::new();
        for entry in entries {
            let value = BASE64_STANDARD.decode(entry.value.unwrap_or_default())?;
            stored.insert(entry.key, String::from_utf8_lossy(&value).into_owned());
        }
        let lost: Vec<&String> = acknowledged
            .iter()
            .filter(|(key, value)| stored.get(*key) != Some(value))
            .map(|(key, _)| key)
            .collect();
        let name = node.name();
        if let Some(first) = lost.first() {
            bail!(
                "{name} lacks {} of {} acknowledged keys, {first} first",
                lost.len(),
                acknowledged.len()
            );
        }
        let tried = lock(&self.tried);
        let strange = stored.keys().find(|key| !tried.contains(*key));
        ensure!(
            strange.is_none(),
            "{name} has {strange:?}, which nobody wrote"
        );
        Ok(())
    }
}

fn lock<T>(part: &Mutex<T>) -> MutexGuard<'_, T> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `faults` while `writers` clients write new keys through random nodes without pause, and
/// gives what was acknowledged.
pub fn while_writing(
    cluster: &Cluster,
    writers: u64,
    faults: impl FnOnce(&Ledger) -> Result<()>,
) -> Result<Ledger> {
    let ledger = Ledger::default();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for writer in 0..writers {
            let (ledger, over) = (&ledger, &over);
            scope.spawn(move || write(cluster, writer, ledger, over));
        }
        // Also when `faults` fails or panics, or the writers would never end.
        let _end = SetAtEnd(&over);
        faults(&ledger)
    })?;
    ensure!(
        ledger.acknowledged() > 0,
        "no write was acknowledged: the load proved nothing"
    );
    Ok(ledger)
}

struct SetAtEnd<'a>(&'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn write(cluster: &Cluster, writer: u64, ledger: &Ledger, over: &AtomicBool) {
    let mut choice = Faults::seeded(writer);
    let mut connection: Option<Connection> = None;
    let mut number = 0_u64;
    while !over.load(Ordering::Relaxed) {
        wait::briefly(PAUSE);
        let open = match connection.as_mut() {
            Some(open) => open,
            None => match choice.one_of(cluster.nodes()).connect(PATIENCE) {
                Ok(open) => connection.insert(open),
                Err(_) => continue,
            },
        };
        number += 1;
        let key = format!("{PREFIX}/{writer}/{number}");
        let value = format!("{writer} wrote {number}");
        lock(&ledger.tried).insert(key.clone());
        let acknowledged = put(open, &key, &value).is_ok();
        // Another node next time: the load goes where there is life.
        if !acknowledged || choice.chance(2) {
            connection = None;
        }
        if acknowledged {
            lock(&ledger.acknowledged).insert(key, value);
        }
    }
}

fn put(connection: &mut Connection, key: &str, value: &str) -> Result<()> {
    let path = format!("/v1/kv/{key}");
    let answer = connection
        .call("PUT", &path, value.as_bytes())
        .context("put")?;
    ensure!(answer.ok()?.body == b"true", "{}", answer.text());
    Ok(())
}
