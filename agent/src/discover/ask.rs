//! One question over HTTP, and trouble in the words of the door.

use std::time::Duration;

use bytes::Bytes;
use hyper::header::HeaderValue;
use hyper::{Request, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use tokio::sync::Mutex;

use super::ProviderError;
use super::said::{retry_after, said};
use super::web::Web;
use crate::config::Secret;
use crate::task::clock;

/// A token is not used in its last minute: the clouds' clocks are not ours.
const SPARE: Duration = Duration::from_secs(60);

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

/// What a token service answers (RFC 6749 section 5.1).
#[derive(Deserialize)]
pub(super) struct Granted {
    access_token: String,
    /// Azure's metadata service writes the number as a text.
    #[serde(deserialize_with = "number")]
    expires_in: u64,
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(u64),
        Text(String),
    }
    match Either::deserialize(deserializer)? {
        Either::Number(number) => Ok(number),
        Either::Text(text) => text.parse().map_err(serde::de::Error::custom),
    }
}

/// What a token service says when it grants none (RFC 6749 section 5.2).
#[derive(Deserialize, Default)]
pub(super) struct Denied {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
}

/// The token in an answer, or why there is none.
pub(super) fn granted(
    call: &'static str,
    answer: &Response<Bytes>,
    hint: &'static str,
) -> Result<Granted, ProviderError> {
    if answer.status() == StatusCode::OK {
        return json(call, answer);
    }
    let denied: Denied = serde_json::from_slice(answer.body()).unwrap_or_default();
    let words = format!(
        "{} {} {}",
        answer.status(),
        denied.error,
        denied.error_description
    );
    Err(ProviderError::Refused {
        call,
        said: said(&words),
        hint: Some(hint),
    })
}

/// A token that is kept while it is good.
#[derive(Default)]
pub(super) struct Token {
    kept: Mutex<Option<(HeaderValue, std::time::Instant)>>,
}

impl Token {
    /// The `Authorization` header, with the token that is kept or the one that `fetch` gets.
    pub(super) async fn header(
        &self,
        call: &'static str,
        fetch: impl Future<Output = Result<Granted, ProviderError>>,
    ) -> Result<HeaderValue, ProviderError> {
        let mut kept = self.kept.lock().await;
        if let Some((header, until)) = &*kept
            && clock::now() < *until
        {
            return Ok(header.clone());
        }
        let granted = fetch.await?;
        let header = HeaderValue::from_str(&format!("Bearer {}", granted.access_token));
        let mut header = header.map_err(|_| ProviderError::Unreadable {
            call,
            why: "the token can't stand in a header".to_owned(),
        })?;
        header.set_sensitive(true);
        let good = Duration::from_secs(granted.expires_in.min(86_400)).saturating_sub(SPARE);
        *kept = Some((header.clone(), clock::now() + good));
        Ok(header)
    }

    /// It was not taken: the next question gets another.
    pub(super) async fn forget(&self) {
        *self.kept.lock().await = None;
    }
}

/// A form's body (application/x-www-form-urlencoded).
pub(super) fn form(pairs: &[(&str, &Secret)]) -> Bytes {
    let pair = |(key, value): &(&str, &Secret)| format!("{key}={}", escaped(value.expose()));
    let pairs: Vec<String> = pairs.iter().map(pair).collect();
    Bytes::from(pairs.join("&"))
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
