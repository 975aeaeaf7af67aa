//! The `loops` room.
