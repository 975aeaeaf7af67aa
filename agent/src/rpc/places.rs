//! How many connections there may be, and of whom.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections of members at one time.
const MEMBERS: usize = 4096;
/// Connections of those who have shown no certificate (yet), and how many of them may come from
/// one address: who holds them all keeps others from joining, but no member out for long.
const STRANGERS: usize = 1024;
const FROM_ONE_ADDRESS: usize = 256;

/// The places for connections.
pub(super) struct Places {
    members: Arc<Semaphore>,
    strangers: Mutex<Strangers>,
}

#[derive(Default)]
struct Strangers {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One stranger's place; free again when it is dropped.
pub(super) struct StrangerPlace {
    places: Arc<Places>,
    address: IpAddr,
}

impl Places {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            members: Arc::new(Semaphore::new(MEMBERS)),
            strangers: Mutex::default(),
        })
    }

    /// A place for a new connection; `None`: there is none now, and it is closed.
    pub(super) fn stranger(self: &Arc<Self>, address: IpAddr) -> Option<StrangerPlace> {
        let mut strangers = self
            .strangers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let here = strangers.by_address.get(&address).copied().unwrap_or(0);
        if strangers.all >= STRANGERS || here >= FROM_ONE_ADDRESS {
            return None;
        }
        strangers.all += 1;
        strangers.by_address.insert(address, here + 1);
        drop(strangers);
        Some(StrangerPlace {
            places: Arc::clone(self),
            address,
        })
    }

    /// A place for one who has shown a certificate.
    pub(super) fn member(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.members).try_acquire_owned().ok()
    }
}

impl Drop for StrangerPlace {
    fn drop(&mut self) {
        let strangers = &self.places.strangers;
        let mut strangers = strangers.lock().unwrap_or_else(PoisonError::into_inner);
        strangers.all = strangers.all.saturating_sub(1);
        if let Some(here) = strangers.by_address.get_mut(&self.address) {
            *here = here.saturating_sub(1);
            if *here == 0 {
                strangers.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_can_not_take_all_the_places() {
        let places = Places::new();
        let address = |last: u8| IpAddr::from([10, 0, 0, last]);
        let held: Vec<_> = (0..FROM_ONE_ADDRESS)
            .map(|_| places.stranger(address(1)).unwrap())
            .collect();
        assert!(places.stranger(address(1)).is_none());
        assert!(places.stranger(address(2)).is_some());
        assert!(places.member().is_some());
        drop(held);
        assert!(places.stranger(address(1)).is_some());
    }

    #[test]
    fn strangers_from_everywhere_leave_the_members_their_places() {
        let places = Places::new();
        let from = |number: usize| IpAddr::from(u32::try_from(number).unwrap().to_be_bytes());
        let held: Vec<_> = (0..STRANGERS)
            .map(|number| places.stranger(from(number)).unwrap())
            .collect();
        assert!(places.stranger(from(STRANGERS)).is_none());
        assert!(places.member().is_some());
        drop(held);
        assert!(places.strangers.lock().unwrap().by_address.is_empty());
    }
}
