//! The HTTPS doors, and clients that know nothing of us but the CA.

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, ProtocolVersion};

use super::*;
use crate::pki::verify::Anyone;

fn https(node: &Node) -> Arc<ServerConfig> {
    tls::https_server_config(node.store.clone()).unwrap()
}

fn browser(own: &Node) -> Arc<ClientConfig> {
    tls::https_client_config(own.store.clone()).unwrap()
}

/// Somebody who has the CA and no certificate.
fn visitor(ca: &Ca, time: &Time) -> Arc<ClientConfig> {
    let guest = CertStore::with_clock(time.clock());
    guest.trust(ca.cert_pem()).unwrap();
    tls::https_client_config(guest).unwrap()
}

#[test]
fn https_takes_callers_with_and_without_a_certificate() {
    let time = Time::new();
    let ours = ca(CLUSTER, time.now());
    let worker = Node::new(&ours, 2, Role::Worker, &time);
    let person = Node::new(&ours, 9, Role::Operator, &time);
    let (_, end) = connect(visitor(&ours, &time), https(&worker)).unwrap();
    assert!(end.peer_certificates().is_none());
    let (_, end) = connect(browser(&person), https(&worker)).unwrap();
    let shown = end.peer_certificates().unwrap().first().unwrap();
    assert_eq!(PeerIdentity::from_der(shown).unwrap().role, Role::Operator);

    // One that is shown must be good, although none need be.
    let other = ca(OTHER_CLUSTER, time.now());
    let stranger = Node::new(&other, 9, Role::Operator, &time);
    let mut calls = (*browser(&stranger)).clone();
    calls.dangerous().set_certificate_verifier(Arc::new(Anyone));
    let failed = connect(Arc::new(calls), https(&worker)).unwrap_err();
    assert!(matches!(
        failed.refused_by_server(),
        Refused::OtherCluster { .. }
    ));
}

#[test]
fn a_node_is_called_by_one_of_its_own_names() {
    let time = Time::new();
    let ca = ca(CLUSTER, time.now());
    let worker = Node::new(&ca, 2, Role::Worker, &time);
    let server = ServerConnection::new(https(&worker)).unwrap();
    let name = ServerName::try_from("go.dev").unwrap();
    let client = ClientConnection::new(browser(&worker), name).unwrap();
    let failed = shake(client, server).unwrap_err();
    assert!(matches!(failed.refused_by_client(), Refused::Invalid(why) if why.contains("go.dev")));
}

#[test]
fn https_speaks_tls_1_2_too_and_resumes_neither() {
    let time = Time::new();
    let ca = ca(CLUSTER, time.now());
    let server = Node::new(&ca, 1, Role::Server, &time);
    let door = https(&server);
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(
        CertificateDer::pem_slice_iter(ca.cert_pem().as_bytes()).flatten(),
    );
    for (version, spoken) in [
        (&TLS12, ProtocolVersion::TLSv1_2),
        (&TLS13, ProtocolVersion::TLSv1_3),
    ] {
        // As any program would set itself up, resumption and all.
        let details = ClientConfig::builder_with_details(tls::provider(), Arc::new(time.clock()));
        let client = details
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        let client = Arc::new(client);
        for _ in 1..=2 {
            let (end, _) = connect(client.clone(), door.clone()).unwrap();
            assert_eq!(end.protocol_version(), Some(spoken));
            assert_eq!(end.handshake_kind(), Some(HandshakeKind::Full));
        }
    }
}

#[test]
fn any_program_that_has_the_ca_accepts_a_node_under_each_of_its_names() {
    let time = Time::new();
    let ca = ca(CLUSTER, time.now());
    let csr = Csr::new(&NodeKey::generate().unwrap(), "web").unwrap();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(ca.cert_pem().as_bytes()).unwrap())
        .unwrap();
    let judge = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), tls::provider());
    let judge = judge.build().unwrap();
    let accepts = |leaf: &CertificateDer<'_>, host: &str| {
        let host = ServerName::try_from(host.to_owned()).unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(START));
        judge.verify_server_cert(leaf, &[], &host, &[], now).is_ok()
    };
    for role in [Role::Server, Role::Worker, Role::Operator] {
        let pem = sign(&ca, &csr, 1, role, time.now());
        let leaf = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        for host in [
            &format!("{role}-1.node.dev.vagrant"),
            &format!("{role}-1"),
            "localhost",
            "registry.service.dev.vagrant",
            "registry.service.vagrant",
            "registry.service.dev",
            "registry.service.consul",
            "registry.service.dev.consul",
            "192.168.101.101",
            "127.0.0.1",
            "::1",
        ] {
            assert_eq!(
                accepts(&leaf, host),
                role != Role::Operator,
                "{role} as {host}"
            );
        }
        assert!(!accepts(&leaf, "go.dev"));
    }
}

/// A client with many certificates, that would pick by the names which the server accepts.
#[derive(Debug)]
struct Chooser(std::sync::Mutex<Vec<Vec<u8>>>);

impl rustls::client::ResolvesClientCert for Chooser {
    fn resolve(
        &self,
        names: &[&[u8]],
        _schemes: &[rustls::SignatureScheme],
    ) -> Option<Arc<rustls::sign::CertifiedKey>> {
        *self.0.lock().unwrap() = names.iter().map(|name| name.to_vec()).collect();
        None
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[test]
fn a_browser_is_told_which_ca_its_certificate_must_be_of() {
    let time = Time::new();
    let ca = ca(CLUSTER, time.now());
    let server = Node::new(&ca, 1, Role::Server, &time);
    let mut client = (*browser(&server)).clone();
    let chooser = Arc::new(Chooser(std::sync::Mutex::default()));
    client.client_auth_cert_resolver = chooser.clone();
    connect(Arc::new(client), https(&server)).unwrap();
    let der = CertificateDer::from_pem_slice(ca.cert_pem().as_bytes()).unwrap();
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
    assert_eq!(*chooser.0.lock().unwrap(), [parsed.subject().as_raw()]);
}
