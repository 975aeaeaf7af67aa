//! `/v1/swarmer/status`: the cluster at a glance, for `swarmer status`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::api::Api;
use super::reply::{Outcome, Problem, Reply};
use super::request::Request;
use super::status::lease_check;
use crate::model::{Duty, Member, MemberStatus, NodeId, Ports, Role};
use crate::state::State;
use crate::store::{Answer, Question, StatusReport};

/// How long to wait for the leader before this node says alone what it knows.
const PATIENCE: Duration = Duration::from_secs(3);

/// The cluster as this node and the leader see it.
#[derive(Debug, Serialize)]
struct StatusView {
    cluster: Option<String>,
    stack: String,
    dc: String,
    /// Who answers.
    node: String,
    expect: Option<u32>,
    leader: Option<String>,
    /// Milliseconds since this node last heard of the leader.
    leader_contact: u64,
    term: u64,
    applied: u64,
    voters: Vec<String>,
    learners: Vec<String>,
    members: Vec<MemberStatusView>,
    registry_host: Option<String>,
    /// Before there is a cluster: what this node waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<String>,
    /// Why the leader's part is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

#[derive(Debug, Serialize)]
struct MemberStatusView {
    id: NodeId,
    name: String,
    role: Role,
    status: MemberStatus,
    address: String,
    ports: Ports,
    version: String,
    leader: bool,
    voter: bool,
    health: Option<&'static str>,
    /// Milliseconds since the lease was last renewed.
    lease_age: Option<u64>,
    /// Milliseconds that a member which was lost too often of late has yet to last before it is
    /// alive again.
    proving: Option<u64>,
    /// Milliseconds of cluster time since the status last changed.
    since: u64,
    services: usize,
    report: BTreeMap<String, String>,
}

pub(super) async fn status(api: &Api, request: &Request) -> Outcome {
    let (report, problem) = match tokio::time::timeout(PATIENCE, ask(api)).await {
        Ok(Ok(report)) => (report, None),
        Ok(Err(problem)) => (StatusReport::default(), Some(problem)),
        Err(_) => {
            let problem = format!("the leader did not answer within {PATIENCE:?}");
            (StatusReport::default(), Some(problem))
        }
    };
    let state = api.store().state();
    let view = view(api, &state, &report, problem);
    Ok(Reply::json(request.pretty(), &view))
}

/// The CA's certificate, which is no secret: whom to trust on the TLS ports.
pub(super) async fn ca(api: &Api, request: &Request) -> Outcome {
    let state = api.store().state();
    let missing = || Problem::Missing("this node has no cluster yet, so there is no CA".into());
    let row = state.ca().ok_or_else(missing)?;
    let answer = serde_json::json!({ "Certificate": row.cert_pem });
    Ok(Reply::json(request.pretty(), &answer))
}

async fn ask(api: &Api) -> Result<StatusReport, String> {
    let leader = api.store().leader().map_err(|error| error.to_string())?;
    match leader.ask(Question::Status).await {
        Ok(Answer::Status(report)) => Ok(report),
        Ok(_) => Err("the leader answered another question".into()),
        Err(error) => Err(error.to_string()),
    }
}

fn view(api: &Api, state: &State, report: &StatusReport, problem: Option<String>) -> StatusView {
    let who = api.identity();
    let contact = api.store().contact();
    let name = |id: &NodeId| {
        state
            .member(*id)
            .map_or_else(|| id.to_string(), |member| member.name.to_string())
    };
    let leader = report.leader.or(contact.leader);
    let mut members: Vec<_> = state
        .members()
        .map(|member| member_view(state, member, leader, report))
        .collect();
    members.sort_by(|a, b| a.name.cmp(&b.name));
    StatusView {
        cluster: state.cluster().map(|cluster| cluster.cluster.to_string()),
        stack: who.stack.to_string(),
        dc: who.dc.to_string(),
        node: who.name.to_string(),
        expect: state.cluster().map(|cluster| cluster.expect),
        leader: leader.as_ref().map(name),
        leader_contact: u64::try_from(contact.age.as_millis()).unwrap_or(u64::MAX),
        term: report.term,
        applied: report.applied.max(state.index()),
        voters: report.voters.iter().map(name).collect(),
        learners: report.learners.iter().map(name).collect(),
        members,
        waiting: Some(api.waits()).filter(|why| state.cluster().is_none() && !why.is_empty()),
        registry_host: state.duty(Duty::Registry).map(|holder| name(&holder.node)),
        problem,
    }
}

fn member_view(
    state: &State,
    member: &Member,
    leader: Option<NodeId>,
    report: &StatusReport,
) -> MemberStatusView {
    let lease = report.leases.iter().find(|lease| lease.node == member.id);
    let name = member.name.as_str();
    let since = state.time().max(report.time).since(member.since);
    MemberStatusView {
        id: member.id,
        name: member.name.to_string(),
        role: member.role,
        status: member.status,
        address: member.address.to_string(),
        ports: member.ports,
        version: member.version.clone(),
        leader: leader == Some(member.id),
        voter: report.voters.contains(&member.id),
        health: lease_check(state, name),
        lease_age: lease.map(|lease| lease.age),
        proving: lease.and_then(|lease| lease.proving),
        since: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        services: state.catalog().services_of(name).count(),
        report: lease.map(|lease| lease.report.clone()).unwrap_or_default(),
    }
}
