//! Floor 5: the loops that act. Each has a twin of the same name in `decide`, which says what to
//! do; here it is done. All have the one shape of `task::Looper`: wake on change or on tick, look,
//! decide, act, sleep.
//!
//! Owns: acting. Does not own: deciding, and answering anyone.

pub mod autopilot;
pub mod leader;
pub mod lease;
pub mod session;
