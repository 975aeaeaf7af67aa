//! Join tokens as the state knows them: never the token, only what its proof needs.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{ClusterTime, Role};

/// The public id of a token: derived from its secret, reveals nothing of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenId(pub [u8; 8]);

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for TokenId {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a token id: it has 16 hexadecimal digits");
        if text.len() != 16 || !text.is_ascii() {
            return Err(wrong());
        }
        let mut id = [0u8; 8];
        for (byte, digits) in id.iter_mut().zip(text.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(digits).map_err(|_| wrong())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        Ok(Self(id))
    }
}

/// What the state holds of a token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRow {
    /// Its public id.
    pub id: TokenId,
    /// The role that it admits to.
    pub role: Role,
    /// For people; may be empty.
    pub description: String,
    /// When it was made.
    pub created: ClusterTime,
    /// The key of its join proof, sealed under the servers' data key.
    pub sealed_proof_key: Vec<u8>,
    /// Server tokens only: the data key, wrapped under the token, for recovery.
    pub wrapped_data_key: Option<Vec<u8>>,
    /// A revoked token stays, so that its use is named as such.
    pub revoked: bool,
}

impl fmt::Debug for TokenRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRow")
            .field("id", &self.id)
            .field("role", &self.role)
            .field("revoked", &self.revoked)
            .finish_non_exhaustive()
    }
}
