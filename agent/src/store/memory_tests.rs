//! What a leader's memory keeps of a term, and what it must not.

use super::*;

fn id(number: u128) -> NodeId {
    NodeId::from_u128(number)
}

fn session(number: u128) -> SessionId {
    SessionId::from_u128(number)
}

#[test]
fn r7_nothing_of_an_earlier_leadership_ends_a_session() {
    let memory = LeaderMemory::default();
    let alive = BTreeSet::from([session(1)]);
    memory.lead(3, [].into_iter(), id(1));
    assert!(memory.renew_session(session(1)));
    let first = memory.expire_sessions(&alive, |renewed, now| {
        assert!(renewed[&session(1)] <= now);
        Vec::new()
    });
    assert!(first.is_empty());
    std::thread::sleep(Duration::from_millis(20));
    // Another led meanwhile, and took its renewals; this one leads again.
    memory.lead(5, [].into_iter(), id(1));
    memory.expire_sessions(&alive, |renewed, now| {
        assert_eq!(renewed[&session(1)], now, "it counts from now");
        Vec::new()
    });
}

#[test]
fn r7_a_session_whose_end_is_proposed_is_not_renewed() {
    let memory = LeaderMemory::default();
    let alive = BTreeSet::from([session(1), session(2)]);
    memory.lead(3, [].into_iter(), id(1));
    memory.expire_sessions(&alive, |_, _| vec![session(1)]);
    assert!(!memory.renew_session(session(1)));
    assert!(memory.renew_session(session(2)));
    memory.lead(4, [].into_iter(), id(1));
    assert!(
        memory.renew_session(session(1)),
        "a new term knows nothing of it"
    );
}

#[test]
fn l4_a_leader_of_long_ago_is_not_the_deposed_one() {
    let memory = LeaderMemory::default();
    memory.heard_from(id(2), 3);
    memory.lead(4, [].into_iter(), id(1));
    assert_eq!(
        memory.take_predecessor().map(|heard| heard.leader),
        Some(id(2))
    );
    memory.lead(5, [].into_iter(), id(1));
    assert_eq!(memory.take_predecessor(), None, "this one led before");
}

#[test]
fn l4_what_was_not_heard_is_told_only_of_the_term_that_was_asked_about() {
    let memory = LeaderMemory::default();
    memory.lead(4, [].into_iter(), id(1));
    memory.with_table(|table, now| {
        table.plan(
            now,
            &crate::decide::lease::Timing {
                lease: Duration::from_secs(2),
                session_grace: Duration::from_secs(8),
                grace: Duration::from_secs(30),
                reap: Duration::from_secs(600),
            },
            [].into_iter(),
        )
    });
    assert!(memory.unheard(3).is_empty());
    assert!(memory.unheard(4).is_empty());
}
