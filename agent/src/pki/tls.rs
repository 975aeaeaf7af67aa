//! Finished TLS configs.

use std::sync::{Arc, PoisonError, RwLock};

use rcgen::{CertificateParams, DnType};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SignatureScheme};

use super::verify::{Anyone, ByOurCa, by_name};
use super::{NodeKey, PkiError};

/// Between members.
pub const ALPN_RPC: &[u8] = b"swarmer-rpc/1";
/// For those who have no certificate yet.
pub const ALPN_JOIN: &[u8] = b"swarmer-join/1";

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn certified(cert_pem: &str, key: &NodeKey) -> Result<Arc<CertifiedKey>, PkiError> {
    let chain = chain(cert_pem)?;
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.der().to_vec()));
    Ok(Arc::new(CertifiedKey::from_der(chain, der, &provider())?))
}

fn chain(pem: &str) -> Result<Vec<CertificateDer<'static>>, PkiError> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| PkiError::Unreadable {
            what: "the certificate",
            why: error.to_string(),
        })
}

/// Trusts the certificates in `ca_pem`.
pub fn roots(ca_pem: &str) -> Result<Arc<RootCertStore>, PkiError> {
    let mut roots = RootCertStore::empty();
    for certificate in chain(ca_pem)? {
        roots.add(certificate)?;
    }
    Ok(Arc::new(roots))
}

/// The node's certificate in use. Every connection takes the present one, so a renewal needs no
/// restart.
#[derive(Debug, Default)]
pub struct CertStore {
    present: RwLock<Option<Arc<CertifiedKey>>>,
    /// The CA that others' certificates must be signed by, PEM.
    ca: RwLock<Option<Arc<RootCertStore>>>,
}

impl CertStore {
    /// Without a certificate yet.
    #[must_use]
    pub fn empty() -> Arc<Self> {
        Arc::default()
    }

    /// Puts a certificate (PEM) in use.
    pub fn replace(&self, cert_pem: &str, key: &NodeKey) -> Result<(), PkiError> {
        let certified = certified(cert_pem, key)?;
        *self.present.write().unwrap_or_else(PoisonError::into_inner) = Some(certified);
        Ok(())
    }

    /// Trusts this CA (PEM).
    pub fn trust(&self, ca_pem: &str) -> Result<(), PkiError> {
        let roots = roots(ca_pem)?;
        *self.ca.write().unwrap_or_else(PoisonError::into_inner) = Some(roots);
        Ok(())
    }

    /// The trusted CA.
    #[must_use]
    pub fn roots(&self) -> Option<Arc<RootCertStore>> {
        self.ca
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn present(&self) -> Option<Arc<CertifiedKey>> {
        self.present
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl ResolvesServerCert for CertStore {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.present()
    }
}

impl ResolvesClientCert for CertStore {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.present()
    }

    fn has_certs(&self) -> bool {
        self.present().is_some()
    }
}

/// Neither tickets nor sessions: a resumed session carries the certificate of the first.
fn without_resumption(mut config: ServerConfig) -> ServerConfig {
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    config
}

/// The RPC port, for members: their certificate is required.
pub fn rpc_server_config(certificates: Arc<CertStore>) -> Result<Arc<ServerConfig>, PkiError> {
    let roots = certificates
        .roots()
        .ok_or(PkiError::Proof("no CA is trusted yet"))?;
    let clients = WebPkiClientVerifier::builder_with_provider(roots, provider())
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    let mut config = without_resumption(
        ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(clients)
            .with_cert_resolver(certificates),
    );
    config.alpn_protocols = vec![ALPN_RPC.to_vec()];
    Ok(Arc::new(config))
}

/// The RPC port, for those who join: no certificate; ours is signed by nobody but ourselves.
pub fn join_server_config(key: &NodeKey) -> Result<Arc<ServerConfig>, PkiError> {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "swarmer join");
    let pem = params.self_signed(key.pair())?.pem();
    let own = CertStore::empty();
    own.replace(&pem, key)?;
    let mut config = without_resumption(
        ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])?
            .with_no_client_auth()
            .with_cert_resolver(own),
    );
    config.alpn_protocols = vec![ALPN_JOIN.to_vec()];
    Ok(Arc::new(config))
}

/// To other members: ours is shown, theirs must be a server's by our CA.
pub fn rpc_client_config(certificates: Arc<CertStore>) -> Result<Arc<ClientConfig>, PkiError> {
    let roots = certificates
        .roots()
        .ok_or(PkiError::Proof("no CA is trusted yet"))?;
    let verifier = ByOurCa {
        roots,
        provider: provider(),
    };
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(certificates);
    config.alpn_protocols = vec![ALPN_RPC.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// To a server that is not known yet; the token's proof makes up for it.
pub fn join_client_config() -> Result<Arc<ClientConfig>, PkiError> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone {
            provider: provider(),
        }))
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN_JOIN.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    Ok(Arc::new(config))
}

/// HTTPS and the registry's front: for members, operators, and people with a token, who have no
/// certificate.
pub fn https_server_config(certificates: Arc<CertStore>) -> Result<Arc<ServerConfig>, PkiError> {
    let roots = certificates
        .roots()
        .ok_or(PkiError::Proof("no CA is trusted yet"))?;
    let clients = WebPkiClientVerifier::builder_with_provider(roots, provider())
        .allow_unauthenticated()
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    let mut config = without_resumption(
        ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(clients)
            .with_cert_resolver(certificates),
    );
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// To another node's HTTPS or registry front: the name is checked as usual, ours is shown.
pub fn https_client_config(certificates: Arc<CertStore>) -> Result<Arc<ClientConfig>, PkiError> {
    let roots = certificates
        .roots()
        .ok_or(PkiError::Proof("no CA is trusted yet"))?;
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(by_name(roots, provider())?)
        .with_client_cert_resolver(certificates);
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
