//! Nothing acknowledged is lost: invariant 1, under kill -9, restarts, pauses, power cuts and cut links.
//!
//! `SWARMER_ROUNDS` says how many rounds (`make soak`: 1,000), `SWARMER_SEED` repeats a run.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use harness::faults::Faults;
use harness::lab::{self, Lab};
use harness::ledger::{self, Ledger};
use harness::story::Story;
use harness::{Cluster, disk, needs, wait};

/// Rounds of faults in `make test`.
const ROUNDS: u64 = 20;
/// Clients that write without pause.
const WRITERS: u64 = 6;
/// What is cut from the rest: one server, one with a worker, a majority.
const SIDES: &[&[&str]] = &[&["s1"], &["s2"], &["s3"], &["s1", "w1"], &["s2", "s3"]];
/// How long a healed cluster may take until every server has every key.
const HEALS_WITHIN: Duration = Duration::from_secs(30);

fn rounds() -> u64 {
    let given = std::env::var("SWARMER_ROUNDS").ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(ROUNDS)
}

/// The safety phase is over: no more faults, and the cluster must heal, serve and have every key.
fn heals_with_every_key(cluster: &Cluster, ledger: &Ledger) -> Result<()> {
    cluster.wait("all agents run", HEALS_WITHIN, || {
        for node in cluster.nodes().iter().filter(|node| !node.is_running()) {
            // As a service manager would; why it ended is worth knowing.
            let log = node.log();
            let from = log.rfind("--- ").unwrap_or(0);
            eprintln!("    {} has ended by itself:\n{}", node.name(), &log[from..]);
            node.start()?;
            wait::briefly(Duration::from_secs(1));
        }
        let down = cluster.nodes().iter().find(|node| !node.is_running());
        ensure!(
            down.is_none(),
            "{} ends again and again",
            down.map_or("", |node| node.name())
        );
        Ok(())
    })?;
    cluster.wait_serving()?;
    let (known, tried) = (ledger.acknowledged(), ledger.tried());
    eprintln!("    {known} of {tried} writes acknowledged");
    for node in cluster.nodes() {
        ledger.check(node, "consistent")?;
        cluster.wait(
            "every node has every key in its own memory",
            HEALS_WITHIN,
            || ledger.check(node, "stale"),
        )?;
    }
    Ok(())
}

/// Every `rounds`th of the way: acknowledged so far must be there now, not only at the end.
fn check_on_the_way(cluster: &Cluster, ledger: &Ledger) -> Result<()> {
    let writing_again = cluster.wait("writes are acknowledged again", HEALS_WITHIN, || {
        cluster.leader()?.kv_put("harness/again", "yes")
    });
    writing_again?;
    ledger.check(cluster.leader()?, "consistent")
}

#[test]
fn kill_rounds_lose_no_acknowledged_key() -> Result<()> {
    let story = Story::of("kill -9 and restart of random servers lose no acknowledged key");
    let mut faults = Faults::from_environment();
    let cluster = Cluster::of(3).workers(1).start()?;
    let rounds = rounds();
    let ledger = ledger::while_writing(&cluster, WRITERS, |ledger| {
        for round in 1..=rounds {
            let servers: Vec<_> = cluster.servers().collect();
            // Mostly a minority; at times all, since the log must hold then too.
            let victims = if faults.chance(15) { 3 } else { 1 };
            for victim in faults.shuffled(servers).into_iter().take(victims) {
                victim.kill()?;
            }
            wait::briefly(Duration::from_millis(faults.below(300)));
            for server in cluster.servers().filter(|server| !server.is_running()) {
                server.start()?;
            }
            wait::briefly(Duration::from_millis(200 + faults.below(800)));
            if round % 10 == 0 {
                check_on_the_way(&cluster, ledger)?;
                let known = ledger.acknowledged();
                story.phase(&format!(
                    "round {round} of {rounds}: {known} acknowledged, none lost"
                ));
            }
        }
        Ok(())
    })?;
    story.phase("no more faults: the cluster must heal and have every key");
    heals_with_every_key(&cluster, &ledger)
}

#[test]
fn power_cuts_lose_no_acknowledged_key() -> Result<()> {
    if !needs::met("power_cuts_lose_no_acknowledged_key", disk::NEEDS) {
        return Ok(());
    }
    let story =
        Story::of("power cuts, on disks that forget what was not synced, lose no acknowledged key");
    let mut faults = Faults::from_environment();
    let cluster = Cluster::of(3).on_lossy_disks().start()?;
    let rounds = rounds();
    let ledger = ledger::while_writing(&cluster, WRITERS, |ledger| {
        for round in 1..=rounds {
            let servers: Vec<_> = cluster.servers().collect();
            // All at once shows what one server's copy hides: that another had not synced either.
            let victims = if faults.chance(50) { 3 } else { 1 };
            let victims: Vec<_> = faults.shuffled(servers).into_iter().take(victims).collect();
            for victim in &victims {
                victim.kill()?;
            }
            for victim in &victims {
                let disk = cluster.disk(victim.name());
                // A real disk also keeps some of what it was not asked to keep, and tears it.
                if faults.chance(50) {
                    disk.crash()
                } else {
                    disk.crash_torn(&mut faults)
                };
                victim.start()?;
            }
            wait::briefly(Duration::from_millis(500 + faults.below(1000)));
            if round % 10 == 0 {
                check_on_the_way(&cluster, ledger)?;
                let known = ledger.acknowledged();
                story.phase(&format!(
                    "round {round} of {rounds}: {known} acknowledged, none lost"
                ));
            }
        }
        Ok(())
    })?;
    story.phase("no more faults: the cluster must heal and have every key");
    heals_with_every_key(&cluster, &ledger)
}

#[test]
fn pauses_lose_no_acknowledged_key() -> Result<()> {
    let story = Story::of("servers that pause, the leader too, lose no acknowledged key");
    let mut faults = Faults::from_environment();
    let cluster = Cluster::of(3).start()?;
    let ledger = ledger::while_writing(&cluster, WRITERS, |_| {
        for _ in 0..rounds().min(60) / 4 {
            let victim = *faults.one_of(&cluster.servers().collect::<Vec<_>>());
            victim.stop()?;
            // From shorter than an election to longer than a lease.
            wait::briefly(Duration::from_millis(100 + faults.below(3000)));
            victim.cont()?;
            wait::briefly(Duration::from_millis(faults.below(700)));
        }
        Ok(())
    })?;
    story.phase("no more faults: the cluster must heal and have every key");
    heals_with_every_key(&cluster, &ledger)
}

#[test]
fn a_cut_and_healed_link_ends_in_one_cluster_with_every_key() -> Result<()> {
    if !needs::met(
        "a_cut_and_healed_link_ends_in_one_cluster_with_every_key",
        lab::NEEDS,
    ) {
        return Ok(());
    }
    let story = Story::of("cut and healed links end in one cluster with every key");
    let mut faults = Faults::from_environment();
    let lab = Arc::new(Lab::new()?);
    let cluster = Cluster::of(3).workers(1).in_lab(&lab).start()?;
    let ledger = ledger::while_writing(&cluster, WRITERS, |ledger| {
        let leader = cluster.leader()?.name().to_owned();
        story.phase(&format!(
            "{leader}, which leads, is cut off: the others elect another and go on"
        ));
        lab.isolate(&leader)?;
        cluster.wait(
            "the majority has another leader",
            Duration::from_secs(15),
            || {
                let now = cluster.leader()?.name();
                ensure!(now != leader, "{now} still leads");
                Ok(())
            },
        )?;
        let before = ledger.acknowledged();
        cluster.wait(
            "the majority acknowledges writes",
            Duration::from_secs(15),
            || {
                let now = ledger.acknowledged();
                ensure!(now > before + 50, "{} since the cut", now - before);
                Ok(())
            },
        )?;
        lab.heal_all()?;
        for round in 0..rounds().min(100) / 4 {
            let side = faults.one_of(SIDES);
            story.phase(&format!("cut {round}: {side:?} from the rest"));
            lab.split(side)?;
            wait::briefly(Duration::from_millis(200 + faults.below(2500)));
            lab.heal_all()?;
            wait::briefly(Duration::from_millis(faults.below(1500)));
        }
        Ok(())
    })?;
    story.phase("all links are whole: one cluster, with every key");
    heals_with_every_key(&cluster, &ledger)
}
