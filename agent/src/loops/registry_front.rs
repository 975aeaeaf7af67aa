//! Where the registry's front sends requests, and rule L5: whether a push may be acknowledged.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use rustls::pki_types::ServerName;
use tokio::sync::watch;

use super::registry::{Serving, Tenure, changed};
use crate::model::{BootId, Duty, DutyHolder, Member, NodeId, Topic};
use crate::registry::{Admission, Credential, Gate, Host, Route};
use crate::state::State;
use crate::store::{Store, Watch};
use crate::task::{Looper, Next, Round, Shutdown};

const TICK: Duration = Duration::from_secs(5);
/// How long a push waits for the leader to confirm the duty.
const CONFIRM: Duration = Duration::from_secs(5);

/// What a credential is worth; handed in, since it knows the CA and the tokens.
pub type Authorizer = Arc<dyn Fn(Credential<'_>) -> Admission + Send + Sync>;

/// The front's gate: admission by the authorizer, rule L5 by the store.
pub struct StoreGate {
    me: NodeId,
    boot: BootId,
    store: Arc<Store>,
    authorizer: Authorizer,
}

impl StoreGate {
    /// The gate of this node, in this process.
    #[must_use]
    pub fn new(me: NodeId, boot: BootId, store: Arc<Store>, authorizer: Authorizer) -> Arc<Self> {
        Arc::new(Self {
            me,
            boot,
            store,
            authorizer,
        })
    }
}

impl Gate for StoreGate {
    fn admit(&self, credential: Credential<'_>) -> Admission {
        (self.authorizer)(credential)
    }

    fn confirm(&self, sequencer: u64) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let looked = tokio::time::timeout(CONFIRM, self.store.linearize()).await;
            looked
                .map_err(|_| format!("no leader confirmed it within {} s", CONFIRM.as_secs()))?
                .map_err(|error| error.to_string())?;
            let wanted = DutyHolder {
                node: self.me,
                boot: self.boot,
                sequencer,
            };
            match self.store.state().duty(Duty::Registry) {
                Some(holder) if holder == wanted => Ok(()),
                Some(holder) => Err(format!("node {} has the registry now", holder.node)),
                None => Err("the registry has no host now".to_owned()),
            }
        })
    }
}

/// Keeps the front's route up to date.
pub struct RouteLoop {
    me: NodeId,
    boot: BootId,
    store: Arc<Store>,
    serving: watch::Receiver<Option<Serving>>,
    tenure: Tenure,
    watch: Watch,
    route: watch::Sender<Route>,
}

impl RouteLoop {
    /// The loop, and the route, now and later. `serving` is the registry loop's; on a node without
    /// one, a receiver whose value is and stays `None`.
    #[must_use]
    pub fn new(
        me: NodeId,
        boot: BootId,
        store: Arc<Store>,
        serving: watch::Receiver<Option<Serving>>,
        tenure: Tenure,
    ) -> (Self, watch::Receiver<Route>) {
        let (route, routes) = watch::channel(Route::Nowhere);
        let this = Self {
            me,
            boot,
            watch: store.watch(vec![Topic::Duties, Topic::Members]),
            store,
            serving,
            tenure,
            route,
        };
        (this, routes)
    }

    /// Runs until the shutdown begins.
    pub fn run(self, shutdown: &Shutdown) -> BoxFuture<'static, ()> {
        Box::pin(Looper::new("registry-route", TICK, shutdown).run(self))
    }

    /// This loop never waits for anyone, so requests are cut off as soon as the lease or the duty
    /// is known to be gone, whatever the registry's loop is waiting for.
    fn look(&mut self) -> Route {
        let state = self.store.state();
        let lease = self.tenure.is_held();
        let term = self.serving.borrow_and_update().clone();
        let Some(holder) = state.duty(Duty::Registry) else {
            return Route::Nowhere;
        };
        if holder.node == self.me {
            let term = term.filter(|term| {
                lease && holder.boot == self.boot && holder.sequencer == term.sequencer
            });
            return term.map_or(Route::Nowhere, |term| Route::Here {
                sequencer: term.sequencer,
                socket: term.socket,
            });
        }
        let host = state.member(holder.node).and_then(|member| {
            Some(Host {
                address: SocketAddr::new(member.address, member.ports.registry),
                name: node_name(&state, member)?,
            })
        });
        host.map_or(Route::Nowhere, Route::There)
    }
}

/// The name that only this member's certificate has.
fn node_name(state: &State, member: &Member) -> Option<ServerName<'static>> {
    let cluster = state.cluster()?;
    let name = format!("{}.node.{}.{}", member.name, cluster.dc, cluster.stack);
    ServerName::try_from(name).ok()
}

impl Round for RouteLoop {
    type Error = Infallible;

    async fn wake(&mut self) {
        tokio::select! {
            () = self.watch.changed() => {}
            () = changed(&mut self.serving) => {}
            () = self.tenure.turns() => {}
        }
    }

    async fn round(&mut self) -> Result<Next, Infallible> {
        let route = self.look();
        self.route.send_if_modified(|now| {
            let changed = *now != route;
            *now = route;
            changed
        });
        Ok(Next::OnTick)
    }
}
