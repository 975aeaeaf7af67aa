//! `SERVICE_CHECK_*`, and Docker's own health state, as checks of this agent.

use std::net::SocketAddr;
use std::time::Duration;

use super::metadata::Metadata;
use super::words::{Health, HealthStatus};
use super::{Complaints, Container};
use crate::config::duration;
use crate::decide::checks::{CheckSpec, HttpProbe, Probe};
use crate::decide::services::LocalCheck;
use crate::model::{CheckDefinition, CheckRow, CheckStatus, ServiceRow};

const INTERVAL: Duration = Duration::from_secs(10);
const INTERVAL_MIN: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(10);
/// Consul gives commands this long.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);
const DEREGISTER_MIN: Duration = Duration::from_secs(60);

/// The id of the one check that a container's service has: the one that the API would give it.
pub(super) fn check_id(service: &str) -> String {
    format!("service:{service}")
}

/// What a check is made from.
pub(super) struct Subject<'a> {
    pub(super) service: &'a ServiceRow,
    pub(super) container: &'a Container,
    /// Where the service is reached.
    pub(super) target: SocketAddr,
    pub(super) metadata: &'a Metadata,
}

struct Draft {
    kind: &'static str,
    definition: CheckDefinition,
    probe: Probe,
}

/// The check that the container asks for: the first of these keys that has a value.
pub(super) fn asked(subject: &Subject<'_>, complaints: &mut Complaints<'_>) -> Option<LocalCheck> {
    let metadata = subject.metadata;
    let get = |key| metadata.get(key);
    let draft = if let Some(path) = get("check_http") {
        http("http", path, get("check_http_method"), subject.target)
    } else if let Some(path) = get("check_https") {
        http("https", path, get("check_https_method"), subject.target)
    } else if let Some(command) = get("check_cmd") {
        command_in(subject.container, command.to_owned())
    } else if let Some(script) = get("check_script") {
        let script = script.replace("$SERVICE_IP", &subject.target.ip().to_string());
        let script = script.replace("$SERVICE_PORT", &subject.target.port().to_string());
        command_in(subject.container, script)
    } else if let Some(text) = get("check_ttl") {
        let ttl = span("check_ttl", text, complaints).filter(|ttl| !ttl.is_zero())?;
        let definition = CheckDefinition {
            ttl: duration::format(ttl),
            ..CheckDefinition::default()
        };
        Draft {
            kind: "ttl",
            definition,
            probe: Probe::Ttl(ttl),
        }
    } else if get("check_tcp").is_some() {
        let address = subject.target.to_string();
        let definition = CheckDefinition {
            tcp: address.clone(),
            ..CheckDefinition::default()
        };
        Draft {
            kind: "tcp",
            definition,
            probe: Probe::Tcp { address },
        }
    } else {
        if get("check_grpc").is_some() {
            let what = "SERVICE_CHECK_GRPC is left out: this agent runs no gRPC checks";
            complaints.add(format!("{what}; use SERVICE_CHECK_TCP, or a HEALTHCHECK"));
        }
        return None;
    };
    Some(finish(draft, subject, complaints))
}

fn http(scheme: &str, path: &str, method: Option<&str>, target: SocketAddr) -> Draft {
    let slash = if path.starts_with('/') { "" } else { "/" };
    let url = format!("{scheme}://{target}{slash}{path}");
    let method = method.unwrap_or_default().to_owned();
    Draft {
        kind: "http",
        definition: CheckDefinition {
            http: url.clone(),
            method: method.clone(),
            ..CheckDefinition::default()
        },
        probe: Probe::Http(HttpProbe {
            url,
            method,
            ..HttpProbe::default()
        }),
    }
}

fn command_in(container: &Container, line: String) -> Draft {
    Draft {
        kind: "docker",
        definition: CheckDefinition::default(),
        probe: Probe::Command {
            container: container.id.clone(),
            line,
        },
    }
}

fn finish(draft: Draft, subject: &Subject<'_>, complaints: &mut Complaints<'_>) -> LocalCheck {
    let Draft {
        kind,
        mut definition,
        probe,
    } = draft;
    let get = |key| subject.metadata.get(key);
    let mut read = |key| get(key).and_then(|text| span(key, text, complaints));
    let mut spec = CheckSpec::fixed();
    if !matches!(probe, Probe::Ttl(_)) {
        let interval = read("check_interval").unwrap_or(INTERVAL).max(INTERVAL_MIN);
        spec.interval = interval;
        definition.interval = duration::format(interval);
    }
    if matches!(probe, Probe::Http(_) | Probe::Tcp { .. }) {
        let given = read("check_timeout").filter(|timeout| !timeout.is_zero());
        definition.timeout = given.map(duration::format).unwrap_or_default();
        spec.timeout = given.unwrap_or(TIMEOUT);
    } else {
        spec.timeout = COMMAND_TIMEOUT;
    }
    let after = read("check_deregister_after").filter(|after| !after.is_zero());
    spec.deregister_after = after.map(|after| after.max(DEREGISTER_MIN));
    definition.deregister_critical_service_after = after.map(duration::format).unwrap_or_default();
    let status = match get("check_initial_status") {
        Some("passing") => CheckStatus::Passing,
        Some("warning") => CheckStatus::Warning,
        None | Some("critical") => CheckStatus::Critical,
        Some(_) => {
            let what = "SERVICE_CHECK_INITIAL_STATUS is left out";
            complaints.add(format!(
                "{what}: it is none of passing, warning and critical"
            ));
            CheckStatus::Critical
        }
    };
    spec.probe = probe;
    let name = format!("Service '{}' check", subject.service.name);
    let row = row(subject.service, name, kind, definition, status);
    local(row, spec)
}

/// The check that shows what the container's own health check says.
pub(super) fn of_health(service: &ServiceRow, health: &Health) -> LocalCheck {
    let (status, output) = verdict(health);
    let name = "Docker health check".to_owned();
    let mut row = row(service, name, "docker", CheckDefinition::default(), status);
    row.output = output;
    local(row, CheckSpec::fixed())
}

fn verdict(health: &Health) -> (CheckStatus, String) {
    let (status, word) = match health.status {
        HealthStatus::Healthy => (CheckStatus::Passing, "healthy"),
        HealthStatus::Starting => (CheckStatus::Critical, "starting"),
        HealthStatus::Unhealthy => (CheckStatus::Critical, "unhealthy"),
    };
    let output = match health.output.trim() {
        "" => word.to_owned(),
        output => format!("{word}: {output}"),
    };
    (status, output)
}

fn row(
    service: &ServiceRow,
    name: String,
    kind: &str,
    definition: CheckDefinition,
    status: CheckStatus,
) -> CheckRow {
    CheckRow {
        node: service.node.clone(),
        check_id: check_id(&service.id),
        name,
        status,
        notes: String::new(),
        output: String::new(),
        service_id: service.id.clone(),
        service_name: service.name.clone(),
        service_tags: service.tags.clone(),
        kind: kind.to_owned(),
        definition,
        create_index: 0,
        modify_index: 0,
    }
}

fn local(row: CheckRow, spec: CheckSpec) -> LocalCheck {
    LocalCheck {
        row,
        spec,
        beat: Duration::ZERO,
        restored: false,
        quiet_until: None,
    }
}

fn span(key: &str, text: &str, complaints: &mut Complaints<'_>) -> Option<Duration> {
    let read = duration::parse(text);
    if read.is_err() {
        let key = key.to_uppercase();
        complaints.add(format!(
            "SERVICE_{key} is left out: it is no duration like 10s"
        ));
    }
    read.ok()
}
