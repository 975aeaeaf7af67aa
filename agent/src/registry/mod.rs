//! Floor 4: the registry: the process that stores images, and the TLS front that stands before it.
//!
//! Owns: CNCF Distribution as a child process ([`Backend`]), the front on every node's registry
//! port ([`Front`]) and the way from any front to the elected host's. Does not own: who the host
//! is (`decide::registry`), and what a certificate or a token is worth (a [`Gate`] handed in).
//!
//! Always true: only the front can reach the process (a unix socket in a folder that is the
//! agent's alone); the process does not outlive the agent; a push is acknowledged only after the
//! gate has confirmed that this host still has the duty under which the request came (rule L5).

mod answer;
mod backend;
mod child;
mod front;
mod gate;
mod program;
mod upstream;

pub use backend::{Backend, BackendState};
pub use child::supervise;
pub use front::Front;
pub use gate::{Admission, Credential, Gate, Host, Route};
pub use program::{RegistryError, Settings, Socket, Storage};
