//! Cluster time (safety.md R9).

use super::world::{World, acquire, create, put, session};
use crate::model::{ClusterTime, Op, Reply, SessionId};

#[test]
fn r9_cluster_time_never_goes_back() {
    let mut world = World::formed();
    world.time = 9_000;
    assert_eq!(world.does(Op::Tick), Reply::Done);
    assert!(world.changed.is_empty(), "a tick is no news");
    world.time = 3_000;
    world.does(put("k", "v"));
    assert_eq!(world.state.time(), ClusterTime(9_000));
}

#[test]
fn r9_a_lock_delay_is_measured_in_cluster_time_and_survives_a_change_of_leader() {
    let mut world = World::formed();
    world.time = 1_000;
    for number in [1, 2] {
        world.does(create(session(number, "n1", &[])));
    }
    world.does(acquire("lock", 1));
    world.does(Op::SessionDestroy(SessionId::from_u128(1)));
    let bytes = postcard::to_stdvec(&world.state).unwrap();
    world.state = postcard::from_bytes(&bytes).unwrap();
    // The next leader's first command carries the last applied time, whatever its own clock says.
    world.time = 0;
    assert_eq!(world.does(acquire("lock", 2)), Reply::Bool(false));
    assert_eq!(world.state.lock_delay("lock"), Some(ClusterTime(16_000)));
    world.time = 16_000;
    assert_eq!(world.does(acquire("lock", 2)), Reply::Bool(true));
    assert_eq!(world.state.lock_delay("lock"), None);
}
