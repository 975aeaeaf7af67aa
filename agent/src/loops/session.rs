//! The leader's keeper of sessions: ends those whose TTL is over.

use std::collections::BTreeSet;
use std::time::Duration;

use super::leader::{LeaderError, LeaderHands, unless_deposed};
use crate::decide::session::plan;
use crate::model::Op;
use crate::task::{Looper, Next, Round, Shutdown};

const TICK: Duration = Duration::from_millis(500);

struct Sessions {
    hands: LeaderHands,
}

/// Runs until `shutdown`.
pub async fn run(hands: LeaderHands, shutdown: Shutdown) {
    Looper::new("sessions", TICK, &shutdown)
        .run(Sessions { hands })
        .await;
}

impl Round for Sessions {
    type Error = LeaderError;

    async fn wake(&mut self) {
        std::future::pending::<()>().await;
    }

    async fn round(&mut self) -> Result<Next, LeaderError> {
        unless_deposed(self.look().await)
    }
}

impl Sessions {
    async fn look(&mut self) -> Result<Next, LeaderError> {
        if !self.hands.lead() {
            return Ok(Next::OnTick);
        }
        let state = self.hands.store.state();
        let alive: BTreeSet<_> = state
            .sessions()
            .iter()
            .filter(|s| s.ttl.is_some())
            .map(|s| s.id)
            .collect();
        let over = self.hands.memory.expire_sessions(&alive, |renewed, now| {
            let sessions = state.sessions().iter().map(|session| &**session);
            plan(sessions, renewed, now)
        });
        if !over.is_empty() {
            tracing::info!(sessions = over.len(), "sessions expired");
            self.hands.propose(Op::SessionsExpire(over)).await?;
        }
        Ok(Next::OnTick)
    }
}
