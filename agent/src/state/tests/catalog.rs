//! The catalog by example: rows, look-ups, indexes and refusals.

use super::world::{
    World, check, deregister, member, node, own_node, put, register, service, update,
};
use crate::model::{CheckStatus, NodeId, NodeRow, Op, Refusal, Registration, Reply, Topic};

fn web(world: &mut World, node_name: &str, id: &str, tags: &[&str]) {
    let reply = world.does(register(
        node(node_name, "192.0.2.1"),
        vec![service(id, "Web", tags)],
        vec![check(&format!("{id}-up"), id, CheckStatus::Passing)],
    ));
    assert_eq!(reply, Reply::Done);
}

#[test]
fn instances_come_in_order_with_the_nodes_checks_and_their_own() {
    let mut world = World::formed();
    for (node_name, id) in [("b", "web-2"), ("A", "web-1"), ("b", "web-1")] {
        web(&mut world, node_name, id, &[]);
    }
    world.does(register(
        node("b", "192.0.2.1"),
        vec![],
        vec![check("disk", "", CheckStatus::Warning)],
    ));
    let seen: Vec<_> = world
        .state
        .catalog()
        .instances("wEB")
        .iter()
        .map(|one| {
            let checks: Vec<_> = one.checks.iter().map(|row| row.check_id.clone()).collect();
            (
                one.node.name.clone(),
                one.service.id.clone(),
                checks.join(" "),
            )
        })
        .collect();
    let expected = [
        ("A", "web-1", "web-1-up"),
        ("b", "web-1", "disk web-1-up"),
        ("b", "web-2", "disk web-2-up"),
    ];
    assert_eq!(
        seen,
        expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()))
    );
}

#[test]
fn names_keep_their_case_and_tags_are_a_union() {
    let mut world = World::formed();
    web(&mut world, "a", "1", &["v1", "eu"]);
    world.does(register(
        node("b", "192.0.2.2"),
        vec![service("1", "WEB", &["v2", "eu"])],
        vec![],
    ));
    let catalog = world.state.catalog();
    let names: Vec<_> = catalog
        .service_names()
        .map(|(name, tags)| (name, tags.into_iter().collect::<Vec<_>>().join(" ")))
        .collect();
    assert_eq!(
        names,
        [("consul", String::new()), ("Web", "eu v1 v2".to_owned())]
    );
}

#[test]
fn addresses_are_found_however_they_are_written() {
    let mut world = World::formed();
    let mut row = service("1", "dns", &[]);
    row.address = "2001:DB8:0:0::5".to_owned();
    world.does(register(node("Six", "2001:db8::1"), vec![row], vec![]));
    let catalog = world.state.catalog();
    assert_eq!(
        catalog
            .nodes_by_address("2001:0db8::0001")
            .next()
            .unwrap()
            .name,
        "Six"
    );
    assert_eq!(
        catalog
            .services_by_address("2001:db8::5")
            .next()
            .unwrap()
            .name,
        "dns"
    );
    assert_eq!(
        catalog.nodes_by_address("10.0.0.2").next().unwrap().name,
        "n2"
    );
    world.does(deregister("six", Some("1"), None));
    assert_eq!(
        world
            .state
            .catalog()
            .services_by_address("2001:db8::5")
            .count(),
        0
    );
    world.does(register(node("six", "2001:db8::2"), vec![], vec![]));
    assert_eq!(
        world
            .state
            .catalog()
            .nodes_by_address("2001:db8::1")
            .count(),
        0
    );
}

#[test]
fn registering_the_same_again_moves_no_index_and_wakes_nobody() {
    let mut world = World::formed();
    web(&mut world, "a", "1", &["v1"]);
    let before = world.state.catalog().clone();
    web(&mut world, "a", "1", &["v1"]);
    assert!(world.changed.is_empty(), "{:?}", world.changed);
    assert_eq!(&before, world.state.catalog());
    world.does(deregister("nowhere", None, None));
    world.does(deregister("a", Some("nothing"), None));
    world.does(update("a", "1-up", CheckStatus::Passing, ""));
    assert!(world.changed.is_empty(), "{:?}", world.changed);
    assert_eq!(&before, world.state.catalog());
}

#[test]
fn a_services_index_moves_with_all_that_its_reader_sees() {
    type Case = (&'static str, fn() -> Op, bool);
    let cases: [Case; 9] = [
        (
            "its check",
            || update("a", "1-up", CheckStatus::Warning, ""),
            true,
        ),
        (
            "its check's output",
            || update("a", "1-up", CheckStatus::Passing, "ok"),
            true,
        ),
        (
            "a check of its node",
            || update("a", "disk", CheckStatus::Warning, ""),
            true,
        ),
        (
            "its node's row",
            || register(node("a", "192.0.2.9"), vec![], vec![]),
            true,
        ),
        (
            "one instance goes",
            || deregister("a", Some("1"), None),
            true,
        ),
        (
            "another instance",
            || {
                register(
                    node("c", "192.0.2.3"),
                    vec![service("1", "web", &[])],
                    vec![],
                )
            },
            true,
        ),
        (
            "another service on its node",
            || {
                register(
                    node("a", "192.0.2.1"),
                    vec![service("2", "db", &[])],
                    vec![],
                )
            },
            false,
        ),
        (
            "a check elsewhere",
            || update("d", "disk", CheckStatus::Warning, ""),
            false,
        ),
        ("a key", || put("k", "v"), false),
    ];
    for (what, op, moves) in cases {
        let mut world = World::formed();
        web(&mut world, "a", "1", &[]);
        web(&mut world, "b", "1", &[]);
        for name in ["a", "d"] {
            let disk = check("disk", "", CheckStatus::Passing);
            world.does(register(node(name, "192.0.2.1"), vec![], vec![disk]));
        }
        let before = world.state.catalog().service_index("web");
        assert!(!matches!(world.does(op()), Reply::Refused(_)), "{what}");
        let after = world.state.catalog().service_index("web");
        assert_eq!(after > before, moves, "{what}: {before} to {after}");
        assert_eq!(
            world.woke(&Topic::Service("web".to_owned())),
            moves,
            "{what}"
        );
    }
}

#[test]
fn a_watcher_of_an_absent_service_sees_it_come_and_go() {
    let mut world = World::formed();
    let absent = world.state.catalog().service_index("web");
    web(&mut world, "a", "1", &[]);
    let present = world.state.catalog().service_index("web");
    assert!(present > absent);
    world.does(deregister("a", None, None));
    let gone = world.state.catalog().service_index("web");
    assert!(gone > present && gone == world.index);
    world.does(register(
        node("x", "192.0.2.1"),
        vec![service("1", "db", &[])],
        vec![],
    ));
    assert_eq!(
        world.state.catalog().service_index("web"),
        gone,
        "another one's coming is not news"
    );
    assert_eq!(world.state.catalog().node_index("a"), gone);
}

#[test]
fn a_service_that_takes_another_name_leaves_the_former() {
    let mut world = World::formed();
    web(&mut world, "a", "1", &[]);
    let created = world
        .state
        .catalog()
        .service("a", "1")
        .unwrap()
        .create_index;
    world.does(register(
        node("a", "192.0.2.1"),
        vec![service("1", "shop", &["new"])],
        vec![],
    ));
    let catalog = world.state.catalog();
    assert!(catalog.instances("web").is_empty());
    let shop = catalog.instances("shop").remove(0);
    assert_eq!(shop.service.create_index, created);
    let check = shop.checks.first().unwrap();
    assert_eq!(
        (check.service_name.as_str(), check.service_tags.join(" ")),
        ("shop", "new".to_owned())
    );
    for name in ["web", "shop"] {
        assert!(world.woke(&Topic::Service(name.to_owned())), "{name}");
        assert_eq!(catalog.service_index(name), world.index);
    }
}

#[test]
fn a_registration_is_all_or_nothing() {
    let mut world = World::formed();
    let before = world.state.catalog().clone();
    let reply = world.does(register(
        node("a", "192.0.2.1"),
        vec![service("web", "web", &[])],
        vec![check("up", "webb", CheckStatus::Passing)],
    ));
    assert_eq!(
        reply,
        Reply::Refused(Refusal::UnknownService("webb".to_owned()))
    );
    let skip = Op::Register(Box::new(Registration {
        node: node("a", ""),
        skip_node_update: true,
        services: vec![service("web", "web", &[])],
        checks: vec![],
    }));
    assert_eq!(world.does(skip), Reply::Refused(Refusal::MissingNode));
    assert_eq!(
        world.does(update("n1", "nothing", CheckStatus::Passing, "")),
        Reply::Refused(Refusal::UnknownCheck("nothing".to_owned()))
    );
    assert_eq!(&before, world.state.catalog());
}

#[test]
fn skipping_the_node_update_leaves_the_node_as_it_is() {
    let mut world = World::formed();
    world.does(register(node("a", "192.0.2.1"), vec![], vec![]));
    world.does(Op::Register(Box::new(Registration {
        node: node("a", "203.0.113.9"),
        skip_node_update: true,
        services: vec![service("web", "web", &[])],
        checks: vec![],
    })));
    assert_eq!(
        world.state.catalog().node("a").unwrap().address,
        "192.0.2.1"
    );
    assert_eq!(world.state.catalog().instances("web").len(), 1);
}

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
    world.does(super::world::create(super::world::session(
        1,
        "n1",
        &["disk"],
    )));
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
    world.does(super::world::join(member(4, "n4", 4)));
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

#[test]
fn an_outside_node_with_the_id_of_another_is_that_node_renamed() {
    let mut world = World::formed();
    web(&mut world, "old", "1", &[]);
    let id = world.state.catalog().node("old").unwrap().id;
    let renamed = NodeRow {
        id,
        ..node("new", "192.0.2.1")
    };
    world.does(register(renamed, vec![], vec![]));
    let catalog = world.state.catalog();
    assert!(catalog.node("old").is_none() && catalog.instances("web").is_empty());
    assert_eq!(catalog.node_by_id(id).unwrap().name, "new");
}
