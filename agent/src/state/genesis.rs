//! How a cluster begins: everything of it comes with one command.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::State;
use super::changes::Changes;
use crate::model::{ClusterId, Genesis, Name, Refusal, Reply, Topic};

/// Which cluster this is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterInfo {
    /// Its identity.
    pub cluster: ClusterId,
    /// Its stack.
    pub stack: Name,
    /// Its data center.
    pub dc: Name,
    /// How many voters it has.
    pub expect: u32,
}

impl State {
    /// Begins the cluster. Whoever is elected first proposes this again: then it changes nothing.
    pub(super) fn init(&mut self, genesis: &Genesis, changes: &mut Changes) -> Reply {
        if let Some(ours) = &self.cluster {
            if ours.cluster == genesis.cluster {
                return Reply::Done;
            }
            return Reply::Refused(Refusal::OtherCluster {
                ours: ours.cluster,
                theirs: genesis.cluster,
            });
        }
        self.cluster = Some(Arc::new(ClusterInfo {
            cluster: genesis.cluster,
            stack: genesis.stack.clone(),
            dc: genesis.dc.clone(),
            expect: genesis.expect,
        }));
        self.trust.set_ca(genesis.ca.clone(), changes);
        for token in &genesis.tokens {
            self.trust.put(token.clone(), changes);
        }
        for (key, value) in &genesis.hidden {
            self.hidden.put(key, Some(value.clone()), None, changes);
        }
        for founder in &genesis.founders {
            self.admit(founder, changes);
        }
        Reply::Done
    }

    /// How many voters the cluster has from now on.
    pub(super) fn set_expect(&mut self, expect: u32, changes: &mut Changes) -> Reply {
        let Some(cluster) = &self.cluster else {
            return Reply::Refused(Refusal::NotInitialised);
        };
        if cluster.expect != expect {
            self.cluster = Some(Arc::new(ClusterInfo {
                expect,
                ..(**cluster).clone()
            }));
            changes.touch(Topic::Members);
        }
        Reply::Done
    }
}
