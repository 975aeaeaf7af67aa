//! Which services containers come to, by the conventions of registrator.

mod laws;
mod swarm;

use super::*;
use crate::config::Template;
use crate::decide::checks::{CheckSpec, Probe};
use crate::decide::services::LocalRows;
use crate::model::CheckStatus;

pub(super) const NODE: &str = "n1";

/// A container with these published ports: `80:32768`, `53/udp:53`, `81` (exposed only), or with an
/// address of the host's before them: `10.9.9.9:80:8080`.
pub(super) fn container(name: &str, ports: &[&str], env: &[(&str, &str)]) -> Container {
    let mut container = Container {
        id: format!("{name}-0123456789abcdef"),
        name: name.to_owned(),
        image: format!("reg.example:5000/team/{name}:7"),
        started: "2024-01-01T00:00:00Z".to_owned(),
        network_mode: "bridge".to_owned(),
        env: env
            .iter()
            .map(|(k, v)| ((*k).into(), (*v).into()))
            .collect(),
        networks: BTreeMap::from([("bridge".into(), "172.17.0.5".parse().unwrap())]),
        ..Container::default()
    };
    for text in ports {
        let parts: Vec<&str> = text.split(':').collect();
        let (address, port, published) = match parts.as_slice() {
            [port] => (None, port, None),
            [port, published] => (None, port, Some(published)),
            [address, port, published] => (Some(address), port, Some(published)),
            _ => panic!("{text}"),
        };
        let port = Port::parse(port).unwrap();
        container.exposed.push(port);
        let binding = published.map(|published| Binding {
            address: address.map(|address| address.parse().unwrap()),
            port: published.parse().unwrap(),
        });
        container.mapped.insert(port, binding.into_iter().collect());
    }
    container
}

pub(super) fn all(containers: &[Container]) -> BTreeMap<String, Container> {
    let by_id = |container: &Container| (container.id.clone(), container.clone());
    containers.iter().map(by_id).collect()
}

pub(super) fn with(
    config: &Registrator,
    containers: &[Container],
    swarm: &[SwarmService],
) -> Desired {
    desired(&View {
        config,
        node: NODE,
        address: "192.168.101.11".parse().unwrap(),
        containers: &all(containers),
        swarm,
    })
}

fn of(containers: &[Container]) -> Desired {
    with(&Registrator::default(), containers, &[])
}

/// `id name address:port tags`, in the order of ids.
pub(super) fn lines(desired: &Desired) -> Vec<String> {
    let line = |wanted: &Wanted| {
        let row = &wanted.service;
        let (id, name, tags) = (&row.id, &row.name, row.tags.join("+"));
        format!("{id} {name} {}:{} {tags}", row.address, row.port)
            .trim_end()
            .to_owned()
    };
    desired.services.values().map(line).collect()
}

/// Ports, environment, and the lines that they come to.
type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a [&'a str]);

fn come_to(cases: &[Case<'_>]) {
    for (ports, env, wanted) in cases {
        let found = of(&[container("web", ports, env)]);
        assert_eq!(lines(&found), **wanted, "{ports:?} {env:?}");
        assert_eq!(found.complaints, [""; 0], "{ports:?} {env:?}");
    }
}

#[test]
fn names_ids_and_tags() {
    let cases: [Case<'_>; 11] = [
        (&["80:32768"], &[], &["n1:web:80 web :32768"]),
        (
            &["80:32768"],
            &[("SERVICE_NAME", "www")],
            &["n1:web:80 www :32768"],
        ),
        (
            &["80:32768"],
            &[("SERVICE_80_NAME", "www")],
            &["n1:web:80 www :32768"],
        ),
        (
            &["80:32768"],
            &[("SERVICE_TAGS", r"a,b\,c")],
            &["n1:web:80 web :32768 a+b,c"],
        ),
        (&["80:32768"], &[("SERVICE_ID", "one")], &["one web :32768"]),
        (&["80:32768"], &[("SERVICE_IGNORE", "false")], &[]),
        (
            &["80:32768"],
            &[("SERVICE_IGNORE", "")],
            &["n1:web:80 web :32768"],
        ),
        (
            &["53/udp:53"],
            &[("SERVICE_TAGS", "a")],
            &["n1:web:53:udp web :53 a+udp"],
        ),
        (&["10.9.9.9:80:8080"], &[], &["n1:web:80 web 10.9.9.9:8080"]),
        (&["192.168.101.11:80:8080"], &[], &["n1:web:80 web :8080"]),
        (&["80"], &[], &[]),
    ];
    come_to(&cases);
}

#[test]
fn names_and_ids_of_several_ports() {
    let cases: [Case<'_>; 5] = [
        (
            &["80:32768", "443:32769", "81"],
            &[("SERVICE_NAME", "www"), ("SERVICE_443_NAME", "safe")],
            &["n1:web:443 safe :32769", "n1:web:80 www-80 :32768"],
        ),
        (
            &["80:1080", "443:1443"],
            &[("SERVICE_443_IGNORE", "1")],
            &["n1:web:80 web-80 :1080"],
        ),
        (
            &["53:53", "53/udp:53"],
            &[],
            &["n1:web:53 web-53 :53", "n1:web:53:udp web-53 :53 udp"],
        ),
        (
            &["80:1080", "443:1443", "53/udp:53"],
            &[("SERVICE_ID", "one")],
            &[
                "one web-53 :53 udp",
                "one:443 web-443 :1443",
                "one:80 web-80 :1080",
            ],
        ),
        (
            &["80:1080", "443:1443"],
            &[
                ("SERVICE_80_ID", "a"),
                ("SERVICE_443_ID", "b"),
                ("SERVICE_80_TAGS", "x"),
            ],
            &["a web-80 :1080 x", "b web-443 :1443"],
        ),
    ];
    come_to(&cases);
}

#[test]
fn a_label_wins_over_the_environment() {
    let mut web = container(
        "web",
        &["80:8080"],
        &[("SERVICE_NAME", "env"), ("SERVICE_TAGS", "a")],
    );
    web.labels.insert("SERVICE_NAME".into(), "label".into());
    web.labels.insert("service_tags".into(), "no".into());
    assert_eq!(lines(&of(&[web])), ["n1:web:80 label :8080 a"]);
}

#[test]
fn the_config_decides_what_is_registered_and_adds_tags() {
    let mut web = container("web", &["80:8080", "81"], &[]);
    web.inspect = serde_json::json!({ "Config": { "Hostname": "h" } });
    web.networks
        .insert("ingress".into(), "10.0.0.9".parse().unwrap());
    let named = container("db", &["5432:5432"], &[("SERVICE_NAME", "pg")]);
    let explicit = Registrator {
        explicit: true,
        tags: vec![Template::parse("on-{{.Config.Hostname}}").unwrap()],
        ..Registrator::default()
    };
    let found = with(&explicit, &[web.clone(), named.clone()], &[]);
    assert_eq!(lines(&found), ["n1:db:5432 pg :5432"]);
    assert!(
        found.complaints[0].contains(".Config.Hostname"),
        "{found:?}"
    );
    let internal = Registrator {
        internal: true,
        tags: explicit.tags,
        ..Registrator::default()
    };
    let wanted = [
        "n1:web:80 web-80 172.17.0.5:80 on-h",
        "n1:web:81 web-81 172.17.0.5:81 on-h",
    ];
    assert_eq!(lines(&with(&internal, &[web], &[])), wanted);
    let tagged = &with(&internal, &[named], &[]).services["n1:db:5432"].service;
    assert_eq!(tagged.tagged_addresses["lan_ipv4"].port, 5432);
}

#[test]
fn whose_network_it_is() {
    let mut host = container("host", &[], &[]);
    host.network_mode = "host".into();
    host.networks = BTreeMap::new();
    host.exposed = vec![Port::parse("80").unwrap()];
    assert_eq!(lines(&of(&[host])), ["n1:host:80 host :80"]);
    let front = container("front", &["80:8080"], &[]);
    let mut side = container("side", &[], &[]);
    side.network_mode = format!("container:{}", front.id);
    side.networks = BTreeMap::new();
    side.exposed = vec![Port::parse("9100").unwrap()];
    let wanted = [
        "n1:front:80 front :8080",
        "n1:side:9100 side 172.17.0.5:9100",
    ];
    assert_eq!(lines(&of(&[front, side.clone()])), wanted);
    assert_eq!(lines(&of(&[side])), [""; 0], "its network's owner is gone");
    let mut own = container("own", &["80:8080"], &[]);
    own.network_mode = "team".into();
    own.networks = BTreeMap::from([("team".into(), "172.20.0.2".parse().unwrap())]);
    assert_eq!(
        lines(&of(&[own])),
        ["n1:own:80 own :8080"],
        "others reach it on the host"
    );
    let mut none = container("none", &[], &[]);
    (none.network_mode, none.networks) = ("none".into(), BTreeMap::new());
    none.exposed = vec![Port::parse("80").unwrap()];
    assert_eq!(lines(&of(&[none])), [""; 0]);
}

#[test]
fn of_two_with_one_id_the_later_started_has_it() {
    let old = container("old", &["80:1"], &[("SERVICE_ID", "one")]);
    let mut new = container("new", &["80:2"], &[("SERVICE_ID", "ONE")]);
    new.started = "2024-01-01T00:00:01Z".into();
    let found = of(&[old, new]);
    assert_eq!(lines(&found), ["ONE new :2"]);
    assert!(found.complaints[0].contains("started later"), "{found:?}");
}

#[test]
fn the_clusters_own_names_and_ids_are_not_taken_by_accident() {
    let image = container("registry", &["5000:5001"], &[]);
    let meant = container("registry", &["5000:5001"], &[("SERVICE_NAME", "registry")]);
    let own = container("web", &["80:80"], &[("SERVICE_ID", "registry")]);
    assert_eq!(lines(&of(std::slice::from_ref(&image))), [""; 0]);
    assert!(of(&[image]).complaints[0].contains("SERVICE_NAME"));
    assert_eq!(of(&[meant]).services.len(), 1);
    assert_eq!(of(&[own]).services.len(), 0);
}

fn check(env: &[(&str, &str)]) -> (Option<LocalCheck>, Vec<String>) {
    let mut found = of(&[container("web", &["80:8080"], env)]);
    let wanted = found.services.remove("n1:web:80").unwrap();
    (wanted.check, found.complaints)
}

#[test]
fn checks_as_they_are_asked_for() {
    let cases: [(&[(&str, &str)], &str); 11] = [
        (
            &[("SERVICE_CHECK_HTTP", "/h")],
            "http http://192.168.101.11:8080/h 10s 10s critical",
        ),
        (
            &[
                ("SERVICE_CHECK_HTTPS", "h"),
                ("SERVICE_CHECK_INTERVAL", "1m"),
            ],
            "http https://192.168.101.11:8080/h 60s 10s critical",
        ),
        (
            &[
                ("SERVICE_80_CHECK_HTTP", "/h"),
                ("SERVICE_CHECK_TIMEOUT", "2s"),
            ],
            "http http://192.168.101.11:8080/h 10s 2s critical",
        ),
        (
            &[
                ("SERVICE_CHECK_TCP", "true"),
                ("SERVICE_CHECK_INITIAL_STATUS", "passing"),
            ],
            "tcp 192.168.101.11:8080 10s 10s passing",
        ),
        (&[("SERVICE_CHECK_TTL", "30s")], "ttl 30s 0ns 30s critical"),
        (
            &[("SERVICE_CHECK_CMD", "true"), ("SERVICE_CHECK_TCP", "true")],
            "docker true 10s 30s critical",
        ),
        (
            &[("SERVICE_CHECK_SCRIPT", "nc $SERVICE_IP $SERVICE_PORT")],
            "docker nc 192.168.101.11 8080 10s 30s critical",
        ),
        (
            &[
                ("SERVICE_CHECK_TCP", "1"),
                ("SERVICE_CHECK_INTERVAL", "1ms"),
            ],
            "tcp 192.168.101.11:8080 1s 10s critical",
        ),
        (
            &[
                ("SERVICE_CHECK_TCP", "1"),
                ("SERVICE_CHECK_INTERVAL", "soon"),
            ],
            "tcp 192.168.101.11:8080 10s 10s critical; 1 complaint",
        ),
        (&[("SERVICE_CHECK_GRPC", "1")], "none; 1 complaint"),
        (&[("SERVICE_CHECK_HTTP", "")], "none"),
    ];
    for (env, wanted) in cases {
        let (check, complaints) = check(env);
        let mut line = check.map_or_else(|| "none".to_owned(), shown);
        if !complaints.is_empty() {
            line += &format!("; {} complaint", complaints.len());
        }
        assert_eq!(line, wanted, "{env:?}");
    }
}

fn shown(check: LocalCheck) -> String {
    assert_eq!(check.row.check_id, "service:n1:web:80");
    let (kind, status) = (&check.row.kind, check.row.status.as_str());
    let CheckSpec {
        probe,
        interval,
        timeout,
        ..
    } = check.spec;
    let what = match probe {
        Probe::Http(http) => http.url,
        Probe::Tcp { address } => address,
        Probe::Command { container, line } => {
            assert!(container.starts_with("web-"));
            line
        }
        Probe::Ttl(ttl) => format!("{ttl:?}"),
        Probe::Fixed => "fixed".to_owned(),
    };
    format!("{kind} {what} {interval:?} {timeout:?} {status}")
}

#[test]
fn the_health_of_a_container_is_its_check_unless_it_asks_for_another() {
    use CheckStatus::{Critical, Passing};
    let cases = [
        (HealthStatus::Starting, "", Critical, "starting"),
        (HealthStatus::Healthy, "ok\n", Passing, "healthy: ok"),
        (HealthStatus::Unhealthy, "no", Critical, "unhealthy: no"),
    ];
    for (status, output, wanted, said) in cases {
        let mut web = container("web", &["80:8080"], &[]);
        let output = output.to_owned();
        web.health = Some(Health { status, output });
        let found = of(&[web.clone()]);
        let found = &found.services["n1:web:80"];
        let check = &found.check.as_ref().unwrap().row;
        assert!(found.told);
        assert_eq!((check.status, check.output.as_str()), (wanted, said));
        web.env.push(("SERVICE_CHECK_TCP".into(), "1".into()));
        let found = of(&[web]);
        let found = &found.services["n1:web:80"];
        assert!(!found.told && found.check.as_ref().unwrap().row.kind == "tcp");
    }
}

#[test]
fn nothing_of_what_containers_are_told_is_printed() {
    let mut web = container("web", &["80:8080"], &[("SERVICE_CHECK_TTL", "hunter2")]);
    web.labels.insert("SERVICE_A.B".into(), "hunter2".into());
    web.inspect = "hunter2".into();
    let said = of(&[web.clone()]).complaints;
    assert_eq!(said.len(), 2);
    assert!(!format!("{web:?} {said:?}").contains("hunter2"));
}
