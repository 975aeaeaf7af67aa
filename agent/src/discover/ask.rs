//! One question over HTTP, and trouble in the words of the door.

use bytes::Bytes;
use hyper::{Request, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::ProviderError;
use super::said::{retry_after, said};
use super::web::Web;

/// Sends it; an answer of any status but those that ask for patience is an answer.
pub(super) async fn send(
    web: &Web,
    call: &'static str,
    built: hyper::http::Result<Request<Bytes>>,
) -> Result<Response<Bytes>, ProviderError> {
    // Arguments and what the cloud said before may stand in a path or a header.
    let request = built.map_err(|error| ProviderError::Unreadable {
        call,
        why: format!("it can't be asked: {error}"),
    })?;
    let sent = web.send(request).await;
    let answer = sent.map_err(|error| ProviderError::Unreachable {
        call,
        at: error.at,
        why: error.why,
    })?;
    let busy = [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::SERVICE_UNAVAILABLE,
    ];
    if busy.contains(&answer.status()) {
        let words = String::from_utf8_lossy(answer.body());
        return Err(ProviderError::Throttled {
            call,
            said: said(&format!("{} {words}", answer.status())),
            after: retry_after(answer.headers()),
        });
    }
    Ok(answer)
}

/// The JSON of an answer. The error quotes none of it: there may be a token in it.
pub(super) fn json<T: DeserializeOwned>(
    call: &'static str,
    answer: &Response<Bytes>,
) -> Result<T, ProviderError> {
    serde_json::from_slice(answer.body()).map_err(|error| {
        let what = match error.classify() {
            Category::Data => "it has another form than it should",
            Category::Io | Category::Syntax | Category::Eof => "it is no JSON",
        };
        let why = format!("{what} (line {} column {})", error.line(), error.column());
        ProviderError::Unreadable { call, why }
    })
}

/// A text as it may stand in a query or a path (RFC 3986 section 2.3).
pub(super) fn escaped(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}
