//! A blank server's life, until it is a member: it announces itself, promises, founds or joins.
//! What it decides is in `decide::bootstrap`; here it is carried out, durably.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::Notify;

use super::founding::{self, FoundingError};
use super::join_client::{JoinChannel, JoinError};
use super::join_messages::Founding;
use super::me::Me;
use super::papers::{self, Papers, Record};
use crate::decide::bootstrap::{Announcement, Bid, Sight, Standing, Step, View, plan};
use crate::discover::Sources;
use crate::disk::{DataDir, DiskError};
use crate::model::{ClusterId, NodeId};
use crate::pki::{Csr, Token};
use crate::task::{Backoff, Shutdown, clock};

mod founder;
mod host;
mod said;

pub(super) use said::Said;

/// Rounds come fast at first, since servers that start together should form at once.
const EAGER: Duration = Duration::from_millis(40);
const CALM: Duration = Duration::from_secs(1);

/// Why a blank server gives up. All else is tried again.
#[derive(Debug, thiserror::Error)]
pub enum NurseryError {
    /// Its disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Keys and certificates.
    #[error(transparent)]
    Founding(#[from] FoundingError),
    /// It gave up a bootstrap that went on without it: the process starts again with a new id.
    #[error(
        "bootstrap {0} went on without this node, which had given it up; it starts again as a new node"
    )]
    Reborn(ClusterId),
    /// The agent stops.
    #[error("stopped before the node was a member")]
    Stopped,
}

/// What a blank server is; shared by its loop and its door.
pub struct Nursery {
    me: Arc<Me>,
    disk: DataDir,
    token: Token,
    csr: Csr,
    inner: Mutex<Inner>,
    /// Rung when someone told something new.
    bell: Notify,
}

struct Inner {
    record: Record,
    former: BTreeSet<NodeId>,
    known: BTreeSet<SocketAddr>,
    /// Addresses that proved to be workers' in the last round: they don't count (B1).
    workers: BTreeSet<SocketAddr>,
    /// What came of the last round of asking.
    seen: BTreeMap<SocketAddr, Sight>,
    unresolved: usize,
    /// Others' announcements as they came in at the door, by their RPC address.
    callers: BTreeMap<NodeId, (Announcement, Instant)>,
    /// A founder's papers: there while it stands as founded.
    founding: Option<Founding>,
    /// When the last round of asking ended.
    asked: Instant,
    /// The last sign of life of the bid, or its beginning.
    alive: Instant,
}

impl Nursery {
    /// Takes up where the disk says that this server was.
    pub fn open(me: Arc<Me>, disk: DataDir, token: Token) -> Result<Arc<Self>, NurseryError> {
        let mut record = papers::load_record(&disk)?;
        let founding = match &record.standing {
            Standing::Founded(_) => papers::load_founding(&disk)?,
            _ => None,
        };
        // The papers are kept before the record says so: without them, it is as it was before.
        if let (Standing::Founded(bid), None) = (&record.standing, &founding) {
            record.standing = Standing::Promised(bid.clone());
        }
        let csr = Csr::new(&me.key, me.name.as_str()).map_err(FoundingError::Pki)?;
        let inner = Inner {
            record,
            former: papers::load_former(&disk)?,
            known: BTreeSet::new(),
            workers: BTreeSet::new(),
            seen: BTreeMap::new(),
            unresolved: 0,
            callers: BTreeMap::new(),
            founding,
            asked: clock::now(),
            alive: clock::now(),
        };
        Ok(Arc::new(Self {
            me,
            disk,
            token,
            csr,
            inner: Mutex::new(inner),
            bell: Notify::new(),
        }))
    }

    /// Runs until this server is a member.
    pub async fn run(
        &self,
        sources: &Sources,
        shutdown: &Shutdown,
    ) -> Result<Papers, NurseryError> {
        let mut channels = BTreeMap::new();
        let mut pace = Backoff::new(EAGER, CALM);
        let mut said = Said::default();
        loop {
            // What came in at the door may be all that a founder waits for.
            if self.with_view(plan) == Step::Begin {
                return self.begin();
            }
            let mut news = false;
            let begin = async {
                loop {
                    self.bell.notified().await;
                    news = true;
                    if self.with_view(plan) == Step::Begin {
                        return;
                    }
                }
            };
            let seen = tokio::select! {
                seen = self.ask_all(sources, &mut channels, &mut said) => seen,
                () = begin => continue,
            };
            if news {
                self.bell.notify_one();
            }
            {
                let mut inner = self.lock();
                inner.seen.clone_from(&seen);
                inner.asked = clock::now();
            }
            let step = self.with_view(plan);
            let outcome = self.act(step, &seen, &mut channels, &mut said).await?;
            said.publish(&self.me);
            match outcome {
                Outcome::Member(papers) => return Ok(*papers),
                Outcome::Progress => pace.reset(),
                Outcome::Waiting => {}
            }
            tokio::select! {
                () = shutdown.begun() => return Err(NurseryError::Stopped),
                () = self.bell.notified() => {}
                () = tokio::time::sleep(pace.next_delay()) => {}
            }
        }
    }

    /// What this server says of itself now.
    fn announcement(&self) -> Announcement {
        let inner = self.lock();
        Announcement {
            node: self.me.id,
            name: self.me.name.to_string(),
            role: self.me.role,
            expect: self.me.expect,
            standing: inner.record.standing.clone(),
            renounced: inner.record.renounced.clone(),
            former: inner.former.clone(),
            known: inner.known.clone(),
            member: self.me.member(),
            csr: self.csr.der().to_vec(),
        }
    }

    async fn ask_all(
        &self,
        sources: &Sources,
        channels: &mut BTreeMap<SocketAddr, JoinChannel>,
        said: &mut Said,
    ) -> BTreeMap<SocketAddr, Sight> {
        let (mut addresses, unresolved) = sources.look().await;
        addresses.remove(&self.me.rpc());
        {
            let mut inner = self.lock();
            inner.known = &addresses - &inner.workers;
            inner.unresolved = unresolved;
        }
        channels.retain(|_, channel| !channel.is_closed());
        let asked = addresses.iter().map(|address| {
            let channel = channels.remove(address);
            async move { (*address, self.ask(*address, channel).await) }
        });
        let (mut seen, mut workers) = (BTreeMap::new(), BTreeSet::new());
        for (address, answer) in join_all(asked).await {
            match answer {
                Ok((channel, heard)) => {
                    channels.insert(address, channel);
                    seen.insert(address, Sight::Somebody(heard));
                }
                Err(JoinError::Worker { proven: true, .. }) => drop(workers.insert(address)),
                Err(error) => {
                    match error {
                        JoinError::Rpc(_) => tracing::debug!(%address, %error, "asked in vain"),
                        // Someone is there, and it will not get better by itself.
                        _ => said.say(&error.to_string()),
                    }
                    seen.insert(address, Sight::Nobody);
                }
            }
        }
        let mut inner = self.lock();
        inner.known = &addresses - &workers;
        inner.workers = workers;
        seen
    }

    async fn ask(
        &self,
        address: SocketAddr,
        channel: Option<JoinChannel>,
    ) -> Result<(JoinChannel, Announcement), JoinError> {
        let channel = match channel {
            Some(channel) => channel,
            None => {
                JoinChannel::open(address, &self.token, &self.csr, self.me.name.as_str()).await?
            }
        };
        let (said, papers) = channel.announce(self.announcement(), None).await?;
        if let Some(papers) = papers
            && let Err(why) = self.accept_papers(papers)
        {
            tracing::info!(%address, why, "papers that can't be taken");
        }
        self.note_life(&said);
        Ok((channel, said))
    }

    /// Lets `decide` look at all that this server knows.
    fn with_view<T>(&self, decide: impl FnOnce(&View<'_>) -> T) -> T {
        let me = self.announcement();
        // Those who found us count as well as those whom we found.
        let inner = self.lock();
        let mut seen = inner.seen.clone();
        let fresh = inner
            .callers
            .values()
            .filter(|(_, at)| at.elapsed() < CALM * 3);
        for (said, at) in fresh {
            match seen.entry(said.member.rpc()) {
                Entry::Vacant(place) => {
                    place.insert(Sight::Somebody(said.clone()));
                }
                Entry::Occupied(mut place) => {
                    let older =
                        matches!(place.get(), Sight::Somebody(old) if old.node == said.node);
                    if older && *at > inner.asked {
                        place.insert(Sight::Somebody(said.clone()));
                    }
                }
            }
        }
        let (quiet, unresolved) = (inner.alive.elapsed(), inner.unresolved);
        drop(inner);
        decide(&View {
            me: &me,
            own: self.me.rpc(),
            seen: &seen,
            unresolved,
            quiet,
        })
    }

    /// Refuses a bootstrap for ever, unless its papers came meanwhile.
    fn give_up(&self, cluster: ClusterId, dead: bool) -> Result<(), DiskError> {
        self.change(|record| {
            if record.has_papers(cluster) {
                return;
            }
            record.renounced.insert(cluster);
            if dead {
                record.standing = Standing::Blank;
            }
        })
    }

    async fn act(
        &self,
        step: Step,
        seen: &BTreeMap<SocketAddr, Sight>,
        channels: &mut BTreeMap<SocketAddr, JoinChannel>,
        said: &mut Said,
    ) -> Result<Outcome, NurseryError> {
        match step {
            Step::Wait(why) => {
                said.say(&why);
                return Ok(Outcome::Waiting);
            }
            Step::Propose(members) => {
                let bid = founding::propose(&self.me, members);
                tracing::info!(cluster = %bid.cluster, members = ?bid.members, "proposing a cluster");
                if let Err(why) = self.promise_to(&bid) {
                    said.say(&why);
                    return Ok(Outcome::Waiting);
                }
                self.collect(&bid, channels).await;
            }
            Step::Ask(_) => {
                let standing = self.lock().record.standing.clone();
                if let Standing::Promised(bid) = standing {
                    self.collect(&bid, channels).await;
                }
            }
            Step::Found => match self.found(seen) {
                Ok(()) => return self.hand_over(seen, channels).await,
                Err(error @ NurseryError::Disk(_)) => return Err(error),
                // What another announced can't be used: no reason for this one to end.
                Err(error) => {
                    said.say(&error.to_string());
                    return Ok(Outcome::Waiting);
                }
            },
            Step::HandOver(lack) => {
                let names: Vec<String> = lack.iter().map(ToString::to_string).collect();
                said.say(&format!(
                    "the founders {} have no papers yet",
                    names.join(", ")
                ));
                return self.hand_over(seen, channels).await;
            }
            Step::Begin => return self.begin().map(|papers| Outcome::Member(Box::new(papers))),
            Step::Renounce(cluster) => {
                tracing::warn!(%cluster, "giving a bootstrap up that made no progress");
                self.give_up(cluster, false)?;
            }
            Step::Release(cluster) => {
                tracing::info!(%cluster, "a bootstrap has ended without a cluster");
                self.give_up(cluster, true)?;
            }
            Step::Reborn(cluster) => return Err(NurseryError::Reborn(cluster)),
            Step::Join(cluster, address) => {
                let Some(channel) = channels.get(&address) else {
                    return Ok(Outcome::Waiting);
                };
                match channel.join(self.me.member()).await {
                    Ok(papers) => {
                        self.keep(&papers)?;
                        tracing::info!(%cluster, through = %address, "joined");
                        return Ok(Outcome::Member(Box::new(papers)));
                    }
                    Err(error) => said.say(&error.to_string()),
                }
                return Ok(Outcome::Waiting);
            }
        }
        Ok(Outcome::Progress)
    }

    /// Asks all members of the bid for their promises.
    async fn collect(&self, bid: &Bid, channels: &BTreeMap<SocketAddr, JoinChannel>) {
        let asked = channels.iter().map(|(address, channel)| async move {
            if let Err(error) = channel.promise(bid.clone()).await {
                tracing::debug!(%address, %error, "no promise");
            }
        });
        join_all(asked).await;
        self.bell.notify_one();
    }

    /// Promises this server to `bid`, unless it has promised or become something else. The check
    /// and the promise are one step: two proposers may ask at the same time.
    fn promise_to(&self, bid: &Bid) -> Result<(), String> {
        let mut inner = self.lock();
        if inner.record.renounced.contains(&bid.cluster) {
            return Err(format!(
                "this server gave bootstrap {} up for ever",
                bid.cluster
            ));
        }
        match &inner.record.standing {
            Standing::Blank => {}
            Standing::Promised(present) if present == bid => return Ok(()),
            Standing::Promised(present) => {
                return Err(format!(
                    "this server is promised to bootstrap {}",
                    present.cluster
                ));
            }
            Standing::Founded(present) => {
                return Err(format!("this server founds {}", present.cluster));
            }
            Standing::Member(cluster) => {
                return Err(format!("this server is a member of {cluster}"));
            }
        }
        inner.alive = clock::now();
        self.change_locked(&mut inner, |record| {
            record.standing = Standing::Promised(bid.clone())
        })
        .map_err(|error| error.to_string())
    }

    fn keep(&self, papers: &Papers) -> Result<(), DiskError> {
        self.keep_locked(&mut self.lock(), papers)
    }

    fn keep_locked(&self, inner: &mut Inner, papers: &Papers) -> Result<(), DiskError> {
        papers::keep(&self.disk, papers)?;
        self.change_locked(inner, |record| {
            record.standing = Standing::Member(papers.cluster)
        })
    }

    fn change(&self, change: impl FnOnce(&mut Record)) -> Result<(), DiskError> {
        self.change_locked(&mut self.lock(), change)
    }

    /// Durable before anyone can hear of it.
    fn change_locked(
        &self,
        inner: &mut Inner,
        change: impl FnOnce(&mut Record),
    ) -> Result<(), DiskError> {
        let mut record = inner.record.clone();
        change(&mut record);
        papers::keep_record(&self.disk, &record)?;
        inner.record = record;
        Ok(())
    }

    fn note_life(&self, said: &Announcement) {
        let mut inner = self.lock();
        let Standing::Promised(bid) = &inner.record.standing else {
            return;
        };
        let theirs = match &said.standing {
            Standing::Promised(theirs) => {
                said.node == bid.proposer
                    && theirs.cluster == bid.cluster
                    && bid.proposer != self.me.id
            }
            Standing::Founded(theirs) => theirs.cluster == bid.cluster,
            Standing::Member(cluster) => *cluster == bid.cluster,
            Standing::Blank => false,
        };
        if theirs {
            inner.alive = clock::now();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Outcome {
    Member(Box<Papers>),
    Progress,
    Waiting,
}
