//! The leader's keeper of leases: commits what `decide::lease` concludes, and reaps.

use std::time::Duration;

use futures_util::future::join_all;

use super::leader::{LeaderError, LeaderHands, unless_deposed};
use crate::decide::lease::Timing;
use crate::model::{LeaseEvent, Op};
use crate::store::raft::ViewWatch;
use crate::task::{Looper, Next, Round, Shutdown};

/// A silent host is noticed within the lease and this.
const TICK: Duration = Duration::from_millis(100);

/// The loop's state.
struct Leases {
    hands: LeaderHands,
    timing: Timing,
    view: ViewWatch,
}

/// Runs until `shutdown`.
pub async fn run(hands: LeaderHands, timing: Timing, shutdown: Shutdown) {
    let view = hands.raft.watch();
    let round = Leases {
        hands,
        timing,
        view,
    };
    Looper::new("leases", TICK, &shutdown).run(round).await;
}

impl Round for Leases {
    type Error = LeaderError;

    async fn wake(&mut self) {
        tokio::select! {
            () = self.hands.memory.bell.notified() => {}
            () = self.hands.raft.changed(&mut self.view) => {}
        }
    }

    async fn round(&mut self) -> Result<Next, LeaderError> {
        unless_deposed(self.look().await)
    }
}

impl Leases {
    async fn look(&mut self) -> Result<Next, LeaderError> {
        if !self.hands.lead() {
            return Ok(Next::OnTick);
        }
        let state = self.hands.store.state();
        let (events, reap) = self.hands.memory.with_table(|table, now| {
            let members = || state.members().map(|member| &**member);
            let events = table.plan(now, &self.timing, members());
            (events, table.to_reap(now, &self.timing, members()))
        });
        let hands = &self.hands;
        let proposals = events.into_iter().map(|(node, boot, event)| async move {
            if event != LeaseEvent::Held {
                tracing::info!(%node, ?event, "lease");
            }
            let done = hands.propose(Op::Lease { node, boot, event }).await;
            let known = done.as_ref().map_or_else(LeaderError::is_known, |()| true);
            hands
                .memory
                .with_table(|table, _| table.settle(node, event, known));
            done
        });
        let done: Vec<_> = join_all(proposals).await;
        for node in reap {
            tracing::warn!(%node, "reaping a member that has been gone for too long");
            self.hands.propose(Op::MemberRemove(node)).await?;
        }
        done.into_iter().collect::<Result<(), _>>()?;
        Ok(Next::OnTick)
    }
}
