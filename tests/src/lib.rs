//! The cluster harness: what the stories in `tests/tests` stand on.
//!
//! * [`Cluster`] starts real agents: on loopback addresses of their own (no root needed), or on the
//!   machines of a [`lab::Lab`], each a network namespace with a real Docker Engine.
//! * [`wait`] is the only place that sleeps. A wait names the fact that must become true, and its
//!   error says what was seen instead.
//! * [`disk::LossyDisk`] forgets at a crash whatever was not synced.
//! * [`vm::Vm`] boots the image in an emulated machine of its own; [`vagrant::Project`] has a cluster of them.
//! * [`amazon::Amazon`] stands in for a cloud: metadata, instances, lifecycle hooks, secrets.
//! * [`vcsim::Vcsim`] simulates a vCenter.
//! * [`moto::Moto`] is a simulated AWS; [`amazon::Ec2`] stands in for it where its instances must be on loopback.
//! * [`faults`] draws faults from a seed, which is printed; [`ledger`] remembers what was acknowledged.
//!
//! ```no_run
//! use std::time::Duration;
//! use harness::Cluster;
//!
//! fn a_follower_may_die() -> anyhow::Result<()> {
//!     let cluster = Cluster::of(3).workers(1).start()?;
//!     cluster.follower()?.kill()?;
//!     cluster.wait("writes go on", Duration::from_secs(5), || cluster.node("w1").kv_put("key", "value"))
//! }
//! ```
//!
//! Always true: nothing that a test starts outlives it, not even when the test is killed; two tests
//! can run at once; what a test cannot have here it skips aloud, with the reason.

pub mod address;
pub mod amazon;
pub mod binary;
pub mod boot;
pub mod cluster;
pub mod diagnosis;
pub mod disk;
pub mod dns;
pub mod faults;
pub mod guestinfo;
pub mod http;
pub mod lab;
pub mod ledger;
pub mod moto;
pub mod needs;
pub mod node;
pub mod place;
pub mod plan;
pub mod process;
pub mod scratch;
pub mod settings;
pub mod story;
pub mod vagrant;
pub mod vcsim;
pub mod vm;
pub mod wait;

pub use cluster::Cluster;
pub use node::Node;
