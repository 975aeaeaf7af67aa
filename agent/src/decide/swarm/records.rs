//! What the cluster has written down about its Swarm, in the hidden part of the state.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::words::{Intent, JoinOffer, Nodes, Offers, Recorded, SwarmService, Tokens};
use crate::model::NodeId;

/// Key of [`Intent`].
pub const INTENT: &str = "swarm/intent";
/// Key of [`Recorded`].
pub const CLUSTER: &str = "swarm/cluster";
/// Key of [`Tokens`].
pub const TOKENS: &str = "swarm/tokens";
/// Key of [`Nodes`].
pub const NODES: &str = "swarm/nodes";
/// Key of [`Offers`].
pub const OFFERS: &str = "swarm/services";

const VERSION: u8 = 1;

/// A value with the index that a change of it must name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// The index of the entry.
    pub index: u64,
}

/// All that is written down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// Who may make the Swarm.
    pub intent: Option<At<Intent>>,
    /// The Swarm.
    pub cluster: Option<At<Recorded>>,
    /// How to join it.
    pub tokens: Option<At<Tokens>>,
    /// Who is who in it.
    pub nodes: Option<At<Nodes>>,
    /// What its services say to the registrators.
    pub offers: Option<At<Offers>>,
}

/// An entry that this agent can't read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Not what was expected there.
    #[error("can't read the hidden entry {key}")]
    Malformed {
        /// Its key.
        key: &'static str,
        /// What is wrong with it.
        #[source]
        cause: serde_json::Error,
    },
    /// Written by a newer agent.
    #[error("the hidden entry {key} has version {found}, this agent knows {VERSION}: upgrade it")]
    Newer {
        /// Its key.
        key: &'static str,
        /// Its version.
        found: u8,
    },
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    v: u8,
    #[serde(flatten)]
    body: T,
}

#[derive(Deserialize)]
struct OnlyVersion {
    v: u8,
}

/// The bytes of an entry.
pub fn encode<T: Serialize>(key: &'static str, body: &T) -> Result<Bytes, RecordError> {
    serde_json::to_vec(&Versioned { v: VERSION, body })
        .map(Bytes::from)
        .map_err(|cause| RecordError::Malformed { key, cause })
}

/// The entry in these bytes.
pub fn decode<T: DeserializeOwned>(key: &'static str, bytes: &[u8]) -> Result<T, RecordError> {
    let malformed = |cause| RecordError::Malformed { key, cause };
    let found = serde_json::from_slice::<OnlyVersion>(bytes)
        .map_err(malformed)?
        .v;
    if found > VERSION {
        return Err(RecordError::Newer { key, found });
    }
    let entry: Versioned<T> = serde_json::from_slice(bytes).map_err(malformed)?;
    Ok(entry.body)
}

impl Records {
    /// Reads all entries; `hidden` looks one up, with its index.
    pub fn read(hidden: impl Fn(&str) -> Option<(Bytes, u64)>) -> Result<Self, RecordError> {
        Ok(Self {
            intent: entry(&hidden, INTENT)?,
            cluster: entry(&hidden, CLUSTER)?,
            tokens: entry(&hidden, TOKENS)?,
            nodes: entry(&hidden, NODES)?,
            offers: entry(&hidden, OFFERS)?,
        })
    }

    /// What `caller` needs to join; `None` as long as there is no Swarm to join.
    #[must_use]
    pub fn offer(&self, caller: NodeId) -> Option<JoinOffer> {
        let cluster = &self.cluster.as_ref()?.value.cluster;
        let tokens = &self.tokens.as_ref()?.value;
        let nodes = self.nodes.as_ref().map(|at| &at.value.nodes);
        Some(JoinOffer {
            cluster: cluster.clone(),
            remotes: tokens.managers.clone(),
            token: tokens.worker.clone(),
            node: nodes
                .and_then(|nodes| nodes.get(&caller))
                .map(|entry| entry.swarm.clone()),
        })
    }
}

/// What is written down of the Swarm's services; `hidden` looks an entry up, with its index.
pub fn offers(
    hidden: impl Fn(&str) -> Option<(Bytes, u64)>,
) -> Result<Vec<SwarmService>, RecordError> {
    let offers = entry::<Offers>(&hidden, OFFERS)?;
    Ok(offers.map(|at| at.value.services).unwrap_or_default())
}

fn entry<T: DeserializeOwned>(
    hidden: &impl Fn(&str) -> Option<(Bytes, u64)>,
    key: &'static str,
) -> Result<Option<At<T>>, RecordError> {
    hidden(key)
        .map(|(bytes, index)| {
            let value = decode(key, &bytes)?;
            Ok(At { value, index })
        })
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_keeps_its_form_and_a_newer_one_is_named() {
        let intent = Intent {
            node: NodeId::from_u128(7),
            engine: "ENGINE".into(),
        };
        let bytes = encode(INTENT, &intent).unwrap();
        let written = r#"{"v":1,"node":"00000000-0000-0000-0000-000000000007","engine":"ENGINE"}"#;
        assert_eq!(
            bytes,
            written.as_bytes(),
            "what version 1 wrote is read for ever"
        );
        assert_eq!(decode::<Intent>(INTENT, &bytes).unwrap(), intent);
        let newer = decode::<Intent>(INTENT, br#"{"v":2,"who":1}"#).unwrap_err();
        assert!(newer.to_string().contains("version 2"), "{newer}");
    }

    #[test]
    fn the_offers_of_version_1_are_read() {
        let written = br#"{"v":1,"services":[{"id":"i","name":"web","labels":{"SERVICE_TAGS":"a"},"ports":[{"target":{"number":80,"protocol":"tcp"},"published":8080}]}]}"#;
        let offers: Offers = decode(OFFERS, written).unwrap();
        assert_eq!(offers.services[0].ports[0].published, 8080);
        assert_eq!(encode(OFFERS, &offers).unwrap(), &written[..]);
    }

    #[test]
    fn the_nodes_of_version_1_are_read() {
        let written = br#"{"v":1,"nodes":{"00000000-0000-0000-0000-000000000007":{"swarm":"s7","name":"n7"}}}"#;
        let nodes: Nodes = decode(NODES, written).unwrap();
        assert_eq!(nodes.nodes[&NodeId::from_u128(7)].swarm, "s7");
    }
}
