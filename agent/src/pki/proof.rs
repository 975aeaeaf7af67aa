//! The mutual proof of a join: both sides show that they know the token's secret, bound to the
//! very TLS channel that they talk on (RFC 9266), so that neither a fake server nor a man in the
//! middle learns or gains anything.

use ring::digest::{SHA256, digest};
use ring::hmac;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use super::PkiError;
use crate::model::{Role, TokenId};

const SERVER: &[u8] = b"swarmer join 1: server";
const JOINER: &[u8] = b"swarmer join 1: joiner";
const SIGNED: &[u8] = b"swarmer join 1: signed";

/// The key of a token's proof.
#[derive(Clone)]
pub struct ProofKey([u8; 32]);

impl ProofKey {
    pub(super) fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The one with these bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PkiError> {
        bytes
            .try_into()
            .map(Self)
            .map_err(|_| PkiError::Proof("its key has not 32 bytes"))
    }

    /// Whether it is the same key; takes the same time whatever the answer.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let other = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &other.0), JOINER);
        hmac::verify(&key, JOINER, other.as_ref()).is_ok()
    }

    /// Its bytes, to be sealed.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

/// The cluster's Ed25519 key: who holds it is a server, and not someone with a stolen token.
pub struct JoinKey {
    seed: [u8; 32],
    pair: Ed25519KeyPair,
}

impl JoinKey {
    /// From its seed.
    pub fn from_seed(seed: &[u8]) -> Result<Self, PkiError> {
        let unfit = |_| PkiError::Proof("the join key's seed has not 32 bytes");
        let seed: [u8; 32] = seed.try_into().map_err(unfit)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed)
            .map_err(|_| PkiError::Proof("the join key does not fit"))?;
        Ok(Self { seed, pair })
    }

    /// Its seed, to be sealed.
    #[must_use]
    pub fn seed(&self) -> &[u8; 32] {
        &self.seed
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// What worker and operator tokens carry of it.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 16] {
        fingerprint(self.public())
    }
}

fn fingerprint(public: &[u8]) -> [u8; 16] {
    let sum = digest(&SHA256, public);
    let mut first = [0; 16];
    first
        .iter_mut()
        .zip(sum.as_ref())
        .for_each(|(to, from)| *to = *from);
    first
}

/// What a proof is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// 32 bytes of the channel's `EXPORTER-Channel-Binding`.
    pub exporter: [u8; 32],
    /// The protocol's version.
    pub version: u16,
    /// The token's role.
    pub role: Role,
    /// The token's id.
    pub token: TokenId,
    /// SHA-256 of the certificate request.
    pub csr_hash: [u8; 32],
    /// The name that is asked for.
    pub name: String,
}

impl Binding {
    fn bytes(&self, side: &[u8]) -> Vec<u8> {
        let role = self.role.as_str().as_bytes();
        let version = self.version.to_be_bytes();
        let parts: [&[u8]; 7] = [
            side,
            &version,
            role,
            &self.token.0,
            &self.exporter,
            &self.csr_hash,
            self.name.as_bytes(),
        ];
        let mut bytes = Vec::new();
        for part in parts {
            // Lengths keep two parts from passing for two others.
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        bytes
    }
}

fn mac(key: &ProofKey, side: &[u8], binding: &Binding) -> hmac::Tag {
    hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, &key.0),
        &binding.bytes(side),
    )
}

fn verify(key: &ProofKey, side: &[u8], binding: &Binding, tag: &[u8]) -> Result<(), PkiError> {
    hmac::verify(
        &hmac::Key::new(hmac::HMAC_SHA256, &key.0),
        &binding.bytes(side),
        tag,
    )
    .map_err(|_| PkiError::Proof("the other side does not know the token's secret"))
}

/// The server's side.
#[must_use]
pub fn server_mac(key: &ProofKey, binding: &Binding) -> Vec<u8> {
    mac(key, SERVER, binding).as_ref().to_vec()
}

/// The joiner's side.
#[must_use]
pub fn joiner_mac(key: &ProofKey, binding: &Binding) -> Vec<u8> {
    mac(key, JOINER, binding).as_ref().to_vec()
}

/// Checks the server's side.
pub fn verify_server_mac(key: &ProofKey, binding: &Binding, tag: &[u8]) -> Result<(), PkiError> {
    verify(key, SERVER, binding, tag)
}

/// Checks the joiner's side.
pub fn verify_joiner_mac(key: &ProofKey, binding: &Binding, tag: &[u8]) -> Result<(), PkiError> {
    verify(key, JOINER, binding, tag)
}

/// The server's signature over the binding.
#[must_use]
pub fn join_signature(key: &JoinKey, binding: &Binding) -> Vec<u8> {
    key.pair.sign(&binding.bytes(SIGNED)).as_ref().to_vec()
}

/// Checks it against the fingerprint in the token.
pub fn verify_join_signature(
    expected: &[u8; 16],
    public: &[u8],
    binding: &Binding,
    signature: &[u8],
) -> Result<(), PkiError> {
    if fingerprint(public) != *expected {
        return Err(PkiError::Proof(
            "its join key is not the one that the token names",
        ));
    }
    UnparsedPublicKey::new(&ED25519, public)
        .verify(&binding.bytes(SIGNED), signature)
        .map_err(|_| PkiError::Proof("its signature is not that of the cluster's join key"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::Token;

    fn binding(token: &Token) -> Binding {
        Binding {
            exporter: [7; 32],
            version: 1,
            role: token.role(),
            token: token.id(),
            csr_hash: [9; 32],
            name: "web".into(),
        }
    }

    #[test]
    fn t2_a_mac_can_neither_be_echoed_nor_used_on_another_channel() {
        let token = Token::generate_server();
        let (key, binding) = (token.proof_key(), binding(&token));
        let servers = server_mac(&key, &binding);
        assert!(verify_server_mac(&key, &binding, &servers).is_ok());
        assert!(
            verify_joiner_mac(&key, &binding, &servers).is_err(),
            "an echo"
        );
        let changes: [fn(&mut Binding); 6] = [
            |b| b.exporter[0] ^= 1,
            |b| b.version = 2,
            |b| b.role = Role::Worker,
            |b| b.token.0[0] ^= 1,
            |b| b.csr_hash[31] ^= 1,
            |b| b.name = "db".into(),
        ];
        for change in changes {
            let mut other = binding.clone();
            change(&mut other);
            assert!(verify_server_mac(&key, &other, &servers).is_err());
        }
        assert!(
            verify_server_mac(&Token::generate_server().proof_key(), &binding, &servers).is_err()
        );
    }

    #[test]
    fn t3_who_has_a_worker_token_is_not_taken_for_a_server() {
        let server = Token::generate_server();
        let worker = server.derive(Role::Worker).unwrap();
        let binding = binding(&worker);
        let expected = worker.join_fingerprint().unwrap();
        let real = server.join_key().unwrap();
        let signed = join_signature(&real, &binding);
        assert!(verify_join_signature(&expected, real.public(), &binding, &signed).is_ok());
        // The thief knows the worker token and can make any key but that one.
        let thiefs = JoinKey::from_seed(&[1; 32]).unwrap();
        let forged = join_signature(&thiefs, &binding);
        assert!(verify_join_signature(&expected, thiefs.public(), &binding, &forged).is_err());
        assert!(verify_join_signature(&expected, real.public(), &binding, &forged).is_err());
        let mut elsewhere = binding;
        elsewhere.exporter[3] ^= 1;
        assert!(
            verify_join_signature(&expected, real.public(), &elsewhere, &signed).is_err(),
            "relayed"
        );
    }
}
