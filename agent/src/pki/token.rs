//! Join tokens: one secret a role, in a text that people can copy and a program can check.

use std::fmt;

use super::base32::{self, Wrong};
use super::derive::{hkdf, sha256};
use super::join_key::{JoinFingerprint, JoinKey};
use super::proof::ProofKey;
use super::seal::{self, DataKey};
use super::{PkiError, random};
use crate::model::{Role, TokenId};

const PREFIX: &str = "swarmer-";
const VERSION: u8 = 1;
/// 160 random bits.
const SECRET: usize = 20;
const FINGERPRINT: usize = 16;
const CHECKSUM: usize = 4;

/// A token: `swarmer-<role>-<base 32 of version, secret, fingerprint, checksum>`.
///
/// Server tokens carry no fingerprint: the join key itself is made from their secret.
#[derive(Clone)]
pub struct Token {
    role: Role,
    secret: [u8; SECRET],
    join: Option<JoinFingerprint>,
}

/// Why a text is not a token, or a token not what was asked of it. The token is never quoted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It was made up by people.
    #[error(
        "this is not a swarmer token (those begin with \"swarmer-\" and a role); run: swarmer token new"
    )]
    HomeMade,
    /// The role in its prefix is unknown.
    #[error(
        "the token names no role that is known: it begins with swarmer-server-, swarmer-worker- or swarmer-operator-"
    )]
    UnknownRole,
    /// A later program made it.
    #[error(
        "the token has format version {found}, this program knows {VERSION}: use a newer swarmer"
    )]
    UnknownVersion {
        /// The version that it has.
        found: u8,
    },
    /// It is cut off or home-made.
    #[error(
        "the {role} token has {found} characters after its role, but {wanted} are right: it was cut off or made up; copy it again, or run: swarmer token new"
    )]
    WrongLength {
        /// The role that it names.
        role: Role,
        /// Its length.
        found: usize,
        /// The right length.
        wanted: usize,
    },
    /// A character that no token has.
    #[error(
        "the token has a typo: the character at place {place} after its role is in no token; copy it again"
    )]
    BadCharacter {
        /// Counted from 1.
        place: usize,
    },
    /// All looks right but the checksum.
    #[error("the token has a typo: its checksum does not fit; copy it again")]
    BadChecksum,
    /// Only a server token can do this.
    #[error("a {found} token cannot do this, it needs the cluster's server token")]
    NotAServerToken {
        /// The role of the token at hand.
        found: Role,
    },
    /// Server tokens are not derived.
    #[error("only worker and operator tokens are derived from a server token")]
    NotDerivable,
}

impl Token {
    /// A new cluster's one secret.
    #[must_use]
    pub fn generate_server() -> Self {
        Self {
            role: Role::Server,
            secret: random::bytes(),
            join: None,
        }
    }

    /// The worker or operator token that belongs to this server token. Always the same one, so
    /// that servers know it without being told.
    pub fn derive(&self, role: Role) -> Result<Self, PkiError> {
        if role == Role::Server {
            return Err(TokenError::NotDerivable.into());
        }
        let join = self.join_key().ok_or(self.not_a_server())?;
        Ok(Self {
            role,
            join: Some(join.fingerprint()),
            secret: hkdf(&self.secret, &format!("derive {role}")),
        })
    }

    /// A new token for a cluster that exists, whose join key has this fingerprint.
    #[must_use]
    pub fn mint(role: Role, join: &JoinFingerprint) -> Self {
        Self {
            role,
            secret: random::bytes(),
            join: (role != Role::Server).then_some(*join),
        }
    }

    /// Reads a token. White space around it is nothing.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        let rest = text.strip_prefix(PREFIX).ok_or(TokenError::HomeMade)?;
        let (word, body) = rest.split_once('-').ok_or(TokenError::UnknownRole)?;
        let role: Role = word.parse().map_err(|_| TokenError::UnknownRole)?;
        let wrong_length = || TokenError::WrongLength {
            role,
            found: body.chars().count(),
            wanted: encoded_len(role),
        };
        let bytes = base32::decode(body).map_err(|wrong| match wrong {
            Wrong::Character(place) => TokenError::BadCharacter { place },
            Wrong::Tail if body.len() == encoded_len(role) => TokenError::BadChecksum,
            Wrong::Tail => wrong_length(),
        })?;
        let split = bytes.len().checked_sub(CHECKSUM);
        let (payload, sum) = bytes.split_at(split.ok_or_else(wrong_length)?);
        let intact = sum == checksum(role, payload);
        let (version, secrets) = payload.split_first().ok_or_else(wrong_length)?;
        if intact && *version != VERSION {
            return Err(TokenError::UnknownVersion { found: *version });
        }
        if payload.len() != payload_len(role) {
            return Err(wrong_length());
        }
        if !intact {
            return Err(TokenError::BadChecksum);
        }
        let (secret, join) = secrets
            .split_first_chunk::<SECRET>()
            .ok_or_else(wrong_length)?;
        Ok(Self {
            role,
            secret: *secret,
            join: join.try_into().ok().map(JoinFingerprint),
        })
    }

    /// The token's text: the secret itself, to be shown to who asked for it, or written for them.
    #[must_use]
    pub fn expose(&self) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(self.secret);
        bytes.extend(self.join.iter().flat_map(|join| join.0));
        let sum = checksum(self.role, &bytes);
        bytes.extend(sum);
        format!("{PREFIX}{}-{}", self.role, base32::encode(&bytes))
    }

    /// The role that it admits to.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Its public id, which reveals nothing of the secret.
    #[must_use]
    pub fn id(&self) -> TokenId {
        TokenId(hkdf(&self.secret, "id"))
    }

    /// The key of its join proof.
    #[must_use]
    pub fn proof_key(&self) -> ProofKey {
        ProofKey::from(hkdf::<32>(&self.secret, "proof"))
    }

    /// The cluster's join key, if this is the server token that the cluster began with; `None` for
    /// a worker's or operator's.
    #[must_use]
    pub fn join_key(&self) -> Option<JoinKey> {
        let seed: [u8; 32] = hkdf(&self.secret, "join");
        let own = JoinKey::from_seed(&seed).ok();
        own.filter(|_| self.role == Role::Server)
    }

    /// What a worker's or operator's token knows of the cluster's join key; `None` for a server's,
    /// whose holder is told all by the proof itself.
    #[must_use]
    pub fn join_fingerprint(&self) -> Option<JoinFingerprint> {
        self.join
    }

    /// The data key, sealed under this server token: for recovery.
    pub fn wrap(&self, key: &DataKey) -> Result<Vec<u8>, PkiError> {
        seal::wrap(&self.wrapping_key()?, key)
    }

    /// Opens what [`wrap`](Self::wrap) made.
    pub fn unwrap(&self, wrapped: &[u8]) -> Result<DataKey, PkiError> {
        seal::unwrap(&self.wrapping_key()?, wrapped)
    }

    fn wrapping_key(&self) -> Result<[u8; 32], TokenError> {
        match self.role {
            Role::Server => Ok(hkdf(&self.secret, "wrap")),
            Role::Worker | Role::Operator => Err(self.not_a_server()),
        }
    }

    fn not_a_server(&self) -> TokenError {
        TokenError::NotAServerToken { found: self.role }
    }
}

fn payload_len(role: Role) -> usize {
    match role {
        Role::Server => 1 + SECRET,
        Role::Worker | Role::Operator => 1 + SECRET + FINGERPRINT,
    }
}

fn encoded_len(role: Role) -> usize {
    (payload_len(role) + CHECKSUM).saturating_mul(8).div_ceil(5)
}

fn checksum(role: Role, payload: &[u8]) -> [u8; CHECKSUM] {
    let mut covered = format!("{PREFIX}{role}-").into_bytes();
    covered.extend(payload);
    let [a, b, c, d, ..] = sha256(&covered);
    [a, b, c, d]
}

impl std::str::FromStr for Token {
    type Err = TokenError;
    fn from_str(text: &str) -> Result<Self, TokenError> {
        Self::parse(text)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} token {}", self.role, self.id())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({self})")
    }
}
