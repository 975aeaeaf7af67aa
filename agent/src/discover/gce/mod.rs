//! Google Compute Engine: the instances that carry a network tag.
//!
//! Owns: what is asked of the Compute API and of the metadata server, and in whose name. Does not
//! own: how often it is asked. Always true: a token is kept while it is good, no key or token is
//! in an error, and an instance counts as deleted only while every zone answers and its peers are
//! seen.
//!
//! Written from the documents of the API (`instances.aggregatedList`, "Authenticate workloads to
//! Google Cloud", "Using OAuth 2.0 for server to server applications"); no Google Cloud was asked.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use hyper::header::HeaderValue;
use hyper::{Method, Request};
use regex::Regex;
use tokio::sync::OnceCell;

use super::ask::{self, escaped};
use super::oauth::Token;
use super::web::Web;
use super::{Fate, LeftOut, Machine, Provider, ProviderError};
use crate::config::AdminNetwork;

mod account;
mod answers;
mod metadata;
#[cfg(test)]
mod tests;

use account::Account;
use answers::{Instance, Page};
use metadata::Metadata;

const KIND: &str = "gce";
const LIST: &str = "listing Google Compute Engine's instances (instances.aggregatedList)";
const API: &str = "https://compute.googleapis.com";
const FIRMWARE: &str = "/sys/class/dmi/id/sys_vendor";
/// Of 500 instances each.
const PAGES: usize = 200;

/// One network tag in one project.
pub(super) struct Gce {
    api: String,
    web: Web,
    metadata: Metadata,
    account: Option<PathBuf>,
    token: Token,
    project: OnceCell<String>,
    tag: String,
    zones: Option<Regex>,
    network: AdminNetwork,
    firmware: PathBuf,
}

impl Gce {
    /// With these arguments, which `config` has let through.
    pub(super) fn new(
        args: &BTreeMap<String, String>,
        network: &AdminNetwork,
    ) -> Result<Self, ProviderError> {
        Self::at(API, metadata::SERVER, args, network)
    }

    fn at(
        api: &str,
        metadata: &str,
        args: &BTreeMap<String, String>,
        network: &AdminNetwork,
    ) -> Result<Self, ProviderError> {
        let wrong = |key, expected: &str| ProviderError::argument(KIND, key, expected);
        let tag = args
            .get("tag_value")
            .ok_or_else(|| wrong("tag_value", "given"))?;
        let zones = args
            .get("zone_pattern")
            .map(|pattern| Regex::new(&format!("^(?:{pattern})$")))
            .transpose()
            .map_err(|_| wrong("zone_pattern", "a regular expression, such as us-west1-.*"))?;
        let web = Web::public();
        Ok(Self {
            api: api.to_owned(),
            metadata: Metadata::new(web.clone(), metadata),
            web,
            account: args.get("credentials_file").map(PathBuf::from),
            token: Token::default(),
            project: OnceCell::new_with(args.get("project_name").cloned()),
            tag: tag.clone(),
            zones,
            network: network.clone(),
            firmware: PathBuf::from(FIRMWARE),
        })
    }

    async fn project(&self) -> Result<&str, ProviderError> {
        let project = self
            .project
            .get_or_try_init(|| self.metadata.project())
            .await?;
        Ok(project)
    }

    /// From the service account's key: the one that is named, or the one that Google's own
    /// libraries would take; else this machine's.
    async fn authorization(&self) -> Result<HeaderValue, ProviderError> {
        let fetch = async {
            let named = std::env::var_os("GOOGLE_APPLICATION_CREDENTIALS").map(PathBuf::from);
            match self.account.clone().or(named) {
                Some(path) => Account::read(&path)?.token(&self.web).await,
                None => self.metadata.token().await,
            }
        };
        self.token.header(LIST, fetch).await
    }

    /// Every instance of the project, and true if all zones were asked.
    async fn instances(&self) -> Result<(Vec<Instance>, bool), ProviderError> {
        let project = escaped(self.project().await?);
        let mut found = Vec::new();
        let mut whole = true;
        let mut next = String::new();
        for _ in 0..PAGES {
            let built = Request::builder()
                .method(Method::GET)
                .uri(format!(
                    "{}/compute/v1/projects/{project}/aggregated/instances?maxResults=500{next}",
                    self.api
                ))
                .header("authorization", self.authorization().await?)
                .body(Bytes::new());
            let answer = ask::send(&self.web, LIST, built).await?;
            if answer.status() == hyper::StatusCode::UNAUTHORIZED {
                self.token.forget().await;
            }
            let page = Page::read(LIST, &answer)?;
            whole &= page.is_whole();
            let token = page.next.clone();
            found.extend(page.instances());
            let Some(token) = token else {
                return Ok((found, whole));
            };
            next = format!("&pageToken={}", escaped(&token));
        }
        Err(ProviderError::Unreadable {
            call: LIST,
            why: format!("more than {PAGES} pages"),
        })
    }

    /// Judged here: the API's filters know no list's members.
    fn is_tagged(&self, instance: &Instance) -> bool {
        let zone = |pattern: &Regex| pattern.is_match(instance.zone());
        instance.has_tag(&self.tag) && self.zones.as_ref().is_none_or(zone)
    }

    async fn fate_of(&self, id: &str) -> Result<Fate, ProviderError> {
        let (instances, whole) = self.instances().await?;
        if let Some(instance) = instances.iter().find(|instance| instance.id == id) {
            return Ok(Fate::Exists(instance.status.clone()));
        }
        // One whose instances may no longer be seen knows nothing of it either.
        let mut peers = instances.iter().filter(|instance| self.is_tagged(instance));
        let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
        Ok(if is_id && whole && peers.next().is_some() {
            Fate::Missing
        } else {
            Fate::Unknown
        })
    }

    fn place(&self, instance: &Instance) -> Result<IpAddr, LeftOut> {
        if instance.status != "RUNNING" {
            return Err(LeftOut::State(instance.status.clone()));
        }
        Machine::private_address(instance.addresses(), &self.network)
    }
}

impl Provider for Gce {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn machines(&self) -> BoxFuture<'_, Result<Vec<Machine>, ProviderError>> {
        async {
            let (mut tagged, _) = self.instances().await?;
            tagged.retain(|instance| self.is_tagged(instance));
            tagged.sort_by(|one, other| one.name.cmp(&other.name));
            let machine = |instance: Instance| Machine {
                address: self.place(&instance),
                id: instance.id,
                name: instance.name,
            };
            Ok(tagged.into_iter().map(machine).collect())
        }
        .boxed()
    }

    fn fate<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Fate, ProviderError>> {
        self.fate_of(id).boxed()
    }

    fn this_machine(&self) -> BoxFuture<'_, Result<Option<String>, ProviderError>> {
        async {
            // Elsewhere nobody answers at the metadata server's address, or somebody else.
            let vendor = std::fs::read_to_string(&self.firmware).unwrap_or_default();
            if !vendor.starts_with("Google") {
                return Ok(None);
            }
            self.metadata.instance_id().await.map(Some)
        }
        .boxed()
    }
}
