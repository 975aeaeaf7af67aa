//! Which role may ask what (rule T6). What is not listed is denied.

use super::messages::{Call, CallError, Open};
use crate::model::{KvOp, NodeId, Op, Role};
use crate::state::State;

fn denied(role: Role, act: &str) -> CallError {
    CallError::Denied {
        role,
        act: act.to_owned(),
    }
}

/// May this caller make this call?
pub fn call(role: Role, node: NodeId, call: &Call, state: &State) -> Result<(), CallError> {
    match (role, call) {
        (Role::Server, _) => Ok(()),
        (Role::Worker, Call::Write(request, op)) => {
            if request.node != node {
                return Err(denied(role, "write in another node's name"));
            }
            worker_op(node, op, state)
        }
        (Role::Worker, Call::Ask(_) | Call::Http(_) | Call::Renew(_) | Call::Servers) => Ok(()),
        (Role::Worker, Call::Raft(..)) => Err(denied(role, "speak raft")),
        (Role::Worker, Call::ReadIndex | Call::Lease(_) | Call::Unheard(_)) => {
            Err(denied(role, "make a server's call"))
        }
        (Role::Operator, _) => Err(denied(role, "use the port between agents; use HTTPS")),
    }
}

/// May this caller open this stream?
pub fn stream(role: Role, open: &Open) -> Result<(), CallError> {
    match (role, open) {
        (Role::Server, _) | (Role::Worker, Open::Lease(..) | Open::Follow) => Ok(()),
        (Role::Worker, Open::Append(_) | Open::Snapshot(..)) => Err(denied(role, "speak raft")),
        (Role::Operator, _) => Err(denied(role, "use the port between agents; use HTTPS")),
    }
}

/// A worker writes KV, sessions, its own rows of the catalog, and rows of nodes without an agent.
fn worker_op(caller: NodeId, op: &Op, state: &State) -> Result<(), CallError> {
    let role = Role::Worker;
    let own_row = |name: &str| match state.catalog().node(name).and_then(|row| row.owner) {
        Some(owner) if owner != caller => Err(denied(role, "change another node's rows")),
        _ => Ok(()),
    };
    match op {
        Op::Kv(
            KvOp::Put { .. }
            | KvOp::Acquire { .. }
            | KvOp::Release { .. }
            | KvOp::Delete { .. }
            | KvOp::DeletePrefix { .. },
        )
        | Op::SessionCreate(_)
        | Op::SessionDestroy(_) => Ok(()),
        Op::Register(registration) => match registration.node.owner {
            Some(owner) if owner != caller => Err(denied(role, "register another node's rows")),
            _ => own_row(&registration.node.name),
        },
        Op::Deregister { node, .. } | Op::CheckUpdate { node, .. } => own_row(node),
        Op::DutyTake { node, .. } | Op::DutyRelease { node, .. } if *node == caller => Ok(()),
        Op::Lease {
            node,
            event: crate::model::LeaseEvent::Leaving,
            ..
        } if *node == caller => Ok(()),
        Op::MemberRemove(node) if *node == caller => Ok(()),
        _ => Err(denied(
            role,
            "make that change; it takes a server or an operator",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BootId, RequestId, TokenId};

    const ME: NodeId = NodeId::from_u128(7);

    fn write(op: Op) -> Call {
        Call::Write(
            RequestId {
                node: ME,
                boot: BootId(1),
                seq: 1,
                settled: 0,
            },
            op,
        )
    }

    #[test]
    fn t6_a_worker_can_neither_speak_raft_nor_mint_nor_restore() {
        let state = State::default();
        for forbidden in [
            Call::ReadIndex,
            write(Op::TokenRevoke(TokenId([1; 8]))),
            write(Op::MemberRemove(NodeId::from_u128(8))),
            write(Op::HiddenPut {
                key: "swarm/tokens".into(),
                value: None,
                expect: None,
            }),
            write(Op::SessionsExpire(Vec::new())),
        ] {
            assert!(call(Role::Worker, ME, &forbidden, &state).is_err());
            assert!(call(Role::Operator, ME, &forbidden, &state).is_err());
            assert!(call(Role::Server, ME, &forbidden, &state).is_ok());
        }
        let fine = write(Op::Kv(KvOp::Delete {
            key: "a".into(),
            cas: None,
        }));
        assert!(call(Role::Worker, ME, &fine, &state).is_ok());
        assert!(
            call(Role::Worker, NodeId::from_u128(9), &fine, &state).is_err(),
            "in another's name"
        );
    }
}
