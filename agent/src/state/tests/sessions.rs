//! What sessions lean on, and what their end means.

use std::time::Duration;

use super::world::{
    World, acquire, check, create, deregister, node, put, register, service, session, update,
};
use crate::model::{
    CheckStatus, ClusterTime, Op, Refusal, Reply, Session, SessionBehavior, SessionId, Topic,
};

/// `ext` with the service `web` (check `web-up`) and the node check `disk`, all well.
fn with_checks() -> World {
    let mut world = World::formed();
    world.does(register(
        node("Ext", "192.0.2.1"),
        vec![service("web", "web", &[])],
        vec![
            check("disk", "", CheckStatus::Passing),
            check("web-up", "web", CheckStatus::Passing),
        ],
    ));
    world
}

#[test]
fn a_session_is_refused_with_consuls_words() {
    let mut world = with_checks();
    world.does(update("ext", "disk", CheckStatus::Critical, "full"));
    for (node, check, wrong) in [
        ("nowhere", "disk", "Missing node registration"),
        ("ext", "nothing", "Missing check 'nothing' registration"),
        ("ext", "disk", "Check 'disk' is in critical state"),
    ] {
        match world.does(create(session(1, node, &[check]))) {
            Reply::Refused(refusal) => assert_eq!(refusal.to_string(), wrong),
            other => panic!("{other:?} for {node} {check}"),
        }
        assert!(!world.has_session(1) && world.changed.is_empty());
    }
}

#[test]
fn a_session_is_created_once_and_shows_its_node_as_the_catalog_does() {
    let mut world = with_checks();
    assert_eq!(
        world.does(create(session(1, "EXT", &["DISK"]))),
        Reply::Done
    );
    assert_eq!(world.changed, [Topic::Sessions]);
    let first = world
        .state
        .sessions()
        .get(&SessionId::from_u128(1))
        .cloned()
        .unwrap();
    assert_eq!(
        (first.node.as_str(), first.create_index),
        ("Ext", world.index)
    );
    assert_eq!(world.does(create(session(1, "ext", &[]))), Reply::Done);
    assert!(
        world.changed.is_empty(),
        "the same id again changes nothing"
    );
    assert_eq!(world.state.sessions().of_node("eXt").count(), 1);
}

#[test]
fn a_session_ends_with_what_it_leans_on() {
    let on_service = || Session {
        service_checks: vec!["web-up".to_owned()],
        ..session(2, "ext", &[])
    };
    for (what, op, ends) in [
        (
            "warns",
            update("ext", "disk", CheckStatus::Warning, ""),
            [false, false, false],
        ),
        (
            "node check",
            update("ext", "DISK", CheckStatus::Critical, ""),
            [true, false, false],
        ),
        (
            "service check",
            update("ext", "web-up", CheckStatus::Critical, ""),
            [false, true, false],
        ),
        (
            "check goes",
            deregister("ext", None, Some("disk")),
            [true, false, false],
        ),
        (
            "service goes",
            deregister("ext", Some("web"), None),
            [false, true, false],
        ),
        (
            "node goes",
            deregister("ext", None, None),
            [true, true, true],
        ),
    ] {
        let mut world = with_checks();
        world.does(create(session(1, "ext", &["disk"])));
        world.does(create(on_service()));
        world.does(create(session(3, "ext", &[])));
        world.does(op);
        let left = [1, 2, 3].map(|number| !world.has_session(number));
        assert_eq!(left, ends, "{what}");
        assert_eq!(world.woke(&Topic::Sessions), ends.contains(&true), "{what}");
    }
}

#[test]
fn a_check_registered_as_critical_ends_sessions_too() {
    let mut world = with_checks();
    world.does(create(session(1, "ext", &["disk"])));
    let critical = check("disk", "", CheckStatus::Critical);
    world.does(register(node("ext", "192.0.2.1"), vec![], vec![critical]));
    assert!(!world.has_session(1));
}

#[test]
fn the_end_of_a_session_releases_or_deletes_and_starts_the_lock_delay() {
    for behavior in [SessionBehavior::Release, SessionBehavior::Delete] {
        let mut world = with_checks();
        world.does(create(Session {
            behavior,
            ..session(1, "ext", &["disk"])
        }));
        world.does(create(session(2, "n1", &[])));
        world.does(acquire("lock", 1));
        world.does(put("other", "v"));
        world.time = 10_000;
        world.does(update("ext", "disk", CheckStatus::Critical, "full"));
        assert!(world.woke(&Topic::Key("lock".to_owned())));
        match (behavior, world.state.kv().get("lock")) {
            (SessionBehavior::Delete, None) => {}
            (SessionBehavior::Release, Some(entry)) => {
                assert_eq!((entry.session, entry.lock_index, entry.flags), (None, 1, 7));
                assert_eq!(
                    (entry.value.as_ref(), entry.modify_index),
                    (&b"held"[..], world.index)
                );
            }
            (_, entry) => panic!("{behavior:?} left {entry:?}"),
        }
        assert_eq!(world.state.kv().prefix_index("lo"), world.index);
        assert_eq!(world.state.lock_delay("lock"), Some(ClusterTime(25_000)));
        world.time = 24_999;
        assert_eq!(world.does(acquire("lock", 2)), Reply::Bool(false));
        assert_eq!(
            world.does(put("lock", "plain writes go on")),
            Reply::Bool(true)
        );
        world.time = 25_000;
        assert_eq!(world.does(acquire("lock", 2)), Reply::Bool(true));
    }
}

#[test]
fn a_lock_delay_is_capped_at_a_minute_and_none_is_none() {
    for (asked, until) in [(0, None), (60, Some(60_000)), (3_600, Some(60_000))] {
        let mut world = World::formed();
        world.does(create(Session {
            lock_delay: Duration::from_secs(asked),
            ..session(1, "n1", &[])
        }));
        world.does(acquire("lock", 1));
        assert_eq!(
            world.does(Op::SessionDestroy(SessionId::from_u128(1))),
            Reply::Bool(true)
        );
        assert_eq!(
            world.state.lock_delay("lock"),
            until.map(ClusterTime),
            "{asked} s"
        );
    }
}

#[test]
fn ending_what_is_not_there_is_true_and_changes_nothing() {
    let mut world = World::formed();
    let nobody = SessionId::from_u128(9);
    assert_eq!(world.does(Op::SessionDestroy(nobody)), Reply::Bool(true));
    assert_eq!(world.does(Op::SessionsExpire(vec![nobody])), Reply::Done);
    assert!(world.changed.is_empty());
    assert_eq!(
        world.does(acquire("k", 9)),
        Reply::Refused(Refusal::InvalidSession(nobody))
    );
}
