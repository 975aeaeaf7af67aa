//! The `discover` room.
