//! Sending a request and reading the answer. One connection a request: people ask rarely.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::{Answer, ClientError, Failed, Target};
use crate::config::Secret;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(2);
/// Who asks an agent waits for a commit at most; the agent itself gives up after 10 s or so.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is asked.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// `GET`, `PUT` or `DELETE`.
    pub method: &'a str,
    /// Path and query, escaped.
    pub path: &'a str,
    /// The body; may be empty.
    pub body: Bytes,
}

impl<'a> Request<'a> {
    /// A `GET`.
    #[must_use]
    pub fn get(path: &'a str) -> Self {
        Self {
            method: "GET",
            path,
            body: Bytes::new(),
        }
    }

    /// A `PUT`.
    #[must_use]
    pub fn put(path: &'a str, body: impl Into<Bytes>) -> Self {
        Self {
            method: "PUT",
            path,
            body: body.into(),
        }
    }

    /// A `DELETE`.
    #[must_use]
    pub fn delete(path: &'a str) -> Self {
        Self {
            method: "DELETE",
            path,
            body: Bytes::new(),
        }
    }
}

/// Asks one agent, or any of a cluster's servers.
#[derive(Clone, Debug)]
pub struct Client {
    target: Target,
    token: Option<Secret>,
    patience: Duration,
}

trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

impl Client {
    /// For this target; it connects when something is asked.
    #[must_use]
    pub fn new(target: Target) -> Self {
        Self {
            target,
            token: None,
            patience: PATIENCE,
        }
    }

    /// Sends this token (`X-Consul-Token`), over TLS only.
    #[must_use]
    pub fn with_token(mut self, token: Option<Secret>) -> Self {
        self.token = token;
        self
    }

    /// Waits so long for an answer.
    #[must_use]
    pub fn patient_for(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Whom it asks.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Asks, and reads the whole answer.
    pub async fn send(&self, request: Request<'_>) -> Result<Answer, ClientError> {
        let (at, wire) = self.connect().await?;
        let work = self.exchange(&at, wire, request);
        match tokio::time::timeout(self.patience, work).await {
            Ok(answer) => answer,
            Err(_) => Err(ClientError::Late {
                at,
                after: self.patience,
            }),
        }
    }

    async fn connect(&self) -> Result<(String, Box<dyn Wire>), ClientError> {
        let places: Vec<String> = match &self.target {
            Target::Plain(at) => vec![at.clone()],
            Target::Socket(path) => vec![path.display().to_string()],
            Target::Tls { servers, .. } => servers.clone(),
        };
        let mut failed = Vec::new();
        for at in places {
            let error = match tokio::time::timeout(CONNECT, self.connect_to(&at)).await {
                Ok(Ok(wire)) => return Ok((at, wire)),
                Ok(Err(error)) => error,
                Err(_) => io::Error::new(io::ErrorKind::TimedOut, "no answer within 2 s"),
            };
            failed.push(Failed {
                at,
                why: error.to_string(),
                absent: matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound
                ),
                denied: error.kind() == io::ErrorKind::PermissionDenied,
            });
        }
        Err(ClientError::Unreachable(failed))
    }

    async fn connect_to(&self, at: &str) -> io::Result<Box<dyn Wire>> {
        match &self.target {
            Target::Socket(path) => Ok(Box::new(UnixStream::connect(path).await?)),
            Target::Plain(_) => Ok(Box::new(tcp(at).await?)),
            Target::Tls { config, .. } => {
                let host = at.rsplit_once(':').map_or(at, |(host, _)| host);
                let host = host.trim_matches(['[', ']']).to_owned();
                let name = ServerName::try_from(host).map_err(io::Error::other)?;
                let connector = TlsConnector::from(std::sync::Arc::clone(config));
                Ok(Box::new(connector.connect(name, tcp(at).await?).await?))
            }
        }
    }

    async fn exchange(
        &self,
        at: &str,
        wire: Box<dyn Wire>,
        request: Request<'_>,
    ) -> Result<Answer, ClientError> {
        let broken = |error: hyper::Error| ClientError::Broken {
            at: at.to_owned(),
            why: crate::task::Chain(&error).to_string(),
        };
        let unsaid = |error: hyper::http::Error| ClientError::Request {
            what: request.path.to_owned(),
            why: error.to_string(),
        };
        let host = match &self.target {
            Target::Socket(_) => "localhost",
            _ => at,
        };
        let mut head = hyper::Request::builder()
            .method(request.method)
            .uri(request.path)
            .header("Host", host);
        if let (Target::Tls { .. }, Some(token)) = (&self.target, &self.token) {
            head = head.header("X-Consul-Token", token.expose());
        }
        let message = head.body(Full::new(request.body.clone())).map_err(unsaid)?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(wire)).await.map_err(broken)?;
        let talk = async {
            let answer = sender.send_request(message).await?;
            let (head, body) = answer.into_parts();
            Ok((head, body.collect().await?.to_bytes()))
        };
        let mut connection = std::pin::pin!(connection);
        let mut talk = std::pin::pin!(talk);
        // The connection only moves while it is polled; it may end before the answer is read.
        let (head, body) = tokio::select! {
            done = talk.as_mut() => done.map_err(broken)?,
            ended = connection.as_mut() => {
                ended.map_err(broken)?;
                talk.await.map_err(broken)?
            }
        };
        let index = head.headers.get("x-consul-index");
        Ok(Answer {
            status: head.status.as_u16(),
            index: index.and_then(|text| text.to_str().ok()?.parse().ok()),
            body,
            from: at.to_owned(),
        })
    }
}

async fn tcp(at: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(at).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
