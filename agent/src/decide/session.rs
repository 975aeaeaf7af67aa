//! Which sessions' time is over.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{Session, SessionId};

/// Sessions that were not renewed for twice their TTL: never before the TTL, as Consul promises,
/// and not at its very end, where a renewal may be on its way.
#[must_use]
pub fn plan<'a>(
    sessions: impl Iterator<Item = &'a Session>,
    renewed: &BTreeMap<SessionId, Duration>,
    now: Duration,
) -> Vec<SessionId> {
    sessions
        .filter(|session| {
            let (Some(ttl), Some(at)) = (session.ttl, renewed.get(&session.id)) else {
                return false;
            };
            now.saturating_sub(*at) >= ttl * 2
        })
        .map(|session| session.id)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SessionBehavior;

    #[test]
    fn a_session_ends_between_one_and_two_ttls_after_its_last_renewal() {
        let session = |id: u128, ttl: Option<u64>| Session {
            id: SessionId::from_u128(id),
            name: String::new(),
            node: "n".into(),
            lock_delay: Duration::ZERO,
            behavior: SessionBehavior::Release,
            ttl: ttl.map(Duration::from_secs),
            ttl_text: String::new(),
            node_checks: Vec::new(),
            service_checks: Vec::new(),
            create_index: 1,
            modify_index: 1,
        };
        let sessions = [session(1, Some(10)), session(2, None), session(3, Some(30))];
        let renewed = (1..=3)
            .map(|id| (SessionId::from_u128(id), Duration::from_secs(100)))
            .collect();
        let at = |secs| plan(sessions.iter(), &renewed, Duration::from_secs(secs));
        assert!(at(119).is_empty());
        assert_eq!(at(120), [SessionId::from_u128(1)]);
        assert_eq!(at(10_000).len(), 2, "one without a TTL never ends by time");
    }
}
