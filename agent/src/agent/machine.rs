//! Which of a cloud's machines this node is: for the catalog, so that the leader can ask what
//! became of it.

use std::sync::Arc;
use std::time::Duration;

use crate::decide::witness;
use crate::discover::Sources;
use crate::model::BootId;
use crate::store::LocalServices;
use crate::task::{Backoff, Shutdown};

const FIRST: Duration = Duration::from_secs(2);
const CALM: Duration = Duration::from_secs(60);
/// A machine may get its tags only after its start; one that is none of a cloud's costs it little.
const UNKNOWN: Duration = Duration::from_secs(60);

/// Returns when it is known, when there is no cloud in `join`, or at the shutdown.
pub(super) async fn learn(
    sources: Sources,
    local: Arc<LocalServices>,
    boot: BootId,
    shutdown: Shutdown,
) {
    tokio::select! {
        () = ask(&sources, &local, boot) => {}
        () = shutdown.begun() => {}
    }
}

async fn ask(sources: &Sources, local: &LocalServices, boot: BootId) {
    let mut pace = Backoff::new(FIRST, CALM);
    let mut told = false;
    while sources.clouds().next().is_some() {
        let mut trouble = None;
        for cloud in sources.clouds() {
            let provider = cloud.provider();
            match provider.this_machine().await {
                Ok(Some(machine)) => {
                    tracing::info!(cloud = provider.kind(), machine, "this machine");
                    local.tell(witness::metadata(provider.kind(), &machine, boot));
                    return;
                }
                Ok(None) => {}
                Err(error) => trouble = Some(error),
            }
        }
        let Some(error) = trouble else {
            pace.reset();
            tokio::time::sleep(UNKNOWN).await;
            continue;
        };
        if !told {
            tracing::info!("which machine this is, is not known yet: {error}");
            told = true;
        }
        tokio::time::sleep(pace.next_delay()).await;
    }
}
