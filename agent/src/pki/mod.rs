//! Floor 4: keys, certificates, tokens and the proof by which a node joins.
//!
//! Owns: the text of a [`Token`] and every key derived from it, sealing of secrets, the cluster's
//! [`Ca`], what a certificate says ([`PeerIdentity`]), finished rustls configurations, and the
//! channel-bound [`proof`] of the join. Does not own: sockets, files, wall time (callers pass all
//! three in), the order of the join's messages, or who is a member.
//!
//! Always true:
//! * A secret is in no `Debug`, no `Display` and no error.
//! * A certificate's role and node are read from its URI `swarmer://<cluster>/<role>/<node>`, never
//!   from a DNS name, and only after its chain has led to our own CA.
//! * No configuration resumes a session: each handshake sees the certificate of its own peer.

mod base32;
mod ca;
mod credentials;
mod derive;
mod identity;
mod join_key;
mod node_key;
pub mod proof;
pub mod seal;
pub mod tls;
mod token;
mod trust;
pub mod vault;
mod verify;

#[cfg(test)]
mod tests;

pub use ca::{Ca, CaError, Lifetime, Subject};
pub use credentials::{CertStore, Credentials, CredentialsError};
pub use derive::NoRandomness;
pub use identity::{IdentityError, PeerIdentity, Validity};
pub use join_key::{JoinFingerprint, JoinKey};
pub use node_key::{Csr, NodeKey, NodeKeyError};
pub use proof::{Binding, ProofError, ProofKey};
pub use seal::{DataKey, SealError, WrappingKey};
pub use tls::{Asked, Expect, RpcTls, TlsError, WallClock, Wire};
pub use token::{Token, TokenError};
pub use trust::{Refused, Trust, TrustError};
