//! Asks the clouds about silent nodes, and removes those whose machines are gone: carries
//! `decide::witness` out, on the leader.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::leader::{LeaderError, LeaderHands, unless_deposed};
use crate::decide::witness::{Inquiry, Seat, goes, next};
use crate::discover::{Fate, Provider, ProviderError};
use crate::model::{LeaseEvent, NodeId, Op, Topic};
use crate::store::Watch;
use crate::task::{Backoff, Looper, Next, Round, Shutdown, clock};

const TICK: Duration = Duration::from_secs(1);
/// A cloud that takes longer has not answered. Shorter than an agent's stop may take.
const ANSWER: Duration = Duration::from_secs(6);
/// After errors it is asked ever more seldom, up to this.
const CALM: Duration = Duration::from_secs(60);
/// Trouble is told once in this time.
const TOLD: Duration = Duration::from_secs(60);

struct Witness {
    hands: LeaderHands,
    lease: Duration,
    clouds: Vec<Arc<dyn Provider>>,
    members: Watch,
    pace: Backoff,
    calm_until: Option<Instant>,
    told: Option<Instant>,
    term: Term,
}

/// What is only true in one term of this leader's.
#[derive(Default)]
struct Term {
    number: Option<u64>,
    asked: BTreeMap<NodeId, Duration>,
    /// Their removal is proposed, and what came of it is not known.
    going: BTreeSet<NodeId>,
}

/// Runs until `shutdown`.
pub async fn run(
    hands: LeaderHands,
    lease: Duration,
    clouds: Vec<Arc<dyn Provider>>,
    shutdown: Shutdown,
) {
    let members = hands.store.watch(vec![Topic::Members]);
    let round = Witness {
        hands,
        lease,
        clouds,
        members,
        pace: Backoff::new(TICK * 2, CALM),
        calm_until: None,
        told: None,
        term: Term::default(),
    };
    Looper::new("witness", TICK, &shutdown).run(round).await;
}

impl Round for Witness {
    type Error = LeaderError;

    async fn wake(&mut self) {
        self.members.changed().await;
    }

    async fn round(&mut self) -> Result<Next, LeaderError> {
        unless_deposed(self.look().await)
    }
}

impl Witness {
    async fn look(&mut self) -> Result<Next, LeaderError> {
        let leading = self.hands.raft.leading().filter(|_| self.hands.lead());
        if self.term.number != leading {
            self.term = Term {
                number: leading,
                ..Term::default()
            };
        }
        if leading.is_none() {
            return Ok(Next::OnTick);
        }
        for node in self.term.going.clone() {
            self.remove(node).await?;
        }
        if self.calm_until.is_some_and(|until| clock::now() < until) {
            return Ok(Next::OnTick);
        }
        let now = self.hands.memory.now();
        let asked = &self.term.asked;
        let Some(inquiry) = self.seats(|seats| next(now, self.lease, seats, asked)) else {
            return Ok(Next::OnTick);
        };
        self.term.asked.insert(inquiry.node, now);
        let fate = self.fate(&inquiry).await;
        if self.hands.raft.leading() != leading {
            return Ok(Next::OnTick);
        }
        if self.heed(&inquiry, fate) && self.is_gone(&inquiry, now) {
            self.remove(inquiry.node).await?;
        }
        // There may be others to ask about.
        Ok(Next::After(Duration::ZERO))
    }

    /// Lets `look` go through all members but this one.
    fn seats<T>(&self, look: impl FnOnce(&mut dyn Iterator<Item = Seat<'_>>) -> T) -> T {
        let state = self.hands.store.state();
        let nothing = BTreeMap::new();
        let heard: BTreeMap<NodeId, Duration> = self.hands.memory.with_table(|table, now| {
            let ages = table.ages(now);
            ages.map(|(node, age, _)| (node, now.saturating_sub(age)))
                .collect()
        });
        let me = self.hands.raft.id();
        let others = state.members().filter(|member| member.id != me);
        let mut seats = others.map(|member| Seat {
            member,
            heard: heard.get(&member.id).copied(),
            meta: state
                .catalog()
                .node(member.name.as_str())
                .map_or(&nothing, |row| &row.meta),
        });
        look(&mut seats)
    }

    /// The first cloud of that kind that knows the machine counts: there may be one for each region.
    async fn fate(&self, inquiry: &Inquiry) -> Result<Fate, ProviderError> {
        let mut fate = Ok(Fate::Unknown);
        for cloud in self
            .clouds
            .iter()
            .filter(|cloud| cloud.kind() == inquiry.kind)
        {
            let answer = tokio::time::timeout(ANSWER, cloud.fate(&inquiry.machine)).await;
            let answer = answer.unwrap_or_else(|_| {
                Err(ProviderError::Unreachable {
                    call: "asking what became of a machine",
                    at: inquiry.kind.clone(),
                    why: format!("no answer within {} s", ANSWER.as_secs()),
                })
            });
            match answer {
                Ok(Fate::Unknown) => {}
                Ok(known) => return Ok(known),
                Err(error) => fate = Err(error),
            }
        }
        fate
    }

    /// Whether it says that the machine will never run again.
    fn heed(&mut self, inquiry: &Inquiry, fate: Result<Fate, ProviderError>) -> bool {
        let machine = format!("{}/{}", inquiry.kind, inquiry.machine);
        match fate {
            Ok(fate) => {
                self.pace.reset();
                tracing::debug!(node = %inquiry.node, machine, ?fate, "what the cloud says");
                fate == Fate::Terminated
            }
            Err(error) => {
                self.calm_until = Some(clock::now() + self.pace.next_delay());
                if self.told.is_none_or(|at| at.elapsed() >= TOLD) {
                    tracing::warn!(machine, "{error}; a silent node keeps its grace");
                    self.told = Some(clock::now());
                }
                false
            }
        }
    }

    /// Whether that has consequences; if so, the node is not renewed from now on.
    fn is_gone(&self, inquiry: &Inquiry, asked: Duration) -> bool {
        let now = self.hands.memory.now();
        let name = self.seats(|seats| {
            let mut seats = seats;
            let seat = Iterator::find(&mut seats, |seat| seat.member.id == inquiry.node)?;
            goes(now, self.lease, seat, inquiry, asked).then(|| seat.member.name.clone())
        });
        let condemned = name.is_some()
            && self
                .hands
                .memory
                .with_table(|table, _| table.condemn(inquiry.node, asked));
        if let Some(name) = name.filter(|_| condemned) {
            tracing::warn!(
                node = %name, id = %inquiry.node, machine = format!("{}/{}", inquiry.kind, inquiry.machine),
                "reaping a silent member: the cloud says that its machine is terminated"
            );
        }
        condemned
    }

    async fn remove(&mut self, node: NodeId) -> Result<(), LeaderError> {
        self.term.going.insert(node);
        let done = self.hands.propose(Op::MemberRemove(node)).await;
        let known = done.as_ref().map_or_else(LeaderError::is_known, |()| true);
        if known {
            self.term.going.remove(&node);
        }
        self.hands
            .memory
            .with_table(|table, _| table.settle(node, LeaseEvent::Failed, known));
        done
    }
}
