//! Swarm's tasks.

use super::*;
use crate::decide::swarm::SwarmPort;

/// A task of the service `web`.
fn task(slot: u32, ports: &[&str]) -> Container {
    let mut task = container(&format!("web.{slot}.x"), ports, &[]);
    let labels = [
        ("service.id", "S1"),
        ("service.name", "web"),
        ("task.id", "T"),
    ];
    let labels = labels.map(|(key, value)| (format!("com.docker.swarm.{key}"), value.to_owned()));
    task.labels = labels.into();
    task
}

fn service(labels: &[(&str, &str)], ports: &[(&str, u16)]) -> SwarmService {
    let port = |(target, published): &(&str, u16)| SwarmPort {
        target: Port::parse(target).unwrap(),
        published: *published,
    };
    SwarmService {
        id: "S1".into(),
        name: "web".into(),
        labels: labels
            .iter()
            .map(|(k, v)| ((*k).into(), (*v).into()))
            .collect(),
        ports: ports.iter().map(port).collect(),
    }
}

fn of(tasks: &[Container], swarm: &[SwarmService]) -> Desired {
    with(&Registrator::default(), tasks, swarm)
}

#[test]
fn a_port_of_the_hosts_is_one_service_a_task() {
    let tasks = [task(1, &["80:8080"]), task(2, &["80:8081"])];
    let wanted = ["n1:web.1.x:80 web :8080", "n1:web.2.x:80 web :8081"];
    assert_eq!(lines(&of(&tasks, &[])), wanted);
}

#[test]
fn the_services_labels_win_over_the_tasks() {
    let mut task = task(1, &["80:8080"]);
    task.env.push(("SERVICE_TAGS".into(), "env".into()));
    task.labels.insert("SERVICE_NAME".into(), "task".into());
    let named = service(&[("SERVICE_NAME", "operator")], &[]);
    let found = of(&[task.clone()], &[named]);
    assert_eq!(lines(&found), ["n1:web.1.x:80 operator :8080 env"]);
    task.labels.insert("SERVICE_80_NAME".into(), "port".into());
    let found = of(&[task], &[service(&[("SERVICE_NAME", "operator")], &[])]);
    assert_eq!(lines(&found), ["n1:web.1.x:80 port :8080 env"]);
}

#[test]
fn an_ingress_port_is_one_service_a_node_while_a_task_runs_there() {
    let swarm = [service(&[], &[("80", 30000)])];
    let wanted = ["n1:web:80 web :30000"];
    assert_eq!(lines(&of(&[task(1, &["80"])], &swarm)), wanted);
    assert_eq!(
        lines(&of(&[task(1, &["80"]), task(2, &["80"])], &swarm)),
        wanted
    );
    assert_eq!(lines(&of(&[container("other", &[], &[])], &swarm)), [""; 0]);
    let kept = &of(&[task(1, &[])], &swarm).services["n1:web:80"].kept;
    assert_eq!(kept.origin, "S1", "it outlives each of its tasks");
}

#[test]
fn both_modes_of_one_service_count_as_several_ports() {
    let swarm = [service(
        &[("SERVICE_TAGS", "a")],
        &[("80", 30000), ("53/udp", 30053)],
    )];
    let wanted = [
        "n1:web.1.x:9100 web-9100 :9100 a",
        "n1:web:53:udp web-53 :30053 a+udp",
        "n1:web:80 web-80 :30000 a",
    ];
    assert_eq!(lines(&of(&[task(1, &["9100:9100"])], &swarm)), wanted);
}

#[test]
fn an_ingress_port_is_as_healthy_as_the_best_of_its_tasks() {
    let with_health = |slot, status| Container {
        health: Some(Health {
            status,
            output: String::new(),
        }),
        ..task(slot, &[])
    };
    let swarm = [service(&[], &[("80", 30000)])];
    let cases = [
        (
            [HealthStatus::Unhealthy, HealthStatus::Healthy],
            CheckStatus::Passing,
        ),
        (
            [HealthStatus::Unhealthy, HealthStatus::Starting],
            CheckStatus::Critical,
        ),
    ];
    for (healths, wanted) in cases {
        let [one, other] = healths;
        let found = of(&[with_health(1, one), with_health(2, other)], &swarm);
        let check = found.services["n1:web:80"].check.as_ref().unwrap();
        assert_eq!(check.row.status, wanted, "{healths:?}");
    }
}

#[test]
fn internally_a_task_is_reached_on_the_network_that_it_names() {
    let config = Registrator {
        internal: true,
        ..Registrator::default()
    };
    let mut task = task(1, &[]);
    let networks = [
        ("b", "10.0.2.7"),
        ("ingress", "10.0.0.7"),
        ("a", "10.0.1.7"),
    ];
    task.networks = networks
        .map(|(name, address)| (name.to_owned(), address.parse().unwrap()))
        .into();
    let swarm = [service(&[], &[("80", 30000)])];
    let found = with(&config, &[task.clone()], &swarm);
    assert_eq!(lines(&found), ["n1:web.1.x:80 web 10.0.1.7:80"]);
    task.labels.insert("SERVICE_NETWORK".into(), "b".into());
    let found = with(&config, &[task], &swarm);
    assert_eq!(lines(&found), ["n1:web.1.x:80 web 10.0.2.7:80"]);
}
