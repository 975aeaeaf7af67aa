//! What operators do. Who gets here was authorised by the table of endpoints (T6).

use super::api::Api;
use super::input::Object;
use super::operations::{MemberAct, OperationError, TokenAct};
use super::reply::{Outcome, Problem, Reply};
use super::request::Request;
use crate::config::MAX_EXPECT;
use crate::model::{NodeId, Role};

impl From<OperationError> for Problem {
    fn from(error: OperationError) -> Self {
        match error {
            OperationError::Refused(text) => Self::Bad(text),
            OperationError::Missing(text) => Self::Missing(text),
            OperationError::Failed(text) => Self::Failed(text),
            OperationError::Store(error) => Self::Store(error),
        }
    }
}

async fn act(api: &Api, request: &Request, act: TokenAct) -> Outcome {
    let answer = api.operations().tokens(act).await?;
    Ok(Reply::json(request.pretty(), &answer))
}

pub(super) async fn tokens(api: &Api, request: &Request) -> Outcome {
    act(api, request, TokenAct::List).await
}

fn role(input: &Object) -> Result<Role, Problem> {
    let text = input.text("Role")?;
    text.parse().map_err(Problem::Bad)
}

pub(super) async fn create_token(api: &Api, request: &Request) -> Outcome {
    let input = Object::parse(&request.body)?;
    let create = TokenAct::Create {
        role: role(&input)?,
        description: input.text("Description")?,
    };
    act(api, request, create).await
}

pub(super) async fn rotate_token(api: &Api, request: &Request) -> Outcome {
    let input = Object::parse(&request.body)?;
    act(
        api,
        request,
        TokenAct::Rotate {
            role: role(&input)?,
        },
    )
    .await
}

pub(super) async fn revoke_token(api: &Api, request: &Request) -> Outcome {
    let id = request.argument("Missing token id")?;
    let id = id.parse().map_err(Problem::Bad)?;
    act(api, request, TokenAct::Revoke(id)).await
}

pub(super) async fn remove_member(api: &Api, request: &Request) -> Outcome {
    let node = request.argument("Missing node name")?;
    let state = api.store().state();
    let by_id = node.parse::<NodeId>().ok();
    let id = by_id.or_else(|| state.member_named(node).map(|member| member.id));
    let missing = || Problem::Missing(format!("there is no member {node:?}"));
    let id = id
        .filter(|id| state.member(*id).is_some())
        .ok_or_else(missing)?;
    api.operations().members(MemberAct::Remove(id)).await?;
    Ok(Reply::empty())
}

pub(super) async fn expect(api: &Api, request: &Request) -> Outcome {
    let text = request.argument("Missing number of voters")?;
    let wrong = || {
        Problem::Bad(format!(
            "{text:?} is no number of voters: 1 to {MAX_EXPECT} are, best odd"
        ))
    };
    let expect = text.parse().map_err(|_| wrong())?;
    if !(1..=MAX_EXPECT).contains(&expect) {
        return Err(wrong());
    }
    api.operations().members(MemberAct::Expect(expect)).await?;
    Ok(Reply::empty())
}

pub(super) async fn leave(api: &Api, _: &Request) -> Outcome {
    api.operations().leave().await?;
    Ok(Reply::empty())
}

pub(super) async fn log_level(api: &Api, request: &Request) -> Outcome {
    let wanted = match request.method.as_str() {
        "PUT" => Some(Object::parse(&request.body)?.text("Level")?),
        _ => None,
    };
    let level = api.operations().log_level(wanted.as_deref())?;
    let answer = serde_json::json!({ "Level": level });
    Ok(Reply::json(request.pretty(), &answer))
}

pub(super) async fn snapshot(api: &Api, request: &Request) -> Outcome {
    api.check_dc(request)?;
    if request.method == "PUT" {
        api.operations()
            .restore_snapshot(request.body.clone())
            .await?;
        return Ok(Reply::empty());
    }
    let snapshot = api.operations().save_snapshot().await?;
    let reply = Reply {
        body: snapshot.archive,
        ..Reply::empty()
    };
    Ok(reply
        .with("Content-Type", "application/x-gzip")
        .with("X-Consul-Index", snapshot.index.max(1).to_string())
        .with("X-Consul-KnownLeader", "true")
        .with("X-Consul-LastContact", "0"))
}
