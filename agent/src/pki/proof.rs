//! The mutual proof of the join (design, section 4; T2, T3): both sides show that they know the
//! token's secret, bound to the very TLS channel that they speak on.
//!
//! A man in the middle has two channels, whose exporters differ, so what one side proves is worth
//! nothing on the other. The labels of the two sides differ, so an echo proves nothing. A joiner
//! with a worker's or operator's token also asks for a signature by the join key, which no holder
//! of such a token can make. All functions here are pure; who speaks first is the caller's.

use std::fmt;

use ring::hmac;

use super::PkiError;
use super::join_key::{JoinFingerprint, JoinKey, signature_is_good};
use crate::model::{Role, TokenId};

const SERVER: &str = "swarmer join: server";
const JOINER: &str = "swarmer join: joiner";
const WORKER: &str = "swarmer join: worker";
const SIGNED: &str = "swarmer join: join key";

/// The key of a token's join proof. The state holds it sealed.
#[derive(Clone)]
pub struct ProofKey([u8; 32]);

/// All that a proof covers. Both sides fill it in for themselves, from what they saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// 32 bytes of this connection's `EXPORTER-Channel-Binding` (RFC 9266), which are equal on its
    /// two ends and nowhere else.
    pub exporter: [u8; 32],
    /// The join protocol's version.
    pub version: u16,
    /// The role that the joiner asks for.
    pub role: Role,
    /// The token that both know.
    pub token: TokenId,
    /// [`Csr::hash`](super::Csr::hash) of the request to be signed.
    pub csr_hash: [u8; 32],
    /// The name that the joiner asks for.
    pub name: String,
}

/// Why a proof was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The server's MAC is wrong.
    #[error(
        "the server did not prove that it knows this token: it has another token, or someone stands between"
    )]
    ServerMac,
    /// The joiner's MAC is wrong.
    #[error(
        "the joiner did not prove that it knows this token: it has another token, or someone stands between"
    )]
    JoinerMac,
    /// The public key is not the one that the token names.
    #[error("the server's join key is not the one that this token was made for")]
    ForeignJoinKey,
    /// The signature is not by that key over this channel.
    #[error("the server's join signature is wrong: it is not a server of this token's cluster")]
    JoinSignature,
    /// The stored key has a wrong length.
    #[error("a proof key has 32 bytes, not {found}")]
    NotAProofKey {
        /// Its length in bytes.
        found: usize,
    },
    /// The stored seed has a wrong length.
    #[error("the join key's seed has 32 bytes, not {found}")]
    NotAJoinKey {
        /// Its length in bytes.
        found: usize,
    },
}

impl From<[u8; 32]> for ProofKey {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl ProofKey {
    /// The key as it was unsealed.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PkiError> {
        let found = bytes.len();
        let key = bytes.try_into();
        Ok(Self(key.map_err(|_| ProofError::NotAProofKey { found })?))
    }

    /// The secret itself, to be sealed.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether it is the same key; takes the same time whatever the answer.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        let text = JOINER.as_bytes();
        hmac::verify(&self.hmac(), text, hmac::sign(&other.hmac(), text).as_ref()).is_ok()
    }

    fn hmac(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.0)
    }
}

impl fmt::Debug for ProofKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProofKey(..)")
    }
}

impl Binding {
    /// What is authenticated: each part is of fixed length or has its length before it, so that
    /// no two bindings have one text.
    fn text(&self, label: &str) -> Vec<u8> {
        let mut text = Vec::new();
        let role = self.role.as_str();
        for part in [
            label.as_bytes(),
            &self.exporter,
            &self.version.to_be_bytes(),
            role.as_bytes(),
            &self.token.0,
            &self.csr_hash,
            self.name.as_bytes(),
        ] {
            text.extend((part.len() as u64).to_be_bytes());
            text.extend(part);
        }
        text
    }
}

/// What the server sends to prove itself.
#[must_use]
pub fn server_mac(key: &ProofKey, binding: &Binding) -> [u8; 32] {
    mac(key, SERVER, binding)
}

/// What a worker sends who is taken for a server, to prove that it is none (B1).
#[must_use]
pub fn worker_mac(key: &ProofKey, binding: &Binding) -> [u8; 32] {
    mac(key, WORKER, binding)
}

/// The asking side's check of [`worker_mac`], in constant time.
#[must_use]
pub fn is_worker_mac(key: &ProofKey, binding: &Binding, sent: &[u8]) -> bool {
    hmac::verify(&key.hmac(), &binding.text(WORKER), sent).is_ok()
}

/// What the joiner sends to prove itself.
#[must_use]
pub fn joiner_mac(key: &ProofKey, binding: &Binding) -> [u8; 32] {
    mac(key, JOINER, binding)
}

/// The joiner's check of the server, in constant time.
pub fn verify_server_mac(key: &ProofKey, binding: &Binding, sent: &[u8]) -> Result<(), PkiError> {
    Ok(
        hmac::verify(&key.hmac(), &binding.text(SERVER), sent)
            .map_err(|_| ProofError::ServerMac)?,
    )
}

/// The server's check of the joiner, in constant time.
pub fn verify_joiner_mac(key: &ProofKey, binding: &Binding, sent: &[u8]) -> Result<(), PkiError> {
    Ok(
        hmac::verify(&key.hmac(), &binding.text(JOINER), sent)
            .map_err(|_| ProofError::JoinerMac)?,
    )
}

/// The server's signature over the channel, sent with [`JoinKey::public`].
#[must_use]
pub fn join_signature(key: &JoinKey, binding: &Binding) -> Vec<u8> {
    key.sign(&binding.text(SIGNED))
}

/// The joiner's check of that signature, against the fingerprint in its token.
pub fn verify_join_signature(
    token: &JoinFingerprint,
    public_key: &[u8],
    binding: &Binding,
    signature: &[u8],
) -> Result<(), PkiError> {
    if JoinFingerprint::of(public_key) != *token {
        return Err(ProofError::ForeignJoinKey.into());
    }
    if !signature_is_good(public_key, &binding.text(SIGNED), signature) {
        return Err(ProofError::JoinSignature.into());
    }
    Ok(())
}

fn mac(key: &ProofKey, label: &str, binding: &Binding) -> [u8; 32] {
    let mut out = [0u8; 32];
    out.copy_from_slice(hmac::sign(&key.hmac(), &binding.text(label)).as_ref());
    out
}
