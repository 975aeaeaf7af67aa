//! Floor 5: the HTTP API, to the letter of Consul's (<https://developer.hashicorp.com/consul/api-docs>),
//! and what Swarmer adds to it under `/v1/swarmer/`.
//!
//! Owns: listeners (plain, TLS, unix socket), the table of endpoints and who may use which, what
//! requests and answers look like, blocking queries, `/metrics` and `/healthz`. Does not own: what
//! a write means (`state`), the way to the leader (`store`), this agent's services and the running
//! of their checks (`store::LocalServices`, `loops`), what operators' acts do ([`Operations`]).
//!
//! Always true: a default or consistent read is linearizable, only `?stale` and `?cached` come
//! from this node's memory (R6); a worker hands on what it can't answer so and gives the answer
//! back as it came; tokens, members, operators' calls and snapshots are never served on plain HTTP
//! nor to another node (T6); nothing that is sent here makes the agent panic; a waiting client
//! costs its connection and nothing more, and leaving ends its wait.

mod agent_checks;
mod agent_info;
mod agent_services;
mod api;
mod caller;
mod catalog;
mod check_input;
mod filter;
mod health;
mod host;
mod input;
mod kv;
mod metrics;
mod operations;
mod operator;
mod query;
mod read;
mod register;
mod reply;
mod request;
mod routes;
mod serve;
mod service_input;
mod session;
mod status;
mod swarmer;
mod views;

#[cfg(test)]
mod tests;

pub use api::{Api, Identity, Parts};
pub use caller::{Access, Caller, Via};
pub use metrics::MetricsSource;
pub use operations::{
    MemberAct, OperationError, Operations, Snapshot, TokenAct, TokenAnswer, TokenView,
};
pub use serve::{CertificateCheck, Tls, TokenCheck, bind_unix, serve_plain, serve_tls, serve_unix};
