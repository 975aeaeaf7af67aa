//! Port 8300 between members.

use rustls::server::ServerSessionMemoryCache;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, PeerIncompatible};

use super::*;
use crate::pki::verify::Anyone;

fn identity_of(certs: Option<&[rustls::pki_types::CertificateDer<'_>]>) -> PeerIdentity {
    PeerIdentity::from_der(certs.unwrap().first().unwrap()).unwrap()
}

#[test]
fn members_see_who_the_other_is() {
    let time = Time::new();
    let ca = ca(CLUSTER, time.now());
    let server = Node::new(&ca, 1, Role::Server, &time);
    let worker = Node::new(&ca, 2, Role::Worker, &time);
    let (client, end) = connect(worker.calls(), server.door()).unwrap();

    let caller = identity_of(end.peer_certificates());
    assert_eq!(
        (caller.role, caller.node),
        (Role::Worker, NodeId::from_u128(2))
    );
    assert_eq!(caller.key, worker.key.fingerprint());
    assert_eq!(caller.not_after, at(START + 72 * HOUR));
    let called = identity_of(client.peer_certificates());
    assert_eq!(
        (called.role, called.node),
        (Role::Server, NodeId::from_u128(1))
    );
    assert_eq!(called.cluster, CLUSTER);
}

#[test]
fn t1_a_second_handshake_is_a_full_one_whichever_side_would_resume() {
    let time = Time::new();
    let ca = ca(CLUSTER, time.now());
    let server = Node::new(&ca, 1, Role::Server, &time);
    let worker = Node::new(&ca, 2, Role::Worker, &time);

    // A client that keeps whatever ticket it gets, at our server.
    let mut eager = (*worker.calls()).clone();
    eager.resumption = rustls::client::Resumption::default();
    eager.enable_early_data = true;
    let eager = Arc::new(eager);
    let door = server.door();
    for round in 1..=2 {
        let (client, end) = connect(eager.clone(), door.clone()).unwrap();
        assert_eq!(
            client.handshake_kind(),
            Some(HandshakeKind::Full),
            "{round}"
        );
        assert_eq!(client.tls13_tickets_received(), 0);
        assert!(end.peer_certificates().is_some());
    }

    // Our client, at a server that gives tickets.
    let mut generous = (*server.door()).clone();
    generous.session_storage = ServerSessionMemoryCache::new(16);
    generous.send_tls13_tickets = 2;
    let (generous, ours) = (Arc::new(generous), worker.calls());
    for round in 1..=2 {
        let (client, _) = connect(ours.clone(), generous.clone()).unwrap();
        assert_eq!(client.tls13_tickets_received(), 2, "the server is generous");
        assert_eq!(
            client.handshake_kind(),
            Some(HandshakeKind::Full),
            "{round}"
        );
    }
}

#[test]
fn t1_tls_1_2_is_refused_on_both_protocols() {
    let time = Time::new();
    let ca = ca(CLUSTER, time.now());
    let server = Node::new(&ca, 1, Role::Server, &time);
    for (alpn, door) in [(ALPN_RPC, server.door()), (ALPN_JOIN, server.join_door())] {
        let mut old = ClientConfig::builder_with_provider(tls::provider())
            .with_protocol_versions(&[&TLS12])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anyone))
            .with_no_client_auth();
        old.alpn_protocols = vec![alpn.to_vec()];
        let failed = connect(Arc::new(old), door).unwrap_err();
        assert!(
            matches!(
                failed,
                Failed::Server(rustls::Error::PeerIncompatible(
                    PeerIncompatible::SupportedVersionsExtensionRequired
                        | PeerIncompatible::Tls12NotOfferedOrEnabled
                ))
            ),
            "{failed:?}"
        );
    }
}

#[test]
fn t1_rpc_needs_a_certificate_and_a_join_shows_and_asks_none_of_the_cluster() {
    let time = Time::new();
    let ca = ca(CLUSTER, time.now());
    let server = Node::new(&ca, 1, Role::Server, &time);
    let stranger = join_client_config().unwrap();
    let (client, _) = connect(stranger.clone(), server.join_door()).unwrap();
    let shown = client.peer_certificates().unwrap().first().unwrap();
    let read = PeerIdentity::from_der(shown);
    assert_eq!(read, Err(PkiError::Identity(IdentityError::NoIdentity)));

    // Who offers one protocol is not served by the other's door.
    let failed = connect(stranger.clone(), server.door()).unwrap_err();
    assert!(matches!(
        failed,
        Failed::Server(rustls::Error::NoApplicationProtocol)
    ));
    let mut bare = (*stranger).clone();
    bare.alpn_protocols = vec![ALPN_RPC.to_vec()];
    let failed = connect(Arc::new(bare), server.door()).unwrap_err();
    assert!(matches!(
        failed,
        Failed::Server(rustls::Error::NoCertificatesPresented)
    ));
}

#[test]
fn a_node_that_believes_no_ca_has_no_door_but_the_join() {
    let time = Time::new();
    let blank = Node::blank(&time);
    let refused = Some(PkiError::Tls(TlsError::NotJoined));
    let store = || blank.store.clone();
    assert_eq!(tls::rpc_server_config(store()).err(), refused);
    assert_eq!(tls::https_server_config(store()).err(), refused);
    assert_eq!(tls::rpc_client_config(store()).err(), refused);
    assert_eq!(tls::https_client_config(store()).err(), refused);
    assert_eq!(blank.store.check(), Err(Refused::NoTrust));
    connect(join_client_config().unwrap(), blank.join_door()).expect("joins are answered");
}

#[test]
fn a_renewed_certificate_is_used_by_doors_and_clients_that_are_open() {
    let time = Time::new();
    let ca = ca(CLUSTER, time.now());
    let server = Node::new(&ca, 1, Role::Server, &time);
    let worker = Node::new(&ca, 2, Role::Worker, &time);
    let (door, calls) = (server.door(), worker.calls());
    time.pass(71 * HOUR);
    server.renew(&ca, 1, Role::Server);
    worker.renew(&ca, 2, Role::Worker);
    time.pass(2 * HOUR);
    connect(calls, door).expect("the first certificates have expired, the second have not");
}

#[test]
fn t5_an_expired_certificate_is_named_as_such_on_either_side() {
    let time = Time::new();
    let ca = ca(CLUSTER, time.now());
    let server = Node::new(&ca, 1, Role::Server, &time);
    let worker = Node::new(&ca, 2, Role::Worker, &time);
    time.pass(72 * HOUR + 1);
    let expired = Refused::Expired {
        not_after: at(START + 72 * HOUR),
        now: time.now(),
    };
    assert_eq!(server.store.check(), Err(expired.clone()));
    let failed = connect(worker.calls(), server.door()).unwrap_err();
    let refused = failed.refused_by_client();
    assert_eq!(refused, expired);
    assert_eq!(
        refused.to_string(),
        "the certificate expired at Jan 18 08:00:00 2027 +00:00, now is Jan 18 08:00:01 2027 +00:00"
    );

    server.renew(&ca, 1, Role::Server);
    let failed = connect(worker.calls(), server.door()).unwrap_err();
    assert_eq!(failed.refused_by_server(), expired);
    worker.renew(&ca, 2, Role::Worker);
    connect(worker.calls(), server.door()).expect("it comes back by itself");
}

#[test]
fn a_clock_that_is_a_day_behind_still_works_and_one_further_back_is_named() {
    let time = Time::new();
    let ca = ca(CLUSTER, time.now());
    let server = Node::new(&ca, 1, Role::Server, &time);
    let worker = Node::new(&ca, 2, Role::Worker, &time);
    let csr = Csr::new(&worker.key, "web").unwrap();
    let cert = sign(&ca, &csr, 2, Role::Worker, time.now());
    let late = Time::new();
    late.0.store(START - 23 * HOUR, Ordering::Relaxed);
    let slow = worker.at_time(&ca, &cert, &late);
    connect(slow.calls(), server.door()).expect("certificates begin a day back");

    late.0.store(0, Ordering::Relaxed);
    let failed = connect(slow.calls(), server.door()).unwrap_err();
    let refused = failed.refused_by_client();
    let begins = at(START - 24 * HOUR);
    assert_eq!(
        refused,
        Refused::NotYetValid {
            not_before: begins,
            now: at(0)
        }
    );
    assert!(
        refused
            .to_string()
            .contains("one of the two clocks is wrong")
    );
}

#[test]
fn a_certificate_of_another_cluster_or_of_a_forged_ca_is_refused_by_its_own_reason() {
    let time = Time::new();
    let (ours, other) = (ca(CLUSTER, time.now()), ca(OTHER_CLUSTER, time.now()));
    let forged = ca(CLUSTER, time.now());
    let server = Node::new(&ours, 1, Role::Server, &time);
    let member = Node::new(&ours, 2, Role::Server, &time);
    let lost = Node::new(&other, 3, Role::Server, &time);
    let impostor = Node::new(&forged, 4, Role::Server, &time);

    let refused = connect(member.calls(), lost.door()).unwrap_err();
    assert_eq!(
        refused.refused_by_client(),
        Refused::OtherCluster {
            ours: CLUSTER,
            theirs: OTHER_CLUSTER
        }
    );
    let refused = connect(member.calls(), impostor.door()).unwrap_err();
    assert_eq!(refused.refused_by_client(), Refused::OtherCa);

    // As callers, with clients that do not mind whom they call.
    for (caller, wanted) in [
        (
            &lost,
            Refused::OtherCluster {
                ours: CLUSTER,
                theirs: OTHER_CLUSTER,
            },
        ),
        (&impostor, Refused::OtherCa),
    ] {
        let mut calls = (*caller.calls()).clone();
        calls.dangerous().set_certificate_verifier(Arc::new(Anyone));
        let failed = connect(Arc::new(calls), server.door()).unwrap_err();
        assert_eq!(failed.refused_by_server(), wanted);
    }
}

#[test]
fn t6_an_operators_certificate_opens_nothing_on_the_rpc_port() {
    let time = Time::new();
    let ca = ca(CLUSTER, time.now());
    let server = Node::new(&ca, 1, Role::Server, &time);
    let person = Node::new(&ca, 9, Role::Operator, &time);
    let failed = connect(person.calls(), server.door()).unwrap_err();
    let found = Role::Operator;
    assert_eq!(failed.refused_by_server(), Refused::WrongRole { found });
}

#[test]
fn neither_a_worker_nor_an_operator_is_taken_for_a_server() {
    let time = Time::new();
    let ca = ca(CLUSTER, time.now());
    let server = Node::new(&ca, 1, Role::Server, &time);
    let worker = Node::new(&ca, 2, Role::Worker, &time);
    let person = Node::new(&ca, 9, Role::Operator, &time);
    let failed = connect(server.calls(), worker.door()).unwrap_err();
    let found = Role::Worker;
    assert_eq!(failed.refused_by_client(), Refused::WrongRole { found });
    let failed = connect(worker.calls(), person.door()).unwrap_err();
    assert!(matches!(failed.refused_by_client(), Refused::Invalid(_)));
}

#[test]
fn who_shows_anothers_certificate_without_its_key_is_refused_even_by_a_joiner() {
    let time = Time::new();
    let ca = ca(CLUSTER, time.now());
    let server = Node::new(&ca, 1, Role::Server, &time);
    let worker = Node::new(&ca, 2, Role::Worker, &time);
    // Certificates are no secret; the thief's key is his own.
    let (client, _) = connect(worker.calls(), server.door()).unwrap();
    let seen = client.peer_certificates().unwrap().to_vec();
    let own = NodeKey::generate().unwrap().rustls();
    let own = tls::provider().key_provider.load_private_key(own).unwrap();
    let stolen = CertifiedKey::new(seen, own);
    for (calls, alpn) in [
        (worker.calls(), ALPN_RPC),
        (join_client_config().unwrap(), ALPN_JOIN),
    ] {
        let thief = ServerConfig::builder_with_provider(tls::provider())
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_no_client_auth();
        let mut thief = thief.with_cert_resolver(Arc::new(SingleCertAndKey::from(stolen.clone())));
        thief.alpn_protocols = vec![alpn.to_vec()];
        let failed = connect(calls, Arc::new(thief)).unwrap_err();
        assert_eq!(failed.refused_by_client(), Refused::NotItsKey);
    }
}
