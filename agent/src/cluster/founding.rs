//! What a cluster begins with: its CA, its tokens, its first secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use bytes::Bytes;

use super::authority::sign_with;
use super::join_messages::Founding;
use super::me::Me;
use crate::decide::bootstrap::{Announcement, Bid, Standing};
use crate::model::{
    CaRow, ClusterId, ClusterTime, Genesis, Member, NodeId, Role, TokenId, TokenRow,
};
use crate::pki::{Ca, Csr, DataKey, PkiError, ProofKey, Token, open, random, seal};

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
    /// A founder whose announcement can't be used.
    #[error("node {0} announces itself with a certificate request that can't be used")]
    BadFounder(NodeId),
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

/// Makes what the cluster begins with, and this founder's papers.
pub fn found(
    me: &Me,
    token: &Token,
    cluster: ClusterId,
    founders: &BTreeMap<NodeId, Announcement>,
    now: SystemTime,
) -> Result<Founding, FoundingError> {
    for (node, said) in founders {
        let fits = Csr::from_der(&said.csr).is_ok_and(|csr| csr.fingerprint() == said.member.key);
        if !fits || said.member.id != *node {
            return Err(FoundingError::BadFounder(*node));
        }
    }
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
    let csr = Csr::new(&me.key, me.name.as_str())?;
    let certificate = sign_with(&ca, me, cluster, &csr, &me.member(), now)?;
    Ok(Founding {
        genesis,
        data_key: *data_key.expose(),
        certificate,
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

impl Founding {
    /// The papers of the founder that announces itself, if it waits for them.
    pub fn papers_for(&self, theirs: &Announcement, me: &Me, now: SystemTime) -> Option<Self> {
        let cluster = self.genesis.cluster;
        let waits = matches!(&theirs.standing, Standing::Promised(bid) if bid.cluster == cluster)
            && !theirs.renounced.contains(&cluster);
        let member = self
            .genesis
            .founders
            .iter()
            .find(|member| member.id == theirs.node)?;
        if !waits || member.key != theirs.member.key {
            return None;
        }
        let csr = Csr::from_der(&theirs.csr).ok()?;
        let fits = csr.fingerprint() == member.key;
        let certificate = fits.then(|| self.sign(&csr, member, me, now))?.ok()?;
        Some(Self {
            genesis: self.genesis.clone(),
            data_key: self.data_key,
            certificate,
        })
    }

    fn sign(
        &self,
        csr: &Csr,
        member: &Member,
        me: &Me,
        now: SystemTime,
    ) -> Result<String, PkiError> {
        let row = &self.genesis.ca;
        let key = open(&DataKey::from_bytes(self.data_key), CA_KEY, &row.sealed_key)?;
        let ca = Ca::from_parts(&row.cert_pem, &key)?;
        sign_with(&ca, me, self.genesis.cluster, csr, member, now)
    }
}
