//! `/v1/kv/<key>` (<https://developer.hashicorp.com/consul/api-docs/kv>).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::api::Api;
use super::read::read;
use super::reply::{Outcome, Problem, Reply, done};
use super::request::{Request, parse_uint};
use crate::model::{KvEntry, KvOp, Op, SessionId, Topic};
use crate::state::State;

/// An entry as clients read it. A key without a lock has no `Session` at all.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct EntryView<'a> {
    lock_index: u64,
    key: &'a str,
    flags: u64,
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<SessionId>,
    create_index: u64,
    modify_index: u64,
}

impl<'a> From<&'a KvEntry> for EntryView<'a> {
    fn from(entry: &'a KvEntry) -> Self {
        Self {
            lock_index: entry.lock_index,
            key: &entry.key,
            flags: entry.flags,
            value: (!entry.value.is_empty()).then(|| STANDARD.encode(&entry.value)),
            session: entry.session,
            create_index: entry.create_index,
            modify_index: entry.modify_index,
        }
    }
}

pub(super) async fn serve(api: &Api, request: &Request) -> Outcome {
    match request.method.as_str() {
        "PUT" => put(api, request).await,
        "DELETE" => delete(api, request).await,
        _ => get(api, request).await,
    }
}

async fn get(api: &Api, request: &Request) -> Outcome {
    let (key, query) = (request.tail(), &request.query);
    if query.has("keys") || query.has("recurse") {
        let topics = vec![Topic::Prefix(key.to_owned())];
        let index = |state: &State| state.kv().prefix_index(key);
        let render = |state: &State| {
            if query.has("keys") {
                keys(state, request)
            } else {
                subtree(state, request)
            }
        };
        return read(api, request, topics, index, render).await;
    }
    if key.is_empty() {
        return Err(Problem::Bad("Missing key name".into()));
    }
    let topics = vec![Topic::Key(key.to_owned())];
    let index = |state: &State| state.kv().key_index(key);
    read(api, request, topics, index, |state| one(state, request)).await
}

fn one(state: &State, request: &Request) -> Outcome {
    let kv = state.kv();
    let Some(entry) = kv.get(request.tail()) else {
        return Ok(Reply::empty().status(404));
    };
    if !request.query.has("raw") {
        return Ok(Reply::json(request.pretty(), &[EntryView::from(&*entry)]));
    }
    Ok(Reply {
        body: entry.value.clone(),
        ..Reply::empty()
    }
    .with("Content-Type", "text/plain")
    .with("X-Content-Type-Options", "nosniff")
    .with("Content-Security-Policy", "sandbox"))
}

fn subtree(state: &State, request: &Request) -> Outcome {
    let kv = state.kv();
    let entries: Vec<_> = kv.range(request.tail()).collect();
    if entries.is_empty() {
        return Ok(Reply::empty().status(404));
    }
    let views: Vec<_> = entries
        .iter()
        .map(|entry| EntryView::from(&***entry))
        .collect();
    Ok(Reply::json(request.pretty(), &views))
}

fn keys(state: &State, request: &Request) -> Outcome {
    let (prefix, query) = (request.tail(), &request.query);
    // The misspelling is Consul's own, and clients have copied it.
    let separator = query.some("separator").or_else(|| query.some("seperator"));
    let kv = state.kv();
    let mut keys: Vec<String> = kv
        .range(prefix)
        .map(|entry| cut(&entry.key, prefix, separator).to_owned())
        .collect();
    keys.dedup();
    if keys.is_empty() && !prefix.is_empty() {
        return Ok(Reply::empty().status(404));
    }
    Ok(Reply::json(request.pretty(), &keys))
}

/// `key` up to and with the first separator behind `prefix`.
fn cut<'a>(key: &'a str, prefix: &str, separator: Option<&str>) -> &'a str {
    let end = separator.and_then(|separator| {
        let rest = key.get(prefix.len()..)?;
        Some(prefix.len() + rest.find(separator)? + separator.len())
    });
    end.and_then(|end| key.get(..end)).unwrap_or(key)
}

async fn put(api: &Api, request: &Request) -> Outcome {
    api.check_dc(request)?;
    let query = &request.query;
    let key = request.argument("Missing key name")?.to_owned();
    refuse_conflicts(request, &["cas", "acquire", "release"])?;
    let value = request.body.clone();
    let flags = query.some("flags").map_or(Ok(0), parse_uint)?;
    let op = if let Some(session) = query.get("acquire") {
        let session = match session {
            "" => return Err(Problem::Failed("missing session".into())),
            text => text.parse().map_err(|_| no_session(text))?,
        };
        KvOp::Acquire {
            key,
            value,
            flags,
            session,
        }
    } else if let Some(text) = query.get("release") {
        // Whoever is no session at all does not hold the lock.
        let Ok(session) = text.parse() else {
            return Ok(Reply::json(request.pretty(), &false));
        };
        KvOp::Release {
            key,
            value,
            flags,
            session,
        }
    } else {
        let cas = query.get("cas").map(parse_uint).transpose()?;
        KvOp::Put {
            key,
            value,
            flags,
            cas,
        }
    };
    write(api, request, op).await
}

async fn delete(api: &Api, request: &Request) -> Outcome {
    api.check_dc(request)?;
    let query = &request.query;
    refuse_conflicts(request, &["recurse", "cas"])?;
    let op = if query.has("recurse") {
        KvOp::DeletePrefix {
            prefix: request.tail().to_owned(),
        }
    } else {
        KvOp::Delete {
            key: request.argument("Missing key name")?.to_owned(),
            cas: query.get("cas").map(parse_uint).transpose()?,
        }
    };
    write(api, request, op).await
}

async fn write(api: &Api, request: &Request, op: KvOp) -> Outcome {
    let yes = done(api.store().write(Op::Kv(op)).await?)?;
    Ok(Reply::json(request.pretty(), &yes))
}

fn no_session(text: &str) -> Problem {
    Problem::Failed(format!("invalid session {text:?}"))
}

fn refuse_conflicts(request: &Request, flags: &[&str]) -> Result<(), Problem> {
    if flags.iter().filter(|flag| request.query.has(flag)).count() > 1 {
        let query = request.query.encode();
        return Err(Problem::Bad(format!("Conflicting flags: {query}\n")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_cut_behind_the_separator_that_follows_the_prefix() {
        assert_eq!(cut("a/b/c", "a/", Some("/")), "a/b/");
        assert_eq!(cut("a/b", "a/", Some("/")), "a/b");
        assert_eq!(cut("a/b/c", "", Some("/")), "a/");
        assert_eq!(cut("a--b", "a", Some("--")), "a--");
        assert_eq!(cut("a/b", "a/", None), "a/b");
    }
}
