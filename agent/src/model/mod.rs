//! Floor 0: the words that every other room speaks.
//!
//! Owns: identities, names, roles, the rows of the replicated state, the commands that change
//! them and the replies. Does not own any behaviour beyond checking and printing a word. Nothing
//! here touches IO, clocks or randomness; time and random values arrive from above.

mod catalog;
mod command;
mod id;
mod kv;
mod member;
mod name;
mod session;
mod time;
mod token;
mod topic;

pub use catalog::{
    CheckDefinition, CheckRow, CheckStatus, META_PAIRS, NodeRow, Registration, SERF_HEALTH,
    ServiceAddress, ServiceRow, Weights, meta_problem,
};
pub use command::{Command, Genesis, KvOp, LeaseEvent, Op, Refusal, Reply, RequestId, Saved};
pub use id::{BootId, ClusterId, KeyFingerprint, NodeId};
pub use kv::KvEntry;
pub use member::{CaRow, Duty, DutyHolder, Member, MemberStatus, Ports, Role};
pub use name::{Name, NameError};
pub use session::{Session, SessionBehavior, SessionId};
pub use time::ClusterTime;
pub use token::{TokenId, TokenRow};
pub use topic::Topic;
