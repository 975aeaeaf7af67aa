//! Services as clients send them, to an agent or to the catalog.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::input::Object;
use super::reply::Problem;
use crate::model::{META_PAIRS, ServiceAddress, ServiceRow, Weights, meta_problem};

/// Why a service can't be registered; agent and catalog say it with different status codes.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServiceProblem {
    #[error("Invalid service address")]
    Address,
    #[error("Invalid Service Meta: {0}")]
    Meta(String),
    #[error("Invalid Weights: {0}")]
    Weights(&'static str),
    #[error(transparent)]
    Input(Problem),
}

impl From<Problem> for ServiceProblem {
    fn from(problem: Problem) -> Self {
        Self::Input(problem)
    }
}

impl ServiceProblem {
    /// As a 400.
    pub(super) fn bad(self) -> Problem {
        match self {
            Self::Input(problem) => problem,
            other => Problem::Bad(other.to_string()),
        }
    }

    /// As a 500.
    pub(super) fn failed(self) -> Problem {
        match self {
            Self::Input(problem) => problem,
            other => Problem::Failed(other.to_string()),
        }
    }
}

/// Reads a service called `name` on `node`. Its id defaults to its name.
pub(super) fn parse_service(
    input: &Object,
    name: String,
    node: &str,
) -> Result<ServiceRow, ServiceProblem> {
    let id = input.text("ID")?;
    let address = input.text("Address")?;
    if matches!(address.as_str(), "0.0.0.0" | "::" | "[::]") {
        return Err(ServiceProblem::Address);
    }
    let meta = input.map("Meta")?;
    check_meta(&meta).map_err(ServiceProblem::Meta)?;
    Ok(ServiceRow {
        node: node.to_owned(),
        id: if id.is_empty() { name.clone() } else { id },
        name,
        tags: input.texts("Tags")?,
        tagged_addresses: tagged_addresses(input)?,
        address,
        port: input.number("Port")?,
        meta,
        weights: weights(input)?,
        enable_tag_override: input.flag("EnableTagOverride")?,
        kind: input.text("Kind")?,
        create_index: 0,
        modify_index: 0,
    })
}

/// Adds the tagged addresses that an agent derives from an IP address.
pub(super) fn tag_own_address(service: &mut ServiceRow) {
    let tags = match service.address.parse() {
        Ok(IpAddr::V4(_)) => ["lan_ipv4", "wan_ipv4"],
        Ok(IpAddr::V6(_)) => ["lan_ipv6", "wan_ipv6"],
        Err(_) => return,
    };
    for tag in tags {
        let own = || ServiceAddress {
            address: service.address.clone(),
            port: service.port,
        };
        service
            .tagged_addresses
            .entry(tag.into())
            .or_insert_with(own);
    }
}

fn tagged_addresses(input: &Object) -> Result<BTreeMap<String, ServiceAddress>, Problem> {
    let given = input.objects_by_name("TaggedAddresses")?;
    given
        .into_iter()
        .map(|(tag, address)| {
            let address = ServiceAddress {
                address: address.text("Address")?,
                port: address.number("Port")?,
            };
            Ok((tag, address))
        })
        .collect()
}

fn weights(input: &Object) -> Result<Weights, ServiceProblem> {
    let Some(given) = input.object("Weights")?.filter(|given| !given.is_empty()) else {
        return Ok(Weights::default());
    };
    let weight = |key| {
        given
            .number::<u16>(key)
            .map_err(|_| ServiceProblem::Weights("want whole numbers from 0 to 65535"))
    };
    let (passing, warning) = (weight("Passing")?, weight("Warning")?);
    if passing == 0 {
        return Err(ServiceProblem::Weights("Passing must be greater than 0"));
    }
    Ok(Weights { passing, warning })
}

/// Checks the meta data of a node or a service.
pub(super) fn check_meta(meta: &BTreeMap<String, String>) -> Result<(), String> {
    if meta.len() > META_PAIRS {
        return Err(format!(
            "Node metadata cannot contain more than {META_PAIRS} key/value pairs"
        ));
    }
    for (key, value) in meta {
        let Some(why) = meta_problem(key, value) else {
            continue;
        };
        return Err(format!(
            "Couldn't load metadata pair ('{key}', '{value}'): {why}"
        ));
    }
    Ok(())
}
