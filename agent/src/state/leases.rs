//! What a lease event means (safety.md L1): three speeds, each of which implies those before it.

use super::State;
use super::changes::Changes;
use crate::model::{
    BootId, CheckDefinition, CheckRow, CheckStatus, LeaseEvent, Member, MemberStatus, NodeId,
    Refusal, Reply, SERF_HEALTH, Session, SessionId,
};

impl State {
    pub(super) fn lease(
        &mut self,
        node: NodeId,
        boot: BootId,
        event: LeaseEvent,
        changes: &mut Changes,
    ) -> Reply {
        let Some(before) = self.members.get(node) else {
            return Reply::Refused(Refusal::NotAMember(node));
        };
        let same_boot = before.boot == Some(boot);
        // A member that never held its lease has no process yet that an event could be wrong about.
        let about_another = before.boot.is_some() && !same_boot;
        let mut member = Member::clone(before);
        match event {
            // Who said that it leaves is not taken back by a last renewal of the same process.
            LeaseEvent::Held if same_boot && member.status == MemberStatus::Leaving => {}
            LeaseEvent::Held => {
                member.boot = Some(boot);
                member.status = MemberStatus::Alive;
                // A new process has none of the duties that the one before it took.
                self.duties.fall(node, Some(boot), changes);
            }
            _ if about_another => return Reply::Done,
            LeaseEvent::Lapsed | LeaseEvent::Silent => {
                if member.status == MemberStatus::Alive {
                    member.status = MemberStatus::Lapsed;
                }
            }
            LeaseEvent::Failed => member.status = MemberStatus::Failed,
            LeaseEvent::Leaving => member.status = MemberStatus::Leaving,
        }
        if member.status != before.status {
            member.since = changes.now;
        }
        if member.status != MemberStatus::Alive {
            self.duties.fall(node, None, changes);
        }
        if matches!(event, LeaseEvent::Silent | LeaseEvent::Failed) {
            self.end_lease_sessions(&member, changes);
        }
        self.show_health(&member, changes);
        self.members.set(member, changes);
        Reply::Done
    }

    fn end_lease_sessions(&mut self, member: &Member, changes: &mut Changes) {
        let ending: Vec<SessionId> = self
            .sessions
            .of_node(member.name.as_str())
            .filter(|session| leans_on_lease(session))
            .map(|session| session.id)
            .collect();
        self.end_sessions(&ending, changes);
    }

    /// Makes `serfHealth` of the member's node say what its lease says.
    pub(super) fn show_health(&mut self, member: &Member, changes: &mut Changes) {
        let (status, output) = if member.status == MemberStatus::Alive {
            (CheckStatus::Passing, "Agent alive and reachable")
        } else {
            (CheckStatus::Critical, "Agent not live or unreachable")
        };
        let row = CheckRow {
            node: member.name.as_str().to_owned(),
            check_id: SERF_HEALTH.to_owned(),
            name: "Serf Health Status".to_owned(),
            status,
            notes: String::new(),
            output: output.to_owned(),
            service_id: String::new(),
            service_name: String::new(),
            service_tags: Vec::new(),
            kind: String::new(),
            definition: CheckDefinition::default(),
            create_index: 0,
            modify_index: 0,
        };
        self.catalog
            .ensure_check(member.name.as_str(), row, changes);
    }
}

fn leans_on_lease(session: &Session) -> bool {
    let mut checks = session.node_checks.iter().chain(&session.service_checks);
    checks.any(|check| check.eq_ignore_ascii_case(SERF_HEALTH))
}
