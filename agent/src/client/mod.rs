//! Floor 4: asking an agent over its HTTP API, as people and the demo do.
//!
//! Owns: the connection (plain, TLS, unix socket), the request, the deadline, and what is said
//! when nothing answers. Does not own: what is asked (`cli`, `demo`), certificates (the TLS config
//! arrives finished).
//!
//! Always true: a token is sent over TLS only; every request has a deadline; of several servers
//! the first that answers is taken, and the error names all that did not.

mod answer;
mod error;
mod escape;
mod send;
mod target;

pub use answer::Answer;
pub use error::{ClientError, Failed};
pub use escape::escape;
pub use send::{Client, Request};
pub use target::{Target, TargetError, host_and_port};

/// Where the agent's plain HTTP API is by default.
pub const DEFAULT_HTTP: &str = "127.0.0.1:8500";
