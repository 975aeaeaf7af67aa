//! `swarmer status`.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use clap::Args;

use super::cluster_status::{self, ClusterStatus};
use super::connect::{self, Connect};
use super::failure::Failure;
use super::output;
use super::table::{Table, age};
use crate::config::duration;
use crate::task::clock;

/// Between two looks of `--wait-healthy`.
const LOOK: Duration = Duration::from_millis(100);

/// What `swarmer status` takes.
#[derive(Args)]
pub(super) struct Arguments {
    /// A cluster that you are logged in to, instead of this node's
    #[arg(value_name = "STACK:DC")]
    of: Option<String>,
    /// Wait until there is a leader, all members are healthy, and as many servers vote as expected
    #[arg(long)]
    wait_healthy: bool,
    /// How long to wait, as in 90s or 2m
    #[arg(long, default_value = "60s", requires = "wait_healthy")]
    timeout: String,
}

pub(super) async fn run(arguments: &Arguments, connect: &Connect<'_>) -> Result<(), Failure> {
    let connect = connect.to(arguments.of.as_ref());
    let (answer, status) = match arguments.wait_healthy {
        true => wait(&connect, patience(&arguments.timeout)?).await?,
        false => cluster_status::fetch(&connect).await?,
    };
    if connect.json() {
        return output::json(&connect::parse::<serde_json::Value>(&answer)?);
    }
    output::raw(render(&status).as_bytes())
}

fn patience(text: &str) -> Result<Duration, Failure> {
    duration::parse(text).map_err(|error| {
        Failure::usage(
            format!("--timeout: {error}"),
            "use a number with a unit, as in 90s or 2m",
        )
    })
}

async fn wait(
    connect: &Connect<'_>,
    patience: Duration,
) -> Result<(crate::client::Answer, ClusterStatus), Failure> {
    let begun = clock::now();
    loop {
        let seen = cluster_status::fetch(connect).await;
        let trouble = match seen {
            Ok((answer, status)) => match status.trouble() {
                None => return Ok((answer, status)),
                Some(trouble) => Failure::not(
                    format!("not healthy after {}: {trouble}", age(millis(patience))),
                    "`swarmer status` shows each member",
                ),
            },
            // What was typed wrong stays wrong.
            Err(failure @ (Failure::Client(_) | Failure::Refused { .. })) => failure,
            Err(failure) => return Err(failure),
        };
        if clock::now().saturating_duration_since(begun) >= patience {
            return Err(trouble);
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn render(status: &ClusterStatus) -> String {
    let mut text = String::new();
    let cluster = status.cluster.as_deref().unwrap_or("not formed yet");
    let _ = writeln!(
        text,
        "cluster   {}:{} ({cluster}), asked {}",
        status.stack, status.dc, status.node
    );
    let _ = writeln!(text, "leader    {}", leader(status));
    if !status.voters.is_empty() {
        let _ = writeln!(text, "voters    {}", voters(status));
    }
    let host = status.registry_host.as_deref();
    let _ = writeln!(
        text,
        "registry  {}",
        host.map_or("no host".to_owned(), |host| format!("on {host}"))
    );
    match status.trouble() {
        None => text.push_str("health    all well\n"),
        Some(trouble) => {
            let _ = writeln!(text, "health    {trouble}");
        }
    }
    if status.cluster.is_none() {
        text.push_str(
            "\nIt is looking for the others; `journalctl -u swarmer` says what it waits for.\n",
        );
        return text;
    }
    text.push('\n');
    text.push_str(&table(status).render());
    if status.leader.is_none() || status.problem.is_some() {
        let _ = writeln!(
            text,
            "\nThis is what {} knew last; without a leader nothing is written, and DNS answers from its copy.",
            status.node
        );
    }
    text
}

fn leader(status: &ClusterStatus) -> String {
    let heard = age(status.leader_contact);
    match (&status.leader, &status.problem) {
        (Some(leader), None) => format!("{leader} (term {})", status.term),
        (Some(leader), Some(_)) => format!("{leader} was it, last heard of {heard} ago"),
        (None, _) if status.cluster.is_none() => "none yet".to_owned(),
        (None, _) => format!("NONE, last heard of one {heard} ago"),
    }
}

fn voters(status: &ClusterStatus) -> String {
    let voters = status.voters.len();
    let spare = voters.saturating_sub(voters / 2 + 1);
    let mut text = format!("{} ({spare} may fail)", status.voters.join(", "));
    if !status.learners.is_empty() {
        let _ = write!(text, "; catching up: {}", status.learners.join(", "));
    }
    text
}

fn unix(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

/// How long a certificate holds that ends at `expires` (Unix seconds).
fn certificate(expires: &str, now: u64) -> String {
    match expires.parse::<u64>() {
        Ok(expires) if expires > now => age((expires - now).saturating_mul(1000)),
        Ok(_) => "EXPIRED".to_owned(),
        // Not told.
        Err(_) => String::new(),
    }
}

fn table(status: &ClusterStatus) -> Table {
    let mut table = Table::new(&[
        "NODE",
        "ROLE",
        "ADDRESS",
        "STATUS",
        "HEALTH",
        "LEASE",
        "SWARM",
        "REGISTRY",
        "CERTIFICATE",
        "VERSION",
    ]);
    let now = unix(clock::wall());
    for member in &status.members {
        let state = match member.status.as_str() {
            "alive" => "alive".to_owned(),
            other => format!("{other} for {}", age(member.since)),
        };
        table.row([
            member.name.clone(),
            member.part().to_owned(),
            member.address.clone(),
            state,
            member.health.clone().unwrap_or_default(),
            member.lease_age.map(age).unwrap_or_default(),
            member.told("swarm"),
            member.told("registry"),
            certificate(&member.told("certificate_expires"), now),
            member.version.clone(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::super::cluster_status::MemberStatus;
    use super::*;

    fn member(name: &str, leader: bool) -> MemberStatus {
        MemberStatus {
            name: name.into(),
            role: "server".into(),
            status: "alive".into(),
            health: Some("passing".into()),
            leader,
            voter: true,
            lease_age: Some(340),
            report: [("swarm".to_owned(), "manager".to_owned())].into(),
            ..MemberStatus::default()
        }
    }

    #[test]
    fn a_healthy_cluster_is_seen_at_a_glance() {
        let status = ClusterStatus {
            cluster: Some("c1".into()),
            stack: "vagrant".into(),
            dc: "dev".into(),
            node: "a".into(),
            expect: Some(2),
            leader: Some("a".into()),
            voters: vec!["a".into(), "b".into()],
            members: vec![member("a", true), member("b", false)],
            registry_host: Some("b".into()),
            term: 4,
            ..ClusterStatus::default()
        };
        let text = render(&status);
        for part in [
            "vagrant:dev",
            "leader    a (term 4)",
            "a, b (0 may fail)",
            "on b",
            "all well",
            "340 ms  manager",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
    }

    #[test]
    fn a_certificate_is_shown_by_the_time_that_is_left() {
        assert_eq!(certificate("259200", 0), "3 d");
        assert_eq!(certificate("259200", 255_600), "60 min");
        assert_eq!(certificate("259200", 259_200), "EXPIRED");
        assert_eq!(certificate("", 7), "");
    }

    #[test]
    fn without_a_leader_it_says_so_and_since_when() {
        let status = ClusterStatus {
            cluster: Some("c1".into()),
            leader_contact: 12_000,
            node: "b".into(),
            members: vec![member("a", false)],
            problem: Some("no leader".into()),
            ..ClusterStatus::default()
        };
        let text = render(&status);
        assert!(text.contains("NONE, last heard of one 12 s ago"), "{text}");
        assert!(text.contains("what b knew last"), "{text}");
        let text = render(&ClusterStatus::default());
        assert!(
            text.contains("none yet") && text.contains("journalctl"),
            "{text}"
        );
    }
}
