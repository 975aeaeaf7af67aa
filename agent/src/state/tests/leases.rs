//! The three speeds of a lease (safety.md L1, L2).

use super::world::{World, check, create, own_node, register, session};
use crate::model::{
    BootId, CheckStatus, ClusterTime, LeaseEvent, MemberStatus, NodeId, Refusal, Reply, Topic,
};

/// Sessions 1 (on serfHealth), 2 (on `disk`) and 3 (on nothing), all on `n1`.
fn with_sessions() -> World {
    let mut world = World::formed();
    let disk = check("disk", "", CheckStatus::Passing);
    world.does(register(own_node(1, "n1"), vec![], vec![disk]));
    for (number, checks) in [(1, &["SERFHEALTH"][..]), (2, &["disk"]), (3, &[])] {
        assert_eq!(
            world.does(create(session(number, "n1", checks))),
            Reply::Done
        );
    }
    world
}

#[test]
fn l1_each_speed_takes_what_is_its_own() {
    use CheckStatus::{Critical, Passing};
    use LeaseEvent::{Failed, Held, Lapsed, Leaving, Silent};
    let table: [(&[LeaseEvent], MemberStatus, CheckStatus, bool); 9] = [
        (&[], MemberStatus::Alive, Passing, true),
        (&[Lapsed], MemberStatus::Lapsed, Critical, true),
        (&[Lapsed, Held], MemberStatus::Alive, Passing, true),
        (&[Lapsed, Silent], MemberStatus::Lapsed, Critical, false),
        (
            &[Lapsed, Silent, Failed],
            MemberStatus::Failed,
            Critical,
            false,
        ),
        (
            &[Lapsed, Silent, Failed, Lapsed],
            MemberStatus::Failed,
            Critical,
            false,
        ),
        (&[Failed, Held], MemberStatus::Alive, Passing, false),
        (&[Leaving], MemberStatus::Leaving, Critical, true),
        (&[Leaving, Held], MemberStatus::Leaving, Critical, true),
    ];
    for (events, status, health, bound_session) in table {
        let mut world = with_sessions();
        for event in events {
            assert_eq!(world.lease(1, 1, *event), Reply::Done);
        }
        assert_eq!(world.status(1), status, "{events:?}");
        assert_eq!(world.serf_health("n1"), health, "{events:?}");
        assert_eq!(world.has_session(1), bound_session, "{events:?}");
        assert!(world.has_session(2) && world.has_session(3), "{events:?}");
    }
}

#[test]
fn l1_a_lapse_wakes_who_watches_the_node_and_its_services() {
    let mut world = with_sessions();
    world.time = 5_000;
    world.lease(1, 1, LeaseEvent::Lapsed);
    let expected = [
        Topic::Checks,
        Topic::Service("consul".to_owned()),
        Topic::Node("n1".to_owned()),
        Topic::Members,
    ];
    assert_eq!(world.changed, expected);
    let row = world.state.member(NodeId::from_u128(1)).unwrap();
    assert_eq!(row.since, ClusterTime(5_000));
    let check = world.state.catalog().check("n1", "serfHealth").unwrap();
    assert_eq!(check.output, "Agent not live or unreachable");
    world.lease(1, 1, LeaseEvent::Lapsed);
    assert!(world.changed.is_empty(), "once more changes nothing");
}

#[test]
fn l1_an_event_about_another_process_is_ignored() {
    let mut world = with_sessions();
    world.lease(1, 2, LeaseEvent::Held);
    for event in [
        LeaseEvent::Lapsed,
        LeaseEvent::Silent,
        LeaseEvent::Failed,
        LeaseEvent::Leaving,
    ] {
        assert_eq!(world.lease(1, 1, event), Reply::Done);
        assert!(
            world.changed.is_empty(),
            "{event:?} of a process that is gone"
        );
    }
    assert_eq!(world.status(1), MemberStatus::Alive);
    assert!(world.has_session(1));
}

#[test]
fn l1_a_member_that_never_held_its_lease_can_fail() {
    let mut world = World::default();
    world.does(super::world::init(1));
    world.lease(1, 0, LeaseEvent::Failed);
    assert_eq!(world.status(1), MemberStatus::Failed);
}

#[test]
fn l2_the_next_process_of_a_node_that_left_is_alive_again() {
    let mut world = with_sessions();
    world.lease(1, 1, LeaseEvent::Leaving);
    world.lease(1, 2, LeaseEvent::Held);
    assert_eq!(world.status(1), MemberStatus::Alive);
    let row = world.state.member(NodeId::from_u128(1)).unwrap();
    assert_eq!(row.boot, Some(BootId(2)));
    assert!((1..=3).all(|number| world.has_session(number)));
}

#[test]
fn a_lease_of_nobody_is_refused() {
    let mut world = World::formed();
    let nobody = NodeId::from_u128(9);
    assert_eq!(
        world.lease(9, 1, LeaseEvent::Held),
        Reply::Refused(Refusal::NotAMember(nobody))
    );
}
