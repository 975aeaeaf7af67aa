//! The `task` room.
