//! Who logs in. Read anew for each log-in, so that a changed password needs no restart.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::KIND;
use crate::config::{Secret, SecretSource};
use crate::discover::{ProviderError, guestinfo};
use crate::task::clock;

/// A name and password that were refused are not tried again within this: by default vCenter locks
/// an account after five refusals in three minutes, and every node of a cluster asks.
const LOCKOUT: Duration = Duration::from_secs(300);

/// Where name and password come from.
pub(super) struct Login {
    user: Origin,
    password: Origin,
    refused: Mutex<Option<Refused>>,
}

enum Origin {
    Source(SecretSource),
    Guestinfo(String),
}

/// A name and its password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) user: Secret,
    pub(super) password: Secret,
}

struct Refused {
    pair: Pair,
    at: Instant,
    error: ProviderError,
}

impl Login {
    /// From the arguments, or where go-discover looks: `VSPHERE_USER` and `VSPHERE_PASSWORD`.
    pub(super) fn new(args: &BTreeMap<String, String>) -> Result<Self, ProviderError> {
        Ok(Self {
            user: origin(args, "user", "VSPHERE_USER")?,
            password: origin(args, "password", "VSPHERE_PASSWORD")?,
            refused: Mutex::new(None),
        })
    }

    /// The two, now. An error if just these were refused a moment ago.
    pub(super) async fn pair(&self, call: &'static str) -> Result<Pair, ProviderError> {
        let pair = Pair {
            user: self.user.get(call, "user").await?,
            password: self.password.get(call, "password").await?,
        };
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        match &*refused {
            Some(last) if last.pair == pair && last.at.elapsed() < LOCKOUT => {
                Err(last.error.clone())
            }
            _ => Ok(pair),
        }
    }

    /// These were refused.
    pub(super) fn refuse(&self, pair: Pair, error: ProviderError) -> ProviderError {
        let refused = Refused {
            pair,
            at: clock::now(),
            error: error.clone(),
        };
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(refused);
        error
    }
}

fn origin(
    args: &BTreeMap<String, String>,
    key: &'static str,
    variable: &str,
) -> Result<Origin, ProviderError> {
    let Some(text) = args.get(key) else {
        return Ok(Origin::Source(SecretSource::Environment(
            variable.to_owned(),
        )));
    };
    if let Some(name) = text.strip_prefix("guestinfo:")
        && is_key(name)
    {
        return Ok(Origin::Guestinfo(name.to_owned()));
    }
    let source = SecretSource::read(text);
    let fine = source.filter(|_| !text.starts_with("guestinfo:"));
    fine.map(Origin::Source).ok_or_else(|| {
        let expected = format!("itself, file:/path, ${{{variable}}} or guestinfo:KEY");
        ProviderError::argument(KIND, key, expected)
    })
}

/// A key that is sure to be one word to the program that is asked.
fn is_key(text: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !text.is_empty() && text.len() <= 128 && text.bytes().all(fine)
}

impl Origin {
    async fn get(&self, call: &'static str, what: &str) -> Result<Secret, ProviderError> {
        let found = match self {
            Self::Guestinfo(key) => match guestinfo::get(key).await {
                Ok(Some(secret)) => Ok(secret),
                Ok(None) => Err(format!("guestinfo.{key}: No value found")),
                Err(error) => Err(error.to_string()),
            },
            Self::Source(source) => {
                let file = |path: &str| std::fs::read_to_string(path).map_err(|e| e.to_string());
                source
                    .resolve(|name| std::env::var(name).ok(), file)
                    .map_err(|error| error.to_string())
            }
        };
        found.map_err(|why| ProviderError::Credentials {
            call,
            tried: format!("{what}: {why}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(user: &str, password: &str) -> Result<Login, ProviderError> {
        let args = [("user", user), ("password", password)];
        Login::new(&args.map(|(k, v)| (k.to_owned(), v.to_owned())).into())
    }

    #[tokio::test]
    async fn a_refused_password_is_not_sent_again_until_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "first\n").unwrap();
        let login = login("swarmer", &format!("file:{}", file.display())).unwrap();
        let pair = login.pair("log in").await.unwrap();
        assert_eq!(pair.password.expose(), "first");
        let error = login.refuse(
            pair,
            ProviderError::Refused {
                call: "log in",
                said: "no".into(),
                hint: None,
            },
        );
        assert_eq!(login.pair("log in").await.err(), Some(error));
        std::fs::write(&file, "second\n").unwrap();
        assert!(login.pair("log in").await.is_ok());
    }

    #[tokio::test]
    async fn what_is_not_there_is_named_and_what_is_there_is_not() {
        let missing = login("u", "file:/no/such/file").unwrap();
        let error = missing.pair("log in").await.err().unwrap().to_string();
        assert!(
            error.starts_with("log in: no credentials: password: "),
            "{error}"
        );
        assert!(error.contains("/no/such/file"), "{error}");
        for bad in ["${S3CRET", "file:s3cret", "guestinfo:s3 cret", "guestinfo:"] {
            let error = login("u", bad).err().unwrap().to_string();
            assert!(error.contains("guestinfo:KEY"), "{error}");
            assert!(!error.to_lowercase().contains("s3"), "{error}");
        }
    }
}
