//! How a worker becomes a member: it asks every server it knows of, again and again.

use std::sync::Arc;
use std::time::Duration;

use super::join_client::{JoinChannel, JoinError};
use super::me::Me;
use super::nursery::Said;
use super::papers::Papers;
use crate::discover::Sources;
use crate::pki::{Csr, PkiError, Token};
use crate::task::{Backoff, Shutdown};

/// Joins through any server; returns when it has papers, or `None` when the agent stops.
pub async fn join(
    me: &Arc<Me>,
    token: &Token,
    sources: &Sources,
    shutdown: &Shutdown,
) -> Result<Option<Papers>, PkiError> {
    let csr = Csr::new(&me.key, me.name.as_str())?;
    let mut pace = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
    let mut said = Said::default();
    loop {
        let mut addresses = sources.addresses().await;
        addresses.remove(&me.rpc());
        if addresses.is_empty() {
            said.say("`join` names no server that can be found");
        }
        for address in addresses {
            let tried = async {
                let channel = JoinChannel::open(address, token, &csr, me.name.as_str()).await?;
                channel.join(me.member()).await
            };
            let tried = tokio::select! {
                () = shutdown.begun() => return Ok(None),
                tried = tried => tried,
            };
            match tried {
                Ok(papers) => return Ok(Some(papers)),
                Err(JoinError::Rpc(error)) => {
                    tracing::debug!(%address, %error, "asked in vain");
                    said.say("none of the servers in `join` answers");
                }
                // Discovery may find both kinds.
                Err(JoinError::Worker { .. }) => {}
                Err(error) => said.say(&error.to_string()),
            }
        }
        said.publish(me);
        tokio::select! {
            () = shutdown.begun() => return Ok(None),
            () = tokio::time::sleep(pace.next_delay()) => {}
        }
    }
}
