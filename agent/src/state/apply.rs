//! The one way in: a command that raft committed.

use super::State;
use super::changes::Changes;
use crate::model::{Command, Op, Refusal, Reply, TokenRow, Topic};

impl State {
    /// Applies the command at raft index `index` and says what came of it. What changed is added
    /// to `changed`, each topic once. A request that was applied before is answered as it was then
    /// and changes nothing (safety.md R8).
    pub fn apply(&mut self, index: u64, command: &Command, changed: &mut Vec<Topic>) -> Reply {
        self.index = self.index.max(index);
        self.time = self.time.max(command.time);
        self.lock_delays.forget(self.time);
        if let Some(request) = &command.request {
            // What its node asked before it was removed is no longer remembered, so nothing of it
            // may take effect.
            if self.members.is_fenced(request.node) {
                return Reply::Refused(Refusal::Fenced(request.node));
            }
            if let Some(reply) = self.requests.answer(request) {
                return reply;
            }
        }
        let mut changes = Changes::new(index, self.time);
        let reply = self.perform(&command.op, &mut changes);
        self.end_broken_sessions(&mut changes);
        changed.extend(changes.into_topics());
        if let Some(request) = &command.request
            && !self.members.is_fenced(request.node)
        {
            self.requests.remember(request, reply.clone(), index);
        }
        reply
    }

    fn perform(&mut self, op: &Op, changes: &mut Changes) -> Reply {
        if let Op::InitCluster(genesis) = op {
            return self.init(genesis, changes);
        }
        if self.cluster.is_none() {
            return Reply::Refused(Refusal::NotInitialised);
        }
        match op {
            Op::Kv(op) => self.write_kv(op, changes),
            Op::SessionCreate(session) => self.create_session(session, changes),
            Op::SessionDestroy(id) => {
                self.end_sessions(&[*id], changes);
                Reply::Bool(true)
            }
            Op::SessionsExpire(ids) => {
                self.end_sessions(ids, changes);
                Reply::Done
            }
            Op::Register(rows) => self.register(rows, changes),
            Op::Deregister {
                node,
                service,
                check,
            } => self.deregister(node, service.as_deref(), check.as_deref(), changes),
            Op::CheckUpdate {
                node,
                check,
                status,
                output,
            } => self.update_check(node, check, *status, output, changes),
            Op::MemberJoin(joiner) => self.join(joiner, changes),
            Op::Lease { node, boot, event } => self.lease(*node, *boot, *event, changes),
            Op::MemberRemove(id) => self.remove_member(*id, changes),
            Op::TokenPut(row) => self.trust.put(TokenRow::clone(row), changes),
            Op::TokenRevoke(id) => self.trust.revoke(*id, changes),
            Op::HiddenPut { key, value, expect } => {
                self.hidden.put(key, value.clone(), *expect, changes)
            }
            Op::DutyTake { duty, node, boot } => self.take_duty(*duty, *node, *boot, changes),
            Op::DutyRelease { duty, node } => self.release_duty(*duty, *node, changes),
            Op::SetExpect(expect) => self.set_expect(*expect, changes),
            Op::Restore(saved) => self.restore(saved, changes),
            Op::InitCluster(_) | Op::Tick => Reply::Done,
        }
    }
}
