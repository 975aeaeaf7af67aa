//! Floor 4: keys, certificates, tokens, and the proof that one is known.
//!
//! Owns: the token's text, the CA and what it signs, sealed secrets, TLS configs, the
//! channel-bound proof of the join. Does not own: files, sockets and the wall clock; callers read,
//! write and pass the time.
//!
//! Always true: no secret is printed, not even by `Debug`; every comparison of secrets takes the
//! same time; TLS between agents is 1.3 only and never resumed, since a resumed session would
//! carry the certificate of the first.

pub mod ca;
pub mod identity;
pub mod proof;
pub mod random;
pub mod seal;
pub mod tls;
pub mod token;

mod verify;

pub use ca::{Ca, Lifetime, Subject};
pub use identity::{Csr, NodeKey, PeerIdentity, Validity};
pub use proof::{JoinKey, ProofKey};
pub use seal::{DataKey, open, seal};
pub use tls::{ALPN_JOIN, ALPN_RPC, CertStore, join_client_config};
pub use token::{Token, TokenError};

/// What goes wrong with keys and certificates.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PkiError {
    /// Making or signing.
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// TLS.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// A certificate, key or request that can't be read.
    #[error("{what} can't be read: {why}")]
    Unreadable {
        /// What it should be.
        what: &'static str,
        /// Why not.
        why: String,
    },
    /// A sealed secret that does not open.
    #[error("{0} does not open: it was sealed under another key, or it is damaged")]
    Sealed(String),
    /// The system's randomness failed.
    #[error("the system gives no random bytes")]
    Random,
    /// A proof that does not hold.
    #[error("the proof does not hold: {0}")]
    Proof(&'static str),
    /// A token that can't do that.
    #[error("only a server token can do that, and this is a {0} token")]
    NotServer(crate::model::Role),
}
