//! Keys, requests, certificates, and what is put together from files.

use proptest::prelude::*;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::*;

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

#[test]
fn a_key_is_the_same_after_it_was_stored() {
    let key = NodeKey::generate().unwrap();
    let print = key.fingerprint();
    assert_eq!(
        NodeKey::from_der(key.expose_der()).unwrap().fingerprint(),
        print
    );
    assert_eq!(
        NodeKey::from_pem(&key.expose_pem()).unwrap().fingerprint(),
        print
    );
    assert_ne!(NodeKey::generate().unwrap().fingerprint(), print);
    assert!(NodeKey::from_der(b"garbage").is_err());
    assert!(NodeKey::from_pem("garbage").is_err());
    assert_eq!(format!("{key:?}"), format!("NodeKey({print})"));
}

#[test]
fn a_request_arrives_as_it_was_sent_and_is_for_the_key_that_signed_it() {
    let key = NodeKey::generate().unwrap();
    let sent = Csr::new(&key).unwrap();
    let received = Csr::from_der(sent.der()).unwrap();
    assert_eq!(received.fingerprint(), key.fingerprint());
    assert_eq!(received.hash(), sent.hash());

    let mut forged = sent.der().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(Csr::from_der(&forged), Err(NodeKeyError::BadSignature));
    // Somebody else's key in a request that one signed oneself.
    let other = NodeKey::generate().unwrap();
    let (own, others) = (
        sent.spki().to_vec(),
        Csr::new(&other).unwrap().spki().to_vec(),
    );
    let mut stolen = sent.der().to_vec();
    let place = stolen.windows(own.len()).position(|w| w == own).unwrap();
    stolen[place..place + own.len()].copy_from_slice(&others);
    assert_eq!(Csr::from_der(&stolen), Err(NodeKeyError::BadSignature));
    assert_eq!(
        Csr::from_der(&[0; 5000]),
        Err(NodeKeyError::TooLong { found: 5000 })
    );
    assert_eq!(Csr::from_der(b"garbage"), Err(NodeKeyError::NotARequest));
}

#[test]
fn a_request_for_another_kind_of_key_is_refused() {
    for kind in [&rcgen::PKCS_ED25519, &rcgen::PKCS_ECDSA_P384_SHA384] {
        let pair = rcgen::KeyPair::generate_for(kind).unwrap();
        let request = rcgen::CertificateParams::default()
            .serialize_request(&pair)
            .unwrap();
        assert_eq!(Csr::from_der(request.der()), Err(NodeKeyError::NotP256));
    }
}

#[test]
fn a_certificate_says_what_the_ca_was_told_and_nothing_that_the_request_wished() {
    let ca = ca(CLUSTER, at(START));
    let key = NodeKey::generate().unwrap();
    let mut wishes = rcgen::CertificateParams::new(vec!["go.dev".to_owned()]).unwrap();
    wishes.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let wish = wishes.serialize_request(key.pair()).unwrap();
    let csr = Csr::from_der(wish.der()).unwrap();
    let pem = ca
        .sign(&csr, &subject(&ca, 5, Role::Worker), at(START))
        .unwrap();
    let (_, cert) = x509_parser::parse_x509_certificate(&der(&pem))
        .map(|(r, c)| (r.len(), c.is_ca()))
        .unwrap();
    assert!(!cert, "it became a CA");
    assert!(!der(&pem).windows(6).any(|w| w == b"go.dev"));
    let identity = PeerIdentity::from_der(&der(&pem)).unwrap();
    assert_eq!(identity.cluster, CLUSTER);
    assert_eq!(
        (identity.role, identity.node),
        (Role::Worker, NodeId::from_u128(5))
    );
    assert_eq!(identity.key, key.fingerprint());
}

#[test]
fn a_ca_signs_for_its_own_cluster_alone_and_survives_storage() {
    let made = ca(CLUSTER, at(START));
    let kept = Ca::from_parts(made.cert_pem(), made.key_der()).unwrap();
    assert_eq!(
        (kept.cluster(), kept.fingerprint()),
        (CLUSTER, made.fingerprint())
    );
    let validity = Validity::from_der(&der(made.cert_pem())).unwrap();
    assert_eq!(validity.not_before, at(START - 24 * HOUR));
    assert_eq!(validity.not_after, at(START + 3650 * 24 * HOUR));

    let csr = Csr::new(&NodeKey::generate().unwrap()).unwrap();
    let other = ca(OTHER_CLUSTER, at(START));
    assert_eq!(
        kept.sign(&csr, &subject(&other, 1, Role::Server), at(START)),
        Err(CaError::OtherCluster {
            ours: CLUSTER,
            theirs: OTHER_CLUSTER
        })
    );
    let mixed = Ca::from_parts(made.cert_pem(), other.key_der()).unwrap_err();
    assert!(matches!(mixed, CaError::KeyMismatch { .. }));
    assert_eq!(
        Ca::from_parts("garbage", made.key_der()).unwrap_err(),
        CaError::NotPem
    );
}

#[test]
fn two_certificates_of_one_key_have_two_serial_numbers() {
    let ca = ca(CLUSTER, at(START));
    let csr = Csr::new(&NodeKey::generate().unwrap()).unwrap();
    let serial = || {
        let pem = ca
            .sign(&csr, &subject(&ca, 1, Role::Server), at(START))
            .unwrap();
        let der = der(&pem);
        x509_parser::parse_x509_certificate(&der)
            .unwrap()
            .1
            .raw_serial()
            .to_vec()
    };
    assert_ne!(serial(), serial());
}

#[test]
fn renewal_is_due_at_half_life_however_short_the_life() {
    for seconds in [72 * HOUR, 20] {
        let ca = ca(CLUSTER, at(START)).with_lifetime(Lifetime(Duration::from_secs(seconds)));
        let csr = Csr::new(&NodeKey::generate().unwrap()).unwrap();
        let pem = ca
            .sign(&csr, &subject(&ca, 1, Role::Server), at(START))
            .unwrap();
        let validity = Validity::from_der(&der(&pem)).unwrap();
        assert_eq!(validity.not_before, at(START - 24 * HOUR));
        assert_eq!(validity.not_after, at(START + seconds));
        assert_eq!(validity.half_life(), at(START + seconds / 2));
        assert!(!validity.renewal_is_due(at(START + seconds / 2 - 1)));
        assert!(validity.renewal_is_due(at(START + seconds / 2)));
        assert_eq!(validity.remaining(at(START)), Duration::from_secs(seconds));
        assert_eq!(validity.remaining(at(START + seconds + 9)), Duration::ZERO);
    }
}

#[test]
fn a_mad_clock_makes_certificates_and_no_panic() {
    for now in [
        BIRTH,
        BIRTH - Duration::from_secs(9),
        at(u64::from(u32::MAX) * 100),
    ] {
        let ca = ca(CLUSTER, now);
        let csr = Csr::new(&NodeKey::generate().unwrap()).unwrap();
        ca.sign(&csr, &subject(&ca, 1, Role::Server), now).unwrap();
    }
}

#[test]
fn files_that_do_not_belong_together_are_told_apart() {
    let (ours, other) = (ca(CLUSTER, at(START)), ca(OTHER_CLUSTER, at(START)));
    let key = NodeKey::generate().unwrap();
    let csr = Csr::new(&key).unwrap();
    let cert = ours
        .sign(&csr, &subject(&ours, 1, Role::Server), at(START))
        .unwrap();
    let fine = Credentials::new(&key, &cert, ours.cert_pem()).unwrap();
    assert_eq!(fine.check(at(START)), Ok(()));
    assert_eq!(fine.identity().key, key.fingerprint());

    let wrong = |key: &NodeKey, cert: &str, ca: &str| Credentials::new(key, cert, ca).unwrap_err();
    let stranger = NodeKey::generate().unwrap();
    assert!(matches!(
        wrong(&stranger, &cert, ours.cert_pem()),
        CredentialsError::KeyMismatch { .. }
    ));
    assert!(matches!(
        wrong(&key, &cert, other.cert_pem()),
        CredentialsError::OtherCluster(_)
    ));
    assert_eq!(wrong(&key, "", ours.cert_pem()), CredentialsError::NotPem);
    assert_eq!(
        wrong(&key, &cert, ""),
        CredentialsError::Trust(TrustError::Empty)
    );
    let both = format!("{}{}", ours.cert_pem(), other.cert_pem());
    assert_eq!(
        wrong(&key, &cert, &both),
        CredentialsError::Trust(TrustError::Mixed(CLUSTER, OTHER_CLUSTER))
    );
    let forged = ca(CLUSTER, at(START));
    let credentials = Credentials::new(&key, &cert, forged.cert_pem()).unwrap();
    assert_eq!(credentials.check(at(START)), Err(Refused::OtherCa));
}

#[test]
fn while_a_ca_rotates_both_are_believed() {
    let time = Time::new();
    let (old, new) = (ca(CLUSTER, time.now()), ca(CLUSTER, time.now()));
    let both = format!("{}{}", new.cert_pem(), old.cert_pem());
    let node = |ca: &Ca, id| {
        let node = Node::new(ca, id, Role::Server, &time);
        let csr = Csr::new(&node.key).unwrap();
        let cert = ca
            .sign(&csr, &subject(ca, id, Role::Server), time.now())
            .unwrap();
        node.store
            .set(Credentials::new(&node.key, &cert, &both).unwrap());
        node
    };
    let (first, second) = (node(&old, 1), node(&new, 2));
    connect(first.calls(Expect::Server), &second.rpc()).unwrap();
    connect(second.calls(Expect::Server), &first.rpc()).unwrap();
}

#[test]
fn a_certificate_that_names_two_nodes_or_none_is_nobodys() {
    let key = NodeKey::generate().unwrap();
    let uri = |role, node| {
        let uri = PeerIdentity::uri(CLUSTER, role, NodeId::from_u128(node));
        rcgen::SanType::URI(uri.try_into().unwrap())
    };
    let read = |names: Vec<rcgen::SanType>| {
        let mut params = rcgen::CertificateParams::default();
        params.subject_alt_names = names;
        PeerIdentity::from_der(params.self_signed(key.pair()).unwrap().der())
    };
    assert!(read(vec![uri(Role::Server, 1)]).is_ok());
    let two = vec![uri(Role::Worker, 1), uri(Role::Server, 1)];
    assert_eq!(read(two), Err(IdentityError::Ambiguous));
    assert_eq!(read(vec![]), Err(IdentityError::NoIdentity));
    for odd in [
        "swarmer://",
        "swarmer://x/server/y",
        "swarmer://x/server",
        "swarmer:///server//",
    ] {
        let odd = rcgen::SanType::URI(odd.try_into().unwrap());
        assert!(matches!(
            read(vec![odd]),
            Err(IdentityError::Malformed { .. })
        ));
    }
    let own = ca(CLUSTER, at(START));
    assert!(
        PeerIdentity::from_der(&der(own.cert_pem())).is_err(),
        "a CA is no node"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn garbage_is_refused_and_never_a_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
        place in any::<prop::sample::Index>(),
        flip in 1..=255u8,
    ) {
        let _ = (PeerIdentity::from_der(&bytes), Csr::from_der(&bytes), Validity::from_der(&bytes));
        let ca = ca(CLUSTER, at(START));
        let csr = Csr::new(&NodeKey::generate().unwrap()).unwrap();
        let pem = ca.sign(&csr, &subject(&ca, 1, Role::Server), at(START)).unwrap();
        let mut cert = der(&pem).to_vec();
        let changed = place.index(cert.len());
        cert[changed] ^= flip;
        let _ = (PeerIdentity::from_der(&cert), Validity::from_der(&cert));
        let mut request = csr.der().to_vec();
        let changed = place.index(request.len());
        request[changed] ^= flip;
        // The parser overlooks a wrong tag around what is signed; what is signed stays as it was.
        if let Ok(taken) = Csr::from_der(&request) {
            prop_assert_eq!(taken.fingerprint(), csr.fingerprint());
            prop_assert_ne!(taken.hash(), csr.hash());
        }
    }
}
