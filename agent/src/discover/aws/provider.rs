//! Instances by tag.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;

use super::KIND;
use super::api::Api;
use super::calls::DESCRIBE_INSTANCES as CALL;
use super::instances::{AddressType, Page};
use super::surroundings::{Surroundings, Variables};
use crate::config::AdminNetwork;
use crate::discover::{Fate, Machine, Provider, ProviderError};

/// As many as one answer may hold.
const PAGE: &str = "1000";
/// More than any cluster has; an answer that names a next page for ever ends here.
const MOST_PAGES: usize = 100;

/// `provider=aws`.
pub struct Aws {
    api: Api,
    tag_key: String,
    tag_value: String,
    addresses: AddressType,
    network: AdminNetwork,
}

impl Aws {
    /// With the arguments that `config` has let through. Asks nobody yet.
    pub fn new(
        args: &BTreeMap<String, String>,
        network: &AdminNetwork,
    ) -> Result<Self, ProviderError> {
        Self::in_surroundings(
            args,
            network,
            Surroundings::new(Variables::of_the_process()),
        )
    }

    pub(super) fn in_surroundings(
        args: &BTreeMap<String, String>,
        network: &AdminNetwork,
        around: Surroundings,
    ) -> Result<Self, ProviderError> {
        let wrong = |key, expected: &str| ProviderError::argument(KIND, key, expected);
        let tag = |key: &'static str| {
            let tag = args.get(key).filter(|tag| !tag.is_empty()).cloned();
            tag.ok_or_else(|| wrong(key, "given"))
        };
        let addresses = args.get("addr_type").map_or("private_v4", String::as_str);
        let addresses = AddressType::read(addresses)
            .ok_or_else(|| wrong("addr_type", AddressType::EXPECTED))?;
        if args.get("service").is_some_and(|service| service != "ec2") {
            return Err(wrong("service", "ec2, the only one that is searched"));
        }
        Ok(Self {
            tag_key: tag("tag_key")?,
            tag_value: tag("tag_value")?,
            api: Api::in_surroundings(args, around)?,
            addresses,
            network: network.clone(),
        })
    }

    async fn all(&self) -> Result<Vec<Machine>, ProviderError> {
        let filter = format!("tag:{}", self.tag_key);
        let mut machines = Vec::new();
        let mut next: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let mut parameters = vec![
                ("Filter.1.Name", filter.as_str()),
                ("Filter.1.Value.1", self.tag_value.as_str()),
                ("MaxResults", PAGE),
            ];
            if let Some(next) = &next {
                parameters.push(("NextToken", next));
            }
            let page = self.page(&parameters).await?;
            let found = page.instances.into_iter();
            machines.extend(found.map(|one| one.machine(self.addresses, &self.network)));
            match page.next {
                Some(token) => next = Some(token),
                None => return Ok(machines),
            }
        }
        Err(unreadable(format!("it has more than {MOST_PAGES} pages")))
    }

    async fn page(&self, parameters: &[(&str, &str)]) -> Result<Page, ProviderError> {
        let text = self.api.query(CALL, parameters).await?;
        Page::read(&text).map_err(unreadable)
    }

    async fn fate_of(&self, id: &str) -> Result<Fate, ProviderError> {
        let page = match self.page(&[("InstanceId.1", id)]).await {
            Ok(page) => page,
            Err(ProviderError::Refused { said, .. }) if said.starts_with("InvalidInstanceID") => {
                return Ok(Fate::Unknown);
            }
            Err(error) => return Err(error),
        };
        let one = page.instances.into_iter().find(|one| one.id == id);
        Ok(match one.map(|one| one.state) {
            Some(state) if matches!(state.as_str(), "terminated" | "shutting-down") => {
                Fate::Terminated
            }
            Some(state) => Fate::Exists(state),
            None => Fate::Unknown,
        })
    }

    async fn own_id(&self) -> Result<Option<String>, ProviderError> {
        match self.api.imds().get("instance-id").await {
            Ok(id) => Ok(id
                .map(|id| id.trim().to_owned())
                .filter(|id| !id.is_empty())),
            // Whoever answers there is no EC2 host, or was told to tell nothing.
            Err(ProviderError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Provider for Aws {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn machines(&self) -> BoxFuture<'_, Result<Vec<Machine>, ProviderError>> {
        Box::pin(self.all())
    }

    fn fate<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Fate, ProviderError>> {
        Box::pin(self.fate_of(id))
    }

    fn this_machine(&self) -> BoxFuture<'_, Result<Option<String>, ProviderError>> {
        Box::pin(self.own_id())
    }
}

fn unreadable(why: String) -> ProviderError {
    ProviderError::Unreadable {
        call: CALL.action,
        why,
    }
}
