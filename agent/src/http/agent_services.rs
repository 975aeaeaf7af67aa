//! `/v1/agent/service*`: the services of this agent
//! (<https://developer.hashicorp.com/consul/api-docs/agent/service>).

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use ring::digest;
use serde::Serialize;
use serde_json::Value;

use super::agent_checks::{hold, publish, turn_maintenance};
use super::api::Api;
use super::check_input::CheckInput;
use super::filter::{Shape, keep_by};
use super::input::Object;
use super::reply::{Outcome, Problem, Reply};
use super::request::Request;
use super::service_input::{parse_service, tag_own_address};
use super::views::{CheckView, SERVICE_MAINTENANCE, ServiceView, aggregate};
use crate::config::duration;
use crate::decide::services::{LocalCheck, LocalRows, is_loops};
use crate::model::{CheckRow, ServiceRow};

const WRONG_STATUS: &str = "Status for checks must 'passing', 'warning', 'critical'";
const HASH_WAIT: Duration = Duration::from_secs(300);
const HASH_WAIT_MAX: Duration = Duration::from_secs(600);

/// A service as its own agent shows it: with the data center, and no indexes.
fn view(service: &ServiceRow, dc: &str) -> Value {
    let mut view = serde_json::to_value(ServiceView::from(service)).unwrap_or_default();
    if let Some(fields) = view.as_object_mut() {
        for gone in ["CreateIndex", "ModifyIndex", "Proxy", "Connect", "PeerName"] {
            fields.remove(gone);
        }
        fields.insert("Datacenter".into(), dc.into());
    }
    view
}

pub(super) async fn list(api: &Api, request: &Request) -> Outcome {
    let dc = api.identity().dc.as_str();
    let mut views: Vec<(String, Value)> = api.local().look(|rows| {
        let all = rows.services.values();
        all.map(|row| (row.id.clone(), view(row, dc))).collect()
    });
    keep_by(request, Shape::Service, &mut views, |(_, view)| {
        view.clone()
    })?;
    let views: BTreeMap<_, _> = views.into_iter().collect();
    Ok(Reply::json(request.pretty(), &views))
}

fn hashed(api: &Api, id: &str) -> Result<(Value, String), Problem> {
    let dc = api.identity().dc.as_str();
    let found = api
        .local()
        .look(|rows| rows.service(id).map(|row| view(row, dc)));
    let mut view = found.ok_or_else(|| Problem::Missing(format!("unknown service ID: {id}")))?;
    let hash = digest::digest(&digest::SHA256, view.to_string().as_bytes());
    let hash: String = hash
        .as_ref()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if let Some(fields) = view.as_object_mut() {
        fields.insert("ContentHash".into(), hash.clone().into());
    }
    Ok((view, hash))
}

pub(super) async fn one(api: &Api, request: &Request) -> Outcome {
    let id = request.argument("Missing service ID")?;
    let wait = match request.query.some("wait") {
        Some(text) => duration::parse(text)
            .map_err(|_| Problem::Bad("Invalid wait time".into()))?
            .min(HASH_WAIT_MAX),
        None => HASH_WAIT,
    };
    let mut over = pin!(tokio::time::sleep(wait));
    let mut changes = api.local().changes();
    loop {
        let (view, hash) = hashed(api, id)?;
        let news = async {
            // The sender lives as long as the API: there is no error to come.
            let _ = changes.changed().await;
            true
        };
        let waits = request.query.some("hash") == Some(hash.as_str());
        let again = waits && tokio::select! { again = news => again, () = &mut over => false };
        if !again {
            return Ok(Reply::json(request.pretty(), &view).with("X-Consul-ContentHash", hash));
        }
    }
}

pub(super) async fn register(api: &Api, request: &Request) -> Outcome {
    let input = Object::parse(&request.body)?;
    let name = input.text("Name")?;
    if name.is_empty() {
        return Err(Problem::Bad("Missing service name".into()));
    }
    let node = api.identity().name.as_str();
    let mut service = parse_service(&input, name, node).map_err(|problem| problem.bad())?;
    if is_loops(&service.id) {
        return Err(Problem::Bad(format!(
            "Invalid service ID: {:?} belongs to the agent itself",
            service.id
        )));
    }
    tag_own_address(&mut service);
    let checks = checks_of(&input, &service, node)?;
    let replace = match request.query.get("replace-existing-checks") {
        None => false,
        Some("" | "true") => true,
        Some(other) => {
            return Err(Problem::Bad(format!(
                "Invalid value for replace-existing-checks: {other:?}"
            )));
        }
    };
    hold(api.local().register(service, checks, replace).await)?;
    publish(api).await;
    Ok(Reply::empty())
}

fn checks_of(input: &Object, service: &ServiceRow, node: &str) -> Result<Vec<LocalCheck>, Problem> {
    let one = input.object("Check")?;
    let given = one.into_iter().chain(input.objects("Checks")?);
    let given: Vec<_> = given.filter(|check| !check.is_empty()).collect();
    let mut checks = Vec::new();
    for (number, check) in (1..).zip(&given) {
        let mut check = CheckInput::parse(check, WRONG_STATUS)?;
        if check.id.is_empty() {
            check.id = match given.len() {
                1 => format!("service:{}", service.id),
                _ => format!("service:{}:{number}", service.id),
            };
        }
        if check.name.is_empty() {
            check.name = format!("Service '{}' check", service.name);
        }
        if is_loops(&check.id) {
            return Err(Problem::Bad(format!(
                "Invalid check: the id {:?} belongs to the agent itself",
                check.id
            )));
        }
        checks.push(check.local(node, Some(service)));
    }
    Ok(checks)
}

pub(super) async fn deregister(api: &Api, request: &Request) -> Outcome {
    let id = request.argument("Missing service ID")?;
    if !hold(api.local().deregister(id).await)? {
        return Err(unknown(id));
    }
    publish(api).await;
    Ok(Reply::empty())
}

fn unknown(id: &str) -> Problem {
    Problem::Missing(format!(
        "Unknown service ID {id:?}. Ensure that the service ID is passed, not the service name."
    ))
}

pub(super) async fn maintenance(api: &Api, request: &Request) -> Outcome {
    let id = request.argument("Missing service ID")?;
    let service = api.local().look(|rows| rows.service(id).cloned());
    let check = format!("{SERVICE_MAINTENANCE}{id}");
    turn_maintenance(api, request, check, || {
        service.ok_or_else(|| unknown(id)).map(Some)
    })
    .await
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct HealthView<'a> {
    aggregated_status: &'a str,
    service: Value,
    checks: Vec<CheckView<'a>>,
}

fn wants_text(request: &Request) -> bool {
    request.query.get("format") == Some("text")
        || request
            .header("accept")
            .is_some_and(|accept| accept.starts_with("text/plain"))
}

fn status_code(aggregated: &str) -> u16 {
    match aggregated {
        "passing" => 200,
        "warning" => 429,
        _ => 503,
    }
}

/// The checks that count for a service: the node's and its own.
fn checks_for<'a>(rows: &'a LocalRows, id: &str) -> Vec<&'a CheckRow> {
    let all = rows.checks.values().map(|check| &check.row);
    all.filter(|row| row.service_id.is_empty() || row.service_id.eq_ignore_ascii_case(id))
        .collect()
}

fn health_view<'a>(rows: &'a LocalRows, service: &ServiceRow, dc: &str) -> HealthView<'a> {
    let checks = checks_for(rows, &service.id);
    HealthView {
        aggregated_status: aggregate(checks.iter().copied()),
        service: view(service, dc),
        checks: checks.into_iter().map(CheckView::from).collect(),
    }
}

fn with_reason(reply: Reply, status: &str) -> Reply {
    if reply.status == 200 {
        reply
    } else {
        reply.with("X-Consul-Reason", status)
    }
}

pub(super) async fn health_by_id(api: &Api, request: &Request) -> Outcome {
    let id = request.argument("Missing service ID")?;
    let (dc, text) = (api.identity().dc.as_str(), wants_text(request));
    let reply = api.local().look(|rows| {
        let service = rows.service(id)?;
        let view = health_view(rows, service, dc);
        let status = view.aggregated_status;
        let reply = if text {
            Reply::text(200, status)
        } else {
            Reply::json(request.pretty(), &view)
        };
        Some(with_reason(reply.status(status_code(status)), status))
    });
    Ok(reply.unwrap_or_else(|| {
        let missing = if text {
            Reply::text(404, format!("ServiceId {id} not found"))
        } else {
            let none = serde_json::json!({
                "AggregatedStatus": "critical", "Service": null, "Checks": null
            });
            Reply::json(request.pretty(), &none).status(404)
        };
        with_reason(missing, "critical")
    }))
}

pub(super) async fn health_by_name(api: &Api, request: &Request) -> Outcome {
    let name = request.argument("Missing service Name")?;
    let (dc, text) = (api.identity().dc.as_str(), wants_text(request));
    let (views, worst) = api.local().look(|rows| {
        let named = rows
            .services
            .values()
            .filter(|row| row.name.eq_ignore_ascii_case(name));
        let views: Vec<_> = named
            .map(|service| health_view(rows, service, dc))
            .collect();
        let bad = ["maintenance", "critical", "warning", "passing"];
        let worst = bad
            .into_iter()
            .find(|word| views.iter().any(|v| v.aggregated_status == *word));
        (Reply::json(request.pretty(), &views), worst)
    });
    let reply = match (worst, text) {
        (None, true) => Reply::text(404, format!("ServiceName {name} Not Found")),
        (None, false) => views.status(404),
        (Some(worst), true) => Reply::text(status_code(worst), worst),
        (Some(worst), false) => views.status(status_code(worst)),
    };
    Ok(with_reason(reply, worst.unwrap_or("critical")))
}
