//! Sealing: the data key under which the cluster's secrets rest, and its wrapping under a token.

use std::fmt;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::{PkiError, random};

/// First byte of everything sealed.
const VERSION: u8 = 1;
/// What the data key is sealed for when a token wraps it.
const WRAPPED: &str = "data-key";

/// The random key that each server keeps, under which the CA and other secrets rest (T4).
#[derive(Clone)]
pub struct DataKey([u8; 32]);

/// Why something was not sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It is shorter than any sealed thing.
    #[error("sealed {context} is cut off: {found} bytes")]
    TooShort {
        /// What was to be opened.
        context: String,
        /// Its length in bytes.
        found: usize,
    },
    /// It was sealed by a program that we do not know.
    #[error("sealed {context} has format version {found}, this program knows {VERSION}")]
    UnknownVersion {
        /// What was to be opened.
        context: String,
        /// The version that it has.
        found: u8,
    },
    /// Another key or another purpose, or it was changed.
    #[error(
        "{context} does not open: it was sealed under another key, for another purpose, or was altered"
    )]
    WrongKey {
        /// What was to be opened.
        context: String,
    },
    /// What was unwrapped or read is not a data key.
    #[error("a data key has 32 bytes, not {found}")]
    NotADataKey {
        /// Its length in bytes.
        found: usize,
    },
    /// The cipher refused to seal.
    #[error("cannot seal {context}: too long")]
    TooLong {
        /// What was to be sealed.
        context: String,
    },
}

impl DataKey {
    /// A new random key.
    #[must_use]
    pub fn generate() -> Self {
        Self(random::bytes())
    }

    /// The key as it was stored.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The secret itself, for the server's key file and for the join.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(..)")
    }
}

/// Seals the data key under one that a token gives.
pub(super) fn wrap(under: &[u8; 32], key: &DataKey) -> Result<Vec<u8>, PkiError> {
    Ok(seal_under(under, WRAPPED, &key.0)?)
}

/// Opens what [`wrap`] made.
pub(super) fn unwrap(under: &[u8; 32], wrapped: &[u8]) -> Result<DataKey, PkiError> {
    let bytes = open_under(under, WRAPPED, wrapped)?;
    let found = bytes.len();
    let key = bytes.try_into();
    Ok(DataKey(key.map_err(|_| SealError::NotADataKey { found })?))
}

/// Seals `plain` for one purpose, which `context` names and opening must name again.
///
/// ChaCha20-Poly1305 (RFC 8439): version byte, random nonce, ciphertext and tag; the context is
/// authenticated with it.
pub fn seal(key: &DataKey, context: &str, plain: &[u8]) -> Result<Vec<u8>, PkiError> {
    Ok(seal_under(&key.0, context, plain)?)
}

/// Opens what [`seal`] made under the same key and context.
pub fn open(key: &DataKey, context: &str, sealed: &[u8]) -> Result<Vec<u8>, PkiError> {
    Ok(open_under(&key.0, context, sealed)?)
}

fn cipher(key: &[u8; 32], context: &str) -> Result<LessSafeKey, SealError> {
    let key = UnboundKey::new(&CHACHA20_POLY1305, key).map_err(|_| SealError::WrongKey {
        context: context.to_owned(),
    })?;
    Ok(LessSafeKey::new(key))
}

fn seal_under(key: &[u8; 32], context: &str, plain: &[u8]) -> Result<Vec<u8>, SealError> {
    let nonce: [u8; NONCE_LEN] = random::bytes();
    let mut body = plain.to_vec();
    cipher(key, context)?
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(aad(context)),
            &mut body,
        )
        .map_err(|_| SealError::TooLong {
            context: context.to_owned(),
        })?;
    let mut sealed = vec![VERSION];
    sealed.extend(nonce);
    sealed.extend(body);
    Ok(sealed)
}

fn open_under(key: &[u8; 32], context: &str, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    let short = || SealError::TooShort {
        context: context.to_owned(),
        found: sealed.len(),
    };
    let (version, rest) = sealed.split_first().ok_or_else(short)?;
    if *version != VERSION {
        return Err(SealError::UnknownVersion {
            context: context.to_owned(),
            found: *version,
        });
    }
    let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or_else(short)?;
    if body.len() < CHACHA20_POLY1305.tag_len() {
        return Err(short());
    }
    let mut body = body.to_vec();
    let plain = cipher(key, context)?
        .open_in_place(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(aad(context)),
            &mut body,
        )
        .map_err(|_| SealError::WrongKey {
            context: context.to_owned(),
        })?;
    Ok(plain.to_vec())
}

/// The version is authenticated too, so that no later format can be passed off as this one.
fn aad(context: &str) -> Vec<u8> {
    let mut aad = vec![VERSION];
    aad.extend(context.as_bytes());
    aad
}
