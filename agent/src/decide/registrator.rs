//! Containers and Swarm tasks as services, with the conventions of gliderlabs' registrator
//! (<https://gliderlabs.github.io/registrator/latest/user/services/>).
//!
//! Two steps: [`desired`] says which services the containers of this node come to, [`plan`] what
//! must change among those that are registered through this agent. What others registered there
//! is never touched: the rows say which are the registrator's ([`Kept`]).
//!
//! A port that Swarm publishes on every node (`ingress`) is no port of a container: it is one
//! service of this node, as long as one of its tasks runs here.

mod checks;
mod metadata;
mod naming;
mod plan;
mod ports;
mod words;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

pub use metadata::is_ours;
pub use plan::{Step, plan};
pub use words::{Binding, Container, Health, HealthStatus, Port, Protocol};

use self::checks::Subject;
use self::metadata::Metadata;
use self::ports::Offer;
use crate::config::Registrator;
use crate::decide::services::{Kept, LocalCheck, is_loops};
use crate::decide::swarm::SwarmService;
use crate::model::{ServiceAddress, ServiceRow, Weights};

/// Names of services that the cluster itself offers: an image of that name does not join them.
const OWN_NAMES: [&str; 2] = ["consul", "registry"];

/// What the services are made from.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The config.
    pub config: &'a Registrator,
    /// This node's name.
    pub node: &'a str,
    /// Its address.
    pub address: IpAddr,
    /// Its running containers, by id.
    pub containers: &'a BTreeMap<String, Container>,
    /// The Swarm's services, as far as they are known here.
    pub swarm: &'a [SwarmService],
}

/// A service that should be registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The service.
    pub service: ServiceRow,
    /// Its check, if it has one.
    pub check: Option<LocalCheck>,
    /// The check says what Docker says, so its result is given, not found out.
    pub told: bool,
    /// What it stands for.
    pub kept: Kept,
}

/// All that should be registered, and what of the containers' words could not be followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desired {
    /// By service id in lower case.
    pub services: BTreeMap<String, Wanted>,
    /// For the log.
    pub complaints: Vec<String>,
}

/// Which services the containers come to.
#[must_use]
pub fn desired(view: &View<'_>) -> Desired {
    let mut maker = Maker {
        view,
        desired: Desired::default(),
    };
    // Of two that claim one id the later started has it: it is there to replace the other.
    let mut containers: Vec<&Container> = view.containers.values().collect();
    containers.sort_by(|one, other| Container::by_age(one, other));
    for container in &containers {
        maker.container(container);
    }
    if !view.config.internal {
        for service in view.swarm {
            let of = |container: &&&Container| {
                container.task_of().is_some_and(|(id, _)| id == service.id)
            };
            let tasks: Vec<&Container> = containers.iter().filter(of).copied().collect();
            maker.ingress(service, &tasks);
        }
    }
    maker.desired
}

/// Collects what is said about one container.
struct Complaints<'a> {
    who: &'a str,
    said: &'a mut Vec<String>,
}

impl<'a> Complaints<'a> {
    fn new(who: &'a str, said: &'a mut Vec<String>) -> Self {
        Self { who, said }
    }

    fn add(&mut self, what: String) {
        self.said.push(format!("{}: {what}", self.who));
    }
}

struct Maker<'a> {
    view: &'a View<'a>,
    desired: Desired,
}

/// One port that is to become a service.
struct Source<'a> {
    container: &'a Container,
    swarm: Option<&'a SwarmService>,
    /// What stands in the middle of the id.
    who: &'a str,
    /// What the service stands for.
    origin: &'a str,
    offer: Offer,
    /// It is one of several ports that become services.
    several: bool,
    health: Option<&'a Health>,
}

impl<'a> Maker<'a> {
    fn container(&mut self, container: &'a Container) {
        let view = self.view;
        let swarm = container.task_of();
        let swarm = swarm.and_then(|(id, _)| view.swarm.iter().find(|service| service.id == id));
        let (offers, beside) = if view.config.internal {
            let targets = swarm.map_or(&[][..], |service| &service.ports);
            let targets: Vec<Port> = targets.iter().map(|port| port.target).collect();
            (ports::internal(container, view.containers, &targets), 0)
        } else {
            let ingress = swarm.map_or(0, |service| service.ports.len());
            (ports::published(container, view.containers), ingress)
        };
        for offer in &offers {
            self.service(&Source {
                container,
                swarm,
                who: &container.name,
                origin: &container.id,
                offer: *offer,
                several: offers.len() + beside > 1,
                health: container.health.as_ref(),
            });
        }
    }

    /// The ports that Swarm publishes for `service` on all nodes, while `tasks` run on this one.
    fn ingress(&mut self, service: &'a SwarmService, tasks: &[&'a Container]) {
        let Some(container) = tasks.first() else {
            return;
        };
        let beside = ports::published(container, self.view.containers).len();
        // Swarm sends nothing to tasks that are not healthy, so the best of them counts.
        let healths = tasks.iter().filter_map(|task| task.health.as_ref());
        let health = healths.min_by_key(|health| health.status);
        for port in &service.ports {
            self.service(&Source {
                container,
                swarm: Some(service),
                who: &service.name,
                origin: &service.id,
                offer: Offer {
                    exposed: port.target,
                    address: None,
                    port: port.published,
                },
                several: service.ports.len() + beside > 1,
                health,
            });
        }
    }

    fn service(&mut self, source: &Source<'_>) {
        let (container, exposed) = (source.container, source.offer.exposed);
        let env = container.env.iter().map(|(key, value)| (key, value));
        let labels = source.swarm.map(|service| &service.labels);
        let pairs = env
            .chain(&container.labels)
            .chain(labels.into_iter().flatten())
            .map(|(key, value)| (key.as_str(), value.as_str()));
        let who = format!("container {}", container.name);
        let mut said = Vec::new();
        let mut complaints = Complaints::new(&who, &mut said);
        let metadata = Metadata::read(pairs, exposed.number, &mut complaints);
        if metadata.get("ignore").is_some() {
            return;
        }
        let made = self.make(source, &metadata, &mut complaints);
        self.desired.complaints.append(&mut said);
        if let Some(wanted) = made {
            let key = wanted.service.id.to_lowercase();
            self.desired.services.insert(key, wanted);
        }
    }

    fn make(
        &self,
        source: &Source<'_>,
        metadata: &Metadata,
        complaints: &mut Complaints<'_>,
    ) -> Option<Wanted> {
        let container = source.container;
        let name = self.name(source, metadata, complaints)?;
        let id = self.id(source, metadata, complaints)?;
        let own = source.offer.address.filter(|own| *own != self.view.address);
        let target = SocketAddr::new(own.unwrap_or(self.view.address), source.offer.port);
        let service = ServiceRow {
            node: self.view.node.to_owned(),
            id,
            name,
            tags: self.tags(source, metadata, complaints),
            address: own.map(|own| own.to_string()).unwrap_or_default(),
            port: source.offer.port,
            meta: metadata.meta(complaints),
            weights: Weights::default(),
            enable_tag_override: false,
            tagged_addresses: own.map(|_| tagged(target)).unwrap_or_default(),
            kind: String::new(),
            create_index: 0,
            modify_index: 0,
        };
        let subject = Subject {
            service: &service,
            container,
            target,
            metadata,
        };
        let asked = checks::asked(&subject, complaints);
        let told = asked.is_none() && source.health.is_some();
        let of_health = |health| checks::of_health(&service, health);
        let check = asked.or_else(|| source.health.map(of_health));
        Some(Wanted {
            kept: Kept {
                origin: source.origin.to_owned(),
                check: check.is_some(),
            },
            service,
            check,
            told,
        })
    }

    fn name(
        &self,
        source: &Source<'_>,
        metadata: &Metadata,
        complaints: &mut Complaints<'_>,
    ) -> Option<String> {
        let given = metadata.get("name");
        let name = match given {
            Some(name) => name,
            None if self.view.config.explicit => return None,
            None => match source.container.task_of() {
                Some((_, service)) => service,
                None => naming::name_of_image(&source.container.image),
            },
        };
        if given.is_none() && OWN_NAMES.contains(&name.to_lowercase().as_str()) {
            complaints.add(format!(
                "not registered: {name} is the cluster's own service; give it another SERVICE_NAME"
            ));
            return None;
        }
        if name.is_empty() {
            complaints.add("not registered: its image has no name; set SERVICE_NAME".into());
            return None;
        }
        let suffix = source.several && !metadata.is_own("name");
        let port = source.offer.exposed.number;
        Some(if suffix {
            format!("{name}-{port}")
        } else {
            name.to_owned()
        })
    }

    /// The id. One that a container gives to all its ports gets the port from the second on.
    fn id(
        &self,
        source: &Source<'_>,
        metadata: &Metadata,
        complaints: &mut Complaints<'_>,
    ) -> Option<String> {
        let port = source.offer.exposed;
        let Some(given) = metadata.get("id") else {
            let id = naming::id(self.view.node, source.who, port);
            return self.is_free(&id).then_some(id);
        };
        if is_loops(given) {
            complaints.add(format!(
                "not registered: the id {given:?} is the agent's own"
            ));
            return None;
        }
        let holder = self.desired.services.get(&given.to_lowercase());
        match holder {
            None => Some(given.to_owned()),
            Some(holder) if holder.kept.origin == source.origin => {
                let protocol = port.protocol.suffix();
                let protocol = protocol.map(|name| format!(":{name}")).unwrap_or_default();
                let id = format!("{given}:{}{protocol}", port.number);
                self.is_free(&id).then_some(id)
            }
            Some(_) => {
                complaints.add(format!(
                    "not registered: another container, started later, has the id {given:?}"
                ));
                None
            }
        }
    }

    fn is_free(&self, id: &str) -> bool {
        !self.desired.services.contains_key(&id.to_lowercase())
    }

    fn tags(
        &self,
        source: &Source<'_>,
        metadata: &Metadata,
        complaints: &mut Complaints<'_>,
    ) -> Vec<String> {
        let mut tags = naming::split_tags(metadata.get("tags").unwrap_or_default());
        for template in &self.view.config.tags {
            tags.extend(naming::render(template, source.container, complaints));
        }
        let protocol = source.offer.exposed.protocol.suffix();
        tags.extend(protocol.map(str::to_owned));
        tags
    }
}

/// As the API does it for services with an address of their own.
fn tagged(address: SocketAddr) -> BTreeMap<String, ServiceAddress> {
    let tags = if address.is_ipv4() {
        ["lan_ipv4", "wan_ipv4"]
    } else {
        ["lan_ipv6", "wan_ipv6"]
    };
    let address = ServiceAddress {
        address: address.ip().to_string(),
        port: address.port(),
    };
    tags.map(|tag| (tag.to_owned(), address.clone())).into()
}

#[cfg(test)]
mod tests;
