//! Digests and key derivation, from ring.

use ring::{digest, hmac};

/// Salt of every derivation, so that no key of ours is a key of another program.
const SALT: &[u8] = b"swarmer/1";

pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0u8; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

/// HKDF-SHA256 (RFC 5869) with one block of output, which is all we ever need. Written out because
/// it then cannot fail, where ring's own has an error for lengths that do not occur.
pub(super) fn hkdf<const N: usize>(secret: &[u8], label: &str) -> [u8; N] {
    const { assert!(N <= 32) };
    let extracted = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SALT), secret);
    let mut expand =
        hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, extracted.as_ref()));
    expand.update(label.as_bytes());
    expand.update(&[1]);
    let mut out = [0u8; N];
    for (to, from) in out.iter_mut().zip(expand.sign().as_ref()) {
        *to = *from;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_derivation_is_rfc_5869() {
        let ours: [u8; 32] = hkdf(b"a secret", "a label");
        let prk = ring::hkdf::Salt::new(ring::hkdf::HKDF_SHA256, SALT).extract(b"a secret");
        let mut theirs = [0u8; 32];
        prk.expand(&[b"a label"], ring::hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut theirs))
            .unwrap();
        assert_eq!(ours, theirs);
        assert_ne!(ours, hkdf::<32>(b"a secret", "another label"));
    }
}
