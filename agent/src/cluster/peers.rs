//! The way to other agents: one connection for calls to each, made when it is first needed.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ClientConfig;
use tokio::sync::oneshot;

use super::messages::{Call, CallError, CallReply, Open};
use crate::model::{ClusterId, NodeId, Role};
use crate::pki::PeerIdentity;
use crate::rpc::{self, Calls, Dialed, FrameStream, RpcError};
use crate::task;

/// A connection that is not up within this counts as unreachable.
const DIAL: Duration = Duration::from_millis(1500);

/// Who waits longer than this for another's handshake tries its own: that one may have begun
/// while the link was cut.
const TURN: Duration = Duration::from_millis(200);

/// Why another agent did not answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PeersError {
    /// The transport.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// It answered with an error.
    #[error("{0}")]
    Refused(#[from] CallError),
    /// Someone else is at its address.
    #[error("at {address} is {found}, not {expected}")]
    WrongNode {
        /// Where.
        address: SocketAddr,
        /// Who is there.
        found: String,
        /// Who should be.
        expected: String,
    },
    /// Not understood.
    #[error("cannot read or write a message: {0}")]
    Codec(#[from] postcard::Error),
}

impl PeersError {
    /// Whether the request may have reached the other side.
    #[must_use]
    pub fn may_have_arrived(&self) -> bool {
        matches!(
            self,
            Self::Rpc(RpcError::Closed { .. } | RpcError::Timeout { .. }) | Self::Codec(_)
        )
    }
}

/// Gives the TLS config for the next connection: the certificate is renewed while we run.
pub type ClientTls = Arc<dyn Fn() -> Arc<ClientConfig> + Send + Sync>;

/// Connections to other agents.
pub struct Peers {
    cluster: ClusterId,
    tls: ClientTls,
    calls: Mutex<HashMap<SocketAddr, (NodeId, Calls)>>,
    /// All who call an address at once share one handshake.
    dialing: Mutex<HashMap<SocketAddr, Arc<tokio::sync::Mutex<()>>>>,
}

impl Peers {
    /// Without connections.
    #[must_use]
    pub fn new(cluster: ClusterId, tls: ClientTls) -> Arc<Self> {
        Arc::new(Self {
            cluster,
            tls,
            calls: Mutex::default(),
            dialing: Mutex::default(),
        })
    }

    /// Calls `node` at `address`.
    pub async fn call_at(
        self: &Arc<Self>,
        node: NodeId,
        address: SocketAddr,
        call: &Call,
        deadline: Duration,
    ) -> Result<CallReply, PeersError> {
        let request = postcard::to_stdvec(call)?;
        let calls = match self.present(node, address) {
            Some(calls) => calls,
            None => self.connect(node, address, deadline).await?,
        };
        let answer = calls.call(request, deadline).await;
        if calls.is_closed() || matches!(answer, Err(RpcError::Timeout { .. })) {
            self.forget_this(address, &calls);
        }
        let reply: Result<CallReply, CallError> = postcard::from_bytes(&answer?)?;
        Ok(reply?)
    }

    /// Opens a stream to `node` at `address`.
    pub async fn stream_at(
        &self,
        node: NodeId,
        address: SocketAddr,
        open: &Open,
    ) -> Result<FrameStream, PeersError> {
        let open = postcard::to_stdvec(open)?;
        let dialed = self.dial(node, address, DIAL).await?;
        Ok(FrameStream::open(dialed, open).await?)
    }

    /// Drops this connection, so that the next call makes a new one, unless someone did already.
    fn forget_this(&self, address: SocketAddr, bad: &Calls) {
        let mut all = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if all
            .get(&address)
            .is_some_and(|(_, calls)| calls.is_same(bad))
        {
            all.remove(&address);
        }
    }

    /// Drops all connections (our certificate changed).
    pub fn forget_all(&self) {
        self.calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    fn present(&self, node: NodeId, address: SocketAddr) -> Option<Calls> {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let (who, calls) = calls.get(&address)?;
        (*who == node && !calls.is_closed()).then(|| calls.clone())
    }

    /// The handshake goes on if the caller gives up: a vote has less time than one may take on a
    /// busy machine, and the next vote finds the connection made.
    async fn connect(
        self: &Arc<Self>,
        node: NodeId,
        address: SocketAddr,
        deadline: Duration,
    ) -> Result<Calls, PeersError> {
        let (done, made) = oneshot::channel();
        let peers = Arc::clone(self);
        let _ = task::spawn("rpc dial", async move {
            let _ = done.send(peers.connect_once(node, address).await);
        });
        let timeout = || RpcError::Timeout {
            address,
            after: deadline,
        };
        let made = tokio::time::timeout(deadline, made).await;
        made.map_err(|_| timeout())?.map_err(|_| timeout())?
    }

    async fn connect_once(&self, node: NodeId, address: SocketAddr) -> Result<Calls, PeersError> {
        let turn = {
            let mut dialing = self.dialing.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(dialing.entry(address).or_default())
        };
        let _turn = tokio::time::timeout(TURN, turn.lock()).await;
        if let Some(calls) = self.present(node, address) {
            return Ok(calls);
        }
        let calls = Calls::over(self.dial(node, address, DIAL).await?);
        let mut all = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(address, (node, calls.clone()));
        Ok(calls)
    }

    async fn dial(
        &self,
        node: NodeId,
        address: SocketAddr,
        deadline: Duration,
    ) -> Result<Dialed, PeersError> {
        let dialed = rpc::dial(address, (self.tls)(), deadline).await?;
        let identity = dialed.certificates.first().map(PeerIdentity::from_der);
        let wrong = |found: String| PeersError::WrongNode {
            address,
            found,
            expected: format!("server {node} of cluster {}", self.cluster),
        };
        match identity {
            Some(Ok(found))
                if found.node == node
                    && found.cluster == self.cluster
                    && found.role == Role::Server =>
            {
                Ok(dialed)
            }
            Some(Ok(found)) => Err(wrong(format!(
                "{} {} of cluster {}",
                found.role, found.node, found.cluster
            ))),
            Some(Err(error)) => Err(wrong(error.to_string())),
            None => Err(wrong("someone without a certificate".into())),
        }
    }
}
