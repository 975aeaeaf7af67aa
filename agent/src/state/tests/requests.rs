//! A request takes effect once, however often it comes (safety.md R8).

use super::world::{World, create, init, put, put_if, session};
use crate::model::{BootId, LeaseEvent, NodeId, Op, Refusal, Reply, RequestId};

fn request(number: u128, boot: u64, seq: u64, settled: u64) -> Option<RequestId> {
    Some(RequestId {
        node: NodeId::from_u128(number),
        boot: BootId(boot),
        seq,
        settled,
    })
}

#[test]
fn r8_a_retry_is_answered_like_the_first_try() {
    let mut world = World::formed();
    let op = put_if("k", "v", 0);
    assert_eq!(
        world.asks(request(1, 1, 1, 0), op.clone()),
        Reply::Bool(true)
    );
    let first = world.state.kv().key_index("k");
    assert_eq!(
        world.asks(request(1, 1, 1, 0), op.clone()),
        Reply::Bool(true)
    );
    assert!(world.changed.is_empty());
    assert_eq!(world.state.kv().key_index("k"), first);
    assert_eq!(
        world.state.index(),
        world.index,
        "the log's index moves on all the same"
    );
    assert_eq!(
        world.asks(request(1, 1, 2, 0), op),
        Reply::Bool(false),
        "another request"
    );
}

#[test]
fn r8_a_refusal_is_remembered_too() {
    let mut world = World::formed();
    let op = create(session(1, "ext", &[]));
    let refused = Reply::Refused(Refusal::MissingNode);
    assert_eq!(world.asks(request(1, 1, 1, 0), op.clone()), refused);
    world.does(super::world::register(
        super::world::node("ext", "192.0.2.1"),
        vec![],
        vec![],
    ));
    assert_eq!(world.asks(request(1, 1, 1, 0), op), refused);
    assert!(!world.has_session(1));
}

#[test]
fn r8_requests_of_different_processes_and_nodes_are_different() {
    let mut world = World::formed();
    for (number, boot) in [(1, 1), (1, 2), (2, 1)] {
        world.asks(
            request(number, boot, 1, 0),
            put("k", &format!("{number} {boot}")),
        );
        let entry = world.state.kv().get("k").unwrap();
        assert_eq!(entry.modify_index, world.index);
    }
}

#[test]
fn r8_a_late_copy_of_a_former_processs_request_is_known_and_harms_nobody() {
    let mut world = World::formed();
    world.asks(request(1, 1, 1, 0), put("k", "old"));
    world.lease(1, 2, LeaseEvent::Held);
    world.asks(request(1, 2, 1, 0), put("k", "new"));
    for boot in [1, 2] {
        world.asks(request(1, boot, 1, 0), put("k", "again"));
        assert!(world.changed.is_empty(), "boot {boot}");
    }
    assert_eq!(world.state.kv().get("k").unwrap().value, "new");
}

#[test]
fn r8_what_is_settled_is_forgotten_and_a_stray_copy_does_nothing() {
    let mut world = World::formed();
    for seq in 1..=100 {
        world.asks(request(1, 1, seq, seq - 1), put("k", &seq.to_string()));
    }
    let size = |world: &World| postcard::to_stdvec(&world.state).unwrap().len();
    let before = size(&world);
    for seq in 101..=2_000 {
        world.asks(request(1, 1, seq, seq - 1), put("k", &seq.to_string()));
    }
    assert!(
        size(&world) < before + 100,
        "memory does not grow with settled requests"
    );
    let (node, seq) = (NodeId::from_u128(1), 50);
    assert_eq!(
        world.asks(request(1, 1, 50, 0), put("k", "stray")),
        Reply::Refused(Refusal::Settled { node, seq })
    );
    assert_eq!(world.state.kv().get("k").unwrap().value, "2000");
}

#[test]
fn r8_the_memory_of_processes_is_bounded() {
    let mut world = World::formed();
    let size = |world: &World| postcard::to_stdvec(&world.state).unwrap().len();
    let mut sizes = Vec::new();
    for boot in 1..=50 {
        world.asks(request(1, boot, 1, 0), put("k", "v"));
        sizes.push(size(&world));
    }
    assert!(
        sizes[49] <= sizes[9] + 40,
        "{} after {}",
        sizes[49],
        sizes[9]
    );
}

#[test]
fn r8_a_removed_node_is_forgotten_and_nothing_of_it_takes_effect_any_more() {
    let mut world = World::formed();
    world.asks(request(2, 1, 1, 0), put("k", "v"));
    let leave = || Op::MemberRemove(NodeId::from_u128(2));
    assert_eq!(world.asks(request(2, 1, 2, 0), leave()), Reply::Done);
    let fenced = Reply::Refused(Refusal::Fenced(NodeId::from_u128(2)));
    for seq in [1, 2, 3] {
        assert_eq!(world.asks(request(2, 1, seq, 0), put("k", "late")), fenced);
        assert!(world.changed.is_empty());
    }
}

#[test]
fn r8_the_memory_survives_a_snapshot() {
    let mut world = World::default();
    world.asks(request(1, 1, 1, 0), init(1));
    world.asks(request(1, 1, 2, 0), put_if("k", "v", 0));
    let bytes = postcard::to_stdvec(&world.state).unwrap();
    world.state = postcard::from_bytes(&bytes).unwrap();
    assert_eq!(
        world.asks(request(1, 1, 2, 0), put_if("k", "v", 0)),
        Reply::Bool(true)
    );
}
