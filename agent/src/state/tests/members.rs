//! Who is admitted, who goes, and to whom a name belongs.

use super::world::{
    World, create, init, join, lease, member, own_node, put, register, service, session,
};
use crate::model::{
    BootId, CheckStatus, Duty, LeaseEvent, Member, MemberStatus, NodeId, Op, Refusal, Reply, Role,
    Topic,
};

fn refused(reply: &Reply) -> String {
    match reply {
        Reply::Refused(refusal) => refusal.to_string(),
        other => panic!("{other:?} is no refusal"),
    }
}

#[test]
fn nothing_happens_before_the_cluster_begins() {
    for op in [put("k", "v"), join(member(1, "n1", 1)), Op::Tick] {
        let mut world = World::default();
        assert_eq!(world.does(op), Reply::Refused(Refusal::NotInitialised));
        assert!(world.changed.is_empty());
    }
}

#[test]
fn founders_begin_out_of_dns_and_the_cluster_begins_once() {
    let mut world = World::default();
    assert_eq!(world.does(init(1)), Reply::Done);
    assert_eq!(world.status(1), MemberStatus::Lapsed);
    assert_eq!(world.serf_health("n1"), CheckStatus::Critical);
    let catalog = world.state.catalog();
    let servers = catalog.instances("consul");
    assert_eq!(servers.len(), 3);
    assert!(servers.iter().all(|one| one.service.port == 8300));
    let row = catalog.node("n1").unwrap();
    assert_eq!(
        row.tagged_addresses.get("lan_ipv4"),
        Some(&"10.0.0.1".to_owned())
    );
    let before = world.state.clone();
    assert_eq!(world.does(init(1)), Reply::Done);
    assert!(world.changed.is_empty(), "the same again changes nothing");
    assert_eq!(before.public().catalog(), world.state.catalog());
    assert!(matches!(
        world.does(init(2)),
        Reply::Refused(Refusal::OtherCluster { .. })
    ));
    assert_eq!(world.state.cluster(), before.cluster());
}

#[test]
fn t7_a_name_whose_holder_is_alive_is_refused_naming_the_holder() {
    let mut world = World::formed();
    let text = refused(&world.does(join(member(4, "n1", 4))));
    assert!(
        text.contains("n1 belongs to server") && text.contains("10.0.0.1"),
        "{text}"
    );
    assert!(world.changed.is_empty());
    world.lease(1, 1, LeaseEvent::Lapsed);
    let mut worker = member(4, "n1", 4);
    worker.role = Role::Worker;
    let text = refused(&world.does(join(worker)));
    assert!(
        text.contains("n1 belongs to server"),
        "another role never gets it: {text}"
    );
}

#[test]
fn t7_another_key_gets_a_lapsed_name_and_the_old_id_is_fenced_with_all_it_had() {
    for event in [LeaseEvent::Lapsed, LeaseEvent::Failed, LeaseEvent::Leaving] {
        let mut world = World::formed();
        world.does(register(
            own_node(1, "n1"),
            vec![service("web", "web", &[])],
            vec![],
        ));
        world.does(create(session(1, "n1", &[])));
        world.does(Op::DutyTake {
            duty: Duty::Registry,
            node: NodeId::from_u128(1),
            boot: BootId(1),
        });
        world.lease(1, 1, event);
        assert_eq!(
            world.does(join(member(4, "N1", 4))),
            Reply::Done,
            "{event:?}"
        );
        let (old, new) = (NodeId::from_u128(1), NodeId::from_u128(4));
        assert!(world.state.is_fenced(old) && world.state.member(old).is_none());
        assert_eq!(world.state.member_named("n1").unwrap().id, new);
        let catalog = world.state.catalog();
        assert!(catalog.instances("web").is_empty(), "it inherits nothing");
        assert_eq!(catalog.node("n1").unwrap().id, new);
        assert!(catalog.node_by_id(old).is_none() && !world.has_session(1));
        assert_eq!(world.state.duty(Duty::Registry), None);
        assert_eq!(world.serf_health("n1"), CheckStatus::Critical);
        assert_eq!(
            refused(&world.does(join(member(1, "n9", 1)))),
            Refusal::Fenced(old).to_string()
        );
        assert_eq!(
            world.does(lease(1, 1, LeaseEvent::Held)),
            Reply::Refused(Refusal::NotAMember(old))
        );
    }
}

#[test]
fn t7_an_id_with_another_key_or_role_is_refused() {
    let mut world = World::formed();
    world.lease(1, 1, LeaseEvent::Failed);
    let mut worker = member(1, "n1", 1);
    worker.role = Role::Worker;
    for joiner in [member(1, "n1", 9), worker] {
        assert!(matches!(
            world.does(join(joiner)),
            Reply::Refused(Refusal::NameTaken { .. })
        ));
        assert!(world.changed.is_empty());
    }
}

#[test]
fn l2_a_member_that_joins_again_keeps_what_it_has() {
    let mut world = World::formed();
    world.does(register(
        own_node(1, "n1"),
        vec![service("web", "web", &[])],
        vec![],
    ));
    world.does(create(session(1, "n1", &["serfHealth"])));
    let moved = Member {
        address: "10.9.9.9".parse().unwrap(),
        version: "0.2.0".to_owned(),
        ..member(1, "n1", 1)
    };
    assert_eq!(world.does(join(moved)), Reply::Done);
    let row = world.state.member(NodeId::from_u128(1)).unwrap();
    assert_eq!(
        (row.version.as_str(), row.status),
        ("0.2.0", MemberStatus::Alive)
    );
    assert_eq!(row.boot, Some(BootId(1)));
    assert_eq!(
        world.state.catalog().node("n1").unwrap().address,
        "10.9.9.9"
    );
    assert_eq!(world.state.catalog().instances("web").len(), 1);
    assert!(world.has_session(1) && world.woke(&Topic::Members));
    world.lease(1, 2, LeaseEvent::Held);
    assert!(
        world.has_session(1),
        "nor does its next process lose anything"
    );
    assert_eq!(world.state.catalog().instances("web").len(), 1);
}

#[test]
fn a_member_that_joins_under_another_name_leaves_the_former() {
    let mut world = World::formed();
    world.does(create(session(1, "n1", &[])));
    assert_eq!(world.does(join(member(1, "web-1", 1))), Reply::Done);
    let state = &world.state;
    assert!(state.member_named("n1").is_none() && state.catalog().node("n1").is_none());
    assert_eq!(
        state.catalog().node("web-1").unwrap().id,
        NodeId::from_u128(1)
    );
    assert_eq!(
        world.serf_health("web-1"),
        CheckStatus::Passing,
        "its lease is the same"
    );
    assert!(!world.has_session(1));
    assert!(!world.state.is_fenced(NodeId::from_u128(1)));
}

#[test]
fn a_member_takes_over_the_node_that_was_registered_under_its_name() {
    let mut world = World::formed();
    world.does(register(
        super::world::node("n4", "192.0.2.4"),
        vec![],
        vec![],
    ));
    assert_eq!(world.does(join(member(4, "n4", 4))), Reply::Done);
    let row = world.state.catalog().node("n4").unwrap();
    assert_eq!(
        (row.owner, row.address.as_str()),
        (Some(row.id), "10.0.0.4")
    );
}

#[test]
fn a_worker_has_no_consul_service_and_an_operator_is_no_member() {
    let mut world = World::formed();
    let mut joiner = member(4, "w1", 4);
    joiner.role = Role::Worker;
    world.does(join(joiner.clone()));
    assert_eq!(world.state.catalog().services_of("w1").count(), 0);
    joiner.id = NodeId::from_u128(5);
    joiner.role = Role::Operator;
    assert_eq!(
        world.does(join(joiner)),
        Reply::Refused(Refusal::NotAMember(NodeId::from_u128(5)))
    );
}

#[test]
fn removing_a_member_takes_its_rows_and_fences_its_id() {
    let mut world = World::formed();
    world.does(create(session(1, "n2", &[])));
    let two = NodeId::from_u128(2);
    assert_eq!(world.does(Op::MemberRemove(two)), Reply::Done);
    assert!(world.state.member(two).is_none() && world.state.is_fenced(two));
    assert!(world.state.catalog().node("n2").is_none() && !world.has_session(1));
    assert_eq!(world.state.members_index(), world.index);
    for topic in [
        Topic::Members,
        Topic::Nodes,
        Topic::Services,
        Topic::Checks,
        Topic::Sessions,
    ] {
        assert!(world.woke(&topic), "{topic:?}");
    }
    assert_eq!(world.does(Op::MemberRemove(two)), Reply::Done);
    assert!(world.changed.is_empty(), "once more changes nothing");
    let nobody = NodeId::from_u128(9);
    assert_eq!(
        world.does(Op::MemberRemove(nobody)),
        Reply::Refused(Refusal::NotAMember(nobody))
    );
}
