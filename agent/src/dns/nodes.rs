//! A cluster's nodes, asked for its names from outside: an operator's machine has no catalog.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Semaphore;

use super::recurse::{ask, put_id};
use super::stats::Transport;

/// After this long without an answer the next node is asked too: nodes answer from memory, so what
/// takes longer is a long way or a dead host.
const STAGGER: Duration = Duration::from_millis(400);

/// Queries under way at once: each holds a socket or more.
const MOST_UNDER_WAY: usize = 200;

/// Where nodes answer DNS. The one that answered last is asked first.
#[derive(Debug)]
pub struct Nodes {
    places: RwLock<Vec<SocketAddr>>,
    first: AtomicUsize,
    slots: Semaphore,
}

impl Nodes {
    /// Those at `places`.
    #[must_use]
    pub fn new(places: Vec<SocketAddr>) -> Self {
        Self {
            places: RwLock::new(places),
            first: AtomicUsize::new(0),
            slots: Semaphore::new(MOST_UNDER_WAY),
        }
    }

    /// Nodes come and go: from now on these.
    pub fn replace(&self, places: Vec<SocketAddr>) {
        let mut present = self.places.write().unwrap_or_else(PoisonError::into_inner);
        if *present != places {
            *present = places;
            self.first.store(0, Ordering::Relaxed);
        }
    }

    /// Passes `query` on until a node gives a usable answer, which gets the client's own id.
    /// `question_end`: where the query's question ends.
    pub(super) async fn forward(
        &self,
        query: &[u8],
        question_end: usize,
        transport: Transport,
    ) -> Option<Vec<u8>> {
        let _slot = self.slots.try_acquire().ok()?;
        let places = self.order();
        let mut waiting = places.into_iter();
        let mut asked = FuturesUnordered::new();
        loop {
            if let Some((number, place)) = waiting.next() {
                asked.push(async move {
                    let answer = ask(place, query, question_end, transport).await;
                    (number, place, answer)
                });
            } else if asked.is_empty() {
                return None;
            }
            let more = waiting.len() > 0;
            let answered = tokio::select! {
                answered = asked.next() => answered,
                () = tokio::time::sleep(STAGGER), if more => continue,
            };
            match answered {
                Some((number, _, Ok(mut answer))) => {
                    self.first.store(number, Ordering::Relaxed);
                    put_id(&mut answer, query.get(..2)?);
                    return Some(answer);
                }
                Some((_, node, Err(error))) => {
                    tracing::debug!(%node, %error, "no answer from this node");
                }
                None => {}
            }
        }
    }

    /// All, with their numbers, from the first to be asked on.
    fn order(&self) -> Vec<(usize, SocketAddr)> {
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        let mut order: Vec<_> = places.iter().copied().enumerate().collect();
        if !order.is_empty() {
            let first = self.first.load(Ordering::Relaxed) % order.len();
            order.rotate_left(first);
        }
        order
    }
}
