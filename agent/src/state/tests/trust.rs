//! Tokens, the CA and the hidden entries; nothing of them in what is printed.

use bytes::Bytes;

use super::world::{World, create, put, session};
use crate::model::{ClusterTime, Op, Refusal, Reply, Role, TokenId, TokenRow, Topic};

fn token(revoked: bool) -> TokenRow {
    TokenRow {
        id: TokenId([7; 8]),
        role: Role::Worker,
        description: String::new(),
        created: ClusterTime(0),
        sealed_proof_key: b"sealed-proof".to_vec(),
        wrapped_data_key: None,
        revoked,
    }
}

fn hide(value: Option<&'static str>, expect: Option<u64>) -> Op {
    Op::HiddenPut {
        key: "swarm/tokens".to_owned(),
        value: value.map(|text| Bytes::from_static(text.as_bytes())),
        expect,
    }
}

#[test]
fn a_revoked_token_stays_revoked() {
    let mut world = World::formed();
    let id = TokenId([7; 8]);
    assert_eq!(
        world.does(Op::TokenRevoke(id)),
        Reply::Refused(Refusal::UnknownToken(id))
    );
    world.does(Op::TokenPut(Box::new(token(false))));
    assert_eq!(world.changed, [Topic::Trust]);
    assert_eq!(world.does(Op::TokenRevoke(id)), Reply::Done);
    assert_eq!(world.changed, [Topic::Trust]);
    world.does(Op::TokenPut(Box::new(token(false))));
    assert!(
        world.state.token(id).unwrap().revoked,
        "putting it again does not revive it"
    );
    assert!(world.changed.is_empty());
    assert_eq!(world.does(Op::TokenRevoke(id)), Reply::Done);
    assert_eq!(world.state.tokens().count(), 1);
}

#[test]
fn a_hidden_entry_is_set_only_at_the_index_that_was_expected() {
    let mut world = World::formed();
    for (value, expect, took) in [
        (Some("a"), Some(9), false),
        (Some("a"), Some(0), true),
        (Some("b"), Some(0), false),
        (Some("b"), Some(6), true),
        (Some("b"), None, true),
        (None, Some(6), false),
        (None, Some(8), true),
        (None, None, true),
    ] {
        let reply = world.does(hide(value, expect));
        assert_eq!(reply, Reply::Bool(took), "{value:?} at {expect:?}");
    }
    assert_eq!(world.state.hidden("swarm/tokens"), None);
    world.does(hide(Some("c"), None));
    assert_eq!(world.changed, [Topic::Hidden]);
    let under: Vec<_> = world.state.hidden_under("swarm/").collect();
    assert_eq!(
        under,
        [("swarm/tokens", &Bytes::from_static(b"c"), world.index)]
    );
    assert_eq!(world.state.kv().len(), 0, "the KV store does not show it");
}

#[test]
fn nothing_secret_is_printed() {
    let mut world = World::formed();
    world.does(put("database/password", "hunter2"));
    world.does(hide(Some("SWMTKN-1-secret"), None));
    world.does(Op::TokenPut(Box::new(token(false))));
    world.does(create(session(1, "n1", &[])));
    let printed = format!("{:?}", world.state);
    let bytes = |text: &str| format!("{:?}", text.as_bytes());
    for secret in ["hunter2", "SWMTKN", "hush", "sealed"] {
        assert!(!printed.contains(secret), "{secret} in {printed}");
    }
    for secret in ["sealed-proof", "sealed-ca-key"] {
        assert!(!printed.contains(&bytes(secret)), "{secret} in {printed}");
    }
    assert!(printed.contains("n1"), "yet it says something: {printed}");
}
