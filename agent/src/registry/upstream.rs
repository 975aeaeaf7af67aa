//! The way on from the front: to the process on this node, or to the elected host's front.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::answer::Body;
use super::gate::{Host, Route};
use super::program::Socket;
use crate::task;

const CONNECT: Duration = Duration::from_secs(3);
/// A host whose machine is gone is noticed after this much silence, also in mid-answer.
const SILENCE: Duration = Duration::from_secs(6);

/// Why a request could not be passed on.
#[derive(Debug, thiserror::Error)]
pub(super) enum UpstreamError {
    /// Nobody serves.
    #[error("no node serves the registry")]
    Nowhere,
    /// It can't be reached.
    #[error("can't reach the registry's host")]
    Connect(#[source] io::Error),
    /// The exchange broke.
    #[error("the registry's host broke off")]
    Exchange(#[source] hyper::Error),
}

/// One client connection's way on, kept between its requests.
pub(super) struct Upstream {
    peers: Arc<ClientConfig>,
    open: Option<(Route, SendRequest<Body>)>,
}

impl Upstream {
    pub(super) fn new(peers: Arc<ClientConfig>) -> Self {
        Self { peers, open: None }
    }

    /// Sends a request along `route` and returns the answer's head, with the body to follow.
    /// Retries, once, only what was not sent at all.
    pub(super) async fn send(
        &mut self,
        route: &Route,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let kept = self.open.take().filter(|(to, _)| to == route);
        let (mut sender, request) = match kept {
            None => (self.connect(route).await?, request),
            Some((_, mut sender)) => match sender.try_send_request(request).await {
                Ok(answer) => {
                    self.open = Some((route.clone(), sender));
                    return Ok(answer);
                }
                Err(mut error) => match error.take_message() {
                    Some(request) => (self.connect(route).await?, request),
                    None => return Err(UpstreamError::Exchange(error.into_error())),
                },
            },
        };
        let answer = sender.send_request(request).await;
        let answer = answer.map_err(UpstreamError::Exchange)?;
        self.open = Some((route.clone(), sender));
        Ok(answer)
    }

    async fn connect(&self, route: &Route) -> Result<SendRequest<Body>, UpstreamError> {
        let connect = async {
            match route {
                Route::Nowhere => Err(UpstreamError::Nowhere),
                Route::Here { socket, .. } => {
                    to_process(socket).await.map_err(UpstreamError::Connect)
                }
                Route::There(host) => self.to_host(host).await,
            }
        };
        tokio::time::timeout(CONNECT, connect)
            .await
            .map_err(|_| UpstreamError::Connect(io::ErrorKind::TimedOut.into()))?
    }

    async fn to_host(&self, host: &Host) -> Result<SendRequest<Body>, UpstreamError> {
        let stream = async {
            let stream = TcpStream::connect(host.address).await?;
            stream.set_nodelay(true)?;
            notice_silence(&stream)?;
            let tls = TlsConnector::from(Arc::clone(&self.peers));
            tls.connect(host.name.clone(), stream).await
        };
        let stream = stream.await.map_err(UpstreamError::Connect)?;
        handshake(stream).await.map_err(UpstreamError::Connect)
    }
}

/// A connection to the process. Also what its health is asked through.
pub(super) async fn to_process(socket: &Socket) -> io::Result<SendRequest<Body>> {
    handshake(UnixStream::connect(socket.path()).await?).await
}

async fn handshake<S>(stream: S) -> io::Result<SendRequest<Body>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    // It ends when the sender is dropped; what breaks it the sender hears too.
    task::spawn("registry-upstream", async move {
        if let Err(error) = connection.await {
            tracing::debug!("a connection to the registry ended: {error}");
        }
    });
    Ok(sender)
}

fn notice_silence(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    let probes = TcpKeepalive::new()
        .with_time(SILENCE / 3)
        .with_interval(SILENCE / 3)
        .with_retries(2);
    socket.set_tcp_keepalive(&probes)?;
    socket.set_tcp_user_timeout(Some(SILENCE))
}
