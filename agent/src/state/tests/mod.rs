//! The state as its users see it.
