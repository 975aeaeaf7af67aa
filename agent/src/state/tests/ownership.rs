//! Whose rows are whose: a member's node is its own, and its health is the cluster's word.

use super::world::{
    World, check, create, deregister, join, member, node, own_node, register, service, session,
    update,
};
use crate::model::{CheckStatus, NodeId, NodeRow, Op, Reply};

#[test]
fn nobody_but_the_cluster_says_how_a_member_is() {
    let mut world = World::formed();
    let before = world.state.catalog().clone();
    let mut forged = own_node(1, "n1");
    forged.tagged_addresses = before.node("n1").unwrap().tagged_addresses.clone();
    let critical = || check("SerfHealth", "", CheckStatus::Critical);
    for op in [
        register(
            forged,
            vec![service("consul", "mine", &[])],
            vec![critical()],
        ),
        register(node("n1", "6.6.6.6"), vec![], vec![critical()]),
        deregister("n1", None, Some("serfHealth")),
        deregister("n1", Some("consul"), None),
        deregister("n1", None, None),
        update("n1", "serfHealth", CheckStatus::Critical, "forged"),
    ] {
        world.does(op.clone());
        assert_eq!(&before, world.state.catalog(), "{op:?}");
    }
}

#[test]
fn deregistering_a_members_node_clears_what_was_registered_there() {
    let mut world = World::formed();
    world.does(register(
        own_node(1, "n1"),
        vec![service("web", "web", &[])],
        vec![check("disk", "", CheckStatus::Passing)],
    ));
    world.does(create(session(1, "n1", &["disk"])));
    world.does(deregister("n1", None, None));
    let catalog = world.state.catalog();
    let services: Vec<_> = catalog
        .services_of("n1")
        .map(|row| row.id.as_str())
        .collect();
    let checks: Vec<_> = catalog
        .checks_of("n1")
        .map(|row| row.check_id.as_str())
        .collect();
    assert_eq!((services, checks), (vec!["consul"], vec!["serfHealth"]));
    assert!(!world.has_session(1));
}

#[test]
fn each_member_writes_its_own_rows_only() {
    let mut world = World::formed();
    world.does(join(member(4, "n4", 4)));
    world.does(Op::MemberRemove(NodeId::from_u128(4)));
    let as_owner = |number: u128, name: &str| NodeRow {
        owner: Some(NodeId::from_u128(number)),
        ..node(name, "192.0.2.1")
    };
    let with_id = NodeRow {
        id: NodeId::from_u128(2),
        ..node("impostor", "192.0.2.1")
    };
    for (row, refused) in [
        (
            as_owner(1, "n2"),
            "the name n2 belongs to server 00000000-0000-0000-0000-000000000002",
        ),
        (as_owner(1, "elsewhere"), "Missing node registration"),
        (
            as_owner(9, "n9"),
            "node 00000000-0000-0000-0000-000000000009 is not a member",
        ),
        (
            as_owner(4, "n4"),
            "node 00000000-0000-0000-0000-000000000004 was removed",
        ),
        (with_id, "the name n2 belongs to server"),
    ] {
        match world.does(register(row, vec![service("x", "x", &[])], vec![])) {
            Reply::Refused(refusal) => {
                let text = refusal.to_string();
                assert!(text.starts_with(refused), "{text}");
            }
            other => panic!("{other:?} instead of {refused}"),
        }
        assert!(world.changed.is_empty());
    }
    let mut own = own_node(1, "N1");
    own.meta.insert("rack".to_owned(), "7".to_owned());
    assert_eq!(
        world.does(register(own, vec![service("x", "x", &[])], vec![])),
        Reply::Done
    );
    let row = world.state.catalog().node("n1").unwrap();
    assert_eq!((row.name.as_str(), row.meta.len()), ("n1", 1));
}
