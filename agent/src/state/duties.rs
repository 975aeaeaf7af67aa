//! Duties: each is done by one process of one member at a time (safety.md L5).

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use super::State;
use super::changes::Changes;
use crate::model::{BootId, Duty, DutyHolder, MemberStatus, NodeId, Refusal, Reply, Topic};

/// Who has which duty. A holder is an internal session: no TTL, no lock-delay; it ends with the
/// lease of the process that took it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Duties {
    holders: OrdMap<Duty, DutyHolder>,
}

impl Duties {
    pub(super) fn holder(&self, duty: Duty) -> Option<DutyHolder> {
        self.holders.get(&duty).copied()
    }

    pub(super) fn holders(&self) -> &OrdMap<Duty, DutyHolder> {
        &self.holders
    }

    /// Sets or clears a holder, as a followed row says.
    pub(super) fn set(&mut self, duty: Duty, holder: Option<DutyHolder>) {
        match holder {
            Some(holder) => self.holders.insert(duty, holder),
            None => self.holders.remove(&duty),
        };
    }

    /// All duties of a node fall, but for those that its process `keep` took.
    pub(super) fn fall(&mut self, node: NodeId, keep: Option<BootId>, changes: &mut Changes) {
        let falling: Vec<_> = self
            .holders
            .iter()
            .filter(|(_, holder)| holder.node == node && Some(holder.boot) != keep)
            .map(|(duty, _)| *duty)
            .collect();
        for duty in falling {
            self.holders.remove(&duty);
            changes.touch(Topic::Duties);
        }
    }
}

impl State {
    pub(super) fn take_duty(
        &mut self,
        duty: Duty,
        node: NodeId,
        boot: BootId,
        changes: &mut Changes,
    ) -> Reply {
        let Some(member) = self.members.get(node) else {
            return Reply::Refused(Refusal::NotAMember(node));
        };
        let holds_lease = member.status == MemberStatus::Alive && member.boot == Some(boot);
        if holds_lease && self.duties.holder(duty).is_none() {
            let sequencer = changes.index;
            let holder = DutyHolder {
                node,
                boot,
                sequencer,
            };
            self.duties.set(duty, Some(holder));
            changes.touch(Topic::Duties);
        }
        Reply::Duty(self.duties.holder(duty))
    }

    pub(super) fn release_duty(
        &mut self,
        duty: Duty,
        node: NodeId,
        changes: &mut Changes,
    ) -> Reply {
        if self
            .duties
            .holder(duty)
            .is_some_and(|holder| holder.node == node)
        {
            self.duties.set(duty, None);
            changes.touch(Topic::Duties);
        }
        Reply::Duty(self.duties.holder(duty))
    }
}
