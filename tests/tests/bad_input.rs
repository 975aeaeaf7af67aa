//! Bad input to a node at its start (files, tokens, folders, ports, disks): each gives one clear error, or a retry that says what it waits for; none panics, none
//! corrupts, and one node's trouble never stops another.

use std::fs;
use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::cluster::{derive_token, new_token};
use harness::settings::Role;
use harness::story::Story;
use harness::{Cluster, Node, disk, needs, wait};

/// The exit code of a wrong configuration (sysexits' EX_CONFIG).
const EX_CONFIG: i32 = 78;
/// A refusal comes at once.
const EXITS_WITHIN: Duration = Duration::from_secs(10);
/// Long enough for an intruder to get in, if it could.
const LONG_ENOUGH: Duration = Duration::from_secs(4);

/// The agent must end with `code`, saying each of `words`, and not the token.
fn refuses(node: &Node, code: i32, words: &[&str]) -> Result<()> {
    let status = node.exit(EXITS_WITHIN)?;
    let log = node.log();
    ensure!(
        status.code() == Some(code),
        "it ended with {status}, not {code}:\n{log}"
    );
    for word in words {
        ensure!(log.contains(word), "it does not say {word:?}:\n{log}");
    }
    node.is_decent()
}

/// Nobody of that name is a member.
fn is_no_member(cluster: &Cluster, name: &str) -> Result<()> {
    let members = cluster
        .node("s1")
        .http_get("/v1/agent/members")?
        .ok()?
        .text();
    ensure!(
        !members.contains(&format!("\"{name}\"")),
        "{name} is a member: {members}"
    );
    Ok(())
}

#[test]
fn a_wrong_file_is_refused_with_its_key_and_line() -> Result<()> {
    let story = Story::of("a wrong file is refused with its key and line, and exit code 78");
    let cluster = Cluster::of(1).prepare()?;
    let node = cluster.node("s1");
    let good = node.settings().to_string();
    let bomb = (b'b'..=b'i').fold(
        "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned(),
        |text, letter| {
            let (this, last) = (char::from(letter), char::from(letter - 1));
            let many = vec![format!("*{last}"); 9].join(", ");
            format!("{text}{this}: &{this} [{many}]\n")
        },
    );
    let cases = [
        (
            "not YAML at all",
            "{ [ : \u{1}".to_owned(),
            vec!["swarmer.yaml:1"],
        ),
        (
            "an unknown key",
            format!("{good}tokn: x\n"),
            vec!["tokn", "token"],
        ),
        (
            "a wrong type",
            good.replace("role: server", "role: [1]"),
            vec!["role", ":4"],
        ),
        (
            "out of range",
            good.replace("rpc: 8300", "rpc: 99999"),
            vec!["listen.rpc", "99999"],
        ),
        ("a YAML bomb", format!("{good}{bomb}"), vec!["swarmer.yaml"]),
        ("nothing", String::new(), vec!["the file is empty"]),
    ];
    for (what, text, words) in cases {
        story.phase(what);
        node.start_with(&text)?;
        refuses(node, EX_CONFIG, &words).with_context(|| what.to_owned())?;
    }
    Ok(())
}

#[test]
fn tokens_that_are_none_are_refused_at_the_start() -> Result<()> {
    let story =
        Story::of("tokens that are none are refused at the start, with the command that makes one");
    let cluster = Cluster::of(1).prepare()?;
    let node = cluster.node("s1");
    let good = cluster.token().to_owned();
    let mut typo = good.clone();
    let last = if typo.pop() == Some('a') { 'b' } else { 'a' };
    typo.push(last);
    let made_up = "correct-horse-battery-staple".to_owned();
    let worker = derive_token(&good, Role::Worker)?;
    for (what, token, word) in [
        ("home-made", made_up, "swarmer token new"),
        ("mistyped", typo, "typ"),
        ("of the wrong role", worker, "swarmer token derive"),
    ] {
        story.phase(what);
        node.reconfigure(|settings| settings.token = token);
        node.start()?;
        let status = node.exit(EXITS_WITHIN)?;
        ensure!(!status.success(), "it ended with {status}");
        ensure!(
            node.log().contains(word),
            "it does not say {word:?}:\n{}",
            node.log()
        );
        node.is_decent()?;
    }
    Ok(())
}

#[test]
fn a_wrong_token_joins_nothing() -> Result<()> {
    let story = Story::of("a wrong token joins nothing, and says what it waits for");
    let cluster = Cluster::of(3).workers(1).prepare()?;
    for server in cluster.servers() {
        server.start()?;
    }
    cluster.wait_serving()?;
    let stranger = new_token()?;
    let intruder = cluster.node("w1");
    intruder.reconfigure(|settings| settings.token.clear());
    let other = derive_token(&stranger, Role::Worker)?;
    intruder.reconfigure(|settings| settings.token = other);
    story.phase("a worker with another cluster's token asks to be let in");
    intruder.start()?;
    cluster.wait("it says that its token is refused", EXITS_WITHIN, || {
        let log = intruder.log().to_lowercase();
        ensure!(log.contains("token"), "{log}");
        Ok(())
    })?;
    wait::that_it_stays("it is no member", LONG_ENOUGH, || {
        is_no_member(&cluster, "w1")
    })?;
    ensure!(intruder.kv_put("evil", "1").is_err(), "it can write");
    intruder.is_decent()?;
    cluster.still_serves()
}

#[test]
fn a_port_in_use_is_named() -> Result<()> {
    let story = Story::of("a port in use is named, and the others go on");
    let cluster = Cluster::of(3).workers(1).start()?;
    let node = cluster.node("w1");
    node.kill()?;
    let taken = TcpListener::bind(node.rpc_address())?;
    story.phase(&format!("another program has {}", node.rpc_address()));
    node.start()?;
    refuses(node, 1, &[&node.rpc_address().to_string(), "ss -ltnp"])?;
    cluster.still_serves()?;
    drop(taken);
    story.phase("once the port is free the node comes back");
    node.start()?;
    cluster.wait_serving()
}

#[test]
fn a_data_folder_of_another_cluster_is_refused() -> Result<()> {
    let story = Story::of("a data folder of another cluster, or of a newer version, is refused");
    let ours = Cluster::of(1).start()?;
    let theirs = Cluster::of(1).workers(1).start()?;
    story.phase("a member of one cluster is given the other's file");
    let stray = theirs.node("w1");
    stray.kill()?;
    let (join, token) = (
        ours.node("s1").address().to_string(),
        ours.token().to_owned(),
    );
    let token = derive_token(&token, Role::Worker)?;
    stray.reconfigure(|settings| {
        settings.join = vec![join];
        settings.token = token;
    });
    stray.start()?;
    wait::that_it_stays("it joins nothing", LONG_ENOUGH, || {
        is_no_member(&ours, "w1")
    })?;
    stray.is_decent()?;
    ours.still_serves()?;
    theirs.still_serves()?;

    story.phase("another stack's name is refused at once, naming the folder");
    let node = ours.node("s1");
    node.kill()?;
    node.reconfigure(|settings| settings.stack = "other".to_owned());
    node.start()?;
    let folder = node.settings().data_dir.display().to_string();
    refuses(node, 78, &[&folder, "other"])?;

    story.phase("a folder that a newer release wrote is refused, and left as it is");
    node.reconfigure(|settings| settings.stack = "test".to_owned());
    let version = node.settings().data_dir.join("version");
    let text = fs::read_to_string(&version)?;
    fs::write(&version, text.replace('1', "999"))?;
    node.start()?;
    refuses(node, 1, &["newer", "999"])?;
    fs::write(&version, text)?;
    node.start()?;
    ours.wait_serving()
}

#[test]
fn a_full_disk_stops_one_server_and_loses_nothing() -> Result<()> {
    if !needs::met(
        "a_full_disk_stops_one_server_and_loses_nothing",
        disk::NEEDS,
    ) {
        return Ok(());
    }
    let story = Story::of("a full disk stops one server, says so, and loses nothing");
    let cluster = Cluster::of(3).on_lossy_disks().start()?;
    let full = cluster.leader()?;
    story.phase(&format!(
        "the disk of {}, which leads, is full",
        full.name()
    ));
    let disk = cluster.disk(full.name());
    disk.set_capacity(Some(disk.used() + 20_000));
    let others: Vec<&Node> = cluster
        .servers()
        .filter(|node| node.name() != full.name())
        .collect();
    let mut known = 0;
    cluster.wait(
        "the others acknowledge two hundred writes",
        Duration::from_secs(30),
        || {
            others[0].kv_put(&format!("full/{known}"), vec![b'x'; 1000])?;
            known += 1;
            ensure!(known >= 200, "{known} so far");
            Ok(())
        },
    )?;
    let log = full.log().to_lowercase();
    ensure!(
        log.contains("space"),
        "its log does not say that there is no space:\n{log}"
    );
    ensure!(!log.contains("panicked at"), "it panicked:\n{log}");
    story.phase("there is room again: it comes back with all that was acknowledged");
    disk.set_capacity(None);
    if !full.is_running() {
        full.start()?;
    }
    cluster.wait_serving()?;
    for number in [0, known / 2, known - 1] {
        let found = full.kv_get(&format!("full/{number}"))?;
        ensure!(found.is_some(), "full/{number} is lost");
    }
    Ok(())
}

#[test]
fn a_missing_docker_engine_is_waited_for() -> Result<()> {
    let story = Story::of("a missing Docker Engine is waited for, and stops nothing else");
    let cluster = Cluster::of(1).prepare()?;
    let node = cluster.node("s1");
    node.reconfigure(|s| {
        s.docker = "{ enabled: true, socket: /nonexistent/docker.sock }".to_owned()
    });
    node.start()?;
    cluster.wait_serving()?;
    story.phase("it serves without; its log must name the socket");
    cluster.wait("the log names the missing socket", EXITS_WITHIN, || {
        ensure!(
            node.log().contains("/nonexistent/docker.sock"),
            "{}",
            node.log()
        );
        Ok(())
    })?;
    node.is_decent()
}

#[test]
fn unreachable_peers_are_asked_again_and_stop_nothing() -> Result<()> {
    let story = Story::of("peers that do not answer are asked again, and stop nothing");
    let cluster = Cluster::of(3).workers(1).prepare()?;
    for node in cluster.nodes() {
        // Nobody is there, and nobody has that name.
        node.reconfigure(|settings| {
            settings.join.insert(0, "127.255.255.1".to_owned());
            settings.join.push("dns:nobody.invalid".to_owned());
        });
        node.start()?;
    }
    cluster.wait_serving()?;
    story.phase("a worker alone says whom it waits for");
    let alone = Cluster::of(1).workers(1).prepare()?;
    let worker = alone.node("w1");
    worker.start()?;
    alone.wait("its log says that nobody answers", EXITS_WITHIN, || {
        let log = worker.log();
        ensure!(
            log.contains("none of the servers in `join` answers"),
            "{log}"
        );
        Ok(())
    })?;
    alone.node("s1").start()?;
    alone.wait_serving()
}
