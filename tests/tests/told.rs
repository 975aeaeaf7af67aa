//! A machine that is told to go leaves well, and only then tells its cloud that it may end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use harness::amazon::Amazon;
use harness::guestinfo::Guestinfo;
use harness::story::Story;
use harness::{Cluster, Node, wait};

/// The agent looks every 5 s; the rest is for the leave, on two busy cores.
const LEAVES_WITHIN: Duration = Duration::from_secs(60);
/// The exit code of an agent that left for good.
const LEFT: i32 = 10;
/// No write may wait longer than an election of two busy cores.
const WRITE_WAITS: Duration = Duration::from_secs(5);

fn voters(asked: &Node) -> Result<usize> {
    let peers: Vec<String> = asked.http_get("/v1/status/peers")?.json()?;
    Ok(peers.len())
}

fn members(asked: &Node) -> Result<Vec<String>> {
    let rows: Vec<serde_json::Value> = asked.http_get("/v1/catalog/nodes")?.json()?;
    let names = rows.iter().filter_map(|row| row["Node"].as_str());
    Ok(names.map(str::to_owned).collect())
}

/// Writes on and on until it is told to stop; the longest that a write took.
fn write_on(node: &Node, stop: &AtomicBool) -> Result<Duration> {
    let (mut longest, mut number) = (Duration::ZERO, 0);
    while !stop.load(Ordering::SeqCst) {
        let begun = Instant::now();
        let key = format!("told/{number}");
        node.kv_put(&key, "a write")
            .with_context(|| format!("{key} failed"))?;
        longest = longest.max(begun.elapsed());
        number += 1;
        wait::briefly(Duration::from_millis(20));
    }
    for number in 0..number {
        let kept = node.kv_get(&format!("told/{number}"))?;
        ensure!(kept.is_some(), "told/{number} was acknowledged and is gone");
    }
    Ok(longest)
}

#[test]
fn a_leader_that_is_told_to_go_leaves_before_its_machine_may_end() -> Result<()> {
    let story = Story::of("a leader that is told to go leaves before its machine may end");
    let amazon = Amazon::start()?;
    let cluster = Cluster::of(3).prepare()?;
    for node in cluster.nodes() {
        amazon.adopt(node)?;
    }
    cluster.start_all()?;
    cluster.wait_serving()?;
    let leader = cluster.leader()?.name().to_owned();
    let other = cluster.follower()?.name().to_owned();
    let (leader, other) = (cluster.node(&leader), cluster.node(&other));
    let completion = format!("CompleteLifecycleAction i-{}", leader.name());

    story.phase(&format!(
        "the group of {}, which leads, wants it gone; writes go on",
        leader.name()
    ));
    let seen: Arc<Mutex<Option<String>>> = Arc::default();
    let (note, call, address) = (seen.clone(), completion.clone(), other.http_address());
    amazon.watch(move |made| {
        if made == call {
            let peers = harness::http::Connection::open(
                &harness::place::Place::Loopback,
                address,
                Duration::from_secs(5),
            )
            .and_then(|mut connection| connection.call("GET", "/v1/status/peers", b""));
            *note.lock().unwrap() = Some(peers.map_or_else(|e| e.to_string(), |p| p.text()));
        }
    });
    let stop = AtomicBool::new(false);
    let (exit, longest) = thread::scope(|scope| {
        let writer = scope.spawn(|| write_on(other, &stop));
        amazon.tell_to_go(leader.name());
        let exit = leader.exit(LEAVES_WITHIN);
        let voting = cluster.wait("two servers vote", LEAVES_WITHIN, || {
            ensure!(voters(other)? == 2, "{} vote", voters(other)?);
            Ok(())
        });
        stop.store(true, Ordering::SeqCst);
        let longest = writer.join().expect("no panic");
        (exit.and_then(|exit| voting.map(|()| exit)), longest)
    });
    let exit = exit?;
    ensure!(exit.code() == Some(LEFT), "it ended with {exit}");
    let longest = longest?;
    ensure!(longest < WRITE_WAITS, "a write took {longest:?}");
    story.phase(&format!(
        "it has left; the longest write took {} ms",
        longest.as_millis()
    ));
    ensure!(amazon.count(&completion) == 1, "{:?}", amazon.calls());
    let peers = seen.lock().unwrap().clone().context("nobody looked")?;
    let gone = leader.rpc_address().to_string();
    ensure!(
        peers.contains(&other.rpc_address().to_string()) && !peers.contains(&gone),
        "when the lifecycle action was completed, these voted: {peers}"
    );
    ensure!(
        !members(other)?.contains(&leader.name().to_owned()),
        "it is a member still"
    );

    story.phase("whatever starts it again before the machine ends: it does not join");
    leader.start()?;
    let exit = leader.exit(LEAVES_WITHIN)?;
    ensure!(exit.code() == Some(LEFT), "it ended with {exit}");
    ensure!(
        voters(other)? == 2 && members(other)?.len() == 2,
        "it joined again"
    );
    leader.is_decent()
}

#[test]
fn a_server_that_the_others_cannot_do_without_keeps_its_vote() -> Result<()> {
    let story = Story::of(
        "a server that the others can't do without keeps its vote until its machine ends",
    );
    let amazon = Amazon::start()?;
    let cluster = Cluster::of(1).workers(1).prepare()?;
    for node in cluster.nodes() {
        amazon.adopt(node)?;
    }
    cluster.start_all()?;
    cluster.wait_serving()?;
    let (s1, w1) = (cluster.node("s1"), cluster.node("w1"));
    s1.kv_put("kept", "yes")?;
    story.phase("the only server is told to go");
    amazon.tell_to_go("s1");
    cluster.wait("its lifecycle action is completed", LEAVES_WITHIN, || {
        ensure!(
            amazon.count("CompleteLifecycleAction i-s1") == 1,
            "{:?}",
            amazon.calls()
        );
        Ok(())
    })?;
    story.phase("it serves on, and has all that it had when its disk comes to another machine");
    w1.kv_put("later", "yes")?;
    s1.kill()?;
    amazon.change("s1", |instance| {
        instance
            .metadata
            .remove("autoscaling/target-lifecycle-state");
    });
    s1.start()?;
    cluster.wait("what was written is there", LEAVES_WITHIN, || {
        for key in ["kept", "later"] {
            ensure!(w1.kv_get(key)?.as_deref() == Some(b"yes"), "no {key}");
        }
        Ok(())
    })
}

#[test]
fn hints_and_a_silent_metadata_service_change_nothing_and_a_spot_notice_does() -> Result<()> {
    let story = Story::of("hints and a silent metadata service change nothing; a spot notice does");
    let amazon = Amazon::start()?;
    let cluster = Cluster::of(1).workers(2).prepare()?;
    for node in cluster.nodes() {
        amazon.adopt(node)?;
    }
    story.phase(
        "the metadata service of w2 takes connections and never answers: it joins all the same",
    );
    amazon.change("w2", |instance| instance.hangs = true);
    cluster.start_all()?;
    cluster.wait_serving()?;
    story.phase("w1 is recommended to be replaced: it says so, and stays");
    amazon.change("w1", |instance| {
        let path = "events/recommendations/rebalance".to_owned();
        let notice = r#"{"noticeTime": "2026-01-01T00:00:00Z"}"#.to_owned();
        instance.metadata.insert(path, notice);
    });
    let (s1, w1) = (cluster.node("s1"), cluster.node("w1"));
    cluster.wait("it says so", LEAVES_WITHIN, || {
        ensure!(
            w1.log().contains("recommends to replace this machine"),
            "it does not"
        );
        Ok(())
    })?;
    ensure!(
        w1.is_running() && members(s1)?.len() == 3,
        "{:?}",
        members(s1)?
    );
    story.phase("w1 will be interrupted in two minutes");
    amazon.change("w1", |instance| {
        let path = "spot/instance-action".to_owned();
        let notice = r#"{"action": "terminate", "time": "2026-01-01T00:02:00Z"}"#.to_owned();
        instance.metadata.insert(path, notice);
    });
    let exit = w1.exit(LEAVES_WITHIN)?;
    ensure!(exit.code() == Some(LEFT), "it ended with {exit}");
    cluster.wait("it is no member", LEAVES_WITHIN, || {
        ensure!(members(s1)?.len() == 2, "{:?}", members(s1)?);
        Ok(())
    })
}

#[test]
fn a_vm_whose_owner_tells_it_to_leave_answers_when_it_has_left() -> Result<()> {
    let story = Story::of("a VM whose owner tells it to leave answers when it has left");
    let cluster = Cluster::of(1).workers(1).prepare()?;
    let (s1, w1) = (cluster.node("s1"), cluster.node("w1"));
    let guestinfo = Guestinfo::of(w1)?;
    w1.reconfigure(|settings| {
        let entry = "provider=vsphere category_name=swarmer tag_name=test-dev host=127.0.0.1:9 \
                     user=u password=p";
        settings.join.push(entry.to_owned());
    });
    cluster.start_all()?;
    cluster.wait_serving()?;
    story.phase("a key that says no changes nothing; one that says yes does");
    guestinfo.set("swarmer.leave", "no")?;
    wait::that_it_stays("it is a member", Duration::from_secs(8), || {
        ensure!(w1.is_running(), "it ended");
        Ok(())
    })?;
    guestinfo.set("swarmer.leave", "yes")?;
    let exit = w1.exit(LEAVES_WITHIN)?;
    ensure!(exit.code() == Some(LEFT), "it ended with {exit}");
    ensure!(
        guestinfo.get("swarmer.leave")?.as_deref() == Some("left"),
        "no answer"
    );
    cluster.wait("it is no member", LEAVES_WITHIN, || {
        ensure!(members(s1)?.len() == 1, "{:?}", members(s1)?);
        Ok(())
    })?;
    story.phase("it does not join while the key stands, and does when its owner clears it");
    w1.start()?;
    let exit = w1.exit(LEAVES_WITHIN)?;
    ensure!(exit.code() == Some(LEFT), "it ended with {exit}");
    guestinfo.set("swarmer.leave", "0")?;
    w1.start()?;
    cluster.wait_serving()
}
