//! Tokens that a cloud grants for a while (OAuth 2.0, RFC 6749).

use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::header::HeaderValue;
use hyper::{Response, StatusCode};
use serde::{Deserialize, Deserializer};
use tokio::sync::Mutex;

use super::ProviderError;
use super::ask::{escaped, json};
use super::said::said;
use crate::config::Secret;
use crate::task::clock;

/// A token is not used in its last minute: the clouds' clocks are not ours.
const SPARE: Duration = Duration::from_secs(60);

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
    kept: Mutex<Option<(HeaderValue, Instant)>>,
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
