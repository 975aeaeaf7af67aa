//! A node's certificate with its key and its CA, and the place where the present one stands, so
//! that a renewal needs no restart.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::identity::{IdentityError, PeerIdentity, Validity, key_of};
use super::node_key::NodeKey;
use super::tls::provider;
use super::trust::{Refused, Trust, TrustError, Usage, rustls_time};
use crate::model::KeyFingerprint;

/// A certificate that fits its key and names the cluster of its CA. It may have expired: what to
/// do then is the caller's (T5).
#[derive(Clone)]
pub struct Credentials {
    identity: PeerIdentity,
    validity: Validity,
    trust: Trust,
    certified: Arc<CertifiedKey>,
}

/// The present credentials of this process; none before it has joined.
#[derive(Default)]
pub struct CertStore {
    current: RwLock<Option<Arc<Credentials>>>,
}

/// Why certificate, key and CA do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// No certificate.
    #[error("there is no certificate in it (PEM, BEGIN CERTIFICATE)")]
    NotPem,
    /// The certificate.
    #[error(transparent)]
    Certificate(#[from] IdentityError),
    /// The CA.
    #[error("the CA's file: {0}")]
    Trust(#[from] TrustError),
    /// For another key.
    #[error("the certificate is for key {certificate}, but this node's key is {key}")]
    KeyMismatch {
        /// In the certificate.
        certificate: KeyFingerprint,
        /// The node's.
        key: KeyFingerprint,
    },
    /// Of another cluster than the CA.
    #[error("the certificate and the CA are of two clusters: {0}")]
    OtherCluster(Refused),
    /// The key.
    #[error("the key cannot sign: {0}")]
    Key(String),
}

impl Credentials {
    /// Puts together what was stored or received: the certificate (PEM; those between it and the
    /// CA follow it) and the CA's.
    pub fn new(key: &NodeKey, cert_pem: &str, ca_pem: &str) -> Result<Self, CredentialsError> {
        let chain: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(cert_pem.as_bytes())
                .collect::<Result<_, _>>()
                .map_err(|_| CredentialsError::NotPem)?;
        let leaf = chain.first().ok_or(CredentialsError::NotPem)?;
        let (identity, validity) = (PeerIdentity::from_der(leaf)?, Validity::from_der(leaf)?);
        let certificate = key_of(leaf)?;
        if certificate != key.fingerprint() {
            return Err(CredentialsError::KeyMismatch {
                certificate,
                key: key.fingerprint(),
            });
        }
        let trust = Trust::from_pem(ca_pem)?;
        if trust.cluster() != identity.cluster {
            return Err(CredentialsError::OtherCluster(Refused::OtherCluster {
                ours: trust.cluster(),
                theirs: identity.cluster,
            }));
        }
        Ok(Self {
            identity,
            validity,
            trust,
            certified: certified(key, chain)?,
        })
    }

    /// Who this is.
    #[must_use]
    pub fn identity(&self) -> &PeerIdentity {
        &self.identity
    }

    /// From when to when.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// Whom it believes.
    #[must_use]
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Whether others who believe the same CA would take it now.
    pub fn check(&self, now: SystemTime) -> Result<(), Refused> {
        let (leaf, between) = self.certified.cert.split_first().ok_or(Refused::NoTrust)?;
        self.trust
            .check(leaf, between, Usage::Client, rustls_time(now))
            .map(|_| ())
    }
}

pub(super) fn certified(
    key: &NodeKey,
    chain: Vec<CertificateDer<'static>>,
) -> Result<Arc<CertifiedKey>, CredentialsError> {
    CertifiedKey::from_der(chain, key.rustls(), &provider())
        .map(Arc::new)
        .map_err(|error| CredentialsError::Key(error.to_string()))
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Credentials").field(&self.identity).finish()
    }
}

impl CertStore {
    /// A store with nothing in it: every handshake that needs a certificate fails until one is set.
    #[must_use]
    pub fn empty() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// A store with these.
    #[must_use]
    pub fn of(credentials: Credentials) -> Arc<Self> {
        let store = Self::empty();
        store.set(credentials);
        store
    }

    /// From now on, every new handshake uses these.
    pub fn set(&self, credentials: Credentials) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Some(Arc::new(credentials));
    }

    /// The present credentials.
    #[must_use]
    pub fn get(&self) -> Option<Arc<Credentials>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.clone()
    }

    fn certified(&self) -> Option<Arc<CertifiedKey>> {
        self.get().map(|current| current.certified.clone())
    }
}

impl fmt::Debug for CertStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CertStore").field(&self.get()).finish()
    }
}

impl ResolvesServerCert for CertStore {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.certified()
    }
}

impl ResolvesClientCert for CertStore {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _sigschemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        self.certified()
    }

    fn has_certs(&self) -> bool {
        self.get().is_some()
    }
}
