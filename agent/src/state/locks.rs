//! KV writes, and the locks that sessions hold on keys
//! (<https://developer.hashicorp.com/consul/docs/dynamic-app-config/sessions>).

use std::sync::Arc;

use bytes::Bytes;

use super::State;
use super::changes::{Broken, Changes};
use super::fold::fold;
use crate::model::{
    CheckStatus, KvEntry, KvOp, Refusal, Reply, Session, SessionBehavior, SessionId,
};

/// What a write wants to store.
struct Wanted<'a> {
    key: &'a str,
    value: &'a Bytes,
    flags: u64,
}

impl State {
    pub(super) fn write_kv(&mut self, op: &KvOp, changes: &mut Changes) -> Reply {
        match op {
            KvOp::Put {
                key,
                value,
                flags,
                cas,
            } => {
                let flags = *flags;
                self.put(&Wanted { key, value, flags }, *cas, changes)
            }
            KvOp::Acquire {
                key,
                value,
                flags,
                session,
            } => {
                let flags = *flags;
                self.acquire(&Wanted { key, value, flags }, *session, changes)
            }
            KvOp::Release {
                key,
                value,
                flags,
                session,
            } => {
                let flags = *flags;
                self.release(&Wanted { key, value, flags }, *session, changes)
            }
            KvOp::Delete { key, cas } => self.delete(key, *cas, changes),
            KvOp::DeletePrefix { prefix } => {
                for entry in self.kv.remove_tree(prefix, changes) {
                    self.lock_gone(&entry);
                }
                Reply::Bool(true)
            }
        }
    }

    fn put(&mut self, wanted: &Wanted<'_>, cas: Option<u64>, changes: &mut Changes) -> Reply {
        let before = self.kv.get(wanted.key);
        let index = before.as_ref().map_or(0, |entry| entry.modify_index);
        if cas.is_some_and(|cas| cas != index) {
            return Reply::Bool(false);
        }
        let session = before.as_ref().and_then(|entry| entry.session);
        let lock_index = before.as_ref().map_or(0, |entry| entry.lock_index);
        self.store(before, wanted, session, lock_index, changes);
        Reply::Bool(true)
    }

    fn acquire(&mut self, wanted: &Wanted<'_>, id: SessionId, changes: &mut Changes) -> Reply {
        if self.sessions.get(&id).is_none() {
            return Reply::Refused(Refusal::InvalidSession(id));
        }
        if self.lock_delays.until(wanted.key, changes.now).is_some() {
            return Reply::Bool(false);
        }
        let before = self.kv.get(wanted.key);
        let lock_index = before.as_ref().map_or(0, |entry| entry.lock_index);
        let lock_index = match before.as_ref().and_then(|entry| entry.session) {
            Some(holder) if holder == id => lock_index,
            Some(_) => return Reply::Bool(false),
            None => lock_index.saturating_add(1),
        };
        self.store(before, wanted, Some(id), lock_index, changes);
        self.sessions.holds(id, wanted.key);
        Reply::Bool(true)
    }

    fn release(&mut self, wanted: &Wanted<'_>, id: SessionId, changes: &mut Changes) -> Reply {
        let before = self.kv.get(wanted.key);
        let Some(entry) = before.filter(|entry| entry.session == Some(id)) else {
            return Reply::Bool(false);
        };
        let lock_index = entry.lock_index;
        self.store(Some(entry), wanted, None, lock_index, changes);
        self.sessions.lets_go(id, wanted.key);
        Reply::Bool(true)
    }

    fn delete(&mut self, key: &str, cas: Option<u64>, changes: &mut Changes) -> Reply {
        let Some(entry) = self.kv.get(key) else {
            return Reply::Bool(true);
        };
        if cas.is_some_and(|cas| cas != entry.modify_index) {
            return Reply::Bool(false);
        }
        self.kv.remove(key, changes);
        self.lock_gone(&entry);
        Reply::Bool(true)
    }

    /// Stores an entry, unless it is there just so.
    fn store(
        &mut self,
        before: Option<Arc<KvEntry>>,
        wanted: &Wanted<'_>,
        session: Option<SessionId>,
        lock_index: u64,
        changes: &mut Changes,
    ) {
        let unchanged = before.as_ref().is_some_and(|entry| {
            entry.value == *wanted.value
                && entry.flags == wanted.flags
                && entry.session == session
                && entry.lock_index == lock_index
        });
        if unchanged {
            return;
        }
        let entry = KvEntry {
            key: wanted.key.to_owned(),
            value: wanted.value.clone(),
            flags: wanted.flags,
            session,
            lock_index,
            create_index: before.map_or(changes.index, |entry| entry.create_index),
            modify_index: changes.index,
        };
        self.kv.set(entry, changes);
    }

    fn lock_gone(&mut self, entry: &KvEntry) {
        if let Some(holder) = entry.session {
            self.sessions.lets_go(holder, &entry.key);
        }
    }

    /// Creates a session, if all that it leans on is there and well.
    pub(super) fn create_session(&mut self, session: &Session, changes: &mut Changes) -> Reply {
        if self.sessions.get(&session.id).is_some() {
            return Reply::Done;
        }
        let Some(node) = self.catalog.node(&session.node) else {
            return Reply::Refused(Refusal::MissingNode);
        };
        for id in session.node_checks.iter().chain(&session.service_checks) {
            match self.catalog.check(&session.node, id) {
                None => return Reply::Refused(Refusal::MissingCheck(id.clone())),
                Some(check) if check.status == CheckStatus::Critical => {
                    return Reply::Refused(Refusal::CriticalCheck(id.clone()));
                }
                Some(_) => {}
            }
        }
        let mut session = session.clone();
        session.node.clone_from(&node.name);
        self.sessions.insert(session, changes);
        Reply::Done
    }

    /// Ends sessions: their locks are released, or the keys deleted, and the lock-delays begin.
    pub(super) fn end_sessions(&mut self, ids: &[SessionId], changes: &mut Changes) {
        for id in ids {
            let Some((session, keys)) = self.sessions.remove(id, changes) else {
                continue;
            };
            for key in keys {
                self.lock_delays
                    .begin(Arc::clone(&key), session.lock_delay, changes.now);
                match (session.behavior, self.kv.get(&key)) {
                    (SessionBehavior::Release, Some(entry)) => {
                        let mut entry = KvEntry::clone(&entry);
                        entry.session = None;
                        self.kv.set(entry, changes);
                    }
                    (SessionBehavior::Delete, _) => {
                        self.kv.remove(&key, changes);
                    }
                    (SessionBehavior::Release, None) => {}
                }
            }
        }
    }

    /// Ends the sessions that leaned on what the command broke.
    pub(super) fn end_broken_sessions(&mut self, changes: &mut Changes) {
        for broken in changes.take_broken() {
            let ending: Vec<SessionId> = match &broken {
                Broken::Node(node) => self.sessions.of_node(node).map(|row| row.id).collect(),
                Broken::Check { node, check } => self
                    .sessions
                    .of_node(node)
                    .filter(|row| leans_on(row, check))
                    .map(|row| row.id)
                    .collect(),
            };
            self.end_sessions(&ending, changes);
        }
    }
}

fn leans_on(session: &Session, check: &str) -> bool {
    let mut named = session.node_checks.iter().chain(&session.service_checks);
    named.any(|id| fold(id) == check)
}
