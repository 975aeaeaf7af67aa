//! Finished rustls configurations for every door of a node.
//!
//! None of them resumes a session, on either side: a resumed session carries the certificate that
//! was shown when it began, not the one that is valid now (T1). Port 8300 speaks TLS 1.3 alone; its
//! two protocols are told apart by ALPN (RFC 7301).

use std::fmt;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::SystemTime;

use rcgen::{CertificateParams, DistinguishedName, DnType};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::UnixTime;
use rustls::server::{NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::time_provider::TimeProvider;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ServerConfig, SupportedProtocolVersion};

use super::PkiError;
pub use super::cert_store::CertStore;
use super::cert_store::certified;
use super::node_key::NodeKey;
use super::trust::rustls_time;
use super::verify::{Anyone, Called, Callers, Expect};
use crate::model::Role;
use crate::task::clock;

/// Between members.
pub const ALPN_RPC: &[u8] = b"swarmer-rpc/1";
/// For those who have no certificate yet.
pub const ALPN_JOIN: &[u8] = b"swarmer-join/1";
const ALPN_HTTP: &[u8] = b"http/1.1";
const ONLY_13: &[&SupportedProtocolVersion] = &[&TLS13];
const FROM_12: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];

static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(ring::default_provider()));

/// Where handshakes read the wall time from, for the validity of certificates.
#[derive(Clone)]
pub(super) struct WallClock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

/// Why there is no configuration.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TlsError {
    /// rustls refused it.
    #[error("cannot set up TLS: {0}")]
    Config(#[from] rustls::Error),
    /// The certificate for the join.
    #[error("the certificate for the join: {0}")]
    JoinCertificate(#[from] rcgen::Error),
    /// Too early.
    #[error("this node believes no CA yet: it only answers joins")]
    NotJoined,
}

impl WallClock {
    pub(super) fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(super) fn system() -> Self {
        Self::new(clock::wall)
    }

    pub(super) fn unix(&self) -> UnixTime {
        rustls_time((self.0)())
    }
}

impl fmt::Debug for WallClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WallClock")
    }
}

impl TimeProvider for WallClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.unix())
    }
}

/// The RPC port, for members: a server's or worker's certificate is required.
pub fn rpc_server_config(certificates: Arc<CertStore>) -> Result<Arc<ServerConfig>, PkiError> {
    let callers = Callers {
        store: joined(&certificates)?,
        mandatory: true,
        roles: &[Role::Server, Role::Worker],
        hints: OnceLock::new(),
    };
    let clock = certificates.clock().clone();
    Ok(server(
        ONLY_13,
        clock,
        Some(callers),
        certificates,
        ALPN_RPC,
    )?)
}

/// The RPC port, for those who join: no certificate is asked for, and the one that is shown is
/// signed by its own key alone, so that strangers learn nothing of the cluster.
pub fn join_server_config(key: &NodeKey) -> Result<Arc<ServerConfig>, PkiError> {
    let own = Arc::new(SingleCertAndKey::from(self_signed(key)?));
    Ok(server(ONLY_13, WallClock::system(), None, own, ALPN_JOIN)?)
}

/// To other members: ours is shown, theirs must be a server's by our CA. Which server answered, the
/// caller reads from its certificate; the name that rustls asks for is nothing.
pub fn rpc_client_config(certificates: Arc<CertStore>) -> Result<Arc<ClientConfig>, PkiError> {
    let expect = Expect::Server;
    let mut config = member(ONLY_13, certificates, expect, ALPN_RPC)?;
    config.enable_sni = false;
    Ok(Arc::new(config))
}

/// To a server that is not known yet: takes any certificate, since the token's proof comes after
/// the handshake and is bound to it.
pub fn join_client_config() -> Result<Arc<ClientConfig>, PkiError> {
    let config = ClientConfig::builder_with_details(provider(), Arc::new(WallClock::system()))
        .with_protocol_versions(ONLY_13)
        .map_err(TlsError::Config)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone))
        .with_no_client_auth();
    let mut config = client(config, ALPN_JOIN);
    config.enable_sni = false;
    Ok(Arc::new(config))
}

/// HTTPS and the registry's front: for members, operators, and people with a token, who have no
/// certificate. One that is shown must be good.
pub fn https_server_config(certificates: Arc<CertStore>) -> Result<Arc<ServerConfig>, PkiError> {
    let callers = Callers {
        store: joined(&certificates)?,
        mandatory: false,
        roles: &[Role::Server, Role::Worker, Role::Operator],
        hints: OnceLock::new(),
    };
    let clock = certificates.clock().clone();
    Ok(server(
        FROM_12,
        clock,
        Some(callers),
        certificates,
        ALPN_HTTP,
    )?)
}

/// To another node's HTTPS or registry front: the name is checked as usual, ours is shown.
pub fn https_client_config(certificates: Arc<CertStore>) -> Result<Arc<ClientConfig>, PkiError> {
    let config = member(FROM_12, certificates, Expect::Named, ALPN_HTTP)?;
    Ok(Arc::new(config))
}

pub(super) fn provider() -> Arc<CryptoProvider> {
    PROVIDER.clone()
}

/// A door that asks for certificates is no door before there is a CA to judge them by.
fn joined(certificates: &Arc<CertStore>) -> Result<Arc<CertStore>, TlsError> {
    match certificates.believed() {
        Ok(_) => Ok(Arc::clone(certificates)),
        Err(_) => Err(TlsError::NotJoined),
    }
}

fn server(
    versions: &[&'static SupportedProtocolVersion],
    clock: WallClock,
    callers: Option<Callers>,
    own: Arc<dyn ResolvesServerCert>,
    alpn: &[u8],
) -> Result<Arc<ServerConfig>, TlsError> {
    let config = ServerConfig::builder_with_details(provider(), Arc::new(clock))
        .with_protocol_versions(versions)?;
    let config = match callers {
        Some(callers) => config.with_client_cert_verifier(Arc::new(callers)),
        None => config.with_no_client_auth(),
    };
    let mut config = config.with_cert_resolver(own);
    config.alpn_protocols = vec![alpn.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

fn member(
    versions: &[&'static SupportedProtocolVersion],
    certificates: Arc<CertStore>,
    expect: Expect,
    alpn: &[u8],
) -> Result<ClientConfig, TlsError> {
    let called = Called {
        store: joined(&certificates)?,
        expect,
    };
    let clock = Arc::new(certificates.clock().clone());
    let config = ClientConfig::builder_with_details(provider(), clock)
        .with_protocol_versions(versions)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(called))
        .with_client_cert_resolver(certificates);
    Ok(client(config, alpn))
}

fn client(mut config: ClientConfig, alpn: &[u8]) -> ClientConfig {
    config.alpn_protocols = vec![alpn.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config
}

/// Its dates are rcgen's widest: nobody judges it, and the clock may be wrong before the join.
fn self_signed(key: &NodeKey) -> Result<Arc<CertifiedKey>, PkiError> {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, "swarmer join");
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    let signed = params
        .self_signed(key.pair())
        .map_err(TlsError::JoinCertificate)?;
    Ok(certified(key, vec![signed.der().clone()])?)
}
