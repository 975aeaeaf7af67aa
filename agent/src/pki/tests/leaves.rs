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
    assert_eq!(NodeKey::from_der(key.der()).unwrap().fingerprint(), print);
    assert_eq!(NodeKey::from_pem(&key.pem()).unwrap().fingerprint(), print);
    assert_ne!(NodeKey::generate().unwrap().fingerprint(), print);
    assert!(NodeKey::from_der(b"garbage").is_err());
    assert!(NodeKey::from_pem("garbage").is_err());
    assert_eq!(format!("{key:?}"), format!("NodeKey({print})"));
}

#[test]
fn a_request_arrives_as_it_was_sent_and_is_for_the_key_that_signed_it() {
    let key = NodeKey::generate().unwrap();
    let sent = Csr::new(&key, "web").unwrap();
    let received = Csr::from_der(sent.der()).unwrap();
    assert_eq!(received.fingerprint(), key.fingerprint());
    assert_eq!(received.hash(), sent.hash());

    let mut forged = sent.der().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(
        Csr::from_der(&forged),
        Err(NodeKeyError::BadSignature.into())
    );
    // Somebody else's key in a request that one signed oneself.
    let other = NodeKey::generate().unwrap();
    let (own, others) = (
        sent.spki().to_vec(),
        Csr::new(&other, "web").unwrap().spki().to_vec(),
    );
    let mut stolen = sent.der().to_vec();
    let place = stolen.windows(own.len()).position(|w| w == own).unwrap();
    stolen[place..place + own.len()].copy_from_slice(&others);
    assert_eq!(
        Csr::from_der(&stolen),
        Err(NodeKeyError::BadSignature.into())
    );
    assert_eq!(
        Csr::from_der(&[0; 5000]),
        Err(NodeKeyError::TooLong { found: 5000 }.into())
    );
    assert_eq!(
        Csr::from_der(b"garbage"),
        Err(NodeKeyError::NotARequest.into())
    );
}

#[test]
fn a_request_for_another_kind_of_key_is_refused() {
    for kind in [&rcgen::PKCS_ED25519, &rcgen::PKCS_ECDSA_P384_SHA384] {
        let pair = rcgen::KeyPair::generate_for(kind).unwrap();
        let request = rcgen::CertificateParams::default()
            .serialize_request(&pair)
            .unwrap();
        assert_eq!(
            Csr::from_der(request.der()),
            Err(NodeKeyError::NotP256.into())
        );
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
    let pem = sign(&ca, &csr, 5, Role::Worker, at(START));
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
    assert_eq!(kept.cluster(), CLUSTER);
    assert_eq!(kept.fingerprint(), made.fingerprint());
    let validity = Validity::of_pem(made.cert_pem()).unwrap();
    assert_eq!(validity.not_before, at(START - 24 * HOUR));
    assert_eq!(validity.not_after, at(START + 3650 * 24 * HOUR));

    let csr = Csr::new(&NodeKey::generate().unwrap(), "web").unwrap();
    let other = ca(OTHER_CLUSTER, at(START));
    let theirs = subject(&other, 1, Role::Server);
    let refused = kept.sign(&csr, &theirs, at(START), Lifetime::default());
    let (ours, theirs) = (CLUSTER, OTHER_CLUSTER);
    assert_eq!(refused, Err(CaError::OtherCluster { ours, theirs }.into()));
    let mixed = Ca::from_parts(made.cert_pem(), other.key_der()).unwrap_err();
    assert!(matches!(mixed, PkiError::Ca(CaError::KeyMismatch { .. })));
    let garbage = Ca::from_parts("garbage", made.key_der()).unwrap_err();
    assert_eq!(garbage, CaError::NotPem.into());
}

#[test]
fn two_certificates_of_one_key_have_two_serial_numbers() {
    let ca = ca(CLUSTER, at(START));
    let csr = Csr::new(&NodeKey::generate().unwrap(), "web").unwrap();
    let serial = || {
        let pem = sign(&ca, &csr, 1, Role::Server, at(START));
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
fn half_of_a_life_counts_from_the_making_however_short_it_is() {
    for seconds in [72 * HOUR, 20] {
        let ca = ca(CLUSTER, at(START));
        let csr = Csr::new(&NodeKey::generate().unwrap(), "web").unwrap();
        let life = Lifetime(Duration::from_secs(seconds));
        let pem = ca.sign(&csr, &subject(&ca, 1, Role::Server), at(START), life);
        let validity = Validity::of_pem(&pem.unwrap()).unwrap();
        assert_eq!(validity.not_before, at(START - 24 * HOUR));
        assert_eq!(validity.not_after, at(START + seconds));
        assert_eq!(validity.half_life(), at(START + seconds / 2));
        let (last, end) = (at(START + seconds - 1), at(START + seconds));
        assert!(validity.holds(last) && !validity.is_over(last));
        assert!(!validity.holds(end) && validity.is_over(end));
        assert!(!validity.holds(at(START - 25 * HOUR)));
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
        let csr = Csr::new(&NodeKey::generate().unwrap(), "web").unwrap();
        sign(&ca, &csr, 1, Role::Server, now);
    }
}

#[test]
fn files_that_do_not_belong_together_are_told_apart_and_not_put_in_use() {
    let (ours, other) = (ca(CLUSTER, at(START)), ca(OTHER_CLUSTER, at(START)));
    let time = Time::new();
    let node = Node::new(&ours, 1, Role::Server, &time);
    let (store, key) = (&node.store, &node.key);
    let own = store.check().unwrap();
    assert_eq!(own.key, key.fingerprint());

    let csr = Csr::new(key, "web").unwrap();
    let cert = sign(&ours, &csr, 1, Role::Server, time.now());
    let stranger = NodeKey::generate().unwrap();
    let wrong = store.replace(&cert, &stranger).unwrap_err();
    assert!(matches!(
        wrong,
        PkiError::CertStore(CertStoreError::KeyMismatch { .. })
    ));
    assert_eq!(store.replace("", key), Err(CertStoreError::NotPem.into()));
    let elsewhere = sign(&other, &csr, 1, Role::Server, time.now());
    let (certificate, ca_of) = (OTHER_CLUSTER, CLUSTER);
    let mixed = CertStoreError::OtherCluster {
        certificate,
        ca: ca_of,
    };
    assert_eq!(store.replace(&elsewhere, key), Err(mixed.into()));
    let (certificate, ca_of) = (CLUSTER, OTHER_CLUSTER);
    let mixed = CertStoreError::OtherCluster {
        certificate,
        ca: ca_of,
    };
    assert_eq!(store.trust(other.cert_pem()), Err(mixed.into()));
    assert_eq!(store.trust(""), Err(TrustError::Empty.into()));
    assert!(store.trust(&cert).is_err(), "a leaf is no CA");
    let both = format!("{}{}", ours.cert_pem(), other.cert_pem());
    let mixed = TrustError::Mixed(CLUSTER, OTHER_CLUSTER);
    assert_eq!(store.trust(&both), Err(mixed.into()));
    assert_eq!(store.check(), Ok(own), "what was in use is so still");

    let forged = ca(CLUSTER, at(START));
    store.trust(forged.cert_pem()).unwrap();
    assert_eq!(store.check(), Err(Refused::OtherCa));
}

#[test]
fn a_ca_is_replaced_while_doors_stand_open() {
    let time = Time::new();
    let (old, new) = (ca(CLUSTER, time.now()), ca(CLUSTER, time.now()));
    let (first, second) = (
        Node::new(&old, 1, Role::Server, &time),
        Node::new(&old, 2, Role::Server, &time),
    );
    let (door, calls) = (first.door(), second.calls());
    let both = format!("{}{}", new.cert_pem(), old.cert_pem());
    for node in [&first, &second] {
        node.store.trust(&both).unwrap();
    }
    // The second is the first to have a certificate of the new CA.
    let csr = Csr::new(&second.key, "web").unwrap();
    let cert = sign(&new, &csr, 2, Role::Server, time.now());
    second.store.replace(&cert, &second.key).unwrap();
    connect(calls.clone(), door.clone()).expect("while it rotates both are believed");
    first.renew(&new, 1, Role::Server);
    second.store.trust(new.cert_pem()).unwrap();
    connect(calls, door.clone()).expect("the new one alone");

    let late = Node::new(&old, 3, Role::Server, &time);
    late.store.trust(&both).unwrap();
    let refused = connect(late.calls(), door).unwrap_err();
    assert_eq!(refused.refused_by_server(), Refused::OtherCa);
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
        let signed = params.self_signed(key.pair()).unwrap();
        PeerIdentity::read(signed.der())
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
        let _ = (PeerIdentity::read(&bytes), Csr::from_der(&bytes));
        let ca = ca(CLUSTER, at(START));
        let csr = Csr::new(&NodeKey::generate().unwrap(), "web").unwrap();
        let pem = sign(&ca, &csr, 1, Role::Server, at(START));
        let mut cert = der(&pem).to_vec();
        let changed = place.index(cert.len());
        cert[changed] ^= flip;
        let _ = PeerIdentity::read(&cert);
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
