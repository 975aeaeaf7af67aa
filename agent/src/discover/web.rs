//! Asking a cloud's API over HTTP. One connection a request: it is asked every few seconds at most.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::task::Chain;

const CONNECT: Duration = Duration::from_secs(3);
/// A page of 1,000 machines comes well within this.
const ANSWER: Duration = Duration::from_secs(15);
/// Ten times what a page of 1,000 machines takes.
const LARGEST: usize = 32 * 1024 * 1024;

/// Sends requests, with the deadlines and the trust that it was made with.
#[derive(Clone)]
pub(super) struct Web {
    tls: Arc<ClientConfig>,
    connect: Duration,
    answer: Duration,
}

/// Why there is no answer, where it was looked for.
#[derive(Debug, thiserror::Error)]
#[error("{at}: {why}")]
pub(super) struct WebError {
    /// Host and port.
    pub(super) at: String,
    /// What happened.
    pub(super) why: String,
}

trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

impl Web {
    /// Trusts the authorities that the host trusts.
    #[must_use]
    pub(super) fn public() -> Self {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map(|builder| builder.with_root_certificates(roots).with_no_client_auth());
        match config {
            Ok(config) => Self::trusting(config),
            Err(_) => unreachable!("ring speaks TLS 1.2 and 1.3"),
        }
    }

    /// Trusts as this TLS config does.
    #[must_use]
    pub(super) fn trusting(tls: ClientConfig) -> Self {
        Self {
            tls: Arc::new(tls),
            connect: CONNECT,
            answer: ANSWER,
        }
    }

    /// Waits at most so long for a connection, and for the answer on it.
    #[must_use]
    pub(super) fn patient_for(mut self, connect: Duration, answer: Duration) -> Self {
        self.connect = connect;
        self.answer = answer;
        self
    }

    /// Sends it, and reads the whole answer. The request's URI is absolute, `http` or `https`.
    pub(super) async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, WebError> {
        let uri = request.uri();
        let secure = uri.scheme_str() == Some("https");
        let host = uri.host().unwrap_or_default().to_owned();
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let at = format!("{host}:{port}");
        let failed = |why: String| WebError {
            at: at.clone(),
            why,
        };
        let late = |what: &str, limit: Duration| {
            failed(format!("{what} within {} s", limit.as_secs_f32()))
        };
        let wire = tokio::time::timeout(self.connect, self.wire(&host, &at, secure))
            .await
            .map_err(|_| late("no connection", self.connect))?
            .map_err(|error| failed(Chain(&error).to_string()))?;
        tokio::time::timeout(self.answer, exchange(&host, request, wire))
            .await
            .map_err(|_| late("no answer", self.answer))?
            .map_err(failed)
    }

    async fn wire(&self, host: &str, at: &str, secure: bool) -> io::Result<Box<dyn Wire>> {
        let stream = TcpStream::connect(at).await?;
        stream.set_nodelay(true)?;
        if !secure {
            return Ok(Box::new(stream));
        }
        let name = host.trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(name).map_err(io::Error::other)?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        Ok(Box::new(connector.connect(name, stream).await?))
    }
}

async fn exchange(
    host: &str,
    request: Request<Bytes>,
    wire: Box<dyn Wire>,
) -> Result<Response<Bytes>, String> {
    let (mut head, body) = request.into_parts();
    let authority = head.uri.authority().map_or(host, |a| a.as_str()).to_owned();
    if !head.headers.contains_key("host") {
        let value = authority.parse().map_err(|_| "a host that can't be sent")?;
        head.headers.insert("host", value);
    }
    // The origin form (RFC 9112 section 3.2.1); the host is in its header.
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    head.uri = path.parse().map_err(|_| "a path that can't be sent")?;
    let broken = |error: hyper::Error| Chain(&error).to_string();
    let (mut sender, connection) = http1::handshake(TokioIo::new(wire)).await.map_err(broken)?;
    let talk = async {
        let message = Request::from_parts(head, Full::new(body));
        let (head, body) = sender
            .send_request(message)
            .await
            .map_err(broken)?
            .into_parts();
        let whole = Limited::new(body, LARGEST).collect().await;
        let body = whole
            .map_err(|error| Chain(&*error).to_string())?
            .to_bytes();
        Ok(Response::from_parts(head, body))
    };
    let mut connection = std::pin::pin!(connection);
    let mut talk = std::pin::pin!(talk);
    // The connection only moves while it is polled; it may end before the answer is read.
    tokio::select! {
        done = talk.as_mut() => done,
        ended = connection.as_mut() => {
            ended.map_err(broken)?;
            talk.await
        }
    }
}
