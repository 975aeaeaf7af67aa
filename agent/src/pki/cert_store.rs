//! The certificate and the CA in use: the one place that all open doors read at each handshake, so
//! that neither a renewal nor a new CA needs a restart.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::identity::{PeerIdentity, key_of};
use super::node_key::NodeKey;
use super::tls::{WallClock, provider};
use super::trust::{Refused, Trust, Usage};
use super::{IdentityError, PkiError};
use crate::model::{ClusterId, KeyFingerprint};

/// A node's present certificate with its key, and the CA that it believes. Empty before the node
/// has joined: then every handshake that needs one of the two fails.
pub struct CertStore {
    clock: WallClock,
    present: RwLock<Present>,
}

#[derive(Clone, Default)]
struct Present {
    trust: Option<Trust>,
    own: Option<Own>,
}

#[derive(Clone)]
struct Own {
    cluster: ClusterId,
    certified: Arc<CertifiedKey>,
}

/// Why a certificate was not put in use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertStoreError {
    /// No certificate.
    #[error("there is no certificate in it (PEM, BEGIN CERTIFICATE)")]
    NotPem,
    /// It is nobody's.
    #[error(transparent)]
    Certificate(#[from] IdentityError),
    /// For another key.
    #[error("the certificate is for key {certificate}, but this node's key is {key}")]
    KeyMismatch {
        /// In the certificate.
        certificate: KeyFingerprint,
        /// The node's.
        key: KeyFingerprint,
    },
    /// Certificate and CA do not go together.
    #[error("the certificate is of cluster {certificate}, but the CA is of cluster {ca}")]
    OtherCluster {
        /// The certificate's.
        certificate: ClusterId,
        /// The CA's.
        ca: ClusterId,
    },
    /// The key.
    #[error("the key cannot sign: {0}")]
    Key(String),
}

impl CertStore {
    /// Without a certificate yet.
    #[must_use]
    pub fn empty() -> Arc<Self> {
        Self::with_clock(WallClock::system())
    }

    /// Whose handshakes read the time from `clock`.
    #[must_use]
    pub(super) fn with_clock(clock: WallClock) -> Arc<Self> {
        Arc::new(Self {
            clock,
            present: RwLock::default(),
        })
    }

    /// Puts a certificate (PEM; those between it and the CA follow it) in use. It may have expired:
    /// what to do then is the caller's (T5).
    pub fn replace(&self, cert_pem: &str, key: &NodeKey) -> Result<(), PkiError> {
        let chain: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(cert_pem.as_bytes())
                .collect::<Result<_, _>>()
                .map_err(|_| CertStoreError::NotPem)?;
        let leaf = chain.first().ok_or(CertStoreError::NotPem)?;
        let cluster = PeerIdentity::read(leaf)?.cluster;
        let (certificate, key_print) = (key_of(leaf)?, key.fingerprint());
        if certificate != key_print {
            let key = key_print;
            return Err(CertStoreError::KeyMismatch { certificate, key }.into());
        }
        let certified = certified(key, chain)?;
        let own = Some(Own { cluster, certified });
        self.put(|present| Present {
            own,
            trust: present.trust,
        })
    }

    /// Believes this CA (PEM), or while it rotates these.
    pub fn trust(&self, ca_pem: &str) -> Result<(), PkiError> {
        let trust = Some(Trust::from_pem(ca_pem)?);
        self.put(|present| Present {
            trust,
            own: present.own,
        })
    }

    /// Whether others who believe the same CA would take this node's certificate now.
    pub fn check(&self) -> Result<PeerIdentity, Refused> {
        let present = self.present();
        let (Some(trust), Some(own)) = (present.trust, present.own) else {
            return Err(Refused::NoTrust);
        };
        let (leaf, between) = own.certified.cert.split_first().ok_or(Refused::NoTrust)?;
        trust.check(leaf, between, Usage::Client, self.clock.unix())
    }

    pub(super) fn believed(&self) -> Result<Trust, Refused> {
        self.present().trust.ok_or(Refused::NoTrust)
    }

    pub(super) fn clock(&self) -> &WallClock {
        &self.clock
    }

    fn put(&self, change: impl FnOnce(Present) -> Present) -> Result<(), PkiError> {
        let mut present = self.present.write().unwrap_or_else(PoisonError::into_inner);
        let next = change(present.clone());
        if let (Some(own), Some(trust)) = (&next.own, &next.trust) {
            let (certificate, ca) = (own.cluster, trust.cluster());
            if certificate != ca {
                return Err(CertStoreError::OtherCluster { certificate, ca }.into());
            }
        }
        *present = next;
        Ok(())
    }

    fn present(&self) -> Present {
        let present = self.present.read().unwrap_or_else(PoisonError::into_inner);
        present.clone()
    }

    fn certified(&self) -> Option<Arc<CertifiedKey>> {
        self.present().own.map(|own| own.certified)
    }
}

pub(super) fn certified(
    key: &NodeKey,
    chain: Vec<CertificateDer<'static>>,
) -> Result<Arc<CertifiedKey>, CertStoreError> {
    CertifiedKey::from_der(chain, key.rustls(), &provider())
        .map(Arc::new)
        .map_err(|error| CertStoreError::Key(error.to_string()))
}

impl fmt::Debug for CertStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cluster = self.present().own.map(|own| own.cluster);
        f.debug_struct("CertStore")
            .field("cluster", &cluster)
            .finish_non_exhaustive()
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
        self.certified().is_some()
    }
}
