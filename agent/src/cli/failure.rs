//! What goes wrong, and what to do next.

use std::io;
use std::process::ExitCode;

use crate::client::{Answer, ClientError, TargetError};
use crate::cluster::join_client::JoinError;
use crate::config::{ConfigErrors, EX_CONFIG};
use crate::pki::{PkiError, TokenError};
use crate::task::Chain;

/// The exit code for a wrong command line, as clap has it.
const EX_USAGE: u8 = 2;
const FAILURE: u8 = 1;

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Nobody answered.
    #[error("{0}")]
    Client(#[source] ClientError),
    /// The agent said no.
    #[error("{from} refused ({status}): {text}")]
    Refused {
        from: String,
        status: u16,
        text: String,
    },
    /// The command went through, and the result is not what was asked for.
    #[error("{found}")]
    Not { found: String, next: String },
    /// A file.
    #[error("can't {act} {path}: {cause}")]
    File {
        act: &'static str,
        path: String,
        #[source]
        cause: io::Error,
    },
    /// The command line, beyond what clap sees.
    #[error("{found}")]
    Usage { found: String, next: String },
    /// A configuration.
    #[error("{0}")]
    Config(#[source] ConfigErrors),
    /// Logging in.
    #[error("{0}")]
    Join(#[source] JoinError),
    /// Keys and certificates.
    #[error("{0}")]
    Pki(#[from] PkiError),
    /// A token.
    #[error("{0}")]
    Token(#[from] TokenError),
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl From<TargetError> for Failure {
    fn from(error: TargetError) -> Self {
        Self::Usage {
            found: error.to_string(),
            next: String::new(),
        }
    }
}

impl Failure {
    pub(super) fn file(act: &'static str, path: impl ToString, cause: io::Error) -> Self {
        Self::File {
            act,
            path: path.to_string(),
            cause,
        }
    }

    pub(super) fn not(found: impl Into<String>, next: impl Into<String>) -> Self {
        Self::Not {
            found: found.into(),
            next: next.into(),
        }
    }

    pub(super) fn usage(found: impl Into<String>, next: impl Into<String>) -> Self {
        Self::Usage {
            found: found.into(),
            next: next.into(),
        }
    }

    /// An answer that was not what the API promises.
    pub(super) fn garbled(answer: &Answer, why: &serde_json::Error) -> Self {
        Self::not(
            format!(
                "{} sent what this version does not understand: {why}",
                answer.from
            ),
            "is it a Swarmer agent, and of this version? `swarmer version` shows both",
        )
    }

    /// Tells people, and gives the exit code.
    pub(super) fn report(&self) -> ExitCode {
        let said = match self {
            Self::Join(error) => Chain(error).to_string(),
            other => other.to_string(),
        };
        eprintln!("swarmer: {said}");
        if let Some(next) = self.next() {
            eprintln!("  {next}");
        }
        ExitCode::from(match self {
            Self::Usage { .. } => EX_USAGE,
            Self::Config(_) => EX_CONFIG,
            _ => FAILURE,
        })
    }

    /// The next step to take.
    fn next(&self) -> Option<String> {
        let next = match self {
            Self::Client(error) => return next_of(error).map(str::to_owned),
            Self::Refused { status: 403, .. } => OPERATORS_ONLY,
            Self::Refused { status: 500.., .. } => {
                "`swarmer status` shows whether the cluster has a leader"
            }
            Self::Not { next, .. } | Self::Usage { next, .. } if !next.is_empty() => next,
            Self::Join(JoinError::Rpc(_)) => {
                "ADDRESS is a server's address, with its RPC port if that is not 8300"
            }
            Self::Join(JoinError::Impostor { .. }) => {
                "use this cluster's operator token: `swarmer token derive operator` makes it from the server token"
            }
            _ => return None,
        };
        Some(next.to_owned())
    }
}

const OPERATORS_ONLY: &str = "who may: root on a node, through its socket (--socket PATH), or an operator: `swarmer login ADDRESS`, and then --cluster STACK:DC";

fn next_of(error: &ClientError) -> Option<&'static str> {
    match error {
        ClientError::Unreachable(failed) if failed.iter().any(|one| one.denied) => {
            Some(OPERATORS_ONLY)
        }
        ClientError::Unreachable(failed)
            if failed.iter().any(|one| one.why.contains("certificate")) =>
        {
            Some(
                "the certificates of one side have expired or are another cluster's: `swarmer login ADDRESS` gets new ones",
            )
        }
        ClientError::Unreachable(_) => Some(
            "is the agent running? `systemctl status swarmer` and `journalctl -u swarmer` tell; if it is elsewhere: --http ADDR, or `swarmer login ADDRESS` and then --cluster STACK:DC",
        ),
        ClientError::Late { .. } => Some("`swarmer status` shows whether the cluster has a leader"),
        ClientError::Broken { .. } => {
            Some("is that the agent's HTTP port? 8500 is plain, 8501 is TLS (https://ADDR)")
        }
        ClientError::Request { .. } => None,
    }
}
