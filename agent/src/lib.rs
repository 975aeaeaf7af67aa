//! Swarmer: one agent a node, and from it a cluster. `docs/architecture.md` is the map.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod agent;
pub mod cli;
pub mod client;
pub mod cluster;
pub mod config;
pub mod decide;
pub mod demo;
pub mod discover;
pub mod disk;
pub mod dns;
pub mod docker;
pub mod http;
pub mod loops;
pub mod model;
pub mod pki;
pub mod registry;
pub mod rpc;
pub mod seed;
pub mod state;
pub mod store;
pub mod task;
