//! A cloud's API for tests: it answers as it is told to, and remembers what it was asked.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;
use ring::digest;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::task::{AbortOnDrop, spawn};

/// A request, as it came.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// Path and query.
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Asked {
    /// A header's value; empty if there is none.
    pub(super) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }
}

/// Status, headers, body.
pub(super) type Answer = (u16, Vec<(&'static str, String)>, String);

/// A JSON answer.
pub(super) fn json(value: &serde_json::Value) -> Answer {
    let kind = ("content-type", "application/json".to_owned());
    (200, vec![kind], value.to_string())
}

/// An answer without anything in it.
pub(super) fn bare(status: u16) -> Answer {
    (status, Vec::new(), String::new())
}

/// It serves until it is dropped.
pub(super) struct Double {
    /// Host and port.
    pub(super) at: SocketAddr,
    /// The SHA-256 of its certificate, in hex.
    pub(super) thumbprint: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    _task: AbortOnDrop,
}

impl Double {
    /// Over plain HTTP.
    pub(super) async fn plain(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        Self::serve(None, String::new(), answer).await
    }

    /// Over TLS, with a certificate that it signed itself.
    pub(super) async fn secure(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let digest = digest::digest(&digest::SHA256, &certificate);
        let digits = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
        let thumbprint = digits.collect();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        Self::serve(
            Some(TlsAcceptor::from(Arc::new(config))),
            thumbprint,
            answer,
        )
        .await
    }

    /// What it was asked so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    async fn serve(
        tls: Option<TlsAcceptor>,
        thumbprint: String,
        answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (noted, answer) = (Arc::clone(&asked), Arc::new(answer));
        let task = spawn("a cloud's double", async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (noted, answer) = (Arc::clone(&noted), Arc::clone(&answer));
                let reply = service_fn(move |request| {
                    let (noted, answer) = (Arc::clone(&noted), Arc::clone(&answer));
                    async move {
                        let asked = read(request).await;
                        noted.lock().unwrap().push(asked.clone());
                        Ok::<_, Infallible>(written(answer(&asked)))
                    }
                });
                let tls = tls.clone();
                spawn("a double's connection", async move {
                    let server = http1::Builder::new();
                    // Whoever doesn't like its certificate goes away.
                    let _ = match tls {
                        None => server.serve_connection(TokioIo::new(stream), reply).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => {
                                server.serve_connection(TokioIo::new(stream), reply).await
                            }
                            Err(_) => Ok(()),
                        },
                    };
                });
            }
        });
        Self {
            at,
            thumbprint,
            asked,
            _task: task.abort_on_drop(),
        }
    }
}

async fn read(request: Request<Incoming>) -> Asked {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Asked {
        target: head.uri.to_string(),
        headers: head.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

fn written((status, headers, body): Answer) -> Response<Full<Bytes>> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(Full::new(Bytes::from(body))).unwrap()
}
