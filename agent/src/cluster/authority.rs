//! The CA in the hands of a server that is a member: admits nodes, signs and renews certificates.

use std::sync::Arc;
use std::time::SystemTime;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::founding::{self, CA_KEY, JOIN_KEY, PROOF_KEY};
use super::join_door::{Host, Joiner};
use super::join_messages::{Founding, JoinReply, Login};
use super::me::Me;
use super::papers::{Papers, ServerPapers};
use crate::decide::bootstrap::{Announcement, Bid, Standing};
use crate::model::{
    CaRow, ClusterId, Member, MemberStatus, NodeId, Op, Reply, Role, TokenId, TokenRow,
};
use crate::pki::{
    Ca, Csr, DataKey, JoinKey, Lifetime, PkiError, ProofKey, Subject, Token, open, random,
};
use crate::store::raft::Raft;
use crate::store::{Store, StoreError};
use crate::task::clock;

const STILL_FORMING: &str = "the cluster is still forming: try again in a moment";

/// Why the authority did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// Keys and certificates.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The cluster.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The state said no.
    #[error("{0}")]
    Refused(String),
}

/// A server's authority.
#[derive(Clone)]
pub struct Authority {
    me: Arc<Me>,
    cluster: ClusterId,
    papers: Arc<ServerPapers>,
    store: Arc<Store>,
    raft: Raft,
}

impl Authority {
    /// With a server's papers.
    #[must_use]
    pub fn new(
        me: Arc<Me>,
        cluster: ClusterId,
        papers: ServerPapers,
        store: Arc<Store>,
        raft: Raft,
    ) -> Self {
        Self {
            me,
            cluster,
            papers: Arc::new(papers),
            store,
            raft,
        }
    }

    fn data_key(&self) -> DataKey {
        DataKey::from_bytes(self.papers.data_key)
    }

    /// The state's CA, or the one in the papers while the state is still empty.
    fn ca_row(&self) -> CaRow {
        let state = self.store.state();
        state
            .ca()
            .cloned()
            .unwrap_or_else(|| self.papers.authority.clone())
    }

    fn ca(&self) -> Result<Ca, PkiError> {
        let row = self.ca_row();
        let key = open(&self.data_key(), CA_KEY, &row.sealed_key)?;
        Ca::from_parts(&row.cert_pem, &key)
    }

    /// Signs a node's certificate.
    pub fn sign(&self, csr: &Csr, member: &Member, now: SystemTime) -> Result<String, PkiError> {
        sign_with(&self.ca()?, &self.me, self.cluster, csr, member, now)
    }

    /// Renews the certificate of a member that shows its key; needs no quorum.
    pub fn renew(&self, caller: NodeId, csr: &[u8]) -> Result<String, AuthorityError> {
        let csr = Csr::from_der(csr)?;
        let state = self.store.state();
        let member = state
            .member(caller)
            .filter(|member| member.key == csr.fingerprint())
            .ok_or_else(|| {
                AuthorityError::Refused(format!("{caller} is not a member with that key"))
            })?;
        Ok(self.sign(&csr, member, clock::wall())?)
    }

    /// Makes a token through raft and returns it; only here is its text ever seen.
    pub async fn create_token(
        &self,
        role: Role,
        description: &str,
    ) -> Result<Token, AuthorityError> {
        let seed = open(&self.data_key(), JOIN_KEY, &self.ca_row().sealed_join_key)?;
        let join_key = JoinKey::from_seed(&seed)?;
        let token = Token::mint(role, &join_key.fingerprint());
        let created = self.store.state().time();
        let row = founding::token_row(&token, &self.data_key(), description, created)?;
        match self.store.write(Op::TokenPut(Box::new(row))).await? {
            Reply::Refused(refusal) => Err(AuthorityError::Refused(refusal.to_string())),
            _ => Ok(token),
        }
    }

    /// Takes a token out of use.
    pub async fn revoke_token(&self, id: TokenId) -> Result<(), AuthorityError> {
        match self.store.write(Op::TokenRevoke(id)).await? {
            Reply::Refused(refusal) => Err(AuthorityError::Refused(refusal.to_string())),
            _ => Ok(()),
        }
    }

    /// Whether a token is one of the cluster's, live and whole.
    #[must_use]
    pub fn accepts(&self, token: &Token) -> bool {
        let known = self.proof_key(token.id(), token.role());
        known.is_ok_and(|key| key.same(&token.proof_key()))
    }

    async fn admit_member(self, joiner: Joiner, member: Member) -> Result<JoinReply, String> {
        let known = self.store.state().member(member.id).is_some_and(|present| {
            present.key == member.key && present.name == member.name && present.role == member.role
        });
        let joined = self
            .store
            .write(Op::MemberJoin(Box::new(member.clone())))
            .await;
        match joined {
            Ok(Reply::Refused(refusal)) => return Err(refusal.to_string()),
            Ok(_) => {
                tracing::info!(node = %member.id, name = %member.name, role = %member.role, "admitted")
            }
            // Its papers need no quorum if it is a member already: so does a cluster come back
            // after its certificates have expired.
            Err(error) if known => {
                tracing::info!(node = %member.id, %error, "renewing without a quorum")
            }
            Err(error) => return Err(self.why_not(&error)),
        }
        let certificate = self
            .sign(&joiner.csr, &member, clock::wall())
            .map_err(|error| error.to_string())?;
        let row = self.ca_row();
        let state = self.store.state();
        let servers = state.members().filter(|member| member.role == Role::Server);
        let papers = Papers {
            node: member.id,
            place: (self.me.stack.clone(), self.me.dc.clone()),
            cluster: self.cluster,
            certificate,
            ca: row.cert_pem.clone(),
            servers: servers.map(|member| (member.id, member.rpc())).collect(),
            server: (member.role == Role::Server).then(|| ServerPapers {
                data_key: self.papers.data_key,
                authority: row,
                genesis: None,
            }),
        };
        Ok(JoinReply::Joined(Box::new(papers)))
    }

    /// R10: someone who waits for a quorum is told for which.
    fn why_not(&self, error: &StoreError) -> String {
        let state = self.store.state();
        let voters = self.raft.view().voters;
        let alive = voters
            .iter()
            .filter(|id| {
                state
                    .member(**id)
                    .is_some_and(|m| m.status == MemberStatus::Alive)
            })
            .count();
        format!(
            "cluster {} can't take a write now: {error}; {alive} of its {} voters were alive when \
             last heard of, {} are needed",
            self.cluster,
            voters.len(),
            voters.len() / 2 + 1
        )
    }

    fn login(&self, joiner: &Joiner) -> Result<JoinReply, String> {
        let state = self.store.state();
        // A bootstrap that is under way may still come to nothing, and has no members to name.
        if state.cluster().is_none() {
            return Err(STILL_FORMING.to_owned());
        }
        let subject = Subject {
            cluster: self.cluster,
            node: NodeId::from_u128(random::number()),
            role: Role::Operator,
            name: self.me.name.clone(),
            stack: self.me.stack.clone(),
            dc: self.me.dc.clone(),
            address: None,
        };
        let signed = self.ca().and_then(|ca| {
            ca.sign(
                &joiner.csr,
                &subject,
                clock::wall(),
                Lifetime(self.me.certificate),
            )
        });
        let servers = state.members().filter(|member| member.role == Role::Server);
        let login = Login {
            certificate: signed.map_err(|error| error.to_string())?,
            ca: self.ca_row().cert_pem,
            stack: self.me.stack.to_string(),
            dc: self.me.dc.to_string(),
            servers: servers
                .map(|member| std::net::SocketAddr::new(member.address, member.ports.https))
                .collect(),
        };
        tracing::info!(from = %joiner.address, "an operator logged in");
        Ok(JoinReply::LoggedIn(Box::new(login)))
    }

    fn token(&self, id: TokenId, role: Role) -> Result<TokenRow, String> {
        let state = self.store.state();
        let genesis = self
            .papers
            .genesis
            .iter()
            .flat_map(|genesis| &genesis.tokens);
        let row = match state.cluster() {
            Some(_) => state.token(id).map(|row| (**row).clone()),
            None => genesis.into_iter().find(|row| row.id == id).cloned(),
        };
        match row {
            None => Err(format!(
                "token {id} is not one of this cluster's; `swarmer token list` shows them"
            )),
            Some(row) if row.revoked => Err(format!("token {id} was revoked")),
            Some(row) if row.role != role => Err(format!(
                "token {id} is a {} token, not a {role} token",
                row.role
            )),
            Some(row) => Ok(row),
        }
    }

    /// A founder that has not its papers yet gets them from any other founder.
    fn founding_for(&self, theirs: &Announcement) -> Option<Founding> {
        let genesis = self.papers.genesis.clone()?;
        let wants = matches!(&theirs.standing, Standing::Promised(bid) if bid.cluster == self.cluster)
            && !theirs.renounced.contains(&self.cluster);
        let member = genesis
            .founders
            .iter()
            .find(|member| member.id == theirs.node)?;
        if !wants || member.key != theirs.member.key {
            return None;
        }
        let csr = Csr::from_der(&theirs.csr)
            .ok()
            .filter(|csr| csr.fingerprint() == member.key)?;
        let certificate = self.sign(&csr, member, clock::wall()).ok()?;
        Some(Founding {
            data_key: self.papers.data_key,
            certificate,
            genesis,
        })
    }
}

/// Signs with a CA at hand: also for a server's own certificate before its raft runs.
pub fn sign_with(
    ca: &Ca,
    me: &Me,
    cluster: ClusterId,
    csr: &Csr,
    member: &Member,
    now: SystemTime,
) -> Result<String, PkiError> {
    let subject = Subject {
        cluster,
        node: member.id,
        role: member.role,
        name: member.name.clone(),
        stack: me.stack.clone(),
        dc: me.dc.clone(),
        address: Some(member.address),
    };
    ca.sign(csr, &subject, now, Lifetime(me.certificate))
}

/// A server's own certificate, signed by itself from its papers (rule T5).
pub fn sign_own(
    me: &Me,
    cluster: ClusterId,
    papers: &ServerPapers,
    now: SystemTime,
) -> Result<String, PkiError> {
    let key = open(
        &DataKey::from_bytes(papers.data_key),
        CA_KEY,
        &papers.authority.sealed_key,
    )?;
    let ca = Ca::from_parts(&papers.authority.cert_pem, &key)?;
    let csr = Csr::new(&me.key, me.name.as_str())?;
    sign_with(&ca, me, cluster, &csr, &me.member(), now)
}

impl Host for Authority {
    fn proof_key(&self, token: TokenId, role: Role) -> Result<ProofKey, String> {
        let row = self.token(token, role)?;
        let key = open(
            &self.data_key(),
            &format!("{PROOF_KEY}{token}"),
            &row.sealed_proof_key,
        );
        key.and_then(|key| ProofKey::from_bytes(&key))
            .map_err(|error| error.to_string())
    }

    fn join_key(&self) -> Result<JoinKey, String> {
        let seed = open(&self.data_key(), JOIN_KEY, &self.ca_row().sealed_join_key);
        seed.and_then(|seed| JoinKey::from_seed(&seed))
            .map_err(|error| error.to_string())
    }

    fn announce(
        &self,
        theirs: Announcement,
        _founding: Option<Founding>,
        _joiner: &Joiner,
    ) -> Result<(Announcement, Option<Founding>), String> {
        let mine = Announcement {
            node: self.me.id,
            name: self.me.name.to_string(),
            role: self.me.role,
            expect: self.me.expect,
            standing: Standing::Member(self.cluster),
            renounced: std::collections::BTreeSet::new(),
            former: std::collections::BTreeSet::new(),
            known: std::collections::BTreeSet::new(),
            member: self.me.member(),
            csr: Vec::new(),
        };
        Ok((mine, self.founding_for(&theirs)))
    }

    fn promise(&self, _bid: Bid) -> Result<(), String> {
        Err(format!("this server is a member of {}", self.cluster))
    }

    fn admit(
        &self,
        joiner: Joiner,
        member: Option<Member>,
    ) -> BoxFuture<'static, Result<JoinReply, String>> {
        let this = self.clone();
        async move {
            match member {
                Some(member) => this.admit_member(joiner, member).await,
                None => this.login(&joiner),
            }
        }
        .boxed()
    }
}
