//! The TLS port: who is known by certificate, who by token, and who is not.

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::task::{self, Shutdown};

type Leaf = (CertificateDer<'static>, PrivatePkcs8KeyDer<'static>);

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    roots: Arc<RootCertStore>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der().clone()).unwrap();
        Self {
            issuer: Issuer::new(params, key),
            roots: Arc::new(roots),
        }
    }

    fn leaf(&self, name: &str, usage: ExtendedKeyUsagePurpose) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.der().clone(), key.serialize_der().into())
    }

    fn server(&self) -> Arc<ServerConfig> {
        let (certificate, key) = self.leaf("localhost", ExtendedKeyUsagePurpose::ServerAuth);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&self.roots), provider)
                .allow_unauthenticated()
                .build()
                .unwrap();
        let config = builder_of_server()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate], key.into())
            .unwrap();
        Arc::new(config)
    }

    fn client(&self, leaf: Option<Leaf>) -> Arc<ClientConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(Arc::clone(&self.roots));
        Arc::new(match leaf {
            Some((certificate, key)) => builder
                .with_client_auth_cert(vec![certificate], key.into())
                .unwrap(),
            None => builder.with_no_client_auth(),
        })
    }
}

fn builder_of_server() -> rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
}

async fn get(
    address: std::net::SocketAddr,
    client: Arc<ClientConfig>,
    uri: &str,
    header: &str,
) -> String {
    let stream = TcpStream::connect(address).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(client);
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = connector.connect(name, stream).await.unwrap();
    let text =
        format!("GET {uri} HTTP/1.1\r\nHost: any.example\r\n{header}Connection: close\r\n\r\n");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    let _ = stream.read_to_end(&mut seen).await;
    String::from_utf8_lossy(&seen)
        .split(' ')
        .nth(1)
        .unwrap_or_default()
        .to_owned()
}

#[tokio::test]
async fn the_tls_port_knows_its_callers_by_certificate_or_token() {
    let desk = Desk::new();
    let authority = Authority::new();
    let worker = authority.leaf("w1", ExtendedKeyUsagePurpose::ClientAuth);
    let person = authority.leaf("ann", ExtendedKeyUsagePurpose::ClientAuth);
    let removed = authority.leaf("gone", ExtendedKeyUsagePurpose::ClientAuth);
    let known = [
        (worker.0.clone(), Role::Worker),
        (person.0.clone(), Role::Operator),
    ];
    let tls = Tls {
        config: authority.server(),
        certificate: Arc::new(move |chain| {
            let role = known.iter().find(|(leaf, _)| chain.first() == Some(leaf));
            role.map(|(_, role)| (*role, WORKER))
        }),
        token: Arc::new(|token| (token == "open sesame").then_some(Role::Operator)),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let api = Arc::clone(&desk.api);
    let _serving = task::spawn("https", serve_tls(listener, tls, api, Shutdown::new()));
    let (worker, person, removed, nobody) = (
        authority.client(Some(worker)),
        authority.client(Some(person)),
        authority.client(Some(removed)),
        authority.client(None),
    );
    let wrong = "X-Consul-Token: wrong\r\n";
    let right = "X-Consul-Token: open sesame\r\n";
    let bearer = "Authorization: bearer open\r\n";
    for (client, header, uri, status) in [
        (&nobody, "", "/healthz", "200"),
        (&nobody, "", "/v1/catalog/nodes", "403"),
        (&nobody, wrong, "/v1/catalog/nodes", "403"),
        (&nobody, bearer, "/v1/catalog/nodes", "403"),
        (&removed, "", "/v1/catalog/nodes", "403"),
        (&nobody, right, "/v1/catalog/nodes", "200"),
        (&nobody, right, "/v1/swarmer/tokens", "200"),
        (&worker, "", "/v1/catalog/nodes", "200"),
        (&worker, "", "/v1/swarmer/tokens", "403"),
        // A certificate says who it is; a token can't make it more.
        (&worker, right, "/v1/swarmer/tokens", "403"),
        (&person, "", "/v1/swarmer/tokens", "200"),
    ] {
        let seen = get(address, Arc::clone(client), uri, header).await;
        assert_eq!(seen, status, "{header:?} {uri}");
    }
}
