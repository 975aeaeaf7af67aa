//! The TLS front on a node's registry port: who may, and where to.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::{
    AUTHORIZATION, CONNECTION, EXPECT, FORWARDED, HeaderMap, HeaderName, HeaderValue,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::{ClientConfig, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, watch};
use tokio_rustls::TlsAcceptor;

use super::answer::{self, Body};
use super::gate::{Admission, Credential, Gate, Route};
use super::upstream::Upstream;
use crate::model::Role;
use crate::task::{Chain, Reception, Shutdown};

/// How long a request waits for a host to appear, as reads elsewhere wait for a leader.
const HOLD: Duration = Duration::from_secs(7);
/// How long a host that was just elected lets a passed-on request wait until it serves.
const HOLD_PASSED: Duration = Duration::from_secs(3);
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a client may take to send a request's head, idle time between requests included.
const HEAD: Duration = Duration::from_secs(60);
/// Connections at a time: each may hold two sockets.
const RECEPTION: Reception = Reception {
    who: "the registry's front",
    task: "registry-front",
    most: 1024,
};

/// On requests that one front passes to another: whether it knows the caller.
const PASSED: HeaderName = HeaderName::from_static("x-swarmer-passed");
const VOUCHED: &str = "vouched";
const UNVOUCHED: &str = "unvouched";
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// Headers that belong to one connection (RFC 9110 section 7.6.1). `Expect` is answered here.
const HOP: [HeaderName; 10] = [
    CONNECTION,
    KEEP_ALIVE,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    EXPECT,
    FORWARDED,
];

/// The front. Clones share everything.
#[derive(Clone)]
pub struct Front {
    tls: Arc<ServerConfig>,
    peers: Arc<ClientConfig>,
    gate: Arc<dyn Gate>,
    route: watch::Receiver<Route>,
    hold: Duration,
}

impl Front {
    /// `tls` asks for a client certificate, but does without; `peers` presents this node's
    /// certificate to other fronts and trusts the cluster's CA only.
    #[must_use]
    pub fn new(
        tls: Arc<ServerConfig>,
        peers: Arc<ClientConfig>,
        gate: Arc<dyn Gate>,
        route: watch::Receiver<Route>,
    ) -> Self {
        Self {
            tls,
            peers,
            gate,
            route,
            hold: HOLD,
        }
    }

    /// Serves until the shutdown begins.
    pub async fn run(self, listener: TcpListener, shutdown: Shutdown) {
        let serve = |stream, peer| {
            let (front, shutdown) = (self.clone(), shutdown.clone());
            front.connection(stream, peer, shutdown)
        };
        RECEPTION.run(listener, &shutdown, serve).await;
    }

    async fn connection(self, stream: TcpStream, peer: SocketAddr, shutdown: Shutdown) {
        let _ = stream.set_nodelay(true);
        let accept = TlsAcceptor::from(Arc::clone(&self.tls)).accept(stream);
        let tls = match tokio::time::timeout(HANDSHAKE, accept).await {
            Ok(Ok(tls)) => tls,
            Ok(Err(error)) => {
                tracing::debug!(%peer, "no TLS with a registry client: {error}");
                return;
            }
            Err(_) => return,
        };
        let certificate = tls.get_ref().1.peer_certificates();
        let certificate = certificate.and_then(<[_]>::first);
        let known = certificate.map_or(Admission::Refused, |certificate| {
            self.gate.admit(Credential::Certificate(certificate))
        });
        let upstream = Mutex::new(Upstream::new(Arc::clone(&self.peers)));
        let client = Client {
            front: &self,
            known,
            address: peer.ip(),
        };
        let service = service_fn(|request| {
            let (client, upstream) = (&client, &upstream);
            async move {
                let mut upstream = upstream.lock().await;
                Ok::<_, std::convert::Infallible>(client.serve(request, &mut upstream).await)
            }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .serve_connection(TokioIo::new(tls), service);
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = shutdown.begun() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, "a registry client's connection ended: {}", Chain(&error));
        }
    }

    /// Where to, waiting a while for a host to appear. A request that another front passed on is
    /// not passed on again.
    async fn route(&self, passed: bool) -> Route {
        let mut route = self.route.clone();
        let here = |route: &Route| matches!(route, Route::Here { .. });
        let fit = |route: &Route| here(route) || !passed && *route != Route::Nowhere;
        let hold = if passed { HOLD_PASSED } else { self.hold };
        match tokio::time::timeout(hold, route.wait_for(fit)).await {
            Ok(Ok(route)) => route.clone(),
            _ => Route::Nowhere,
        }
    }
}

/// What is known of the client of one connection.
struct Client<'a> {
    front: &'a Front,
    known: Admission,
    address: IpAddr,
}

impl Client<'_> {
    async fn serve(&self, request: Request<Incoming>, upstream: &mut Upstream) -> Response<Body> {
        let passed = self
            .is_node()
            .then(|| request.headers().get(&PASSED))
            .flatten();
        let passed = passed.map(|vouched| vouched == VOUCHED);
        let admission = self.admission(request.headers(), passed);
        if admission == Admission::Refused {
            return answer::unauthorized();
        }
        let path = request.uri().path();
        if path != "/v2" && !path.starts_with("/v2/") {
            return answer::not_found();
        }
        let route = self.front.route(passed.is_some()).await;
        match (&route, admission) {
            (Route::Nowhere, _) => {
                answer::unavailable("no node serves the registry at the moment: try again")
            }
            // Who has the images must know whom it lets in.
            (Route::Here { .. }, Admission::AskHost) => answer::unauthorized(),
            _ => {
                let push = !matches!(
                    *request.method(),
                    Method::GET | Method::HEAD | Method::OPTIONS
                );
                let request = self.onward(request, &route, admission, passed.is_some());
                self.exchange(&route, push, request, upstream).await
            }
        }
    }

    /// Passes the request on, and lets a push succeed only if the host still was the host after
    /// its process had answered (rule L5).
    async fn exchange(
        &self,
        route: &Route,
        push: bool,
        request: Request<Body>,
        upstream: &mut Upstream,
    ) -> Response<Body> {
        let mut routes = self.front.route.clone();
        let answer = tokio::select! {
            answer = upstream.send(route, request) => answer,
            _ = routes.wait_for(|now| now != route) => {
                return answer::unavailable("the registry has moved to another host: try again");
            }
        };
        let mut answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!("a registry request failed: {}", Chain(&error));
                return answer::unavailable("the registry's host broke off: try again");
            }
        };
        if let Route::Here { sequencer, .. } = route
            && push
            && !answer.status().is_client_error()
            && !answer.status().is_server_error()
            && let Err(reason) = self.front.gate.confirm(*sequencer).await
        {
            tracing::warn!("a push was not acknowledged: {reason}");
            return answer::unavailable("this host may no longer serve the registry: try again");
        }
        HOP.iter().for_each(|name| {
            answer.headers_mut().remove(name);
        });
        answer.map(|body| body.boxed())
    }

    /// What the caller may, by certificate or else by token. A front that passes a request on
    /// without vouching for its caller lends it nothing of its own certificate's worth.
    fn admission(&self, headers: &HeaderMap, passed: Option<bool>) -> Admission {
        let granted = matches!(self.known, Admission::Granted(_));
        if granted && passed != Some(false) {
            return self.known;
        }
        password(headers).map_or(Admission::Refused, |token| {
            self.front.gate.admit(Credential::Token(&token))
        })
    }

    fn is_node(&self) -> bool {
        matches!(self.known, Admission::Granted(Role::Server | Role::Worker))
    }

    /// The request as it goes on.
    fn onward(
        &self,
        request: Request<Incoming>,
        route: &Route,
        admission: Admission,
        passed: bool,
    ) -> Request<Body> {
        let (mut parts, body) = request.into_parts();
        let named: Vec<HeaderName> = (parts.headers.get_all(CONNECTION).iter())
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok())
            .collect();
        for name in named.iter().chain(&HOP).chain([&FORWARDED_HOST, &PASSED]) {
            parts.headers.remove(name);
        }
        if !passed {
            let client = HeaderValue::from_str(&self.address.to_string());
            let unknown = HeaderValue::from_static("unknown");
            parts
                .headers
                .insert(FORWARDED_FOR, client.unwrap_or(unknown));
        }
        let https = HeaderValue::from_static("https");
        parts.headers.insert(FORWARDED_PROTO, https);
        let vouched = matches!(admission, Admission::Granted(_));
        if vouched {
            parts.headers.remove(AUTHORIZATION);
        }
        if matches!(route, Route::There(_)) {
            let vouched = if vouched { VOUCHED } else { UNVOUCHED };
            parts
                .headers
                .insert(PASSED, HeaderValue::from_static(vouched));
        }
        Request::from_parts(parts, body.boxed())
    }
}

/// The password of HTTP Basic (RFC 7617); the user name does not matter.
fn password(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, code) = value.split_once(' ')?;
    let basic = scheme.eq_ignore_ascii_case("basic");
    let text = STANDARD.decode(code.trim()).ok().filter(|_| basic)?;
    let text = String::from_utf8(text).ok()?;
    text.split_once(':')
        .map(|(_, password)| password.to_owned())
}

#[cfg(test)]
#[path = "front_tests.rs"]
mod tests;
