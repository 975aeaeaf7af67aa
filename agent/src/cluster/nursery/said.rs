//! The reasons to wait, as they are logged and shown.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::cluster::me::Me;
use crate::task::clock;

/// The same reason to wait is logged again after this long.
const REMIND: Duration = Duration::from_secs(10);

/// Says a reason to wait when it is new, and now and then. Several may take turns.
#[derive(Default)]
pub(in crate::cluster) struct Said {
    recent: BTreeMap<String, Instant>,
    /// Those of this round, in the order in which they were said.
    round: Vec<String>,
}

impl Said {
    pub(in crate::cluster) fn say(&mut self, why: &str) {
        self.recent.retain(|_, at| at.elapsed() < REMIND);
        if !self.recent.contains_key(why) {
            tracing::info!("waiting: {why}");
            self.recent.insert(why.to_owned(), clock::now());
        }
        if !self.round.iter().any(|said| said == why) {
            self.round.push(why.to_owned());
        }
    }

    /// The end of a round: what it said is what the node waits for now.
    pub(in crate::cluster) fn publish(&mut self, me: &Me) {
        let reasons = std::mem::take(&mut self.round).join("; ");
        me.waits.send_if_modified(|now| {
            let changed = *now != reasons;
            *now = reasons;
            changed
        });
    }
}
