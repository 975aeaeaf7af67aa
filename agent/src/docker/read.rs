//! Docker's answers, read into our words. Nothing in them is taken for granted.

use std::collections::HashMap;
use std::net::IpAddr;

use bollard::models::{
    ContainerConfig, ContainerInspectResponse, EndpointPortConfig, EndpointPortConfigProtocolEnum,
    EndpointPortConfigPublishModeEnum, HealthStatusEnum, LocalNodeState, NetworkSettings, Node,
    NodeSpecAvailabilityEnum, NodeSpecRoleEnum, NodeState, PortBinding, Reachability, Service,
    Swarm, SystemInfo,
};
use serde_json::Value;

use crate::decide::registrator::{
    Binding, Container, Health, HealthStatus, Port, Protocol, is_ours,
};
use crate::decide::swarm::{EngineInfo, Local, SwarmNode, SwarmPort, SwarmService, SwarmView};

pub(super) fn info(answer: SystemInfo) -> EngineInfo {
    let swarm = answer.swarm.unwrap_or_default();
    let managers = swarm.remote_managers.unwrap_or_default();
    EngineInfo {
        id: answer.id.unwrap_or_default(),
        local: match swarm.local_node_state {
            None | Some(LocalNodeState::EMPTY | LocalNodeState::INACTIVE) => Local::Inactive,
            Some(LocalNodeState::PENDING) => Local::Pending,
            Some(LocalNodeState::ACTIVE) => Local::Active,
            Some(LocalNodeState::ERROR) => Local::Error,
            Some(LocalNodeState::LOCKED) => Local::Locked,
        },
        node: swarm.node_id.unwrap_or_default(),
        cluster: swarm
            .cluster
            .and_then(|cluster| cluster.id)
            .filter(|id| !id.is_empty()),
        manager: swarm.control_available.unwrap_or(false),
        error: swarm.error.unwrap_or_default(),
        running: answer
            .containers_running
            .and_then(|count| u64::try_from(count).ok())
            .unwrap_or(0),
        managers: managers.into_iter().filter_map(|peer| peer.addr).collect(),
    }
}

pub(super) fn swarm(swarm: Swarm, nodes: Vec<Node>, services: &[Service]) -> SwarmView {
    SwarmView {
        cluster: swarm.id.unwrap_or_default(),
        worker_token: swarm
            .join_tokens
            .and_then(|tokens| tokens.worker)
            .unwrap_or_default(),
        services: services.len(),
        offers: offers(services),
        nodes: nodes.into_iter().map(node).collect(),
    }
}

fn node(answer: Node) -> SwarmNode {
    let spec = answer.spec.unwrap_or_default();
    let status = answer.status.unwrap_or_default();
    let manages = answer.manager_status;
    let reachability = manages.as_ref().and_then(|manages| manages.reachability);
    SwarmNode {
        id: answer.id.unwrap_or_default(),
        address: status.addr.unwrap_or_default(),
        manager: spec.role == Some(NodeSpecRoleEnum::MANAGER),
        reachable: reachability == Some(Reachability::REACHABLE),
        leader: manages
            .as_ref()
            .is_some_and(|manages| manages.leader == Some(true)),
        manages_at: manages.and_then(|manages| manages.addr),
        ready: status.state == Some(NodeState::READY),
        down: status.state == Some(NodeState::DOWN),
        drained: spec.availability == Some(NodeSpecAvailabilityEnum::DRAIN),
    }
}

/// What services say to the registrators, by id.
pub(super) fn offers(services: &[Service]) -> Vec<SwarmService> {
    let mut offers: Vec<SwarmService> = services.iter().filter_map(offer).collect();
    offers.sort_by(|one, other| one.id.cmp(&other.id));
    offers
}

fn offer(service: &Service) -> Option<SwarmService> {
    let spec = service.spec.as_ref()?;
    let labels = spec.labels.iter().flatten();
    let labels = labels.filter(|(key, _)| is_ours(key));
    let ports = service.endpoint.as_ref().and_then(|at| at.ports.as_ref());
    let mut ports: Vec<SwarmPort> = ports.into_iter().flatten().filter_map(ingress).collect();
    ports.sort();
    let offer = SwarmService {
        id: service.id.clone()?,
        name: spec.name.clone()?,
        labels: labels
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
        ports,
    };
    (!offer.labels.is_empty() || !offer.ports.is_empty()).then_some(offer)
}

fn ingress(port: &EndpointPortConfig) -> Option<SwarmPort> {
    if port.publish_mode == Some(EndpointPortConfigPublishModeEnum::HOST) {
        return None;
    }
    let number = |port: Option<i64>| u16::try_from(port?).ok().filter(|port| *port != 0);
    let protocol = match port.protocol {
        Some(EndpointPortConfigProtocolEnum::UDP) => Protocol::Udp,
        Some(EndpointPortConfigProtocolEnum::SCTP) => Protocol::Sctp,
        _ => Protocol::Tcp,
    };
    Some(SwarmPort {
        target: Port {
            number: number(port.target_port)?,
            protocol,
        },
        published: number(port.published_port)?,
    })
}

/// A container that runs; `None`: it does not.
pub(super) fn container(answer: ContainerInspectResponse) -> Option<Container> {
    let inspect = serde_json::to_value(&answer).map(without_environment);
    let state = answer.state.unwrap_or_default();
    let runs = state.running == Some(true) && state.restarting != Some(true);
    let id = answer.id.filter(|_| runs)?;
    let config = answer.config.unwrap_or_default();
    let settings = answer.network_settings.unwrap_or_default();
    let host = answer.host_config.unwrap_or_default();
    let health = state.health.and_then(|health| {
        let status = match health.status? {
            HealthStatusEnum::STARTING => HealthStatus::Starting,
            HealthStatusEnum::HEALTHY => HealthStatus::Healthy,
            HealthStatusEnum::UNHEALTHY => HealthStatus::Unhealthy,
            HealthStatusEnum::EMPTY | HealthStatusEnum::NONE => return None,
        };
        let last = health.log.and_then(|mut log| log.pop());
        let output = last.and_then(|last| last.output).unwrap_or_default();
        Some(Health { status, output })
    });
    let mut container = Container {
        id,
        name: answer
            .name
            .unwrap_or_default()
            .trim_start_matches('/')
            .to_owned(),
        started: state.started_at.unwrap_or_default(),
        network_mode: host.network_mode.unwrap_or_default(),
        health,
        inspect: inspect.unwrap_or_default(),
        ..Container::default()
    };
    fill(&mut container, config, settings);
    Some(container)
}

fn fill(container: &mut Container, config: ContainerConfig, settings: NetworkSettings) {
    container.image = config.image.unwrap_or_default();
    let env = config.env.unwrap_or_default().into_iter();
    let env = env.filter(|line| is_ours(line));
    let split = |line: String| {
        let (key, value) = line.split_once('=')?;
        Some((key.to_owned(), value.to_owned()))
    };
    container.env = env.filter_map(split).collect();
    container.labels = config.labels.unwrap_or_default().into_iter().collect();
    let exposed = config.exposed_ports.unwrap_or_default();
    container.exposed = exposed
        .iter()
        .filter_map(|port| Port::parse(port))
        .collect();
    container.exposed.sort();
    let mapped = settings.ports.unwrap_or_default().into_iter();
    container.mapped = mapped
        .filter_map(|(port, bindings)| {
            let bindings = bindings.unwrap_or_default();
            Some((
                Port::parse(&port)?,
                bindings.iter().filter_map(binding).collect(),
            ))
        })
        .collect();
    let networks: HashMap<_, _> = settings.networks.unwrap_or_default();
    container.networks = networks
        .into_iter()
        .filter_map(|(name, endpoint)| {
            let four = endpoint.ip_address.and_then(|address| address.parse().ok());
            let six = || endpoint.global_ipv6_address?.parse().ok();
            Some((name, four.or_else(six)?))
        })
        .collect();
}

fn binding(binding: &PortBinding) -> Option<Binding> {
    let port = binding.host_port.as_deref()?.parse().ok()?;
    let address: Option<IpAddr> = binding.host_ip.as_deref().and_then(|ip| ip.parse().ok());
    (port != 0).then_some(Binding {
        address: address.filter(|address| !address.is_unspecified()),
        port,
    })
}

fn without_environment(mut inspect: Value) -> Value {
    if let Some(config) = inspect.get_mut("Config").and_then(Value::as_object_mut) {
        config.remove("Env");
    }
    inspect
}
