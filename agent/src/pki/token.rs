//! Join tokens: one secret for each role, and all from one.
//!
//! Text: `swarmer-<role>-` and, in Crockford's base 32 in lower case, version (1 byte), secret
//! (20), for workers and operators the fingerprint of the cluster's join key (16), checksum (4).

use std::fmt;

use ring::digest::{SHA256, digest};
use ring::hkdf;

use super::proof::{JoinKey, ProofKey};
use super::{DataKey, PkiError, random, seal};
use crate::model::{Role, TokenId};

const PREFIX: &str = "swarmer-";
const VERSION: u8 = 1;
const SECRET: usize = 20;
const FINGERPRINT: usize = 16;
const CHECKSUM: usize = 4;
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Why a text is not a token. Never quotes it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Made up by people, or something else altogether.
    #[error(
        "this is not a swarmer token (it does not begin with swarmer-server-, swarmer-worker- or swarmer-operator-); `swarmer token new` makes one"
    )]
    NotAToken,
    /// One of ours, but not as we wrote it.
    #[error("this token was mistyped or cut: its checksum does not fit; copy it again")]
    Mistyped,
    /// From a newer program.
    #[error("this token is of version {0}, which this program does not know")]
    Newer(u8),
}

/// A join token.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    role: Role,
    secret: [u8; SECRET],
    join: Option<[u8; FINGERPRINT]>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({} {})", self.role, self.id())
    }
}

impl Token {
    /// A new server token, from which all others come.
    #[must_use]
    pub fn generate_server() -> Self {
        Self {
            role: Role::Server,
            secret: random::bytes(),
            join: None,
        }
    }

    /// The worker or operator token that belongs to this server token.
    pub fn derive(&self, role: Role) -> Result<Self, PkiError> {
        let join = self.join_key().ok_or(PkiError::NotServer(self.role))?;
        if role == Role::Server {
            return Ok(self.clone());
        }
        let secret = self.expand(&format!("token {role}"));
        Ok(Self {
            role,
            secret,
            join: Some(join.fingerprint()),
        })
    }

    /// A new token of a cluster whose join key has this fingerprint.
    #[must_use]
    pub fn mint(role: Role, join: &[u8; FINGERPRINT]) -> Self {
        let join = (role != Role::Server).then_some(*join);
        Self {
            role,
            secret: random::bytes(),
            join,
        }
    }

    /// The role that it admits to.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Its public id.
    #[must_use]
    pub fn id(&self) -> TokenId {
        TokenId(self.expand("id"))
    }

    /// The key of its proof: what the cluster keeps of it.
    #[must_use]
    pub fn proof_key(&self) -> ProofKey {
        ProofKey::new(self.expand("proof"))
    }

    /// A server token's Ed25519 join key.
    #[must_use]
    pub fn join_key(&self) -> Option<JoinKey> {
        let seed: [u8; 32] = self.expand("join");
        (self.role == Role::Server)
            .then(|| JoinKey::from_seed(&seed).ok())
            .flatten()
    }

    /// A worker's or operator's fingerprint of the join key.
    #[must_use]
    pub fn join_fingerprint(&self) -> Option<[u8; FINGERPRINT]> {
        self.join
    }

    /// The data key, sealed under this token: for recovery.
    pub fn wrap(&self, key: &DataKey) -> Result<Vec<u8>, PkiError> {
        seal(
            &DataKey::from_bytes(self.expand("wrap")),
            "data key",
            key.expose(),
        )
    }

    /// The token itself. Shown to people once, and kept in the node's config.
    #[must_use]
    pub fn expose(&self) -> String {
        let prefix = format!("{PREFIX}{}-", self.role);
        let mut payload = vec![VERSION];
        payload.extend_from_slice(&self.secret);
        payload.extend_from_slice(self.join.as_ref().map_or(&[][..], |join| join));
        let sum = checksum(&prefix, &payload);
        payload.extend_from_slice(&sum);
        format!("{prefix}{}", encode(&payload))
    }

    fn expand<const N: usize>(&self, label: &str) -> [u8; N] {
        struct Length(usize);
        impl hkdf::KeyType for Length {
            fn len(&self) -> usize {
                self.0
            }
        }
        let key = hkdf::Salt::new(hkdf::HKDF_SHA256, b"swarmer token 1").extract(&self.secret);
        let mut out = [0; N];
        let info = [label.as_bytes()];
        // HKDF-SHA256 gives up to 8,160 bytes; ours are 32 at most.
        let filled = key
            .expand(&info, Length(N))
            .and_then(|okm| okm.fill(&mut out));
        debug_assert!(filled.is_ok(), "HKDF gives {N} bytes");
        out
    }
}

impl std::str::FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        let rest = text.strip_prefix(PREFIX).ok_or(TokenError::NotAToken)?;
        let (role, body) = rest.split_once('-').ok_or(TokenError::NotAToken)?;
        let role: Role = role.parse().map_err(|_| TokenError::NotAToken)?;
        let bytes = decode(body).ok_or(TokenError::Mistyped)?;
        let at = bytes
            .len()
            .checked_sub(CHECKSUM)
            .ok_or(TokenError::Mistyped)?;
        let (payload, sum) = bytes.split_at(at);
        if checksum(&format!("{PREFIX}{role}-"), payload) != sum {
            return Err(TokenError::Mistyped);
        }
        let (version, payload) = payload.split_first().ok_or(TokenError::Mistyped)?;
        if *version != VERSION {
            return Err(TokenError::Newer(*version));
        }
        let (secret, rest) = payload
            .split_first_chunk::<SECRET>()
            .ok_or(TokenError::Mistyped)?;
        let join = match role {
            Role::Server if rest.is_empty() => None,
            Role::Worker | Role::Operator => {
                Some(rest.try_into().map_err(|_| TokenError::Mistyped)?)
            }
            Role::Server => return Err(TokenError::Mistyped),
        };
        Ok(Self {
            role,
            secret: *secret,
            join,
        })
    }
}

fn checksum(prefix: &str, payload: &[u8]) -> [u8; CHECKSUM] {
    let mut whole = prefix.as_bytes().to_vec();
    whole.extend_from_slice(payload);
    let sum = digest(&SHA256, &whole);
    let mut first = [0; CHECKSUM];
    first
        .iter_mut()
        .zip(sum.as_ref())
        .for_each(|(to, from)| *to = *from);
    first
}

fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    let (mut buffer, mut bits) = (0u32, 0u32);
    for byte in bytes {
        buffer = (buffer << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(ALPHABET[(buffer >> bits) as usize & 31]));
        }
    }
    if bits > 0 {
        text.push(char::from(ALPHABET[(buffer << (5 - bits)) as usize & 31]));
    }
    text
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut buffer, mut bits) = (0u32, 0u32);
    for byte in text.bytes() {
        let digit = ALPHABET.iter().position(|letter| *letter == byte)?;
        buffer = (buffer << 5) | u32::try_from(digit).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((buffer >> bits) & 0xff).ok()?);
            buffer &= (1 << bits) - 1;
        }
    }
    // What is left are zeroes that only fill the last letter.
    (bits < 5 && buffer == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_says_its_role() {
        let server = Token::generate_server();
        for role in [Role::Server, Role::Worker, Role::Operator] {
            let token = server.derive(role).unwrap();
            let text = token.expose();
            assert!(text.starts_with(&format!("swarmer-{role}-")));
            let read: Token = text.parse().unwrap();
            assert_eq!((read.role(), read.id()), (role, token.id()));
            assert!(read == token, "reads back whole");
        }
        assert!(
            server
                .derive(Role::Worker)
                .unwrap()
                .derive(Role::Operator)
                .is_err()
        );
    }

    #[test]
    fn a_typo_a_home_made_token_and_a_changed_role_are_told_apart() {
        let text = Token::generate_server().expose();
        for at in "swarmer-server-".len()..text.len() {
            let mut typo = text.clone().into_bytes();
            typo[at] = if typo[at] == b'7' { b'8' } else { b'7' };
            let typo = String::from_utf8(typo).unwrap();
            assert_eq!(typo.parse::<Token>(), Err(TokenError::Mistyped), "at {at}");
        }
        assert_eq!(
            text[..text.len() - 3].parse::<Token>(),
            Err(TokenError::Mistyped)
        );
        let other = text.replace("server", "worker");
        assert_eq!(other.parse::<Token>(), Err(TokenError::Mistyped));
        for made_up in ["hunter2", "", "swarmer-", "swarmer-king-abc", "swarmer"] {
            assert_eq!(
                made_up.parse::<Token>(),
                Err(TokenError::NotAToken),
                "{made_up}"
            );
        }
    }

    #[test]
    fn a_token_never_shows_itself() {
        let token = Token::generate_server();
        let shown = format!("{token:?}");
        let text = token.expose();
        assert!(!shown.contains(&text["swarmer-server-".len()..]));
    }
}
