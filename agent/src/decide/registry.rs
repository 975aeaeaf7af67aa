//! Who serves the registry, and what its host does (rule L5 of `docs/architecture.md`).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::model::{BootId, DutyHolder, Member, MemberStatus, NodeId, Role};

/// How long raft's leader leaves a free duty to other servers: a host that leads would take both
/// with it when it dies.
const LEADER_PATIENCE: Duration = Duration::from_secs(1);
/// After so many failures in a row to start, a host lets another try.
const GIVE_UP_AFTER: u32 = 3;

/// The registry process on this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// Not wanted.
    #[default]
    Off,
    /// Wanted, and not answering yet; it ended or failed to start so often in a row.
    Starting {
        /// Failures in a row.
        failures: u32,
    },
    /// It answers.
    Up,
}

/// The registry's row in the catalog, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The host's address.
    pub address: IpAddr,
    /// The front's port.
    pub port: u16,
}

/// What this node sees.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// This node.
    pub me: NodeId,
    /// This process.
    pub boot: BootId,
    /// It may serve: a server, with the registry enabled and the program at hand.
    pub eligible: bool,
    /// It is stopping or leaving.
    pub stopping: bool,
    /// Its own lease is held; false as soon as it was not renewed for the lease's time.
    pub lease: bool,
    /// It gave up the duty lately because the process failed.
    pub resting: bool,
    /// Who has the duty.
    pub holder: Option<DutyHolder>,
    /// For how long nobody has had it, as seen from here.
    pub vacant: Duration,
    /// Raft's leader.
    pub leader: Option<NodeId>,
    /// The members.
    pub members: &'a BTreeMap<NodeId, Member>,
    /// The process.
    pub backend: Backend,
    /// This node's row in the catalog.
    pub row: Option<Row>,
    /// What the row should be while this node serves.
    pub wanted: Row,
}

/// What is to be done, in this order; after the first that fails, look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Let no request in, cut those under way, and end the process.
    Stop,
    /// Run the process.
    Start,
    /// Let requests in, under this sequencer.
    Serve(u64),
    /// Put the row into the catalog.
    Register(Row),
    /// Take it out.
    Deregister,
    /// Try to get the duty.
    Take,
    /// Give it back.
    Release,
    /// Leave the duty to others for a while.
    Rest,
}

/// Decides what to do next. `Stop` needs nobody's consent and always comes first.
#[must_use]
pub fn plan(view: &View<'_>) -> Vec<Step> {
    let mine = view.holder.filter(|holder| holder.node == view.me);
    let held = mine.filter(|holder| holder.boot == view.boot && view.lease);
    match held {
        Some(holder) if view.eligible && !view.stopping => host(view, holder.sequencer),
        Some(_) => give_back(view),
        None => stand_by(view, mine.is_some()),
    }
}

fn host(view: &View<'_>, sequencer: u64) -> Vec<Step> {
    match view.backend {
        Backend::Off => vec![Step::Start],
        Backend::Starting { failures } if failures >= GIVE_UP_AFTER => {
            let mut steps = give_back(view);
            steps.push(Step::Rest);
            steps
        }
        Backend::Starting { .. } => view.row.map(|_| Step::Deregister).into_iter().collect(),
        Backend::Up => {
            let mut steps = vec![Step::Serve(sequencer)];
            steps.extend((view.row != Some(view.wanted)).then_some(Step::Register(view.wanted)));
            steps
        }
    }
}

fn give_back(view: &View<'_>) -> Vec<Step> {
    let row = view.row.map(|_| Step::Deregister);
    [Some(Step::Stop), row, Some(Step::Release)]
        .into_iter()
        .flatten()
        .collect()
}

/// The duty is another's, or nobody's, or was this node's in an earlier process.
fn stand_by(view: &View<'_>, earlier: bool) -> Vec<Step> {
    let mut steps = Vec::new();
    if view.backend != Backend::Off {
        steps.push(Step::Stop);
    }
    if !view.lease {
        // Nothing that needs the leader: it would only hold up the next look.
        return steps;
    }
    steps.extend(view.row.map(|_| Step::Deregister));
    if earlier {
        steps.push(Step::Release);
    } else if view.holder.is_none() && may_take(view) {
        steps.push(Step::Take);
    }
    steps
}

fn may_take(view: &View<'_>) -> bool {
    let others = view.members.values().any(|member| {
        member.id != view.me && member.role == Role::Server && member.status == MemberStatus::Alive
    });
    let leads = view.leader == Some(view.me);
    view.eligible
        && !view.stopping
        && !view.resting
        && (!leads || !others || view.vacant >= LEADER_PATIENCE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ClusterTime, KeyFingerprint, Name, Ports};

    const ME: NodeId = NodeId::from_u128(1);
    const OTHER: NodeId = NodeId::from_u128(2);
    const BOOT: BootId = BootId(7);
    const WANTED: Row = Row {
        address: IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)),
        port: 5000,
    };

    fn server(id: NodeId) -> (NodeId, Member) {
        let member = Member {
            id,
            name: Name::new("n").unwrap(),
            role: Role::Server,
            address: WANTED.address,
            ports: Ports {
                rpc: 8300,
                http: 8500,
                https: 8501,
                dns: 53,
                registry: 5000,
                docker: 0,
            },
            key: KeyFingerprint::default(),
            boot: None,
            status: MemberStatus::Alive,
            since: ClusterTime(0),
            version: String::new(),
        };
        (id, member)
    }

    fn see(change: impl Fn(&mut View<'_>)) -> Vec<Step> {
        let members = [server(ME), server(OTHER)].into();
        let mut view = View {
            me: ME,
            boot: BOOT,
            eligible: true,
            stopping: false,
            lease: true,
            resting: false,
            holder: None,
            vacant: Duration::ZERO,
            leader: Some(OTHER),
            members: &members,
            backend: Backend::Off,
            row: None,
            wanted: WANTED,
        };
        change(&mut view);
        plan(&view)
    }

    fn holder(node: NodeId, boot: BootId) -> Option<DutyHolder> {
        Some(DutyHolder {
            node,
            boot,
            sequencer: 42,
        })
    }

    /// As [`see`], on the serving host.
    fn see_host(change: impl Fn(&mut View<'_>)) -> Vec<Step> {
        see(|view| {
            view.holder = holder(ME, BOOT);
            view.backend = Backend::Up;
            view.row = Some(WANTED);
            change(view);
        })
    }

    #[test]
    fn a_free_duty_is_taken_by_who_can_and_does_not_lead() {
        assert_eq!(see(|_| ()), [Step::Take]);
        assert_eq!(see(|view| view.eligible = false), []);
        assert_eq!(see(|view| view.resting = true), []);
        assert_eq!(see(|view| view.stopping = true), []);
        assert_eq!(see(|view| view.lease = false), []);
        assert_eq!(see(|view| view.holder = holder(OTHER, BOOT)), []);
    }

    #[test]
    fn l5_the_leader_leaves_the_duty_to_others_but_not_for_long() {
        let leads = |view: &mut View<'_>| view.leader = Some(ME);
        assert_eq!(see(leads), []);
        let patient = see(|view| {
            leads(view);
            view.vacant = LEADER_PATIENCE;
        });
        assert_eq!(patient, [Step::Take]);
        let alone = [server(ME)].into();
        let view = View {
            members: &alone,
            me: ME,
            boot: BOOT,
            eligible: true,
            stopping: false,
            lease: true,
            resting: false,
            holder: None,
            vacant: Duration::ZERO,
            leader: Some(ME),
            backend: Backend::Off,
            row: None,
            wanted: WANTED,
        };
        assert_eq!(plan(&view), [Step::Take]);
    }

    #[test]
    fn the_host_starts_serves_and_then_says_so() {
        let steps = see_host(|view| (view.backend, view.row) = (Backend::Off, None));
        assert_eq!(steps, [Step::Start]);
        let starting = Backend::Starting { failures: 1 };
        assert_eq!(see_host(|view| view.backend = starting), [Step::Deregister]);
        let steps = see_host(|view| view.row = None);
        assert_eq!(steps, [Step::Serve(42), Step::Register(WANTED)]);
        assert_eq!(see_host(|_| ()), [Step::Serve(42)]);
    }

    #[test]
    fn l5_a_host_whose_lease_or_duty_is_gone_stops_at_once() {
        assert_eq!(see_host(|view| view.lease = false), [Step::Stop]);
        let lost = [Step::Stop, Step::Deregister];
        assert_eq!(see_host(|view| view.holder = holder(OTHER, BOOT)), lost);
        let free = [Step::Stop, Step::Deregister, Step::Take];
        assert_eq!(see_host(|view| view.holder = None), free);
        let back = [Step::Stop, Step::Deregister, Step::Release];
        assert_eq!(see_host(|view| view.stopping = true), back);
    }

    #[test]
    fn the_duty_of_an_earlier_process_is_given_back_not_used() {
        let steps = see(|view| view.holder = holder(ME, BootId(6)));
        assert_eq!(steps, [Step::Release]);
    }

    #[test]
    fn a_host_that_can_not_start_lets_another_try() {
        let steps = see_host(|view| {
            view.backend = Backend::Starting { failures: 3 };
            view.row = None;
        });
        assert_eq!(steps, [Step::Stop, Step::Release, Step::Rest]);
    }
}
