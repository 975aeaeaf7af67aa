//! Reads of `/v1/health/*` (<https://developer.hashicorp.com/consul/api-docs/health>).

use serde::Serialize;

use super::api::Api;
use super::catalog::{instances, meta_fits, nearest_first};
use super::filter::{Shape, keep};
use super::read::read;
use super::reply::{Outcome, Problem, Reply};
use super::request::{Request, parse_bool};
use super::views::{CheckView, NodeView, ServiceView};
use crate::model::{CheckRow, CheckStatus, Topic};
use crate::state::{Instance, State};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct InstanceView<'a> {
    node: NodeView<'a>,
    service: ServiceView<'a>,
    checks: Vec<CheckView<'a>>,
}

pub(super) async fn service(api: &Api, request: &Request) -> Outcome {
    let name = request.argument("Missing service name")?;
    let passing = match request.query.get("passing") {
        None => false,
        Some("") => true,
        Some(text) => {
            parse_bool(text).ok_or_else(|| Problem::Bad("Invalid value for ?passing".into()))?
        }
    };
    let fine = |instance: &Instance| {
        let mut checks = instance.checks.iter();
        !passing || checks.all(|check| check.status == CheckStatus::Passing)
    };
    instances(api, request, name, |mut found| {
        found.retain(fine);
        let dc = api.identity().dc.as_str();
        let mut views: Vec<_> = found
            .iter()
            .map(|instance| InstanceView {
                node: NodeView::new(&instance.node, dc),
                service: ServiceView::from(&*instance.service),
                checks: instance
                    .checks
                    .iter()
                    .map(|row| CheckView::from(&**row))
                    .collect(),
            })
            .collect();
        keep(request, Shape::Instance, &mut views)?;
        Ok(Reply::json(request.pretty(), &views))
    })
    .await
}

/// The checks of a service itself, without those of its nodes.
pub(super) async fn checks(api: &Api, request: &Request) -> Outcome {
    let name = request.argument("Missing service name")?;
    instances(api, request, name, |found| {
        let rows = found.iter().flat_map(|instance| &instance.checks);
        let own = rows.filter(|check| !check.service_id.is_empty());
        let mut views: Vec<_> = own.map(|row| CheckView::from(&**row)).collect();
        keep(request, Shape::Check, &mut views)?;
        Ok(Reply::json(request.pretty(), &views))
    })
    .await
}

pub(super) async fn node(api: &Api, request: &Request) -> Outcome {
    let name = request.argument("Missing node name")?;
    let index = |state: &State| state.catalog().checks_index();
    let render = |state: &State| {
        let rows: Vec<_> = state.catalog().checks_of(name).collect();
        let mut views: Vec<_> = rows.iter().map(|row| CheckView::from(&***row)).collect();
        keep(request, Shape::Check, &mut views)?;
        Ok(Reply::json(request.pretty(), &views))
    };
    read(api, request, vec![Topic::Checks], index, render).await
}

pub(super) async fn state(api: &Api, request: &Request) -> Outcome {
    let wanted = request.argument("Missing check state")?;
    let index = |state: &State| state.catalog().checks_index();
    let render = |state: &State| {
        let catalog = state.catalog();
        let on_node = |check: &CheckRow| {
            !request.query.has("node-meta")
                || catalog
                    .node(&check.node)
                    .is_some_and(|node| meta_fits(request, node))
        };
        let mut rows: Vec<_> = catalog
            .all_checks()
            .filter(|check| wanted == "any" || check.status.as_str() == wanted)
            .filter(|check| on_node(check))
            .collect();
        nearest_first(api, request, &mut rows, |row| row.node.as_str());
        let mut views: Vec<_> = rows.iter().map(|row| CheckView::from(&***row)).collect();
        keep(request, Shape::Check, &mut views)?;
        Ok(Reply::json(request.pretty(), &views))
    };
    read(api, request, vec![Topic::Checks], index, render).await
}
