//! Finished rustls configurations for every door of a node.
//!
//! None of them resumes a session, on either side: a resumed session carries the certificate that
//! was shown when it began, not the one that is valid now (T1). Port 8300 speaks TLS 1.3 alone; its
//! two protocols are told apart by ALPN (RFC 7301), of which a client offers exactly one.

use std::fmt;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::SystemTime;

use rcgen::{CertificateParams, DistinguishedName, DnType};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::UnixTime;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::time_provider::TimeProvider;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ServerConfig, SupportedProtocolVersion};

use super::credentials::{CertStore, CredentialsError, certified};
use super::node_key::NodeKey;
use super::trust::{Trust, rustls_time};
use super::verify::{Anyone, Believes, Called, Callers};
use crate::model::{NodeId, Role};

/// ALPN of the cluster's own calls.
const ALPN_RPC: &[u8] = b"swarmer-rpc/1";
/// ALPN of the join.
const ALPN_JOIN: &[u8] = b"swarmer-join/1";
const ALPN_HTTP: &[u8] = b"http/1.1";
const ONLY_13: &[&SupportedProtocolVersion] = &[&TLS13];
const FROM_12: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];

static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(ring::default_provider()));

/// Where handshakes read the wall time from, for the validity of certificates.
#[derive(Clone)]
pub struct WallClock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

/// Whom a client expects to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// This very node.
    Node(NodeId),
    /// Any server.
    Server,
    /// Any server or worker.
    AnyNode,
}

/// Who is asked for a certificate on an HTTPS door, and in which role. A certificate that is shown
/// must be good either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Every role of the cluster may show one; who shows none must have a token, which HTTP checks.
    Anyone,
    /// Nobody gets in without an operator's certificate.
    OnlyOperators,
}

/// The two protocols of port 8300.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Between members; both sides show certificates.
    Rpc,
    /// From those who have no certificate yet.
    Join,
}

/// The server side of port 8300.
#[derive(Clone, Debug)]
pub struct RpcTls {
    rpc: Arc<ServerConfig>,
    join: Arc<ServerConfig>,
    store: Arc<CertStore>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// rustls refused it.
    #[error("cannot set up TLS: {0}")]
    Config(#[from] rustls::Error),
    /// The key for the join.
    #[error("the certificate for the join: {0}")]
    JoinKey(#[from] CredentialsError),
    /// The certificate for the join.
    #[error("the certificate for the join: {0}")]
    JoinCertificate(#[from] rcgen::Error),
    /// The caller speaks neither protocol of ours.
    #[error("the caller offered neither swarmer-rpc/1 nor swarmer-join/1 (ALPN)")]
    UnknownProtocol,
    /// Too early.
    #[error("this node has no certificate of a cluster yet: it only answers joins")]
    NotJoined,
}

impl WallClock {
    /// A clock that reads `now`.
    pub fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }
}

impl fmt::Debug for WallClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WallClock")
    }
}

impl TimeProvider for WallClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(rustls_time((self.0)()))
    }
}

impl Wire {
    fn alpn(self) -> &'static [u8] {
        match self {
            Self::Rpc => ALPN_RPC,
            Self::Join => ALPN_JOIN,
        }
    }
}

impl RpcTls {
    /// `store` may be empty yet: until it is filled, only joins are answered. The join shows a
    /// certificate that the node signed itself, so that strangers learn nothing of the cluster.
    pub fn new(store: Arc<CertStore>, key: &NodeKey, clock: &WallClock) -> Result<Self, TlsError> {
        let callers = Callers {
            believes: Believes::Present(store.clone()),
            mandatory: true,
            roles: &[Role::Server, Role::Worker],
            hints: OnceLock::new(),
        };
        let own: Arc<dyn ResolvesServerCert> = store.clone();
        let rpc = server(ONLY_13, clock, Some(callers), own, Wire::Rpc.alpn())?;
        let own = Arc::new(SingleCertAndKey::from(self_signed(key)?));
        let join = server(ONLY_13, clock, None, own, Wire::Join.alpn())?;
        Ok(Self { rpc, join, store })
    }

    /// The protocol that a caller wants, and the configuration that goes on with its handshake.
    pub fn config_for(
        &self,
        hello: &ClientHello<'_>,
    ) -> Result<(Wire, Arc<ServerConfig>), TlsError> {
        let offered: Vec<&[u8]> = hello.alpn().map(Iterator::collect).unwrap_or_default();
        if offered == [Wire::Join.alpn()] {
            return Ok((Wire::Join, self.join.clone()));
        }
        if offered != [Wire::Rpc.alpn()] {
            return Err(TlsError::UnknownProtocol);
        }
        self.store.get().ok_or(TlsError::NotJoined)?;
        Ok((Wire::Rpc, self.rpc.clone()))
    }
}

/// For calls to a member. Which member is said by `expect`, not by the server name that rustls
/// asks for: give it the address.
pub fn rpc_client_config(
    store: Arc<CertStore>,
    expect: Expect,
    clock: &WallClock,
) -> Result<Arc<ClientConfig>, TlsError> {
    let called = Arc::new(Called {
        believes: Believes::Present(store.clone()),
        expect,
    });
    let config = ClientConfig::builder_with_details(provider(), Arc::new(clock.clone()))
        .with_protocol_versions(ONLY_13)?
        .dangerous()
        .with_custom_certificate_verifier(called)
        .with_client_cert_resolver(store);
    Ok(client(config, Wire::Rpc.alpn()))
}

/// For the join: takes any certificate, since the proof comes after the handshake.
pub fn join_client_config(clock: &WallClock) -> Result<Arc<ClientConfig>, TlsError> {
    let config = ClientConfig::builder_with_details(provider(), Arc::new(clock.clone()))
        .with_protocol_versions(ONLY_13)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone))
        .with_no_client_auth();
    Ok(client(config, Wire::Join.alpn()))
}

/// For a node's HTTPS doors: 8501, the registry's front, Docker's front.
pub fn https_server_config(
    store: Arc<CertStore>,
    asked: Asked,
    clock: &WallClock,
) -> Result<Arc<ServerConfig>, TlsError> {
    let callers = Callers {
        believes: Believes::Present(store.clone()),
        mandatory: asked == Asked::OnlyOperators,
        roles: match asked {
            Asked::Anyone => &[Role::Server, Role::Worker, Role::Operator],
            Asked::OnlyOperators => &[Role::Operator],
        },
        hints: OnceLock::new(),
    };
    server(FROM_12, clock, Some(callers), store, ALPN_HTTP)
}

/// For calls to a node's HTTPS doors: with `own`, showing its certificate; without, a token is
/// needed.
pub fn https_client_config(
    trust: Trust,
    own: Option<Arc<CertStore>>,
    clock: &WallClock,
) -> Result<Arc<ClientConfig>, TlsError> {
    let called = Arc::new(Called {
        believes: Believes::Fixed(trust),
        expect: Expect::AnyNode,
    });
    let config = ClientConfig::builder_with_details(provider(), Arc::new(clock.clone()))
        .with_protocol_versions(FROM_12)?
        .dangerous()
        .with_custom_certificate_verifier(called);
    let config = match own {
        Some(store) => config.with_client_cert_resolver(store),
        None => config.with_no_client_auth(),
    };
    Ok(client(config, ALPN_HTTP))
}

pub(super) fn provider() -> Arc<CryptoProvider> {
    PROVIDER.clone()
}

fn server(
    versions: &[&'static SupportedProtocolVersion],
    clock: &WallClock,
    callers: Option<Callers>,
    own: Arc<dyn ResolvesServerCert>,
    alpn: &[u8],
) -> Result<Arc<ServerConfig>, TlsError> {
    let config = ServerConfig::builder_with_details(provider(), Arc::new(clock.clone()))
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

fn client(mut config: ClientConfig, alpn: &[u8]) -> Arc<ClientConfig> {
    config.alpn_protocols = vec![alpn.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config.enable_sni = false;
    Arc::new(config)
}

/// Its dates are rcgen's widest: nobody judges it, and the clock may be wrong before the join.
fn self_signed(key: &NodeKey) -> Result<Arc<CertifiedKey>, TlsError> {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, "swarmer join");
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    let signed = params.self_signed(key.pair())?;
    Ok(certified(key, vec![signed.der().clone()])?)
}
