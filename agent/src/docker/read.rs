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
    let name = answer.description.and_then(|about| about.hostname);
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
        nameless: name.is_none_or(|name| name.is_empty()),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn inspected(change: impl FnOnce(&mut Value)) -> Option<Container> {
        let mut answer = serde_json::json!({
            "Id": "0123", "Name": "/web",
            "State": {
                "Running": true, "StartedAt": "2024-01-01T00:00:00Z",
                "Health": { "Status": "healthy", "Log": [{ "Output": "first" }, { "Output": "last" }] },
            },
            "Config": {
                "Image": "nginx", "Env": ["PASSWORD=x", "SERVICE_NAME=a=b", "SERVICE_BARE"],
                "ExposedPorts": { "80/tcp": {}, "53/udp": {}, "x/tcp": {} }, "Labels": { "a": "b" },
            },
            "HostConfig": { "NetworkMode": "bridge" },
            "NetworkSettings": {
                "Ports": {
                    "80/tcp": [{ "HostIp": "0.0.0.0", "HostPort": "8080" }, { "HostIp": "::", "HostPort": "8080" }],
                    "53/udp": null,
                    "81/tcp": [{ "HostIp": "10.0.0.9", "HostPort": "81" }],
                    "82/tcp": [{ "HostIp": "", "HostPort": "" }],
                },
                "Networks": { "bridge": { "IPAddress": "172.17.0.2" }, "host": { "IPAddress": "" } },
            },
        });
        change(&mut answer);
        container(serde_json::from_value(answer).unwrap())
    }

    #[test]
    fn a_container_is_read_without_its_secrets() {
        let web = inspected(|_| {}).unwrap();
        assert_eq!((web.name.as_str(), web.image.as_str()), ("web", "nginx"));
        assert_eq!(web.env, [("SERVICE_NAME".to_owned(), "a=b".to_owned())]);
        assert!(!format!("{:?} {}", web.env, web.inspect).contains("PASSWORD"));
        assert_eq!(web.inspect["HostConfig"]["NetworkMode"], "bridge");
        let port = |text| Port::parse(text).unwrap();
        assert_eq!(web.exposed, [port("53/udp"), port("80")]);
        let first = |text| web.mapped[&port(text)].first().copied();
        let binding = |address: Option<&str>, port| Binding {
            address: address.map(|address| address.parse().unwrap()),
            port,
        };
        assert_eq!(first("80"), Some(binding(None, 8080)));
        assert_eq!(first("81"), Some(binding(Some("10.0.0.9"), 81)));
        assert_eq!((first("82"), first("53/udp")), (None, None));
        assert_eq!(web.networks.len(), 1);
        let health = web.health.unwrap();
        assert_eq!(
            (health.status, health.output.as_str()),
            (HealthStatus::Healthy, "last")
        );
    }

    #[test]
    fn what_does_not_run_is_none() {
        assert!(inspected(|answer| answer["State"]["Running"] = false.into()).is_none());
        assert!(inspected(|answer| answer["State"]["Restarting"] = true.into()).is_none());
        assert!(inspected(|answer| answer["State"] = Value::Null).is_none());
        assert!(inspected(|answer| answer["Id"] = Value::Null).is_none());
        let bare = inspected(|answer| {
            answer["Config"] = Value::Null;
            answer["NetworkSettings"] = Value::Null;
            answer["HostConfig"] = Value::Null;
        });
        assert!(bare.unwrap().mapped.is_empty());
    }

    #[test]
    fn services_offer_their_labels_and_the_ports_of_the_mesh() {
        let services = serde_json::json!([
            { "ID": "b", "Spec": { "Name": "plain", "Labels": { "other": "x" } } },
            {
                "ID": "c",
                "Spec": { "Name": "web", "Labels": { "SERVICE_TAGS": "t", "other": "x" } },
                "Endpoint": { "Ports": [
                    { "Protocol": "udp", "TargetPort": 53, "PublishedPort": 30053, "PublishMode": "ingress" },
                    { "Protocol": "tcp", "TargetPort": 80, "PublishedPort": 30080 },
                    { "Protocol": "tcp", "TargetPort": 81, "PublishedPort": 81, "PublishMode": "host" },
                    { "Protocol": "tcp", "TargetPort": 82 },
                ] },
            },
            { "ID": "a", "Spec": { "Name": "labelled", "Labels": { "SERVICE_NAME": "n" } } },
        ]);
        let services: Vec<Service> = serde_json::from_value(services).unwrap();
        let found = offers(&services);
        let names: Vec<&str> = found.iter().map(|offer| offer.name.as_str()).collect();
        assert_eq!(names, ["labelled", "web"]);
        let ports: Vec<u16> = found[1].ports.iter().map(|port| port.published).collect();
        assert_eq!(ports, [30053, 30080]);
        assert_eq!(found[1].labels.len(), 1);
    }
}
