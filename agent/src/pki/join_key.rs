//! The cluster's join key (T3): with it a server proves to a worker, whose token any other worker
//! may have stolen, that it is a server and not that thief.

use std::fmt;

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use super::derive::sha256;
use super::{PkiError, ProofError};

/// The first half of the SHA-256 of the join key's public half, as worker and operator tokens
/// carry it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct JoinFingerprint(pub [u8; 16]);

/// An Ed25519 key pair (RFC 8032), made from a server token's secret; servers alone have it.
pub struct JoinKey {
    seed: [u8; 32],
    pair: Ed25519KeyPair,
}

impl JoinFingerprint {
    /// The fingerprint of a public key (32 bytes).
    #[must_use]
    pub fn of(public_key: &[u8]) -> Self {
        let digest = sha256(public_key);
        let mut half = [0u8; 16];
        half.copy_from_slice(digest.split_at(16).0);
        Self(half)
    }
}

impl fmt::Debug for JoinFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl JoinKey {
    /// The key that an unsealed seed stands for.
    pub fn from_seed(seed: &[u8]) -> Result<Self, PkiError> {
        let wrong = || ProofError::NotAJoinKey { found: seed.len() };
        Ok(Self {
            seed: seed.try_into().map_err(|_| wrong())?,
            pair: Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| wrong())?,
        })
    }

    /// The secret itself, to be sealed.
    #[must_use]
    pub fn seed(&self) -> &[u8; 32] {
        &self.seed
    }

    /// The public half (32 bytes), which the server sends with its signature.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// What tokens carry of it.
    #[must_use]
    pub fn fingerprint(&self) -> JoinFingerprint {
        JoinFingerprint::of(self.public())
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

pub(super) fn signature_is_good(public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, public_key)
        .verify(message, signature)
        .is_ok()
}

impl fmt::Debug for JoinKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinKey({:?})", self.fingerprint())
    }
}
