//! Listens to the machine's cloud: carries `decide::told` out, up to saying that it is time to go.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::decide::told::{Marching, Order, order};
use crate::discover::Orders;
use crate::task::{Backoff, Looper, Next, Round, Shutdown};

const LISTEN: Duration = Duration::from_secs(5);
/// Where nobody answers, there may be nobody.
const CALM: Duration = Duration::from_secs(60);

/// The order to go, and who gave it.
#[derive(Clone)]
pub struct Given {
    /// What it says.
    pub marching: Marching,
    /// Who wants to hear of it.
    pub by: Arc<dyn Orders>,
}

struct Told {
    orders: Arc<dyn Orders>,
    given: watch::Sender<Option<Given>>,
    pace: Backoff,
    hinted: Option<&'static str>,
    troubled: bool,
}

/// Runs until `shutdown`; the first order to go is the last.
pub async fn run(orders: Arc<dyn Orders>, given: watch::Sender<Option<Given>>, shutdown: Shutdown) {
    let round = Told {
        orders,
        given,
        pace: Backoff::new(LISTEN, CALM),
        hinted: None,
        troubled: false,
    };
    Looper::new("told", CALM, &shutdown).run(round).await;
}

impl Round for Told {
    type Error = Infallible;

    async fn wake(&mut self) {
        std::future::pending().await
    }

    async fn round(&mut self) -> Result<Next, Infallible> {
        if self.given.borrow().is_some() {
            return Ok(Next::OnTick);
        }
        let seen = match self.orders.seen().await {
            Ok(seen) => seen,
            Err(error) => {
                if !self.troubled {
                    let cloud = self.orders.kind();
                    tracing::info!(cloud, "would not hear that this machine ends: {error}");
                    self.troubled = true;
                }
                return Ok(Next::After(self.pace.next_delay()));
            }
        };
        self.troubled = false;
        self.pace.reset();
        let hint = match order(&seen) {
            Order::Stay => None,
            Order::Hint(hint) => Some(hint),
            Order::Go(marching) => {
                tracing::warn!(cloud = self.orders.kind(), "told to go: {}", marching.why);
                let by = Arc::clone(&self.orders);
                self.given.send_replace(Some(Given { marching, by }));
                return Ok(Next::OnTick);
            }
        };
        if let Some(hint) = hint.filter(|hint| self.hinted != Some(hint)) {
            tracing::warn!(cloud = self.orders.kind(), "{hint}");
        }
        self.hinted = hint;
        Ok(Next::After(LISTEN))
    }
}
