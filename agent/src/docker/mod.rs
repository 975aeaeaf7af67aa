//! Floor 4: the node's Docker Engine.
//!
//! Owns: the ways to the engine ([`Engine`] for its Swarm, [`Containers`] for what it runs), its
//! words turned into ours, and what to do about each way in which it may fail; the TLS front through
//! which operators reach it from elsewhere ([`EngineFront`]). Does not own: what should become of the
//! engine (`decide::swarm`, `decide::registrator`), when to try again (their twins among the loops),
//! and who is an operator (handed in).
//!
//! Always true: every call ends in bounded time; no error and no log line carries a join token; the
//! engine opens no port of its own.

mod containers;
mod error;
mod front;
#[cfg(test)]
mod front_tests;
mod local;
mod read;
pub mod trust;

use futures_util::future::BoxFuture;

pub use containers::{Containers, Ended, Event, Events};
pub use error::EngineError;
pub use front::{Admit, EngineFront};
pub use local::LocalEngine;

use crate::decide::swarm::{EngineInfo, JoinOffer, SwarmView};

/// Where the engine should be reached by others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertise {
    /// This node's address in the admin network.
    pub address: std::net::IpAddr,
    /// Swarm's management port, 2377 but in tests.
    pub port: u16,
}

/// A change of one Swarm node; the engine must manage the Swarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeChange {
    /// From worker to manager.
    Promote,
    /// From manager to worker.
    Demote,
    /// Its tasks move away, and none come.
    Drain,
    /// Off the list, even if it seems to be alive. Managers are refused: demote them first.
    Remove,
}

/// A Docker Engine, as far as the Swarm is concerned.
pub trait Engine: Send + Sync + 'static {
    /// What it says of itself.
    fn info(&self) -> BoxFuture<'_, Result<EngineInfo, EngineError>>;
    /// What it sees as a manager.
    fn swarm(&self) -> BoxFuture<'_, Result<SwarmView, EngineError>>;
    /// Makes a Swarm and manages it.
    fn init<'a>(&'a self, advertise: &'a Advertise) -> BoxFuture<'a, Result<(), EngineError>>;
    /// Joins a Swarm.
    fn join<'a>(
        &'a self,
        offer: &'a JoinOffer,
        advertise: &'a Advertise,
    ) -> BoxFuture<'a, Result<(), EngineError>>;
    /// Leaves its Swarm; with `force` even as a manager.
    fn leave(&self, force: bool) -> BoxFuture<'_, Result<(), EngineError>>;
    /// Changes a node of its Swarm.
    fn change<'a>(
        &'a self,
        node: &'a str,
        change: NodeChange,
    ) -> BoxFuture<'a, Result<(), EngineError>>;
}
