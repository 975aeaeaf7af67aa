//! Who holds a lease, in the leader's eyes (rules L1 to L4 and R7 of `docs/architecture.md`).
//!
//! Times are spans since any fixed moment of the leader's monotonic clock.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::model::{BootId, LeaseEvent, Member, MemberStatus, NodeId};

/// A node that says that it restarts keeps its lease for this long (L2).
pub const RESTART: Duration = Duration::from_secs(10);
/// This many losses within [`FLAPPING`] make a node prove itself for one stable grace (L2).
const LOSSES: usize = 3;
const FLAPPING: Duration = Duration::from_secs(60);

/// The three speeds, and the reaper's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Silent for longer: out of DNS and health.
    pub lease: Duration,
    /// Silent for longer: sessions on `serfHealth` fall.
    pub session_grace: Duration,
    /// Silent for longer: failed.
    pub grace: Duration,
    /// Failed for longer than this since the last sign: reaped.
    pub reap: Duration,
}

/// One stream of one node, as its lease sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamId {
    /// The process.
    pub boot: BootId,
    /// Its count of streams.
    pub number: u64,
    /// The server that holds the connection.
    pub via: NodeId,
}

#[derive(Clone, Debug)]
struct Entry {
    stream: Option<StreamId>,
    heard: Duration,
    closed: bool,
    hold_until: Option<Duration>,
    ending: bool,
    /// Its removal is proposed.
    condemned: bool,
    silent_told: bool,
    losses: VecDeque<Duration>,
    held_since: Option<Duration>,
    /// Of a node that is back, but was lost too often of late.
    proven_at: Option<Duration>,
}

/// The leader's table of leases.
#[derive(Clone, Debug, Default)]
pub struct Table {
    entries: BTreeMap<NodeId, Entry>,
    last_tick: Option<Duration>,
}

/// A second process with the same key (T7), or a renewal of a lease whose end is proposed (R7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// Taken.
    Taken,
    /// The end of this lease is proposed; ask again when it is applied.
    Ending,
    /// An older stream of the same process: it is over.
    Outdated,
    /// Another process with this key holds the lease.
    Twin(BootId),
}

impl Table {
    /// A new leader's table (L4): everyone starts afresh, but for the deposed leader, who was last
    /// heard at the time given. Where none was deposed, this one led before, and whoever it had
    /// not heard then goes on from there: one lease in all, not one for every election.
    pub fn restart<'a>(
        &mut self,
        now: Duration,
        members: impl Iterator<Item = &'a Member>,
        deposed: Option<(NodeId, Duration)>,
    ) {
        self.last_tick = None;
        let unheard: BTreeMap<NodeId, Duration> = match deposed {
            Some(deposed) => BTreeMap::from([deposed]),
            None => self.unheard_since().collect(),
        };
        self.entries = members
            .map(|member| {
                let heard = unheard.get(&member.id).map_or(now, |heard| now.min(*heard));
                let lapsed = member.status != MemberStatus::Alive;
                (
                    member.id,
                    Entry {
                        closed: lapsed,
                        ..Entry::at(heard)
                    },
                )
            })
            .collect();
    }

    fn unheard_since(&self) -> impl Iterator<Item = (NodeId, Duration)> + '_ {
        let unheard = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.stream.is_none());
        unheard.map(|(node, entry)| (*node, entry.heard))
    }

    /// Who was not heard since the table was made, and how long ago its lease began.
    pub fn unheard(&self, now: Duration) -> impl Iterator<Item = (NodeId, Duration)> + '_ {
        self.unheard_since()
            .map(move |(node, heard)| (node, now.saturating_sub(heard)))
    }

    /// The leader before had not heard `node` since `heard`; if nobody has meanwhile, its lease
    /// goes on from there.
    pub fn inherit(&mut self, node: NodeId, heard: Duration) {
        if let Some(entry) = self.entries.get_mut(&node)
            && entry.stream.is_none()
        {
            entry.heard = entry.heard.min(heard);
        }
    }

    /// A stream begins or a renewal comes.
    pub fn heard(
        &mut self,
        node: NodeId,
        stream: StreamId,
        now: Duration,
        lease: Duration,
    ) -> Renewal {
        let entry = self.entries.entry(node).or_insert_with(|| Entry {
            closed: true,
            ..Entry::at(now)
        });
        if entry.ending || entry.condemned {
            return Renewal::Ending;
        }
        if let Some(present) = entry.stream {
            if present.boot != stream.boot {
                let live = !entry.closed
                    && entry.hold_until.is_none()
                    && now.saturating_sub(entry.heard) <= lease;
                if live {
                    return Renewal::Twin(present.boot);
                }
            } else if stream.number < present.number {
                return Renewal::Outdated;
            }
        }
        entry.stream = Some(stream);
        entry.heard = now;
        entry.closed = false;
        entry.hold_until = None;
        entry.silent_told = false;
        Renewal::Taken
    }

    /// A stream's connection closed. Counts only for the newest stream, from the server that
    /// held it (L3).
    pub fn closed(&mut self, node: NodeId, stream: StreamId) {
        if let Some(entry) = self.entries.get_mut(&node)
            && entry.stream == Some(stream)
        {
            entry.closed = true;
        }
    }

    /// The node says that its agent restarts (L2).
    pub fn restarting(&mut self, node: NodeId, now: Duration) {
        if let Some(entry) = self.entries.get_mut(&node) {
            entry.hold_until = Some(now + RESTART);
        }
    }

    /// How long ago each node was heard, and how long a flapping one has yet to prove itself (L2).
    pub fn ages(
        &self,
        now: Duration,
    ) -> impl Iterator<Item = (NodeId, Duration, Option<Duration>)> + '_ {
        self.entries.iter().map(move |(node, entry)| {
            let left = entry.proven_at.map(|until| until.saturating_sub(now));
            (*node, now.saturating_sub(entry.heard), left)
        })
    }

    /// Compares what the state says of the members with what was heard. The caller proposes the
    /// events, and tells by [`Self::settle`] when the state has caught up.
    pub fn plan<'a>(
        &mut self,
        now: Duration,
        timing: &Timing,
        members: impl Iterator<Item = &'a Member>,
    ) -> Vec<(NodeId, BootId, LeaseEvent)> {
        self.forgive_own_lateness(now, timing);
        let mut events = Vec::new();
        for member in members {
            let entry = self.entries.entry(member.id).or_insert_with(|| Entry {
                closed: true,
                ..Entry::at(now)
            });
            if let Some(event) = entry.next_event(now, timing, member) {
                let boot = match (event, entry.stream) {
                    (LeaseEvent::Held, Some(stream)) => stream.boot,
                    _ => member.boot.unwrap_or_default(),
                };
                events.push((member.id, boot, event));
            }
        }
        events
    }

    /// What came of a proposed event. Once it is known (applied, or never to be), renewals are
    /// taken again. An end that may yet be committed goes on refusing them (R7), and is proposed
    /// again: after that one, none of the earlier can come.
    pub fn settle(&mut self, node: NodeId, event: LeaseEvent, known: bool) {
        let Some(entry) = self.entries.get_mut(&node) else {
            return;
        };
        match event {
            _ if known => entry.ending = false,
            LeaseEvent::Silent => entry.silent_told = false,
            _ => {}
        }
    }

    /// The removal of a node is about to be proposed, since it has not been heard after `since`:
    /// it is not renewed until that is settled (R7). `false`: it was heard.
    pub fn condemn(&mut self, node: NodeId, since: Duration) -> bool {
        let entry = self.entries.get_mut(&node);
        let Some(entry) = entry.filter(|entry| entry.heard <= since) else {
            return false;
        };
        entry.condemned = true;
        true
    }

    /// What came of that removal is known: where the node is still a member, it is renewed again.
    pub fn acquit(&mut self, node: NodeId) {
        if let Some(entry) = self.entries.get_mut(&node) {
            entry.condemned = false;
        }
    }

    /// Members silent for longer than `reap`, and failed; or dead before their leave was over.
    pub fn to_reap<'a>(
        &self,
        now: Duration,
        timing: &Timing,
        members: impl Iterator<Item = &'a Member>,
    ) -> Vec<NodeId> {
        members
            .filter(|member| matches!(member.status, MemberStatus::Failed | MemberStatus::Leaving))
            .filter(|member| {
                self.entries
                    .get(&member.id)
                    .is_some_and(|entry| now.saturating_sub(entry.heard) > timing.reap)
            })
            .map(|member| member.id)
            .collect()
    }

    /// If this very table was not looked at in time, the silence was ours (L3).
    fn forgive_own_lateness(&mut self, now: Duration, timing: &Timing) {
        if let Some(last) = self.last_tick {
            let gap = now.saturating_sub(last);
            if gap > timing.lease / 4 {
                self.entries
                    .values_mut()
                    .for_each(|entry| entry.heard = (entry.heard + gap).min(now));
            }
        }
        self.last_tick = Some(now);
    }
}

impl Entry {
    fn at(heard: Duration) -> Self {
        Self {
            stream: None,
            heard,
            closed: false,
            hold_until: None,
            ending: false,
            condemned: false,
            silent_told: false,
            losses: VecDeque::new(),
            held_since: None,
            proven_at: None,
        }
    }

    fn gone(&mut self) {
        self.held_since = None;
        self.proven_at = None;
    }

    fn next_event(
        &mut self,
        now: Duration,
        timing: &Timing,
        member: &Member,
    ) -> Option<LeaseEvent> {
        let quiet = now.saturating_sub(self.heard);
        let kept = self.hold_until.is_some_and(|until| now < until);
        let held = !kept && !self.closed && quiet <= timing.lease;
        match member.status {
            // Its process did not live to end what it began; the next one has not begun it.
            MemberStatus::Leaving => {
                let other_boot = held && self.stream.is_some_and(|s| member.boot != Some(s.boot));
                other_boot.then_some(LeaseEvent::Held)
            }
            MemberStatus::Alive if (held || kept) && !self.ending => {
                let other_boot = held && self.stream.is_some_and(|s| member.boot != Some(s.boot));
                other_boot.then_some(LeaseEvent::Held)
            }
            MemberStatus::Alive => {
                if !self.ending {
                    self.losses.push_back(now);
                }
                self.ending = true;
                self.gone();
                Some(LeaseEvent::Lapsed)
            }
            MemberStatus::Lapsed | MemberStatus::Failed if held && self.stream.is_some() => {
                let proven_at = *self.held_since.get_or_insert(now) + timing.grace;
                self.losses
                    .retain(|loss| now.saturating_sub(*loss) <= FLAPPING);
                let proving = self.losses.len() >= LOSSES && now < proven_at;
                self.proven_at = proving.then_some(proven_at);
                (!proving).then_some(LeaseEvent::Held)
            }
            MemberStatus::Lapsed if quiet > timing.grace => {
                self.gone();
                Some(LeaseEvent::Failed)
            }
            MemberStatus::Lapsed if quiet > timing.session_grace && !self.silent_told => {
                self.gone();
                self.silent_told = true;
                Some(LeaseEvent::Silent)
            }
            MemberStatus::Lapsed | MemberStatus::Failed => {
                self.gone();
                None
            }
        }
    }
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
