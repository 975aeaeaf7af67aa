//! Laws of the catalog under random commands: look-ups say what the rows say; whoever can see a
//! change is woken and shown a larger index; nobody is woken for nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::random_ops::{NODES, SERVICES, quiet, script};
use super::world::World;
use crate::model::{CheckRow, NodeId, NodeRow, ServiceRow, Topic};
use crate::state::{Catalog, Instance};

/// The instances of a service, found by looking at every row.
fn searched(catalog: &Catalog, name: &str) -> Vec<Instance> {
    let mut found = Vec::new();
    for node in catalog.nodes() {
        for service in catalog.services_of(&node.name) {
            if service.name.eq_ignore_ascii_case(name) {
                let on = |id: &str| -> Vec<Arc<CheckRow>> {
                    let all = catalog.checks_of(&node.name);
                    all.filter(|row| row.service_id == id).cloned().collect()
                };
                found.push(Instance {
                    node: Arc::clone(node),
                    service: Arc::clone(service),
                    checks: [on(""), on(&service.id)].concat(),
                });
            }
        }
    }
    found
}

fn look_ups_agree(catalog: &Catalog) {
    for name in SERVICES {
        assert_eq!(catalog.instances(name), searched(catalog, name), "{name}");
    }
    let all = || {
        catalog
            .nodes()
            .flat_map(|node| catalog.services_of(&node.name))
    };
    let mut names: Vec<_> = all().map(|row| row.name.to_lowercase()).collect();
    names.sort();
    names.dedup();
    let listed = catalog.service_names().map(|(name, _)| name.to_lowercase());
    assert!(listed.eq(names));
    for node in catalog.nodes() {
        assert_eq!(catalog.node(&node.name.to_uppercase()), Some(node));
        assert_eq!(catalog.node_by_id(node.id), Some(node), "by id");
        assert!(
            catalog
                .nodes_by_address(&node.address)
                .any(|row| row == node)
        );
        for check in catalog.checks_of(&node.name) {
            let service = catalog.service(&node.name, &check.service_id);
            assert_eq!(
                service.is_none(),
                check.service_id.is_empty(),
                "an orphan: {check:?}"
            );
            let (name, tags) = service
                .map(|row| (row.name.clone(), row.tags.clone()))
                .unwrap_or_default();
            assert_eq!((&check.service_name, &check.service_tags), (&name, &tags));
        }
    }
    let addressed = all().filter(|row| row.address == "192.0.2.200").count();
    assert_eq!(
        catalog.services_by_address("192.0.2.200").count(),
        addressed
    );
    assert_eq!(
        catalog.all_checks().count(),
        catalog
            .nodes()
            .map(|node| catalog.checks_of(&node.name).count())
            .sum::<usize>()
    );
}

type Seen = (Vec<Arc<NodeRow>>, Vec<Arc<ServiceRow>>, Vec<Arc<CheckRow>>);

/// What each blocking read of the catalog would return, with its index and what wakes it.
fn readings(catalog: &Catalog) -> BTreeMap<Topic, (u64, Seen)> {
    let nodes: Vec<_> = catalog.nodes().cloned().collect();
    let services: Vec<_> = catalog
        .nodes()
        .flat_map(|node| catalog.services_of(&node.name).cloned())
        .collect();
    let checks: Vec<_> = catalog.all_checks().cloned().collect();
    let mut readings = BTreeMap::from([
        (
            Topic::Nodes,
            (catalog.nodes_index(), (nodes, vec![], vec![])),
        ),
        (
            Topic::Services,
            (catalog.services_index(), (vec![], services, vec![])),
        ),
        (
            Topic::Checks,
            (catalog.checks_index(), (vec![], vec![], checks)),
        ),
    ]);
    for name in NODES.map(str::to_lowercase) {
        let node = catalog.node(&name).cloned().into_iter().collect();
        let services = catalog.services_of(&name).cloned().collect();
        let seen = (node, services, vec![]);
        readings.insert(Topic::Node(name.clone()), (catalog.node_index(&name), seen));
    }
    for name in SERVICES.map(str::to_lowercase) {
        let all = catalog.instances(&name);
        let seen = (
            all.iter().map(|one| Arc::clone(&one.node)).collect(),
            all.iter().map(|one| Arc::clone(&one.service)).collect(),
            all.into_iter().flat_map(|one| one.checks).collect(),
        );
        readings.insert(
            Topic::Service(name.clone()),
            (catalog.service_index(&name), seen),
        );
    }
    readings
}

/// A node's topic wakes for its checks too, which its index does not count.
fn of_checks(before: &Catalog, after: &Catalog, topic: &Topic) -> bool {
    let Topic::Node(name) = topic else {
        return false;
    };
    !before.checks_of(name).eq(after.checks_of(name))
}

proptest! {
    #![proptest_config(quiet(300))]
    #[test]
    fn whoever_sees_a_change_is_woken_and_sees_a_larger_index(ops in script(50)) {
        let mut world = World::formed();
        for op in ops {
            let before = world.state.catalog().clone();
            world.does(op.clone());
            let catalog = world.state.catalog();
            look_ups_agree(catalog);
            let was = readings(&before);
            for (topic, (index, seen)) in readings(catalog) {
                let (index_was, seen_was) = &was[&topic];
                prop_assert!(index >= *index_was, "{topic:?} went back on {op:?}");
                if seen != *seen_was {
                    prop_assert!(world.woke(&topic), "{topic:?} slept through {op:?}");
                    prop_assert_eq!(index, world.index, "{:?} after {:?}", topic, op);
                } else if !of_checks(&before, catalog, &topic) {
                    prop_assert!(!world.woke(&topic), "{topic:?} woken for nothing by {op:?}");
                }
            }
            if world.changed.is_empty() {
                prop_assert_eq!(&before, catalog);
            }
        }
    }

    #[test]
    fn every_member_has_its_node_and_every_owned_node_its_member(ops in script(50)) {
        let mut world = World::formed();
        for op in ops {
            world.does(op);
            let (state, catalog) = (&world.state, world.state.catalog());
            for member in state.members() {
                let row = catalog.node(member.name.as_str()).expect("a member's node");
                prop_assert_eq!(row.owner, Some(member.id));
                prop_assert_eq!(row.id, member.id);
                prop_assert!(catalog.check(&row.name, "serfHealth").is_some());
                prop_assert!(!state.is_fenced(member.id));
                prop_assert_eq!(state.member_named(member.name.as_str()), Some(member));
            }
            let owners: Vec<NodeId> = catalog.nodes().filter_map(|row| row.owner).collect();
            prop_assert_eq!(owners.len(), state.members().count());
        }
    }
}
