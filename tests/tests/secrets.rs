//! Tokens that a cloud keeps: fetched, waited for, never told, and read once where they can be wiped.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use anyhow::{Result, ensure};
use harness::amazon::Amazon;
use harness::guestinfo::Guestinfo;
use harness::story::Story;
use harness::{Cluster, Node};

/// Back-off included, on two busy cores.
const WITHIN: Duration = Duration::from_secs(60);
const LEFT: i32 = 10;

/// Puts `source` in the node's file, and gives what stood there.
fn replace_token(node: &Node, source: &str) -> String {
    let mut token = String::new();
    node.reconfigure(|settings| {
        token = std::mem::replace(&mut settings.token, source.to_owned());
    });
    token
}

fn is_secret(node: &Node, token: &str) -> Result<()> {
    let secret = token.rsplit('-').next().unwrap_or(token);
    ensure!(
        secret.len() >= 16 && !node.log().contains(secret),
        "{} tells its token",
        node.name()
    );
    Ok(())
}

#[test]
fn tokens_come_from_aws_and_one_that_is_missing_is_waited_for() -> Result<()> {
    let story = Story::of("tokens come from AWS; one that is missing is waited for");
    let amazon = Amazon::start()?;
    let cluster = Cluster::of(1).workers(1).prepare()?;
    let (s1, w1) = (cluster.node("s1"), cluster.node("w1"));
    amazon.adopt(s1)?;
    amazon.adopt(w1)?;
    let server = replace_token(s1, "secretsmanager:swarmer/server");
    let worker = replace_token(w1, "ssm:/swarmer/worker");
    amazon.put_secret("swarmer/server", &format!("{server}\n"));
    s1.start()?;
    story.phase("the server finds its token; the worker's is not there, which it says, and waits");
    cluster.wait_leader(WITHIN)?;
    w1.start()?;
    let missing = "token: ssm:/swarmer/worker: GetParameter: ";
    cluster.wait("it names the source, and what AWS said", WITHIN, || {
        let log = w1.log();
        ensure!(
            log.contains(missing) && log.contains("ParameterNotFound"),
            "{log}"
        );
        Ok(())
    })?;
    ensure!(
        w1.http_get("/healthz")?.status == 503,
        "it serves HTTP meanwhile"
    );
    story.phase("a token of another role is said to be one");
    amazon.put_parameter("/swarmer/worker", &server);
    cluster.wait("it says so", WITHIN, || {
        ensure!(
            w1.log()
                .contains("this is a server token, but role is worker"),
            "{}",
            w1.log()
        );
        Ok(())
    })?;
    amazon.put_parameter("/swarmer/worker", &worker);
    cluster.wait_serving()?;
    story.phase("a member starts without its token");
    amazon.refuse(true);
    for node in [s1, w1] {
        node.restart()?;
    }
    cluster.wait_serving()?;
    for (node, token) in [(s1, &server), (w1, &worker), (w1, &server)] {
        is_secret(node, token)?;
    }
    Ok(())
}

#[test]
fn a_token_in_guestinfo_is_read_once_wiped_and_kept_on_disk() -> Result<()> {
    let story = Story::of("a token in guestinfo is read once, wiped, and kept on the node's disk");
    let cluster = Cluster::of(1).workers(1).prepare()?;
    let (s1, w1) = (cluster.node("s1"), cluster.node("w1"));
    let guestinfo = Guestinfo::of(w1)?;
    let token = replace_token(w1, "guestinfo:swarmer.token");
    cluster.start_all()?;
    cluster.wait("it says that there is none", WITHIN, || {
        let said = "token: guestinfo:swarmer.token: it has no value";
        ensure!(w1.log().contains(said), "{}", w1.log());
        Ok(())
    })?;
    story.phase("the owner sets it: the worker joins, and the value is gone");
    guestinfo.set("swarmer.token", &token)?;
    cluster.wait_serving()?;
    cluster.wait("it is wiped", WITHIN, || {
        let value = guestinfo.get("swarmer.token")?.unwrap_or_default();
        ensure!(value.trim().is_empty(), "it has {} letters", value.len());
        Ok(())
    })?;
    let kept = w1.settings().data_dir.join("token");
    let mode = std::fs::metadata(&kept)?.permissions().mode() & 0o777;
    ensure!(mode == 0o600, "{mode:o}");
    story.phase("it leaves by an operator's word, and joins again with what it has kept");
    let socket = w1.settings().data_dir.join("swarmer.sock");
    let socket = socket.to_string_lossy().into_owned();
    harness::process::run(&mut cluster.swarmer("w1", &["leave", "--socket", &socket])?)?;
    let exit = w1.exit(WITHIN)?;
    ensure!(exit.code() == Some(LEFT), "it ended with {exit}");
    w1.start()?;
    cluster.wait_serving()?;
    s1.is_decent()?;
    is_secret(w1, &token)
}
