//! Following: a worker's copy is the public part of the state, whatever happened in between.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::random_ops::{NODES, SERVICES, quiet, script};
use super::world::{World, acquire, create, node, put, register, service, session};
use crate::model::Topic;
use crate::state::{Row, State};

/// Follows from `old` to `new` over the wire.
fn followed(old: &State, new: &State) -> (State, Vec<Topic>) {
    let rows = State::delta(old, new);
    let wire = postcard::to_stdvec(&rows).unwrap();
    let rows: Vec<Row> = postcard::from_bytes(&wire).unwrap();
    let (mut copy, mut changed) = (old.public(), Vec::new());
    copy.follow(rows, &mut changed);
    (copy, changed)
}

/// What a reader of the public part can see under each topic.
fn seen(state: &State) -> Vec<(Topic, String)> {
    let catalog = state.catalog();
    let nodes: Vec<_> = catalog.nodes().collect();
    let members: Vec<_> = state.members().collect();
    let checks: Vec<_> = catalog.all_checks().collect();
    let mut seen = vec![
        (Topic::Nodes, format!("{nodes:?}{}", catalog.nodes_index())),
        (
            Topic::Members,
            format!("{members:?}{}", state.members_index()),
        ),
        (
            Topic::Checks,
            format!("{checks:?}{}", catalog.checks_index()),
        ),
        (Topic::Services, catalog.services_index().to_string()),
        (
            Topic::Duties,
            format!("{:?}", state.duty(crate::model::Duty::Registry)),
        ),
    ];
    for name in NODES.map(str::to_lowercase) {
        let services: Vec<_> = catalog.services_of(&name).collect();
        let checks: Vec<_> = catalog.checks_of(&name).collect();
        let text = format!("{:?}{services:?}{checks:?}", catalog.node(&name));
        seen.push((Topic::Node(name), text));
    }
    for name in SERVICES.map(str::to_lowercase) {
        let text = format!("{:?}", catalog.instances(&name));
        seen.push((Topic::Service(name), text));
    }
    seen
}

proptest! {
    #![proptest_config(quiet(200))]
    #[test]
    fn a_follower_ends_up_with_the_public_state(ops in script(60), at in 0..60_usize) {
        let mut world = World::formed();
        let mut old = State::default();
        for (step, op) in ops.into_iter().enumerate() {
            if step == at {
                old = world.state.clone();
            }
            world.time += 10;
            let before = world.state.public();
            world.does(op);
            let (copy, _) = followed(&before, &world.state);
            prop_assert_eq!(copy, world.state.public(), "step by step");
        }
        let (copy, changed) = followed(&old, &world.state);
        prop_assert_eq!(&copy, &world.state.public(), "all at once");
        let woken: BTreeSet<&Topic> = changed.iter().collect();
        prop_assert_eq!(woken.len(), changed.len(), "a topic came twice");
        for ((topic, was), (_, is)) in seen(&old).into_iter().zip(seen(&world.state)) {
            prop_assert!(was == is || woken.contains(&topic), "{topic:?} slept");
        }
        // A snapshot of an older day was put in place: followers go back, too.
        prop_assert_eq!(followed(&world.state, &old).0, old.public());
        prop_assert!(State::delta(&copy, &world.state).is_empty());
    }

    #[test]
    fn a_snapshot_holds_everything(ops in script(60)) {
        let mut world = World::formed();
        for op in ops {
            world.does(op);
        }
        let bytes = postcard::to_stdvec(&world.state).unwrap();
        let back: State = postcard::from_bytes(&bytes).unwrap();
        prop_assert_eq!(&back, &world.state);
        prop_assert_eq!(postcard::to_stdvec(&back).unwrap(), bytes);
    }
}

#[test]
fn workers_are_told_no_secret() {
    let mut world = World::formed();
    world.does(put("k", "hunter2"));
    world.does(create(session(1, "n1", &[])));
    world.does(acquire("lock", 1));
    let blank = State::default();
    let wire = postcard::to_stdvec(&State::delta(&blank, &world.state)).unwrap();
    for secret in [&b"hunter2"[..], b"sealed-ca-key", b"hush", b"lock"] {
        let told = wire.windows(secret.len()).any(|window| window == secret);
        assert!(!told, "{:?}", String::from_utf8_lossy(secret));
    }
    let public = world.state.public();
    assert!(public.kv().is_empty() && public.ca().is_none());
    assert_eq!(public.sessions().iter().count(), 0);
    assert_eq!(public.members().count(), 3);
    assert_eq!(public.cluster(), world.state.cluster());
}

#[test]
fn a_small_change_is_a_small_delta() {
    let mut world = World::formed();
    for number in 0..200 {
        let name = format!("ext-{number}");
        let rows = vec![service("web", "web", &[])];
        world.does(register(node(&name, "192.0.2.1"), rows, vec![]));
    }
    let before = world.state.clone();
    world.does(put("k", "v"));
    assert_eq!(
        State::delta(&before, &world.state).len(),
        1,
        "only how far it is"
    );
    let before = world.state.clone();
    let rows = vec![service("web", "web", &["new"])];
    world.does(register(node("ext-7", "192.0.2.1"), rows, vec![]));
    let rows = State::delta(&before, &world.state);
    assert!(rows.len() <= 5, "{rows:?}");
}
