//! Reads of `/v1/catalog/*` (<https://developer.hashicorp.com/consul/api-docs/catalog>).

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::api::Api;
use super::filter::{Shape, keep, keep_by};
use super::read::read;
use super::reply::{Outcome, Reply};
use super::request::Request;
use super::views::{NodeView, ServiceNodeView, ServiceView};
use crate::model::{NodeRow, ServiceRow, Topic};
use crate::state::{Instance, State};

pub(super) async fn datacenters(api: &Api, request: &Request) -> Outcome {
    Ok(Reply::json(request.pretty(), &[api.identity().dc.as_str()]))
}

pub(super) async fn nodes(api: &Api, request: &Request) -> Outcome {
    let index = |state: &State| state.catalog().nodes_index();
    let render = |state: &State| {
        let mut rows: Vec<_> = state
            .catalog()
            .nodes()
            .filter(|row| meta_fits(request, row))
            .collect();
        nearest_first(api, request, &mut rows, |row| row.name.as_str());
        let dc = api.identity().dc.as_str();
        let mut views: Vec<_> = rows.iter().map(|row| NodeView::new(row, dc)).collect();
        keep(request, Shape::Node, &mut views)?;
        Ok(Reply::json(request.pretty(), &views))
    };
    read(api, request, vec![Topic::Nodes], index, render).await
}

pub(super) async fn services(api: &Api, request: &Request) -> Outcome {
    let with_nodes = request.query.has("node-meta");
    let topics = if with_nodes {
        vec![Topic::Services, Topic::Nodes]
    } else {
        vec![Topic::Services]
    };
    let index = |state: &State| {
        let catalog = state.catalog();
        let nodes = if with_nodes { catalog.nodes_index() } else { 0 };
        catalog.services_index().max(nodes)
    };
    let render = |state: &State| {
        let catalog = state.catalog();
        let dc = api.identity().dc.as_str();
        let picky = with_nodes || request.query.has("filter");
        let mut found = BTreeMap::new();
        for (name, tags) in catalog.service_names() {
            if !picky {
                found.insert(name, tags.into_iter().map(str::to_owned).collect());
                continue;
            }
            let mut instances = catalog.instances(name);
            instances.retain(|instance| meta_fits(request, &instance.node));
            keep_by(request, Shape::ServiceNode, &mut instances, |instance| {
                let view = ServiceNodeView::new(&instance.node, &instance.service, dc);
                serde_json::to_value(view).unwrap_or_default()
            })?;
            if !instances.is_empty() {
                let tags = instances.iter().flat_map(|instance| &instance.service.tags);
                found.insert(name, tags.cloned().collect::<BTreeSet<_>>());
            }
        }
        Ok(Reply::json(request.pretty(), &found))
    };
    read(api, request, topics, index, render).await
}

pub(super) async fn service(api: &Api, request: &Request) -> Outcome {
    let name = request.argument("Missing service name")?;
    instances(api, request, name, |instances| {
        let dc = api.identity().dc.as_str();
        let mut views: Vec<_> = instances
            .iter()
            .map(|instance| ServiceNodeView::new(&instance.node, &instance.service, dc))
            .collect();
        keep(request, Shape::ServiceNode, &mut views)?;
        Ok(Reply::json(request.pretty(), &views))
    })
    .await
}

/// Lists for what Swarmer has none of: meshes and gateways.
pub(super) async fn nothing(api: &Api, request: &Request) -> Outcome {
    let index = |state: &State| state.catalog().services_index();
    let none: [(); 0] = [];
    let render = |_: &State| Ok(Reply::json(request.pretty(), &none));
    read(api, request, vec![Topic::Services], index, render).await
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct NodeServices<'a, S: Serialize> {
    node: Option<NodeView<'a>>,
    services: S,
}

pub(super) async fn node(api: &Api, request: &Request) -> Outcome {
    of_node(api, request, |node, services| match node {
        None => Reply::json(request.pretty(), &()),
        node => {
            let services: BTreeMap<_, _> = services
                .iter()
                .map(|row| (row.id.as_str(), ServiceView::from(*row)))
                .collect();
            Reply::json(request.pretty(), &NodeServices { node, services })
        }
    })
    .await
}

pub(super) async fn node_services(api: &Api, request: &Request) -> Outcome {
    of_node(api, request, |node, services| {
        let services: Vec<_> = services.iter().map(|row| ServiceView::from(*row)).collect();
        Reply::json(request.pretty(), &NodeServices { node, services })
    })
    .await
}

async fn of_node(
    api: &Api,
    request: &Request,
    render: impl FnOnce(Option<NodeView<'_>>, &[&ServiceRow]) -> Reply,
) -> Outcome {
    let wanted = request.argument("Missing node name")?;
    // An id names a node too; which one is known by now, and ids don't wander.
    let name = node_name(&api.store().state(), wanted);
    let topics = vec![Topic::Node(name.to_lowercase())];
    let index = |state: &State| state.catalog().node_index(&name);
    let render = |state: &State| {
        let catalog = state.catalog();
        let name = node_name(state, wanted);
        let node = catalog.node(&name);
        let services: Vec<_> = catalog.services_of(&name).collect();
        let mut services: Vec<&ServiceRow> = services.iter().map(|row| &***row).collect();
        keep_by(request, Shape::Service, &mut services, |row| {
            serde_json::to_value(ServiceView::from(*row)).unwrap_or_default()
        })?;
        let dc = api.identity().dc.as_str();
        Ok(render(
            node.as_ref().map(|row| NodeView::new(row, dc)),
            &services,
        ))
    };
    read(api, request, topics, index, render).await
}

/// The name of the node that `text` means: a name, an id, or the beginning of just one id.
fn node_name(state: &State, text: &str) -> String {
    let catalog = state.catalog();
    let is_id = text.len() >= 4 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    if catalog.node(text).is_some() || !is_id {
        return text.to_owned();
    }
    let start = text.to_ascii_lowercase();
    let mut found = catalog
        .nodes()
        .filter(|row| row.id.to_string().starts_with(&start));
    match (found.next(), found.next()) {
        (Some(row), None) => row.name.clone(),
        _ => text.to_owned(),
    }
}

/// Reads the instances of a service that the query asks for, in an order that all reads share:
/// clients pair the lists of the catalog and of health by position.
pub(super) async fn instances(
    api: &Api,
    request: &Request,
    name: &str,
    render: impl FnOnce(Vec<Instance>) -> Outcome,
) -> Outcome {
    let topics = vec![Topic::Service(name.to_lowercase())];
    let index = |state: &State| state.catalog().service_index(name);
    let render = |state: &State| {
        let mut found = state.catalog().instances(name);
        found.retain(|instance| {
            meta_fits(request, &instance.node) && tags_fit(request, &instance.service)
        });
        nearest_first(api, request, &mut found, |instance| {
            instance.node.name.as_str()
        });
        render(found)
    };
    read(api, request, topics, index, render).await
}

fn tags_fit(request: &Request, service: &ServiceRow) -> bool {
    let has = |tag: &str| {
        service
            .tags
            .iter()
            .any(|have| have.eq_ignore_ascii_case(tag))
    };
    request
        .query
        .all("tag")
        .filter(|tag| !tag.is_empty())
        .all(has)
}

/// Whether a node has all the pairs that the query names as `node-meta=key:value`.
pub(super) fn meta_fits(request: &Request, node: &NodeRow) -> bool {
    request.query.all("node-meta").all(|pair| {
        let (key, value) = pair.split_once(':').unwrap_or((pair, ""));
        node.meta.get(key).is_some_and(|have| have == value)
    })
}

/// Puts the rows of the node that `?near=` names first and keeps the order otherwise.
pub(super) fn nearest_first<T>(
    api: &Api,
    request: &Request,
    rows: &mut [T],
    node: impl Fn(&T) -> &str,
) {
    if let Some(near) = request.query.some("near") {
        let near = match near {
            "_agent" => api.identity().name.as_str(),
            other => other,
        };
        rows.sort_by_key(|row| !node(row).eq_ignore_ascii_case(near));
    }
}
