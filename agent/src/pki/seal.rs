//! Secrets at rest: sealed with ChaCha20-Poly1305 under a random key, for one purpose each.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::{PkiError, random};

const VERSION: u8 = 1;

/// The key that servers share, made with the cluster.
#[derive(Clone)]
pub struct DataKey([u8; 32]);

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataKey(…)")
    }
}

impl DataKey {
    /// A new one.
    #[must_use]
    pub fn generate() -> Self {
        Self(random::bytes())
    }

    /// The one with these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes, for a server's private file or a proven channel.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    fn cipher(&self) -> Result<LessSafeKey, PkiError> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, &self.0).map_err(|_| PkiError::Random)?;
        Ok(LessSafeKey::new(key))
    }
}

/// Seals `plain` for one purpose: version, nonce, ciphertext with tag.
pub fn seal(key: &DataKey, purpose: &str, plain: &[u8]) -> Result<Vec<u8>, PkiError> {
    let nonce: [u8; NONCE_LEN] = random::bytes();
    let mut text = plain.to_vec();
    key.cipher()?
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(purpose.as_bytes()),
            &mut text,
        )
        .map_err(|_| PkiError::Random)?;
    let mut sealed = vec![VERSION];
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(&text);
    Ok(sealed)
}

/// Opens what was sealed under this key for this purpose.
pub fn open(key: &DataKey, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>, PkiError> {
    let refused = || PkiError::Sealed(purpose.to_owned());
    let (version, rest) = sealed.split_first().ok_or_else(refused)?;
    let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>().ok_or_else(refused)?;
    if *version != VERSION {
        return Err(refused());
    }
    let mut text = text.to_vec();
    let plain = key
        .cipher()?
        .open_in_place(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(purpose.as_bytes()),
            &mut text,
        )
        .map_err(|_| refused())?;
    Ok(plain.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_secret_opens_only_under_its_key_and_for_its_purpose() {
        let key = DataKey::generate();
        let sealed = seal(&key, "ca key", b"secret").unwrap();
        assert_eq!(open(&key, "ca key", &sealed).unwrap(), b"secret");
        assert!(open(&DataKey::generate(), "ca key", &sealed).is_err());
        assert!(open(&key, "join key", &sealed).is_err());
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert!(open(&key, "ca key", &damaged).is_err());
        }
        assert!(!format!("{key:?}").contains(char::is_numeric));
    }
}
