//! The durable raft log.
