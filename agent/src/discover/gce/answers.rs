//! What the Compute API answers: the parts of it that are looked at.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bytes::Bytes;
use hyper::{Response, StatusCode};
use serde::Deserialize;

use super::super::ProviderError;
use super::super::ask;
use super::super::said::said;

/// An `InstanceAggregatedList`.
#[derive(Deserialize)]
pub(super) struct Page {
    #[serde(default)]
    items: BTreeMap<String, Scoped>,
    #[serde(rename = "nextPageToken")]
    pub(super) next: Option<String>,
}

#[derive(Deserialize)]
struct Scoped {
    #[serde(default)]
    instances: Vec<Instance>,
    warning: Option<Warning>,
}

#[derive(Deserialize)]
struct Warning {
    #[serde(default)]
    code: String,
}

/// An `Instance`.
#[derive(Deserialize)]
pub(super) struct Instance {
    /// No later instance has the same.
    pub(super) id: String,
    pub(super) name: String,
    #[serde(default)]
    pub(super) status: String,
    /// The zone's URL.
    #[serde(default)]
    zone: String,
    #[serde(default)]
    tags: Tags,
    #[serde(rename = "networkInterfaces", default)]
    interfaces: Vec<Interface>,
}

#[derive(Deserialize, Default)]
struct Tags {
    #[serde(default)]
    items: Vec<String>,
}

#[derive(Deserialize)]
struct Interface {
    #[serde(rename = "networkIP")]
    address: Option<String>,
}

#[derive(Deserialize, Default)]
struct Failure {
    #[serde(default)]
    error: Complaint,
}

#[derive(Deserialize, Default)]
struct Complaint {
    #[serde(default)]
    message: String,
    #[serde(default)]
    errors: Vec<Reason>,
}

#[derive(Deserialize)]
struct Reason {
    #[serde(default)]
    reason: String,
}

impl Page {
    /// The page in an answer.
    pub(super) fn read(
        call: &'static str,
        answer: &Response<Bytes>,
    ) -> Result<Self, ProviderError> {
        if answer.status() == StatusCode::OK {
            let mut page: Self = ask::json(call, answer)?;
            page.next = page.next.filter(|token| !token.is_empty());
            return Ok(page);
        }
        let failure: Failure = serde_json::from_slice(answer.body()).unwrap_or_default();
        let reasons = failure.error.errors.iter().map(|e| e.reason.as_str());
        let reasons: Vec<&str> = reasons.collect();
        let words = format!(
            "{} {} {}",
            answer.status(),
            reasons.join(" "),
            failure.error.message
        );
        // Quotas come as 403, too.
        if reasons
            .iter()
            .any(|reason| reason.ends_with("ateLimitExceeded"))
        {
            return Err(ProviderError::Throttled {
                call,
                said: said(&words),
                after: None,
            });
        }
        let hint = match answer.status() {
            StatusCode::FORBIDDEN => Some(
                "the account needs compute.instances.list in the project (roles/compute.viewer), and the instance the scope compute-ro",
            ),
            StatusCode::NOT_FOUND => Some("check project_name"),
            _ => None,
        };
        Err(ProviderError::Refused {
            call,
            said: said(&words),
            hint,
        })
    }

    /// False if a zone could not be asked.
    pub(super) fn is_whole(&self) -> bool {
        let mut warnings = self.items.values().filter_map(|zone| zone.warning.as_ref());
        warnings.all(|warning| warning.code == "NO_RESULTS_ON_PAGE")
    }

    pub(super) fn instances(self) -> impl Iterator<Item = Instance> {
        self.items.into_values().flat_map(|zone| zone.instances)
    }
}

impl Instance {
    pub(super) fn has_tag(&self, tag: &str) -> bool {
        self.tags.items.iter().any(|item| item == tag)
    }

    /// `us-west1-a`.
    pub(super) fn zone(&self) -> &str {
        self.zone.rsplit('/').next().unwrap_or_default()
    }

    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let addresses = self.interfaces.iter().filter_map(|i| i.address.as_ref());
        addresses.filter_map(|address| address.parse().ok())
    }
}
