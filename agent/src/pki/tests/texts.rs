//! What people type: tokens, and what becomes of their typos; and what is sealed.

use proptest::prelude::*;

use super::*;

fn tokens() -> [Token; 3] {
    let server = Token::generate_server();
    let worker = server.derive(Role::Worker).unwrap();
    let operator = server.derive(Role::Operator).unwrap();
    [server, worker, operator]
}

#[test]
fn a_token_is_the_same_after_it_was_copied() {
    for token in tokens() {
        let text = token.expose();
        let role = token.role();
        assert!(text.starts_with(&format!("swarmer-{role}-")));
        assert!(!text.contains(|c: char| c.is_ascii_uppercase()));
        for copy in [text.clone(), format!(" {text}\n")] {
            let read = Token::parse(&copy).unwrap();
            assert_eq!(read.expose(), text);
            assert_eq!((read.role(), read.id()), (role, token.id()));
            assert_eq!(read.proof_key().expose(), token.proof_key().expose());
            assert_eq!(read.join_fingerprint(), token.join_fingerprint());
        }
    }
}

#[test]
fn the_first_versions_tokens_are_read_for_ever() {
    // Written down once: a change of format or of a derivation would lock out every cluster that
    // was made before it.
    let server = Token::parse("swarmer-server-040020g30g2gc1r81450p30d1r7h048j2dq5gty3").unwrap();
    assert_eq!(server.id().to_string(), "cb155803ee817672");
    let worker =
        "swarmer-worker-07gfympy10b988gsthga2f56aqm0hj2wjymjtcq2vefqdrrdvcp8rved6fbs0cn4aw";
    assert_eq!(server.derive(Role::Worker).unwrap().expose(), worker);
    let worker = Token::parse(worker).unwrap();
    assert_eq!(worker.id().to_string(), "78aad0ded2486bd7");
    assert_eq!(
        worker.join_fingerprint(),
        Some(server.join_key().unwrap().fingerprint())
    );
    assert_eq!(
        format!("{:?}", worker.join_fingerprint().unwrap()),
        "a92d32e2db9f76e30ddb2c8c6dcd33d7"
    );
}

#[test]
fn all_servers_derive_the_same_tokens_and_minted_ones_differ() {
    let [server, worker, operator] = tokens();
    let again = Token::parse(&server.expose()).unwrap();
    assert_eq!(
        again.derive(Role::Worker).unwrap().expose(),
        worker.expose()
    );
    assert_ne!(worker.id(), operator.id());
    let print = server.join_key().unwrap().fingerprint();
    assert_eq!(worker.join_fingerprint(), Some(print));
    let minted = Token::mint(Role::Worker, &print);
    let minted = Token::parse(&minted.expose()).unwrap();
    assert_ne!(minted.id(), worker.id());
    assert_eq!(minted.join_fingerprint(), Some(print));
    let minted = Token::mint(Role::Server, &print);
    assert_eq!(Token::parse(&minted.expose()).unwrap().role(), Role::Server);
    assert_eq!(
        server.derive(Role::Server).err(),
        Some(TokenError::NotDerivable.into())
    );
}

#[test]
fn what_people_make_up_is_told_from_a_typo() {
    let parse = |text: &str| Token::parse(text).unwrap_err();
    for made_up in ["", "hunter2", "s3cret-token", "swarmer", "Swarmer-server-x"] {
        assert_eq!(parse(made_up), TokenError::HomeMade);
        assert!(parse(made_up).to_string().contains("swarmer token new"));
    }
    assert_eq!(parse("swarmer-hunter2"), TokenError::UnknownRole);
    assert_eq!(parse("swarmer-manager-00"), TokenError::UnknownRole);
    assert!(matches!(
        parse("swarmer-server-hunter2"),
        TokenError::BadCharacter { place: 2 } | TokenError::WrongLength { .. }
    ));
    let short = parse("swarmer-server-2222");
    assert!(matches!(
        short,
        TokenError::WrongLength {
            found: 4,
            wanted: 40,
            ..
        }
    ));
    assert!(short.to_string().contains("swarmer token new"));
    assert_eq!(
        parse("swarmer-server-22u2"),
        TokenError::BadCharacter { place: 3 }
    );

    let [server, worker, _] = tokens();
    let text = server.expose();
    assert!(matches!(
        parse(&text[..text.len() - 1]),
        TokenError::WrongLength { found: 39, .. }
    ));
    assert!(matches!(
        parse(&format!("{text}0")),
        TokenError::WrongLength { found: 41, .. }
    ));
    let relabelled = worker.expose().replace("worker", "operator");
    assert_eq!(parse(&relabelled), TokenError::BadChecksum);
    let relabelled = worker.expose().replace("worker", "server");
    assert!(matches!(parse(&relabelled), TokenError::WrongLength { .. }));
}

#[test]
fn every_typo_in_one_character_is_called_a_typo() {
    for token in tokens() {
        let text = token.expose();
        let start = text.rfind('-').unwrap() + 1;
        for place in start..text.len() {
            let mut typo: Vec<char> = text.chars().collect();
            typo[place] = if typo[place] == '7' { '8' } else { '7' };
            let typo: String = typo.into_iter().collect();
            let error = Token::parse(&typo).unwrap_err();
            assert_eq!(error, TokenError::BadChecksum, "place {place}");
            assert!(error.to_string().contains("typo"));
        }
    }
}

#[test]
fn a_token_of_a_later_format_is_named_as_such() {
    let mut payload = vec![2u8];
    payload.extend([9; 40]);
    let mut covered = b"swarmer-server-".to_vec();
    covered.extend(&payload);
    payload.extend(derive::sha256(&covered).split_at(4).0);
    let text = format!("swarmer-server-{}", base32::encode(&payload));
    let error = Token::parse(&text).unwrap_err();
    assert_eq!(error, TokenError::UnknownVersion { found: 2 });
}

#[test]
fn no_secret_is_printed() {
    for token in tokens() {
        let (text, key) = (token.expose(), token.proof_key());
        let body = text.rsplit('-').next().unwrap();
        for printed in [format!("{token:?}"), format!("{token}"), format!("{key:?}")] {
            assert!(!printed.contains(body.split_at(8).0), "{printed}");
        }
        let typo = format!("{text}7");
        let error = Token::parse(&typo).unwrap_err();
        for printed in [format!("{error}"), format!("{error:?}")] {
            assert!(!printed.contains(body.split_at(8).0), "{printed}");
        }
    }
    let key = DataKey::generate();
    assert_eq!(format!("{key:?}"), "DataKey(..)");
    let ca = ca(CLUSTER, at(START));
    assert_eq!(
        format!("{ca:?}"),
        format!("Ca({} of cluster {CLUSTER})", ca.fingerprint())
    );
}

#[test]
fn what_is_sealed_opens_under_its_key_for_its_purpose_only() {
    let (key, other) = (DataKey::generate(), DataKey::generate());
    let sealed = seal(&key, "swarm/tokens", b"SWMTKN-1").unwrap();
    assert_eq!(open(&key, "swarm/tokens", &sealed).unwrap(), b"SWMTKN-1");
    assert!(!sealed.windows(4).any(|w| w == b"SWMT"));
    assert_ne!(
        sealed,
        seal(&key, "swarm/tokens", b"SWMTKN-1").unwrap(),
        "a nonce came twice"
    );
    let wrong = |error: PkiError| {
        let told = matches!(error, PkiError::Seal(SealError::WrongKey { .. }));
        assert!(told, "{error}");
    };
    wrong(open(&other, "swarm/tokens", &sealed).unwrap_err());
    wrong(open(&key, "swarm/unlock", &sealed).unwrap_err());
    for place in 1..sealed.len() {
        let mut altered = sealed.clone();
        altered[place] ^= 1;
        wrong(open(&key, "swarm/tokens", &altered).unwrap_err());
    }
    let mut later = sealed.clone();
    later[0] = 2;
    let error = open(&key, "swarm/tokens", &later).unwrap_err();
    assert!(matches!(
        error,
        PkiError::Seal(SealError::UnknownVersion { found: 2, .. })
    ));
    for length in 0..29 {
        let error = open(&key, "swarm/tokens", &sealed[..length]).unwrap_err();
        assert!(
            matches!(error, PkiError::Seal(SealError::TooShort { .. })),
            "{length}: {error}"
        );
    }
}

#[test]
fn what_the_first_version_sealed_opens_for_ever() {
    let key = DataKey::from_bytes([7; 32]);
    let sealed = [
        1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 77, 85, 130, 70, 15, 233, 202, 88, 253, 182, 57,
        134, 94, 244, 117, 212, 241, 182, 195, 204, 0, 131, 32, 15,
    ];
    assert_eq!(open(&key, "ca-key", &sealed).unwrap(), b"a secret");
}

#[test]
fn t4_a_server_token_recovers_the_data_key_and_no_other_token_does() {
    let key = DataKey::generate();
    let [server, worker, operator] = tokens();
    let wrapped = server.wrap(&key).unwrap();
    let again = Token::parse(&server.expose()).unwrap();
    assert_eq!(again.unwrap(&wrapped).unwrap().expose(), key.expose());
    for other in [Token::generate_server(), worker, operator] {
        assert!(other.unwrap(&wrapped).is_err(), "{other}");
    }
    assert!(open(&key, "data-key", &wrapped).is_err());
}

#[test]
fn proof_keys_are_compared_whole() {
    let [server, worker, _] = tokens();
    assert!(server.proof_key().same(&server.proof_key()));
    assert!(!server.proof_key().same(&worker.proof_key()));
    let stored = ProofKey::from_bytes(server.proof_key().expose()).unwrap();
    assert!(stored.same(&server.proof_key()));
    let found = 31;
    let short = ProofKey::from_bytes(&[0; 31]).err();
    assert_eq!(short, Some(ProofError::NotAProofKey { found }.into()));
    let short = JoinKey::from_seed(&[0; 31]).err();
    assert_eq!(short, Some(ProofError::NotAJoinKey { found }.into()));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_a_token_or_an_error(text in "(swarmer-)?(server-|worker-)?.{0,90}") {
        let _ = Token::parse(&text);
    }
}
