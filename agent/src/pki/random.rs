//! Random numbers, from the system.

use ring::rand::{SecureRandom as _, SystemRandom};

/// `N` random bytes. Without them nothing can go on, and a system that has none is broken.
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if SystemRandom::new().fill(&mut bytes).is_err() {
        tracing::error!("the system gives no random bytes; ending");
        std::process::abort();
    }
    bytes
}

/// For identities: an RFC 9562 version 4 UUID as a number.
#[must_use]
pub fn number() -> u128 {
    uuid::Builder::from_random_bytes(bytes())
        .into_uuid()
        .as_u128()
}

/// For a process.
#[must_use]
pub fn word() -> u64 {
    u64::from_be_bytes(bytes())
}
