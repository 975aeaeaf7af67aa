//! The door to a cloud: what it is asked, and what it answers.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::config::AdminNetwork;

/// A cloud that knows which machines there are.
pub trait Provider: Send + Sync {
    /// The word behind `provider=`.
    fn kind(&self) -> &'static str;

    /// Every machine with the tags that were given, those included that are left out, and why.
    fn machines(&self) -> BoxFuture<'_, Result<Vec<Machine>, ProviderError>>;

    /// What became of the machine that has this id there.
    fn fate<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Fate, ProviderError>>;

    /// The id of the machine that this program runs on; `None` if it is none of this cloud's.
    fn this_machine(&self) -> BoxFuture<'_, Result<Option<String>, ProviderError>>;
}

/// A machine, as its cloud tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// What the cloud calls it for good: no later machine ever has the same (`i-0abc…`, a UUID).
    pub id: String,
    /// What people call it; may be empty.
    pub name: String,
    /// Where its agent may be, or why nobody is to be looked for there.
    pub address: Result<IpAddr, LeftOut>,
}

/// Why a machine that has the tags is none to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// It does not run: the cloud's own word for what it does instead.
    State(String),
    /// It has no address of the kind that was asked for.
    NoAddress(String),
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(state) => write!(f, "it is {state}"),
            Self::NoAddress(kind) => write!(f, "it has no {kind} address"),
        }
    }
}

/// What a cloud says of one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It will never run again, in the cloud's own words.
    Terminated,
    /// It is in no list, though its peers are. Another project, account or vCenter may have it, so
    /// this means something only of a machine that the same provider has listed before.
    Missing,
    /// Anything else that is known of it: running, stopped, suspended.
    Exists(String),
    /// The cloud does not know this id. That may be its own lateness, so nothing follows from it.
    Unknown,
}

impl Machine {
    /// The first of its private addresses, or the first in the nodes' network where that is one.
    pub(super) fn private_address(
        mut addresses: impl Iterator<Item = IpAddr>,
        network: &AdminNetwork,
    ) -> Result<IpAddr, LeftOut> {
        match network {
            AdminNetwork::Cidr(within) => addresses
                .find(|address| within.contains(address))
                .ok_or_else(|| LeftOut::NoAddress(within.to_string())),
            AdminNetwork::Address(_) | AdminNetwork::Interface(_) => addresses
                .next()
                .ok_or_else(|| LeftOut::NoAddress("private".to_owned())),
        }
    }
}

/// Why a cloud gave no answer. Holds no secret: neither arguments nor headers are quoted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// An argument behind `provider=` is of no use.
    #[error("provider={provider}: {key} must be {expected}")]
    Argument {
        /// The kind.
        provider: &'static str,
        /// The argument.
        key: &'static str,
        /// What would be right.
        expected: String,
    },
    /// Nothing was there to sign or log in with.
    #[error("{call}: no credentials: {tried}")]
    Credentials {
        /// The call that needed them.
        call: &'static str,
        /// Where they were looked for, and what was there.
        tried: String,
    },
    /// It could not be reached.
    #[error("{call} at {at}: {why}")]
    Unreachable {
        /// The call.
        call: &'static str,
        /// Host and port.
        at: String,
        /// What happened.
        why: String,
    },
    /// It refused.
    #[error("{call}: {said}{}", .hint.map(|hint| format!(" ({hint})")).unwrap_or_default())]
    Refused {
        /// The call.
        call: &'static str,
        /// In the cloud's own words, with its code.
        said: String,
        /// What to do about it, where that is known.
        hint: Option<&'static str>,
    },
    /// It wants to be asked less often.
    #[error("{call}: {said}; asking again later")]
    Throttled {
        /// The call.
        call: &'static str,
        /// In the cloud's own words.
        said: String,
        /// It said when.
        after: Option<Duration>,
    },
    /// It answered with something that is no answer to the question.
    #[error("{call}: an answer that can't be read: {why}")]
    Unreadable {
        /// The call.
        call: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

impl ProviderError {
    /// An argument of this kind of cloud must be something else.
    pub(super) fn argument(
        provider: &'static str,
        key: &'static str,
        expected: impl Into<String>,
    ) -> Self {
        let expected = expected.into();
        Self::Argument {
            provider,
            key,
            expected,
        }
    }
}
