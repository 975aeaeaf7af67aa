//! `/v1/catalog/register` and `/v1/catalog/deregister`: rows of hosts without an agent.

use ring::digest;

use super::api::Api;
use super::caller::{Caller, Via};
use super::check_input::{parse_definition, parse_status};
use super::input::Object;
use super::reply::{Outcome, Problem, Reply, done};
use super::request::Request;
use super::service_input::{check_meta, parse_service};
use crate::model::{CheckRow, CheckStatus, NodeId, NodeRow, Op, Registration, Role, ServiceRow};
use crate::state::State;

fn failed(text: impl Into<String>) -> Problem {
    Problem::Failed(text.into())
}

pub(super) async fn register(api: &Api, request: &Request) -> Outcome {
    let input = Object::parse(&request.body)?;
    check_dc(api, &input)?;
    let node = input.text("Node")?;
    if node.is_empty() {
        return Err(failed("Must provide node"));
    }
    let state = api.store().state();
    check_caller(&state, &request.caller, &node)?;
    let registration = Registration {
        node: node_row(&state, &input, &node)?,
        skip_node_update: input.flag("SkipNodeUpdate")?,
        services: service_rows(&input, &node)?,
        checks: check_rows(&input, &node)?,
    };
    drop(state);
    done(
        api.store()
            .write(Op::Register(Box::new(registration)))
            .await?,
    )?;
    Ok(Reply::json(request.pretty(), &true))
}

pub(super) async fn deregister(api: &Api, request: &Request) -> Outcome {
    let input = Object::parse(&request.body)?;
    check_dc(api, &input)?;
    let node = input.text("Node")?;
    if node.is_empty() {
        return Err(failed("Must provide node"));
    }
    check_caller(&api.store().state(), &request.caller, &node)?;
    let some = |key: &str| {
        input
            .text(key)
            .map(|text| Some(text).filter(|t| !t.is_empty()))
    };
    let op = Op::Deregister {
        service: some("ServiceID")?,
        check: some("CheckID")?,
        node,
    };
    done(api.store().write(op).await?)?;
    Ok(Reply::json(request.pretty(), &true))
}

fn check_dc(api: &Api, input: &Object) -> Result<(), Problem> {
    let dc = input.text("Datacenter")?;
    if dc.is_empty() || dc.eq_ignore_ascii_case(api.identity().dc.as_str()) {
        return Ok(());
    }
    Err(failed("No path to datacenter"))
}

/// A worker writes its own rows and those of nodes without an agent (T6).
fn check_caller(state: &State, caller: &Caller, node: &str) -> Result<(), Problem> {
    let foreign_worker = matches!(caller.via, Via::Rpc | Via::Tls)
        && caller.role == Some(Role::Worker)
        && state
            .catalog()
            .node(node)
            .and_then(|row| row.owner)
            .is_some_and(|owner| caller.node != Some(owner));
    if foreign_worker {
        return Err(Problem::Denied(format!(
            "Permission denied: node {node:?} has an agent of its own"
        )));
    }
    Ok(())
}

fn node_row(state: &State, input: &Object, node: &str) -> Result<NodeRow, Problem> {
    let before = state.catalog().node(node);
    let address = input.text("Address")?;
    if address.is_empty() && !input.flag("SkipNodeUpdate")? {
        return Err(failed("Must provide address if SkipNodeUpdate is not set"));
    }
    let id = match (input.text("ID")?, before) {
        (text, _) if !text.is_empty() => text
            .parse()
            .map_err(|error| failed(format!("Bad node ID: {error}")))?,
        (_, Some(row)) => row.id,
        _ => id_from_name(node),
    };
    let meta = input.map("NodeMeta")?;
    check_meta(&meta).map_err(|why| failed(format!("Invalid Node Meta: {why}")))?;
    Ok(NodeRow {
        id,
        name: before.map_or_else(|| node.to_owned(), |row| row.name.clone()),
        address,
        tagged_addresses: input.map("TaggedAddresses")?,
        meta,
        // Only its own agent changes the row of a member's node.
        owner: None,
        create_index: 0,
        modify_index: 0,
    })
}

/// Every node has an id, since Traefik keys by it; one without an agent gets the same again
/// whoever registers it: a name-based UUID in the form of RFC 9562 section 5.8.
fn id_from_name(node: &str) -> NodeId {
    let name = format!("swarmer node {}", node.to_lowercase());
    let hash = digest::digest(&digest::SHA256, name.as_bytes());
    let mut bytes = [0u8; 16];
    bytes
        .iter_mut()
        .zip(hash.as_ref())
        .for_each(|(to, from)| *to = *from);
    NodeId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

fn service_rows(input: &Object, node: &str) -> Result<Vec<ServiceRow>, Problem> {
    let Some(given) = input.object("Service")? else {
        return Ok(Vec::new());
    };
    let (name, id) = (given.text("Service")?, given.text("ID")?);
    match (name.is_empty(), id.is_empty()) {
        (true, true) => Ok(Vec::new()),
        (true, false) => Err(failed(
            "Must provide service name (Service.Service) when service ID is provided",
        )),
        _ => {
            let row = parse_service(&given, name, node).map_err(|problem| problem.failed())?;
            Ok(vec![row])
        }
    }
}

fn check_rows(input: &Object, node: &str) -> Result<Vec<CheckRow>, Problem> {
    let one = input.object("Check")?;
    let all = one.into_iter().chain(input.objects("Checks")?);
    all.filter(|check| !check.is_empty())
        .map(|check| check_row(&check, node))
        .collect()
}

fn check_row(input: &Object, node: &str) -> Result<CheckRow, Problem> {
    let (id, name, on) = (
        input.text("CheckID")?,
        input.text("Name")?,
        input.text("Node")?,
    );
    if !on.is_empty() && !on.eq_ignore_ascii_case(node) {
        return Err(failed(format!(
            "Node name for check {on:?} does not match register node name {node:?}"
        )));
    }
    let definition = match input.object("Definition")? {
        Some(definition) => parse_definition(&definition)?,
        None => Default::default(),
    };
    let kind = match input.text("Type")? {
        given if !given.is_empty() => given,
        _ if !definition.http.is_empty() => "http".into(),
        _ if !definition.tcp.is_empty() => "tcp".into(),
        _ if !definition.ttl.is_empty() => "ttl".into(),
        none => none,
    };
    let status = input.text("Status")?;
    let wrong = format!("Invalid check status: '{status}'");
    Ok(CheckRow {
        node: node.to_owned(),
        check_id: if id.is_empty() { name.clone() } else { id },
        name,
        status: parse_status(&status, &wrong)?.unwrap_or(CheckStatus::Critical),
        notes: input.text("Notes")?,
        output: input.text("Output")?,
        service_id: input.text("ServiceID")?,
        service_name: String::new(),
        service_tags: Vec::new(),
        kind,
        definition,
        create_index: 0,
        modify_index: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_without_an_agent_always_gets_the_same_id() {
        assert_eq!(id_from_name("Web-1"), id_from_name("web-1"));
        assert_ne!(id_from_name("web-1"), id_from_name("web-2"));
        assert_eq!(id_from_name("x").0.get_version_num(), 8);
    }
}
