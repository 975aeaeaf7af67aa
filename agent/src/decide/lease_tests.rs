//! L1 to L4 as scripts: what is heard when, and what is proposed then.

use std::net::Ipv4Addr;

use super::*;
use crate::model::{ClusterTime, KeyFingerprint, Name, Ports, Role};

const TIMING: Timing = Timing {
    lease: Duration::from_secs(2),
    session_grace: Duration::from_secs(8),
    grace: Duration::from_secs(30),
    reap: Duration::from_secs(600),
};
const TICK: Duration = Duration::from_millis(100);
const NODE: NodeId = NodeId::from_u128(1);
const RELAY: NodeId = NodeId::from_u128(9);

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn stream(boot: u64, number: u64) -> StreamId {
    StreamId {
        boot: BootId(boot),
        number,
        via: RELAY,
    }
}

fn member(status: MemberStatus) -> Member {
    Member {
        id: NODE,
        name: Name::new("n").unwrap(),
        role: Role::Worker,
        address: Ipv4Addr::LOCALHOST.into(),
        ports: Ports {
            rpc: 0,
            http: 0,
            https: 0,
            dns: 0,
            registry: 0,
            docker: 0,
        },
        key: KeyFingerprint([1; 32]),
        boot: Some(BootId(1)),
        status,
        since: ClusterTime::default(),
        version: String::new(),
    }
}

/// A leader with one member, whose proposals are applied at once.
struct Leader {
    table: Table,
    member: Member,
    now: Duration,
    events: Vec<(Duration, LeaseEvent)>,
}

impl Leader {
    /// Elected now, with the member in this state.
    fn elected(status: MemberStatus) -> Self {
        let mut leader = Self {
            table: Table::default(),
            member: member(status),
            now: secs(1000.0),
            events: Vec::new(),
        };
        leader.elect(None);
        leader
    }

    fn elect(&mut self, deposed: Option<(NodeId, Duration)>) {
        let (now, member) = (self.now, [&self.member]);
        self.table.restart(now, member.into_iter(), deposed);
    }

    fn renews(&mut self, stream: StreamId) -> Renewal {
        self.table.heard(NODE, stream, self.now, TIMING.lease)
    }

    fn tick(&mut self) -> Vec<(NodeId, BootId, LeaseEvent)> {
        self.table
            .plan(self.now, &TIMING, [&self.member].into_iter())
    }

    /// Lets `seconds` pass, tick by tick; the node renews on `stream`, if there is one.
    fn passes(&mut self, seconds: f64, stream: Option<StreamId>) {
        let end = self.now + secs(seconds);
        while self.now < end {
            self.now += TICK;
            if let Some(stream) = stream {
                self.renews(stream);
            }
            for (node, boot, event) in self.tick() {
                self.apply(boot, event);
                self.table.settle(node, event, true);
            }
        }
    }

    fn apply(&mut self, boot: BootId, event: LeaseEvent) {
        self.events.push((self.now, event));
        self.member.status = match event {
            LeaseEvent::Held => {
                self.member.boot = Some(boot);
                MemberStatus::Alive
            }
            LeaseEvent::Lapsed | LeaseEvent::Silent => MemberStatus::Lapsed,
            LeaseEvent::Failed => MemberStatus::Failed,
            LeaseEvent::Leaving => MemberStatus::Leaving,
        };
    }

    /// The events so far, with the seconds since `from`.
    fn since(&self, from: Duration) -> Vec<(u64, LeaseEvent)> {
        let events = self.events.iter();
        events
            .map(|(at, event)| (at.saturating_sub(from).as_secs(), *event))
            .collect()
    }
}

#[test]
fn l1_silence_goes_through_three_speeds() {
    let mut leader = Leader::elected(MemberStatus::Alive);
    leader.passes(5.0, Some(stream(1, 1)));
    let silent = leader.now;
    leader.passes(700.0, None);
    let three = [
        (2, LeaseEvent::Lapsed),
        (8, LeaseEvent::Silent),
        (30, LeaseEvent::Failed),
    ];
    assert_eq!(leader.since(silent), three);
    let reap = |now| {
        let member = [&leader.member].into_iter();
        leader.table.to_reap(now, &TIMING, member)
    };
    assert!(reap(silent + TIMING.reap).is_empty());
    assert_eq!(reap(silent + TIMING.reap + TICK), [NODE]);
}

#[test]
fn l1_a_closed_connection_is_noticed_at_once() {
    let mut leader = Leader::elected(MemberStatus::Alive);
    leader.passes(1.0, Some(stream(1, 1)));
    leader.table.closed(NODE, stream(1, 1));
    let closed = leader.now;
    leader.passes(0.2, None);
    assert_eq!(leader.since(closed), [(0, LeaseEvent::Lapsed)]);
    leader.passes(0.3, Some(stream(1, 2)));
    assert_eq!(
        leader.events.last().unwrap().1,
        LeaseEvent::Held,
        "cheap and reversible"
    );
}

#[test]
fn l2_a_restart_keeps_the_lease_for_ten_seconds() {
    let mut leader = Leader::elected(MemberStatus::Alive);
    leader.passes(1.0, Some(stream(1, 1)));
    leader.table.restarting(NODE, leader.now);
    leader.table.closed(NODE, stream(1, 1));
    leader.passes(9.5, None);
    assert!(leader.events.is_empty(), "{:?}", leader.events);
    let mut late = Leader::elected(MemberStatus::Alive);
    late.passes(1.0, Some(stream(1, 1)));
    late.table.restarting(NODE, late.now);
    let told = late.now;
    late.passes(12.0, None);
    assert_eq!(late.since(told)[0], (10, LeaseEvent::Lapsed));
    leader.passes(0.3, Some(stream(2, 1)));
    let (_, event) = leader.events[0];
    assert_eq!(
        (event, leader.member.boot),
        (LeaseEvent::Held, Some(BootId(2)))
    );
}

#[test]
fn l2_the_next_process_of_a_node_that_did_not_finish_leaving_is_alive_again() {
    let mut leader = Leader::elected(MemberStatus::Leaving);
    leader.passes(5.0, Some(stream(1, 1)));
    assert!(leader.events.is_empty(), "{:?}", leader.events);
    leader.table.closed(NODE, stream(1, 1));
    leader.passes(0.3, Some(stream(2, 1)));
    assert_eq!(
        (leader.member.status, leader.member.boot),
        (MemberStatus::Alive, Some(BootId(2)))
    );
}

#[test]
fn l2_after_three_losses_in_a_minute_it_proves_itself_first() {
    let mut leader = Leader::elected(MemberStatus::Alive);
    let mut number = 0;
    for _ in 0..3 {
        number += 1;
        leader.passes(2.0, Some(stream(1, number)));
        leader.table.closed(NODE, stream(1, number));
        leader.passes(0.2, None);
    }
    assert_eq!(leader.member.status, MemberStatus::Lapsed);
    let back = leader.now;
    leader.passes(29.0, Some(stream(1, 9)));
    assert_eq!(leader.member.status, MemberStatus::Lapsed);
    let (_, _, left) = leader.table.ages(leader.now).next().unwrap();
    assert!(left.is_some_and(|left| left <= secs(1.5)), "{left:?}");
    leader.passes(2.0, Some(stream(1, 9)));
    assert_eq!(leader.table.ages(leader.now).next().unwrap().2, None);
    let last = leader.since(back);
    assert_eq!(last.last(), Some(&(30, LeaseEvent::Held)));
}

#[test]
fn l3_closed_counts_only_for_the_newest_stream_and_from_the_server_that_held_it() {
    let mut leader = Leader::elected(MemberStatus::Alive);
    leader.renews(stream(1, 1));
    leader.renews(stream(1, 2));
    leader.table.closed(NODE, stream(1, 1));
    let elsewhere = StreamId {
        via: NodeId::from_u128(8),
        ..stream(1, 2)
    };
    leader.table.closed(NODE, elsewhere);
    leader.passes(1.0, None);
    assert!(leader.events.is_empty());
    assert_eq!(leader.renews(stream(1, 1)), Renewal::Outdated);
}

#[test]
fn l3_a_late_leader_forgives_its_own_gap() {
    let mut leader = Leader::elected(MemberStatus::Alive);
    leader.passes(1.0, Some(stream(1, 1)));
    leader.now += secs(20.0);
    assert!(leader.tick().is_empty(), "the silence was the leader's own");
    leader.passes(1.8, None);
    assert!(leader.events.is_empty());
    leader.passes(0.5, None);
    assert_eq!(leader.events[0].1, LeaseEvent::Lapsed);
}

#[test]
fn t7_a_second_process_with_the_key_is_refused_while_the_first_lives() {
    let mut leader = Leader::elected(MemberStatus::Alive);
    assert_eq!(leader.renews(stream(1, 1)), Renewal::Taken);
    assert_eq!(leader.renews(stream(2, 1)), Renewal::Twin(BootId(1)));
    leader.passes(2.1, None);
    assert_eq!(leader.renews(stream(2, 1)), Renewal::Taken);
}

#[test]
fn l4_after_an_election_all_start_afresh_but_the_deposed_leader() {
    let mut leader = Leader::elected(MemberStatus::Alive);
    leader.passes(1.9, None);
    assert!(leader.events.is_empty());
    let mut other = Leader::elected(MemberStatus::Alive);
    let died = other.now.saturating_sub(secs(1.5));
    other.elect(Some((NODE, died)));
    let elected = other.now;
    other.passes(1.0, None);
    assert_eq!(other.since(elected), [(0, LeaseEvent::Lapsed)]);
    assert!(other.events[0].0 >= died + TIMING.lease);
}

#[test]
fn l4_whom_nobody_hears_gets_one_lease_in_all_and_not_one_for_every_election() {
    let mut again = Leader::elected(MemberStatus::Alive);
    let first = again.now;
    for _ in 0..3 {
        again.passes(0.9, None);
        again.elect(None);
    }
    assert_eq!(again.since(first), [(2, LeaseEvent::Lapsed)]);
    // Another is elected, and asks the first whom it had not heard.
    let mut first = Leader::elected(MemberStatus::Alive);
    first.passes(1.5, None);
    let unheard: Vec<_> = first.table.unheard(first.now).collect();
    assert_eq!(unheard, [(NODE, secs(1.5))]);
    let mut second = Leader::elected(MemberStatus::Alive);
    second
        .table
        .inherit(NODE, second.now.saturating_sub(unheard[0].1));
    let elected = second.now;
    second.passes(0.7, None);
    assert_eq!(second.since(elected), [(0, LeaseEvent::Lapsed)]);
    // Whoever was heard starts afresh.
    let mut heard = Leader::elected(MemberStatus::Alive);
    heard.renews(stream(1, 1));
    assert_eq!(heard.table.unheard(heard.now).count(), 0);
    heard.table.inherit(NODE, secs(0.0));
    heard.passes(1.8, None);
    assert!(heard.events.is_empty());
}

#[test]
fn r7_once_an_end_is_proposed_renewals_are_refused_until_its_outcome_is_known() {
    let mut leader = Leader::elected(MemberStatus::Alive);
    leader.renews(stream(1, 1));
    leader.table.closed(NODE, stream(1, 1));
    leader.now += TICK;
    assert_eq!(leader.tick()[0].2, LeaseEvent::Lapsed);
    assert_eq!(leader.renews(stream(1, 2)), Renewal::Ending);
    // No quorum answered in time: the entry may still be committed.
    leader.table.settle(NODE, LeaseEvent::Lapsed, false);
    assert_eq!(leader.renews(stream(1, 2)), Renewal::Ending);
    leader.now += TICK;
    assert_eq!(
        leader.tick()[0].2,
        LeaseEvent::Lapsed,
        "it is proposed again"
    );
    leader.table.settle(NODE, LeaseEvent::Lapsed, true);
    assert_eq!(leader.renews(stream(1, 2)), Renewal::Taken);
}

#[test]
fn l1_the_end_of_sessions_is_proposed_again_if_it_may_not_have_come() {
    let mut leader = Leader::elected(MemberStatus::Lapsed);
    leader.now += TIMING.session_grace + TICK;
    // Ticks that come in time, so that nothing is forgiven.
    leader.table.last_tick = Some(leader.now.saturating_sub(TICK));
    assert_eq!(leader.tick()[0].2, LeaseEvent::Silent);
    leader.table.settle(NODE, LeaseEvent::Silent, false);
    leader.now += TICK;
    assert_eq!(leader.tick()[0].2, LeaseEvent::Silent);
    leader.table.settle(NODE, LeaseEvent::Silent, true);
    leader.now += TICK;
    assert!(leader.tick().is_empty());
}

#[test]
fn r7_who_is_to_be_removed_is_not_renewed_until_that_is_settled() {
    let mut leader = Leader::elected(MemberStatus::Alive);
    leader.passes(1.0, Some(stream(1, 1)));
    let heard = leader.now;
    leader.passes(3.0, None);
    assert!(
        !leader.table.condemn(NODE, heard - TICK * 2),
        "it was heard after that"
    );
    assert!(leader.table.condemn(NODE, leader.now));
    let renew = |leader: &mut Leader| {
        let now = leader.now;
        leader.table.heard(NODE, stream(1, 2), now, TIMING.lease)
    };
    assert_eq!(renew(&mut leader), Renewal::Ending);
    // What was proposed of its lease before is another matter.
    leader.table.settle(NODE, LeaseEvent::Failed, true);
    assert_eq!(renew(&mut leader), Renewal::Ending, "it may yet be removed");
    leader.table.acquit(NODE);
    assert_eq!(renew(&mut leader), Renewal::Taken);
}

#[test]
fn who_dies_as_it_leaves_is_reaped_too() {
    let mut leader = Leader::elected(MemberStatus::Alive);
    leader.passes(1.0, Some(stream(1, 1)));
    leader.member.status = MemberStatus::Leaving;
    let silent = leader.now;
    let member = [leader.member.clone()];
    let reap = |now| leader.table.to_reap(now, &TIMING, member.iter());
    assert!(reap(silent + TIMING.reap - TICK).is_empty());
    assert_eq!(reap(silent + TIMING.reap + TICK * 2), [NODE]);
}
