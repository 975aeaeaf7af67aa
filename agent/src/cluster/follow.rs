//! Following: a worker's copy of the public part of the state, over one stream from any server.

use std::sync::Arc;
use std::time::Duration;

use super::messages::{Followed, Open};
use super::path::Path;
use super::peers::Peers;
use crate::model::{MemberStatus, NodeId, Role, Topic};
use crate::rpc::{FrameStream, RpcError};
use crate::state::State;
use crate::store::Store;
use crate::task::{Backoff, Shutdown};

/// A sign of life, when nothing changes.
const STILL: Duration = Duration::from_millis(500);
/// A stream that is silent for longer is dead.
const SILENCE: Duration = Duration::from_secs(2);
/// A snapshot travels in parts of this size.
const PART: usize = 1024 * 1024;

fn public_topics() -> Vec<Topic> {
    vec![
        Topic::Nodes,
        Topic::Services,
        Topic::Checks,
        Topic::Members,
        Topic::Duties,
    ]
}

/// The server's side: sends everything, then what changes.
pub async fn serve(store: &Store, mut stream: FrameStream) -> Result<(), RpcError> {
    let watch = store.watch(public_topics());
    let (mut sent, index) = store.state_at();
    let whole = postcard::to_stdvec(&sent.public()).unwrap_or_default();
    let parts = whole.chunks(PART).count().max(1);
    for (at, part) in whole.chunks(PART).enumerate() {
        let last = at + 1 == parts;
        send(
            &mut stream,
            &Followed::Snapshot {
                index,
                part: part.to_vec(),
                last,
            },
        )
        .await?;
    }
    drop(whole);
    loop {
        tokio::select! {
            () = watch.changed() => {}
            () = tokio::time::sleep(STILL) => {}
            gone = stream.source.next() => return gone.map(|_| ()),
        }
        let (now, index) = store.state_at();
        let rows = State::delta(&sent, &now);
        let contact = store.contact();
        let item = Followed::News {
            index,
            rows,
            leader: contact.leader,
            age: u64::try_from(contact.age.as_millis()).unwrap_or(u64::MAX),
        };
        sent = now;
        send(&mut stream, &item).await?;
    }
}

async fn send(stream: &mut FrameStream, item: &Followed) -> Result<(), RpcError> {
    stream
        .sink
        .send(postcard::to_stdvec(item).unwrap_or_default())
        .await
}

/// The worker's side.
pub struct Follower {
    /// The worker's copy.
    pub store: Arc<Store>,
    /// The way to servers; learns from the stream where they are.
    pub path: Arc<Path>,
    /// Connections.
    pub peers: Arc<Peers>,
}

impl Follower {
    /// Follows one server after another until `shutdown` begins. The copy goes on answering while
    /// there is none.
    pub async fn run(self, shutdown: Shutdown) {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
        while !shutdown.is_begun() {
            if let Some((node, address)) = self.path.candidates().first().copied() {
                let followed = async {
                    let stream = self.peers.stream_at(node, address, &Open::Follow).await;
                    let stream = stream.map_err(|error| error.to_string())?;
                    self.follow(node, stream, &mut backoff).await
                };
                tokio::select! {
                    () = shutdown.begun() => return,
                    ended = followed => if let Err(error) = ended {
                        tracing::debug!(server = %address, error, "the follow stream ended");
                    },
                }
                self.path.avoid(node);
            }
            tokio::select! {
                () = shutdown.begun() => {}
                () = tokio::time::sleep(backoff.next_delay()) => {}
            }
        }
    }

    async fn follow(
        &self,
        server: NodeId,
        mut stream: FrameStream,
        backoff: &mut Backoff,
    ) -> Result<(), String> {
        let mut feed = Feed::new(&self.store);
        loop {
            let item = tokio::time::timeout(SILENCE, stream.source.next()).await;
            let item = item
                .map_err(|_| "silent for too long")?
                .map_err(|e| e.to_string())?;
            let item = postcard::from_bytes(&item).map_err(|error| error.to_string())?;
            if let Followed::News { leader, age, .. } = &item {
                self.path
                    .heard_server(server, *leader, Duration::from_millis(*age));
            }
            if feed.take(item)? {
                self.learn_servers(&feed.state);
                backoff.reset();
            }
        }
    }

    fn learn_servers(&self, state: &State) {
        let servers = state
            .members()
            .filter(|member| member.role == Role::Server && member.status != MemberStatus::Leaving)
            .map(|member| (member.id, member.rpc()))
            .collect();
        self.path.learn(servers);
    }
}

/// What comes from one server, put together.
struct Feed<'a> {
    store: &'a Store,
    parts: Vec<u8>,
    state: State,
}

impl<'a> Feed<'a> {
    fn new(store: &'a Store) -> Self {
        Self {
            store,
            parts: Vec::new(),
            state: State::default(),
        }
    }

    /// Whether the members may have changed.
    fn take(&mut self, item: Followed) -> Result<bool, String> {
        match item {
            Followed::Snapshot { part, last, index } => {
                self.parts.extend_from_slice(&part);
                if !last {
                    return Ok(false);
                }
                let parts = std::mem::take(&mut self.parts);
                // A server that is behind would bring back what this node has seen go.
                let (_, have) = self.store.state_at();
                if index < have {
                    return Err(format!(
                        "the server is behind: it has {index}, this node {have}"
                    ));
                }
                self.state = postcard::from_bytes(&parts).map_err(|error| error.to_string())?;
                self.store.replace(self.state.clone(), index);
                Ok(true)
            }
            Followed::News { index, rows, .. } if rows.is_empty() => {
                self.store.advance(index);
                Ok(false)
            }
            Followed::News { index, rows, .. } => {
                let mut changed = Vec::new();
                self.state.follow(rows, &mut changed);
                self.store.publish(self.state.clone(), index, &changed);
                Ok(changed.contains(&Topic::Members))
            }
        }
    }
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
