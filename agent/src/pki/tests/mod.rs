//! Stories that need several parts of the room.
