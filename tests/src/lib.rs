//! The cluster harness.
