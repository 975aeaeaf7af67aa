//! One run of a check: a TCP connection, an HTTP request, or a command in a container.

use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, HOST, HeaderName, HeaderValue, LOCATION, USER_AGENT,
};
use hyper::{HeaderMap, Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::decide::checks::{CheckSpec, HttpProbe, Probe};
use crate::docker::{Containers, Ended, EngineError};
use crate::model::CheckStatus;
use crate::task::{self, AbortOnDrop, Chain};

/// As many redirects as Go follows.
const REDIRECTS: usize = 10;

/// What a run found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) status: CheckStatus,
    pub(super) output: String,
}

#[derive(Debug, thiserror::Error)]
enum ProbeError {
    #[error("dial tcp {address}: {cause}")]
    Dial {
        address: String,
        cause: std::io::Error,
    },
    #[error("{0:?} is no http:// or https:// URL")]
    Url(String),
    #[error("tls: {0}")]
    Tls(String),
    #[error("{0}")]
    Http(#[from] hyper::Error),
    #[error("bad request: {0}")]
    Request(#[from] hyper::http::Error),
    #[error("stopped after {REDIRECTS} redirects")]
    Redirects,
}

/// Runs a check once, for no longer than its timeout; commands through `engine`.
pub(super) async fn run(spec: &CheckSpec, engine: Option<&dyn Containers>) -> Finding {
    let late = || Finding {
        status: CheckStatus::Critical,
        output: format!(
            "{}: no answer within {:?}",
            target(&spec.probe),
            spec.timeout
        ),
    };
    let run = async {
        match &spec.probe {
            Probe::Tcp { address } => tcp(address).await,
            Probe::Http(probe) => http(probe, spec.output_max).await,
            Probe::Command { container, line } => {
                let Some(engine) = engine else {
                    return critical("commands need `docker: {enabled: true}`".into());
                };
                let run = engine.run(container, line, spec.output_max, spec.timeout);
                command(run.await)
            }
            // These two are never due for a run.
            Probe::Fixed | Probe::Ttl(_) => critical("this check has nothing to run".into()),
        }
    };
    tokio::time::timeout(spec.timeout, run)
        .await
        .unwrap_or_else(|_| late())
}

fn target(probe: &Probe) -> String {
    match probe {
        Probe::Tcp { address } => format!("dial tcp {address}"),
        Probe::Http(probe) => format!("{} {:?}", method(probe), shown(&probe.url)),
        Probe::Command { container, .. } => {
            format!("exec in {}", container.get(..12).unwrap_or(container))
        }
        Probe::Fixed | Probe::Ttl(_) => String::new(),
    }
}

fn critical(output: String) -> Finding {
    Finding {
        status: CheckStatus::Critical,
        output,
    }
}

fn command(ended: Result<Ended, EngineError>) -> Finding {
    match ended {
        Ok(ended) => Finding {
            status: match ended.code {
                0 => CheckStatus::Passing,
                1 => CheckStatus::Warning,
                _ => CheckStatus::Critical,
            },
            output: String::from_utf8_lossy(&ended.output).into_owned(),
        },
        Err(error) => critical(Chain(&error).to_string()),
    }
}

async fn dial(address: &str) -> Result<TcpStream, ProbeError> {
    let connected = TcpStream::connect(address).await;
    connected.map_err(|cause| ProbeError::Dial {
        address: address.to_owned(),
        cause,
    })
}

async fn tcp(address: &str) -> Finding {
    match dial(address).await {
        Ok(_) => Finding {
            status: CheckStatus::Passing,
            output: format!("TCP connect {address}: Success"),
        },
        Err(error) => Finding {
            status: CheckStatus::Critical,
            output: error.to_string(),
        },
    }
}

fn method(probe: &HttpProbe) -> &str {
    if probe.method.is_empty() {
        "GET"
    } else {
        &probe.method
    }
}

/// The URL without a password that may be in it.
fn shown(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
            let host = authority.rsplit('@').next().unwrap_or(authority);
            format!("{scheme}://{host}{path}")
        }
        None => url.to_owned(),
    }
}

async fn http(probe: &HttpProbe, most: usize) -> Finding {
    let url = shown(&probe.url);
    let method = method(probe);
    match follow(probe, most).await {
        Ok((status, body)) => Finding {
            status: match status.as_u16() {
                200..=299 => CheckStatus::Passing,
                429 => CheckStatus::Warning,
                _ => CheckStatus::Critical,
            },
            output: format!(
                "HTTP {method} {url}: {status} Output: {}",
                String::from_utf8_lossy(&body)
            ),
        },
        Err(error) => Finding {
            status: CheckStatus::Critical,
            output: format!("{method} {url:?}: {error}"),
        },
    }
}

async fn follow(
    probe: &HttpProbe,
    most: usize,
) -> Result<(hyper::StatusCode, Vec<u8>), ProbeError> {
    let mut method =
        Method::from_bytes(method(probe).as_bytes()).map_err(hyper::http::Error::from)?;
    let mut body = Bytes::from(probe.body.clone());
    let mut url = probe.url.clone();
    for _ in 0..=REDIRECTS {
        let (response, _driver) = send(probe, &url, method.clone(), body.clone()).await?;
        let status = response.status();
        let next = response
            .headers()
            .get(LOCATION)
            .and_then(|to| to.to_str().ok());
        match next.filter(|_| status.is_redirection() && !probe.disable_redirects) {
            Some(to) => url = resolve(&url, to),
            None => return Ok((status, read(response, most).await)),
        }
        if !matches!(status.as_u16(), 307 | 308) && method != Method::HEAD {
            (method, body) = (Method::GET, Bytes::new());
        }
    }
    Err(ProbeError::Redirects)
}

/// Where a `Location` leads to (RFC 3986 section 5.2, without dot segments).
fn resolve(base: &str, to: &str) -> String {
    if to.contains("://") {
        return to.to_owned();
    }
    let (scheme, rest) = base.split_once("://").unwrap_or(("http", base));
    if let Some(rest) = to.strip_prefix("//") {
        return format!("{scheme}://{rest}");
    }
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    if to.starts_with('/') {
        return format!("{scheme}://{authority}{to}");
    }
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let folder = path.rfind('/').map_or("/", |at| &path[..=at]);
    format!("{scheme}://{authority}{folder}{to}")
}

async fn send(
    probe: &HttpProbe,
    url: &str,
    method: Method,
    body: Bytes,
) -> Result<(Response<Incoming>, AbortOnDrop), ProbeError> {
    let wrong = || ProbeError::Url(shown(url));
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    let secure = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err(wrong()),
    };
    let host = uri.host().ok_or_else(wrong)?;
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let mut request = Request::builder()
        .method(method)
        .uri(uri.path_and_query().map_or("/", |path| path.as_str()));
    if let Some(headers) = request.headers_mut() {
        *headers = headers_for(probe, &uri);
    }
    let request = request.body(Full::new(body))?;
    let stream = dial(&format!("{host}:{port}")).await?;
    if !secure {
        return exchange(stream, request).await;
    }
    let name = match probe.tls_server_name.as_str() {
        "" => host.trim_matches(['[', ']']),
        name => name,
    };
    let name = ServerName::try_from(name.to_owned())
        .map_err(|error| ProbeError::Tls(error.to_string()))?;
    let connector = tokio_rustls::TlsConnector::from(tls(probe.tls_skip_verify)?);
    let stream = connector.connect(name, stream).await;
    exchange(
        stream.map_err(|error| ProbeError::Tls(error.to_string()))?,
        request,
    )
    .await
}

fn headers_for(probe: &HttpProbe, uri: &Uri) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static("Consul Health Check"));
    headers.insert(ACCEPT, HeaderValue::from_static("text/plain, text/*, */*"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    if let Ok(host) = HeaderValue::try_from(host) {
        headers.insert(HOST, host);
    }
    if !user.is_empty()
        && let Ok(value) = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(user)))
    {
        headers.insert(AUTHORIZATION, value);
    }
    for (name, values) in &probe.header {
        let Ok(name) = HeaderName::try_from(name) else {
            continue;
        };
        headers.remove(&name);
        for value in values
            .iter()
            .filter_map(|value| HeaderValue::try_from(value).ok())
        {
            headers.append(name.clone(), value);
        }
    }
    headers
}

async fn exchange<S>(
    stream: S,
    request: Request<Full<Bytes>>,
) -> Result<(Response<Incoming>, AbortOnDrop), ProbeError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = task::spawn("check-http", async {
        let _ = connection.await;
    });
    let driver = driver.abort_on_drop();
    Ok((sender.send_request(request).await?, driver))
}

/// The first bytes of a body; the rest is left unread.
async fn read(response: Response<Incoming>, most: usize) -> Vec<u8> {
    let mut body = response.into_body();
    let mut kept = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        if let Ok(data) = frame.into_data() {
            let room = most.saturating_sub(kept.len());
            kept.extend(data.iter().take(room));
            if kept.len() >= most {
                break;
            }
        }
    }
    kept
}

/// TLS with the host's own roots, loaded once and only if a check needs them; or with none.
fn tls(skip_verify: bool) -> Result<Arc<ClientConfig>, ProbeError> {
    static TRUSTING: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    static BLIND: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let cell = if skip_verify { &BLIND } else { &TRUSTING };
    if let Some(config) = cell.get() {
        return Ok(Arc::clone(config));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ProbeError::Tls(error.to_string()))?;
    let config = if skip_verify {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anyone))
            .with_no_client_auth()
    } else {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        builder.with_root_certificates(roots).with_no_client_auth()
    };
    Ok(Arc::clone(cell.get_or_init(|| Arc::new(config))))
}

/// Takes any certificate, for checks that ask for `TLSSkipVerify`.
#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_resolve_and_passwords_are_not_shown() {
        let base = "https://u:p@h:1/a/b?c";
        assert_eq!(resolve(base, "http://x/y"), "http://x/y");
        assert_eq!(resolve(base, "//x/y"), "https://x/y");
        assert_eq!(resolve("http://h/a/b?c", "/y"), "http://h/y");
        assert_eq!(resolve("http://h/a/b?c", "y"), "http://h/a/y");
        assert_eq!(resolve("http://h", "y"), "http://h/y");
        assert_eq!(shown(base), "https://h:1/a/b?c");
    }
}
