//! Floor 4: where other servers may be, and what a cloud knows of this cluster's machines.
//!
//! Owns: turning the `join` list into addresses, each time anew, and the [`Provider`]s, one folder
//! a cloud. Does not own: who is asked, and what follows from the answers. Always true: trouble
//! with one source never hides what another one finds, an empty answer is a normal one, and nobody
//! waits for a cloud that does not answer.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use crate::config::AdminNetwork;

pub mod aws;
pub mod guestinfo;

mod ask;
mod azure;
mod cloud;
#[cfg(test)]
mod double;
mod gce;
mod oauth;
mod orders;
mod provider;
mod said;
mod vsphere;
mod web;

pub use cloud::Cloud;
pub use orders::Orders;
pub use provider::{Fate, LeftOut, Machine, Provider, ProviderError};

/// A look-up that takes longer counts as empty.
const LOOKUP: Duration = Duration::from_secs(3);

/// The provider behind `provider=kind`, with the arguments that `config` has let through.
/// `network` narrows a machine's addresses to the nodes' own network, where it is one.
pub fn open(
    kind: &'static str,
    args: &BTreeMap<String, String>,
    network: &AdminNetwork,
) -> Result<Arc<dyn Provider>, ProviderError> {
    match kind {
        "aws" => Ok(Arc::new(aws::Aws::new(args, network)?)),
        "azure" => Ok(Arc::new(azure::Azure::new(args, network)?)),
        "gce" => Ok(Arc::new(gce::Gce::new(args, network)?)),
        "vsphere" => Ok(Arc::new(vsphere::Vsphere::new(args, network)?)),
        _ => {
            let expected = "one that this build can ask";
            Err(ProviderError::argument(kind, "provider", expected))
        }
    }
}

/// How that cloud tells a machine of its own that it will end, if it does.
#[must_use]
pub fn orders(kind: &str, args: &BTreeMap<String, String>) -> Option<Arc<dyn Orders>> {
    match kind {
        "aws" => Some(Arc::new(orders::Instance::new(aws::Api::new(args).ok()?))),
        "vsphere" => Some(Arc::new(orders::OwnersKey)),
        _ => None,
    }
}

/// One entry of `join`.
#[derive(Clone)]
pub enum Source {
    /// A fixed address.
    Address(SocketAddr),
    /// A host name, looked up by the system's resolver each time.
    Dns {
        /// The name.
        host: String,
        /// The RPC port there.
        port: u16,
    },
    /// What a cloud knows.
    Cloud(Arc<Cloud>),
}

/// All entries of `join`.
#[derive(Clone, Default)]
pub struct Sources {
    list: Vec<Source>,
}

impl Sources {
    /// These.
    #[must_use]
    pub fn new(list: Vec<Source>) -> Self {
        Self { list }
    }

    /// The clouds among them.
    pub fn clouds(&self) -> impl Iterator<Item = &Arc<Cloud>> {
        self.list.iter().filter_map(|source| match source {
            Source::Cloud(cloud) => Some(cloud),
            Source::Address(_) | Source::Dns { .. } => None,
        })
    }

    /// What they come to now.
    pub async fn addresses(&self) -> BTreeSet<SocketAddr> {
        self.look().await.0
    }

    /// What they come to now, and how many of them came to nothing: behind each of those there may
    /// be a server.
    pub async fn look(&self) -> (BTreeSet<SocketAddr>, usize) {
        let found = join_all(self.list.iter().map(addresses_of)).await;
        let silent = found.iter().filter(|addresses| addresses.is_empty());
        let silent = silent.count();
        (found.into_iter().flatten().collect(), silent)
    }
}

async fn addresses_of(source: &Source) -> Vec<SocketAddr> {
    match source {
        Source::Address(address) => vec![*address],
        Source::Cloud(cloud) => cloud.addresses().await,
        Source::Dns { host, port } => {
            let lookup = tokio::net::lookup_host((host.as_str(), *port));
            match tokio::time::timeout(LOOKUP, lookup).await {
                Ok(Ok(found)) => found.collect(),
                Ok(Err(error)) => {
                    tracing::debug!(host, %error, "a name in `join` does not resolve");
                    Vec::new()
                }
                Err(_) => {
                    tracing::debug!(host, "a name in `join` did not resolve in time");
                    Vec::new()
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_that_does_not_resolve_hides_nothing() {
        let fixed: SocketAddr = "127.0.0.9:8300".parse().unwrap();
        let sources = Sources::new(vec![
            Source::Dns {
                host: "no.such.name.invalid".into(),
                port: 8300,
            },
            Source::Address(fixed),
            Source::Dns {
                host: "localhost".into(),
                port: 8300,
            },
        ]);
        let (found, silent) = sources.look().await;
        assert_eq!(silent, 1);
        assert!(found.contains(&fixed));
        assert!(
            found
                .iter()
                .any(|address| address.ip().is_loopback() && *address != fixed)
        );
    }
}
