//! The listeners: plain, TLS and unix socket. Each decides who its callers are; what they ask is
//! answered in one place.

use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower::Service as _;

use super::api::{Api, BodyError};
use super::caller::Caller;
use super::reply::Reply;
use crate::model::{NodeId, Role};
use crate::task::Shutdown;

/// How long a connection may be silent before or between requests. Longer than clients keep idle
/// connections (Go: 90 s), so that it is they who close them, not we under their next request.
const HEAD: Duration = Duration::from_secs(120);
/// How long the body of a request may take.
const BODY: Duration = Duration::from_secs(120);
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Request line and headers must fit in this.
const HEAD_BYTES: usize = 64 * 1024;
/// Connections beyond this wait to be accepted. Each blocking query needs one, and thousands of
/// those are normal.
const CONNECTIONS: usize = 16_384;
/// A body that is too large is read on for so long, so that its client reads our answer instead
/// of an error of its own.
const DISCARD: usize = 16 * 1024 * 1024;
/// How long requests may go on when the agent stops.
const DRAIN: Duration = Duration::from_secs(2);
/// Pause after an accept failed (as when there are no more file descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Who a client certificate is of: its role and node, if the cluster knows it.
pub type CertificateCheck =
    Arc<dyn Fn(&[CertificateDer<'_>]) -> Option<(Role, NodeId)> + Send + Sync>;
/// Which role a token proves.
pub type TokenCheck = Arc<dyn Fn(&str) -> Option<Role> + Send + Sync>;

/// What the TLS listener needs.
#[derive(Clone)]
pub struct Tls {
    /// Certificates of clients are asked for, but not required.
    pub config: Arc<rustls::ServerConfig>,
    /// Asked once a connection, if the client showed a certificate.
    pub certificate: CertificateCheck,
    /// Asked for each request that brings a token, on connections without a certificate.
    pub token: TokenCheck,
}

/// Plain HTTP. Bind it to loopback or to Docker's bridge, nowhere else.
pub async fn serve_plain(listener: TcpListener, api: Arc<Api>, shutdown: Shutdown) {
    let router = router(api);
    let stop = shutdown.clone();
    let serve = move |stream: TcpStream| {
        let (router, stop) = (router.clone(), stop.clone());
        async move {
            let _ = stream.set_nodelay(true);
            connection(stream, router, |_| Caller::plain(), &stop).await;
        }
    };
    run(listener, shutdown, serve).await;
}

/// HTTP over TLS, for members, operators and whoever holds a token.
pub async fn serve_tls(listener: TcpListener, tls: Tls, api: Arc<Api>, shutdown: Shutdown) {
    let router = router(api);
    let stop = shutdown.clone();
    let serve = move |stream: TcpStream| {
        let (tls, router, stop) = (tls.clone(), router.clone(), stop.clone());
        async move {
            let _ = stream.set_nodelay(true);
            tls_connection(stream, &tls, router, &stop).await;
        }
    };
    run(listener, shutdown, serve).await;
}

async fn tls_connection(stream: TcpStream, tls: &Tls, router: Router, stop: &Shutdown) {
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::clone(&tls.config));
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await else {
        return;
    };
    let shown = stream.get_ref().1.peer_certificates();
    let known = shown.and_then(|chain| (tls.certificate)(chain));
    let caller = |headers: &HeaderMap| match known {
        Some((role, node)) => Caller::tls(Some((role, Some(node)))),
        None => {
            let role = token(headers).and_then(|token| (tls.token)(token));
            Caller::tls(role.map(|role| (role, None)))
        }
    };
    connection(stream, router, caller, stop).await;
}

/// HTTP on a unix socket that only root can open: its callers are operators.
pub async fn serve_unix(listener: UnixListener, api: Arc<Api>, shutdown: Shutdown) {
    let router = router(api);
    let stop = shutdown.clone();
    let serve = move |stream| {
        let (router, stop) = (router.clone(), stop.clone());
        async move { connection(stream, router, |_| Caller::socket(), &stop).await }
    };
    run(listener, shutdown, serve).await;
}

/// Makes a unix socket that only its owner can open. What a dead process left there goes.
pub fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt as _;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Nobody can connect between the two steps: the folder is the agent's own.
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

fn token(headers: &HeaderMap) -> Option<&str> {
    if let Some(token) = headers.get("x-consul-token") {
        return token.to_str().ok();
    }
    let (scheme, rest) = headers
        .get("authorization")?
        .to_str()
        .ok()?
        .split_once(' ')?;
    let bearer = scheme.eq_ignore_ascii_case("bearer");
    rest.split_whitespace().next().filter(|_| bearer)
}

/// What connections come from.
trait Accept: Send + Sync {
    type Stream: Send;
    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Accept for TcpListener {
    type Stream = TcpStream;
    async fn next(&self) -> io::Result<TcpStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

impl Accept for UnixListener {
    type Stream = tokio::net::UnixStream;
    async fn next(&self) -> io::Result<Self::Stream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

/// Accepts until the shutdown begins, then gives the connections [`DRAIN`] to finish.
async fn run<L, C, F>(listener: L, shutdown: Shutdown, serve: C)
where
    L: Accept,
    C: Fn(L::Stream) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            let slot = Arc::clone(&slots).acquire_owned().await;
            (listener.next().await, slot)
        };
        let (accepted, slot) = tokio::select! {
            () = shutdown.begun() => break,
            Some(_) = connections.join_next() => continue,
            next = next => next,
        };
        match accepted {
            Ok(stream) => {
                let work = serve(stream);
                connections.spawn(async move {
                    work.await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!("can't accept an HTTP connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    let _ = tokio::time::timeout(DRAIN, async {
        while connections.join_next().await.is_some() {}
    })
    .await;
}

async fn connection<S>(
    stream: S,
    router: Router,
    caller: impl Fn(&HeaderMap) -> Caller,
    shutdown: &Shutdown,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let service = service_fn(|mut request: hyper::Request<hyper::body::Incoming>| {
        let caller = caller(request.headers());
        request.extensions_mut().insert(caller);
        router.clone().call(request)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES);
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    let done = tokio::select! {
        done = connection.as_mut() => done,
        () = shutdown.begun() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = done {
        tracing::debug!("HTTP connection: {error}");
    }
}

/// One handler for everything: paths are matched after decoding, by our own table.
fn router(api: Arc<Api>) -> Router {
    Router::new().fallback(answer).with_state(api)
}

async fn answer(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    request: axum::extract::Request,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let uri = head
        .uri
        .path_and_query()
        .map_or("/", |uri| uri.as_str())
        .to_owned();
    let headers = head.headers.iter().filter_map(|(name, value)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    });
    let mut headers: Vec<_> = headers.collect();
    // A proxy's client names the host in the request line instead.
    if let Some(host) = head.uri.authority() {
        headers.retain(|(name, _)| name != "host");
        headers.push(("host".into(), host.as_str().into()));
    }
    let read = |limit| collect(body, limit);
    let method = head.method.as_str();
    into_response(api.answer(method, &uri, headers, caller, read).await)
}

/// Reads a body up to `limit`. One that broke off must not pass for a shorter one.
async fn collect(mut body: Body, limit: usize) -> Result<Bytes, BodyError> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let mut kept = BytesMut::with_capacity(announced.min(limit).min(1024 * 1024));
    let mut length = 0usize;
    let all = async {
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else {
                continue;
            };
            length = length.saturating_add(data.len());
            if length <= limit {
                kept.extend_from_slice(&data);
            } else if length > DISCARD.max(limit) {
                break;
            }
        }
        Ok(())
    };
    let read = tokio::time::timeout(BODY, all).await;
    read.map_err(|_| BodyError::Broken)??;
    if length > limit {
        return Err(BodyError::TooLarge(length.max(announced)));
    }
    Ok(kept.freeze())
}

fn into_response(reply: Reply) -> Response<Body> {
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = axum::http::StatusCode::from_u16(reply.status)
        .unwrap_or(axum::http::StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in reply.headers {
        // A value that came from a client may not be one that a header can hold: leave it out.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}
