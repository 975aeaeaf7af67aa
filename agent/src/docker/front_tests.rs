//! The engine's front, before an engine that is a few lines of ours.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::front::{Admit, EngineFront};
use crate::task::{self, Shutdown, clock};

const NAME: &str = "node-1";

/// A front with its own certificate, and those who trust it.
struct Node {
    front: EngineFront,
    client: Arc<ClientConfig>,
    socket: PathBuf,
    _folder: tempfile::TempDir,
}

fn node(admit: impl Fn() -> Result<Instant, String> + Send + Sync + 'static) -> Node {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
    let own: CertificateDer<'static> = own.self_signed(&key).unwrap().der().clone();
    let mut roots = RootCertStore::empty();
    roots.add(own.clone()).unwrap();
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let tls = ServerConfig::builder().with_no_client_auth();
    let tls = Arc::new(tls.with_single_cert(vec![own], key.into()).unwrap());
    let client = ClientConfig::builder().with_root_certificates(roots);
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    let admit: Admit = Arc::new(move |_| admit());
    Node {
        front: EngineFront::new(tls, admit, socket.clone()),
        client: Arc::new(client.with_no_client_auth()),
        socket,
        _folder: folder,
    }
}

impl Node {
    async fn dial(&self, shutdown: &Shutdown) -> TlsStream<TcpStream> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        task::spawn("front", self.front.clone().run(listener, shutdown.clone()));
        let stream = TcpStream::connect(at).await.unwrap();
        let connector = TlsConnector::from(Arc::clone(&self.client));
        let name = ServerName::try_from(NAME).unwrap();
        connector.connect(name, stream).await.unwrap()
    }

    /// What is answered to the Docker command line's first request.
    async fn ping(&self) -> String {
        let mut stream = self.dial(&Shutdown::new()).await;
        let ask = b"GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        stream.write_all(ask).await.unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        said
    }
}

fn for_an_hour() -> Result<Instant, String> {
    Ok(clock::now() + Duration::from_secs(3600))
}

#[tokio::test]
async fn bytes_go_both_ways_and_each_side_may_finish_alone() {
    let node = node(for_an_hour);
    let engine = UnixListener::bind(&node.socket).unwrap();
    // As `docker exec -i` has it: the engine speaks first, hears all of standard input, and
    // answers when that has ended.
    task::spawn("engine", async move {
        let (mut stream, _) = engine.accept().await.unwrap();
        stream.write_all(b"hello ").await.unwrap();
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await.unwrap();
        stream.write_all(&heard.to_ascii_uppercase()).await.unwrap();
    });
    let mut client = node.dial(&Shutdown::new()).await;
    client.write_all(b"\0what is typed").await.unwrap();
    client.shutdown().await.unwrap();
    let mut said = String::new();
    client.read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "hello \0WHAT IS TYPED");
}

#[tokio::test]
async fn who_is_refused_is_told_why_in_the_engine_s_own_form() {
    let node = node(|| Err("this port is for operators".to_owned()));
    let engine = UnixListener::bind(&node.socket).unwrap();
    let said = node.ping().await;
    assert!(said.starts_with("HTTP/1.1 403"), "{said}");
    assert!(
        said.ends_with("{\"message\":\"this port is for operators\"}"),
        "{said}"
    );
    let heard = tokio::time::timeout(Duration::from_millis(50), engine.accept()).await;
    assert!(heard.is_err(), "the engine heard of it");
}

#[tokio::test]
async fn an_engine_that_is_down_is_named() {
    let said = node(for_an_hour).ping().await;
    assert!(said.starts_with("HTTP/1.1 503"), "{said}");
    assert!(said.contains("docker.sock: No such file"), "{said}");
}

#[tokio::test]
async fn a_connection_ends_with_its_certificate_and_with_the_agent() {
    let soon = node(|| Ok(clock::now() + Duration::from_millis(100)));
    let long = node(for_an_hour);
    for (node, stop) in [(soon, false), (long, true)] {
        let _engine = UnixListener::bind(&node.socket).unwrap();
        let shutdown = Shutdown::new();
        let mut client = node.dial(&shutdown).await;
        if stop {
            shutdown.begin();
        }
        let mut said = Vec::new();
        let ended = client.read_to_end(&mut said);
        let ended = tokio::time::timeout(Duration::from_secs(5), ended).await;
        assert!(ended.is_ok(), "it is still open (stop: {stop})");
    }
}
