//! Floor 5: what agents say to each other.
//!
//! Owns: the bootstrap of blank servers, the join with its proof, raft's network, the way to the
//! leader, leases over the wire, following, and who may ask what. Does not own: frames and TLS
//! (`rpc`), what is decided (`decide`), and the loops that act on the state (`loops`).
//!
//! Always true: nothing is answered to a caller whose certificate, role or raft address does not
//! fit; a promise is durable before anyone hears of it; what a leader answers from its memory a
//! quorum has confirmed.

pub mod authority;
pub mod door;
pub mod follow;
pub mod founding;
pub mod join_client;
pub mod join_door;
pub mod join_messages;
pub mod lease_client;
pub mod leases;
pub mod me;
pub mod messages;
pub mod network;
pub mod nursery;
pub mod papers;
pub mod path;
pub mod peers;
pub mod raft_door;
pub mod renewal;
pub mod requests;
pub mod rights;
pub mod worker_door;
pub mod worker_join;

mod pipeline;
