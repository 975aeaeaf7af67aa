//! The joining side: a channel that both ends have proved themselves on.

use std::net::SocketAddr;
use std::time::Duration;

use super::join_messages::{Founding, JoinCall, JoinReply, Login, VERSION};
use super::papers::Papers;
use super::worker_door;
use crate::decide::bootstrap::{Announcement, Bid};
use crate::model::{Member, Role};
use crate::pki::proof::{self, Binding};
use crate::pki::{Csr, Token, join_client_config};
use crate::rpc::{self, Calls, RpcError};

const DIAL: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(5);
/// Joining waits for a commit.
const JOIN: Duration = Duration::from_secs(15);

/// Why a channel or a join failed.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The transport.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The other side does not know the token's secret: not our cluster, or not a server of it.
    #[error(
        "{address} did not prove that it knows the {role} token: it is not a server of this cluster ({why})"
    )]
    Impostor {
        /// Where.
        address: SocketAddr,
        /// The token's role.
        role: Role,
        /// What failed.
        why: String,
    },
    /// Refused, with the other side's words.
    #[error("{address} refused: {why}")]
    Refused {
        /// Where.
        address: SocketAddr,
        /// Why.
        why: String,
    },
    /// A worker, where a server was looked for.
    #[error("{address} is a worker; give the address of a server")]
    Worker {
        /// Where.
        address: SocketAddr,
        /// Whether it proved to be one of this cluster.
        proven: bool,
    },
    /// Not understood.
    #[error("{address} sent what this version does not understand")]
    Garbled {
        /// Where.
        address: SocketAddr,
    },
    /// Our own TLS or keys.
    #[error("cannot prepare the join: {0}")]
    Prepare(String),
}

/// A channel to one server, proven.
pub struct JoinChannel {
    address: SocketAddr,
    calls: Calls,
}

impl JoinChannel {
    /// Connects and proves.
    pub async fn open(
        address: SocketAddr,
        token: &Token,
        csr: &Csr,
        name: &str,
    ) -> Result<Self, JoinError> {
        let prepare = |error: String| JoinError::Prepare(error);
        let config = join_client_config().map_err(|error| prepare(error.to_string()))?;
        let dialed = rpc::dial(address, config, DIAL).await?;
        let binding = Binding {
            exporter: dialed.exporter,
            version: VERSION,
            role: token.role(),
            token: token.id(),
            csr_hash: csr.hash(),
            name: name.to_owned(),
        };
        let channel = Self {
            address,
            calls: Calls::over(dialed),
        };
        let hello = JoinCall::Hello {
            version: VERSION,
            role: token.role(),
            token: token.id(),
            csr: csr.der().to_vec(),
            name: name.to_owned(),
        };
        let (mac, join_key, signature) = match channel.call(&hello, ANSWER).await? {
            JoinReply::Proof {
                mac,
                join_key,
                signature,
            } => (mac, join_key, signature),
            JoinReply::Worker { token: id, mac } => {
                let said = (id, mac.as_slice());
                let proven = worker_door::is_proven(token, binding.exporter, csr, name, said);
                return Err(JoinError::Worker { address, proven });
            }
            _ => return Err(JoinError::Garbled { address }),
        };
        let impostor = |why: String| JoinError::Impostor {
            address,
            role: token.role(),
            why,
        };
        let key = token.proof_key();
        proof::verify_server_mac(&key, &binding, &mac).map_err(|e| impostor(e.to_string()))?;
        if let Some(fingerprint) = token.join_fingerprint() {
            proof::verify_join_signature(&fingerprint, &join_key, &binding, &signature)
                .map_err(|error| impostor(error.to_string()))?;
        }
        let mine = proof::joiner_mac(&key, &binding).to_vec();
        match channel.call(&JoinCall::Prove(mine), ANSWER).await? {
            JoinReply::Welcome => Ok(channel),
            _ => Err(JoinError::Garbled { address }),
        }
    }

    /// Whether the connection has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.calls.is_closed()
    }

    /// Tells what this server is, hears what the other is.
    pub async fn announce(
        &self,
        mine: Announcement,
        founding: Option<Founding>,
    ) -> Result<(Announcement, Option<Founding>), JoinError> {
        let call = JoinCall::Announce(Box::new(mine), founding.map(Box::new));
        match self.call(&call, ANSWER).await? {
            JoinReply::Announced(theirs, founding) => Ok((*theirs, founding.map(|papers| *papers))),
            _ => Err(JoinError::Garbled {
                address: self.address,
            }),
        }
    }

    /// Asks for a promise.
    pub async fn promise(&self, bid: Bid) -> Result<(), JoinError> {
        match self.call(&JoinCall::Promise(bid), ANSWER).await? {
            JoinReply::Promised => Ok(()),
            _ => Err(JoinError::Garbled {
                address: self.address,
            }),
        }
    }

    /// Joins.
    pub async fn join(&self, member: Member) -> Result<Papers, JoinError> {
        match self.call(&JoinCall::Join(Box::new(member)), JOIN).await? {
            JoinReply::Joined(papers) => Ok(*papers),
            _ => Err(JoinError::Garbled {
                address: self.address,
            }),
        }
    }

    /// Receives an operator's certificate.
    pub async fn login(&self) -> Result<Login, JoinError> {
        match self.call(&JoinCall::Login, ANSWER).await? {
            JoinReply::LoggedIn(login) => Ok(*login),
            _ => Err(JoinError::Garbled {
                address: self.address,
            }),
        }
    }

    async fn call(&self, call: &JoinCall, deadline: Duration) -> Result<JoinReply, JoinError> {
        let garbled = |_: postcard::Error| JoinError::Garbled {
            address: self.address,
        };
        let request = postcard::to_stdvec(call).map_err(garbled)?;
        let answer = self.calls.call(request, deadline).await?;
        match postcard::from_bytes(&answer).map_err(garbled)? {
            JoinReply::Refused(why) => Err(JoinError::Refused {
                address: self.address,
                why,
            }),
            reply => Ok(reply),
        }
    }
}
