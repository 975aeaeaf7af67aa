//! A small world to ask about, and a client that prints what it hears.

mod answers;
mod messages;
mod nodes;
mod server;
mod upstream;
mod world;
