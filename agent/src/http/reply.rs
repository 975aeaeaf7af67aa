//! What goes back, and the one table from errors to status and text.

use axum::http::StatusCode;
use bytes::Bytes;
use serde::Serialize;

use crate::model::Refusal;
use crate::store::{HttpReply, StoreError};

/// JSON's media type: npm's client decodes nothing else.
pub(super) const JSON: &str = "application/json";
/// Plain text, as Go's sniffing names it.
pub(super) const TEXT: &str = "text/plain; charset=utf-8";

/// An answer, before the headers that all have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

impl Reply {
    /// 200 with nothing, not even a media type.
    pub(super) fn empty() -> Self {
        Self {
            status: 200,
            ..Self::default()
        }
    }

    /// A text with a status.
    pub(super) fn text(status: u16, text: impl Into<String>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::from(text.into()),
        }
        .with("Content-Type", TEXT)
    }

    /// 200 with `value`, compact, or indented by four and ended by a line feed.
    pub(super) fn json(pretty: bool, value: &impl Serialize) -> Self {
        Self {
            status: 200,
            headers: Vec::new(),
            body: to_json(pretty, value).into(),
        }
        .with("Content-Type", JSON)
    }

    /// The same with another status.
    pub(super) fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The same with one more header.
    pub(super) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

impl From<HttpReply> for Reply {
    fn from(reply: HttpReply) -> Self {
        Self {
            status: reply.status,
            headers: reply.headers,
            body: reply.body,
        }
    }
}

impl From<Reply> for HttpReply {
    fn from(reply: Reply) -> Self {
        Self {
            status: reply.status,
            headers: reply.headers,
            body: reply.body,
        }
    }
}

fn to_json(pretty: bool, value: &impl Serialize) -> Vec<u8> {
    let mut out = Vec::new();
    let done = if pretty {
        let four = serde_json::ser::PrettyFormatter::with_indent(b"    ");
        let mut writer = serde_json::Serializer::with_formatter(&mut out, four);
        let done = value.serialize(&mut writer);
        out.push(b'\n');
        done
    } else {
        serde_json::to_writer(&mut out, value)
    };
    // Views have text keys and a vector takes every byte, so there is nothing that can fail.
    debug_assert!(done.is_ok(), "{done:?}");
    out
}

/// What goes wrong. Clients match on the texts, so nothing is put before or behind them.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    /// 400: the request is wrong in itself.
    #[error("{0}")]
    Bad(String),
    /// 403.
    #[error("{0}")]
    Denied(String),
    /// 404.
    #[error("{0}")]
    Missing(String),
    /// 405, with the methods that are allowed.
    #[error("method {method} not allowed")]
    Method {
        method: String,
        allowed: &'static str,
    },
    /// 413.
    #[error("{0}")]
    TooLarge(String),
    /// 500: the request can't be done.
    #[error("{0}")]
    Failed(String),
    /// 500 with an empty body: the query can't be decoded.
    #[error("")]
    Query,
    /// The state refused the command.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store or the way to the leader failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Problem {
    pub(super) fn reply(&self) -> Reply {
        let status = match self {
            Self::Bad(_) => StatusCode::BAD_REQUEST,
            Self::Denied(_) | Self::Store(StoreError::Denied { .. }) => StatusCode::FORBIDDEN,
            Self::Missing(_) => StatusCode::NOT_FOUND,
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Failed(_) | Self::Query | Self::Refused(_) | Self::Store(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        let reply = match self {
            Self::Query => Reply::empty().status(status.as_u16()),
            other => Reply::text(status.as_u16(), other.to_string()),
        };
        match self {
            Self::Method { allowed, .. } => reply.with("Allow", format!("OPTIONS,{allowed}")),
            _ => reply,
        }
    }
}

/// What a handler comes to.
pub(super) type Outcome = Result<Reply, Problem>;

/// A command's reply that means that it took effect.
pub(super) fn done(reply: crate::model::Reply) -> Result<bool, Problem> {
    match reply {
        crate::model::Reply::Bool(yes) => Ok(yes),
        crate::model::Reply::Refused(refusal) => Err(refusal.into()),
        crate::model::Reply::Done | crate::model::Reply::Duty(_) => Ok(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_bare_text() {
        let reply = Problem::from(StoreError::NoLeader).reply();
        assert_eq!(
            (reply.status, &reply.body[..]),
            (500, &b"No cluster leader"[..])
        );
        assert_eq!(reply.headers, [("Content-Type".into(), TEXT.into())]);
        let reply = Problem::Method {
            method: "POST".into(),
            allowed: "GET,PUT",
        }
        .reply();
        assert_eq!(
            (reply.status, &reply.body[..]),
            (405, &b"method POST not allowed"[..])
        );
        assert!(
            reply
                .headers
                .contains(&("Allow".into(), "OPTIONS,GET,PUT".into()))
        );
    }

    #[test]
    fn json_is_compact_unless_pretty() {
        let value = serde_json::json!({"a": [true]});
        assert_eq!(&Reply::json(false, &value).body[..], br#"{"a":[true]}"#);
        let pretty = Reply::json(true, &value);
        assert_eq!(
            &pretty.body[..],
            b"{\n    \"a\": [\n        true\n    ]\n}\n"
        );
    }
}
