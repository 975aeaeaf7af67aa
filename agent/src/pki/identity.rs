//! What a certificate says: who its holder is and from when to when.

use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{ASN1Time, FromDer, GeneralName, X509Certificate};

use super::PkiError;
use super::derive::sha256;
use crate::model::{ClusterId, KeyFingerprint, NodeId, Role};

const SCHEME: &str = "swarmer://";
/// The path of a CA's own URI.
const CA_PATH: &str = "ca";
/// Certificates begin this long before they are made, for clocks that are behind.
pub(super) const BACKDATE: Duration = Duration::from_secs(24 * 3600);

/// Who a certificate is for. Reading it proves nothing: that is [`Trust`](super::Trust)'s part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerIdentity {
    /// The cluster that it is a member of.
    pub cluster: ClusterId,
    /// Its role.
    pub role: Role,
    /// Its id.
    pub node: NodeId,
    /// The fingerprint of its key.
    pub key: KeyFingerprint,
    /// The end of the certificate.
    pub not_after: SystemTime,
}

/// From when to when a certificate is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Its beginning: a day before it was made.
    pub not_before: SystemTime,
    /// Its end.
    pub not_after: SystemTime,
}

/// Why a certificate could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Not a certificate.
    #[error("this is not an X.509 certificate")]
    NotACertificate,
    /// It says nothing of a swarmer node.
    #[error(
        "the certificate names no swarmer node: it has no URI swarmer://<cluster>/<role>/<node>"
    )]
    NoIdentity,
    /// It says more than one thing.
    #[error("the certificate names more than one swarmer node")]
    Ambiguous,
    /// Its URI is malformed.
    #[error("the certificate's URI is not swarmer://<cluster>/<role>/<node>: {found:?}")]
    Malformed {
        /// The URI, cut to 120 characters.
        found: String,
    },
}

impl PeerIdentity {
    /// Reads a certificate (DER).
    pub fn from_der(der: &CertificateDer<'_>) -> Result<Self, PkiError> {
        Ok(Self::read(der)?)
    }

    pub(super) fn read(der: &[u8]) -> Result<Self, IdentityError> {
        let certificate = parse(der)?;
        let uri = own_uri(&certificate)?;
        let malformed = || IdentityError::Malformed {
            found: uri.chars().take(120).collect(),
        };
        let mut parts = uri.strip_prefix(SCHEME).unwrap_or_default().split('/');
        let (Some(cluster), Some(role), Some(node), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed());
        };
        Ok(Self {
            cluster: cluster.parse().map_err(|_| malformed())?,
            role: role.parse().map_err(|_| malformed())?,
            node: node.parse().map_err(|_| malformed())?,
            key: KeyFingerprint(sha256(certificate.public_key().raw)),
            not_after: system_time(certificate.validity().not_after),
        })
    }

    pub(super) fn uri(cluster: ClusterId, role: Role, node: NodeId) -> String {
        format!("{SCHEME}{cluster}/{role}/{node}")
    }
}

impl Validity {
    /// Reads the first certificate of a PEM text.
    pub fn of_pem(pem: &str) -> Result<Self, PkiError> {
        let der = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| IdentityError::NotACertificate)?;
        let certificate = parse(&der)?;
        Ok(Self {
            not_before: system_time(certificate.validity().not_before),
            not_after: system_time(certificate.validity().not_after),
        })
    }

    /// When half of the time between its making and its end is over: time to renew.
    #[must_use]
    pub fn half_life(&self) -> SystemTime {
        let made = (self.not_before + BACKDATE).min(self.not_after);
        let life = self.not_after.duration_since(made).unwrap_or_default();
        made + life / 2
    }

    /// Whether it is in force.
    #[must_use]
    pub fn holds(&self, now: SystemTime) -> bool {
        self.not_before <= now && now < self.not_after
    }

    /// Whether its end has come.
    #[must_use]
    pub fn is_over(&self, now: SystemTime) -> bool {
        now >= self.not_after
    }
}

/// The URI by which a CA's certificate says whose it is.
pub(super) fn ca_uri(cluster: ClusterId) -> String {
    format!("{SCHEME}{cluster}/{CA_PATH}")
}

/// The cluster that a CA's certificate (DER) is of.
pub(super) fn ca_cluster(der: &[u8]) -> Result<ClusterId, IdentityError> {
    let certificate = parse(der)?;
    let uri = own_uri(&certificate)?;
    uri.strip_prefix(SCHEME)
        .and_then(|rest| rest.strip_suffix(CA_PATH)?.strip_suffix('/'))
        .and_then(|cluster| cluster.parse().ok())
        .ok_or_else(|| IdentityError::Malformed {
            found: uri.chars().take(120).collect(),
        })
}

/// The fingerprint of the key in a certificate (DER).
pub(super) fn key_of(der: &[u8]) -> Result<KeyFingerprint, IdentityError> {
    Ok(KeyFingerprint(sha256(parse(der)?.public_key().raw)))
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, IdentityError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(IdentityError::NotACertificate),
    }
}

/// The one URI of our scheme. Two would let a reader of the first and a reader of the last differ.
fn own_uri<'a>(certificate: &'a X509Certificate<'_>) -> Result<&'a str, IdentityError> {
    let names = certificate
        .subject_alternative_name()
        .map_err(|_| IdentityError::NotACertificate)?
        .ok_or(IdentityError::NoIdentity)?;
    let mut uris = names
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::URI(uri) if uri.starts_with(SCHEME) => Some(*uri),
            _ => None,
        });
    let uri = uris.next().ok_or(IdentityError::NoIdentity)?;
    if uris.next().is_some() {
        return Err(IdentityError::Ambiguous);
    }
    Ok(uri)
}

/// Times before 1970 become 1970: no certificate of ours is that old.
fn system_time(time: ASN1Time) -> SystemTime {
    let seconds = u64::try_from(time.timestamp()).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}
