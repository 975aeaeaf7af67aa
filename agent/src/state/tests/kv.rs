//! KV by example: what Consul's clients count on.

use bytes::Bytes;

use super::world::{World, acquire, create, delete, put, put_if, session};
use crate::model::{KvOp, Op, Refusal, Reply, SessionId, Topic};

#[test]
fn an_equal_put_moves_no_index_and_wakes_nobody() {
    let mut world = World::formed();
    world.does(put("k", "v"));
    let first = world.state.kv().key_index("k");
    assert_eq!(world.does(put("k", "v")), Reply::Bool(true));
    assert_eq!(world.state.kv().key_index("k"), first);
    assert!(world.changed.is_empty(), "{:?}", world.changed);
}

#[test]
fn check_and_set_table() {
    for (present, cas, took) in [
        (false, 0, true),
        (false, 7, false),
        (true, 0, false),
        (true, 5, true),
        (true, 4, false),
    ] {
        let mut world = World::formed();
        if present {
            world.does(put("k", "old"));
            assert_eq!(world.index, 5, "the index that the table speaks of");
        }
        assert_eq!(world.does(put_if("k", "new", cas)), Reply::Bool(took));
        let new = world
            .state
            .kv()
            .get("k")
            .is_some_and(|entry| entry.value == "new");
        assert_eq!(new, took, "present {present}, cas {cas}");
    }
}

#[test]
fn deleting_with_check_and_set_counts_an_absent_key_as_deleted() {
    let mut world = World::formed();
    let delete_if = |cas| {
        Op::Kv(KvOp::Delete {
            key: "k".to_owned(),
            cas: Some(cas),
        })
    };
    assert_eq!(world.does(delete_if(9)), Reply::Bool(true));
    assert!(world.changed.is_empty());
    world.does(put("k", "v"));
    assert_eq!(world.does(delete_if(1)), Reply::Bool(false));
    let index = world.state.kv().key_index("k");
    assert_eq!(world.does(delete_if(index)), Reply::Bool(true));
    assert!(world.state.kv().is_empty());
    assert_eq!(
        world.state.kv().key_index("k"),
        world.index,
        "a watcher sees it go"
    );
}

#[test]
fn lock_indexes_are_those_of_the_contract() {
    let mut world = World::formed();
    for number in [1, 2] {
        world.does(create(session(number, "n1", &[])));
    }
    let entry = |world: &World| world.state.kv().get("k").unwrap();
    assert_eq!(world.does(acquire("k", 1)), Reply::Bool(true));
    let first = entry(&world);
    assert_eq!(
        (first.lock_index, first.create_index, first.modify_index),
        (1, 7, 7)
    );
    assert_eq!(world.does(acquire("k", 1)), Reply::Bool(true));
    assert_eq!(entry(&world), first, "taking it again changes nothing");
    assert!(world.changed.is_empty());
    assert_eq!(world.does(acquire("k", 2)), Reply::Bool(false));
    world.does(put("k", "by the way"));
    let written = entry(&world);
    assert_eq!(
        (written.lock_index, written.session),
        (1, first.session),
        "locks are advisory"
    );
    let release = Op::Kv(KvOp::Release {
        key: "k".to_owned(),
        value: Bytes::from_static(b"bye"),
        flags: 0,
        session: SessionId::from_u128(1),
    });
    assert_eq!(world.does(release.clone()), Reply::Bool(true));
    let free = entry(&world);
    assert_eq!(
        (free.session, free.lock_index, free.create_index),
        (None, 1, 7)
    );
    assert_eq!(free.value, "bye");
    assert_eq!(free.modify_index, world.index);
    assert_eq!(world.does(release), Reply::Bool(false), "it is nobody's");
    assert_eq!(
        world.state.lock_delay("k"),
        None,
        "a release starts no lock-delay"
    );
    assert_eq!(world.does(acquire("k", 2)), Reply::Bool(true));
    assert_eq!(entry(&world).lock_index, 2);
}

#[test]
fn a_lock_for_an_unknown_session_is_refused_with_consuls_words() {
    let mut world = World::formed();
    let reply = world.does(acquire("k", 9));
    let id = SessionId::from_u128(9);
    assert_eq!(reply, Reply::Refused(Refusal::InvalidSession(id)));
    assert!(world.state.kv().is_empty());
}

#[test]
fn a_watcher_under_a_deleted_prefix_sees_a_larger_index() {
    let mut world = World::formed();
    for key in ["a/b/c", "a/b/d", "x"] {
        world.does(put(key, "v"));
    }
    let before = world.state.kv().prefix_index("a/b/");
    world.does(Op::Kv(KvOp::DeletePrefix {
        prefix: "a/".to_owned(),
    }));
    assert_eq!(world.changed, [Topic::Prefix("a/".to_owned())]);
    let kv = world.state.kv();
    assert!(kv.prefix_index("a/b/") > before && kv.prefix_index("a/b/") == world.index);
    assert_eq!(kv.prefix_index("x"), 7, "nothing happened there");
    world.does(Op::Kv(KvOp::DeletePrefix {
        prefix: "a/".to_owned(),
    }));
    assert!(world.changed.is_empty(), "nothing was left to delete");
}

#[test]
fn no_index_goes_back_when_old_deletions_are_forgotten() {
    let mut world = World::formed();
    world.does(put("alive", "v"));
    world.does(put("gone", "v"));
    world.does(delete("gone"));
    let prefixes = ["alive", "gone", "never", "many/"];
    let mut before = prefixes.map(|_| 0);
    for number in 0..9_000 {
        let key = format!("many/{number}");
        world.does(put(&key, "v"));
        world.does(delete(&key));
        let now = prefixes.map(|prefix| world.state.kv().prefix_index(prefix));
        let back = now.iter().zip(before).any(|(now, before)| *now < before);
        assert!(!back, "{now:?} after {before:?}");
        before = now;
    }
    world.does(put("never", "v"));
    assert_eq!(world.state.kv().prefix_index("never"), world.index);
}

#[test]
fn no_index_is_ever_zero() {
    let world = World::default();
    let state = &world.state;
    let catalog = state.catalog();
    for index in [
        state.kv().key_index("k"),
        state.kv().prefix_index(""),
        state.kv().prefix_index("p"),
        state.sessions().index(),
        state.members_index(),
        catalog.nodes_index(),
        catalog.services_index(),
        catalog.checks_index(),
        catalog.service_index("web"),
        catalog.node_index("n1"),
    ] {
        assert_eq!(index, 1);
    }
}

#[test]
fn deleting_a_locked_key_frees_its_holder_of_it() {
    let mut world = World::formed();
    world.does(create(session(1, "n1", &[])));
    world.does(acquire("k", 1));
    world.does(delete("k"));
    assert_eq!(world.state.locks_of(&SessionId::from_u128(1)).count(), 0);
    world.does(put("k", "someone else's"));
    world.does(Op::SessionDestroy(SessionId::from_u128(1)));
    let entry = world.state.kv().get("k").unwrap();
    assert_eq!(
        entry.modify_index,
        world.index - 1,
        "its end does not touch the new key"
    );
}
