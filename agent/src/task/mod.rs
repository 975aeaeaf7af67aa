//! Floor 3: running things. Every task has a name, every loop has one shape, and there is one clock.
//!
//! Owns: [`spawn`], the [`clock`], stopping ([`Shutdown`]), being ready ([`Ready`]), the set of an
//! agent's tasks ([`Tasks`]), [`Backoff`], the runner of level-triggered loops ([`Looper`]), and the
//! taking in of connections ([`Reception`]).
//! Does not own what the tasks do.
//!
//! Always true: stopping is a value that is handed down, never a global; a critical task that ends
//! before the agent stops is reported by name; whoever is late at the end is named; wake-ups of a
//! loop coalesce, and none is lost while it acts.

pub mod clock;

mod accept;
mod backoff;
mod chain;
mod latch;
mod looper;
mod set;
mod spawn;

pub use accept::Reception;
pub use backoff::Backoff;
pub use chain::Chain;
pub use latch::{Ready, Shutdown};
pub use looper::{Looper, Next, Round};
pub use set::{Outcome, TaskFailure, Tasks};
pub use spawn::{AbortOnDrop, TaskEnd, TaskHandle, spawn};

/// A test that waits for what doesn't come fails, and doesn't hang.
#[cfg(test)]
async fn soon<F: Future>(future: F) -> F::Output {
    let limit = std::time::Duration::from_secs(10);
    tokio::time::timeout(limit, future)
        .await
        .expect("it does not come")
}
