//! Who is admitted and who goes (safety.md T7): a name belongs to a node's key.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::State;
use super::changes::Changes;
use crate::model::{
    Member, MemberStatus, NodeId, NodeRow, Refusal, Reply, Role, ServiceRow, Weights,
};

/// Name and id of the service that stands for the servers' agents, as in Consul.
pub(super) const AGENT_SERVICE: &str = "consul";

impl State {
    /// Admits a member, or renews the row of one with the same id and key. A new member begins as
    /// `Lapsed`: it is in DNS once it holds its lease.
    pub(super) fn join(&mut self, joiner: &Member, changes: &mut Changes) -> Reply {
        if let Some(refusal) = self.refuses(joiner) {
            return Reply::Refused(refusal);
        }
        let former = self.members.other_named(joiner.name.as_str(), joiner.id);
        if let Some(former) = former.map(|member| member.id) {
            self.expel(former, changes);
        }
        self.admit(joiner, changes);
        Reply::Done
    }

    fn refuses(&self, joiner: &Member) -> Option<Refusal> {
        if self.members.is_fenced(joiner.id) {
            return Some(Refusal::Fenced(joiner.id));
        }
        if joiner.role == Role::Operator {
            return Some(Refusal::NotAMember(joiner.id));
        }
        if let Some(own) = self.members.get(joiner.id)
            && (own.key != joiner.key || own.role != joiner.role)
        {
            return Some(name_taken(own));
        }
        let holder = self.members.other_named(joiner.name.as_str(), joiner.id)?;
        let yields = holder.role == joiner.role && holder.status != MemberStatus::Alive;
        (!yields).then(|| name_taken(holder))
    }

    /// Puts a member's row and its node of the catalog in place.
    pub(super) fn admit(&mut self, joiner: &Member, changes: &mut Changes) {
        let mut row = joiner.clone();
        match self.members.get(joiner.id) {
            Some(before) => {
                row.boot = before.boot;
                row.status = before.status;
                row.since = before.since;
                if before.name != row.name {
                    let former = before.name.clone();
                    self.catalog.remove_node(former.as_str(), changes);
                }
            }
            None => {
                row.boot = None;
                row.status = MemberStatus::Lapsed;
                row.since = changes.now;
            }
        }
        self.catalog.ensure_node(self.node_row(&row), changes);
        if row.role == Role::Server {
            let service = agent_service(&row);
            self.catalog
                .ensure_service(row.name.as_str(), service, changes);
        }
        self.show_health(&row, changes);
        self.members.set(row, changes);
    }

    fn node_row(&self, member: &Member) -> NodeRow {
        let before = self.catalog.node(member.name.as_str());
        let (meta, mut tagged_addresses) = before
            .map(|row| (row.meta.clone(), row.tagged_addresses.clone()))
            .unwrap_or_default();
        let address = member.address.to_string();
        let family = match member.address {
            IpAddr::V4(_) => "lan_ipv4",
            IpAddr::V6(_) => "lan_ipv6",
        };
        for tag in ["lan_ipv4", "lan_ipv6"] {
            tagged_addresses.remove(tag);
        }
        for tag in ["lan", family] {
            tagged_addresses.insert(tag.to_owned(), address.clone());
        }
        NodeRow {
            id: member.id,
            name: member.name.as_str().to_owned(),
            address,
            tagged_addresses,
            meta,
            owner: Some(member.id),
            create_index: 0,
            modify_index: 0,
        }
    }

    /// Removes a member: idempotent.
    pub(super) fn remove_member(&mut self, id: NodeId, changes: &mut Changes) -> Reply {
        if self.members.get(id).is_some() {
            self.expel(id, changes);
        } else if !self.members.is_fenced(id) {
            return Reply::Refused(Refusal::NotAMember(id));
        }
        Reply::Done
    }

    /// The member goes with its rows, sessions, duties and remembered requests; its id is fenced.
    fn expel(&mut self, id: NodeId, changes: &mut Changes) {
        let Some(member) = self.members.get(id).cloned() else {
            return;
        };
        self.catalog.remove_node(member.name.as_str(), changes);
        self.duties.fall(id, None, changes);
        self.requests.forget(id);
        self.members.fence(id, changes);
    }
}

pub(super) fn name_taken(holder: &Member) -> Refusal {
    Refusal::NameTaken {
        name: holder.name.clone(),
        role: holder.role,
        holder: holder.id,
        address: holder.address,
    }
}

fn agent_service(member: &Member) -> ServiceRow {
    ServiceRow {
        node: member.name.as_str().to_owned(),
        id: AGENT_SERVICE.to_owned(),
        name: AGENT_SERVICE.to_owned(),
        tags: Vec::new(),
        address: String::new(),
        port: member.ports.rpc,
        meta: BTreeMap::new(),
        weights: Weights::default(),
        enable_tag_override: false,
        tagged_addresses: BTreeMap::new(),
        kind: String::new(),
        create_index: 0,
        modify_index: 0,
    }
}
