//! Duties are internal sessions (safety.md L5).

use super::world::World;
use crate::model::{BootId, Duty, DutyHolder, LeaseEvent, NodeId, Op, Refusal, Reply, Topic};

fn take(number: u128, boot: u64) -> Op {
    Op::DutyTake {
        duty: Duty::Registry,
        node: NodeId::from_u128(number),
        boot: BootId(boot),
    }
}

fn release(number: u128) -> Op {
    Op::DutyRelease {
        duty: Duty::Registry,
        node: NodeId::from_u128(number),
    }
}

fn holder(number: u128, boot: u64, sequencer: u64) -> Option<DutyHolder> {
    Some(DutyHolder {
        node: NodeId::from_u128(number),
        boot: BootId(boot),
        sequencer,
    })
}

#[test]
fn l5_one_holds_a_duty_until_it_gives_it_back() {
    let mut world = World::formed();
    let first = holder(1, 1, 5);
    assert_eq!(world.does(take(1, 1)), Reply::Duty(first));
    assert_eq!(world.changed, [Topic::Duties]);
    assert_eq!(world.does(take(2, 1)), Reply::Duty(first), "it is taken");
    assert_eq!(
        world.does(take(1, 1)),
        Reply::Duty(first),
        "the sequencer stays"
    );
    assert_eq!(
        world.does(release(2)),
        Reply::Duty(first),
        "not its to give"
    );
    assert!(world.changed.is_empty());
    assert_eq!(world.does(release(1)), Reply::Duty(None));
    assert_eq!(world.changed, [Topic::Duties]);
    assert_eq!(
        world.does(take(2, 1)),
        Reply::Duty(holder(2, 1, 10)),
        "at once: no lock-delay"
    );
}

#[test]
fn l5_a_duty_falls_with_the_lease_of_the_process_that_took_it() {
    for event in [LeaseEvent::Lapsed, LeaseEvent::Failed, LeaseEvent::Leaving] {
        let mut world = World::formed();
        world.does(take(1, 1));
        world.lease(1, 1, event);
        assert_eq!(world.state.duty(Duty::Registry), None, "{event:?}");
        assert!(world.woke(&Topic::Duties));
        let first = world.does(take(1, 1));
        assert_eq!(first, Reply::Duty(None), "who holds no lease gets no duty");
        assert_eq!(
            world.does(take(2, 1)),
            Reply::Duty(holder(2, 1, world.index))
        );
        world.lease(1, 1, LeaseEvent::Held);
        assert_eq!(
            world.state.duty(Duty::Registry).unwrap().node,
            NodeId::from_u128(2)
        );
    }
}

#[test]
fn l5_a_new_process_has_none_of_the_former_ones_duties() {
    let mut world = World::formed();
    world.does(take(1, 1));
    assert_eq!(
        world.does(take(1, 2)),
        Reply::Duty(holder(1, 1, 5)),
        "not yet its process"
    );
    world.lease(1, 2, LeaseEvent::Held);
    assert_eq!(world.state.duty(Duty::Registry), None);
    assert_eq!(
        world.does(take(1, 1)),
        Reply::Duty(None),
        "the former process is gone"
    );
    assert_eq!(world.does(take(1, 2)), Reply::Duty(holder(1, 2, 9)));
    world.lease(1, 2, LeaseEvent::Held);
    assert!(world.changed.is_empty(), "a renewal takes nothing");
}

#[test]
fn l5_a_duty_falls_with_its_member() {
    let mut world = World::formed();
    world.does(take(1, 1));
    world.does(Op::MemberRemove(NodeId::from_u128(1)));
    assert_eq!(world.state.duty(Duty::Registry), None);
    let gone = NodeId::from_u128(1);
    assert_eq!(
        world.does(take(1, 1)),
        Reply::Refused(Refusal::NotAMember(gone))
    );
}
