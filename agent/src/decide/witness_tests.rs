//! Whom the cloud is asked about, and what its word is worth, as tables.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::*;
use crate::decide::autopilot;
use crate::model::{ClusterTime, KeyFingerprint, Name, Ports, Role};

const LEASE: Duration = Duration::from_secs(2);
const BOOT: BootId = BootId(7);

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn member(id: u128, status: MemberStatus) -> Member {
    Member {
        id: NodeId::from_u128(id),
        name: Name::new(&format!("n{id}")).unwrap(),
        role: Role::Server,
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
        boot: Some(BOOT),
        status,
        since: ClusterTime::default(),
        version: String::new(),
    }
}

fn inquiry(id: u128) -> Inquiry {
    Inquiry {
        node: NodeId::from_u128(id),
        kind: "aws".into(),
        machine: "i-1".into(),
    }
}

#[test]
fn only_silent_nodes_are_asked_about_each_at_most_every_few_seconds() {
    use MemberStatus::{Alive, Failed, Lapsed, Leaving};
    let said = metadata("aws", "i-1", BOOT);
    let of_before = metadata("aws", "i-1", BootId(6));
    let nowhere = BTreeMap::from([(MACHINE.to_owned(), "aws/".to_owned())]);
    let nothing = BTreeMap::new();
    // Status, heard when, metadata, asked when, at second 100: asked?
    let cases = [
        (Lapsed, Some(97), &said, None, true, "its lease lapsed"),
        (Failed, Some(10), &said, None, true, "it failed"),
        (Leaving, Some(90), &said, None, true, "it died as it left"),
        (Lapsed, Some(97), &said, Some(95), true, "asked a while ago"),
        (Lapsed, Some(97), &said, Some(96), false, "asked just now"),
        (
            Alive,
            Some(97),
            &said,
            None,
            false,
            "the state says it lives",
        ),
        (
            Lapsed,
            Some(99),
            &said,
            None,
            false,
            "it renews, and has yet to prove itself",
        ),
        (
            Leaving,
            Some(99),
            &said,
            None,
            false,
            "it leaves, and is well",
        ),
        (Lapsed, Some(98), &said, None, false, "within its lease"),
        (
            Lapsed,
            None,
            &said,
            None,
            false,
            "there is nothing to go by",
        ),
        (Lapsed, Some(97), &nothing, None, false, "of no cloud"),
        (Lapsed, Some(97), &nowhere, None, false, "no machine"),
        (
            Lapsed,
            Some(97),
            &of_before,
            None,
            false,
            "said by a process before",
        ),
    ];
    for (status, heard, meta, asked, expected, why) in cases {
        let member = member(1, status);
        let seat = Seat {
            member: &member,
            heard: heard.map(secs),
            meta,
        };
        let asked = asked.map(|at| (member.id, secs(at))).into_iter().collect();
        let next = next(secs(100), LEASE, [seat].into_iter(), &asked);
        assert_eq!(next, expected.then(|| inquiry(1)), "{why}");
    }
}

#[test]
fn whoever_was_not_asked_about_for_longest_is_next() {
    let members = [1, 2, 3].map(|id| member(id, MemberStatus::Lapsed));
    let said = metadata("aws", "i-1", BOOT);
    let asked = |who: &[(u128, u64)]| {
        let asked = who
            .iter()
            .map(|(id, at)| (NodeId::from_u128(*id), secs(*at)));
        let seats = members.iter().map(|member| Seat {
            member,
            heard: Some(secs(1)),
            meta: &said,
        });
        next(secs(100), LEASE, seats, &asked.collect()).map(|inquiry| inquiry.node)
    };
    assert_eq!(asked(&[(1, 90)]), Some(NodeId::from_u128(2)));
    assert_eq!(
        asked(&[(1, 90), (2, 91), (3, 80)]),
        Some(NodeId::from_u128(3))
    );
    assert_eq!(asked(&[(1, 99), (2, 99), (3, 99)]), None);
}

#[test]
fn the_clouds_word_alone_removes_no_node_that_renews_its_lease() {
    use MemberStatus::{Alive, Lapsed, Leaving};
    let said = metadata("aws", "i-1", BOOT);
    let elsewhere = metadata("aws", "i-2", BOOT);
    // Asked at second 98 and answered "terminated" at 100.
    let cases = [
        (Lapsed, Some(90), &said, true, "silent all the while"),
        (Leaving, Some(90), &said, true, "it died as it left"),
        (Alive, Some(99), &said, false, "it renews"),
        (Alive, Some(90), &said, false, "the state says it lives"),
        (Lapsed, Some(99), &said, false, "heard again since"),
        (Leaving, Some(99), &said, false, "it leaves, and is well"),
        (Lapsed, None, &said, false, "there is nothing to go by"),
        (
            Lapsed,
            Some(90),
            &elsewhere,
            false,
            "it runs on another machine by now",
        ),
    ];
    for (status, heard, meta, expected, why) in cases {
        let member = member(1, status);
        let seat = Seat {
            member: &member,
            heard: heard.map(secs),
            meta,
        };
        let gone = goes(secs(100), LEASE, seat, &inquiry(1), secs(98));
        assert_eq!(gone, expected, "{why}");
    }
    let heard_late = member(1, Lapsed);
    let seat = Seat {
        member: &heard_late,
        heard: Some(secs(99)),
        meta: &said,
    };
    let word = goes(secs(200), LEASE, seat, &inquiry(1), secs(98));
    assert!(!word, "a word from before it was heard is void for good");
}

#[test]
fn r10_a_witnessed_voter_keeps_its_vote_while_the_quorum_needs_it() {
    use MemberStatus::{Alive, Lapsed};
    let step = |statuses: &[Option<MemberStatus>]| {
        let ids = |wanted: fn(&Option<MemberStatus>) -> bool| {
            let all = statuses.iter().enumerate();
            let some = all.filter(move |(_, status)| wanted(status));
            some.map(|(at, _)| NodeId::from_u128(at as u128 + 1))
                .collect::<BTreeSet<_>>()
        };
        let members = statuses.iter().enumerate().filter_map(|(at, status)| {
            let member = member(at as u128 + 1, (*status)?);
            Some((member.id, member))
        });
        autopilot::plan(&autopilot::View {
            leader: NodeId::from_u128(1),
            expect: statuses.len(),
            voters: &ids(|_| true),
            learners: &BTreeSet::new(),
            members: &members.collect(),
            behind: &BTreeMap::new(),
        })
    };
    // `None`: the cloud said that its machine is gone, and its row went with that.
    let rest = |ids: &[u128]| {
        let ids = ids.iter().map(|id| NodeId::from_u128(*id));
        Some(autopilot::Step::SetVoters(ids.collect()))
    };
    assert_eq!(step(&[Some(Alive), Some(Alive), None]), rest(&[1, 2]));
    assert_eq!(step(&[Some(Alive), Some(Lapsed), None]), None);
    assert_eq!(step(&[Some(Alive), None, None]), None);
    assert_eq!(
        step(&[Some(Alive), Some(Alive), Some(Lapsed), None]),
        rest(&[1, 2, 3])
    );
    let five = [Some(Alive), Some(Alive), Some(Lapsed), Some(Lapsed), None];
    assert_eq!(step(&five), None);
}
