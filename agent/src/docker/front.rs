//! The TLS front on a node's engine port: the engine's own socket, byte for byte, for operators.
//!
//! The engine itself opens no port, since it reads its certificate only when it starts. This front
//! reads the node's certificate at every handshake, and after the handshake it understands nothing
//! of what it carries, so `docker exec`, `attach` and `logs -f` work as they do on the socket.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::task::{Chain, Reception, Shutdown};

const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long who is refused may take to send a request, so as to be told why.
const HEAD: Duration = Duration::from_secs(10);
/// How long a client may take to hear of the end.
const FAREWELL: Duration = Duration::from_secs(1);
/// Connections at a time: each holds two sockets, and an operator needs a few.
const RECEPTION: Reception = Reception {
    who: "the engine's front",
    task: "engine-front",
    most: 256,
};

/// Until when the holder of this certificate may use the engine, or why not at all. Handed in,
/// since it knows the CA and the roles.
pub type Admit = Arc<dyn Fn(Option<&CertificateDer<'_>>) -> Result<Instant, String> + Send + Sync>;

/// The front. Clones share everything.
#[derive(Clone)]
pub struct EngineFront {
    tls: Arc<ServerConfig>,
    admit: Admit,
    socket: PathBuf,
}

impl EngineFront {
    /// `tls` asks for a client certificate, but does without: who has none is told so in HTTP,
    /// which the Docker command line shows. `socket` is the engine's.
    #[must_use]
    pub fn new(tls: Arc<ServerConfig>, admit: Admit, socket: PathBuf) -> Self {
        Self { tls, admit, socket }
    }

    /// Serves until the shutdown begins.
    pub async fn run(self, listener: TcpListener, shutdown: Shutdown) {
        let serve = |stream, peer| {
            let (front, shutdown) = (self.clone(), shutdown.clone());
            async move {
                tokio::select! {
                    () = shutdown.begun() => {}
                    () = front.connection(stream, peer) => {}
                }
            }
        };
        RECEPTION.run(listener, &shutdown, serve).await;
    }

    async fn connection(self, stream: TcpStream, peer: SocketAddr) {
        let _ = stream.set_nodelay(true);
        let accept = TlsAcceptor::from(Arc::clone(&self.tls)).accept(stream);
        let mut client = match tokio::time::timeout(HANDSHAKE, accept).await {
            Ok(Ok(client)) => client,
            Ok(Err(error)) => {
                tracing::debug!(%peer, "no TLS with an engine's client: {error}");
                return;
            }
            Err(_) => return,
        };
        let shown = client.get_ref().1.peer_certificates();
        let until = match (self.admit)(shown.and_then(<[_]>::first)) {
            Ok(until) => until,
            Err(why) => {
                tracing::info!(%peer, "refused at the engine's port: {why}");
                return answer(client, StatusCode::FORBIDDEN, &why).await;
            }
        };
        let mut engine = match UnixStream::connect(&self.socket).await {
            Ok(engine) => engine,
            Err(error) => {
                let why = silent(&self.socket, &error);
                return answer(client, StatusCode::SERVICE_UNAVAILABLE, &why).await;
            }
        };
        let carried = tokio::select! {
            carried = copy_bidirectional(&mut client, &mut engine) => carried,
            () = tokio::time::sleep_until(until.into()) => {
                tracing::info!(%peer, "an operator's certificate has expired: connection closed");
                return;
            }
        };
        if let Err(error) = carried {
            tracing::debug!(%peer, "a connection to the engine ended: {error}");
            // TLS's own end, so that the client doesn't take it for an attack.
            let _ = tokio::time::timeout(FAREWELL, client.shutdown()).await;
        }
    }
}

fn silent(socket: &Path, error: &io::Error) -> String {
    format!(
        "this node's Docker Engine does not answer on {}: {error}; `systemctl status docker` there tells more",
        socket.display()
    )
}

/// Answers every request with the same words, in the form of the engine's API
/// (<https://docs.docker.com/reference/api/engine/>, errors), and closes.
async fn answer(client: TlsStream<TcpStream>, status: StatusCode, why: &str) {
    let text = serde_json::json!({ "message": why }).to_string();
    let service = service_fn(|_| {
        let mut answer = Response::new(Full::new(Bytes::from(text.clone())));
        *answer.status_mut() = status;
        let json = HeaderValue::from_static("application/json");
        answer.headers_mut().insert(CONTENT_TYPE, json);
        std::future::ready(Ok::<_, Infallible>(answer))
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(client), service);
    if let Err(error) = served.await {
        tracing::debug!("a refused client's connection ended: {}", Chain(&error));
    }
}
