//! Anti-entropy: keeps the catalog saying of this node what its agent says. The twin of
//! [`crate::decide::services`].

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch as signal;

use crate::model::Topic;
use crate::store::{LocalServices, Store, SyncError, Watch};
use crate::task::{Looper, Next, Round, Shutdown};

/// A full look comes after this, plus up to as much at random, so that a cluster's agents don't
/// look at once.
const TICK: Duration = Duration::from_secs(60);

struct Services {
    store: Arc<Store>,
    local: Arc<LocalServices>,
    changes: signal::Receiver<u64>,
    catalog: Watch,
}

/// Runs until the shutdown begins.
pub async fn run(store: Arc<Store>, local: Arc<LocalServices>, shutdown: Shutdown) {
    let topic = Topic::Node(local.node().name.to_lowercase());
    let services = Services {
        changes: local.changes(),
        catalog: store.watch(vec![topic]),
        store,
        local,
    };
    Looper::new("services", 2 * TICK, &shutdown)
        .run(services)
        .await;
}

impl Round for Services {
    type Error = SyncError;

    async fn wake(&mut self) {
        tokio::select! {
            Ok(()) = self.changes.changed() => {}
            () = self.catalog.changed() => {}
        }
    }

    async fn round(&mut self) -> Result<Next, SyncError> {
        let written = self.local.sync(&self.store).await?;
        if written > 0 {
            tracing::debug!(
                written,
                "the catalog was brought up to this agent's services"
            );
        }
        let (random, _) = uuid::Uuid::new_v4().as_u64_pair();
        let spread = Duration::from_millis(random % 60_000);
        Ok(Next::After(TICK + spread))
    }
}
