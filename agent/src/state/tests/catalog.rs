//! The catalog by example: rows, look-ups, indexes and refusals.

use super::world::{World, check, deregister, node, put, register, service, update};
use crate::model::{CheckStatus, NodeRow, Op, Refusal, Registration, Reply, Topic};

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
    use CheckStatus::{Passing, Warning};
    let moved = || register(node("a", "192.0.2.9"), vec![], vec![]);
    let on = |name: &str, row| register(node(name, "192.0.2.1"), vec![row], vec![]);
    let cases = [
        ("its check", update("a", "1-up", Warning, ""), true),
        (
            "its check's output",
            update("a", "1-up", Passing, "ok"),
            true,
        ),
        (
            "a check of its node",
            update("a", "disk", Warning, ""),
            true,
        ),
        ("its node's row", moved(), true),
        ("an instance goes", deregister("a", Some("1"), None), true),
        ("an instance comes", on("c", service("1", "web", &[])), true),
        ("another service", on("a", service("2", "db", &[])), false),
        ("a check elsewhere", update("d", "disk", Warning, ""), false),
        ("a key", put("k", "v"), false),
    ];
    for (what, op, moves) in cases {
        let mut world = World::formed();
        web(&mut world, "a", "1", &[]);
        web(&mut world, "b", "1", &[]);
        for name in ["a", "d"] {
            let disk = check("disk", "", Passing);
            world.does(register(node(name, "192.0.2.1"), vec![], vec![disk]));
        }
        let before = world.state.catalog().service_index("web");
        assert!(!matches!(world.does(op), Reply::Refused(_)), "{what}");
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
