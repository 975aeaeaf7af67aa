//! Who asks, and what that entitles to.

use crate::model::{NodeId, Role};

/// Through which door a request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// Plain HTTP on loopback or on Docker's bridge.
    Plain,
    /// TLS on the admin address.
    Tls,
    /// The root-only unix socket.
    Socket,
    /// Another node's agent, over RPC.
    Rpc,
}

/// Who asks. The listener decides it, never the request's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The role that a certificate or a token proved.
    pub role: Option<Role>,
    /// The member that a certificate proved.
    pub node: Option<NodeId>,
    /// The door.
    pub via: Via,
}

impl Caller {
    /// Someone on this host, or in a container on it.
    #[must_use]
    pub fn plain() -> Self {
        Self {
            role: None,
            node: None,
            via: Via::Plain,
        }
    }

    /// Root on this host.
    #[must_use]
    pub fn socket() -> Self {
        Self {
            role: Some(Role::Operator),
            node: None,
            via: Via::Socket,
        }
    }

    /// A TLS client; `proven`: by its certificate or token.
    #[must_use]
    pub fn tls(proven: Option<(Role, Option<NodeId>)>) -> Self {
        Self {
            role: proven.map(|(role, _)| role),
            node: proven.and_then(|(_, node)| node),
            via: Via::Tls,
        }
    }

    /// Another node's agent, known by its certificate.
    #[must_use]
    pub fn rpc(role: Role, node: NodeId) -> Self {
        Self {
            role: Some(role),
            node: Some(node),
            via: Via::Rpc,
        }
    }

    /// Whether this caller may use what is open to `access`.
    #[must_use]
    pub fn may(&self, access: Access) -> bool {
        match (access, self.via) {
            (Access::Anyone, _) => true,
            (Access::Api, Via::Plain | Via::Socket | Via::Rpc) => true,
            (Access::Api, Via::Tls) => self.role.is_some(),
            // Never on plain HTTP and never forwarded by a node, whatever role it names.
            (Access::Operator, Via::Plain | Via::Rpc) => false,
            (Access::Operator, Via::Tls | Via::Socket) => self.role == Some(Role::Operator),
            // What changes this agent itself is not for another node.
            (Access::ThisAgent, Via::Plain | Via::Socket) => true,
            (Access::ThisAgent, Via::Tls) => self.role == Some(Role::Operator),
            (Access::ThisAgent, Via::Rpc) => false,
        }
    }
}

/// To whom an endpoint is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Whoever reaches the port: it says nothing of the cluster.
    Anyone,
    /// Programs on this host, members and operators.
    Api,
    /// Programs on this host and operators.
    ThisAgent,
    /// Operators: their certificate or token on the TLS port, or root on this host.
    Operator,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t6_operator_calls_need_an_operator_and_never_come_over_plain_http_or_rpc() {
        let node = NodeId::from_u128(1);
        let refused = [
            Caller::plain(),
            Caller {
                role: Some(Role::Operator),
                ..Caller::plain()
            },
            Caller::rpc(Role::Server, node),
            Caller::rpc(Role::Operator, node),
            Caller::tls(None),
            Caller::tls(Some((Role::Server, Some(node)))),
            Caller::tls(Some((Role::Worker, Some(node)))),
        ];
        for caller in refused {
            assert!(!caller.may(Access::Operator), "{caller:?}");
        }
        assert!(Caller::socket().may(Access::Operator));
        assert!(Caller::tls(Some((Role::Operator, None))).may(Access::Operator));
    }

    #[test]
    fn a_stranger_on_the_tls_port_gets_nothing_of_the_cluster() {
        assert!(!Caller::tls(None).may(Access::Api));
        assert!(Caller::tls(None).may(Access::Anyone));
        assert!(!Caller::tls(Some((Role::Worker, None))).may(Access::ThisAgent));
    }
}
