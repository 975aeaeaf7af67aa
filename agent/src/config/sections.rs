//! The sections, each with its defaults.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::complaints::Complaints;
use super::error::Problem;
use super::field::{Field, Section};
use super::guess::words;
use super::join::read_address;
use super::parse::{ABSOLUTE, absolute};
use super::{
    Dns, Docker, Listen, Log, LogFormat, LogLevel, Recursors, Registrator, SwarmMode, Template,
};

pub(super) const DNS_KEYS: [&str; 2] = ["port", "recursors"];
pub(super) const DOCKER_KEYS: [&str; 4] = ["enabled", "swarm", "socket", "registrator"];
pub(super) const REGISTRATOR_KEYS: [&str; 4] = ["enabled", "internal", "explicit", "tags"];
pub(super) const LOG_KEYS: [&str; 2] = ["level", "format"];
pub(super) const LISTEN_KEYS: [&str; 5] = ["rpc", "http", "https", "registry", "docker"];

pub(super) const DNS_PORT: u16 = 53;
pub(super) const DOCKER_SOCKET: &str = "/var/run/docker.sock";
/// Consul's limits on a node's metadata.
pub(super) const MAX_META: usize = 64;
const MAX_META_KEY: usize = 128;
pub(super) const MAX_META_VALUE: usize = 512;

const FLAG: &str = "true or false";
const PORT: &str = "a port (1 to 65535)";
pub(super) const TEXT: &str = "a text that is not empty";
const TAGS: &str = "a list of texts, each with fields like {{.Config.Hostname}} or without";
const RECURSORS: &str = "auto, or a list of addresses, each with or without a port";

/// A section by name; an empty one, if it is not there.
pub(super) fn section<'t>(
    top: &Section<'t>,
    name: &str,
    known: Option<&[&str]>,
    complaints: &mut Complaints,
) -> Option<Section<'t>> {
    let field = top.field(name)?;
    Some(Section::open(field, known, complaints))
}

pub(super) fn flag(
    section: &Section<'_>,
    name: &str,
    default: bool,
    complaints: &mut Complaints,
) -> bool {
    let found = section.get(name, FLAG, complaints, Field::flag);
    found.unwrap_or(default)
}

fn port(section: &Section<'_>, name: &str, default: u16, complaints: &mut Complaints) -> u16 {
    let found = section.get(name, PORT, complaints, Field::port);
    found.unwrap_or(default)
}

pub(super) fn text(field: &Field<'_>) -> Option<String> {
    let text = field.text()?;
    (!text.trim().is_empty()).then(|| text.to_owned())
}

fn choice<T: Copy>(
    section: &Section<'_>,
    name: &str,
    choices: &[(&str, T)],
    complaints: &mut Complaints,
) -> Option<T> {
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    section.get(name, &words(&names), complaints, |field| {
        let text = field.text()?;
        let found = choices.iter().find(|(name, _)| *name == text);
        found.map(|(_, value)| *value)
    })
}

pub(super) fn dns(top: &Section<'_>, complaints: &mut Complaints) -> Dns {
    let mut dns = Dns {
        port: DNS_PORT,
        recursors: Recursors::Auto,
    };
    if let Some(section) = section(top, "dns", Some(&DNS_KEYS), complaints) {
        dns.port = port(&section, "port", dns.port, complaints);
        let recursors = section.get("recursors", RECURSORS, complaints, recursors);
        dns.recursors = recursors.unwrap_or(dns.recursors);
    }
    dns
}

fn recursors(field: &Field<'_>) -> Option<Recursors> {
    if field.text() == Some("auto") {
        return Some(Recursors::Auto);
    }
    let addresses = field.items()?.into_iter();
    let addresses: Option<Vec<SocketAddr>> = addresses
        .map(|item| read_address(item.text()?, DNS_PORT))
        .collect();
    addresses.map(Recursors::List)
}

pub(super) fn docker(top: &Section<'_>, complaints: &mut Complaints) -> Docker {
    let mut docker = Docker {
        enabled: true,
        swarm: SwarmMode::Auto,
        socket: PathBuf::from(DOCKER_SOCKET),
        registrator: Registrator::default(),
    };
    if let Some(section) = section(top, "docker", Some(&DOCKER_KEYS), complaints) {
        docker.enabled = flag(&section, "enabled", docker.enabled, complaints);
        let modes = [("auto", SwarmMode::Auto), ("off", SwarmMode::Off)];
        let swarm = choice(&section, "swarm", &modes, complaints);
        docker.swarm = swarm.unwrap_or(docker.swarm);
        let socket = section.get("socket", ABSOLUTE, complaints, absolute);
        docker.socket = socket.unwrap_or(docker.socket);
        docker.registrator = registrator(&section, complaints);
    }
    docker
}

fn registrator(docker: &Section<'_>, complaints: &mut Complaints) -> Registrator {
    let mut registrator = Registrator::default();
    if let Some(section) = section(docker, "registrator", Some(&REGISTRATOR_KEYS), complaints) {
        registrator.enabled = flag(&section, "enabled", registrator.enabled, complaints);
        registrator.internal = flag(&section, "internal", registrator.internal, complaints);
        registrator.explicit = flag(&section, "explicit", registrator.explicit, complaints);
        let tags = section.get("tags", TAGS, complaints, |field| {
            let items = field.items()?.into_iter();
            items.map(|item| Template::parse(item.text()?)).collect()
        });
        registrator.tags = tags.unwrap_or_default();
    }
    registrator
}

pub(super) fn log(top: &Section<'_>, complaints: &mut Complaints) -> Log {
    let mut log = Log {
        level: LogLevel::Info,
        format: LogFormat::Auto,
    };
    if let Some(section) = section(top, "log", Some(&LOG_KEYS), complaints) {
        let levels = [
            LogLevel::Error,
            LogLevel::Warn,
            LogLevel::Info,
            LogLevel::Debug,
            LogLevel::Trace,
        ]
        .map(|level| (level.as_str(), level));
        let level = choice(&section, "level", &levels, complaints);
        log.level = level.unwrap_or(log.level);
        let formats = [
            ("auto", LogFormat::Auto),
            ("text", LogFormat::Text),
            ("json", LogFormat::Json),
        ];
        let format = choice(&section, "format", &formats, complaints);
        log.format = format.unwrap_or(log.format);
    }
    log
}

pub(super) fn meta(top: &Section<'_>, complaints: &mut Complaints) -> BTreeMap<String, String> {
    const VALUE: &str = "a text of up to 512 bytes (a number needs quotes)";
    const KEYS: &str = "keys of 1 to 128 of a-z, A-Z, 0-9, '-' and '_'";
    let mut meta = BTreeMap::new();
    let Some(section) = section(top, "meta", None, complaints) else {
        return meta;
    };
    for (key, field) in section.fields() {
        let fine = (1..=MAX_META_KEY).contains(&key.len())
            && key
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        if !fine {
            complaints.add(
                field.place(),
                &field.path,
                Problem::Wrong {
                    found: "another key".to_owned(),
                    expected: KEYS.to_owned(),
                },
            );
        }
        match field.text().filter(|text| text.len() <= MAX_META_VALUE) {
            Some(text) => drop(meta.insert((*key).to_owned(), text.to_owned())),
            None => complaints.wrong(field, VALUE),
        }
    }
    if let Some((_, beyond)) = section.fields().get(MAX_META) {
        let problem = Problem::Wrong {
            found: format!("{} entries", section.fields().len()),
            expected: format!("at most {MAX_META}"),
        };
        complaints.add(beyond.place(), "meta", problem);
    }
    meta
}

pub(super) fn listen(top: &Section<'_>, complaints: &mut Complaints) -> Listen {
    let mut listen = Listen::default();
    if let Some(section) = section(top, "listen", Some(&LISTEN_KEYS), complaints) {
        listen.rpc = port(&section, "rpc", listen.rpc, complaints);
        listen.http = port(&section, "http", listen.http, complaints);
        listen.https = port(&section, "https", listen.https, complaints);
        listen.registry = port(&section, "registry", listen.registry, complaints);
        listen.docker = port(&section, "docker", listen.docker, complaints);
    }
    listen
}

/// Two doors can't have one port.
pub(super) fn check_ports(
    top: &Section<'_>,
    listen: Listen,
    dns: &Dns,
    complaints: &mut Complaints,
) {
    let ports = [
        ("dns", "port", dns.port),
        ("listen", "rpc", listen.rpc),
        ("listen", "http", listen.http),
        ("listen", "https", listen.https),
        ("listen", "registry", listen.registry),
        ("listen", "docker", listen.docker),
    ];
    for (at, (section, name, port)) in ports.iter().enumerate() {
        let before = ports.iter().take(at);
        for (other_section, other, _) in before.filter(|(.., used)| used == port) {
            let pairs = [
                ((section, name), (other_section, other)),
                ((other_section, other), (section, name)),
            ];
            // At the one that the file gives.
            for ((section, name), (other_section, other)) in pairs {
                if let Some(field) = top.within(section, name) {
                    let expected = format!("a port of its own: {other_section}.{other} has it too");
                    complaints.wrong(&field, expected);
                    break;
                }
            }
        }
    }
}
