//! A naive KV store with sessions: it keeps the whole history and looks everything up by search.

use std::collections::BTreeMap;

use crate::model::{KvEntry, KvOp, Op, Refusal, Reply, Session, SessionBehavior, SessionId};

pub(super) enum Event {
    Key(String),
    Tree(String),
}

#[derive(Default)]
pub(super) struct Naive {
    pub(super) entries: BTreeMap<String, KvEntry>,
    pub(super) sessions: BTreeMap<SessionId, Session>,
    pub(super) events: Vec<(u64, Event)>,
    pub(super) delays: BTreeMap<String, u64>,
    pub(super) session_index: u64,
}

impl Naive {
    pub(super) fn apply(&mut self, index: u64, now: u64, op: &Op) -> Reply {
        match op {
            Op::SessionCreate(session) => {
                if !self.sessions.contains_key(&session.id) {
                    let mut session = Session::clone(session);
                    (session.create_index, session.modify_index) = (index, index);
                    self.sessions.insert(session.id, session);
                    self.session_index = index;
                }
                Reply::Done
            }
            Op::SessionDestroy(id) => {
                self.end(*id, index, now);
                Reply::Bool(true)
            }
            Op::SessionsExpire(ids) => {
                ids.iter().for_each(|id| self.end(*id, index, now));
                Reply::Done
            }
            Op::Kv(KvOp::Acquire { session, .. }) if !self.sessions.contains_key(session) => {
                Reply::Refused(Refusal::InvalidSession(*session))
            }
            Op::Kv(op) => Reply::Bool(self.kv(index, now, op)),
            _ => Reply::Done,
        }
    }

    fn kv(&mut self, index: u64, now: u64, op: &KvOp) -> bool {
        let at = |entry: Option<&KvEntry>| entry.map_or(0, |entry| entry.modify_index);
        match op {
            KvOp::Put {
                key,
                value,
                flags,
                cas,
            } => {
                let old = self.entries.get(key);
                if cas.is_some() && *cas != Some(at(old)) {
                    return false;
                }
                let (session, locks) = old.map_or((None, 0), |old| (old.session, old.lock_index));
                self.write(index, key, value, *flags, session, locks);
            }
            KvOp::Acquire {
                key,
                value,
                flags,
                session,
            } => {
                if self.delays.get(key).is_some_and(|until| *until > now) {
                    return false;
                }
                let old = self.entries.get(key);
                let (holder, locks) = old.map_or((None, 0), |old| (old.session, old.lock_index));
                if holder.is_some() && holder != Some(*session) {
                    return false;
                }
                let locks = if holder.is_none() { locks + 1 } else { locks };
                self.write(index, key, value, *flags, Some(*session), locks);
            }
            KvOp::Release {
                key,
                value,
                flags,
                session,
            } => {
                let old = self.entries.get(key);
                let Some(old) = old.filter(|old| old.session == Some(*session)) else {
                    return false;
                };
                let locks = old.lock_index;
                self.write(index, key, value, *flags, None, locks);
            }
            KvOp::Delete { key, cas } => {
                let old = self.entries.get(key);
                if old.is_some() && cas.is_some() && *cas != Some(at(old)) {
                    return false;
                }
                if self.entries.remove(key).is_some() {
                    self.events.push((index, Event::Key(key.clone())));
                }
            }
            KvOp::DeletePrefix { prefix } => {
                let before = self.entries.len();
                self.entries.retain(|key, _| !key.starts_with(prefix));
                if self.entries.len() < before {
                    self.events.push((index, Event::Tree(prefix.clone())));
                }
            }
        }
        true
    }

    fn write(
        &mut self,
        index: u64,
        key: &str,
        value: &bytes::Bytes,
        flags: u64,
        session: Option<SessionId>,
        lock_index: u64,
    ) {
        let old = self.entries.get(key);
        let mut new = KvEntry {
            key: key.to_owned(),
            value: value.clone(),
            flags,
            session,
            lock_index,
            create_index: old.map_or(index, |old| old.create_index),
            modify_index: old.map_or(index, |old| old.modify_index),
        };
        if old != Some(&new) {
            new.modify_index = index;
            self.entries.insert(key.to_owned(), new);
            self.events.push((index, Event::Key(key.to_owned())));
        }
    }

    fn end(&mut self, id: SessionId, index: u64, now: u64) {
        let Some(session) = self.sessions.remove(&id) else {
            return;
        };
        self.session_index = index;
        let held: Vec<String> = self
            .entries
            .values()
            .filter(|entry| entry.session == Some(id))
            .map(|entry| entry.key.clone())
            .collect();
        for key in held {
            let delay = u64::try_from(session.lock_delay.as_millis()).unwrap();
            if delay > 0 {
                self.delays.insert(key.clone(), now + delay.min(60_000));
            }
            self.events.push((index, Event::Key(key.clone())));
            if session.behavior == SessionBehavior::Delete {
                self.entries.remove(&key);
            } else {
                let entry = self.entries.get_mut(&key).unwrap();
                entry.session = None;
                entry.modify_index = index;
            }
        }
    }

    pub(super) fn table_index(&self) -> u64 {
        self.events.last().map_or(1, |(index, _)| *index)
    }

    /// The last thing that ever happened under `prefix`, or around it.
    pub(super) fn prefix_index(&self, prefix: &str) -> u64 {
        let seen = self.events.iter().rev().find(|(_, event)| match event {
            Event::Key(key) => key.starts_with(prefix),
            Event::Tree(tree) => tree.starts_with(prefix) || prefix.starts_with(tree.as_str()),
        });
        let index = seen.map(|(index, _)| *index);
        index
            .filter(|_| !prefix.is_empty())
            .unwrap_or_else(|| self.table_index())
    }
}
