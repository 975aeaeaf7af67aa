//! What may go wrong with an engine, and what to do about it.

use std::error::Error as _;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::errors::Error as Bollard;

/// Why the engine did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// There is no socket.
    #[error(
        "there is no Docker socket at {0}: start Docker (`systemctl start docker`), or set `docker: {{enabled: false}}`"
    )]
    NoSocket(PathBuf),
    /// The socket is there, nobody listens.
    #[error("nobody listens on the Docker socket {0}: start Docker (`systemctl start docker`)")]
    Refused(PathBuf),
    /// The agent may not use the socket.
    #[error(
        "no permission to use the Docker socket {0}: run the agent as root, or in the group docker"
    )]
    Permission(PathBuf),
    /// No answer in time.
    #[error(
        "Docker did not answer `{act}` within {} s: it may be overloaded, see `journalctl -u docker`",
        after.as_secs()
    )]
    Timeout {
        /// What was asked.
        act: &'static str,
        /// How long was waited.
        after: Duration,
    },
    /// Docker said no.
    #[error("Docker refused `{act}` ({status}): {words}")]
    Api {
        /// What was asked.
        act: &'static str,
        /// HTTP status.
        status: u16,
        /// Docker's own words, without secrets.
        words: String,
    },
    /// The connection broke, or the answer made no sense.
    #[error("can't `{act}` through the Docker socket {socket}")]
    Broken {
        /// What was asked.
        act: &'static str,
        /// Where.
        socket: PathBuf,
        /// What happened.
        #[source]
        cause: Bollard,
    },
}

impl EngineError {
    /// Sorts what the client library says.
    pub(super) fn of(act: &'static str, socket: &Path, cause: Bollard) -> Self {
        let socket = socket.to_owned();
        match cause {
            Bollard::SocketNotFoundError(_) => Self::NoSocket(socket),
            Bollard::DockerResponseServerError {
                status_code,
                message,
            } => Self::Api {
                act,
                status: status_code,
                words: without_tokens(&message),
            },
            cause => match io_kind(&cause) {
                Some(io::ErrorKind::NotFound) => Self::NoSocket(socket),
                Some(io::ErrorKind::ConnectionRefused) => Self::Refused(socket),
                Some(io::ErrorKind::PermissionDenied) => Self::Permission(socket),
                _ => Self::Broken { act, socket, cause },
            },
        }
    }

    /// Whether no engine runs there, as far as one can tell from outside.
    #[must_use]
    pub fn is_nobody(&self) -> bool {
        matches!(self, Self::NoSocket(_) | Self::Refused(_))
    }

    /// Whether the engine itself can't be reached, rather than a request refused.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        !matches!(self, Self::Api { .. })
    }
}

/// The kind of the IO error at the root, if there is one.
fn io_kind(error: &Bollard) -> Option<io::ErrorKind> {
    let mut cause = error.source();
    if let Bollard::IOError { err } = error {
        return Some(err.kind());
    }
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        cause = error.source();
    }
    None
}

/// Docker quotes a token that it finds malformed.
fn without_tokens(words: &str) -> String {
    let clean = |word: &str| {
        if word.contains("SWMTKN") {
            "(token)".to_owned()
        } else {
            word.to_owned()
        }
    };
    let words: Vec<String> = words.split_whitespace().map(clean).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockers_own_words_are_kept_and_its_tokens_are_not() {
        let cause = Bollard::DockerResponseServerError {
            status_code: 503,
            message: "This node is already part of a swarm.\n \"SWMTKN-1-abc\"".into(),
        };
        let error = EngineError::of("swarm join", Path::new("/s"), cause).to_string();
        let wanted =
            "Docker refused `swarm join` (503): This node is already part of a swarm. (token)";
        assert_eq!(error, wanted);
    }
}
