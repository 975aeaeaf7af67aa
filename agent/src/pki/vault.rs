//! The rows of the state that hold secrets: how each is sealed and opened, so that the purposes
//! they are sealed for stand in one place (T4).

use super::ca::{Ca, CaError};
use super::join_key::JoinKey;
use super::proof::{ProofError, ProofKey};
use super::seal::{self, DataKey, SealError};
use super::token::{Token, TokenError};
use crate::model::{CaRow, ClusterTime, Role, TokenId, TokenRow};

const CA_KEY: &str = "ca-key";
const JOIN_KEY: &str = "join-key";

/// Why a row could not be made or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The sealing.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The CA in it.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// The token's keys.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The proof key in it.
    #[error("token {id}: {source}")]
    Proof {
        /// The token.
        id: TokenId,
        /// Why.
        source: ProofError,
    },
    /// The join key in it.
    #[error("the join key's seed has {found} bytes, not 32")]
    JoinKey {
        /// Its length in bytes.
        found: usize,
    },
}

/// Seals a new CA and the cluster's join key.
pub fn seal_ca(ca: &Ca, join: &JoinKey, key: &DataKey) -> Result<CaRow, VaultError> {
    Ok(CaRow {
        cert_pem: ca.cert_pem().to_owned(),
        sealed_key: seal::seal(key, CA_KEY, ca.key_der())?,
        sealed_join_key: seal::seal(key, JOIN_KEY, join.expose_seed())?,
    })
}

/// The CA that signs.
pub fn open_ca(row: &CaRow, key: &DataKey) -> Result<Ca, VaultError> {
    let der = seal::open(key, CA_KEY, &row.sealed_key)?;
    Ok(Ca::from_parts(&row.cert_pem, &der)?)
}

/// The key with which servers prove to joiners what they are.
pub fn open_join_key(row: &CaRow, key: &DataKey) -> Result<JoinKey, VaultError> {
    let seed = seal::open(key, JOIN_KEY, &row.sealed_join_key)?;
    let found = seed.len();
    JoinKey::from_seed(&seed).ok_or(VaultError::JoinKey { found })
}

/// What the state holds of a token; for a server's also the data key, wrapped under it.
pub fn seal_token(
    token: &Token,
    description: &str,
    created: ClusterTime,
    key: &DataKey,
) -> Result<TokenRow, VaultError> {
    let wrapped_data_key = match token.role() {
        Role::Server => Some(token.wrapping_key()?.wrap(key)?),
        Role::Worker | Role::Operator => None,
    };
    let context = proof_context(token.id());
    Ok(TokenRow {
        id: token.id(),
        role: token.role(),
        description: description.to_owned(),
        created,
        sealed_proof_key: seal::seal(key, &context, token.proof_key().expose())?,
        wrapped_data_key,
        revoked: false,
    })
}

/// The key that a token's proof needs.
pub fn open_proof_key(row: &TokenRow, key: &DataKey) -> Result<ProofKey, VaultError> {
    let bytes = seal::open(key, &proof_context(row.id), &row.sealed_proof_key)?;
    let id = row.id;
    ProofKey::from_bytes(&bytes).map_err(|source| VaultError::Proof { id, source })
}

/// Names the token, so that one token's key cannot be put in another's row.
fn proof_context(id: TokenId) -> String {
    format!("proof-key/{id}")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::model::{ClusterId, Name};

    #[test]
    fn rows_open_under_the_data_key_and_under_no_other() {
        let (key, other) = (DataKey::generate().unwrap(), DataKey::generate().unwrap());
        let token = Token::generate_server().unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let (stack, dc) = (Name::new("vagrant").unwrap(), Name::new("dev").unwrap());
        let ca = Ca::generate(ClusterId::from_u128(1), &stack, &dc, now).unwrap();
        let join = token.join_key().unwrap();

        let row = seal_ca(&ca, &join, &key).unwrap();
        assert_eq!(open_ca(&row, &key).unwrap().fingerprint(), ca.fingerprint());
        assert_eq!(open_join_key(&row, &key).unwrap().public(), join.public());
        assert!(open_ca(&row, &other).is_err());
        let swapped = CaRow {
            sealed_join_key: row.sealed_key.clone(),
            ..row
        };
        assert!(open_join_key(&swapped, &key).is_err());
    }

    #[test]
    fn t4_a_server_token_recovers_the_data_key_and_a_worker_token_does_not() {
        let key = DataKey::generate().unwrap();
        let server = Token::generate_server().unwrap();
        let worker = server.derive(Role::Worker).unwrap();
        let row = seal_token(&server, "first", ClusterTime(0), &key).unwrap();
        let wrapped = row.wrapped_data_key.clone().unwrap();
        let back = server.wrapping_key().unwrap().unwrap(&wrapped).unwrap();
        assert_eq!(back.expose(), key.expose());
        let another = Token::generate_server().unwrap();
        assert!(another.wrapping_key().unwrap().unwrap(&wrapped).is_err());

        let worker_row = seal_token(&worker, "", ClusterTime(0), &key).unwrap();
        assert_eq!(worker_row.wrapped_data_key, None);
        let proof = open_proof_key(&worker_row, &key).unwrap();
        assert_eq!(proof.expose(), worker.proof_key().expose());
        let swapped = TokenRow {
            sealed_proof_key: row.sealed_proof_key.clone(),
            ..worker_row
        };
        assert!(
            open_proof_key(&swapped, &key).is_err(),
            "one row's key in another's place"
        );
    }
}
