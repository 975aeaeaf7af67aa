//! The `disk` room.
