//! Check definitions as clients send them.

use std::time::Duration;

use super::input::Object;
use super::reply::Problem;
use crate::config::duration;
use crate::decide::checks::{CheckSpec, HttpProbe, OUTPUT_MAX, Probe};
use crate::decide::services::LocalCheck;
use crate::model::{CheckDefinition, CheckRow, CheckStatus, ServiceRow};

/// Shorter intervals are raised to this, as in Consul.
const INTERVAL_MIN: Duration = Duration::from_secs(1);
/// Shorter spans until a critical service goes are raised to this.
const DEREGISTER_MIN: Duration = Duration::from_secs(60);
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// Kinds of checks that Swarmer does not run.
const UNSUPPORTED: [&str; 7] = [
    "UDP",
    "GRPC",
    "H2PING",
    "OSService",
    "AliasService",
    "AliasNode",
    "DockerContainerID",
];

/// One check of a request.
#[derive(Clone, Debug)]
pub(super) struct CheckInput {
    /// Empty: the caller decides.
    pub(super) id: String,
    /// Empty: the caller decides.
    pub(super) name: String,
    pub(super) notes: String,
    pub(super) status: Option<CheckStatus>,
    pub(super) service_id: String,
    pub(super) kind: &'static str,
    pub(super) definition: CheckDefinition,
    pub(super) spec: CheckSpec,
}

fn invalid(text: &str) -> Problem {
    Problem::Bad(format!("Invalid check: {text}"))
}

/// A status as clients write it; `None`: empty.
pub(super) fn parse_status(text: &str, wrong: &str) -> Result<Option<CheckStatus>, Problem> {
    match text {
        "" => Ok(None),
        "passing" => Ok(Some(CheckStatus::Passing)),
        "warning" => Ok(Some(CheckStatus::Warning)),
        "critical" => Ok(Some(CheckStatus::Critical)),
        _ => Err(Problem::Bad(wrong.to_owned())),
    }
}

/// What the catalog shows of a definition; the text fields are normalised durations.
pub(super) fn parse_definition(input: &Object) -> Result<CheckDefinition, Problem> {
    let span = |key: &str| -> Result<String, Problem> {
        let span = input.duration(key)?.filter(|span| !span.is_zero());
        Ok(span.map(duration::format).unwrap_or_default())
    };
    Ok(CheckDefinition {
        http: input.text("HTTP")?,
        method: input.text("Method")?,
        header: input.lists("Header")?,
        body: input.text("Body")?,
        disable_redirects: input.flag("DisableRedirects")?,
        tcp: input.text("TCP")?,
        tls_skip_verify: input.flag("TLSSkipVerify")?,
        tls_server_name: input.text("TLSServerName")?,
        interval: span("Interval")?,
        timeout: span("Timeout")?,
        ttl: span("TTL")?,
        deregister_critical_service_after: span("DeregisterCriticalServiceAfter")?,
    })
}

impl CheckInput {
    /// Reads and validates one check. `wrong_status` is what a bad status is told.
    pub(super) fn parse(input: &Object, wrong_status: &str) -> Result<Self, Problem> {
        let id = input.text("CheckID")?;
        let definition = parse_definition(input)?;
        let spec = parse_spec(input, &definition)?;
        Ok(Self {
            id: if id.is_empty() { input.text("ID")? } else { id },
            name: input.text("Name")?,
            notes: input.text("Notes")?,
            status: parse_status(&input.text("Status")?, wrong_status)?,
            service_id: input.text("ServiceID")?,
            kind: match spec.probe {
                // No request can give a command.
                Probe::Fixed | Probe::Command { .. } => "",
                Probe::Ttl(_) => "ttl",
                Probe::Http(_) => "http",
                Probe::Tcp { .. } => "tcp",
            },
            definition,
            spec,
        })
    }

    /// As this agent keeps it, with an id and a name.
    pub(super) fn local(self, node: &str, service: Option<&ServiceRow>) -> LocalCheck {
        let status = self.status.unwrap_or(CheckStatus::Critical);
        let row = CheckRow {
            node: node.to_owned(),
            check_id: self.id,
            name: self.name,
            status,
            notes: self.notes,
            output: String::new(),
            service_id: service.map(|row| row.id.clone()).unwrap_or_default(),
            service_name: service.map(|row| row.name.clone()).unwrap_or_default(),
            service_tags: service.map(|row| row.tags.clone()).unwrap_or_default(),
            kind: self.kind.to_owned(),
            definition: self.definition,
            create_index: 0,
            modify_index: 0,
        };
        LocalCheck {
            row,
            spec: self.spec,
            beat: Duration::ZERO,
            restored: false,
            quiet_until: None,
        }
    }
}

fn parse_spec(input: &Object, shown: &CheckDefinition) -> Result<CheckSpec, Problem> {
    let span = |key: &str| input.duration(key).map(Option::unwrap_or_default);
    let (interval, ttl, timeout) = (span("Interval")?, span("TTL")?, span("Timeout")?);
    let scripted = ["Args", "ScriptArgs", "Script"]
        .iter()
        .any(|key| input.has(key));
    let given = |key: &&&str| matches!(input.text(key).as_deref(), Ok(text) if !text.is_empty());
    let unsupported = UNSUPPORTED.iter().find(given);
    let periodic = scripted || !shown.http.is_empty() || !shown.tcp.is_empty();
    if !interval.is_zero() && !ttl.is_zero() {
        return Err(invalid("Interval and TTL cannot both be specified"));
    }
    if let Some(kind) = unsupported {
        return Err(invalid(&format!(
            "{kind} checks are not run by this agent: use TTL, HTTP or TCP"
        )));
    }
    if periodic && interval.is_zero() && ttl.is_zero() {
        return Err(invalid(
            "Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks",
        ));
    }
    if !periodic && ttl.is_zero() {
        return Err(invalid("TTL must be > 0 for TTL checks"));
    }
    let probe = if !ttl.is_zero() {
        Probe::Ttl(ttl)
    } else if !shown.http.is_empty() {
        Probe::Http(http_probe(shown))
    } else if !shown.tcp.is_empty() {
        Probe::Tcp {
            address: shown.tcp.clone(),
        }
    } else {
        return Err(Problem::Failed("Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true".into()));
    };
    thresholds(
        input,
        CheckSpec {
            probe,
            interval: interval.max(INTERVAL_MIN),
            timeout: if timeout.is_zero() {
                TIMEOUT_DEFAULT
            } else {
                timeout
            },
            deregister_after: input
                .duration("DeregisterCriticalServiceAfter")?
                .filter(|span| !span.is_zero())
                .map(|span| span.max(DEREGISTER_MIN)),
            ..CheckSpec::fixed()
        },
    )
}

fn thresholds(input: &Object, mut spec: CheckSpec) -> Result<CheckSpec, Problem> {
    spec.success_before_passing = input.number("SuccessBeforePassing")?;
    spec.failures_before_critical = input.number("FailuresBeforeCritical")?;
    spec.failures_before_warning = match input.number("FailuresBeforeWarning")? {
        0 => spec.failures_before_critical,
        given => given,
    };
    if spec.failures_before_warning > spec.failures_before_critical {
        return Err(invalid(
            "FailuresBeforeWarning can't be higher than FailuresBeforeCritical",
        ));
    }
    spec.output_max = match input.number::<usize>("OutputMaxSize")? {
        0 => OUTPUT_MAX,
        given => given.min(OUTPUT_MAX),
    };
    Ok(spec)
}

fn http_probe(shown: &CheckDefinition) -> HttpProbe {
    HttpProbe {
        url: shown.http.clone(),
        method: shown.method.clone(),
        header: shown.header.clone(),
        body: shown.body.clone(),
        disable_redirects: shown.disable_redirects,
        tls_skip_verify: shown.tls_skip_verify,
        tls_server_name: shown.tls_server_name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<CheckInput, Problem> {
        CheckInput::parse(&Object::parse(text.as_bytes()).unwrap(), "Bad check status")
    }

    #[test]
    fn definitions_that_make_no_sense_are_refused_in_consuls_words() {
        for (body, text) in [
            ("{}", "Invalid check: TTL must be > 0 for TTL checks"),
            (
                r#"{"TTL":"1s","Interval":"1s"}"#,
                "Invalid check: Interval and TTL cannot both be specified",
            ),
            (
                r#"{"HTTP":"http://x"}"#,
                "Invalid check: Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks",
            ),
            (
                r#"{"TCP":"x:1","Interval":"1s","FailuresBeforeWarning":3,"FailuresBeforeCritical":2}"#,
                "Invalid check: FailuresBeforeWarning can't be higher than FailuresBeforeCritical",
            ),
            (r#"{"TTL":"1s","Status":"up"}"#, "Bad check status"),
            (
                r#"{"GRPC":"x:1","Interval":"1s"}"#,
                "Invalid check: GRPC checks are not run by this agent: use TTL, HTTP or TCP",
            ),
        ] {
            let problem = parse(body).unwrap_err();
            assert_eq!(
                (problem.reply().status, problem.to_string()),
                (400, text.into())
            );
        }
        let scripts = parse(r#"{"Args":["x"],"Interval":"1s"}"#).unwrap_err();
        assert_eq!(scripts.reply().status, 500);
    }

    #[test]
    fn bounds_and_defaults_hold() {
        let check = parse(
            r#"{"http":"http://x","interval":"10ms","deregister_critical_service_after":"1s"}"#,
        )
        .unwrap();
        assert_eq!(check.spec.interval, INTERVAL_MIN);
        assert_eq!(check.spec.timeout, TIMEOUT_DEFAULT);
        assert_eq!(check.spec.deregister_after, Some(DEREGISTER_MIN));
        assert_eq!(
            (check.kind, check.definition.interval.as_str()),
            ("http", "10ms")
        );
        let check = parse(r#"{"TTL":15000000000,"HTTP":"http://x"}"#).unwrap();
        assert_eq!(check.spec.probe, Probe::Ttl(Duration::from_secs(15)));
    }
}
