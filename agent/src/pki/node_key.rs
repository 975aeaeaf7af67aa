//! A node's own key, which outlives all its certificates, and the request that it signs with it.

use std::fmt;

use rcgen::{
    CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData,
};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

use super::PkiError;
use super::derive::sha256;
use crate::model::KeyFingerprint;

/// The one encoding of a P-256 SubjectPublicKeyInfo up to its uncompressed point (RFC 5480
/// section 2), so that one key has one fingerprint.
const P256_SPKI: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];
/// Bytes of such a SubjectPublicKeyInfo.
const P256_SPKI_LEN: usize = 91;
/// A request of ours has some 250 bytes.
const MAX_CSR: usize = 4096;

/// An ECDSA P-256 key pair.
pub struct NodeKey {
    pair: KeyPair,
}

/// A certificate request (PKCS#10, RFC 2986) whose own signature is good: whoever made it has the
/// key. Nothing else that it asks for is honoured.
#[derive(Clone, PartialEq, Eq)]
pub struct Csr {
    der: Vec<u8>,
    spki: Vec<u8>,
}

/// Why a key or a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeKeyError {
    /// No key was made.
    #[error("cannot make a key: {0}")]
    Generate(rcgen::Error),
    /// The stored key is not one.
    #[error("this is not an ECDSA P-256 private key (PKCS#8): {0}")]
    NotAKey(String),
    /// No request was made.
    #[error("cannot make a certificate request: {0}")]
    Request(rcgen::Error),
    /// Too long.
    #[error("a certificate request of {found} bytes is too long: at most {MAX_CSR}")]
    TooLong {
        /// Its length in bytes.
        found: usize,
    },
    /// Not a request.
    #[error("this is not a certificate request (PKCS#10 DER)")]
    NotARequest,
    /// Another kind of key.
    #[error("a certificate request must be for an ECDSA P-256 key")]
    NotP256,
    /// Its signature is wrong.
    #[error("the certificate request is not signed by its own key")]
    BadSignature,
}

impl NodeKey {
    /// A new random key.
    pub fn generate() -> Result<Self, PkiError> {
        let pair =
            KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(NodeKeyError::Generate)?;
        Ok(Self { pair })
    }

    /// Reads PKCS#8 DER.
    pub fn from_der(der: &[u8]) -> Result<Self, PkiError> {
        let der = PrivatePkcs8KeyDer::from(der);
        let pair = KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ECDSA_P256_SHA256)
            .map_err(|error| NodeKeyError::NotAKey(error.to_string()))?;
        Ok(Self { pair })
    }

    /// Reads a `PRIVATE KEY` in PEM.
    pub fn from_pem(pem: &str) -> Result<Self, PkiError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| NodeKeyError::NotAKey("no PRIVATE KEY block of PEM".to_owned()))?;
        Self::from_der(der.secret_pkcs8_der())
    }

    /// The secret itself, PKCS#8 DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        self.pair.serialized_der()
    }

    /// The secret itself, PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.pair.serialize_pem()
    }

    /// The fingerprint that the node's name belongs to.
    #[must_use]
    pub fn fingerprint(&self) -> KeyFingerprint {
        KeyFingerprint(sha256(&self.pair.subject_public_key_info()))
    }

    pub(super) fn pair(&self) -> &KeyPair {
        &self.pair
    }

    pub(super) fn into_pair(self) -> KeyPair {
        self.pair
    }

    pub(super) fn rustls(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.der().to_vec()))
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeKey({})", self.fingerprint())
    }
}

impl Csr {
    /// A request for a certificate on `key`; the name is for who reads it.
    pub fn new(key: &NodeKey, name: &str) -> Result<Self, PkiError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let request = params
            .serialize_request(key.pair())
            .map_err(NodeKeyError::Request)?;
        Self::from_der(request.der())
    }

    /// Reads a request and checks its signature.
    pub fn from_der(der: &[u8]) -> Result<Self, PkiError> {
        if der.len() > MAX_CSR {
            return Err(NodeKeyError::TooLong { found: der.len() }.into());
        }
        let (rest, request) =
            X509CertificationRequest::from_der(der).map_err(|_| NodeKeyError::NotARequest)?;
        if !rest.is_empty() {
            return Err(NodeKeyError::NotARequest.into());
        }
        let info = &request.certification_request_info;
        let spki = info.subject_pki.raw;
        if spki.len() != P256_SPKI_LEN || !spki.starts_with(&P256_SPKI) {
            return Err(NodeKeyError::NotP256.into());
        }
        UnparsedPublicKey::new(
            &ECDSA_P256_SHA256_ASN1,
            &info.subject_pki.subject_public_key.data,
        )
        .verify(info.raw, &request.signature_value.data)
        .map_err(|_| NodeKeyError::BadSignature)?;
        Ok(Self {
            der: der.to_vec(),
            spki: spki.to_vec(),
        })
    }

    /// The request as it travels.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// SHA-256 of the request, which the join proof covers.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        sha256(&self.der)
    }

    /// The fingerprint of the key that it is for.
    #[must_use]
    pub fn fingerprint(&self) -> KeyFingerprint {
        KeyFingerprint(sha256(&self.spki))
    }

    pub(super) fn spki(&self) -> &[u8] {
        &self.spki
    }
}

impl fmt::Debug for Csr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Csr({})", self.fingerprint())
    }
}
