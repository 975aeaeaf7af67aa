//! The `loops` room.

pub mod registry;
pub mod registry_front;
pub mod swarm;

#[cfg(test)]
mod test_leader;
