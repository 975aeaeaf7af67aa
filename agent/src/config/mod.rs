//! Floor 1: the node's one file, and the one that lists a cluster's machines.
//!
//! Owns: the shape of `swarmer.yaml` and of `servers.yml`, reading them from text, and saying what
//! is wrong with them. Does not own: reading files, the environment, the host's interfaces; whoever
//! needs a secret or an address resolves it above, through [`SecretSource::resolve`] and
//! [`AdminNetwork::pick`].
//!
//! Always true: unknown keys are refused; all that is wrong is said at once, each with file, line,
//! key, what was found and what would be right; no secret is quoted; no text makes it panic or run
//! long.

pub mod duration;

mod complaints;
mod error;
mod field;
mod guess;
mod join;
mod network;
mod parse;
mod s3;
mod schema;
mod secret;
mod sections;
mod servers;
mod shape;
mod storage;
mod syntax;
mod template;
mod timing;
mod tree;

#[cfg(test)]
mod tests;

pub use error::{ConfigError, ConfigErrors, Place, Problem};
pub use join::{DEFAULT_RPC_PORT, JoinSource};
pub use network::AdminNetwork;
pub use parse::MAX_EXPECT;
pub use schema::schema;
pub use secret::{Keeper, Secret, SecretError, SecretSource};
pub use servers::{Machine, Servers, servers_schema};
pub use shape::{
    Config, Dns, Docker, Listen, Log, LogFormat, LogLevel, Recursors, Registrator, Registry, S3,
    Setting, Storage, SwarmMode, Timing,
};
pub use template::{Part, Template};

/// The exit code for a bad configuration (`sysexits.h`).
pub const EX_CONFIG: u8 = 78;
