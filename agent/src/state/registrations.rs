//! Who may write which rows of the catalog: a member's node is its own.

use super::State;
use super::changes::Changes;
use super::fold::fold;
use super::membership::{AGENT_SERVICE, name_taken};
use crate::model::{
    CheckRow, CheckStatus, NodeRow, Refusal, Registration, Reply, Role, SERF_HEALTH,
};

impl State {
    pub(super) fn register(&mut self, rows: &Registration, changes: &mut Changes) -> Reply {
        if let Err(refusal) = self.may_write(&rows.node) {
            return Reply::Refused(refusal);
        }
        let mut rows = rows.clone();
        rows.node.id = rows.node.owner.unwrap_or(rows.node.id);
        let node = rows.node.name.clone();
        rows.services
            .retain(|row| !self.keeps_service(&node, &row.id));
        rows.checks
            .retain(|row| !self.keeps_check(&node, &row.check_id));
        match self.catalog.register(&rows, changes) {
            Ok(()) => Reply::Done,
            Err(refusal) => Reply::Refused(refusal),
        }
    }

    /// A member writes its own node's rows; a node of a member's id has the member's name.
    fn may_write(&self, node: &NodeRow) -> Result<(), Refusal> {
        let member = match node.owner {
            Some(owner) if self.members.is_fenced(owner) => return Err(Refusal::Fenced(owner)),
            Some(owner) => self.members.get(owner).ok_or(Refusal::NotAMember(owner))?,
            None => match self.members.get(node.id) {
                Some(member) => member,
                None => return Ok(()),
            },
        };
        if fold(&node.name) == member.name.as_str() {
            return Ok(());
        }
        Err(match self.members.named(&node.name) {
            Some(holder) => name_taken(holder),
            None if node.owner.is_none() => name_taken(member),
            None => Refusal::MissingNode,
        })
    }

    /// Removes a service (it wins over a check), a check, or a node. What is not there is removed
    /// already. A member's node stays for as long as the member does.
    pub(super) fn deregister(
        &mut self,
        node: &str,
        service: Option<&str>,
        check: Option<&str>,
        changes: &mut Changes,
    ) -> Reply {
        match (service, check) {
            (Some(id), _) if !self.keeps_service(node, id) => {
                self.catalog.remove_service(node, id, changes);
            }
            (None, Some(id)) if !self.keeps_check(node, id) => {
                self.catalog.remove_check(node, id, changes);
            }
            (None, None) if self.members.named(node).is_some() => {
                self.clear_node(node, changes);
            }
            (None, None) => self.catalog.remove_node(node, changes),
            _ => {}
        }
        Reply::Done
    }

    /// Removes what was registered on a member's node, and ends its sessions, as Consul does when
    /// a node is deregistered whose agent lives.
    fn clear_node(&mut self, node: &str, changes: &mut Changes) {
        let services: Vec<_> = self.catalog.services_of(node).cloned().collect();
        for row in services {
            if !self.keeps_service(node, &row.id) {
                self.catalog.remove_service(node, &row.id, changes);
            }
        }
        let checks: Vec<_> = self.catalog.checks_of(node).cloned().collect();
        for row in checks {
            if !self.keeps_check(node, &row.check_id) {
                self.catalog.remove_check(node, &row.check_id, changes);
            }
        }
        let sessions: Vec<_> = self.sessions.of_node(node).map(|row| row.id).collect();
        self.end_sessions(&sessions, changes);
    }

    pub(super) fn update_check(
        &mut self,
        node: &str,
        id: &str,
        status: CheckStatus,
        output: &str,
        changes: &mut Changes,
    ) -> Reply {
        let row = self.catalog.check(node, id);
        let Some(row) = row.filter(|_| !self.keeps_check(node, id)) else {
            return Reply::Refused(Refusal::UnknownCheck(id.to_owned()));
        };
        let mut row = CheckRow::clone(row);
        row.status = status;
        output.clone_into(&mut row.output);
        self.catalog.ensure_check(node, row, changes);
        Reply::Done
    }

    /// `serfHealth` of a member's node follows its lease and nothing else.
    fn keeps_check(&self, node: &str, id: &str) -> bool {
        id.eq_ignore_ascii_case(SERF_HEALTH) && self.members.named(node).is_some()
    }

    /// The service `consul` of a server's node follows its membership and nothing else.
    fn keeps_service(&self, node: &str, id: &str) -> bool {
        let member = self.members.named(node);
        id.eq_ignore_ascii_case(AGENT_SERVICE)
            && member.is_some_and(|member| member.role == Role::Server)
    }
}
