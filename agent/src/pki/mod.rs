//! Floor 4: keys, certificates, tokens and the proof by which a node joins.
//!
//! Owns: the text of a [`Token`] and every key derived from it, sealing of secrets, the cluster's
//! [`Ca`], what a certificate says ([`PeerIdentity`]), finished rustls configurations ([`tls`]), and
//! the channel-bound [`proof`] of the join. Does not own: sockets, files, the order of the join's
//! messages, or who is a member. The time of a signature is the caller's to give.
//!
//! Always true:
//! * A secret is in no `Debug`, no `Display` and no error; secrets are compared in constant time.
//! * A certificate's role and node are read from its URI `swarmer://<cluster>/<role>/<node>`, never
//!   from a DNS name, and are believed only after its chain has led to our own CA.
//! * No configuration resumes a session: each handshake sees the certificate of its own peer.

mod base32;
mod ca;
mod cert_store;
mod derive;
mod identity;
mod join_key;
mod node_key;
pub mod proof;
pub mod random;
mod seal;
pub mod tls;
mod token;
mod trust;
mod verify;

#[cfg(test)]
mod tests;

pub use ca::{Ca, CaError, Lifetime, Subject};
pub use cert_store::{CertStore, CertStoreError};
pub use identity::{IdentityError, PeerIdentity, Validity};
pub use join_key::{JoinFingerprint, JoinKey};
pub use node_key::{Csr, NodeKey, NodeKeyError};
pub use proof::{ProofError, ProofKey};
pub use seal::{DataKey, SealError, open, seal};
pub use tls::{ALPN_JOIN, ALPN_RPC, TlsError, join_client_config};
pub use token::{Token, TokenError};
pub use trust::{Refused, TrustError};

/// What goes wrong in this room, by the part that it went wrong in.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PkiError {
    /// A key or a request.
    #[error(transparent)]
    Key(#[from] NodeKeyError),
    /// What a certificate says.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The CA.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// The CA's file.
    #[error("the CA's file: {0}")]
    Trust(#[from] TrustError),
    /// The certificate in use.
    #[error(transparent)]
    CertStore(#[from] CertStoreError),
    /// Something sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The proof of a join.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// A TLS configuration.
    #[error(transparent)]
    Tls(#[from] TlsError),
}
