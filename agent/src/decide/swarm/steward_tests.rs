use super::*;

#[test]
fn s3_servers_are_promoted_one_at_a_time_while_all_managers_live() {
    let mut sight = steward(vec![worker("sb", 2), worker("sc", 3), worker("sw", 9)]);
    assert_eq!(sight.steps(), [Step::Promote("sb".into())]);
    sight.node("sb").manager = true;
    assert_eq!(
        sight.steps(),
        [],
        "sb is not reachable yet: one of two living"
    );
    *sight.node("sb") = manager("sb", 2);
    let steps = sight.clone().settled().steps();
    assert_eq!(steps, [Step::Promote("sc".into())]);
    *sight.node("sc") = manager("sc", 3);
    assert_eq!(sight.settled().steps(), [], "a worker stays one");
}

#[test]
fn s3_a_replacement_manages_only_after_its_predecessor_is_demoted_and_removed() {
    let mut sight = steward(vec![manager("sb", 2), manager("sc", 3)]);
    sight.kill("sc");
    let sight = {
        // The same name on another host: the old id is fenced, its row gone.
        const D: NodeId = NodeId::from_u128(4);
        sight.members.remove(&C);
        sight.members.extend([member(D, "c", 4)]);
        sight.add(worker("sd", 4));
        sight.settled()
    };
    assert_eq!(sight.steps(), [Step::Demote("sc".into())]);
    let mut demoted = sight;
    (demoted.node("sc").manager, demoted.node("sc").manages_at) = (false, None);
    assert_eq!(demoted.steps(), [Step::Remove("sc".into())]);
    demoted
        .swarm
        .as_mut()
        .unwrap()
        .nodes
        .retain(|node| node.id != "sc");
    let promoted = demoted.settled().steps();
    assert_eq!(promoted, [Step::Promote("sd".into())]);
}

#[test]
fn s3_no_manager_is_made_while_its_death_could_stop_the_swarm() {
    let mut sight = steward(vec![manager("sb", 2), manager("sc", 3)]);
    sight.kill("sc");
    let mut failed = sight;
    failed.members.get_mut(&C).unwrap().status = MemberStatus::Failed;
    failed
        .members
        .extend([member(NodeId::from_u128(4), "d", 4)]);
    failed.add(worker("sd", 4));
    let failed = failed.settled();
    assert_eq!(
        failed.steps(),
        [],
        "c may come back: two of three living, d works and waits"
    );
    for (managers, living, may) in [
        (1, 1, true),
        (3, 3, true),
        (3, 2, false),
        (5, 4, true),
        (5, 3, false),
    ] {
        assert_eq!(
            steward::may_promote(managers, living),
            may,
            "{living} of {managers}"
        );
    }
}

#[test]
fn the_steward_leaves_strangers_and_the_living_alone() {
    let mut sight = steward(vec![worker("sw", 9), worker("stranger", 77)]);
    sight.members.remove(&B);
    sight.members.remove(&C);
    sight.kill("stranger");
    assert_eq!(sight.steps(), [], "a node that no member had is not ours");
    sight.members.remove(&W);
    assert_eq!(
        sight.steps(),
        [Step::Remove("sw".into())],
        "reaped, its engine may still run"
    );
    let mut follower = sight;
    follower.node("sa").leader = false;
    assert_eq!(follower.steps(), [], "only beside the Swarm's leader");
}

#[test]
fn what_is_left_of_joins_that_were_given_up_is_cleared_away_once_all_have_joined() {
    let ghost = SwarmNode {
        down: true,
        nameless: true,
        ..SwarmNode::default()
    };
    let ghosts = [("g1", ghost.clone()), ("g2", ghost)].map(|(id, ghost)| SwarmNode {
        id: id.into(),
        ..ghost
    });
    let mut sight = steward(vec![manager("sb", 2), manager("sc", 3)]);
    ghosts.into_iter().for_each(|ghost| sight.add(ghost));
    assert_eq!(
        sight.steps(),
        [],
        "one of them may be the worker's, on its way"
    );
    sight.add(worker("sw", 9));
    let sight = sight.settled();
    assert_eq!(sight.steps(), [Step::Remove("g1".into())]);
}

#[test]
fn a_wiped_engine_takes_the_place_of_its_dead_self() {
    let mut sight = steward(vec![manager("sb", 2), manager("sc", 3)]);
    sight.add(worker("sb2", 2));
    let sight = sight.settled();
    assert_eq!(
        sight.steps(),
        [],
        "two are said to be ready on one host: wait"
    );
    let mut sight = sight;
    sight.kill("sb");
    let mut sight = sight.settled();
    assert_eq!(sight.steps(), [Step::Demote("sb".into())]);
    sight
        .swarm
        .as_mut()
        .unwrap()
        .nodes
        .retain(|node| node.id != "sb");
    let last = sight.settled();
    assert_eq!(last.steps(), [Step::Promote("sb2".into())]);
}

#[test]
fn a_new_leader_that_does_not_know_yet_strikes_nobody_off() {
    let mut sight = steward(vec![manager("sb", 2), manager("sc", 3)]);
    sight.members.remove(&C);
    sight.members.extend([member(NodeId::from_u128(4), "d", 3)]);
    sight.node("sc").ready = false;
    assert_eq!(sight.clone().settled().steps(), [], "unknown is not down");
    sight.kill("sc");
    assert_eq!(sight.settled().steps(), [Step::Demote("sc".into())]);
}

#[test]
fn who_leaves_is_drained_demoted_and_goes() {
    let mut sight = steward(vec![manager("sb", 2), manager("sc", 3)]);
    sight.members.get_mut(&B).unwrap().status = MemberStatus::Leaving;
    assert_eq!(
        sight.steps(),
        [Step::Drain("sb".into()), Step::Demote("sb".into())]
    );
    let mut leaver = blank(B)
        .recorded("S")
        .active(None, "sb")
        .remembers(How::Joined, "S", "sb");
    (leaver.leaving, leaver.engine.running) = (Some(Duration::ZERO), 2);
    assert_eq!(leaver.plan().status, Status::Waiting(Waiting::Drain));
    leaver.engine.running = 0;
    assert_eq!(
        leaver.steps(),
        [Step::Leave { force: false }, Step::ForgetMemory]
    );
    let mut last = steward(vec![]);
    last.leaving = Some(LONG);
    assert_eq!(
        last.steps(),
        [Step::Leave { force: true }, Step::ForgetMemory]
    );
    last.swarm.as_mut().unwrap().services = 1;
    let status = last.plan().status;
    assert_eq!(
        status,
        Status::Blocked(Blocked::LastManager { services: 1 })
    );
}

#[test]
fn what_services_offer_is_written_down_when_it_changes() {
    let mut sight = steward(vec![worker("sw", 9)]);
    let offer = SwarmService {
        id: "S1".into(),
        name: "web".into(),
        ..SwarmService::default()
    };
    sight.swarm.as_mut().unwrap().offers.push(offer.clone());
    let offers = Offers {
        services: vec![offer],
    };
    assert_eq!(sight.steps(), [Step::RecordOffers(offers.clone())]);
    sight.records.offers = Some(At {
        value: offers,
        index: 3,
    });
    assert_eq!(sight.steps(), []);
    sight.swarm.as_mut().unwrap().offers.clear();
    assert_eq!(sight.steps(), [Step::RecordOffers(Offers::default())]);
}
