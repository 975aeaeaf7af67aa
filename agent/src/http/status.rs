//! `/v1/status/*` (<https://developer.hashicorp.com/consul/api-docs/status>).

use super::api::Api;
use super::reply::{Outcome, Reply};
use super::request::Request;
use crate::model::{Role, SERF_HEALTH};
use crate::state::State;

/// Where the leader's RPC port is; empty if no leader is known.
pub(super) fn leader_address(api: &Api, state: &State) -> String {
    let leader = api.store().contact().leader;
    leader
        .and_then(|leader| match state.member(leader) {
            Some(member) => Some(member.rpc()),
            None => (leader == api.identity().id).then(|| api.rpc_address()),
        })
        .map(|address| address.to_string())
        .unwrap_or_default()
}

pub(super) async fn leader(api: &Api, request: &Request) -> Outcome {
    api.check_dc(request)?;
    let address = leader_address(api, &api.store().state());
    Ok(Reply::json(request.pretty(), &address))
}

pub(super) async fn peers(api: &Api, request: &Request) -> Outcome {
    api.check_dc(request)?;
    let state = api.store().state();
    let mut peers: Vec<_> = state
        .members()
        .filter(|member| member.role == Role::Server)
        .map(|member| member.rpc())
        .collect();
    peers.sort_unstable();
    let peers: Vec<_> = peers.iter().map(ToString::to_string).collect();
    Ok(Reply::json(request.pretty(), &peers))
}

/// Whether a node's lease is held, as its `serfHealth` says.
pub(super) fn lease_check(state: &State, node: &str) -> Option<&'static str> {
    let check = state.catalog().check(node, SERF_HEALTH)?;
    Some(check.status.as_str())
}
