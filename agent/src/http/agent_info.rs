//! `/v1/agent/self`, `version`, `members`, `join`
//! (<https://developer.hashicorp.com/consul/api-docs/agent>).

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::Serialize;
use serde_json::{Value, json};

use super::api::Api;
use super::reply::{Outcome, Problem, Reply};
use super::request::Request;
use crate::model::{Member, MemberStatus, Role};
use crate::state::State;

/// The Consul version whose API this is, for clients that look before they ask.
const CONSUL: &str = "1.18.0";
const REVISION: &str = "swarmer";
const BUILD_DATE: &str = "1970-01-01T00:00:01Z";
/// The least TTL of a session, in nanoseconds: Patroni reads it after it was refused one.
const SESSION_TTL_MIN: u64 = 10_000_000_000;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct MemberView<'a> {
    name: &'a str,
    addr: String,
    port: u16,
    tags: BTreeMap<&'static str, String>,
    status: u8,
    protocol_min: u8,
    protocol_max: u8,
    protocol_cur: u8,
    delegate_min: u8,
    delegate_max: u8,
    delegate_cur: u8,
}

impl<'a> MemberView<'a> {
    fn new(member: &'a Member, dc: &str) -> Self {
        let role = match member.role {
            Role::Server => "consul",
            Role::Worker | Role::Operator => "node",
        };
        let tags = BTreeMap::from([
            ("role", role.to_owned()),
            ("dc", dc.to_owned()),
            ("id", member.id.to_string()),
            ("port", member.ports.rpc.to_string()),
            ("build", format!("{CONSUL}:{REVISION}")),
            ("swarmer", member.version.clone()),
            ("vsn", "2".to_owned()),
            ("raft_vsn", "3".to_owned()),
            ("segment", String::new()),
            ("ap", "default".to_owned()),
            ("acls", "0".to_owned()),
        ]);
        Self {
            name: member.name.as_str(),
            addr: member.address.to_string(),
            port: member.ports.rpc,
            tags,
            // Serf's words: 1 alive, 2 leaving, 4 failed. A lapsed lease is what Consul sees as failed.
            status: match member.status {
                MemberStatus::Alive => 1,
                MemberStatus::Leaving => 2,
                MemberStatus::Lapsed | MemberStatus::Failed => 4,
            },
            protocol_min: 1,
            protocol_max: 5,
            protocol_cur: 2,
            delegate_min: 2,
            delegate_max: 5,
            delegate_cur: 4,
        }
    }
}

pub(super) async fn members(api: &Api, request: &Request) -> Outcome {
    let query = &request.query;
    if query.some("wan").is_some() && query.some("segment").is_some_and(|s| s != "_all") {
        return Err(Problem::Bad(
            "Cannot provide a segment with wan=true".into(),
        ));
    }
    let state = api.store().state();
    let dc = api.identity().dc.as_str();
    let mut views: Vec<_> = state
        .members()
        .map(|member| MemberView::new(member, dc))
        .collect();
    views.sort_by_key(|view| view.name);
    Ok(Reply::json(request.pretty(), &views))
}

pub(super) async fn version(api: &Api, request: &Request) -> Outcome {
    let version = json!({
        "SHA": REVISION,
        "BuildDate": BUILD_DATE,
        "HumanVersion": format!("{CONSUL}+swarmer.{}", api.identity().version),
        "FIPS": "",
    });
    Ok(Reply::json(request.pretty(), &version))
}

pub(super) async fn me(api: &Api, request: &Request) -> Outcome {
    let who = api.identity();
    let state = api.store().state();
    let member = state.member(who.id).map_or_else(
        || json!({"Name": who.name, "Addr": who.address.to_string(), "Port": who.ports.rpc}),
        |member| serde_json::to_value(MemberView::new(member, who.dc.as_str())).unwrap_or_default(),
    );
    // Clients decode a map of maps: nothing but objects may stand at the top.
    let page = json!({
        "Config": {
            "Datacenter": who.dc,
            "PrimaryDatacenter": who.dc,
            "NodeName": who.name,
            "NodeID": who.id,
            "Revision": REVISION,
            "Server": who.role == Role::Server,
            "Version": CONSUL,
            "BuildDate": BUILD_DATE,
            "SessionTTLMin": SESSION_TTL_MIN,
        },
        "DebugConfig": {
            "SessionTTLMin": "10s",
        },
        "Coord": {
            "Vec": [0, 0, 0, 0, 0, 0, 0, 0], "Error": 1.5, "Adjustment": 0, "Height": 0.00001
        },
        "Member": member,
        "Stats": stats(api, &state),
        "Meta": {"swarmer-version": who.version, "swarmer-stack": who.stack},
    });
    Ok(Reply::json(request.pretty(), &page))
}

/// What `consul info` prints: all values are strings.
fn stats(api: &Api, state: &State) -> Value {
    let contact = api.store().contact();
    let who = api.identity();
    let is_leader = contact.leader == Some(who.id);
    let (services, checks) = api
        .local()
        .look(|rows| (rows.services.len(), rows.checks.len()));
    json!({
        "agent": {
            "services": services.to_string(),
            "checks": checks.to_string(),
        },
        "build": {
            "revision": REVISION,
            "version": CONSUL,
            "swarmer": who.version,
        },
        "consul": {
            "server": (who.role == Role::Server).to_string(),
            "leader": is_leader.to_string(),
            "leader_addr": super::status::leader_address(api, state),
            "known_servers": state
                .members()
                .filter(|member| member.role == Role::Server)
                .count()
                .to_string(),
        },
        "raft": {
            "applied_index": state.index().to_string(),
            "last_contact": format!("{}ms", contact.age.as_millis()),
        },
    })
}

/// Nodes join by their configuration, so this only says whether the wish is fulfilled.
pub(super) async fn join(api: &Api, request: &Request) -> Outcome {
    let address = request.argument("Missing address")?;
    let state = api.store().state();
    let host = match address.parse::<SocketAddr>() {
        Ok(socket) => socket.ip().to_string(),
        Err(_) => address.to_owned(),
    };
    let known = state
        .members()
        .any(|member| host == member.address.to_string() || host == member.name.as_str());
    if known {
        return Ok(Reply::empty());
    }
    Err(Problem::Failed(format!(
        "{address:?} is no member of this cluster; a node joins by the `join` list and the token of its own configuration"
    )))
}
