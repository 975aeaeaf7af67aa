//! Floor 2: pure decisions: what is, what is seen, the config and the time go in; a few steps
//! come out. Each file here has a twin of the same name among the doors and loops above, which
//! carries its steps out. No IO, no clock, no randomness.

pub mod autopilot;
pub mod bootstrap;
pub mod checks;
pub mod lease;
pub mod registrator;
pub mod registry;
pub mod services;
pub mod session;
pub mod swarm;
pub mod told;
pub mod witness;
