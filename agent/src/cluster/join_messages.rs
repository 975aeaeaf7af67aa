//! What is said on a join channel: by those who have no certificate, after the token's proof.

use serde::{Deserialize, Serialize};

use super::papers::Papers;
use crate::decide::bootstrap::{Announcement, Bid};
use crate::model::{Genesis, Member, Role, TokenId};

/// Version of the proof and of these messages; in every MAC.
pub const VERSION: u16 = 1;

/// A call on a join channel. `Hello` and `Prove` come first; nothing else is heard before.
#[derive(Clone, Serialize, Deserialize)]
pub enum JoinCall {
    /// Opens the proof.
    Hello {
        /// [`VERSION`].
        version: u16,
        /// The token's role.
        role: Role,
        /// Its public id.
        token: TokenId,
        /// The certificate request (PKCS#10, DER) that the proof covers.
        csr: Vec<u8>,
        /// The name that is asked for.
        name: String,
    },
    /// The joiner's side of the proof.
    Prove(Vec<u8>),
    /// Servers: what I am; and, to a founder, its papers.
    Announce(Box<Announcement>, Option<Box<Founding>>),
    /// Servers: promise yourself to this bootstrap.
    Promise(Bid),
    /// Let me in.
    Join(Box<Member>),
    /// An operator's certificate.
    Login,
}

/// The answer to a [`JoinCall`].
#[derive(Clone, Serialize, Deserialize)]
pub enum JoinReply {
    /// To `Hello`: the server's side of the proof.
    Proof {
        /// Its MAC.
        mac: Vec<u8>,
        /// The Ed25519 join key's public half.
        join_key: Vec<u8>,
        /// Its signature over the binding.
        signature: Vec<u8>,
    },
    /// To `Hello`, from a worker: it lets nobody in.
    Worker {
        /// Its token's public id.
        token: TokenId,
        /// Its MAC over the binding of that token.
        mac: Vec<u8>,
    },
    /// To `Prove`.
    Welcome,
    /// To `Announce`: the same of the answering side.
    Announced(Box<Announcement>, Option<Box<Founding>>),
    /// To `Promise`: promised, durably.
    Promised,
    /// To `Join`.
    Joined(Box<Papers>),
    /// To `Login`.
    LoggedIn(Box<Login>),
    /// No, and why.
    Refused(String),
}

/// A founder's papers: everything the cluster begins with.
#[derive(Clone, Serialize, Deserialize)]
pub struct Founding {
    /// The same for all founders.
    pub genesis: Genesis,
    /// The key under which the CA is sealed.
    pub data_key: [u8; 32],
    /// This founder's certificate, PEM.
    pub certificate: String,
}

/// What an operator receives.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Login {
    /// The certificate, PEM.
    pub certificate: String,
    /// The CA's, PEM.
    pub ca: String,
    /// The stack.
    pub stack: String,
    /// The data center.
    pub dc: String,
    /// The HTTPS addresses of the servers.
    pub servers: Vec<std::net::SocketAddr>,
}
