//! Files that are right.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::model::Role;

pub(super) const FULL: &str = r#"
stack: vagrant
dc: Dev
role: server
name: node-1
expect: 3
admin_network: 192.168.101.0/24
join:
  - 192.168.101.101
  - 192.168.101.102:18300
  - dns:servers.example.com
token: "${SWARMER_TOKEN}"
data_dir: /data
dns: { port: 8600, recursors: [9.9.9.9, "127.0.0.1:5353"] }
docker:
  { enabled: true, swarm: "off", socket: /run/docker.sock, registrator: { internal: true, explicit: true, tags: [a, "{{.Name}}"] } }
registry:
  enabled: true
  command: /usr/bin/docker-registry
  storage:
    s3: { bucket: images, region: eu-west-1, accesskey: AKIA1, secretkey: "file:/run/key", encrypt: true }
log: { level: debug, format: json }
meta: { rack: "7", zone: a }
listen: { rpc: 18300, http: 18500, https: 18501, registry: 15000, docker: 12376 }
timing: { lease: 1s, session_grace: 4s, grace: 15s, reap: 1m30s, certificate: 24h }
"#;

#[test]
fn every_key_is_read() {
    let config = parse(FULL).unwrap();
    assert_eq!(config.dc.as_str(), "dev");
    assert_eq!(config.name.unwrap().as_str(), "node-1");
    assert_eq!((config.role, config.expect), (Role::Server, 3));
    assert_eq!(
        config.admin_network.to_string(),
        "the network 192.168.101.0/24"
    );
    let join: Vec<String> = config.join.iter().map(ToString::to_string).collect();
    let wanted = [
        "192.168.101.101:8300",
        "192.168.101.102:18300",
        "dns:servers.example.com:8300",
    ];
    assert_eq!(join, wanted);
    assert_eq!(
        config.token,
        SecretSource::Environment("SWARMER_TOKEN".into())
    );
    assert_eq!(config.data_dir, Path::new("/data"));
    let recursors = ["9.9.9.9:53", "127.0.0.1:5353"].map(|address| address.parse().unwrap());
    assert_eq!(config.dns.recursors, Recursors::List(recursors.to_vec()));
    assert_eq!(config.docker.swarm, SwarmMode::Off);
    let registrator = config.docker.registrator;
    assert!(registrator.enabled && registrator.internal && registrator.explicit);
    assert_eq!(registrator.tags[1].to_string(), "{{.Name}}");
    let Storage::S3(s3) = config.registry.storage else {
        panic!("{:?}", config.registry.storage)
    };
    assert_eq!(
        (s3.bucket.as_str(), s3.encrypt, s3.skipverify),
        ("images", true, false)
    );
    assert_eq!(s3.secretkey, Some(SecretSource::File("/run/key".into())));
    assert_eq!(config.log.level, LogLevel::Debug);
    assert_eq!(config.meta["rack"], "7");
    assert_eq!(
        (config.listen.registry, config.listen.docker),
        (15000, 12376)
    );
    assert_eq!(config.timing.reap, Duration::from_secs(90));
    assert_eq!(config.timing.certificate, Duration::from_secs(24 * 3600));
    assert!(config.warnings.is_empty());
}

#[test]
fn what_is_not_said_has_its_default() {
    let config = parse(BASE).unwrap();
    assert_eq!(config.name, None);
    assert!(config.join.is_empty() && config.meta.is_empty());
    assert_eq!(config.data_dir, Path::new("/var/lib/swarmer"));
    assert_eq!(
        config.dns,
        Dns {
            port: 53,
            recursors: Recursors::Auto
        }
    );
    assert!(config.docker.enabled && config.registry.enabled);
    assert_eq!(config.docker.swarm, SwarmMode::Auto);
    assert_eq!(config.docker.socket, Path::new("/var/run/docker.sock"));
    assert_eq!(config.docker.registrator, Registrator::default());
    assert!(config.docker.registrator.enabled && !config.docker.registrator.internal);
    let storage = Storage::Filesystem("/var/lib/swarmer/registry".into());
    assert_eq!(config.registry.storage, storage);
    assert_eq!(
        (config.log.level, config.log.format),
        (LogLevel::Info, LogFormat::Auto)
    );
    assert_eq!((config.listen.rpc, config.listen.http), (8300, 8500));
    assert_eq!((config.listen.https, config.listen.registry), (8501, 5000));
    assert_eq!(config.listen.docker, 2376);
    let timing = config.timing;
    let seconds = [
        timing.lease,
        timing.session_grace,
        timing.grace,
        timing.reap,
        timing.certificate,
    ]
    .map(|span| span.as_secs());
    assert_eq!(seconds, [2, 8, 30, 600, 72 * 3600]);
    let moved = parse(&base_with(&["data_dir: /d"])).unwrap();
    assert_eq!(
        moved.registry.storage,
        Storage::Filesystem("/d/registry".into())
    );
}

#[test]
fn a_worker_needs_peers_and_no_expect() {
    let worker = ["role: worker", "-expect", "join: [10.0.0.1]"];
    let config = parse(&base_with(&worker)).unwrap();
    assert_eq!((config.role, config.expect), (Role::Worker, 0));
    assert!(config.warnings.is_empty());
}

#[test]
fn an_even_number_of_servers_is_a_warning() {
    let config = parse(&base_with(&["expect: 4"])).unwrap();
    assert_eq!(config.warnings.len(), 1);
    assert!(config.warnings[0].contains("no more losses than 3"));
}

#[test]
fn empty_sections_comments_and_aliases_are_fine() {
    for line in [
        "docker:",
        "dns: {}",
        "meta: ~",
        "join:",
        "join: []",
        "# nothing",
    ] {
        parse(&base_with(&[line])).unwrap();
    }
    let text = base_with(&[
        "data_dir: &d /data",
        "registry: { storage: { filesystem: *d } }",
    ]);
    let config = parse(&text).unwrap();
    assert_eq!(config.registry.storage, Storage::Filesystem("/data".into()));
    parse(&BASE.replace('\n', "\r\n")).unwrap();
    parse(&format!("\u{feff}---\n{BASE}...\n")).unwrap();
}

#[test]
fn no_debug_output_shows_a_secret() {
    let text = base_with(&[
        "registry: { storage: { s3: { bucket: b, region: r, accesskey: s3cret1, secretkey: s3cret2 } } }",
    ]);
    let shown = format!("{:?}", parse(&text).unwrap());
    assert!(
        shown.contains("[secret]") && !shown.contains("s3cret"),
        "{shown}"
    );
}
