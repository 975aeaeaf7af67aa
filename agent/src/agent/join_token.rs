//! The join token: in the file or on this host, then it is there at once; or with the cloud, then
//! it is fetched while everything else starts. A member needs none, so it waits for none.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::AgentError;
use super::run::resolve;
use crate::cluster::me::Me;
use crate::config::{Config, JoinSource, Keeper, Secret, SecretSource};
use crate::discover::{ProviderError, aws, guestinfo};
use crate::disk::{DataDir, DiskError};
use crate::model::Role;
use crate::pki::Token;
use crate::task::{Backoff, Shutdown, Tasks, clock};

/// What came from the VM's guestinfo, where it is wiped: kept beside the node's key, with its
/// rights.
const KEPT: &str = "token";
const PRIVATE: u32 = 0o600;
const FIRST: Duration = Duration::from_secs(1);
const CALM: Duration = Duration::from_secs(30);
/// The same trouble is told again after this long.
const REMIND: Duration = Duration::from_secs(60);

/// The token, or its coming.
#[derive(Clone)]
pub(super) struct JoinToken {
    known: watch::Receiver<Option<Token>>,
}

/// Why it is not there yet.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("{0}")]
    Cloud(#[from] ProviderError),
    #[error("it has no value, and this node has kept none from an earlier one")]
    Nothing,
    #[error("{0}")]
    Disk(#[from] DiskError),
    #[error("what is there is no token for this node: {0}")]
    Token(Box<AgentError>),
}

/// Reads it, if it is on this host; `None`: a cloud keeps it.
pub(super) fn on_this_host(config: &Config) -> Result<Option<Token>, AgentError> {
    match &config.token {
        SecretSource::Kept(..) => Ok(None),
        here => checked(&resolve(here)?, config.role).map(Some),
    }
}

fn checked(secret: &Secret, role: Role) -> Result<Token, AgentError> {
    let token: Token = secret.expose().parse()?;
    if token.role() != role {
        let found = token.role();
        return Err(AgentError::TokenRole { found, role });
    }
    Ok(token)
}

impl JoinToken {
    /// The one that is here, or else the one that is fetched from now on.
    pub(super) fn find(
        here: Option<Token>,
        config: &Config,
        disk: &DataDir,
        me: &Arc<Me>,
        tasks: &Tasks,
    ) -> Result<Self, AgentError> {
        let (found, known) = watch::channel(here);
        if let SecretSource::Kept(keeper, name) = &config.token {
            let fetch = Fetch {
                keeper: *keeper,
                name: name.clone(),
                source: config.token.to_string(),
                api: aws::Api::new(&arguments(&config.join))?,
                disk: disk.clone(),
                me: Arc::clone(me),
            };
            let shutdown = tasks.shutdown().clone();
            tasks.spawn("token", async move {
                tokio::select! {
                    () = fetch.run(found) => {}
                    () = shutdown.begun() => {}
                }
            });
        }
        Ok(Self { known })
    }

    /// What is known now, and later.
    pub(super) fn watch(&self) -> watch::Receiver<Option<Token>> {
        self.known.clone()
    }

    /// Waits for it; `None`: the agent stops.
    pub(super) async fn get(&self, shutdown: &Shutdown) -> Option<Token> {
        let mut known = self.known.clone();
        tokio::select! {
            token = known.wait_for(Option::is_some) => token.ok()?.clone(),
            () = shutdown.begun() => None,
        }
    }
}

/// Region and keys are those of `provider=aws` in `join`, where there is one.
fn arguments(join: &[JoinSource]) -> BTreeMap<String, String> {
    let found = join.iter().find_map(|source| match source {
        JoinSource::Provider {
            kind: "aws", args, ..
        } => Some(args.clone()),
        _ => None,
    });
    found.unwrap_or_default()
}

struct Fetch {
    keeper: Keeper,
    name: String,
    /// For people.
    source: String,
    api: aws::Api,
    disk: DataDir,
    me: Arc<Me>,
}

impl Fetch {
    async fn run(self, found: watch::Sender<Option<Token>>) {
        let mut pace = Backoff::new(FIRST, CALM);
        let mut told: Option<(String, Instant)> = None;
        loop {
            let error = match self.fetch().await {
                Ok(token) => {
                    tracing::info!(source = self.source, "the token is here");
                    self.me.waits.send_replace(String::new());
                    found.send_replace(Some(token));
                    return;
                }
                Err(error) => format!("token: {}: {error}", self.source),
            };
            let again = |(said, at): &(String, Instant)| *said == error && at.elapsed() < REMIND;
            if !told.as_ref().is_some_and(again) {
                tracing::warn!("waiting: {error}");
                told = Some((error.clone(), clock::now()));
            }
            self.me.waits.send_replace(error);
            tokio::time::sleep(pace.next_delay()).await;
        }
    }

    async fn fetch(&self) -> Result<Token, FetchError> {
        let checked = |secret: &Secret| {
            checked(secret, self.me.role).map_err(|error| FetchError::Token(Box::new(error)))
        };
        if self.keeper != Keeper::Guestinfo {
            return checked(&self.api.secret(&self.source).await?);
        }
        let fetched = match guestinfo::get(&self.name).await {
            Ok(None) => None,
            Ok(Some(secret)) => Some(checked(&secret).map(|token| (secret, token))),
            Err(error) => Some(Err(error.into())),
        };
        // A token that was kept goes on being one, whatever is said now.
        if let (Some(Err(error)), Some(kept)) = (&fetched, self.kept()?) {
            tracing::warn!(
                "token: {}: {error}; the one that was kept will do",
                self.source
            );
            return checked(&kept);
        }
        if let Some((secret, token)) = fetched.transpose()? {
            // On disk before it is wiped: in between lies a power cut.
            self.disk
                .write_atomic(KEPT, secret.expose().as_bytes(), PRIVATE)?;
            match guestinfo::wipe(&self.name).await {
                Ok(()) => tracing::info!(source = self.source, "read once, and wiped"),
                Err(error) => tracing::warn!("{} could not be wiped: {error}", self.source),
            }
            return Ok(token);
        }
        checked(&self.kept()?.ok_or(FetchError::Nothing)?)
    }

    fn kept(&self) -> Result<Option<Secret>, FetchError> {
        let kept = self.disk.read(KEPT)?;
        Ok(kept.map(|kept| Secret::new(String::from_utf8_lossy(&kept).trim())))
    }
}
