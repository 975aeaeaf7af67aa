//! Node keys, certificate requests, and who a certificate says someone is.

use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData as _};
use ring::digest::{SHA256, digest};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer, PrivatePkcs8KeyDer};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate, X509CertificationRequest};

use super::PkiError;
use crate::model::{ClusterId, KeyFingerprint, NodeId, Role};

fn unreadable(what: &'static str) -> impl Fn(String) -> PkiError {
    move |why| PkiError::Unreadable { what, why }
}

fn spki_fingerprint(spki: &[u8]) -> KeyFingerprint {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, spki).as_ref());
    KeyFingerprint(bytes)
}

/// A node's own key (ECDSA P-256), made once per data directory.
pub struct NodeKey {
    pair: KeyPair,
}

impl NodeKey {
    /// A new one.
    pub fn generate() -> Result<Self, PkiError> {
        Ok(Self {
            pair: KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?,
        })
    }

    /// From PKCS#8 DER.
    pub fn from_der(der: &[u8]) -> Result<Self, PkiError> {
        let der = PrivatePkcs8KeyDer::from(der.to_vec());
        let pair = KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ECDSA_P256_SHA256)?;
        Ok(Self { pair })
    }

    /// As PKCS#8 DER, for the node's private file.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        self.pair.serialized_der()
    }

    /// As PKCS#8 PEM, for an operator's private file.
    #[must_use]
    pub fn pem(&self) -> String {
        self.pair.serialize_pem()
    }

    /// SHA-256 of its SubjectPublicKeyInfo.
    #[must_use]
    pub fn fingerprint(&self) -> KeyFingerprint {
        spki_fingerprint(&self.pair.subject_public_key_info())
    }

    pub(super) fn pair(&self) -> &KeyPair {
        &self.pair
    }
}

/// A certificate request (PKCS#10) whose own signature was checked.
#[derive(Clone)]
pub struct Csr {
    der: Vec<u8>,
    key: KeyFingerprint,
}

impl std::fmt::Debug for Csr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Csr({})", self.key)
    }
}

impl Csr {
    /// For `key`, naming `name`.
    pub fn new(key: &NodeKey, name: &str) -> Result<Self, PkiError> {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        let request = params.serialize_request(&key.pair)?;
        Self::from_der(request.der())
    }

    /// Reads one and checks that its maker has the key.
    pub fn from_der(der: &[u8]) -> Result<Self, PkiError> {
        let failed = unreadable("the certificate request");
        let (_, request) =
            X509CertificationRequest::from_der(der).map_err(|error| failed(error.to_string()))?;
        request
            .verify_signature()
            .map_err(|_| failed("its signature is wrong".into()))?;
        let spki = request.certification_request_info.subject_pki.raw;
        Ok(Self {
            der: der.to_vec(),
            key: spki_fingerprint(spki),
        })
    }

    /// As it came.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// SHA-256 of it.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, &self.der).as_ref());
        bytes
    }

    /// The fingerprint of its key.
    #[must_use]
    pub fn fingerprint(&self) -> KeyFingerprint {
        self.key
    }

    pub(super) fn request(&self) -> CertificateSigningRequestDer<'_> {
        CertificateSigningRequestDer::from(self.der.as_slice())
    }
}

/// Who a certificate says its holder is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerIdentity {
    /// The cluster.
    pub cluster: ClusterId,
    /// The role.
    pub role: Role,
    /// The node; random for an operator.
    pub node: NodeId,
    /// The fingerprint of its key.
    pub key: KeyFingerprint,
    /// Until when it holds.
    pub not_after: SystemTime,
}

impl PeerIdentity {
    /// The URI that a certificate carries: `swarmer://<cluster>/<role>/<node>`.
    #[must_use]
    pub fn uri(cluster: ClusterId, role: Role, node: NodeId) -> String {
        format!("swarmer://{cluster}/{role}/{node}")
    }

    /// Reads it from a certificate. Who signed that is someone else's to check.
    pub fn from_der(der: &CertificateDer<'_>) -> Result<Self, PkiError> {
        let failed = unreadable("the certificate");
        let (_, certificate) =
            X509Certificate::from_der(der).map_err(|error| failed(error.to_string()))?;
        let names = certificate
            .subject_alternative_name()
            .ok()
            .flatten()
            .map(|extension| extension.value.general_names.as_slice())
            .unwrap_or_default();
        let uri = names.iter().find_map(|name| match name {
            GeneralName::URI(uri) => uri.strip_prefix("swarmer://"),
            _ => None,
        });
        let uri = uri.ok_or_else(|| failed("it is not one of a swarmer cluster".into()))?;
        let mut parts = uri.split('/');
        let mut next = || {
            parts
                .next()
                .ok_or_else(|| failed("its URI is cut short".into()))
        };
        let cluster = next()?
            .parse()
            .map_err(|_| failed("its cluster is no UUID".into()))?;
        let role = next()?.parse().map_err(&failed)?;
        let node = next()?
            .parse()
            .map_err(|_| failed("its node is no UUID".into()))?;
        let key = spki_fingerprint(certificate.public_key().raw);
        let not_after = time_of(certificate.validity().not_after.timestamp());
        Ok(Self {
            cluster,
            role,
            node,
            key,
            not_after,
        })
    }
}

/// When a certificate holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// From.
    pub not_before: SystemTime,
    /// Until.
    pub not_after: SystemTime,
}

/// A leaf's `notBefore` lies this far back, for clocks that differ.
pub(super) const BACKDATED: Duration = Duration::from_secs(24 * 3600);

impl Validity {
    /// Of the first certificate in a PEM text.
    pub fn of_pem(pem: &str) -> Result<Self, PkiError> {
        let failed = unreadable("the certificate");
        let der = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|error| failed(error.to_string()))?;
        let (_, certificate) =
            X509Certificate::from_der(&der).map_err(|error| failed(error.to_string()))?;
        Ok(Self {
            not_before: time_of(certificate.validity().not_before.timestamp()),
            not_after: time_of(certificate.validity().not_after.timestamp()),
        })
    }

    /// When half of its life, counted from its issue, is over.
    #[must_use]
    pub fn half_life(&self) -> SystemTime {
        let issued = self.not_before + BACKDATED;
        let life = self.not_after.duration_since(issued).unwrap_or_default();
        issued + life / 2
    }

    /// Whether it holds at `now`.
    #[must_use]
    pub fn holds(&self, now: SystemTime) -> bool {
        self.not_before <= now && now < self.not_after
    }

    /// Whether it has expired at `now`.
    #[must_use]
    pub fn is_over(&self, now: SystemTime) -> bool {
        now >= self.not_after
    }
}

fn time_of(unix: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(unix).unwrap_or(0))
}
