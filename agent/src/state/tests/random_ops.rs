//! Random commands over a small world, so that they meet.

use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::select;

use super::world::{
    acquire, check, create, deregister, join, lease, member, node, own_node, put, register,
    service, session, update,
};
use crate::model::{
    BootId, CheckStatus, Duty, LeaseEvent, NodeId, Op, Role, SessionId, TokenId, TokenRow,
};

pub(super) const NODES: [&str; 6] = ["n1", "n2", "n4", "ext", "EXT", "far"];
pub(super) const SERVICES: [&str; 4] = ["web", "Web", "db", "consul"];

const CHECKS: [&str; 4] = ["up", "disk", "UP", "serfHealth"];
const DUTIES: [Duty; 2] = [Duty::Registry, Duty::SwarmInit];
const EVENTS: [LeaseEvent; 5] = [
    LeaseEvent::Held,
    LeaseEvent::Lapsed,
    LeaseEvent::Silent,
    LeaseEvent::Failed,
    LeaseEvent::Leaving,
];

fn name() -> impl Strategy<Value = &'static str> {
    select(&NODES[..])
}

fn status() -> impl Strategy<Value = CheckStatus> {
    select(vec![
        CheckStatus::Passing,
        CheckStatus::Warning,
        CheckStatus::Critical,
    ])
}

fn number() -> impl Strategy<Value = u128> {
    1..7_u128
}

fn registration() -> impl Strategy<Value = Op> {
    let services = proptest::collection::vec(
        (
            select(vec!["1", "2", "consul"]),
            select(&SERVICES[..]),
            0..3_u8,
            any::<bool>(),
        ),
        0..3,
    );
    let attached = select(vec!["", "1", "2"]);
    let checks = proptest::collection::vec((select(&CHECKS[..]), attached, status()), 0..3);
    (name(), 0..4_u8, number(), services, checks).prop_map(
        |(name, address, own, services, checks)| {
            let row = match name.strip_prefix('n') {
                Some(digits) if own > 3 => own_node(digits.parse().unwrap(), name),
                _ => node(name, &format!("192.0.2.{address}")),
            };
            let services = services
                .into_iter()
                .map(|(id, name, tag, addressed)| {
                    let mut row = service(id, name, &[&format!("v{tag}")]);
                    row.address = if addressed {
                        "192.0.2.200".to_owned()
                    } else {
                        String::new()
                    };
                    row
                })
                .collect();
            let checks = checks
                .into_iter()
                .map(|(id, service, status)| check(id, service, status))
                .collect();
            register(row, services, checks)
        },
    )
}

fn of_catalog() -> impl Strategy<Value = Op> {
    let target = select(vec![
        (None, None),
        (Some("1"), None),
        (Some("2"), None),
        (None, Some("up")),
        (None, Some("disk")),
    ]);
    prop_oneof![
        6 => registration(),
        3 => (name(), target)
            .prop_map(|(name, (service, check))| deregister(name, service, check)),
        3 => (name(), select(&CHECKS[..]), status(), select(vec!["", "ok"]))
            .prop_map(|(name, id, status, output)| update(name, id, status, output)),
    ]
}

fn of_members() -> impl Strategy<Value = Op> {
    let boot = || 1..3_u64;
    let joiner =
        (number(), name(), 1..5_u8, any::<bool>()).prop_map(|(number, name, key, worker)| {
            let mut joiner = member(number, name, key);
            if worker {
                joiner.role = Role::Worker;
            }
            join(joiner)
        });
    prop_oneof![
        3 => joiner,
        8 => (number(), boot(), select(&EVENTS[..]))
            .prop_map(|(number, boot, event)| lease(number, boot, event)),
        1 => number().prop_map(|number| Op::MemberRemove(NodeId::from_u128(number))),
        3 => (select(&DUTIES[..]), number(), boot()).prop_map(|(duty, number, boot)| {
            Op::DutyTake {
                duty,
                node: NodeId::from_u128(number),
                boot: BootId(boot),
            }
        }),
        1 => (select(&DUTIES[..]), number()).prop_map(|(duty, number)| Op::DutyRelease {
            duty,
            node: NodeId::from_u128(number),
        }),
    ]
}

fn of_secrets() -> impl Strategy<Value = Op> {
    let token = TokenRow {
        id: TokenId([7; 8]),
        role: Role::Worker,
        description: String::new(),
        created: crate::model::ClusterTime(0),
        sealed_proof_key: b"sealed-proof".to_vec(),
        wrapped_data_key: None,
        revoked: false,
    };
    prop_oneof![
        Just(Op::TokenPut(Box::new(token))),
        Just(Op::TokenRevoke(TokenId([7; 8]))),
        (0..3_u8, proptest::option::of(0..9_u64)).prop_map(|(value, expect)| Op::HiddenPut {
            key: "swarm/tokens".to_owned(),
            value: (value > 0).then(|| Bytes::from(vec![value])),
            expect,
        }),
    ]
}

/// Any command but the first.
pub(super) fn any_op() -> impl Strategy<Value = Op> {
    let id = || (1..4_u128).prop_map(SessionId::from_u128);
    prop_oneof![
        8 => of_catalog(),
        6 => of_members(),
        1 => of_secrets(),
        2 => (1..4_u128, name(), proptest::option::of(select(&CHECKS[..]))).prop_map(
            |(number, name, check)| create(session(number, name, check.as_slice()))
        ),
        1 => (select(vec!["k", "l"]), 1..4_u128).prop_map(|(key, id)| acquire(key, id)),
        1 => id().prop_map(Op::SessionDestroy),
        1 => select(vec!["k", "l", "m"]).prop_map(|key| put(key, "v")),
        1 => Just(Op::Tick),
    ]
}

/// So many cases; a test run writes nothing to the tree.
pub(super) fn quiet(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// A script of commands.
pub(super) fn script(length: usize) -> impl Strategy<Value = Vec<Op>> {
    proptest::collection::vec(any_op(), 1..length)
}
