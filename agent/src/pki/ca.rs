//! The cluster's certificate authority: one key, which signs short-lived leaves.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber, SubjectPublicKeyInfo,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::identity::{BACKDATE, PeerIdentity, ca_cluster, ca_uri, key_of};
use super::node_key::{Csr, NodeKey};
use super::{PkiError, random};
use crate::model::{ClusterId, KeyFingerprint, Name, NodeId, Role};

const CA_LIFETIME: Duration = Duration::from_secs(3650 * 24 * 3600);
const LEAF_LIFETIME: Duration = Duration::from_secs(72 * 3600);
/// The latest moment that certificates name (2200-01-01), so that a clock gone mad is no panic.
const LATEST: Duration = Duration::from_secs(7_258_118_400);

/// How long leaves live, from their making: 72 h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime(pub Duration);

impl Default for Lifetime {
    fn default() -> Self {
        Self(LEAF_LIFETIME)
    }
}

/// Whom a leaf is for. The certificate says this and nothing that the request asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node, or the operator's own id.
    pub node: NodeId,
    /// Its role.
    pub role: Role,
    /// Its name.
    pub name: Name,
    /// The cluster's stack.
    pub stack: Name,
    /// The cluster's data center.
    pub dc: Name,
    /// The node's address in the admin network.
    pub address: Option<IpAddr>,
}

/// A CA with its private key.
pub struct Ca {
    cluster: ClusterId,
    cert_pem: String,
    key: Vec<u8>,
    fingerprint: KeyFingerprint,
    issuer: Issuer<'static, KeyPair>,
}

/// Why a CA could not be made, read or used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaError {
    /// Its certificate is not PEM.
    #[error("the CA's certificate is not PEM (BEGIN CERTIFICATE)")]
    NotPem,
    /// They do not belong together.
    #[error("the CA's certificate is for key {certificate}, but its private key is {key}")]
    KeyMismatch {
        /// In the certificate.
        certificate: KeyFingerprint,
        /// At hand.
        key: KeyFingerprint,
    },
    /// It was to sign for another cluster.
    #[error("this is the CA of cluster {ours}, it does not sign for {theirs}")]
    OtherCluster {
        /// The CA's.
        ours: ClusterId,
        /// The subject's.
        theirs: ClusterId,
    },
    /// The signing itself.
    #[error("cannot sign {what}: {source}")]
    Sign {
        /// What was to be signed.
        what: String,
        /// Why.
        source: rcgen::Error,
    },
}

impl Ca {
    /// A new CA: ECDSA P-256, in force from a day ago for ten years.
    pub fn generate(
        cluster: ClusterId,
        stack: &Name,
        dc: &Name,
        now: SystemTime,
    ) -> Result<Self, PkiError> {
        let key = NodeKey::generate()?;
        let mut params = params(now, CA_LIFETIME);
        params.distinguished_name = ca_name(cluster, stack, dc);
        // Room for one certificate between, so that a new CA can be cross-signed by this one.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.subject_alt_names = vec![uri(ca_uri(cluster))?];
        let signed = params
            .self_signed(key.pair())
            .map_err(|source| CaError::Sign {
                what: "the CA".to_owned(),
                source,
            })?;
        Self::from_parts(&signed.pem(), key.der())
    }

    /// The CA whose certificate (PEM) and private key (PKCS#8 DER) were kept.
    pub fn from_parts(cert_pem: &str, key_der: &[u8]) -> Result<Self, PkiError> {
        let der =
            CertificateDer::from_pem_slice(cert_pem.as_bytes()).map_err(|_| CaError::NotPem)?;
        let key = NodeKey::from_der(key_der)?;
        let (certificate, fingerprint) = (key_of(&der)?, key.fingerprint());
        if certificate != fingerprint {
            return Err(CaError::KeyMismatch {
                certificate,
                key: fingerprint,
            }
            .into());
        }
        Ok(Self {
            cluster: ca_cluster(&der)?,
            cert_pem: cert_pem.to_owned(),
            key: key_der.to_vec(),
            fingerprint,
            issuer: Issuer::from_ca_cert_der(&der, key.into_pair()).map_err(|source| {
                CaError::Sign {
                    what: "with this CA".to_owned(),
                    source,
                }
            })?,
        })
    }

    /// Its cluster.
    #[must_use]
    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// Its certificate, PEM.
    #[must_use]
    pub fn cert_pem(&self) -> &str {
        &self.cert_pem
    }

    /// The secret itself, PKCS#8 DER, to be sealed.
    #[must_use]
    pub fn key_der(&self) -> &[u8] {
        &self.key
    }

    /// The fingerprint of its key.
    #[must_use]
    pub fn fingerprint(&self) -> KeyFingerprint {
        self.fingerprint
    }

    /// Signs a leaf for the request's key; gives its certificate, PEM.
    pub fn sign(
        &self,
        csr: &Csr,
        subject: &Subject,
        now: SystemTime,
        lifetime: Lifetime,
    ) -> Result<String, PkiError> {
        if subject.cluster != self.cluster {
            return Err(CaError::OtherCluster {
                ours: self.cluster,
                theirs: subject.cluster,
            }
            .into());
        }
        let refuse = |source| CaError::Sign {
            what: format!("{} {}", subject.role, subject.name),
            source,
        };
        let mut params = params(now, lifetime.0);
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, subject.name.as_str());
        params.distinguished_name = name;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages = usages(subject.role);
        params.subject_alt_names = names(subject)?;
        let key = SubjectPublicKeyInfo::from_der(csr.spki()).map_err(refuse)?;
        let signed = params.signed_by(&key, &self.issuer).map_err(refuse)?;
        Ok(signed.pem())
    }
}

impl fmt::Debug for Ca {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ca({} of cluster {})", self.fingerprint, self.cluster)
    }
}

fn params(now: SystemTime, lifetime: Duration) -> CertificateParams {
    let since = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .min(LATEST);
    let at = |since: Duration| SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs());
    let mut serial: [u8; 16] = random::bytes();
    // Positive and never empty (RFC 5280 section 4.1.2.2). Random, since a renewed leaf keeps its
    // key, and a serial made from the key would come twice.
    serial[0] = (serial[0] & 0x7f) | 0x40;
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.not_before = at(since.saturating_sub(BACKDATE)).into();
    params.not_after = at(since.saturating_add(lifetime).min(LATEST)).into();
    params
}

/// The same for every CA of a cluster, so that a rotation changes no issuer's name.
fn ca_name(cluster: ClusterId, stack: &Name, dc: &Name) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, stack.as_str());
    name.push(DnType::OrganizationalUnitName, dc.as_str());
    name.push(DnType::CommonName, format!("swarmer CA {cluster}"));
    name
}

fn usages(role: Role) -> Vec<ExtendedKeyUsagePurpose> {
    match role {
        Role::Operator => vec![ExtendedKeyUsagePurpose::ClientAuth],
        Role::Server | Role::Worker => vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ],
    }
}

fn names(subject: &Subject) -> Result<Vec<SanType>, CaError> {
    let identity = PeerIdentity::uri(subject.cluster, subject.role, subject.node);
    let mut names = vec![uri(identity)?];
    if subject.role == Role::Operator {
        return Ok(names);
    }
    let Subject {
        name, stack, dc, ..
    } = subject;
    for host in [
        format!("{name}.node.{dc}.{stack}"),
        name.to_string(),
        "localhost".to_owned(),
        format!("registry.service.{dc}.{stack}"),
        format!("registry.service.{stack}"),
        format!("registry.service.{dc}"),
        "registry.service.consul".to_owned(),
        format!("registry.service.{dc}.consul"),
    ] {
        let host = host.try_into().map_err(|source| CaError::Sign {
            what: format!("a host name of {name}"),
            source,
        })?;
        names.push(SanType::DnsName(host));
    }
    let loopback = [
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    ];
    let address = subject.address.filter(|own| !loopback.contains(own));
    names.extend(address.into_iter().chain(loopback).map(SanType::IpAddress));
    Ok(names)
}

fn uri(text: String) -> Result<SanType, CaError> {
    let what = text.clone();
    let uri = text
        .try_into()
        .map_err(|source| CaError::Sign { what, source })?;
    Ok(SanType::URI(uri))
}
