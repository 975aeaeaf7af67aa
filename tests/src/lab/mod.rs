//! A lab: machines in network namespaces, on a switch whose links can be cut.
//!
//! Owns the namespaces, the switch and the Docker Engines in them. Does not own agents: a
//! [`crate::Cluster`] puts those on the machines. Needs root.
//!
//! Always true:
//! * nothing of a lab is visible outside: its bridge and firewall rules live in a namespace of its own,
//!   so two labs use the same addresses side by side;
//! * a lab dies with its `Lab` or with the test process: namespaces, engines and containers hang on
//!   processes that die with it, and a namespace goes with its last process;
//! * a machine is like a real one where it matters: its own network, host name, `/etc`, `/run`,
//!   `/var/lib`, so files can be replaced by rename and every program runs on its default paths.

mod engine;
mod machine;
mod network;

pub use engine::Engine;
pub(crate) use engine::busybox_tree;
pub(crate) use machine::Holder;
pub use machine::Machine;
pub use network::Lab;

use crate::needs::Need;

/// What a lab needs.
pub const NEEDS: &[Need] = &[
    Need::Root,
    Need::Program("ip"),
    Need::Program("nft"),
    Need::Program("unshare"),
    Need::Program("nsenter"),
    Need::Program("ping"),
];

/// What a lab with Docker Engines needs.
pub const ENGINE_NEEDS: &[Need] = &[
    Need::Root,
    Need::Program("ip"),
    Need::Program("nft"),
    Need::Program("iptables"),
    Need::Program("unshare"),
    Need::Program("nsenter"),
    Need::Program("dockerd"),
    Need::Program("docker"),
    Need::Program("busybox"),
];
