//! The `rpc` room.
