//! The `docker` room.
