//! What `/v1/swarmer/status` says, as far as the commands use it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;

use super::connect::{self, Connect};
use super::failure::Failure;
use super::operator_files::Places;
use super::table::age;
use crate::client::{Answer, Client, Request};

const PATH: &str = "/v1/swarmer/status";

/// The cluster as one node sees it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ClusterStatus {
    pub(super) cluster: Option<String>,
    pub(super) stack: String,
    pub(super) dc: String,
    /// Who answers.
    pub(super) node: String,
    pub(super) expect: Option<usize>,
    pub(super) leader: Option<String>,
    /// Milliseconds.
    pub(super) leader_contact: u64,
    pub(super) term: u64,
    pub(super) applied: u64,
    pub(super) voters: Vec<String>,
    pub(super) learners: Vec<String>,
    pub(super) members: Vec<MemberStatus>,
    pub(super) registry_host: Option<String>,
    /// Before there is a cluster: what the node waits for.
    pub(super) waiting: Option<String>,
    pub(super) problem: Option<String>,
}

/// One member.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct MemberStatus {
    pub(super) name: String,
    pub(super) role: String,
    pub(super) status: String,
    pub(super) address: String,
    pub(super) ports: Ports,
    pub(super) version: String,
    pub(super) leader: bool,
    pub(super) voter: bool,
    pub(super) health: Option<String>,
    /// Milliseconds.
    pub(super) lease_age: Option<u64>,
    /// Milliseconds that it has yet to last, if it was lost too often of late.
    pub(super) proving: Option<u64>,
    /// Milliseconds.
    pub(super) since: u64,
    pub(super) services: u64,
    pub(super) report: BTreeMap<String, String>,
}

/// Where its agent listens.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Ports {
    pub(super) rpc: u16,
    pub(super) https: u16,
    pub(super) registry: u16,
    pub(super) dns: u16,
    /// 0 on a node without an engine.
    pub(super) docker: u16,
}

/// Asks, and keeps what was heard of the servers for an operator's next time.
pub(super) async fn fetch(connect: &Connect<'_>) -> Result<(Answer, ClusterStatus), Failure> {
    let client = connect.client()?;
    let (answer, status) = fetch_from(&client).await?;
    if let Some(files) = connect.files()? {
        files.refresh(status.places())?;
    }
    Ok((answer, status))
}

pub(super) async fn fetch_from(client: &Client) -> Result<(Answer, ClusterStatus), Failure> {
    let answer = connect::ask(client, Request::get(PATH)).await?;
    let status = connect::parse(&answer)?;
    Ok((answer, status))
}

impl ClusterStatus {
    /// Where the nodes are, servers first, and those that are alive before the others.
    pub(super) fn places(&self) -> Places {
        let mut members: Vec<&MemberStatus> = self.members.iter().collect();
        members.sort_by_key(|member| (member.role != "server", member.status != "alive"));
        let places = |port: fn(&Ports) -> u16| {
            let places = members.iter().filter_map(|member| member.place(port));
            places.collect()
        };
        let servers = members.iter().filter(|member| member.role == "server");
        Places {
            servers: servers
                .filter_map(|member| member.place(|ports| ports.https))
                .collect(),
            dns: places(|ports| ports.dns),
            docker: places(|ports| ports.docker),
        }
    }

    /// Whether a leader told its part.
    pub(super) fn is_led(&self) -> bool {
        self.leader.is_some() && self.problem.is_none()
    }

    /// What keeps the cluster from being whole; `None`: nothing.
    pub(super) fn trouble(&self) -> Option<String> {
        if self.cluster.is_none() {
            let mut trouble = "this node is not a member of a cluster yet".to_owned();
            if let Some(waiting) = &self.waiting {
                trouble = format!("{trouble}: {waiting}");
            }
            return Some(trouble);
        }
        if let Some(problem) = &self.problem {
            return Some(format!("the leader can't be asked: {problem}"));
        }
        if self.leader.is_none() {
            return Some("there is no leader".to_owned());
        }
        let out = self.members.iter().find(|member| !member.is_well());
        if let Some(member) = out {
            if let Some(proving) = member.proving {
                return Some(format!(
                    "{} is back, but was lost too often of late: it counts again in {}",
                    member.name,
                    age(proving)
                ));
            }
            let health = member.health.as_deref().unwrap_or("unknown");
            return Some(format!(
                "{} is {}, its health {health}",
                member.name, member.status
            ));
        }
        let expect = self.expect.unwrap_or(1);
        (self.voters.len() < expect)
            .then(|| format!("{} of {expect} servers vote", self.voters.len()))
    }
}

impl MemberStatus {
    /// Where one of its doors is; `None` if it has none.
    pub(super) fn place(&self, port: impl FnOnce(&Ports) -> u16) -> Option<SocketAddr> {
        let ip: IpAddr = self.address.parse().ok()?;
        let port = port(&self.ports);
        (port != 0).then(|| SocketAddr::new(ip, port))
    }

    pub(super) fn is_well(&self) -> bool {
        self.status == "alive" && self.health.as_deref() == Some("passing")
    }

    /// `leader`, `voter` or `learner` of servers; `worker`.
    pub(super) fn part(&self) -> &str {
        match self.role.as_str() {
            "server" if self.leader => "leader",
            "server" if self.voter => "voter",
            role => role,
        }
    }

    pub(super) fn told(&self, what: &str) -> String {
        self.report.get(what).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> ClusterStatus {
        let member = |name: &str| MemberStatus {
            name: name.into(),
            role: "server".into(),
            status: "alive".into(),
            health: Some("passing".into()),
            ..MemberStatus::default()
        };
        ClusterStatus {
            cluster: Some("c".into()),
            expect: Some(3),
            leader: Some("a".into()),
            voters: vec!["a".into(), "b".into(), "c".into()],
            members: vec![member("a"), member("b"), member("c")],
            ..ClusterStatus::default()
        }
    }

    #[test]
    fn each_trouble_is_named() {
        assert_eq!(whole().trouble(), None);
        let trouble = |change: fn(&mut ClusterStatus)| {
            let mut status = whole();
            change(&mut status);
            status.trouble().unwrap()
        };
        assert!(trouble(|s| s.cluster = None).contains("not a member"));
        assert!(trouble(|s| s.leader = None).contains("no leader"));
        assert!(trouble(|s| s.problem = Some("x".into())).contains('x'));
        assert!(trouble(|s| s.members[1].status = "lapsed".into()).contains("b is lapsed"));
        assert!(trouble(|s| s.members[2].health = None).contains("c is alive, its health unknown"));
        assert!(trouble(|s| drop(s.voters.pop())).contains("2 of 3"));
    }
}
