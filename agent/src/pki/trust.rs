//! Whom we believe: the CA (while it rotates, more than one) of one cluster, and nobody else.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{CertificateError, DistinguishedName, OtherError, RootCertStore};
use x509_parser::prelude::ASN1Time;

use super::PkiError;
use super::identity::{IdentityError, PeerIdentity, ca_cluster};
use super::tls::provider;
use crate::model::{ClusterId, Role};

/// The CA certificates of one cluster.
#[derive(Clone)]
pub(super) struct Trust {
    cluster: ClusterId,
    roots: Arc<RootCertStore>,
    clients: Arc<dyn ClientCertVerifier>,
}

/// Why CA certificates could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// None there.
    #[error("there is no CA certificate in it (PEM, BEGIN CERTIFICATE)")]
    Empty,
    /// Of two clusters.
    #[error("it has CA certificates of two clusters, {0} and {1}")]
    Mixed(ClusterId, ClusterId),
    /// Not a CA's.
    #[error("a CA certificate cannot be used: {0}")]
    Unusable(String),
}

/// Why a peer's certificate was refused. A peer that is plainly late can renew; one of another
/// cluster or CA must be told so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// We have no CA yet.
    #[error("this node has no certificate of a cluster yet")]
    NoTrust,
    /// It could not be read.
    #[error("the certificate was refused: {0}")]
    Unreadable(#[from] IdentityError),
    /// It is of another cluster.
    #[error("the peer is of cluster {theirs}, this node of {ours}")]
    OtherCluster {
        /// Ours.
        ours: ClusterId,
        /// Theirs.
        theirs: ClusterId,
    },
    /// Another CA signed it, whatever it says of itself.
    #[error("the certificate was signed by another CA")]
    OtherCa,
    /// The certificate is somebody else's.
    #[error("the peer shows a certificate whose key it does not have")]
    NotItsKey,
    /// Its time is over.
    #[error("the certificate expired at {}, now is {}", Moment(*.not_after), Moment(*.now))]
    Expired {
        /// Its end.
        not_after: SystemTime,
        /// By our clock.
        now: SystemTime,
    },
    /// Its time has not come, though certificates begin a day before they are made.
    #[error(
        "the certificate begins at {}, now is {}: one of the two clocks is wrong",
        Moment(*.not_before), Moment(*.now)
    )]
    NotYetValid {
        /// Its beginning.
        not_before: SystemTime,
        /// By our clock.
        now: SystemTime,
    },
    /// It has not the role that is needed here.
    #[error("the peer is a {found}, which may not do this here")]
    WrongRole {
        /// Its role.
        found: Role,
    },
    /// All else that can be wrong with a certificate.
    #[error("the certificate was refused: {0}")]
    Invalid(String),
}

/// What a certificate is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Usage {
    Server,
    Client,
}

struct Moment(SystemTime);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = unix(self.0).as_secs();
        match i64::try_from(seconds).map(ASN1Time::from_timestamp) {
            Ok(Ok(time)) => write!(f, "{time}"),
            _ => write!(f, "{seconds} s after 1970"),
        }
    }
}

impl Trust {
    /// Reads `ca.pem`: one CA certificate, or during a rotation several.
    pub(super) fn from_pem(pem: &str) -> Result<Self, PkiError> {
        let mut roots = RootCertStore::empty();
        let mut cluster = None;
        for der in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let der = der.map_err(|error| TrustError::Unusable(error.to_string()))?;
            let own = ca_cluster(&der)?;
            match cluster.replace(own) {
                Some(other) if other != own => return Err(TrustError::Mixed(other, own).into()),
                _ => roots
                    .add(der)
                    .map_err(|error| TrustError::Unusable(error.to_string()))?,
            }
        }
        let cluster = cluster.ok_or(TrustError::Empty)?;
        let roots = Arc::new(roots);
        let clients = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider())
            .build()
            .map_err(|error| TrustError::Unusable(error.to_string()))?;
        Ok(Self {
            cluster,
            roots,
            clients,
        })
    }

    /// The cluster.
    #[must_use]
    pub(super) fn cluster(&self) -> ClusterId {
        self.cluster
    }

    pub(super) fn names(&self) -> Vec<DistinguishedName> {
        self.roots.subjects()
    }

    /// Who holds this certificate (DER), if one of our CAs says so and its time is now.
    pub(super) fn check(
        &self,
        leaf: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        usage: Usage,
        now: UnixTime,
    ) -> Result<PeerIdentity, Refused> {
        let identity = PeerIdentity::read(leaf)?;
        // First, although nobody has vouched for it yet: it is the more telling refusal.
        if identity.cluster != self.cluster {
            return Err(Refused::OtherCluster {
                ours: self.cluster,
                theirs: identity.cluster,
            });
        }
        self.check_chain(leaf, between, usage, now)
            .map_err(|error| match Refused::from_rustls(&error) {
                // In a chain, a CA of the same name and another key.
                Refused::NotItsKey => Refused::OtherCa,
                other => other,
            })?;
        Ok(identity)
    }

    fn check_chain(
        &self,
        leaf: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        usage: Usage,
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        match usage {
            Usage::Client => self
                .clients
                .verify_client_cert(leaf, between, now)
                .map(|_| ()),
            Usage::Server => verify_server_cert_signed_by_trust_anchor(
                &ParsedCertificate::try_from(leaf)?,
                &self.roots,
                between,
                now,
                provider().signature_verification_algorithms.all,
            ),
        }
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trust({}, {} CAs)", self.cluster, self.roots.len())
    }
}

impl Refused {
    /// Why a handshake failed, if it was for the peer's certificate. For the error of a TLS
    /// stream, which wraps rustls' own.
    #[must_use]
    pub fn of(error: &std::io::Error) -> Option<Self> {
        let inner = error.get_ref()?.downcast_ref::<rustls::Error>()?;
        matches!(inner, rustls::Error::InvalidCertificate(_)).then(|| Self::from_rustls(inner))
    }

    /// What rustls' error means.
    #[must_use]
    pub fn from_rustls(error: &rustls::Error) -> Self {
        let rustls::Error::InvalidCertificate(reason) = error else {
            return Self::Invalid(error.to_string());
        };
        match reason {
            CertificateError::ExpiredContext { time, not_after } => Self::Expired {
                not_after: system(*not_after),
                now: system(*time),
            },
            CertificateError::NotValidYetContext { time, not_before } => Self::NotYetValid {
                not_before: system(*not_before),
                now: system(*time),
            },
            CertificateError::UnknownIssuer => Self::OtherCa,
            CertificateError::BadSignature => Self::NotItsKey,
            CertificateError::Other(other) => other
                .0
                .downcast_ref::<Self>()
                .cloned()
                .unwrap_or_else(|| Self::Invalid(other.to_string())),
            other => Self::Invalid(other.to_string()),
        }
    }
}

impl From<Refused> for rustls::Error {
    /// Where TLS has an alert of its own, the peer gets that one.
    fn from(refused: Refused) -> Self {
        Self::InvalidCertificate(match refused {
            Refused::Expired { not_after, now } => CertificateError::ExpiredContext {
                time: rustls_time(now),
                not_after: rustls_time(not_after),
            },
            Refused::NotYetValid { not_before, now } => CertificateError::NotValidYetContext {
                time: rustls_time(now),
                not_before: rustls_time(not_before),
            },
            Refused::OtherCa => CertificateError::UnknownIssuer,
            Refused::NotItsKey => CertificateError::BadSignature,
            other => CertificateError::Other(OtherError(Arc::new(other))),
        })
    }
}

pub(super) fn rustls_time(time: SystemTime) -> UnixTime {
    UnixTime::since_unix_epoch(unix(time))
}

fn system(time: UnixTime) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(time.as_secs())
}

fn unix(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}
