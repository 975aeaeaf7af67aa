//! Floor 2: what a machine is told at its first boot.
//!
//! Owns: cloud-init's three texts for one machine of `servers.yml`, the node's own file among them,
//! and the CD that brings them to it. Does not own: where the token comes from, nor where any of it
//! is written.
//!
//! Always true: the user-data is the same for every datasource, and all of the node's configuration
//! is in it; a machine is given the token of its own role and no other; the same machine, token and
//! list make the same bytes.

mod iso;
mod network_config;
mod user_data;

use std::fmt;

use crate::config::{Machine, Secret, Servers};

/// cloud-init's three texts for one machine.
#[derive(Clone, PartialEq, Eq)]
pub struct Seed {
    /// A `#cloud-config`. As secret as the token that is in it.
    pub user_data: String,
    /// Of the NoCloud datasource; clouds have their own.
    pub meta_data: String,
    /// Of the NoCloud datasource (version 2): a static address in the admin network.
    pub network_config: String,
}

impl Seed {
    /// What `machine`, one of `servers`, is told. `token` is the one of its role.
    #[must_use]
    pub fn new(servers: &Servers, machine: &Machine, token: &Secret) -> Self {
        let (stack, dc, name) = (&servers.stack, &servers.dc, &machine.name);
        Self {
            user_data: user_data::render(servers, machine, token),
            meta_data: format!("instance-id: {stack}-{dc}-{name}\nlocal-hostname: {name}\n"),
            network_config: network_config::render(servers, machine),
        }
    }

    /// A CD with the three, as the NoCloud datasource looks for it: volume `CIDATA`.
    #[must_use]
    pub fn iso(&self) -> Vec<u8> {
        iso::image(
            "CIDATA",
            &[
                ("META_DAT.;1", "meta-data", self.meta_data.as_bytes()),
                (
                    "NETWORK_.;1",
                    "network-config",
                    self.network_config.as_bytes(),
                ),
                ("USER_DAT.;1", "user-data", self.user_data.as_bytes()),
            ],
        )
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed([secret])")
    }
}
