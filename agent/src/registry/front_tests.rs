use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::Full;
use hyper::StatusCode;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;

use super::*;
use crate::registry::program::Socket;
use crate::registry::{Backend, Host, Settings, Storage};
use crate::task;

const NAME: &str = "registry.service.dev.vagrant";
const TOKEN: &str = "swarmer-worker-good";

/// A CA with one leaf, which all nodes share.
struct Trust {
    roots: Arc<RootCertStore>,
    leaf: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Trust {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_key = KeyPair::generate().unwrap();
        let ca = params.self_signed(&ca_key).unwrap();
        let issuer = Issuer::new(params, ca_key);
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &issuer).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(ca.der().clone()).unwrap();
        Self {
            roots: Arc::new(roots),
            leaf: leaf.der().clone(),
            key: key.serialize_der(),
        }
    }

    fn server(&self) -> Arc<ServerConfig> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clients = WebPkiClientVerifier::builder(Arc::clone(&self.roots));
        let clients = clients.allow_unauthenticated().build().unwrap();
        let key = PrivatePkcs8KeyDer::from(self.key.clone());
        let config = ServerConfig::builder().with_client_cert_verifier(clients);
        let config = config.with_single_cert(vec![self.leaf.clone()], key.into());
        Arc::new(config.unwrap())
    }

    fn client(&self, certificate: bool) -> Arc<ClientConfig> {
        let config = ClientConfig::builder().with_root_certificates(Arc::clone(&self.roots));
        let key = PrivatePkcs8KeyDer::from(self.key.clone());
        Arc::new(if certificate {
            config
                .with_client_auth_cert(vec![self.leaf.clone()], key.into())
                .unwrap()
        } else {
            config.with_no_client_auth()
        })
    }
}

/// Knows one token, and holds the duty as long as `held` says so.
struct TestGate {
    held: AtomicBool,
    knows_tokens: bool,
    confirmed: AtomicUsize,
    /// What the process had answered when the last confirmation was asked for.
    answered: Arc<AtomicUsize>,
    answered_then: AtomicUsize,
}

impl TestGate {
    fn new(knows_tokens: bool) -> Arc<Self> {
        Arc::new(Self {
            held: AtomicBool::new(true),
            knows_tokens,
            confirmed: AtomicUsize::new(0),
            answered: Arc::default(),
            answered_then: AtomicUsize::new(0),
        })
    }
}

impl Gate for TestGate {
    fn admit(&self, credential: Credential<'_>) -> Admission {
        match credential {
            Credential::Certificate(_) => Admission::Granted(Role::Worker),
            Credential::Token(_) if !self.knows_tokens => Admission::AskHost,
            Credential::Token(TOKEN) => Admission::Granted(Role::Operator),
            Credential::Token(_) => Admission::Refused,
        }
    }

    fn confirm(&self, sequencer: u64) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let then = self.answered.load(Ordering::SeqCst);
            self.answered_then.store(then, Ordering::SeqCst);
            self.confirmed.fetch_add(1, Ordering::SeqCst);
            let held = sequencer == 42 && self.held.load(Ordering::SeqCst);
            held.then_some(())
                .ok_or_else(|| "the duty is another's".to_owned())
        })
    }
}

struct Served {
    address: SocketAddr,
    route: watch::Sender<Route>,
    shutdown: Shutdown,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.shutdown.begin();
    }
}

async fn serve(trust: &Trust, gate: Arc<TestGate>, route: Route) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (route, routes) = watch::channel(route);
    let mut front = Front::new(trust.server(), trust.client(true), gate, routes);
    front.hold = Duration::from_secs(2);
    let shutdown = Shutdown::new();
    task::spawn("front", front.run(listener, shutdown.clone()));
    Served {
        address,
        route,
        shutdown,
    }
}

/// A process that answers everything with 201 and shows the headers that reached it.
fn echo(folder: &std::path::Path, answered: Arc<AtomicUsize>) -> Socket {
    let listener = tokio::net::UnixListener::bind(folder.join("registry.sock")).unwrap();
    task::spawn("echo", async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answered = Arc::clone(&answered);
            let service = service_fn(move |request: Request<Incoming>| {
                let answered = Arc::clone(&answered);
                async move {
                    let (parts, body) = request.into_parts();
                    if parts.uri.path() == "/v2/hangs" {
                        std::future::pending::<()>().await;
                    }
                    body.collect().await.unwrap();
                    answered.fetch_add(1, Ordering::SeqCst);
                    let text = format!("{:?}", parts.headers);
                    let answer = Response::builder()
                        .status(201)
                        .body(Full::<Bytes>::from(text));
                    Ok::<_, std::convert::Infallible>(answer.unwrap())
                }
            });
            let io = TokioIo::new(stream);
            let connection =
                hyper::server::conn::http1::Builder::new().serve_connection(io, service);
            task::spawn("echo connection", async move {
                let _ = connection.await;
            });
        }
    });
    Socket::in_folder(folder)
}

struct Asked {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

async fn ask(
    front: &Served,
    tls: &Arc<ClientConfig>,
    request: hyper::http::request::Builder,
    body: &str,
) -> Asked {
    let stream = TcpStream::connect(front.address).await.unwrap();
    let name = ServerName::try_from(NAME).unwrap();
    let stream = tokio_rustls::TlsConnector::from(Arc::clone(tls)).connect(name, stream);
    let io = TokioIo::new(stream.await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    let connection = task::spawn("client", connection).abort_on_drop();
    let request = request
        .header("host", NAME)
        .body(Full::<Bytes>::from(body.to_owned()));
    let answer = sender.send_request(request.unwrap()).await.unwrap();
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    drop(connection);
    Asked {
        status: parts.status,
        headers: parts.headers,
        body: String::from_utf8(body.into()).unwrap(),
    }
}

fn basic(token: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("anyone:{token}")))
}

#[tokio::test]
async fn l5_a_push_is_acknowledged_only_if_the_duty_was_held_after_the_process_had_answered() {
    let (trust, folder, gate) = (
        Trust::new(),
        tempfile::tempdir().unwrap(),
        TestGate::new(true),
    );
    let socket = echo(folder.path(), Arc::clone(&gate.answered));
    let here = Route::Here {
        sequencer: 42,
        socket: socket.clone(),
    };
    let front = serve(&trust, Arc::clone(&gate), here).await;
    let tls = trust.client(true);
    let put = || Request::put("/v2/app/manifests/latest");
    let fine = ask(&front, &tls, put(), "{}").await;
    assert_eq!(fine.status, StatusCode::CREATED);
    assert_eq!(
        gate.answered_then.load(Ordering::SeqCst),
        1,
        "the look began after the answer"
    );
    gate.held.store(false, Ordering::SeqCst);
    for request in [
        put(),
        Request::post("/v2/a/blobs/uploads/"),
        Request::patch("/v2/x"),
        Request::delete("/v2/x"),
    ] {
        let refused = ask(&front, &tls, request, "{}").await;
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(refused.body.contains("\"UNAVAILABLE\""), "{}", refused.body);
    }
    let looks = gate.confirmed.load(Ordering::SeqCst);
    let pull = ask(&front, &tls, Request::get("/v2/app/manifests/latest"), "").await;
    assert_eq!(pull.status, StatusCode::CREATED, "a pull needs no look");
    assert_eq!(gate.confirmed.load(Ordering::SeqCst), looks);
    gate.held.store(true, Ordering::SeqCst);
    front.route.send_replace(Route::Here {
        sequencer: 41,
        socket,
    });
    let other_term = ask(&front, &tls, put(), "{}").await;
    assert_eq!(
        other_term.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "held, but in another term"
    );
}

#[tokio::test]
async fn l5_requests_under_way_end_when_the_duty_goes() {
    let (trust, folder, gate) = (
        Trust::new(),
        tempfile::tempdir().unwrap(),
        TestGate::new(true),
    );
    let socket = echo(folder.path(), Arc::default());
    let front = serve(
        &trust,
        gate,
        Route::Here {
            sequencer: 42,
            socket,
        },
    )
    .await;
    let tls = trust.client(true);
    let (hanging, ()) = tokio::join!(ask(&front, &tls, Request::put("/v2/hangs"), ""), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        front.route.send_replace(Route::Nowhere);
    });
    assert_eq!(hanging.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn who_may_and_what_reaches_the_process() {
    let (trust, folder, gate) = (
        Trust::new(),
        tempfile::tempdir().unwrap(),
        TestGate::new(true),
    );
    let socket = echo(folder.path(), Arc::default());
    let front = serve(
        &trust,
        gate,
        Route::Here {
            sequencer: 42,
            socket,
        },
    )
    .await;
    let (node, stranger) = (trust.client(true), trust.client(false));
    let nobody = ask(&front, &stranger, Request::get("/v2/"), "").await;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        nobody.headers["www-authenticate"],
        "Basic realm=\"swarmer\""
    );
    let request = || Request::get("/v2/").header("x-forwarded-proto", "http");
    let wrong = request().header("authorization", basic("guess"));
    assert_eq!(
        ask(&front, &stranger, wrong, "").await.status,
        StatusCode::UNAUTHORIZED
    );
    let right = request()
        .header("authorization", basic(TOKEN))
        .header("x-forwarded-for", "6.6.6.6");
    let right = ask(&front, &stranger, right, "").await;
    assert_eq!(right.status, StatusCode::CREATED);
    let seen = right.body;
    assert!(seen.contains(r#""x-forwarded-proto": "https""#), "{seen}");
    assert!(seen.contains(r#""x-forwarded-for": "127.0.0.1""#), "{seen}");
    assert!(
        !seen.contains("authorization"),
        "the token ends here: {seen}"
    );
    assert_eq!(
        ask(&front, &node, request(), "").await.status,
        StatusCode::CREATED
    );
    assert_eq!(
        ask(&front, &node, Request::get("/metrics"), "")
            .await
            .status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_front_that_can_not_tell_lends_a_stranger_nothing() {
    let (trust, folder) = (Trust::new(), tempfile::tempdir().unwrap());
    let socket = echo(folder.path(), Arc::default());
    let host = serve(
        &trust,
        TestGate::new(true),
        Route::Here {
            sequencer: 42,
            socket,
        },
    )
    .await;
    let there = Route::There(Host {
        address: host.address,
        name: ServerName::try_from(NAME).unwrap(),
    });
    let worker = serve(&trust, TestGate::new(false), there).await;
    let stranger = trust.client(false);
    let get = |token| {
        let vouched = Request::get("/v2/").header("x-swarmer-passed", "vouched");
        vouched.header("authorization", basic(token))
    };
    let wrong = ask(&worker, &stranger, get("guess"), "").await;
    assert_eq!(
        wrong.status,
        StatusCode::UNAUTHORIZED,
        "though the worker's own certificate is good"
    );
    assert_eq!(
        ask(&worker, &stranger, get(TOKEN), "").await.status,
        StatusCode::CREATED
    );
    assert_eq!(
        ask(&host, &stranger, get("guess"), "").await.status,
        StatusCode::UNAUTHORIZED
    );
    let node = ask(&worker, &trust.client(true), Request::get("/v2/"), "").await;
    assert_eq!(node.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_request_waits_for_a_host_but_not_for_ever() {
    let (trust, folder) = (Trust::new(), tempfile::tempdir().unwrap());
    let socket = echo(folder.path(), Arc::default());
    let front = serve(&trust, TestGate::new(true), Route::Nowhere).await;
    let tls = trust.client(true);
    let get = || Request::get("/v2/");
    let (waited, ()) = tokio::join!(ask(&front, &tls, get(), ""), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        front.route.send_replace(Route::Here {
            sequencer: 42,
            socket,
        });
    });
    assert_eq!(waited.status, StatusCode::CREATED);
    front.route.send_replace(Route::Nowhere);
    let none = ask(&front, &tls, get(), "").await;
    assert_eq!(none.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(none.headers.contains_key("retry-after") && none.body.contains("no node serves"));
}

#[tokio::test]
async fn a_blob_goes_through_any_front_to_the_real_program_and_back() {
    let (trust, folder) = (Trust::new(), tempfile::tempdir().unwrap());
    let settings = Settings {
        command: None,
        storage: Storage::Filesystem(folder.path().join("images")),
        log_level: "warn".into(),
        run_dir: folder.path().join("run"),
        launcher: Vec::new(),
    };
    let backend = Backend::start(settings, "secret".into());
    let mut state = backend.state();
    let socket = state
        .wait_for(|state| state.up.is_some())
        .await
        .unwrap()
        .up
        .clone()
        .unwrap();
    let gate = TestGate::new(true);
    let host = serve(
        &trust,
        Arc::clone(&gate),
        Route::Here {
            sequencer: 42,
            socket,
        },
    )
    .await;
    let there = Route::There(Host {
        address: host.address,
        name: ServerName::try_from(NAME).unwrap(),
    });
    let other = serve(&trust, TestGate::new(true), there).await;
    let tls = trust.client(true);
    let begun = ask(&other, &tls, Request::post("/v2/app/blobs/uploads/"), "").await;
    assert_eq!(begun.status, StatusCode::ACCEPTED, "{}", begun.body);
    let place = begun.headers["location"].to_str().unwrap();
    assert!(
        place.starts_with("/v2/app/"),
        "relative, whatever the front is called: {place}"
    );
    let blob = "0123456789".repeat(100_000);
    let digest = ring::digest::digest(&ring::digest::SHA256, blob.as_bytes());
    let digest: String = digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let put = Request::put(format!("{place}&digest=sha256:{digest}"));
    let stored = ask(&other, &tls, put, &blob).await;
    assert_eq!(stored.status, StatusCode::CREATED, "{}", stored.body);
    assert_eq!(
        gate.confirmed.load(Ordering::SeqCst),
        2,
        "both answers were confirmed on the host"
    );
    for front in [&host, &other] {
        let path = format!("/v2/app/blobs/sha256:{digest}");
        let read = ask(front, &tls, Request::get(&path), "").await;
        assert_eq!((read.status, read.body.len()), (StatusCode::OK, blob.len()));
        let head = ask(front, &tls, Request::head(&path), "").await;
        assert_eq!(head.headers["content-length"], "1000000");
    }
}
