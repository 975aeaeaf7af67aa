//! A saved state put in place of the present one: what clients wrote. Who the cluster is, its
//! members, tokens, secrets and sessions stay as they are.

use super::State;
use super::changes::Changes;
use crate::model::{KvOp, Refusal, Registration, Reply, Saved};

impl State {
    /// What a snapshot for people holds: the keys, and the rows of nodes without an agent.
    #[must_use]
    pub fn saved(&self) -> Saved {
        let nodes = self.catalog.nodes().filter(|node| node.owner.is_none());
        Saved {
            entries: self.kv.range("").map(|entry| (**entry).clone()).collect(),
            registrations: nodes
                .map(|node| Registration {
                    node: (**node).clone(),
                    skip_node_update: false,
                    services: self
                        .catalog
                        .services_of(&node.name)
                        .map(|row| (**row).clone())
                        .collect(),
                    checks: self
                        .catalog
                        .checks_of(&node.name)
                        .map(|row| (**row).clone())
                        .collect(),
                })
                .collect(),
        }
    }

    /// Locks are not restored, since their sessions are not.
    pub(super) fn restore(&mut self, saved: &Saved, changes: &mut Changes) -> Reply {
        self.write_kv(
            &KvOp::DeletePrefix {
                prefix: String::new(),
            },
            changes,
        );
        for entry in &saved.entries {
            let (key, value, flags) = (entry.key.clone(), entry.value.clone(), entry.flags);
            self.write_kv(
                &KvOp::Put {
                    key,
                    value,
                    flags,
                    cas: None,
                },
                changes,
            );
        }
        let gone: Vec<String> = self
            .catalog
            .nodes()
            .filter(|node| node.owner.is_none())
            .map(|node| node.name.clone())
            .collect();
        for node in gone {
            self.deregister(&node, None, None, changes);
        }
        for rows in &saved.registrations {
            let taken = self
                .catalog
                .node(&rows.node.name)
                .is_some_and(|row| row.owner.is_some());
            if taken || rows.node.owner.is_some() {
                continue;
            }
            if let Reply::Refused(Refusal::NotInitialised) = self.register(rows, changes) {
                break;
            }
        }
        Reply::Done
    }
}
