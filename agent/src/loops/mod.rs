//! Floor 5: the loops that act. Each has a twin in `decide` that says what is to be done.
//!
//! Owns: looking, deciding through the twin, and carrying the steps out. Does not own: what is
//! decided, and the doors that it acts through.
//!
//! Always true: a loop looks at everything there is whenever it is woken, so no wake-up matters by
//! itself; loops never call each other.

pub mod autopilot;
pub mod checks;
pub mod leader;
pub mod lease;
pub mod registrator;
pub mod registry;
pub mod registry_front;
pub mod services;
pub mod session;
pub mod swarm;
pub mod told;
pub mod witness;

mod probe;
#[cfg(test)]
mod test_leader;
