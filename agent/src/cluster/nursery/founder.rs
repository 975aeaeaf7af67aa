//! A founder's part: the cluster's papers, made or received, and handed on until it lives.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use futures_util::future::join_all;

use super::{Inner, Nursery, NurseryError, Outcome};
use crate::cluster::founding;
use crate::cluster::join_client::JoinChannel;
use crate::cluster::join_messages::Founding;
use crate::cluster::papers::{self, Papers, ServerPapers};
use crate::decide::bootstrap::{Bid, Sight, Standing, Step, plan};
use crate::disk::DiskError;
use crate::model::NodeId;
use crate::task::clock;

impl Nursery {
    /// All have promised: makes the cluster's papers and keeps them. Ours first: once anyone has
    /// papers, this server can hand out the rest at any time.
    pub(super) fn found(&self, seen: &BTreeMap<SocketAddr, Sight>) -> Result<(), NurseryError> {
        let mut founders = BTreeMap::from([(self.me.id, self.announcement())]);
        let said = seen.values().filter_map(|sight| match sight {
            Sight::Somebody(said) => Some(said),
            Sight::Nobody => None,
        });
        founders.extend(said.map(|said| (said.node, said.clone())));
        let mut inner = self.lock();
        let Standing::Promised(bid) = inner.record.standing.clone() else {
            return Ok(());
        };
        founders.retain(|node, _| bid.members.contains(node));
        if founders.len() < bid.members.len() {
            return Ok(());
        }
        let now = clock::wall();
        let founding = founding::found(&self.me, &self.token, bid.cluster, &founders, now)?;
        self.keep_founding(&mut inner, bid, founding)?;
        Ok(())
    }

    /// Durable before anyone can hear of it: first the papers, then that they are there.
    fn keep_founding(
        &self,
        inner: &mut Inner,
        bid: Bid,
        founding: Founding,
    ) -> Result<(), DiskError> {
        papers::keep_founding(&self.disk, &founding)?;
        let cluster = bid.cluster;
        self.change_locked(inner, |record| record.standing = Standing::Founded(bid))?;
        inner.founding = Some(founding);
        tracing::info!(%cluster, "holds the papers of a new cluster");
        Ok(())
    }

    /// Gives their papers to the founders that wait for them.
    pub(super) async fn hand_over(
        &self,
        seen: &BTreeMap<SocketAddr, Sight>,
        channels: &BTreeMap<SocketAddr, JoinChannel>,
    ) -> Result<Outcome, NurseryError> {
        let Some(founding) = self.lock().founding.clone() else {
            return Ok(Outcome::Waiting);
        };
        let mine = self.announcement();
        let handed = seen.iter().filter_map(|(address, sight)| {
            let Sight::Somebody(said) = sight else {
                return None;
            };
            let theirs = founding.papers_for(said, &self.me, clock::wall())?;
            let (channel, mine) = (channels.get(address)?, mine.clone());
            Some(async move { (*address, channel.announce(mine, Some(theirs)).await) })
        });
        let handed = join_all(handed).await;
        let any = !handed.is_empty();
        for (address, answer) in handed {
            match answer {
                Ok((said, _)) => {
                    self.lock().seen.insert(address, Sight::Somebody(said));
                }
                Err(error) => {
                    tracing::info!(%address, %error, "could not hand over a founder's papers");
                }
            }
        }
        if self.with_view(plan) == Step::Begin {
            return self.begin().map(|papers| Outcome::Member(Box::new(papers)));
        }
        Ok(if any {
            Outcome::Progress
        } else {
            Outcome::Waiting
        })
    }

    /// The cluster lives: its founder becomes a member.
    pub(super) fn begin(&self) -> Result<Papers, NurseryError> {
        let mut inner = self.lock();
        let founding = inner.founding.clone().ok_or(NurseryError::Stopped)?;
        let papers = into_papers(self.me.id, founding);
        self.keep_locked(&mut inner, &papers)?;
        tracing::info!(cluster = %papers.cluster, "the cluster lives");
        Ok(papers)
    }

    /// Takes a founder's papers, if this server is promised to that bootstrap and has not given
    /// it up meanwhile.
    pub(super) fn accept_papers(&self, founding: Founding) -> Result<(), String> {
        let cluster = founding.genesis.cluster;
        let mut inner = self.lock();
        if inner.record.has_papers(cluster) {
            return Ok(());
        }
        let founders = founding.genesis.founders.iter().map(|member| member.id);
        let founders: BTreeSet<NodeId> = founders.collect();
        let bid = match &inner.record.standing {
            Standing::Promised(bid)
                if bid.cluster == cluster
                    && bid.members == founders
                    && !inner.record.renounced.contains(&cluster) =>
            {
                bid.clone()
            }
            _ => return Err(format!("this server has no promise to {cluster}")),
        };
        self.keep_founding(&mut inner, bid, founding)
            .map_err(|error| error.to_string())?;
        drop(inner);
        self.bell.notify_one();
        Ok(())
    }
}

fn into_papers(node: NodeId, founding: Founding) -> Papers {
    let genesis = founding.genesis;
    Papers {
        node,
        place: (genesis.stack.clone(), genesis.dc.clone()),
        cluster: genesis.cluster,
        certificate: founding.certificate,
        ca: genesis.ca.cert_pem.clone(),
        servers: genesis
            .founders
            .iter()
            .map(|member| (member.id, member.rpc()))
            .collect(),
        server: Some(ServerPapers {
            data_key: founding.data_key,
            authority: genesis.ca.clone(),
            genesis: Some(genesis),
        }),
    }
}
