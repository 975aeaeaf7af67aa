//! The cluster's certificate authority.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    SanType, SerialNumber,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use time::OffsetDateTime;

use super::identity::BACKDATED;
use super::{Csr, PeerIdentity, PkiError, random};
use crate::model::{ClusterId, Name, NodeId, Role};

const CA_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// How long a leaf holds.
#[derive(Clone, Copy, Debug)]
pub struct Lifetime(pub Duration);

/// Whom a leaf is for.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node; random for an operator.
    pub node: NodeId,
    /// The role.
    pub role: Role,
    /// The node's name.
    pub name: Name,
    /// The stack.
    pub stack: Name,
    /// The data center.
    pub dc: Name,
    /// The node's address.
    pub address: Option<IpAddr>,
}

/// The CA: certificate and key (ECDSA P-256).
pub struct Ca {
    cert_pem: String,
    key: KeyPair,
}

impl Ca {
    /// A new one, for ten years.
    pub fn generate(
        cluster: ClusterId,
        stack: &Name,
        dc: &Name,
        now: SystemTime,
    ) -> Result<Self, PkiError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(
            DnType::CommonName,
            format!("swarmer {dc}.{stack} {cluster}"),
        );
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = at(now - BACKDATED);
        params.not_after = at(now + CA_LIFE);
        params.serial_number = Some(serial());
        let cert_pem = params.self_signed(&key)?.pem();
        Ok(Self { cert_pem, key })
    }

    /// From its certificate and its key (PKCS#8 DER).
    pub fn from_parts(cert_pem: &str, key: &[u8]) -> Result<Self, PkiError> {
        let der = PrivatePkcs8KeyDer::from(key.to_vec());
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ECDSA_P256_SHA256)?;
        Ok(Self {
            cert_pem: cert_pem.to_owned(),
            key,
        })
    }

    /// Its certificate.
    #[must_use]
    pub fn cert_pem(&self) -> &str {
        &self.cert_pem
    }

    /// Its key (PKCS#8 DER), to be sealed.
    #[must_use]
    pub fn key_der(&self) -> &[u8] {
        self.key.serialized_der()
    }

    /// Signs a leaf, PEM. Only the request's key counts; all else is the subject's.
    pub fn sign(
        &self,
        csr: &Csr,
        subject: &Subject,
        now: SystemTime,
        lifetime: Lifetime,
    ) -> Result<String, PkiError> {
        let mut request = CertificateSigningRequestParams::from_der(&csr.request())?;
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, subject.name.as_str());
        params.subject_alt_names = names(subject)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = match subject.role {
            Role::Operator => vec![ExtendedKeyUsagePurpose::ClientAuth],
            Role::Server | Role::Worker => {
                vec![
                    ExtendedKeyUsagePurpose::ServerAuth,
                    ExtendedKeyUsagePurpose::ClientAuth,
                ]
            }
        };
        params.not_before = at(now - BACKDATED);
        params.not_after = at(now + lifetime.0);
        params.serial_number = Some(serial());
        params.use_authority_key_identifier_extension = true;
        request.params = params;
        let issuer = Issuer::from_ca_cert_pem(&self.cert_pem, &self.key)?;
        Ok(request.signed_by(&issuer)?.pem())
    }
}

fn names(subject: &Subject) -> Result<Vec<SanType>, PkiError> {
    let Subject {
        cluster,
        node,
        role,
        name,
        stack,
        dc,
        address,
    } = subject;
    let uri = PeerIdentity::uri(*cluster, *role, *node);
    let mut names = vec![SanType::URI(uri.try_into()?)];
    if *role == Role::Operator {
        return Ok(names);
    }
    let dns = [
        format!("{name}.node.{dc}.{stack}"),
        name.to_string(),
        "localhost".to_owned(),
        format!("registry.service.{dc}.{stack}"),
        format!("registry.service.{stack}"),
        format!("registry.service.{dc}"),
        "registry.service.consul".to_owned(),
        format!("registry.service.{dc}.consul"),
    ];
    for name in dns {
        names.push(SanType::DnsName(name.try_into()?));
    }
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    names.push(SanType::IpAddress(loopback));
    if let Some(address) = address.filter(|address| *address != loopback) {
        names.push(SanType::IpAddress(address));
    }
    Ok(names)
}

fn serial() -> SerialNumber {
    let mut bytes: [u8; 16] = random::bytes();
    // Positive, as RFC 5280 section 4.1.2.2 wants it.
    bytes[0] &= 0x7f;
    SerialNumber::from_slice(&bytes)
}

fn at(time: SystemTime) -> OffsetDateTime {
    OffsetDateTime::from(time)
}

#[cfg(test)]
#[path = "ca_tests.rs"]
mod tests;
