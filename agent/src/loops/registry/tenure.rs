//! Until when this node may act as one that holds its lease.

use std::time::Instant;

use tokio::sync::watch;

use crate::task::clock;

/// The node's own lease, as it knows itself: no word from anyone is needed for it to end.
#[derive(Clone, Debug)]
pub struct Tenure {
    until: watch::Receiver<Option<Instant>>,
    seen: bool,
}

impl Tenure {
    /// `until`: a lease's time after the last renewal that was acknowledged was *sent*.
    #[must_use]
    pub fn new(until: watch::Receiver<Option<Instant>>) -> Self {
        Self { until, seen: false }
    }

    /// Whether the lease is held now.
    pub fn is_held(&mut self) -> bool {
        self.seen = self
            .until
            .borrow_and_update()
            .is_some_and(|until| clock::now() < until);
        self.seen
    }

    /// Returns when the lease is held and was not when last asked, or the other way round. Safe to
    /// cancel. Renewals go unnoticed.
    pub async fn turns(&mut self) {
        let before = self.seen;
        while self.is_held() == before {
            let until = *self.until.borrow();
            let ends = async {
                match until {
                    Some(until) if before => tokio::time::sleep_until(until.into()).await,
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                () = ends => {}
                Ok(()) = self.until.changed() => {}
            }
        }
        self.seen = before;
    }

    /// Returns when the lease is not held.
    pub async fn ends(mut self) {
        while self.is_held() {
            self.turns().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn l5_it_ends_by_itself_when_nobody_renews_it() {
        let (renew, until) = watch::channel(None);
        let mut tenure = Tenure::new(until);
        assert!(!tenure.is_held());
        let soon = || Some(clock::now() + Duration::from_millis(200));
        renew.send_replace(soon());
        tenure.turns().await;
        assert!(tenure.is_held());
        let began = clock::now();
        renew.send_replace(soon());
        tenure.turns().await;
        assert!(clock::now().saturating_duration_since(began) >= Duration::from_millis(190));
        assert!(!tenure.is_held());
        drop(renew);
        tenure.clone().ends().await;
        let waits = tokio::time::timeout(Duration::from_millis(50), tenure.turns()).await;
        assert!(waits.is_err(), "nothing changes any more");
    }
}
