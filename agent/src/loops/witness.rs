//! Asks the clouds about silent nodes, and removes those whose machines are gone: carries
//! `decide::witness` out, on the leader.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::leader::{LeaderError, LeaderHands, unless_deposed};
use crate::decide::witness::{Inquiry, Seat, goes, next};
use crate::discover::{Fate, Provider, ProviderError};
use crate::model::{NodeId, Op, Topic};
use crate::store::Watch;
use crate::task::{Backoff, Looper, Next, Round, Shutdown, clock};

const TICK: Duration = Duration::from_secs(1);
/// A cloud that takes longer has not answered. Shorter than an agent's stop may take.
const ANSWER: Duration = Duration::from_secs(6);
/// After errors it is asked ever more seldom, up to this.
const CALM: Duration = Duration::from_secs(60);
/// Trouble is told once in this time.
const TOLD: Duration = Duration::from_secs(60);
/// Between two looks at which machines there are.
const LISTING: Duration = Duration::from_secs(60);

struct Witness {
    hands: LeaderHands,
    lease: Duration,
    clouds: Vec<Cloud>,
    /// When they are looked at next. Every server looks: whoever leads next must have seen those
    /// that it judges.
    listing: Instant,
    members: Watch,
    pace: Backoff,
    calm_until: Option<Instant>,
    told: Option<Instant>,
    term: Term,
}

struct Cloud {
    provider: Arc<dyn Provider>,
    /// Machines of members that it has listed.
    seen: BTreeSet<String>,
}

/// What one cloud says of a machine, and whether it has listed that machine before.
type Testimony = (Result<Fate, ProviderError>, bool);

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
    let cloud = |provider| Cloud {
        provider,
        seen: BTreeSet::new(),
    };
    let round = Witness {
        hands,
        lease,
        clouds: clouds.into_iter().map(cloud).collect(),
        listing: clock::now(),
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
        if clock::now() >= self.listing {
            self.list().await;
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
        let fate = verdict(self.testimonies(&inquiry).await);
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

    /// Which of the members' machines each cloud lists. One that does not answer is asked again
    /// later; what it listed before it has listed.
    async fn list(&mut self) {
        self.listing = clock::now() + LISTING;
        let machines: BTreeSet<(String, String)> = self.seats(|seats| {
            let machines = seats.filter_map(|seat| {
                let (kind, machine) = seat.machine()?;
                Some((kind.to_owned(), machine.to_owned()))
            });
            machines.collect()
        });
        if machines.is_empty() {
            return;
        }
        let answers = self.clouds.iter().map(|cloud| {
            let machines = cloud.provider.machines();
            tokio::time::timeout(ANSWER, machines)
        });
        let answers = join_all(answers).await;
        for (cloud, answer) in self.clouds.iter_mut().zip(answers) {
            if let Ok(Ok(listed)) = answer {
                cloud.seen.extend(listed.into_iter().map(|one| one.id));
            }
            let kind = cloud.provider.kind();
            let is_members = |id: &String| machines.contains(&(kind.to_owned(), id.clone()));
            cloud.seen.retain(is_members);
        }
    }

    /// What each cloud of that kind says: there may be one for each region.
    async fn testimonies(&self, inquiry: &Inquiry) -> Vec<Testimony> {
        let of_kind = |cloud: &&Cloud| cloud.provider.kind() == inquiry.kind;
        let asked = self.clouds.iter().filter(of_kind).map(|cloud| async {
            let fate = cloud.provider.fate(&inquiry.machine);
            let fate = tokio::time::timeout(ANSWER, fate).await;
            let fate = fate.unwrap_or_else(|_| {
                Err(ProviderError::Unreachable {
                    call: "asking what became of a machine",
                    at: inquiry.kind.clone(),
                    why: format!("no answer within {} s", ANSWER.as_secs()),
                })
            });
            (fate, cloud.seen.contains(&inquiry.machine))
        });
        join_all(asked).await
    }

    /// Whether it says that the machine will never run again.
    fn heed(&mut self, inquiry: &Inquiry, fate: Result<Fate, ProviderError>) -> bool {
        let machine = format!("{}/{}", inquiry.kind, inquiry.machine);
        match fate {
            Ok(fate) => {
                self.pace.reset();
                tracing::debug!(node = %inquiry.node, machine, ?fate, "what the cloud says");
                matches!(fate, Fate::Terminated | Fate::Missing)
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
            .with_table(|table, _| known.then(|| table.acquit(node)));
        done
    }
}

/// What several clouds' words come to. That a machine is terminated, only its own cloud can say;
/// that it is missing, also one that never had it, and one that moved it to another.
fn verdict(testimonies: Vec<Testimony>) -> Result<Fate, ProviderError> {
    let mut missing = false;
    let mut fate = Ok(Fate::Unknown);
    for (answer, seen) in testimonies {
        match answer {
            Ok(Fate::Terminated) => return Ok(Fate::Terminated),
            Ok(Fate::Unknown) => {}
            Ok(Fate::Missing) => missing |= seen,
            Ok(exists) => fate = fate.and(Ok(exists)),
            Err(error) => fate = Err(error),
        }
    }
    match fate {
        Ok(Fate::Unknown) if missing => Ok(Fate::Missing),
        fate => fate,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_gone_by_its_own_cloud_s_word_and_by_nobody_s_silence() {
        let exists = || Ok(Fate::Exists("running".to_owned()));
        let failed = || {
            Err(ProviderError::Unreachable {
                call: "x",
                at: "x".to_owned(),
                why: "x".to_owned(),
            })
        };
        let (dead, gone, nobody) = (
            || Ok(Fate::Terminated),
            || Ok(Fate::Missing),
            || Ok(Fate::Unknown),
        );
        let cases: Vec<(Vec<Testimony>, Result<Fate, ProviderError>)> = vec![
            (vec![], nobody()),
            (vec![(dead(), false)], dead()),
            (vec![(failed(), true), (dead(), false)], dead()),
            (vec![(nobody(), true)], nobody()),
            (vec![(gone(), true)], gone()),
            // Another project's machine is in no list of this one.
            (vec![(gone(), false)], nobody()),
            (vec![(gone(), true), (exists(), false)], exists()),
            (vec![(exists(), false), (gone(), true)], exists()),
            (vec![(gone(), true), (failed(), false)], failed()),
            (vec![(failed(), false), (gone(), true)], failed()),
            (vec![(exists(), true), (failed(), false)], failed()),
        ];
        for (testimonies, expected) in cases {
            let shown = format!("{testimonies:?}");
            assert_eq!(verdict(testimonies), expected, "{shown}");
        }
    }
}
