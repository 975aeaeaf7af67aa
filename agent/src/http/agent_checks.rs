//! `/v1/agent/check*` and maintenance
//! (<https://developer.hashicorp.com/consul/api-docs/agent/check>).

use std::collections::BTreeMap;
use std::time::Duration;

use super::api::Api;
use super::check_input::{CheckInput, parse_status};
use super::filter::{Shape, keep_by};
use super::input::Object;
use super::reply::{Outcome, Problem, Reply};
use super::request::{Request, parse_bool};
use super::views::{CheckView, NODE_MAINTENANCE};
use crate::decide::checks::{CheckSpec, Probe, cut_output};
use crate::decide::services::{LocalCheck, is_loops};
use crate::disk::DiskError;
use crate::model::{CheckDefinition, CheckRow, CheckStatus, ServiceRow};
use crate::task::Chain;

/// How long a write to the agent waits for the catalog: it is done either way.
const PUBLISH: Duration = Duration::from_secs(8);

/// What the disk did not take.
pub(super) fn hold<T>(kept: Result<T, DiskError>) -> Result<T, Problem> {
    kept.map_err(|error| Problem::Failed(Chain(&error).to_string()))
}

/// Brings the catalog up to what this agent says, if the cluster can be had; else anti-entropy
/// will do so later.
pub(super) async fn publish(api: &Api) {
    match tokio::time::timeout(PUBLISH, api.local().sync(api.store())).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::warn!("registered here, not yet in the catalog: {error}"),
        Err(_) => {
            tracing::warn!("registered here, not yet in the catalog: no answer in {PUBLISH:?}")
        }
    }
}

pub(super) async fn list(api: &Api, request: &Request) -> Outcome {
    api.local().look(|rows| {
        let mut rows: Vec<_> = rows.checks.values().map(|check| &check.row).collect();
        keep_by(request, Shape::Check, &mut rows, |row| {
            serde_json::to_value(CheckView::from(*row)).unwrap_or_default()
        })?;
        let views = rows
            .into_iter()
            .map(|row| (row.check_id.as_str(), CheckView::from(row)));
        let views: BTreeMap<_, _> = views.collect();
        Ok(Reply::json(request.pretty(), &views))
    })
}

pub(super) async fn register(api: &Api, request: &Request) -> Outcome {
    let input = Object::parse(&request.body)?;
    if input.text("Name")?.is_empty() {
        return Err(Problem::Bad("Missing check name".into()));
    }
    let mut check = CheckInput::parse(&input, "Bad check status")?;
    if check.id.is_empty() {
        check.id.clone_from(&check.name);
    }
    if is_loops(&check.id) {
        return Err(Problem::Bad(format!(
            "Invalid check: the id {:?} belongs to the agent itself",
            check.id
        )));
    }
    let service = match check.service_id.as_str() {
        "" => None,
        id => Some(
            api.local()
                .look(|rows| rows.service(id).cloned())
                .ok_or_else(|| Problem::Missing(format!("ServiceID {id:?} does not exist")))?,
        ),
    };
    let check = check.local(api.identity().name.as_str(), service.as_ref());
    hold(api.local().add_check(check).await)?;
    publish(api).await;
    Ok(Reply::empty())
}

fn unknown(id: &str) -> Problem {
    Problem::Missing(format!(
        "Unknown check ID {id:?}. Ensure that the check ID is passed, not the check name."
    ))
}

pub(super) async fn deregister(api: &Api, request: &Request) -> Outcome {
    let id = request.argument("Missing check ID")?;
    if !hold(api.local().remove_check(id).await)? {
        return Err(unknown(id));
    }
    publish(api).await;
    Ok(Reply::empty())
}

pub(super) async fn pass(api: &Api, request: &Request) -> Outcome {
    note(api, request, CheckStatus::Passing).await
}

pub(super) async fn warn(api: &Api, request: &Request) -> Outcome {
    note(api, request, CheckStatus::Warning).await
}

pub(super) async fn fail(api: &Api, request: &Request) -> Outcome {
    note(api, request, CheckStatus::Critical).await
}

async fn note(api: &Api, request: &Request, status: CheckStatus) -> Outcome {
    let note = request.query.get("note").unwrap_or_default().to_owned();
    beat(api, request, status, note).await
}

pub(super) async fn update(api: &Api, request: &Request) -> Outcome {
    let input = Object::parse(&request.body)?;
    let text = input.text("Status")?;
    let wrong = format!("Invalid check status: '{text}'");
    let status = parse_status(&text, &wrong)?.ok_or(Problem::Bad(wrong))?;
    beat(api, request, status, input.text("Output")?).await
}

/// A TTL check's client speaks up.
async fn beat(api: &Api, request: &Request, status: CheckStatus, output: String) -> Outcome {
    let id = request.argument("Missing check ID")?;
    let spec = api
        .local()
        .look(|rows| rows.check(id).map(|check| check.spec.clone()));
    // Clients register anew when they read these words, so they stand in both texts.
    const NO_TTL: &str = "does not have associated TTL";
    let Some(spec) = spec else {
        return Err(Problem::Missing(format!(
            "Unknown check ID {id:?}. Ensure that the check ID is passed, not the check name. CheckID {id:?} {NO_TTL}"
        )));
    };
    if !matches!(spec.probe, Probe::Ttl(_)) {
        return Err(Problem::Failed(format!("CheckID {id:?} {NO_TTL}")));
    }
    let output = cut_output(output, spec.output_max);
    if api
        .local()
        .report(id, status, output)
        .ok_or_else(|| unknown(id))?
    {
        publish(api).await;
    }
    Ok(Reply::empty())
}

pub(super) async fn node_maintenance(api: &Api, request: &Request) -> Outcome {
    turn_maintenance(api, request, NODE_MAINTENANCE.to_owned(), || Ok(None)).await
}

/// Puts the maintenance check of a node or a service in place, or takes it away.
pub(super) async fn turn_maintenance(
    api: &Api,
    request: &Request,
    id: String,
    service: impl FnOnce() -> Result<Option<ServiceRow>, Problem>,
) -> Outcome {
    let enable = match request.query.some("enable") {
        None => return Err(Problem::Bad("Missing value for enable".into())),
        Some(text) => parse_bool(text)
            .ok_or_else(|| Problem::Bad(format!("Invalid value for enable: {text:?}")))?,
    };
    let service = service()?;
    if enable {
        let check = maintenance(api, request, id, service);
        hold(api.local().add_check(check).await)?;
    } else {
        hold(api.local().remove_check(&id).await)?;
    }
    publish(api).await;
    Ok(Reply::empty())
}

fn maintenance(
    api: &Api,
    request: &Request,
    id: String,
    service: Option<ServiceRow>,
) -> LocalCheck {
    let (name, what) = match &service {
        None => ("Node Maintenance Mode", "node"),
        Some(_) => ("Service Maintenance Mode", "service"),
    };
    let notes = request.query.some("reason").map_or_else(
        || format!("Maintenance mode is enabled for this {what}, but no reason was provided. This is a default message."),
        str::to_owned,
    );
    let row = CheckRow {
        node: api.identity().name.to_string(),
        check_id: id,
        name: name.into(),
        status: CheckStatus::Critical,
        notes,
        output: String::new(),
        service_id: service
            .as_ref()
            .map(|row| row.id.clone())
            .unwrap_or_default(),
        service_name: service
            .as_ref()
            .map(|row| row.name.clone())
            .unwrap_or_default(),
        service_tags: service.map(|row| row.tags).unwrap_or_default(),
        kind: "maintenance".into(),
        definition: CheckDefinition::default(),
        create_index: 0,
        modify_index: 0,
    };
    LocalCheck {
        row,
        spec: CheckSpec::fixed(),
        beat: Duration::ZERO,
        restored: false,
        quiet_until: None,
    }
}
