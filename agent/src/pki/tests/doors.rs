//! The HTTPS doors, and clients that know nothing of us but the CA.

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, ProtocolVersion};

use super::*;

fn https(node: &Node, asked: Asked) -> Arc<ServerConfig> {
    tls::https_server_config(node.store.clone(), asked, &node.time.clock()).unwrap()
}

fn browser(node: &Node, own: Option<&Node>) -> Arc<ClientConfig> {
    let own = own.map(|own| own.store.clone());
    tls::https_client_config(node.trust(), own, &node.time.clock()).unwrap()
}

#[test]
fn https_takes_callers_with_and_without_a_certificate() {
    let time = Time::new();
    let ca = ca(CLUSTER, time.now());
    let worker = Node::new(&ca, 2, Role::Worker, &time);
    let person = Node::new(&ca, 9, Role::Operator, &time);
    let door = https(&worker, Asked::Anyone);
    let (_, end) = connect_plain(browser(&worker, None), door.clone()).unwrap();
    assert!(end.peer_certificates().is_none());
    let (_, end) = connect_plain(browser(&worker, Some(&person)), door.clone()).unwrap();
    let shown = end.peer_certificates().unwrap().first().unwrap();
    assert_eq!(PeerIdentity::from_der(shown).unwrap().role, Role::Operator);

    // One that is shown must be good, although none need be.
    let stranger = Node::new(
        &super::ca(OTHER_CLUSTER, time.now()),
        9,
        Role::Operator,
        &time,
    );
    let failed = connect_plain(browser(&worker, Some(&stranger)), door).unwrap_err();
    assert!(matches!(
        failed.refused_by_server(),
        Refused::OtherCluster { .. }
    ));
}

#[test]
fn the_door_for_operators_is_shut_to_nodes_and_strangers() {
    let time = Time::new();
    let ca = ca(CLUSTER, time.now());
    let server = Node::new(&ca, 1, Role::Server, &time);
    let person = Node::new(&ca, 9, Role::Operator, &time);
    let door = https(&server, Asked::OnlyOperators);
    connect_plain(browser(&server, Some(&person)), door.clone()).expect("an operator gets in");
    let failed = connect_plain(browser(&server, Some(&server)), door.clone()).unwrap_err();
    let found = Role::Server;
    assert_eq!(failed.refused_by_server(), Refused::WrongRole { found });
    let failed = connect_plain(browser(&server, None), door).unwrap_err();
    assert!(matches!(
        failed,
        Failed::Server(rustls::Error::NoCertificatesPresented)
    ));
}

#[test]
fn https_speaks_tls_1_2_too_and_resumes_neither() {
    let time = Time::new();
    let ca = ca(CLUSTER, time.now());
    let server = Node::new(&ca, 1, Role::Server, &time);
    let door = https(&server, Asked::Anyone);
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
            let (end, _) = connect_plain(client.clone(), door.clone()).unwrap();
            assert_eq!(end.protocol_version(), Some(spoken));
            assert_eq!(end.handshake_kind(), Some(HandshakeKind::Full));
            let bound = proof::channel_binding(&end).is_ok();
            assert_eq!(bound, version == &TLS13, "a join binds to TLS 1.3 alone");
        }
    }
}

#[test]
fn any_program_that_has_the_ca_accepts_a_node_under_each_of_its_names() {
    let time = Time::new();
    let ca = ca(CLUSTER, time.now());
    let csr = Csr::new(&NodeKey::generate().unwrap()).unwrap();
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
        let pem = ca.sign(&csr, &subject(&ca, 1, role), time.now()).unwrap();
        let leaf = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        for host in [
            &format!("{role}-1.node.dev.vagrant"),
            &format!("{role}-1"),
            "localhost",
            "registry.service.dev.vagrant",
            "registry.service.vagrant",
            "registry.service.dev",
            "registry.service.consul",
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
    let blank = Node {
        key: NodeKey::generate().unwrap(),
        store: CertStore::empty(),
        time: time.clone(),
    };
    // The door is made before there is a cluster.
    let door = https(&blank, Asked::Anyone);
    blank.renew(&ca, 1, Role::Server);
    let mut client = (*browser(&blank, None)).clone();
    let chooser = Arc::new(Chooser(std::sync::Mutex::default()));
    client.client_auth_cert_resolver = chooser.clone();
    connect_plain(Arc::new(client), door).unwrap();
    let der = CertificateDer::from_pem_slice(ca.cert_pem().as_bytes()).unwrap();
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
    assert_eq!(*chooser.0.lock().unwrap(), [parsed.subject().as_raw()]);
}
