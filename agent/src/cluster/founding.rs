//! What a cluster begins with: its CA, its tokens, its first secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use bytes::Bytes;

use super::join_messages::Founding;
use super::me::Me;
use crate::decide::bootstrap::{Announcement, Bid};
use crate::model::{CaRow, ClusterId, ClusterTime, Genesis, NodeId, Role, TokenId, TokenRow};
use crate::pki::{Ca, Csr, DataKey, Lifetime, PkiError, ProofKey, Subject, Token, random, seal};

/// Contexts of sealed blobs: one never opens as another.
pub const CA_KEY: &str = "ca key";
/// See [`CA_KEY`].
pub const JOIN_KEY: &str = "join key";
/// See [`CA_KEY`]; the token's id follows.
pub const PROOF_KEY: &str = "proof key ";
/// The hidden entry of the registry's `http.secret`.
pub const REGISTRY_SECRET: &str = "registry/http-secret";

/// Why a cluster can't be founded.
#[derive(Debug, thiserror::Error)]
pub enum FoundingError {
    /// Keys and certificates.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The config has no server token.
    #[error(
        "this server's token is a {0} token; founding a cluster takes a server token: run `swarmer token new`"
    )]
    NotAServerToken(Role),
    /// Papers for a node that is no founder.
    #[error("node {0} is not a founder")]
    NotAFounder(NodeId),
}

/// Everything that is made once.
pub struct Founded {
    genesis: Genesis,
    data_key: DataKey,
    ca: Ca,
    requests: BTreeMap<NodeId, Csr>,
}

/// A new bid, led by this node.
#[must_use]
pub fn propose(me: &Me, members: BTreeSet<NodeId>) -> Bid {
    Bid {
        cluster: ClusterId::from_u128(random::number()),
        proposer: me.id,
        members,
    }
}

/// The proof key of this node's own token, or of one derived from it.
pub fn own_proof_key(own: &Token, asked: TokenId, role: Role) -> Result<ProofKey, String> {
    let candidates = [Role::Server, Role::Worker, Role::Operator];
    let derived = candidates.into_iter().filter_map(|role| match role {
        Role::Server => Some(own.clone()),
        other => own.derive(other).ok(),
    });
    let found = derived.into_iter().find(|token| token.id() == asked);
    match found {
        Some(token) if token.role() == role => Ok(token.proof_key()),
        Some(token) => Err(format!(
            "that is a {} token, not a {role} token",
            token.role()
        )),
        None => Err(format!(
            "token {asked} is unknown here: it was not derived from this server's token"
        )),
    }
}

/// Makes what the cluster begins with.
pub fn found(
    me: &Me,
    token: &Token,
    cluster: ClusterId,
    founders: BTreeMap<NodeId, Announcement>,
    now: SystemTime,
) -> Result<Founded, FoundingError> {
    let join_key = token
        .join_key()
        .ok_or(FoundingError::NotAServerToken(token.role()))?;
    let ca = Ca::generate(cluster, &me.stack, &me.dc, now)?;
    let data_key = DataKey::generate();
    let mut tokens = Vec::new();
    for token in [
        token.clone(),
        token.derive(Role::Worker)?,
        token.derive(Role::Operator)?,
    ] {
        tokens.push(token_row(&token, &data_key, "", ClusterTime::default())?);
    }
    let secret = random::bytes::<32>()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    let genesis = Genesis {
        cluster,
        stack: me.stack.clone(),
        dc: me.dc.clone(),
        expect: me.expect,
        founders: founders.values().map(|said| said.member.clone()).collect(),
        ca: CaRow {
            cert_pem: ca.cert_pem().to_owned(),
            sealed_key: seal(&data_key, CA_KEY, ca.key_der())?,
            sealed_join_key: seal(&data_key, JOIN_KEY, join_key.seed())?,
        },
        tokens,
        hidden: BTreeMap::from([(REGISTRY_SECRET.to_owned(), Bytes::from(secret))]),
    };
    let mut requests = BTreeMap::new();
    for (node, said) in founders {
        requests.insert(node, Csr::from_der(&said.csr)?);
    }
    Ok(Founded {
        genesis,
        data_key,
        ca,
        requests,
    })
}

/// What the state holds of a token.
pub fn token_row(
    token: &Token,
    data_key: &DataKey,
    description: &str,
    created: ClusterTime,
) -> Result<TokenRow, PkiError> {
    let id = token.id();
    let wrapped_data_key = match token.role() {
        Role::Server => Some(token.wrap(data_key)?),
        Role::Worker | Role::Operator => None,
    };
    Ok(TokenRow {
        id,
        role: token.role(),
        description: description.to_owned(),
        created,
        sealed_proof_key: seal(
            data_key,
            &format!("{PROOF_KEY}{id}"),
            token.proof_key().expose(),
        )?,
        wrapped_data_key,
        revoked: false,
    })
}

impl Founded {
    /// The papers of one founder.
    pub fn papers_of(
        &self,
        node: NodeId,
        me: &Me,
        now: SystemTime,
    ) -> Result<Founding, FoundingError> {
        let member = self
            .genesis
            .founders
            .iter()
            .find(|member| member.id == node);
        let (Some(member), Some(request)) = (member, self.requests.get(&node)) else {
            return Err(FoundingError::NotAFounder(node));
        };
        let subject = Subject {
            cluster: self.genesis.cluster,
            node,
            role: Role::Server,
            name: member.name.clone(),
            stack: me.stack.clone(),
            dc: me.dc.clone(),
            address: Some(member.address),
        };
        let certificate = self
            .ca
            .sign(request, &subject, now, Lifetime(me.certificate))?;
        Ok(Founding {
            genesis: self.genesis.clone(),
            data_key: *self.data_key.expose(),
            certificate,
        })
    }
}
