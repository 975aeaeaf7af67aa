//! Floor 4: where other servers may be.
//!
//! Owns: turning the `join` list into addresses, each time anew. Does not own: who is asked, and
//! what follows from the answers. Always true: trouble with one source never hides what another
//! one finds, and an empty answer is a normal one.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;

/// A look-up that takes longer counts as empty.
const LOOKUP: Duration = Duration::from_secs(3);

/// One entry of `join`.
#[derive(Clone, Debug, PartialEq, Eq)]
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
}

/// All entries of `join`.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    list: Vec<Source>,
}

impl Sources {
    /// These.
    #[must_use]
    pub fn new(list: Vec<Source>) -> Self {
        Self { list }
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
