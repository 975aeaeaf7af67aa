//! What was acknowledged, and the load that writes it: the witness of "nothing acknowledged is lost".

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
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
    acknowledged: Mutex<BTreeMap<String, String>>,
    unknown: Mutex<BTreeSet<String>>,
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
        self.acknowledged
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// How many writes have an unknown outcome.
    #[must_use]
    pub fn unknown(&self) -> usize {
        self.unknown
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// Fails unless `node` has every acknowledged key with its value, and none that nobody wrote.
    /// `how` is the consistency mode: `consistent`, `stale` or nothing.
    pub fn check(&self, node: &Node, how: &str) -> Result<()> {
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
        let acknowledged = self
            .acknowledged
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
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
        let strange = stored
            .keys()
            .find(|key| !acknowledged.contains_key(*key) && !unknown.contains(*key));
        ensure!(
            strange.is_none(),
            "{name} has {strange:?}, which nobody wrote"
        );
        Ok(())
    }

    fn note(&self, key: String, value: String, acknowledged: bool) {
        if acknowledged {
            let mut ledger = self
                .acknowledged
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            ledger.insert(key, value);
        } else {
            self.unknown
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(key);
        }
    }
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
        let acknowledged = put(open, &key, &value);
        // Another node next time: the load goes where there is life.
        if acknowledged.is_err() || choice.chance(2) {
            connection = None;
        }
        ledger.note(key, value, acknowledged.is_ok());
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
