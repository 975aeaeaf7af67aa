//! Amazon's cloud: instances by tag, and what else this program asks it.
//!
//! Owns: credentials and region as the SDKs find them, the instance metadata service ([`Imds`],
//! version 2 only), signed calls ([`Api`]), and the [`Aws`] provider. Does not own: when it is
//! asked, and what follows. Always true: no credential stands in an error or in a `Debug` output,
//! and every request has a deadline.

mod api;
mod calls;
mod credentials;
mod endpoint;
mod exchange;
mod imds;
mod instances;
mod lifecycle;
mod profile;
mod provider;
mod refusal;
mod region;
mod secret;
mod sign;
mod surroundings;
mod xml;

#[cfg(test)]
mod api_tests;
#[cfg(test)]
mod double;
#[cfg(test)]
mod imds_tests;
#[cfg(test)]
mod provider_tests;

pub use api::Api;
pub use imds::Imds;
pub use lifecycle::{GroupMember, Hook};
pub use provider::Aws;

/// The word behind `provider=`.
const KIND: &str = "aws";
