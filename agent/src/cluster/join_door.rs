//! The answering side of a join channel.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::join_messages::{Founding, JoinCall, JoinReply, VERSION};
use crate::decide::bootstrap::{Announcement, Bid};
use crate::model::{Member, Role, TokenId};
use crate::pki::proof::{self, Binding};
use crate::pki::{Csr, JoinKey, ProofKey};
use crate::rpc::{Incoming, Peer};

/// Who has not proved that it knows a token by then is sent away: its place is others', too.
const PROOF: Duration = Duration::from_secs(10);

/// Who proved what on this channel.
#[derive(Clone, Debug)]
pub struct Joiner {
    /// The token's role.
    pub role: Role,
    /// The certificate request that the proof covers.
    pub csr: Csr,
    /// The name that the proof covers.
    pub name: String,
    /// From where.
    pub address: std::net::SocketAddr,
}

/// What stands behind the door: a blank server, or a member.
pub trait Host: Send + Sync + 'static {
    /// The key of a token's proof, or why it is not accepted.
    fn proof_key(&self, token: TokenId, role: Role) -> Result<ProofKey, String>;
    /// The key that shows that this is a server, not a stolen token.
    fn join_key(&self) -> Result<JoinKey, String>;
    /// Hears another server, tells of this one.
    fn announce(
        &self,
        theirs: Announcement,
        founding: Option<Founding>,
        joiner: &Joiner,
    ) -> Result<(Announcement, Option<Founding>), String>;
    /// Promises this server to a bootstrap.
    fn promise(&self, bid: Bid) -> Result<(), String>;
    /// Lets a node in, or gives an operator a certificate.
    fn admit(
        &self,
        joiner: Joiner,
        member: Option<Member>,
    ) -> BoxFuture<'static, Result<JoinReply, String>>;
}

/// Where one channel stands.
enum Stage {
    Fresh,
    Challenged {
        binding: Box<Binding>,
        key: ProofKey,
        joiner: Box<Joiner>,
    },
    Proven(Box<Joiner>),
}

/// Serves one join channel until it ends.
pub async fn serve(host: Arc<dyn Host>, peer: Peer, incoming: Incoming) {
    let peer_address = peer.address;
    let stage = Arc::new(Mutex::new(Stage::Fresh));
    let proof = {
        let stage = Arc::clone(&stage);
        async move {
            tokio::time::sleep(PROOF).await;
            if matches!(&*lock(&stage), Stage::Proven(_)) {
                std::future::pending::<()>().await;
            }
        }
    };
    let answers = incoming.answer(move |request| {
        let (host, stage, peer) = (Arc::clone(&host), Arc::clone(&stage), peer.clone());
        async move {
            let reply = match postcard::from_bytes(&request) {
                Ok(call) => answer(&*host, &stage, &peer, call).await,
                Err(_) => Err("that is not a join message of this version".to_owned()),
            };
            let reply = reply.unwrap_or_else(|why| {
                tracing::info!(from = %peer.address, why, "refused a joiner");
                JoinReply::Refused(why)
            });
            postcard::to_stdvec(&reply).unwrap_or_default()
        }
        .boxed()
    });
    tokio::select! {
        () = answers => {}
        () = proof => tracing::debug!(peer = %peer_address, "closing a channel without a proof"),
    }
}

async fn answer(
    host: &dyn Host,
    stage: &Mutex<Stage>,
    peer: &Peer,
    call: JoinCall,
) -> Result<JoinReply, String> {
    match call {
        JoinCall::Hello {
            version,
            role,
            token,
            csr,
            name,
        } => {
            if version != VERSION {
                return Err(format!(
                    "this server speaks version {VERSION} of the join, not {version}"
                ));
            }
            let csr = Csr::from_der(&csr).map_err(|error| error.to_string())?;
            let joiner = Joiner {
                role,
                csr,
                name,
                address: peer.address,
            };
            challenge(host, stage, peer, token, joiner)
        }
        JoinCall::Prove(mac) => prove(stage, &mac),
        proven => {
            let joiner = match &*lock(stage) {
                Stage::Proven(joiner) => (**joiner).clone(),
                _ => return Err("prove that you know a token first".into()),
            };
            serve_proven(host, joiner, proven).await
        }
    }
}

fn challenge(
    host: &dyn Host,
    stage: &Mutex<Stage>,
    peer: &Peer,
    token: TokenId,
    joiner: Joiner,
) -> Result<JoinReply, String> {
    let key = host.proof_key(token, joiner.role)?;
    let join_key = host.join_key()?;
    let binding = Binding {
        exporter: peer.exporter,
        version: VERSION,
        role: joiner.role,
        token,
        csr_hash: joiner.csr.hash(),
        name: joiner.name.clone(),
    };
    let reply = JoinReply::Proof {
        mac: proof::server_mac(&key, &binding).to_vec(),
        join_key: join_key.public().to_vec(),
        signature: proof::join_signature(&join_key, &binding).to_vec(),
    };
    let (binding, joiner) = (Box::new(binding), Box::new(joiner));
    *lock(stage) = Stage::Challenged {
        binding,
        key,
        joiner,
    };
    Ok(reply)
}

fn prove(stage: &Mutex<Stage>, mac: &[u8]) -> Result<JoinReply, String> {
    let mut stage = lock(stage);
    // One try a channel: whoever fails begins anew.
    match std::mem::replace(&mut *stage, Stage::Fresh) {
        Stage::Challenged {
            binding,
            key,
            joiner,
        } => {
            proof::verify_joiner_mac(&key, &binding, mac).map_err(|_| {
                format!(
                    "the {} token is wrong: its secret is not this cluster's",
                    joiner.role
                )
            })?;
            *stage = Stage::Proven(joiner);
            Ok(JoinReply::Welcome)
        }
        _ => Err("say hello first".into()),
    }
}

async fn serve_proven(
    host: &dyn Host,
    joiner: Joiner,
    call: JoinCall,
) -> Result<JoinReply, String> {
    let only = |role: Role| {
        if joiner.role == role {
            Ok(())
        } else {
            Err(format!(
                "a {} token does not entitle to that; use a {role} token",
                joiner.role
            ))
        }
    };
    match call {
        JoinCall::Announce(theirs, founding) => {
            only(Role::Server)?;
            let (mine, papers) = host.announce(*theirs, founding.map(|papers| *papers), &joiner)?;
            Ok(JoinReply::Announced(Box::new(mine), papers.map(Box::new)))
        }
        JoinCall::Promise(bid) => {
            only(Role::Server)?;
            host.promise(bid).map(|()| JoinReply::Promised)
        }
        JoinCall::Join(member) => {
            only(member.role)?;
            if member.key != joiner.csr.fingerprint() || member.name.as_str() != joiner.name {
                return Err("the member is not the one that the proof was about".into());
            }
            host.admit(joiner, Some(*member)).await
        }
        JoinCall::Login => {
            only(Role::Operator)?;
            host.admit(joiner, None).await
        }
        JoinCall::Hello { .. } | JoinCall::Prove(_) => Err("that was done already".into()),
    }
}

fn lock(stage: &Mutex<Stage>) -> std::sync::MutexGuard<'_, Stage> {
    stage.lock().unwrap_or_else(PoisonError::into_inner)
}
