//! KV, sessions and locks against the naive model, step by step.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::select;

use super::naive_kv::Naive;
use super::random_ops::quiet;
use super::world::{World, session};
use crate::model::{ClusterTime, KvOp, Op, SessionBehavior, SessionId, Topic};

const KEYS: [&str; 7] = ["a", "a/b", "a/b/c", "a/c", "ab", "b", "B"];
const PREFIXES: [&str; 9] = ["", "a", "a/", "a/b", "a/b/", "a/b/c/d", "b", "z", "B"];
const VALUES: [&str; 3] = ["", "x", "y"];

fn id() -> impl Strategy<Value = SessionId> {
    (1..4_u128).prop_map(SessionId::from_u128)
}

/// `None`, a number that may fit, or 0.
fn cas() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![3 => Just(None), 1 => Just(Some(0)), 3 => (5..40_u64).prop_map(Some)]
}

fn kv() -> impl Strategy<Value = KvOp> {
    let key = || select(&KEYS[..]).prop_map(str::to_owned);
    let value = || select(&VALUES[..]).prop_map(|value| Bytes::from_static(value.as_bytes()));
    let flags = || 0..2_u64;
    prop_oneof![
        3 => (key(), value(), flags(), cas())
            .prop_map(|(key, value, flags, cas)| KvOp::Put { key, value, flags, cas }),
        4 => (key(), value(), flags(), id())
            .prop_map(|(key, value, flags, session)| KvOp::Acquire { key, value, flags, session }),
        2 => (key(), value(), flags(), id())
            .prop_map(|(key, value, flags, session)| KvOp::Release { key, value, flags, session }),
        2 => (key(), cas()).prop_map(|(key, cas)| KvOp::Delete { key, cas }),
        1 => select(&PREFIXES[..])
            .prop_map(|prefix| KvOp::DeletePrefix { prefix: prefix.to_owned() }),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let behavior = select(vec![SessionBehavior::Release, SessionBehavior::Delete]);
    let delay = select(vec![0_u64, 5, 15, 90]);
    prop_oneof![
        8 => kv().prop_map(Op::Kv),
        3 => (id(), behavior, delay).prop_map(|(id, behavior, delay)| {
            let mut session = session(id.0.as_u128(), "n1", &[]);
            session.behavior = behavior;
            session.lock_delay = Duration::from_secs(delay);
            Op::SessionCreate(Box::new(session))
        }),
        1 => id().prop_map(Op::SessionDestroy),
        1 => proptest::collection::vec(id(), 0..3).prop_map(Op::SessionsExpire),
    ]
}

/// Everything that a reader of KV and sessions can see is what the naive model says.
fn compare(world: &World, naive: &Naive) {
    let state = &world.state;
    let kv = state.kv();
    assert_eq!(kv.len(), naive.entries.len());
    assert!(
        kv.range("")
            .map(|entry| entry.as_ref())
            .eq(naive.entries.values())
    );
    for key in KEYS {
        assert_eq!(kv.get(key).as_deref(), naive.entries.get(key));
        let index = naive.entries.get(key).map(|entry| entry.modify_index);
        assert_eq!(
            kv.key_index(key),
            index.unwrap_or(naive.table_index()),
            "index of {key}"
        );
        let until = naive
            .delays
            .get(key)
            .copied()
            .filter(|until| *until > world.time);
        assert_eq!(
            state.lock_delay(key),
            until.map(ClusterTime),
            "lock-delay of {key}"
        );
    }
    for prefix in PREFIXES {
        assert_eq!(
            kv.prefix_index(prefix),
            naive.prefix_index(prefix),
            "under {prefix:?}"
        );
        let under = naive
            .entries
            .values()
            .filter(|entry| entry.key.starts_with(prefix));
        assert!(kv.range(prefix).map(|entry| entry.as_ref()).eq(under));
    }
    let sessions = state.sessions();
    assert!(
        sessions
            .iter()
            .map(|row| row.as_ref())
            .eq(naive.sessions.values())
    );
    assert!(sessions.of_node("N1").eq(sessions.iter()));
    assert_eq!(sessions.index(), naive.session_index.max(1));
    for id in (1..4).map(SessionId::from_u128) {
        let held = naive
            .entries
            .values()
            .filter(|entry| entry.session == Some(id));
        assert!(state.locks_of(&id).eq(held.map(|entry| entry.key.as_str())));
    }
}

/// A watcher is woken exactly for what changed.
fn compare_topics(world: &World, before: &World) {
    let fell = |key: &str| {
        let felled = |topic: &Topic| matches!(topic, Topic::Prefix(p) if key.starts_with(p));
        world.changed.iter().any(felled)
    };
    for key in KEYS {
        let changed = world.state.kv().get(key) != before.state.kv().get(key);
        let woken = world.woke(&Topic::Key(key.to_owned()));
        assert_eq!(
            woken || (changed && fell(key)),
            changed,
            "{key}: {:?}",
            world.changed
        );
    }
    let sessions = world.state.sessions().index() != before.state.sessions().index();
    assert_eq!(world.woke(&Topic::Sessions), sessions);
}

proptest! {
    #![proptest_config(quiet(300))]
    #[test]
    fn kv_sessions_and_locks_are_as_the_naive_model_says(
        steps in proptest::collection::vec((op(), 0..8_000_u64), 1..60)
    ) {
        let mut world = World::formed();
        let mut naive = Naive::default();
        for (op, passes) in steps {
            let before = world.clone();
            world.time += passes;
            let reply = world.does(op.clone());
            assert_eq!(reply, naive.apply(world.index, world.time, &op), "{op:?}");
            compare(&world, &naive);
            compare_topics(&world, &before);
            for prefix in PREFIXES {
                let (was, is) = (before.state.kv(), world.state.kv());
                assert!(was.prefix_index(prefix) <= is.prefix_index(prefix), "went back");
            }
        }
    }
}
