//! The accepting side.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::server::ClientHello;
use tokio::io::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::LazyConfigAcceptor;

use super::calls::answer_calls;
use super::frame::{Frame, FrameReader, Kind, MAX_FRAME, MAX_STRANGE};
use super::places::Places;
use super::stream::{Duplex, FrameStream};
use crate::task::{self, Shutdown};

/// A handshake that takes longer is given up; so is a connection whose first frame does.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// A host that is gone, or behind a cut link, is noticed by these, even where nobody waits for an
/// answer; otherwise its connections would stay for ever.
const PROBE_AFTER: Duration = Duration::from_secs(5);
const PROBE_EVERY: Duration = Duration::from_secs(2);
const PROBES: u32 = 3;
const UNANSWERED: Duration = Duration::from_secs(10);

pub(super) type Socket = Box<dyn Duplex>;

/// Chooses the TLS config by what the client offers; `None` refuses it.
pub type PickConfig = Arc<dyn Fn(&ClientHello<'_>) -> Option<Arc<ServerConfig>> + Send + Sync>;

/// Who connected, as far as TLS knows.
#[derive(Clone, Debug)]
pub struct Peer {
    /// From where.
    pub address: SocketAddr,
    /// The protocol that was agreed on.
    pub alpn: Vec<u8>,
    /// Its certificate, end entity first; empty if it showed none.
    pub certificates: Vec<CertificateDer<'static>>,
    /// 32 bytes of `EXPORTER-Channel-Binding` (RFC 9266).
    pub exporter: [u8; 32],
}

/// What answers connections.
pub trait Handler: Send + Sync + 'static {
    /// Serves one connection until it ends.
    fn serve(self: Arc<Self>, peer: Peer, incoming: Incoming) -> BoxFuture<'static, ()>;
}

/// A connection whose first frame has come.
pub struct Incoming {
    first: Frame,
    reader: FrameReader<ReadHalf<Socket>>,
    writer: WriteHalf<Socket>,
    address: SocketAddr,
}

impl Incoming {
    /// For a stream: what its opener said it is. `None`: it is a connection for calls.
    #[must_use]
    pub fn opening(&self) -> Option<&[u8]> {
        (self.first.kind == Kind::Open).then_some(&self.first.payload[..])
    }

    /// The stream, once [`Self::opening`] was understood.
    #[must_use]
    pub fn into_stream(self) -> FrameStream {
        FrameStream::new(self.reader, self.writer, self.address)
    }

    /// Answers calls until the connection ends: many at a time, each as soon as it is done.
    pub async fn answer<F>(self, answer: F)
    where
        F: Fn(bytes::Bytes) -> BoxFuture<'static, Vec<u8>> + Send + Sync,
    {
        let ended = answer_calls(self.first, self.reader, self.writer, answer).await;
        if let Err(error) = ended {
            tracing::debug!(peer = %self.address, %error, "a connection for calls ended");
        }
    }
}

/// Accepts connections until `shutdown` begins. One peer's trouble never stops another's.
pub async fn serve(
    listener: TcpListener,
    pick: PickConfig,
    handler: Arc<dyn Handler>,
    shutdown: Shutdown,
) {
    let places = Places::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.begun() => return,
            accepted = listener.accept() => accepted,
        };
        let (tcp, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection; trying on");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Some(place) = places.stranger(address.ip()) else {
            tracing::debug!(peer = %address, "too many connections without a certificate");
            continue;
        };
        let (pick, handler, shutdown) = (Arc::clone(&pick), Arc::clone(&handler), shutdown.clone());
        let places = Arc::clone(&places);
        let _ = task::spawn("rpc connection", async move {
            let served = async {
                match tokio::time::timeout(HANDSHAKE, secure(tcp, address, &pick)).await {
                    Ok(Ok((peer, incoming))) if peer.certificates.is_empty() => {
                        handler.serve(peer, incoming).await;
                        drop(place);
                    }
                    Ok(Ok((peer, incoming))) => {
                        drop(place);
                        match places.member() {
                            Some(_place) => handler.serve(peer, incoming).await,
                            None => tracing::warn!(peer = %address, "too many connections"),
                        }
                    }
                    Ok(Err(error)) => {
                        tracing::debug!(peer = %address, %error, "refused a connection")
                    }
                    Err(_) => tracing::debug!(peer = %address, "a connection said nothing in time"),
                }
            };
            tokio::select! {
                () = shutdown.begun() => {}
                () = served => {}
            }
        });
    }
}

async fn secure(
    tcp: TcpStream,
    address: SocketAddr,
    pick: &PickConfig,
) -> std::io::Result<(Peer, Incoming)> {
    let refuse = |why: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, why.to_owned());
    tune(&tcp);
    let start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), tcp).await?;
    let config = pick(&start.client_hello()).ok_or_else(|| refuse("no common protocol"))?;
    let tls = start.into_stream(config).await?;
    let (_, session) = tls.get_ref();
    let exporter =
        channel_binding(|out, label, context| session.export_keying_material(out, label, context))
            .map_err(|error| refuse(&error.to_string()))?;
    let peer = Peer {
        address,
        alpn: session.alpn_protocol().unwrap_or_default().to_vec(),
        certificates: session
            .peer_certificates()
            .unwrap_or_default()
            .iter()
            .map(|certificate| certificate.clone().into_owned())
            .collect(),
        exporter,
    };
    let limit = if peer.certificates.is_empty() {
        MAX_STRANGE
    } else {
        MAX_FRAME
    };
    let (reader, writer) = tokio::io::split(Box::new(tls) as Socket);
    let mut reader = FrameReader::with_limit(reader, limit);
    let first = reader
        .next()
        .await?
        .ok_or_else(|| refuse("closed before the first frame"))?;
    Ok((
        peer,
        Incoming {
            first,
            reader,
            writer,
            address,
        },
    ))
}

/// Small frames go out at once, and a dead peer is noticed.
pub(super) fn tune(tcp: &TcpStream) {
    let socket = socket2::SockRef::from(tcp);
    let probes = socket2::TcpKeepalive::new()
        .with_time(PROBE_AFTER)
        .with_interval(PROBE_EVERY)
        .with_retries(PROBES);
    let tuned = tcp
        .set_nodelay(true)
        .and_then(|()| socket.set_tcp_keepalive(&probes))
        .and_then(|()| socket.set_tcp_user_timeout(Some(UNANSWERED)));
    if let Err(error) = tuned {
        tracing::debug!(%error, "cannot tune a connection");
    }
}

pub(super) fn channel_binding<F>(export: F) -> Result<[u8; 32], rustls::Error>
where
    F: FnOnce([u8; 32], &[u8], Option<&[u8]>) -> Result<[u8; 32], rustls::Error>,
{
    export([0; 32], b"EXPORTER-Channel-Binding", Some(b""))
}
