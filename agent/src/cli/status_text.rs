//! The words and the table of `swarmer status`.

use std::fmt::Write as _;
use std::time::SystemTime;

use super::cluster_status::ClusterStatus;
use super::table::{Table, age};
use crate::task::clock;

/// `answering`: without a leader, which of the members answered us, in their order.
pub(super) fn render(status: &ClusterStatus, answering: Option<&[bool]>) -> String {
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
    if status.is_led() {
        let host = status.registry_host.as_deref();
        let host = host.map_or("no host".to_owned(), |host| format!("on {host}"));
        let _ = writeln!(text, "registry  {host}");
    }
    let trouble = status.trouble();
    let _ = writeln!(
        text,
        "health    {}",
        trouble.as_deref().unwrap_or("all well")
    );
    if status.cluster.is_none() {
        text.push_str(
            "\nIt is looking for the others; `journalctl -u swarmer` says what it waits for.\n",
        );
        return text;
    }
    text.push('\n');
    match answering {
        None => text.push_str(&table(status).render()),
        Some(answering) => leaderless(&mut text, status, answering),
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
        let alive = member.status == "alive";
        let state = match alive {
            true => member.status.clone(),
            false => format!("{} for {}", member.status, age(member.since)),
        };
        // What a dead node said last is no news.
        let told = |what| {
            let told = member.told(what);
            if alive { told } else { String::new() }
        };
        table.row([
            member.name.clone(),
            member.part().to_owned(),
            member.address.clone(),
            state,
            member.health.clone().unwrap_or_default(),
            member.lease_age.map(age).unwrap_or_default(),
            told("swarm"),
            told("registry"),
            certificate(&member.told("certificate_expires"), now),
            member.version.clone(),
        ]);
    }
    table
}

/// What this node knew last, and whom we reach ourselves.
fn leaderless(text: &mut String, status: &ClusterStatus, answering: &[bool]) {
    let mut table = Table::new(&["NODE", "ROLE", "ADDRESS", "LAST KNOWN", "ANSWERS HERE"]);
    let (mut servers, mut silent) = (0, Vec::new());
    for (member, answers) in status.members.iter().zip(answering) {
        if member.role == "server" {
            servers += 1;
            if !answers {
                silent.push(member.name.as_str());
            }
        }
        table.row([
            member.name.clone(),
            member.role.clone(),
            format!("{}:{}", member.address, member.ports.rpc),
            member.status.clone(),
            if *answers { "yes" } else { "NO" }.to_owned(),
        ]);
    }
    text.push_str(&table.render());
    let expect = status.expect.unwrap_or(servers);
    let _ = writeln!(
        text,
        "\n{} of {servers} servers answer on their RPC port from here; {} are needed for a leader.",
        servers - silent.len(),
        expect / 2 + 1
    );
    if !silent.is_empty() {
        let _ = writeln!(text, "Start again, or connect: {}.", silent.join(", "));
    }
    text.push_str(
        "Until then nothing is written; DNS and `?stale` reads answer from each node's copy.\n",
    );
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
        let text = render(&status, None);
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
            members: vec![member("a", false), member("b", false)],
            problem: Some("no leader".into()),
            ..ClusterStatus::default()
        };
        let text = render(&status, Some(&[true, false]));
        assert!(text.contains("NONE, last heard of one 12 s ago"), "{text}");
        assert!(text.contains("1 of 2 servers answer"), "{text}");
        assert!(text.contains("2 are needed"), "{text}");
        assert!(text.contains("Start again, or connect: b."), "{text}");
        let text = render(&ClusterStatus::default(), None);
        assert!(
            text.contains("none yet") && text.contains("journalctl"),
            "{text}"
        );
    }
}
