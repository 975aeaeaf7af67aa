//! The connecting side.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::RpcError;
use super::serve::{Socket, channel_binding, tune};

/// A connection, secured and not yet used.
pub struct Dialed {
    /// The other side.
    pub address: SocketAddr,
    /// Its certificate, end entity first.
    pub certificates: Vec<CertificateDer<'static>>,
    /// 32 bytes of `EXPORTER-Channel-Binding` (RFC 9266).
    pub exporter: [u8; 32],
    pub(super) socket: Socket,
}

/// Connects to `address` within `deadline`.
pub async fn dial(
    address: SocketAddr,
    config: Arc<ClientConfig>,
    deadline: Duration,
) -> Result<Dialed, RpcError> {
    let failed = |reason: String| RpcError::Connect { address, reason };
    let work = async {
        let tcp = TcpStream::connect(address)
            .await
            .map_err(|error| failed(error.to_string()))?;
        tune(&tcp);
        let name = ServerName::IpAddress(address.ip().into());
        let tls = TlsConnector::from(config)
            .connect(name, tcp)
            .await
            .map_err(|error| failed(error.to_string()))?;
        let (_, session) = tls.get_ref();
        let exporter = channel_binding(|out, label, context| {
            session.export_keying_material(out, label, context)
        })
        .map_err(|error| failed(error.to_string()))?;
        let certificates = session
            .peer_certificates()
            .unwrap_or_default()
            .iter()
            .map(|c| c.clone().into_owned());
        let certificates = certificates.collect();
        Ok(Dialed {
            address,
            certificates,
            exporter,
            socket: Box::new(tls),
        })
    };
    tokio::time::timeout(deadline, work)
        .await
        .map_err(|_| RpcError::Timeout {
            address,
            after: deadline,
        })?
}
