//! The one clock. Everything that measures time asks here, so that a test that owns tokio's clock
//! owns all of it.

use std::time::{Instant, SystemTime};

/// Monotonic time: for leases, deadlines and ages.
#[must_use]
pub fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "this is the one clock")]
    tokio::time::Instant::now().into_std()
}

/// Wall time: for certificates and logs, and for nothing else (it jumps).
#[must_use]
pub fn wall() -> SystemTime {
    #[expect(clippy::disallowed_methods, reason = "this is the one clock")]
    SystemTime::now()
}
