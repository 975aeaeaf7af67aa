//! What requests are signed with: found once, kept, and renewed before it expires.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::Mutex;

use super::surroundings::Surroundings;
use crate::config::Secret;
use crate::discover::ProviderError;
use crate::task::clock;

mod container;
mod sources;
#[cfg(test)]
mod tests;
mod web_identity;

/// Renewed when they are good for no longer than this; AWS has new ones ready by then.
const EARLY: Duration = Duration::from_secs(5 * 60);
/// AWS's secrets have 40 characters or more. A made-up one of a simulator's may be any word.
const SHORTEST: usize = 10;

/// An access key, and for a role its session token.
#[derive(Clone)]
pub(super) struct Credentials {
    access_key_id: String,
    secret_access_key: Secret,
    session_token: Option<Secret>,
    expires: Option<SystemTime>,
}

impl Credentials {
    pub(super) fn new(id: &str, secret: &str, token: Option<&str>) -> Self {
        Self {
            access_key_id: id.to_owned(),
            secret_access_key: Secret::new(secret),
            session_token: token.map(Secret::new),
            expires: None,
        }
    }

    /// The same, good until then.
    pub(super) fn until(mut self, expires: SystemTime) -> Self {
        self.expires = Some(expires);
        self
    }

    /// From the JSON of the metadata service and of containers. The error quotes none of it.
    pub(super) fn issued(text: &str) -> Result<Self, String> {
        let issued: BTreeMap<String, Value> =
            serde_json::from_str(text).map_err(|_| "that is no JSON object".to_owned())?;
        let word = |key: &str| issued.get(key).and_then(Value::as_str);
        if let Some(code) = word("Code").filter(|code| *code != "Success") {
            let message = word("Message").unwrap_or("no more was said");
            return Err(format!("{code}: {message}"));
        }
        let needed = |key: &str| word(key).ok_or_else(|| format!("it has no {key}"));
        let credentials = Self::new(
            needed("AccessKeyId")?,
            needed("SecretAccessKey")?,
            word("Token"),
        );
        match word("Expiration") {
            Some(text) => Ok(credentials.until(read_time(text)?)),
            None => Ok(credentials),
        }
    }

    pub(super) fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    pub(super) fn secret_access_key(&self) -> &Secret {
        &self.secret_access_key
    }

    pub(super) fn session_token(&self) -> Option<&Secret> {
        self.session_token.as_ref()
    }

    /// Takes out of a text whatever must not be told.
    pub(super) fn redact(&self, text: &str) -> String {
        let token = self.session_token.as_ref().map(Secret::expose);
        let secrets = [Some(self.secret_access_key.expose()), token];
        let secrets = secrets.into_iter().flatten();
        let secrets = secrets.filter(|one| one.len() >= SHORTEST);
        secrets.fold(text.to_owned(), |text, one| text.replace(one, "[secret]"))
    }

    fn good_for(&self, time: Duration) -> bool {
        self.expires
            .is_none_or(|expires| clock::wall() + time < expires)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[credentials]")
    }
}

/// `2026-01-31T23:59:59Z`.
pub(super) fn read_time(text: &str) -> Result<SystemTime, String> {
    let time = OffsetDateTime::parse(text, &Rfc3339);
    time.map(SystemTime::from)
        .map_err(|_| "its Expiration is no time".to_owned())
}

/// The credentials in use.
pub(super) struct Purse {
    given: Option<Credentials>,
    kept: Mutex<Option<Credentials>>,
}

impl Purse {
    /// `given`: those among the arguments, which go before all others.
    pub(super) fn new(given: Option<Credentials>) -> Self {
        Self {
            given,
            kept: Mutex::default(),
        }
    }

    /// Good ones, for this call.
    pub(super) async fn take(
        &self,
        call: &'static str,
        region: &str,
        around: &Surroundings,
    ) -> Result<Credentials, ProviderError> {
        if let Some(given) = &self.given {
            return Ok(given.clone());
        }
        let mut kept = self.kept.lock().await;
        if let Some(good) = kept.as_ref().filter(|kept| kept.good_for(EARLY)) {
            return Ok(good.clone());
        }
        match sources::look(call, region, around).await {
            Ok(new) => Ok(kept.insert(new).clone()),
            // What is still good serves until it is not.
            Err(error) => match kept.as_ref().filter(|kept| kept.good_for(Duration::ZERO)) {
                Some(old) => Ok(old.clone()),
                None => Err(error),
            },
        }
    }

    /// These were refused: whoever renews them may have done so meanwhile.
    pub(super) async fn forget(&self) {
        *self.kept.lock().await = None;
    }
}
