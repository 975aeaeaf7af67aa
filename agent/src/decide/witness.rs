//! The cloud as a witness of a silent node's end: whom to ask about, and what follows from its
//! word. Only "it will never run again" has consequences, and only for a node that nobody has
//! heard since the question was put; all else leaves the node its grace.
//!
//! Who votes is not decided here. A witnessed voter's row goes, and autopilot does about its vote
//! what it does about any member's that was removed (R10).
//!
//! Times are spans since any fixed moment of the leader's monotonic clock.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{BootId, Member, MemberStatus, NodeId};

/// A node's metadata in the catalog: on which machine it runs, as `aws/i-0abc…`.
pub const MACHINE: &str = "swarmer-machine";
/// Beside it: which process said so. What an earlier one said may be of another machine, which the
/// node's disk came from.
pub const PROCESS: &str = "swarmer-process";

/// The cloud is asked about one node this often.
const AGAIN: Duration = Duration::from_secs(5);

/// What a node says of the machine that it runs on.
#[must_use]
pub fn metadata(kind: &str, machine: &str, boot: BootId) -> BTreeMap<String, String> {
    BTreeMap::from([
        (MACHINE.to_owned(), format!("{kind}/{machine}")),
        (PROCESS.to_owned(), boot.to_string()),
    ])
}

/// One member, as the leader sees it.
#[derive(Clone, Copy, Debug)]
pub struct Seat<'a> {
    /// Its row.
    pub member: &'a Member,
    /// When it was last heard; `None`: there is nothing to go by.
    pub heard: Option<Duration>,
    /// Its metadata in the catalog.
    pub meta: &'a BTreeMap<String, String>,
}

/// What is to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inquiry {
    /// About which node.
    pub node: NodeId,
    /// Which kind of cloud.
    pub kind: String,
    /// The machine's id there.
    pub machine: String,
}

impl Seat<'_> {
    /// Out of health by the state's word, and silent for longer than a lease by this leader's own.
    fn is_silent(&self, now: Duration, lease: Duration) -> bool {
        self.member.status != MemberStatus::Alive
            && self
                .heard
                .is_some_and(|heard| now.saturating_sub(heard) > lease)
    }

    /// Where it ran when it was last heard, by its own word: the kind of cloud, and the id there.
    #[must_use]
    pub fn machine(&self) -> Option<(&str, &str)> {
        let boot = self.member.boot?.to_string();
        let said = self.meta.get(PROCESS).is_some_and(|said| *said == boot);
        let (kind, machine) = self.meta.get(MACHINE)?.split_once('/')?;
        (said && !kind.is_empty() && !machine.is_empty()).then_some((kind, machine))
    }
}

/// The one question that is due now. `asked`: when each node was last asked about.
pub fn next<'a>(
    now: Duration,
    lease: Duration,
    seats: impl Iterator<Item = Seat<'a>>,
    asked: &BTreeMap<NodeId, Duration>,
) -> Option<Inquiry> {
    let due = seats.filter(|seat| {
        let last = asked.get(&seat.member.id);
        seat.is_silent(now, lease) && last.is_none_or(|last| now.saturating_sub(*last) >= AGAIN)
    });
    let due = due.filter_map(|seat| {
        let (kind, machine) = seat.machine()?;
        let inquiry = Inquiry {
            node: seat.member.id,
            kind: kind.to_owned(),
            machine: machine.to_owned(),
        };
        Some((asked.get(&seat.member.id).copied(), inquiry))
    });
    // Nobody waits for ever behind those that are asked about again and again.
    due.min_by_key(|(last, inquiry)| (*last, inquiry.node))
        .map(|(_, inquiry)| inquiry)
}

/// Whether a node goes at once, since the cloud said of `machine` that it will never run again, to
/// a question put at `asked`.
#[must_use]
pub fn goes(
    now: Duration,
    lease: Duration,
    seat: Seat<'_>,
    inquiry: &Inquiry,
    asked: Duration,
) -> bool {
    let same = seat.machine() == Some((inquiry.kind.as_str(), inquiry.machine.as_str()));
    let unheard = seat.heard.is_some_and(|heard| heard <= asked);
    same && unheard && seat.is_silent(now, lease)
}

#[cfg(test)]
#[path = "witness_tests.rs"]
mod tests;
