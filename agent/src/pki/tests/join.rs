//! The join's proof on real channels, and those who would cheat.

use super::*;
use crate::pki::proof::{
    Binding, join_signature, joiner_mac, server_mac, verify_join_signature, verify_joiner_mac,
    verify_server_mac,
};

/// What both sides know of one join besides the channel.
struct Join {
    token: Token,
    csr: Csr,
}

impl Join {
    fn by(token: &Token) -> Self {
        Self {
            token: token.clone(),
            csr: Csr::new(&NodeKey::generate().unwrap(), "web-1").unwrap(),
        }
    }

    fn on(&self, exporter: [u8; 32]) -> Binding {
        Binding {
            exporter,
            version: 1,
            role: self.token.role(),
            token: self.token.id(),
            csr_hash: self.csr.hash(),
            name: "web-1".to_owned(),
        }
    }
}

/// Two ends of a join's channel to a server that has formed no cluster yet.
fn channel() -> Ends {
    let door = Node::blank(&Time::new()).join_door();
    connect(join_client_config().unwrap(), door).unwrap()
}

/// As RFC 9266 has it.
fn channel_binding<D>(end: &rustls::ConnectionCommon<D>) -> [u8; 32] {
    let label = b"EXPORTER-Channel-Binding";
    end.export_keying_material([0; 32], label, Some(b""))
        .unwrap()
}

#[test]
fn who_knows_the_token_proves_it_on_the_channel() {
    let (joiner, server) = channel();
    let cluster = Token::generate_server();
    let worker = Token::parse(&cluster.derive(Role::Worker).unwrap().expose()).unwrap();
    let join = Join::by(&worker);
    let (ours, theirs) = (
        join.on(channel_binding(&joiner)),
        join.on(channel_binding(&server)),
    );
    assert_eq!(ours, theirs, "both ends export the same");

    let key = worker.proof_key();
    verify_server_mac(&key, &ours, &server_mac(&key, &theirs)).unwrap();
    verify_joiner_mac(&key, &theirs, &joiner_mac(&key, &ours)).unwrap();
    let join_key = cluster.join_key().unwrap();
    let signature = join_signature(&join_key, &theirs);
    let fingerprint = worker.join_fingerprint().unwrap();
    verify_join_signature(&fingerprint, join_key.public(), &ours, &signature).unwrap();
}

#[test]
fn t2_a_man_in_the_middle_gains_nothing_by_relaying() {
    let token = Token::generate_server();
    let join = Join::by(&token);
    let key = token.proof_key();
    // The joiner's channel ends at the man in the middle, who has one of his own to the server.
    let ((joiner, _mallory_as_server), (_mallory_as_joiner, server)) = (channel(), channel());
    let at_joiner = join.on(channel_binding(&joiner));
    let at_server = join.on(channel_binding(&server));

    let relayed = server_mac(&key, &at_server);
    assert_eq!(
        verify_server_mac(&key, &at_joiner, &relayed),
        Err(ProofError::ServerMac.into())
    );
    let relayed = joiner_mac(&key, &at_joiner);
    assert_eq!(
        verify_joiner_mac(&key, &at_server, &relayed),
        Err(ProofError::JoinerMac.into())
    );
    let join_key = token.join_key().unwrap();
    let relayed = join_signature(&join_key, &at_server);
    assert_eq!(
        verify_join_signature(
            &join_key.fingerprint(),
            join_key.public(),
            &at_joiner,
            &relayed
        ),
        Err(ProofError::JoinSignature.into())
    );
}

#[test]
fn t2_an_echo_proves_nothing() {
    let (joiner, _) = channel();
    let token = Token::generate_server();
    let (key, binding) = (
        token.proof_key(),
        Join::by(&token).on(channel_binding(&joiner)),
    );
    let echoed = joiner_mac(&key, &binding);
    assert_eq!(
        verify_server_mac(&key, &binding, &echoed),
        Err(ProofError::ServerMac.into())
    );
    let echoed = server_mac(&key, &binding);
    assert_eq!(
        verify_joiner_mac(&key, &binding, &echoed),
        Err(ProofError::JoinerMac.into())
    );
}

#[test]
fn t2_a_proof_covers_every_part_of_its_binding() {
    let (joiner, _) = channel();
    let token = Token::generate_server();
    let (key, binding) = (
        token.proof_key(),
        Join::by(&token).on(channel_binding(&joiner)),
    );
    let sent = joiner_mac(&key, &binding);
    verify_joiner_mac(&key, &binding, &sent).unwrap();
    let b = || binding.clone();
    for (part, changed) in [
        (
            "exporter",
            Binding {
                exporter: [7; 32],
                ..b()
            },
        ),
        ("version", Binding { version: 2, ..b() }),
        (
            "role",
            Binding {
                role: Role::Worker,
                ..b()
            },
        ),
        (
            "token",
            Binding {
                token: crate::model::TokenId([7; 8]),
                ..b()
            },
        ),
        (
            "request",
            Binding {
                csr_hash: [7; 32],
                ..b()
            },
        ),
        (
            "name",
            Binding {
                name: "web-2".to_owned(),
                ..b()
            },
        ),
    ] {
        assert!(
            verify_joiner_mac(&key, &changed, &sent).is_err(),
            "{part} is not covered"
        );
    }
    let wrong = Token::generate_server().proof_key();
    assert!(
        verify_joiner_mac(&wrong, &binding, &sent).is_err(),
        "another token"
    );
    assert!(
        verify_joiner_mac(&key, &binding, sent.split_at(16).0).is_err(),
        "half a proof"
    );
}

#[test]
fn t3_a_stolen_worker_token_cannot_pose_as_a_server() {
    let cluster = Token::generate_server();
    let stolen = Token::parse(&cluster.derive(Role::Worker).unwrap().expose()).unwrap();
    // A worker with the same token joins, and the thief answers.
    let (joiner, thief) = channel();
    let join = Join::by(&stolen);
    let (at_joiner, at_thief) = (
        join.on(channel_binding(&joiner)),
        join.on(channel_binding(&thief)),
    );
    let mac = server_mac(&stolen.proof_key(), &at_thief);
    verify_server_mac(&stolen.proof_key(), &at_joiner, &mac).expect("the MAC alone he can make");

    let asked = stolen.join_fingerprint().unwrap();
    let own = JoinKey::from_seed(&[7; 32]).unwrap();
    assert_eq!(
        verify_join_signature(
            &asked,
            own.public(),
            &at_joiner,
            &join_signature(&own, &at_thief)
        ),
        Err(ProofError::ForeignJoinKey.into())
    );
    // The true public key is no secret, and he may have seen a signature on a join of his own.
    let real = cluster.join_key().unwrap();
    let (_, earlier) = channel();
    let seen = join_signature(&real, &join.on(channel_binding(&earlier)));
    for forged in [join_signature(&own, &at_thief), seen, Vec::new()] {
        assert_eq!(
            verify_join_signature(&asked, real.public(), &at_joiner, &forged),
            Err(ProofError::JoinSignature.into())
        );
    }
    // And nothing of a server's comes out of his token.
    let found = Role::Worker;
    let refused = Some(TokenError::NotAServerToken { found }.into());
    assert!(stolen.join_key().is_none());
    assert_eq!(stolen.wrap(&DataKey::generate()).err(), refused);
    assert_eq!(stolen.derive(Role::Operator).err(), refused);
}
