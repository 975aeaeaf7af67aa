//! The lab itself: machines that reach each other, links that can be cut, real engines that form a
//! Swarm, and nothing left afterwards.

use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use harness::lab::{self, Engine, Lab, Machine};
use harness::story::Story;
use harness::{needs, process, wait};

const NAMES: [&str; 4] = ["s1", "s2", "s3", "w1"];

fn ping(from: &Machine, to: &Machine) -> Result<()> {
    let to = to.address().to_string();
    process::run(from.command("ping").args(["-c", "1", "-W", "1", &to])).map(drop)
}

#[test]
fn links_can_be_cut_and_healed() -> Result<()> {
    if !needs::met("links_can_be_cut_and_healed", lab::NEEDS) {
        return Ok(());
    }
    let story = Story::of("links can be cut and healed");
    let lab = Lab::new()?;
    let [a, b, c] = ["a", "b", "c"].map(|name| lab.machine(name));
    let (a, b, c) = (a?, b?, c?);

    story.phase("on a fresh switch everyone reaches everyone");
    ping(&a, &b)?;
    ping(&b, &c)?;

    story.phase("a cut link is silent in both directions, the others work on");
    lab.cut("a", "b")?;
    ensure!(
        ping(&a, &b).is_err() && ping(&b, &a).is_err(),
        "the cut link carries pings"
    );
    ping(&a, &c)?;

    story.phase("an isolated machine reaches nobody");
    lab.isolate("c")?;
    ensure!(
        ping(&a, &c).is_err() && ping(&c, &b).is_err(),
        "the isolated machine is reached"
    );

    story.phase("healed links work again");
    lab.heal("a", "b")?;
    ping(&a, &b)?;
    ensure!(
        ping(&a, &c).is_err(),
        "healing one link must not heal another"
    );
    lab.heal_all()?;
    ping(&c, &a)
}

/// Waits until no process of this test's labs is left.
fn nothing_runs() -> Result<()> {
    wait::for_fact("nothing of the lab runs", Duration::from_secs(10), || {
        let found = process::output(Command::new("pgrep").args(["-af", "dockerd|sleep 7391"]))?;
        let found = String::from_utf8_lossy(&found.stdout).into_owned();
        let own = format!("swarmer-lab-{}-", std::process::id());
        let left: Vec<&str> = found
            .lines()
            .filter(|line| line.contains(&own) || line.contains("sleep 7391"))
            .collect();
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
}

#[test]
fn four_engines_form_a_swarm_and_leave_nothing() -> Result<()> {
    if !needs::met(
        "four_engines_form_a_swarm_and_leave_nothing",
        lab::ENGINE_NEEDS,
    ) {
        return Ok(());
    }
    let story = Story::of("four engines form a Swarm and leave nothing");
    let lab = Lab::new()?;
    let machines: Vec<Arc<Machine>> = NAMES
        .iter()
        .map(|n| lab.machine(n))
        .collect::<Result<_>>()?;
    let folder = machines[0].folder().to_owned();

    story.phase("four real engines start, each on a machine of its own");
    let engines: Vec<Engine> = thread::scope(|scope| {
        let starting: Vec<_> = machines
            .iter()
            .map(|machine| scope.spawn(|| Engine::start(machine)))
            .collect();
        let started = starting
            .into_iter()
            .map(|engine| engine.join().expect("no panic"));
        started.collect::<Result<_>>()
    })?;

    story.phase("three managers and a worker, joined by hand, are all Ready");
    let first = machines[0].address().to_string();
    engines[0].docker(&["swarm", "init", "--advertise-addr", &first])?;
    for (engine, role) in engines
        .iter()
        .zip(["", "manager", "manager", "worker"])
        .skip(1)
    {
        let token = engines[0].docker(&["swarm", "join-token", "-q", role])?;
        let own = engine.machine().address().to_string();
        let join = [
            "swarm",
            "join",
            "--advertise-addr",
            &own,
            "--token",
            token.trim(),
        ];
        engine.docker(&[&join[..], &[&format!("{first}:2377")]].concat())?;
    }
    let listed = wait::for_fact("four nodes are Ready", Duration::from_secs(30), || {
        let listed = engines[0].docker(&["node", "ls", "--format", "{{.Hostname}} {{.Status}}"])?;
        ensure!(listed.matches("Ready").count() == 4, "{listed}");
        Ok(listed)
    })?;
    ensure!(
        NAMES.iter().all(|name| listed.contains(name)),
        "hosts keep their names: {listed}"
    );

    story.phase("a container runs from an image that no registry gave");
    engines[3].import_busybox("busybox:lab")?;
    let said = engines[3].docker(&["run", "--rm", "busybox:lab", "echo", "inside"])?;
    ensure!(said.trim() == "inside", "it said {said:?}");
    engines[3].docker(&["run", "-d", "busybox:lab", "sleep", "7391"])?;

    story.phase("when the lab goes, engines, containers and folders go with it");
    drop(engines);
    drop(machines);
    drop(lab);
    nothing_runs()?;
    ensure!(!folder.exists(), "{} is still there", folder.display());
    Ok(())
}
