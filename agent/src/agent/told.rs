//! A machine that is told to go: it leaves well, and then tells its cloud.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::watch;

use super::AgentError;
use super::leaving::{self, Gone, Manner};
use super::member::Joined;
use crate::config::{Config, JoinSource, Keeper, SecretSource};
use crate::discover::{self, Orders};
use crate::loops::swarm::SwarmStatus;
use crate::loops::told::{self, Given};
use crate::store::raft::Raft;
use crate::task::Tasks;

/// A hook that hears nothing gives up after its own timeout, 30 s at the least.
const HOLD: Duration = Duration::from_secs(20);
/// The cloud is told that the machine may end so often, and then left to its own timeout.
const TRIES: u32 = 15;
const PAUSE: Duration = Duration::from_secs(2);

/// Listens from now on.
pub(super) struct Ear {
    given: watch::Receiver<Option<Given>>,
}

impl Ear {
    /// To the clouds in `join`, and to the one that keeps the token, as tasks that never hold
    /// anything up.
    pub(super) fn listen(config: &Config, tasks: &Tasks) -> Self {
        let (given, heard) = watch::channel(None);
        let none = BTreeMap::new();
        let keeper = match &config.token {
            SecretSource::Kept(Keeper::Guestinfo, _) => Some(("vsphere", &none)),
            _ => None,
        };
        let clouds = config.join.iter().filter_map(|source| match source {
            JoinSource::Provider { kind, args, .. } => Some((*kind, args)),
            JoinSource::Address(_) | JoinSource::Dns { .. } => None,
        });
        let clouds = keeper.into_iter().chain(clouds);
        // Of several entries for one cloud any will do: it is this machine that is asked about.
        for (kind, args) in clouds.collect::<BTreeMap<_, _>>() {
            if let Some(orders) = discover::orders(kind, args) {
                let name = format!("told ({})", orders.kind());
                let loop_ = told::run(orders, given.clone(), tasks.shutdown().clone());
                tasks.critical(name, loop_);
            }
        }
        Self { given: heard }
    }

    /// Returns when the machine is told to go.
    pub(super) async fn told(&self) -> Given {
        let mut given = self.given.clone();
        loop {
            if let Some(given) = given.borrow_and_update().clone() {
                return given;
            }
            if given.changed().await.is_err() {
                // Nobody will ever tell.
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Leaves, as long as that takes within its bounds, and tells the cloud.
pub(super) async fn go(
    joined: &Joined,
    raft: Option<&Raft>,
    swarm: Option<watch::Receiver<SwarmStatus>>,
    given: &Given,
) -> Result<Gone, AgentError> {
    let leaving = leaving::leave(joined, raft, swarm, Manner::Told(given.marching.patience));
    let gone = tokio::select! {
        gone = leaving => gone,
        never = hold(&*given.by) => match never {},
    };
    done(&*given.by).await;
    gone
}

async fn hold(orders: &dyn Orders) -> Infallible {
    loop {
        tokio::time::sleep(HOLD).await;
        match orders.hold().await {
            Ok(()) => tracing::info!(cloud = orders.kind(), "asked for more time to leave"),
            Err(error) => tracing::warn!("could not ask for more time to leave: {error}"),
        }
    }
}

/// For a machine that is told to go before it has joined: it need not.
pub(super) async fn instead_of_joining(given: &Given) {
    tracing::warn!("this machine is about to end: it does not join");
    done(&*given.by).await;
}

/// Lets the machine end.
async fn done(orders: &dyn Orders) {
    for _ in 0..TRIES {
        match orders.done().await {
            Ok(()) => {
                tracing::info!(
                    cloud = orders.kind(),
                    "told the cloud that the machine may end"
                );
                return;
            }
            Err(error) => {
                tracing::warn!("could not tell the cloud that the machine may end: {error}")
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}
