//! Why there is no answer.

use std::fmt;
use std::time::Duration;

/// One address that was tried.
#[derive(Debug)]
pub struct Failed {
    /// Where.
    pub at: String,
    /// What happened.
    pub why: String,
    /// Nothing listens there, or the socket is not there.
    pub absent: bool,
    /// The socket is there, but not for this user.
    pub denied: bool,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.why)
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No address could be reached.
    #[error("no agent answers on {}", join(.0))]
    Unreachable(Vec<Failed>),
    /// It was reached, but did not answer in time.
    #[error("{at} did not answer within {} s", .after.as_secs())]
    Late {
        /// Where.
        at: String,
        /// The deadline.
        after: Duration,
    },
    /// It was reached, and the connection broke.
    #[error("the connection to {at} broke: {why}")]
    Broken {
        /// Where.
        at: String,
        /// How.
        why: String,
    },
    /// The request can't be said in HTTP.
    #[error("{what} can't be sent: {why}")]
    Request {
        /// The path.
        what: String,
        /// Why.
        why: String,
    },
}

fn join(failed: &[Failed]) -> String {
    let parts: Vec<String> = failed.iter().map(ToString::to_string).collect();
    parts.join("; ")
}
