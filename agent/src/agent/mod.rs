//! Floor 6: the composition root. Builds everything, in the order of its page, and stops it.
//!
//! Owns: which part is handed what, the order of start and stop, signals, logging. Does not own
//! anything that a part could do for itself. Always true: every port is bound before anything is
//! announced, and a critical part that ends takes the agent down with a clear last line.

mod address;
mod bind;
mod dns_config;
pub(crate) mod edges;
mod error;
mod join_token;
mod leaving;
mod links;
pub mod logging;
mod machine;
mod member;
mod operations;
mod resolv;
mod run;
mod systemd;
#[cfg(test)]
mod systemd_tests;
mod told;

pub use error::AgentError;
pub use run::{End, run};
