//! `/v1/session/*` (<https://developer.hashicorp.com/consul/api-docs/session>).

use std::time::Duration;

use serde::Serialize;

use super::api::Api;
use super::input::Object;
use super::read::read;
use super::reply::{Outcome, Problem, Reply, done};
use super::request::Request;
use crate::config::duration;
use crate::model::{Op, SERF_HEALTH, Session, SessionBehavior, SessionId, Topic};
use crate::state::State;
use crate::store::{Answer, Question};

const TTL_MIN: Duration = Duration::from_secs(10);
const TTL_MAX: Duration = Duration::from_secs(24 * 3600);
const LOCK_DELAY_DEFAULT: Duration = Duration::from_secs(15);
/// Lock delays below this many nanoseconds are taken for seconds, as Consul does.
const LOCK_DELAY_NANOS: u128 = 1000;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SessionView<'a> {
    #[serde(rename = "ID")]
    id: SessionId,
    name: &'a str,
    node: &'a str,
    lock_delay: u64,
    behavior: SessionBehavior,
    #[serde(rename = "TTL")]
    ttl: &'a str,
    node_checks: &'a [String],
    service_checks: Option<Vec<ServiceCheckView<'a>>>,
    create_index: u64,
    modify_index: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceCheckView<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    namespace: &'static str,
}

impl<'a> From<&'a Session> for SessionView<'a> {
    fn from(session: &'a Session) -> Self {
        let checks = session.service_checks.iter();
        let service_checks: Vec<_> = checks
            .map(|id| ServiceCheckView { id, namespace: "" })
            .collect();
        Self {
            id: session.id,
            name: &session.name,
            node: &session.node,
            lock_delay: u64::try_from(session.lock_delay.as_nanos()).unwrap_or(u64::MAX),
            behavior: session.behavior,
            ttl: &session.ttl_text,
            node_checks: &session.node_checks,
            service_checks: (!service_checks.is_empty()).then_some(service_checks),
            create_index: session.create_index,
            modify_index: session.modify_index,
        }
    }
}

pub(super) async fn create(api: &Api, request: &Request) -> Outcome {
    api.check_dc(request)?;
    let input = Object::parse_or_empty(&request.body)?;
    let ttl_text = input.text("TTL")?;
    let session = Session {
        id: SessionId(uuid::Uuid::new_v4()),
        name: input.text("Name")?,
        node: match input.text("Node")?.as_str() {
            "" => api.node_of(&request.caller, &api.store().state()),
            node => node.to_owned(),
        },
        lock_delay: lock_delay(&input)?,
        behavior: behavior(&input)?,
        ttl: parse_ttl(&ttl_text)?,
        ttl_text,
        node_checks: node_checks(&input)?,
        service_checks: input
            .objects("ServiceChecks")?
            .iter()
            .map(|check| check.text("ID"))
            .collect::<Result<_, _>>()?,
        create_index: 0,
        modify_index: 0,
    };
    let id = session.id;
    done(
        api.store()
            .write(Op::SessionCreate(Box::new(session)))
            .await?,
    )?;
    let created = serde_json::json!({ "ID": id });
    Ok(Reply::json(request.pretty(), &created))
}

fn lock_delay(input: &Object) -> Result<Duration, Problem> {
    let delay = input.duration("LockDelay")?.unwrap_or(LOCK_DELAY_DEFAULT);
    let nanos = delay.as_nanos();
    Ok(if nanos < LOCK_DELAY_NANOS {
        Duration::from_secs(u64::try_from(nanos).unwrap_or(0))
    } else {
        delay
    })
}

fn behavior(input: &Object) -> Result<SessionBehavior, Problem> {
    match input.text("Behavior")?.as_str() {
        "" | "release" => Ok(SessionBehavior::Release),
        "delete" => Ok(SessionBehavior::Delete),
        other => Err(Problem::Failed(format!(
            "Invalid Behavior setting '{other}'"
        ))),
    }
}

fn parse_ttl(text: &str) -> Result<Option<Duration>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    let ttl = duration::parse(text)
        .map_err(|error| Problem::Failed(format!("Session TTL '{text}' invalid: {error}")))?;
    match ttl {
        Duration::ZERO => Ok(None),
        ttl if (TTL_MIN..=TTL_MAX).contains(&ttl) => Ok(Some(ttl)),
        ttl => Err(Problem::Failed(format!(
            "Invalid Session TTL '{}', must be between [10s=24h0m0s]",
            ttl.as_nanos()
        ))),
    }
}

/// `Checks` is the older name; of the two, the one that says something other than the default.
fn node_checks(input: &Object) -> Result<Vec<String>, Problem> {
    let default = vec![SERF_HEALTH.to_owned()];
    let newer = input.texts("NodeChecks")?;
    if input.has("NodeChecks") && (newer != default || !input.has("Checks")) {
        return Ok(newer);
    }
    if input.has("Checks") {
        return input.texts("Checks");
    }
    Ok(default)
}

pub(super) async fn destroy(api: &Api, request: &Request) -> Outcome {
    api.check_dc(request)?;
    // What is no id names no session, and ending none is fine.
    if let Ok(id) = request.argument("Missing session")?.parse() {
        done(api.store().write(Op::SessionDestroy(id)).await?)?;
    }
    Ok(Reply::json(request.pretty(), &true))
}

pub(super) async fn renew(api: &Api, request: &Request) -> Outcome {
    api.check_dc(request)?;
    let text = request.argument("Missing session")?;
    let missing = || Problem::Missing(format!("Session id '{text}' not found"));
    let id = text.parse().map_err(|_| missing())?;
    match api
        .store()
        .leader()?
        .ask(Question::RenewSession(id))
        .await?
    {
        Answer::Session(Some(session)) => Ok(Reply::json(
            request.pretty(),
            &[SessionView::from(&session)],
        )),
        _ => Err(missing()),
    }
}

pub(super) async fn info(api: &Api, request: &Request) -> Outcome {
    let id: Option<SessionId> = request.argument("Missing session")?.parse().ok();
    sessions(api, request, |session| Some(session.id) == id).await
}

pub(super) async fn of_node(api: &Api, request: &Request) -> Outcome {
    let node = request.argument("Missing node name")?;
    sessions(api, request, |session| {
        session.node.eq_ignore_ascii_case(node)
    })
    .await
}

pub(super) async fn list(api: &Api, request: &Request) -> Outcome {
    sessions(api, request, |_| true).await
}

async fn sessions(api: &Api, request: &Request, wanted: impl Fn(&Session) -> bool) -> Outcome {
    let index = |state: &State| state.sessions().index();
    let render = |state: &State| {
        let sessions = state.sessions();
        let found: Vec<_> = sessions.iter().filter(|session| wanted(session)).collect();
        let views: Vec<_> = found
            .iter()
            .map(|session| SessionView::from(&***session))
            .collect();
        Ok(Reply::json(request.pretty(), &views))
    };
    read(api, request, vec![Topic::Sessions], index, render).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Object {
        Object::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_ttl_out_of_range_is_named_in_nanoseconds() {
        assert_eq!(
            parse_ttl("15.000000s").unwrap(),
            Some(Duration::from_secs(15))
        );
        assert_eq!(parse_ttl("24h").unwrap(), Some(TTL_MAX));
        for none in ["", "0", "0s"] {
            assert_eq!(parse_ttl(none).unwrap(), None);
        }
        for (bad, start) in [
            (
                "9s",
                "Invalid Session TTL '9000000000', must be between [10s=24h0m0s]",
            ),
            ("86401s", "Invalid Session TTL '86401000000000', must be"),
            ("x", "Session TTL 'x' invalid: "),
        ] {
            let error = parse_ttl(bad).unwrap_err();
            assert!(error.to_string().starts_with(start), "{error}");
            assert_eq!(error.reply().status, 500);
        }
    }

    #[test]
    fn lock_delays_of_a_few_nanoseconds_mean_seconds() {
        let delay = |text: &str| lock_delay(&object(text)).unwrap();
        assert_eq!(delay("{}"), LOCK_DELAY_DEFAULT);
        assert_eq!(delay(r#"{"LockDelay":5}"#), Duration::from_secs(5));
        assert_eq!(delay(r#"{"LockDelay":"0s"}"#), Duration::ZERO);
        assert_eq!(delay(r#"{"lockdelay":"0.001s"}"#), Duration::from_millis(1));
        assert_eq!(delay(r#"{"LockDelay":"5000ms"}"#), Duration::from_secs(5));
    }

    #[test]
    fn the_older_name_of_the_checks_still_counts() {
        let checks = |text: &str| node_checks(&object(text)).unwrap();
        assert_eq!(checks("{}"), [SERF_HEALTH]);
        assert!(checks(r#"{"Checks":[]}"#).is_empty());
        assert_eq!(
            checks(r#"{"NodeChecks":["serfHealth"],"Checks":["a"]}"#),
            ["a"]
        );
        assert_eq!(checks(r#"{"NodeChecks":["b"],"Checks":["a"]}"#), ["b"]);
    }
}
